// The exchange: tunnels.
#include "tests/proxy/exchange_fixture.h"

namespace sluice::proxy {
namespace {

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

}  // namespace
}  // namespace sluice::proxy
