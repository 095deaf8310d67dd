// The exchange between two scripted streams that speak no HTTP version at all.
#include "proxy/data/exchange.h"

#include <gtest/gtest.h>

#include "proxy/data/worker.h"
#include "routing/state.h"
#include "tests/io/fake_network.h"
#include "tests/io/fake_ring.h"

namespace sluice::proxy {
namespace {

using Kind = BackendFailure::Kind;

// Writes down what the exchange does to it.
class ScriptedClient final : public ClientStream {
 public:
  void send_interim(const http::ResponseHead& head) override {
    log += "interim " + std::to_string(head.status) + "; ";
  }
  void send_head(const http::ResponseHead& head, Author author) override {
    log += (author == Author::proxy ? "own " : "head ") + std::to_string(head.status) +
           (head.keep_alive ? "" : " close") + "; ";
  }
  void send_body(Bytes bytes) override {
    body += as_text(bytes);
    waiting += bytes.size();
  }
  void send_end(const http::Fields& trailers) override {
    log += "end" + (trailers.empty() ? "" : " " + std::to_string(trailers.size()) + " trailers");
    log += "; ";
  }
  void abort() override { log += "abort; "; }
  void pause_request() override { paused = true; }
  void resume_request() override { paused = false; }
  std::size_t buffered() const override { return waiting; }
  void notify_when_writable() override { notify = true; }
  const ClientInfo& client() const override { return info; }

  std::string log;
  std::string body;
  std::size_t waiting = 0;
  bool paused = false;
  bool notify = false;
  ClientInfo info;
};

class ScriptedBackend final : public BackendStream {
 public:
  void send_head(const http::RequestHead& head, const http::ForwardContext*) override {
    log += head.method_text + " " + head.target + "; ";
  }
  void send_body(Bytes bytes) override {
    body += as_text(bytes);
    waiting += bytes.size();
  }
  void send_end(const http::Fields&) override { log += "end; "; }
  void cancel() override {
    log += "cancel; ";
    handler = nullptr;
  }
  void pause_response() override { paused = true; }
  void resume_response() override { paused = false; }
  std::size_t buffered() const override { return waiting; }
  void notify_when_writable() override { notify = true; }

  std::string log;
  std::string body;
  std::size_t waiting = 0;
  bool paused = false;
  bool notify = false;
  ResponseHandler* handler = nullptr;
};

class ScriptedPool final : public BackendPool, private WaitingRoom::Owner {
 public:
  explicit ScriptedPool(io::Loop& loop) : room(loop, *this) {}
  Lease lease(ResponseHandler& handler, const Wish& wish) override {
    reuses.push_back(wish.reuse);
    if (full) return {.full = true, .refusal = "full"};
    if (refuse) return {.stream = nullptr, .connected = false, .refusal = "no more"};
    streams.push_back(std::make_unique<ScriptedBackend>());
    streams.back()->handler = &handler;
    return {.stream = streams.back().get(), .connected = connected, .refusal = {}};
  }
  bool wait(Waiter& waiter) override { return room.enter(waiter, 1); }
  void use_settings(std::shared_ptr<const ServerSettings>) override {}
  void keep_idle(bool) override {}

  std::vector<std::unique_ptr<ScriptedBackend>> streams;
  bool has_room() const override { return !full; }

  WaitingRoom room;
  bool full = false;
  std::vector<Reuse> reuses;
  bool connected = true;
  bool refuse = false;
};

class ExchangeTest : public testing::Test, public WorkerObserver {
 protected:
  ExchangeTest() {
    auto config = std::make_shared<conf::Config>();
    client_.info.stream_buffer_bytes = 100;
    config->timeouts.response_head = std::chrono::seconds(5);
    config->timeouts.stream = std::chrono::seconds(3);
    conf::Backend backend{.name = "blue", .servers = {}, .health = conf::HealthCheck{}};
    backend.servers.push_back({"one", *Address::parse("10.0.0.1:1")});
    backend.servers.push_back({"two", *Address::parse("10.0.0.2:1")});
    config->backends.push_back(backend);
    conf::Route route;
    route.name = "app";
    route.hosts = {"app"};
    route.split.push_back({"blue", *Decimal::parse("1")});
    route.timeouts = config->timeouts;
    route.limits = config->limits;
    route.limits.retry_body_bytes = 10;
    config->routes.push_back(route);
    config_ = config;
    network_.hold_time(true);
    reactor_ = std::make_unique<Reactor>(std::make_unique<io::FakeRing>(network_), counters_,
                                         connections_, config_);
    worker_ = std::make_unique<Worker>(
        0, *reactor_, nullptr, *this, [this](ConnectionHost& host, const Address&, auto) {
          pools_.push_back(std::make_shared<ScriptedPool>(host.loop()));
          return pools_.back();
        });
    state_.apply(*state_.plan_reload(*config_, WallTime{}).revision);
    snapshot_ = registry_.build(config_, state_, 1, /*assume_up=*/true);
    worker_->adopt(snapshot_, servers_);
  }

