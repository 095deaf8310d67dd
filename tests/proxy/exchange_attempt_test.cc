// The exchange: other attempts, and waiting for a connection.
#include "tests/proxy/exchange_fixture.h"

namespace sluice::proxy {
namespace {

using Kind = BackendFailure::Kind;

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

// --- Revisions ----------------------------------------------------------------------------------

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
