// HTTP/2 from clients: windows that are shut, and tunnels.
#include "proxy/data/h2_client.h"
#include "tests/proxy/h2_client_fixture.h"

namespace sluice::proxy {
namespace {

using BodyKind = http::BodyLength::Kind;

// --- Back-pressure ------------------------------------------------------------------------------

TEST_F(H2ClientTest, APausedRequestStopsAtItsWindowAndStallsNoOther) {
  H2Peer client = connect();
  const auto slow = client.ask(H2Peer::get("/slow", "POST"), false);
  const auto fast = client.ask(H2Peer::get("/fast", "POST"), false);
  settle(client);
  asked(0).stream->pause_request();
  client.data(slow, std::string(3'000'000, 's'), true);
  client.data(fast, std::string(3'000'000, 'f'), true);
  for (int i = 0; i < 100; ++i) settle(client);
  EXPECT_EQ(asked(0).body.size(), 10'000u);
  EXPECT_EQ(asked(1).body.size(), 3'000'000u);
  EXPECT_EQ(asked(1).log, "end; ");
  asked(0).stream->resume_request();
  for (int i = 0; i < 100; ++i) settle(client);
  EXPECT_EQ(asked(0).body.size(), 3'000'000u);
  EXPECT_EQ(asked(0).log, "end; ");
}

TEST_F(H2ClientTest, AClosedWindowHoldsItsResponseAndTellsWhenItOpens) {
  H2Peer client = connect({.settings = {{wire::kInitialWindowSize, 1000}}, .opens_windows = false});
  const auto id = client.ask(H2Peer::get("/slow"));
  const auto other = client.ask(H2Peer::get("/other"));
  settle(client);
  ClientStream& stream = *asked(0).stream;
  stream.send_head(response(200), ClientStream::Author::server);
  stream.send_body(as_bytes(std::string(20'000, 'x')));
  stream.notify_when_writable();
  settle(client);
  EXPECT_EQ(stream.buffered(), 19'000u);
  EXPECT_EQ(client.stream(id).body.size(), 1000u);
  EXPECT_EQ(asked(0).log, "complete; ");
  answer(1, "not held up");
  settle(client);
  EXPECT_EQ(client.stream(other).body, "not held up");
  client.send(wire::window_update(id, 13'999));
  settle(client);
  EXPECT_EQ(asked(0).log, "complete; ");
  client.send(wire::window_update(id, 1));
  settle(client);
  EXPECT_EQ(stream.buffered(), 5000u);
  EXPECT_EQ(asked(0).log, "complete; writable; ");
}

TEST_F(H2ClientTest, OutputForAClientThatDoesNotReadIsBounded) {
  constexpr std::size_t kStreams = 20;
  constexpr std::size_t kBytes = 200'000;
  H2Peer client = connect({.settings = {{wire::kInitialWindowSize, 1 << 24}}});
  client.send(wire::window_update(0, 1 << 24));
  for (std::size_t i = 0; i < kStreams; ++i) client.ask(H2Peer::get("/x"));
  settle(client);
  client.peer().stop_reading();
  for (std::size_t i = 0; i < kStreams; ++i) answer(i, std::string(kBytes, 'x'));
  settle(client);
  const std::size_t lent = reactor_->loop().blocks().lent() * io::Block::kCapacity;
  EXPECT_GT(lent, 64u * 1024);
  EXPECT_LT(lent, H2Client::kOutputBytesMax + 5 * io::Block::kCapacity);
  client.peer().resume_reading();
  for (int i = 0; i < 100; ++i) settle(client);
  EXPECT_EQ(client.data_received(), kStreams * kBytes);
}

// --- Tunnels ------------------------------------------------------------------------------------

WireFields websocket() {
  WireFields head;
  head.add(":method", "CONNECT");
  head.add(":protocol", "websocket");
  head.add(":scheme", "http");
  head.add(":authority", "app");
  head.add(":path", "/chat");
  head.add("sec-websocket-version", "13");
  return head;
}

TEST_F(H2ClientTest, WhatComesIntoATunnelBeforeItOpensIsHeldAndHandedOn) {
  H2Peer client = connect();
  EXPECT_EQ(client.settings().at(wire::kEnableConnectProtocol), 1u);
  const auto id = client.ask(websocket(), false);
  client.data(id, std::string(30'000, 'e'), false);
  settle(client);
  EXPECT_EQ(asked(0).head, "GET app /chat");
  EXPECT_EQ(asked(0).body, "");
  EXPECT_EQ(client.stream(id).unsent.size(), 20'000u);  // held by its window
  asked(0).stream->send_head(response(101, BodyKind::tunnel), ClientStream::Author::server);
  EXPECT_EQ(asked(0).body, "") << "operations call nobody";
  settle(client);
  EXPECT_EQ(client.stream(id).status(), "200");
  EXPECT_EQ(asked(0).body.size(), 30'000u);
  asked(0).stream->send_body(as_bytes("down"));
  client.data(id, "up", true);
  settle(client);
  EXPECT_EQ(client.stream(id).body, "down");
  EXPECT_EQ(asked(0).body.substr(30'000), "up");
  EXPECT_EQ(asked(0).log, "end; ");
  EXPECT_FALSE(asked(0).parted);
  asked(0).stream->send_end({});
  settle(client);
  EXPECT_TRUE(client.stream(id).ended);
  EXPECT_TRUE(asked(0).parted);
}

TEST_F(H2ClientTest, AnEndThatCameBeforeATunnelOpenedIsHandedOnBehindItsBytes) {
  H2Peer client = connect();
  const auto id = client.ask(websocket(), false);
  client.data(id, "early", true);
  settle(client);
  EXPECT_EQ(asked(0).log, "");
  asked(0).stream->send_head(response(101, BodyKind::tunnel), ClientStream::Author::server);
  settle(client);
  EXPECT_EQ(asked(0).body, "early");
  EXPECT_EQ(asked(0).log, "end; ");
}

TEST_F(H2ClientTest, ATunnelThatIsRefusedDropsWhatCame) {
  H2Peer client = connect();
  const auto id = client.ask(websocket(), false);
  client.data(id, "early", false);
  settle(client);
  answer(0, "not here", 403);
  settle(client);
  EXPECT_EQ(client.stream(id).status(), "403");
  EXPECT_EQ(client.stream(id).body, "not here");
  EXPECT_EQ(client.stream(id).reset, wire::kNoError);
  EXPECT_EQ(asked(0).body, "");
  EXPECT_EQ(asked(0).log, "");
}

TEST_F(H2ClientTest, ATunnelEndsWithTheServersHalf) {
  H2Peer client = connect();
  const auto id = client.ask(websocket(), false);
  settle(client);
  asked(0).stream->send_head(response(101, BodyKind::tunnel), ClientStream::Author::server);
  asked(0).stream->send_body(as_bytes("bye"));
  asked(0).stream->send_end({});
  settle(client);
  EXPECT_EQ(client.stream(id).body, "bye");
  EXPECT_TRUE(client.stream(id).ended);
  EXPECT_EQ(client.stream(id).reset, wire::kNoError);
  EXPECT_TRUE(asked(0).parted);
  EXPECT_EQ(asked(0).log, "");
}

}  // namespace
}  // namespace sluice::proxy