  ~ExchangeTest() override {
    if (exchange_) exchange_->on_client_gone();
  }

  void on_adopted(std::size_t, std::uint64_t) override {}
  void on_connect_failed(const routing::ServerKey& server,
                         std::shared_ptr<routing::ServerRuntime>) override {
    failed_ += server.to_string() + "; ";
  }

  void begin(std::string method, bool complete, std::string host = "app") {
    head_.method_text = method;
    head_.method = http::method_from(method);
    head_.authority = std::move(host);
    head_.target = "/x";
    head_.body.kind = complete ? http::BodyLength::Kind::none : http::BodyLength::Kind::chunked;
    exchange_ = std::make_unique<Exchange>(*worker_, head_, complete, client_);
    exchange_->start();
  }

  void ask_for_tunnel(std::string method = "GET") {
    head_.method_text = method;
    head_.method = http::method_from(method);
    head_.authority = "app";
    head_.target = "/x";
    head_.protocol = head_.method == http::Method::connect ? "" : "websocket";
    head_.body.kind = http::BodyLength::Kind::tunnel;
    exchange_ = std::make_unique<Exchange>(*worker_, head_, false, client_);
    exchange_->start();
  }
  void open_tunnel(ScriptedBackend& backend, int status = 101) {
    http::ResponseHead head;
    head.status = status;
    head.body.kind = http::BodyLength::Kind::tunnel;
    backend.handler->on_response_head(head);
  }

  void set_full(bool full) {
    for (const auto& pool : pools_) {
      pool->full = full;
      pool->room.admit();
    }
    pass(Duration::zero());
  }

  // The streams in the order in which they were leased.
  ScriptedBackend& stream(std::size_t n) {
    std::vector<ScriptedBackend*> all;
    for (std::size_t round = 0; round < 4; ++round) {
      for (const auto& pool : pools_) {
        if (round < pool->streams.size()) all.push_back(pool->streams[round].get());
      }
    }
    SLUICE_CHECK(n < all.size());
    return *all[n];
  }
  std::size_t streams() const {
    std::size_t sum = 0;
    for (const auto& pool : pools_) sum += pool->streams.size();
    return sum;
  }
  void connect_later() {
    for (const auto& pool : pools_) pool->connected = false;
  }
  void respond(ScriptedBackend& stream, int status, std::string_view body) {
    http::ResponseHead head;
    head.status = status;
    stream.handler->on_response_head(head);
    if (!body.empty()) stream.handler->on_response_body(as_bytes(body));
    stream.handler->on_response_end({});
  }
  void fail(ScriptedBackend& stream, BackendFailure failure) {
    ResponseHandler* handler = std::exchange(stream.handler, nullptr);
    handler->on_backend_failure(failure);
  }
  void pass(Duration time) {
    network_.advance(time);
    reactor_->loop().turn(reactor_->loop().now());
  }
  std::uint64_t running() const {
    std::uint64_t sum = 0;
    for (const auto& server : snapshot_->backends[0].servers) sum += server.runtime->running();
    return sum;
  }

