// What the exchange's tests stand on: a worker on the fake ring, between a scripted client and
// scripted servers that speak no HTTP version at all.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/data/exchange.h"
#include "proxy/data/worker.h"
#include "routing/state.h"
#include "tests/io/fake_network.h"
#include "tests/io/fake_ring.h"

namespace sluice::proxy {

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
  bool take_back_response() override {
    if (left) return false;
    log += "taken back; ";
    return true;
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
  bool left = true;  // some of the response
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
  void notify_when_below(std::size_t bytes) override {
    notify = true;
    low_watermark = bytes;
  }

  std::string log;
  std::string body;
  std::size_t waiting = 0;
  bool paused = false;
  bool notify = false;
  std::size_t low_watermark = 0;
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

  // In force for exchanges that begin from here on.
  void set_stream_timeout(Duration time) {
    auto config = std::make_shared<conf::Config>(*config_);
    config->routes[0].timeouts.stream = time;
    config_ = std::move(config);
    snapshot_ = registry_.build(config_, state_, 2, /*assume_up=*/true);
    worker_->adopt(snapshot_, servers_);
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

}  // namespace sluice::proxy