  io::FakeNetwork network_;
  admin::WorkerCounters counters_;
  ConnectionCount connections_;
  std::shared_ptr<const conf::Config> config_;
  std::unique_ptr<Reactor> reactor_;
  std::vector<std::shared_ptr<ScriptedPool>> pools_;
  std::unique_ptr<Worker> worker_;
  const ServerSettingsTablePtr servers_ = std::make_shared<const ServerSettingsTable>(
      ServerSettingsTable{std::make_shared<const ServerSettings>()});
  routing::State state_;
  routing::Registry registry_{1};
  std::shared_ptr<const routing::Snapshot> snapshot_;
  std::string failed_;
  http::RequestHead head_;
  ScriptedClient client_;
  std::unique_ptr<Exchange> exchange_;
};

TEST_F(ExchangeTest, ForwardsBothWaysAndEnds) {
  begin("POST", false);
  exchange_->on_request_body(as_bytes("hello"));
  http::Fields trailers;
  exchange_->on_request_end(trailers);
  ScriptedBackend& backend = stream(0);
  EXPECT_EQ(backend.log, "POST /x; end; ");
  EXPECT_EQ(backend.body, "hello");
  EXPECT_EQ(running(), 1u);
  respond(backend, 200, "world");
  EXPECT_EQ(client_.log, "head 200; end; ");
  EXPECT_EQ(client_.body, "world");
  EXPECT_EQ(running(), 0u);
  EXPECT_EQ(counters_.get(admin::Count::responses_2xx), 1u);
}

TEST_F(ExchangeTest, NoRouteIsA404AndNoServerA503) {
  begin("GET", true, "other");
  EXPECT_EQ(client_.log, "own 404; end; ");
  exchange_.reset();
  client_.log.clear();
  for (const auto& server : snapshot_->backends[0].servers) server.runtime->up = false;
  begin("GET", true);
  EXPECT_EQ(client_.log, "own 503; end; ");
  EXPECT_EQ(streams(), 0u);
}

TEST_F(ExchangeTest, ARefusedConnectSendsTheRequestElsewhereBodyAndAll) {
  connect_later();
  begin("POST", false);
  exchange_->on_request_body(as_bytes("held"));
  exchange_->on_request_end({});
  ScriptedBackend& first = stream(0);
  EXPECT_EQ(first.body, "") << "nothing of the body before the server is connected";
  fail(first, {.kind = Kind::connect_refused,
               .unprocessed = true,
               .stale_connection = false,
               .detail = {}});
  EXPECT_EQ(failed_, "blue/one; ");
  EXPECT_FALSE(snapshot_->backends[0].servers[0].runtime->up);
  ASSERT_EQ(streams(), 2u);
  ScriptedBackend& second = stream(1);
  second.handler->on_backend_connected();
  EXPECT_EQ(second.log, "POST /x; end; ");
  EXPECT_EQ(second.body, "held");
  respond(second, 201, "");
  EXPECT_EQ(client_.log, "head 201; end; ");
  EXPECT_EQ(counters_.get(admin::Count::retries), 1u);
}

TEST_F(ExchangeTest, WhoeverDidNotWaitForTheConnectionSaysNothingOfTheServer) {
  connect_later();
  begin("GET", true);
  fail(stream(0), {.kind = Kind::connect_timeout,
                   .unprocessed = true,
                   .stale_connection = false,
                   .still_connecting = true,
                   .detail = {}});
  EXPECT_EQ(failed_, "");
  EXPECT_TRUE(snapshot_->backends[0].servers[0].runtime->up);
  EXPECT_EQ(streams(), 2u) << "another server is tried";
}

TEST_F(ExchangeTest, WhenNoServerIsLeftTheAnswerSaysWhyTheLastOneFailed) {
  connect_later();
  begin("GET", true);
  fail(stream(0), {.kind = Kind::connect_refused,
                   .unprocessed = true,
                   .stale_connection = false,
                   .detail = {}});
  fail(stream(1), {.kind = Kind::connect_timeout,
                   .unprocessed = true,
                   .stale_connection = false,
                   .detail = {}});
  EXPECT_EQ(client_.log, "own 504; end; ");
  EXPECT_EQ(counters_.get(admin::Count::retries), 1u);
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, AStaleConnectionRepeatsGetButNeverPost) {
  const BackendFailure stale{
      .kind = Kind::closed, .unprocessed = false, .stale_connection = true, .detail = {}};
  begin("GET", true);
  fail(stream(0), stale);
  EXPECT_EQ(streams(), 2u);
  EXPECT_EQ(failed_, "") << "a server that closed an idle connection has not failed";
  EXPECT_EQ(pools_[1]->reuses, std::vector{BackendPool::Reuse::fresh})
      << "the next idle connection may be as dead";
  respond(stream(1), 200, "");
  exchange_.reset();
  client_.log.clear();
  const std::size_t before = streams();
  begin("POST", true);
  for (const auto& pool : pools_) {
    for (const auto& each : pool->streams) {
      if (each->handler && each->log == "POST /x; end; ") fail(*each, stale);
    }
  }
  EXPECT_EQ(streams(), before + 1);
  EXPECT_EQ(client_.log, "own 502; end; ");
}

TEST_F(ExchangeTest, ACutResponseIsAVisibleAbort) {
  begin("GET", true);
  ScriptedBackend& backend = stream(0);
  http::ResponseHead head;
  head.status = 200;
  backend.handler->on_response_head(head);
  backend.handler->on_response_body(as_bytes("half"));
  fail(backend,
       {.kind = Kind::closed, .unprocessed = false, .stale_connection = false, .detail = {}});
  EXPECT_EQ(client_.log, "head 200; abort; ");
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, ASlowServerPausesTheClientAndASlowClientTheServer) {
  begin("POST", false);
  ScriptedBackend& backend = stream(0);
  exchange_->on_request_body(as_bytes(std::string(101, 'x')));
  EXPECT_TRUE(client_.paused);
  EXPECT_TRUE(backend.notify);
  backend.waiting = 0;
  backend.handler->on_backend_writable();
  EXPECT_FALSE(client_.paused);

  http::ResponseHead head;
  head.status = 200;
  backend.handler->on_response_head(head);
  backend.handler->on_response_body(as_bytes(std::string(101, 'y')));
  EXPECT_TRUE(backend.paused);
  EXPECT_TRUE(client_.notify);
  exchange_->on_client_writable();
  EXPECT_FALSE(backend.paused);
  exchange_->on_client_gone();
  EXPECT_EQ(backend.log, "POST /x; cancel; ");
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, InterimResponsesPass) {
  begin("GET", true);
  http::ResponseHead interim;
  interim.status = 103;
  stream(0).handler->on_interim_response(interim);
  EXPECT_EQ(client_.log, "interim 103; ");
  respond(stream(0), 200, "");
  EXPECT_EQ(client_.log, "interim 103; head 200; end; ");
}

// --- Retries ------------------------------------------------------------------------------------

constexpr BackendFailure kTurnedAway{
    .kind = Kind::turned_away, .unprocessed = true, .stale_connection = false, .detail = {}};

TEST_F(ExchangeTest, ARequestThatWasTurnedAwayIsSentAgainWithItsBody) {
  begin("POST", false);
  exchange_->on_request_body(as_bytes("hello"));
  fail(stream(0), kTurnedAway);
  ASSERT_EQ(streams(), 2u);
  EXPECT_EQ(stream(1).body, "hello");
  exchange_->on_request_body(as_bytes(", you"));
  exchange_->on_request_end({});
  EXPECT_EQ(stream(1).body, "hello, you");
  respond(stream(1), 200, "");
  EXPECT_EQ(client_.log, "head 200; end; ");
  EXPECT_EQ(failed_, "") << "a server that turns a request away is not down";
}

TEST_F(ExchangeTest, ABodyThatIsNotAtHandAnyMoreIsNotSentAgain) {
  begin("POST", false);
  exchange_->on_request_body(as_bytes("more than ten bytes"));
  exchange_->on_request_end({});
  fail(stream(0), kTurnedAway);
  EXPECT_EQ(streams(), 1u);
  EXPECT_EQ(client_.log, "own 503; end; ");
}

TEST_F(ExchangeTest, ABackendThatTurnsEveryRequestAwayIsNotAskedForEver) {
  begin("GET", true);
  const auto waiting = [this]() -> ScriptedBackend* {
    for (const auto& pool : pools_) {
      for (const auto& each : pool->streams) {
        if (each->handler) return each.get();
      }
    }
    return nullptr;
  };
  while (ScriptedBackend* asked = waiting()) {
    ASSERT_LE(streams(), Exchange::kTurnedAwayMax + 1);
    fail(*asked, kTurnedAway);
  }
  EXPECT_EQ(streams(), Exchange::kTurnedAwayMax + 1);
  EXPECT_EQ(client_.log, "own 503; end; ");
}

TEST_F(ExchangeTest, AnIdempotentRequestIsRepeatedWithItsBody) {
  begin("PUT", false);
  exchange_->on_request_body(as_bytes("again"));
  exchange_->on_request_end({});
  fail(stream(0),
       {.kind = Kind::closed, .unprocessed = false, .stale_connection = true, .detail = {}});
  ASSERT_EQ(streams(), 2u);
  EXPECT_EQ(stream(1).body, "again");
}

// --- Waiting for a connection -------------------------------------------------------------------

TEST_F(ExchangeTest, ARequestWaitsWhileAllConnectionsAreTaken) {
  set_full(true);
  begin("POST", false);
  exchange_->on_request_body(as_bytes("body"));
  EXPECT_TRUE(client_.paused);
  EXPECT_EQ(client_.log, "");
  EXPECT_EQ(running(), 0u) << "it is on no server yet";
  set_full(false);
  ASSERT_EQ(streams(), 1u);
  EXPECT_FALSE(client_.paused);
  exchange_->on_request_end({});
  EXPECT_EQ(stream(0).body, "body");
  respond(stream(0), 200, "");
  EXPECT_EQ(client_.log, "head 200; end; ");
}

TEST_F(ExchangeTest, WhoLeavesTheQueueChoosesByTheRevisionInForce) {
  set_full(true);
  begin("GET", true);
  auto other = std::make_shared<conf::Config>(*config_);
  other->routes[0].hosts = {"elsewhere"};
  worker_->adopt(registry_.build(other, state_, 2), servers_);
  set_full(false);
  EXPECT_EQ(streams(), 0u);
  EXPECT_EQ(client_.log, "own 503; end; ");
}

TEST_F(ExchangeTest, AServerWithRoomIsTakenBeforeOneIsWaitedFor) {
  begin("GET", true);
  exchange_->on_client_gone();
  exchange_.reset();
  ASSERT_EQ(pools_.size(), 2u);
  for (const auto& full : pools_) {
    full->full = true;
    client_.log.clear();
    begin("GET", true);
    ASSERT_EQ(running(), 1u);
    exchange_->on_client_gone();
    exchange_.reset();
    full->full = false;
  }
}

TEST_F(ExchangeTest, WhoWaitsTooLongOrBehindTooManyIsTurnedAway) {
  set_full(true);
  begin("GET", true);
  pass(std::chrono::milliseconds(3100));
  EXPECT_EQ(client_.log, "own 503; end; ");
  exchange_.reset();
  client_.log.clear();

  http::RequestHead head;
  head.method_text = "GET";
  head.authority = "app";
  head.target = "/x";
  ScriptedClient others[3];  // two servers, with room for one to wait at each
  std::vector<std::unique_ptr<Exchange>> exchanges;
  for (ScriptedClient& other : others) {
    exchanges.push_back(std::make_unique<Exchange>(*worker_, head, true, other));
    exchanges.back()->start();
  }
  EXPECT_EQ(others[0].log, "");
  EXPECT_EQ(others[2].log, "own 503; end; ");
  EXPECT_GE(counters_.get(admin::Count::limit_backend_waiting), 1u);
  for (const auto& exchange : exchanges) exchange->on_client_gone();
  set_full(false);
  EXPECT_EQ(streams(), 0u) << "who has left isn't called";
}

// --- Tunnels ------------------------------------------------------------------------------------

TEST_F(ExchangeTest, AnOpenTunnelCarriesBytesBothWaysUntilTheServerEnds) {
  ask_for_tunnel();
  ScriptedBackend& backend = stream(0);
  EXPECT_EQ(backend.log, "GET /x; ") << "no end: the client's half has just begun";
  open_tunnel(backend);
  EXPECT_EQ(client_.log, "head 101; ");
  exchange_->on_request_body(as_bytes("ping, and more than ten bytes"));
  backend.handler->on_response_body(as_bytes("pong"));
  EXPECT_EQ(backend.body, "ping, and more than ten bytes");
  EXPECT_EQ(client_.body, "pong");
  exchange_->on_request_end({});
  EXPECT_EQ(backend.log, "GET /x; end; ") << "a half-close is passed on";
  EXPECT_EQ(running(), 1u);
  backend.handler->on_response_end({});
  EXPECT_EQ(client_.log, "head 101; end; ");
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, AServerThatDeclinesATunnelAnswersAnOrdinaryRequest) {
  ask_for_tunnel();
  respond(stream(0), 403, "no");
  EXPECT_EQ(client_.log, "head 403; end; ");
  EXPECT_EQ(client_.body, "no");
}

TEST_F(ExchangeTest, ARouteThatAllowsNoUpgradeRefusesIt) {
  auto strict = std::make_shared<conf::Config>(*config_);
  strict->routes[0].upgrades.clear();
  worker_->adopt(registry_.build(strict, state_, 2), servers_);
  ask_for_tunnel();
  EXPECT_EQ(client_.log, "own 403 close; end; ");
  EXPECT_EQ(streams(), 0u);
}

TEST_F(ExchangeTest, ConnectNeedsARouteThatAllowsIt) {
  ask_for_tunnel("CONNECT");
  EXPECT_EQ(client_.log, "own 405 close; end; ");
  exchange_.reset();
  client_.log.clear();
  auto open = std::make_shared<conf::Config>(*config_);
  open->routes[0].allow_connect = true;
  worker_->adopt(registry_.build(open, state_, 2), servers_);
  ask_for_tunnel("CONNECT");
  ASSERT_EQ(streams(), 1u);
  open_tunnel(stream(0), 200);
  exchange_->on_request_body(as_bytes("raw"));
  EXPECT_EQ(stream(0).body, "raw");
  exchange_->on_client_gone();
  EXPECT_EQ(stream(0).log, "CONNECT /x; cancel; ");
}

TEST_F(ExchangeTest, ATunnelInWhichNothingMovesIsCut) {
  ask_for_tunnel();
  open_tunnel(stream(0));
  pass(std::chrono::milliseconds(2900));
  exchange_->on_request_body(as_bytes("."));
  pass(std::chrono::milliseconds(2900));
  EXPECT_EQ(client_.log, "head 101; ");
  pass(std::chrono::milliseconds(200));
  EXPECT_EQ(client_.log, "head 101; abort; ");
}

// --- Rates --------------------------------------------------------------------------------------

TEST_F(ExchangeTest, ABodyThatTricklesInIsA408) {
  begin("POST", false);
  for (int i = 0; i < 11; ++i) {
    exchange_->on_request_body(as_bytes("drop"));
    pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(client_.log, "own 408 close; end; ");
  EXPECT_EQ(counters_.get(admin::Count::limit_request_rate_min), 1u);
}

TEST_F(ExchangeTest, AStreamOfGrpcMessagesMayTrickle) {
  head_.fields.append("content-type", "application/grpc+proto");
  head_.version = http::Version::http_2;
  begin("POST", false);
  for (int i = 0; i < 15; ++i) {
    exchange_->on_request_body(as_bytes("drop"));
    pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(client_.log, "");
  exchange_->on_client_gone();
}

TEST_F(ExchangeTest, AClientThatTakesTooLittleOfItsResponseIsCut) {
  begin("GET", true);
  http::ResponseHead head;
  head.status = 200;
  stream(0).handler->on_response_head(head);
  stream(0).handler->on_response_body(as_bytes(std::string(5000, 'y')));
  for (int i = 0; i < 20 && client_.log == "head 200; "; ++i) {
    client_.waiting -= 10;
    pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(client_.log, "head 200; abort; ");
  EXPECT_EQ(counters_.get(admin::Count::limit_response_rate_min), 1u);
}

// --- gRPC ---------------------------------------------------------------------------------------

TEST_F(ExchangeTest, AnErrorIsAGrpcStatusForThoseWhoSpeakIt) {
  head_.fields.append("content-type", "application/grpc");
  begin("POST", true, "other");
  EXPECT_EQ(client_.log, "own 200; end; ");
  EXPECT_EQ(client_.body, "");
  EXPECT_EQ(counters_.get(admin::Count::responses_4xx), 1u)
      << "what the answer stands for is what is counted";
}

TEST_F(ExchangeTest, EndlessInterimResponsesEnd) {
  begin("GET", true);
  ScriptedBackend& backend = stream(0);
  for (unsigned i = 0; i <= Exchange::kInterimMax && backend.handler; ++i) {
    http::ResponseHead interim;
    interim.status = 102;
    backend.handler->on_interim_response(interim);
  }
  EXPECT_EQ(backend.handler, nullptr);
  EXPECT_TRUE(client_.log.ends_with("own 502; end; ")) << client_.log;
}

TEST_F(ExchangeTest, AServerThatNeverAnswersIsA504) {
  begin("GET", true);
  pass(std::chrono::milliseconds(4900));
  EXPECT_EQ(client_.log, "");
  pass(std::chrono::milliseconds(300));
  EXPECT_EQ(client_.log, "own 504; end; ");
  EXPECT_EQ(stream(0).log, "GET /x; end; cancel; ");
  EXPECT_EQ(counters_.get(admin::Count::timeout_response_head), 1u);
}

TEST_F(ExchangeTest, ABodyThatStopsComingIsA408) {
  begin("POST", false);
  exchange_->on_request_body(as_bytes("a"));
  pass(std::chrono::milliseconds(3200));
  EXPECT_EQ(client_.log, "own 408 close; end; ");
  EXPECT_EQ(counters_.get(admin::Count::timeout_stream), 1u);
}

TEST_F(ExchangeTest, AResponseThatStallsIsCut) {
  begin("GET", true);
  http::ResponseHead head;
  head.status = 200;
  stream(0).handler->on_response_head(head);
  pass(std::chrono::milliseconds(3200));
  EXPECT_EQ(client_.log, "head 200; abort; ");
}

TEST_F(ExchangeTest, WhatStopsBeingARequestIsAnsweredWithItsStatus) {
  begin("POST", false);
  exchange_->on_request_failure(400, "bad chunk");
  EXPECT_EQ(client_.log, "own 400 close; end; ");
  EXPECT_EQ(stream(0).log, "POST /x; cancel; ");
}

TEST_F(ExchangeTest, AFullPoolIsA503) {
  for (const auto& pool : pools_) pool->refuse = true;
  begin("GET", true);
  EXPECT_EQ(client_.log, "own 503; end; ");
  EXPECT_EQ(failed_, "") << "our own shortage says nothing about the server";
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, G1ARetryChoosesByTheRevisionInForceThen) {
  connect_later();
  begin("GET", true);
  // Both servers of the snapshot that the request began with are drained meanwhile.
  for (const char* name : {"one", "two"}) {
    state_.apply(*state_.plan_drain(*config_, {"blue", name}, true, {}, WallTime{}));
  }
  worker_->adopt(registry_.build(config_, state_, 2), servers_);
  fail(stream(0), {.kind = Kind::connect_refused,
                   .unprocessed = true,
                   .stale_connection = false,
                   .detail = {}});
  EXPECT_EQ(streams(), 1u);
  EXPECT_EQ(client_.log, "own 503; end; ");
}

TEST_F(ExchangeTest, AReloadThatDropsTheRouteDuringAConnectEndsInOneAnswer) {
  connect_later();
  begin("GET", true);
  auto without = std::make_shared<conf::Config>(*config_);
  without->backends[0].name = "other";
  without->routes[0].name = "other";
  without->routes[0].hosts = {"other"};
  without->routes[0].split[0].backend = "other";
  state_.apply(*state_.plan_reload(*without, WallTime{}).revision);
  worker_->adopt(registry_.build(without, state_, 2), servers_);
  fail(stream(0), {.kind = Kind::connect_refused,
                   .unprocessed = true,
                   .stale_connection = false,
                   .detail = {}});
  EXPECT_EQ(client_.log, "own 503; end; ");
  EXPECT_EQ(running(), 0u);
}

}  // namespace
}  // namespace sluice::proxy
