// HTTP/2 from clients: how connections end, by drains and by time.
#include "proxy/data/h2_client.h"
#include "tests/proxy/h2_client_fixture.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using std::chrono::milliseconds;
using std::chrono::seconds;
using BodyKind = http::BodyLength::Kind;

// --- Ends of connections ------------------------------------------------------------------------

TEST_F(H2ClientTest, AConnectionThatDrainsServesWhatIsOnItsWay) {
  H2Peer client = connect();
  const auto running = client.ask(H2Peer::get("/running"));
  settle(client);
  reactor_->drain();
  settle(client);
  ASSERT_EQ(client.goaways().size(), 1u);
  EXPECT_EQ(client.goaways()[0].last_stream, 0x7fff'ffffu);
  const auto crossing = client.ask(H2Peer::get("/crossing"));
  settle(client);
  pass(client, H2Client::kAnnounceTime + milliseconds(100));
  ASSERT_EQ(client.goaways().size(), 2u);
  EXPECT_EQ(client.goaways()[1].last_stream, crossing);
  EXPECT_EQ(client.goaways()[1].code, wire::kNoError);
  EXPECT_FALSE(client.peer().saw_end());
  answer(0, "first");
  answer(1, "second");
  settle(client);
  EXPECT_EQ(client.stream(running).body, "first");
  EXPECT_EQ(client.stream(crossing).body, "second");
  EXPECT_TRUE(client.peer().saw_end());
  EXPECT_EQ(count(Count::h2_goaways_shutdown), 1u);
}

TEST_F(H2ClientTest, AnIdleConnectionThatDrainsEndsSoon) {
  H2Peer client = connect();
  reactor_->drain();
  settle(client);
  EXPECT_FALSE(client.peer().saw_end());
  pass(client, H2Client::kAnnounceTime + milliseconds(100));
  EXPECT_EQ(client.goaways().size(), 2u);
  EXPECT_TRUE(client.peer().saw_end());
}

TEST_F(H2ClientTest, AConnectionThatBeganBeforeADrainAndSpokeAfterItIsServed) {
  settings_->proxy_protocol_from = {*AddressBlock::parse("10.1.0.0/16")};
  listen();
  io::Peer peer = network_.connect(address_, *Address::parse("10.1.0.9:4000"));
  for (int i = 0; i < 10; ++i) turn();
  reactor_->drain();
  for (int i = 0; i < 10; ++i) turn();
  peer.write("PROXY UNKNOWN\r\n");
  H2Peer client(peer);
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  ASSERT_EQ(service_.asked.size(), 1u);
  answer(0, "served");
  settle(client);
  EXPECT_EQ(client.stream(id).body, "served");
  pass(client, H2Client::kAnnounceTime + milliseconds(100));
  ASSERT_EQ(client.goaways().size(), 2u);
  EXPECT_EQ(client.goaways()[1].last_stream, id);
  EXPECT_TRUE(client.peer().saw_end());
}

TEST_F(H2ClientTest, AConnectionThatGivesWayIsToldByGoaway) {
  auto config = std::make_shared<conf::Config>();
  config->limits.client_connections = 1;
  reactor_->use_config(config);
  H2Peer first = connect();
  const auto id = first.ask(H2Peer::get("/x"));
  settle(first);
  answer(0, "whole");
  settle(first);
  H2Peer second = connect();
  settle(first);
  EXPECT_EQ(first.stream(id).body, "whole");
  ASSERT_EQ(first.goaways().size(), 1u);
  EXPECT_EQ(first.goaways()[0].last_stream, id);
  EXPECT_EQ(first.goaways()[0].code, wire::kNoError);
  EXPECT_TRUE(first.peer().saw_end());
  EXPECT_FALSE(second.peer().saw_end());
  EXPECT_EQ(connections_.open, 1u);
}

TEST_F(H2ClientTest, AnIdleConnectionEndsByGoaway) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  pass(client, seconds(1000));
  EXPECT_TRUE(client.goaways().empty()) << "a request runs";
  answer(0, "late");
  settle(client);
  EXPECT_EQ(client.stream(id).body, "late");
  pass(client, seconds(74));
  EXPECT_TRUE(client.goaways().empty());
  client.send(wire::frame(wire::kPing, 0, 0, "12345678"));
  settle(client);
  EXPECT_EQ(client.pings_answered(), 1u);
  pass(client, seconds(2));
  ASSERT_EQ(client.goaways().size(), 1u);
  EXPECT_EQ(client.goaways()[0].code, wire::kNoError);
  EXPECT_EQ(client.goaways()[0].last_stream, id);
  EXPECT_TRUE(client.peer().saw_end());
  EXPECT_EQ(count(Count::h2_goaways_idle), 1u);
}

TEST_F(H2ClientTest, AClientThatSaysGoawayIsAnsweredAndLetGo) {
  for (const std::uint32_t code : {0u, 0xffu}) {
    H2Peer idle = connect();
    idle.send(wire::go_away(0, code));
    settle(idle);
    ASSERT_EQ(idle.goaways().size(), 1u);
    EXPECT_EQ(idle.goaways()[0].code, wire::kNoError);
    EXPECT_TRUE(idle.peer().saw_end());
  }
  H2Peer busy = connect();
  const auto id = busy.ask(H2Peer::get("/x"));
  busy.send(wire::go_away(0, wire::kNoError));
  settle(busy);
  EXPECT_FALSE(busy.peer().saw_end());
  answer(0, "whole");
  settle(busy);
  EXPECT_EQ(busy.stream(id).body, "whole");
  EXPECT_TRUE(busy.peer().saw_end());
}

TEST_F(H2ClientTest, AfterItsRequestsAConnectionEndsAndLosesNone) {
  settings_->limits.requests_per_connection = 3;
  service_.on_each = [](Asked& made) {
    made.stream->send_head(response(200, BodyKind::known, 0), ClientStream::Author::server);
    made.stream->send_end({});
  };
  H2Peer client = connect();
  for (int i = 0; i < 5; ++i) client.ask(H2Peer::get("/x"));
  settle(client);
  EXPECT_EQ(service_.asked.size(), 5u);
  for (auto& [id, stream] : client.streams()) EXPECT_EQ(stream.status(), "200");
  ASSERT_EQ(client.goaways().size(), 1u);
  pass(client, H2Client::kAnnounceTime + milliseconds(100));
  ASSERT_EQ(client.goaways().size(), 2u);
  EXPECT_EQ(client.goaways()[1].last_stream, 9u);
  EXPECT_TRUE(client.peer().saw_end());
  EXPECT_EQ(count(Count::limit_requests_per_connection), 1u);
}

// --- Times --------------------------------------------------------------------------------------

TEST_F(H2ClientTest, ASlowBeginningEndsTheConnection) {
  listen();
  io::Peer silent = network_.connect(address_);
  for (int i = 0; i < 5; ++i) turn();
  silent.write(wire::kPreface.substr(0, 10));
  for (int i = 0; i < 5; ++i) turn();
  network_.advance(seconds(9));
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_FALSE(silent.saw_end());
  network_.advance(seconds(2));
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_TRUE(silent.saw_end());
  EXPECT_EQ(count(Count::timeout_request_head), 1u);
  EXPECT_EQ(count(Count::h2_goaways_slow_head), 1u);
}

TEST_F(H2ClientTest, SettingsThatAreNeverAcknowledgedEndTheConnection) {
  H2Peer client = connect({.acknowledges = false});
  H2Peer proper = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  pass(client, seconds(9));
  EXPECT_TRUE(client.goaways().empty());
  pass(client, seconds(2));
  ASSERT_EQ(client.goaways().size(), 1u);
  EXPECT_EQ(client.goaways()[0].code, wire::kSettingsTimeout);
  EXPECT_TRUE(client.peer().saw_end());
  EXPECT_EQ(asked(0).log, "complete; gone; ");
  EXPECT_FALSE(client.stream(id).has_head);
  EXPECT_EQ(count(Count::timeout_h2_settings), 1u);
  EXPECT_EQ(count(Count::h2_goaways_settings_timeout), 1u);
  settle(proper);
  EXPECT_TRUE(proper.goaways().empty());
}

TEST_F(H2ClientTest, AHeadThatComesTooSlowlyEndsTheConnection) {
  const std::string head = wire::section(H2Peer::get("/x"));
  const std::string slow[] = {
      // CONTINUATION that doesn't come, and a frame that isn't whole.
      wire::frame(wire::kHeaders, wire::kEndStream, 1, head.substr(0, 5)),
      wire::headers(1, H2Peer::get("/x"), true).substr(0, 20),
  };
  for (const std::string& bytes : slow) {
    SCOPED_TRACE(bytes.size());
    H2Peer client = connect();
    pass(client, seconds(60));  // an idle connection may be so for longer
    client.send(bytes);
    settle(client);
    pass(client, seconds(9));
    EXPECT_TRUE(client.goaways().empty());
    pass(client, seconds(2));
    ASSERT_EQ(client.goaways().size(), 1u);
    EXPECT_EQ(client.goaways()[0].code, wire::kEnhanceYourCalm);
    EXPECT_TRUE(client.peer().saw_end());
  }
  EXPECT_EQ(count(Count::h2_goaways_slow_head), 2u);
}

TEST_F(H2ClientTest, AClientThatTakesNothingIsCut) {
  H2Peer client = connect({.settings = {{wire::kInitialWindowSize, 1 << 24}}});
  client.send(wire::window_update(0, 1 << 24));
  client.ask(H2Peer::get("/x"));
  settle(client);
  client.peer().stop_reading();
  answer(0, std::string(1'000'000, 'x'));
  settle(client);
  pass(client, seconds(61));
  pass(client, seconds(61));
  EXPECT_EQ(reactor_->client_connections(), 0u);
  EXPECT_EQ(count(Count::timeout_stream), 1u);
}

TEST_F(H2ClientTest, AResponseThatItsClientLeavesLyingIsReset) {
  H2Peer client = connect({.settings = {{wire::kInitialWindowSize, 100}}, .opens_windows = false});
  const auto id = client.ask(H2Peer::get("/x"));
  const auto steady = client.ask(H2Peer::get("/y"));
  settle(client);
  answer(0, std::string(9000, 'x'));
  answer(1, std::string(90'000, 'y'));
  settle(client);
  EXPECT_TRUE(asked(0).parted);
  for (int i = 0; i < 20; ++i) {
    client.send(wire::window_update(steady, 3000));
    client.send(wire::window_update(0, 3000));
    pass(client, seconds(10));
  }
  EXPECT_EQ(client.stream(id).reset, wire::kCancel);
  EXPECT_FALSE(client.stream(steady).reset);
  EXPECT_EQ(count(Count::timeout_stream), 1u);
  EXPECT_EQ(count(Count::h2_resets_sent), 1u);
}

TEST_F(H2ClientTest, AnAnswerOfOursThatItsClientLeavesLyingIsReset) {
  settings_->limits.field_count = 3;
  WireFields large = H2Peer::get("/x");
  for (int i = 0; i < 4; ++i) large.add("f" + std::to_string(i), "v");
  for (const bool leaving : {false, true}) {
    H2Peer client = connect({.settings = {{wire::kInitialWindowSize, 0}}, .opens_windows = false});
    const auto good = client.ask(H2Peer::get("/y", "HEAD"));
    const auto refused = client.ask(large);
    settle(client);
    EXPECT_EQ(client.stream(refused).status(), "431");
    EXPECT_FALSE(client.stream(refused).ended);
    Asked& head = *service_.asked.back();
    head.stream->send_head(response(200, BodyKind::known, 5), ClientStream::Author::server);
    head.stream->send_end({});
    settle(client);
    EXPECT_TRUE(client.stream(good).ended);
    if (leaving) reactor_->drain();
    for (int i = 0; i < 16; ++i) pass(client, seconds(10));
    EXPECT_EQ(client.stream(refused).reset, wire::kCancel);
    for (int i = 0; i < 12; ++i) pass(client, seconds(10));
    EXPECT_TRUE(client.peer().saw_end());
    EXPECT_EQ(reactor_->client_connections(), 0u);
  }
  EXPECT_EQ(count(Count::timeout_stream), 2u);
}

// Reads end inside a head each time, and never long inside the same.
TEST_F(H2ClientTest, HeadsThatAreCutByReadsAreNotSlow) {
  service_.on_each = [](Asked& made) {
    made.stream->send_head(response(204, BodyKind::none), ClientStream::Author::server);
    made.stream->send_end({});
  };
  H2Peer client = connect();
  std::string rest;
  for (std::uint32_t id = 1; id < 61; id += 2) {
    const std::string head = wire::headers(id, H2Peer::get("/x"), true);
    client.stream(id);  // one that it knows
    client.send(rest + head.substr(0, 12));
    rest = head.substr(12);
    pass(client, seconds(6));
  }
  EXPECT_TRUE(client.goaways().empty());
  EXPECT_EQ(service_.asked.size(), 29u);
  pass(client, seconds(6));
  pass(client, seconds(6));
  ASSERT_EQ(client.goaways().size(), 1u);
  EXPECT_EQ(count(Count::h2_goaways_slow_head), 1u);
}

TEST_F(H2ClientTest, ARequestBehindTheLastIsNotServedWhileTheClientDoesNotRead) {
  settings_->limits.requests_per_connection = 2;
  H2Peer client = connect({.settings = {{wire::kInitialWindowSize, 1 << 24}}});
  client.send(wire::window_update(0, 1 << 24));
  client.ask(H2Peer::get("/x"));
  const auto second = client.ask(H2Peer::get("/y"));
  settle(client);
  client.peer().stop_reading();
  answer(0, std::string(1'000'000, 'x'));
  settle(client);
  pass(client, H2Client::kAnnounceTime + milliseconds(100));
  const auto late = client.ask(H2Peer::get("/late", "POST"));
  settle(client);
  EXPECT_EQ(service_.asked.size(), 2u);
  answer(1, "second");
  client.peer().resume_reading();
  for (int i = 0; i < 100; ++i) settle(client);
  EXPECT_EQ(client.stream(second).body, "second");
  EXPECT_FALSE(client.stream(late).has_head);
  ASSERT_EQ(client.goaways().size(), 2u);
  EXPECT_LT(client.goaways()[1].last_stream, late);
  EXPECT_TRUE(client.peer().saw_end());
}

TEST_F(H2ClientTest, UploadsThatAreAnsweredEarlyCostTheirConnectionNothing) {
  service_.on_each = [](Asked& made) {
    made.stream->send_head(response(404, BodyKind::known, 3), ClientStream::Author::proxy);
    made.stream->send_body(as_bytes("no\n"));
    made.stream->send_end({});
  };
  settings_->limits.stream_buffer_bytes = 128 * 1024;
  H2Peer client = connect();
  std::string flight;
  constexpr std::uint32_t kUploads = 16;
  for (std::uint32_t i = 0; i < kUploads; ++i) {
    client.ask(H2Peer::get("/x", "POST"), false);
    for (int frame = 0; frame < 4; ++frame) {
      flight += wire::data(2 * i + 1, std::string(16'384, 'y'), false);
    }
  }
  settle(client);
  client.send(flight);
  for (int i = 0; i < 10; ++i) settle(client);
  EXPECT_TRUE(client.goaways().empty());
  for (std::uint32_t i = 0; i < kUploads; ++i) {
    EXPECT_EQ(client.stream(2 * i + 1).body, "no\n");
    EXPECT_EQ(client.stream(2 * i + 1).reset, wire::kNoError);
  }
}

TEST_F(H2ClientTest, DataThatNobodyWantsGetsNoWindow) {
  H2Peer client = connect({.settings = {{wire::kInitialWindowSize, 0}}, .opens_windows = false});
  const auto id = client.ask(H2Peer::get("/x", "POST"), false);
  settle(client);
  answer(0, "not here", 404);
  client.data(id, std::string(1'000'000, 'x'), false);
  for (int i = 0; i < 20; ++i) settle(client);
  EXPECT_EQ(client.stream(id).unsent.size(), 1'000'000u - 10'000u);
  EXPECT_TRUE(client.goaways().empty());
  // A client that doesn't care about windows gets no further than the published bounds.
  std::size_t sent = 0;
  while (client.goaways().empty() && sent < 3'000'000) {
    client.send(wire::data(id, std::string(16'000, 'x'), false));
    sent += 16'000;
    settle(client);
  }
  EXPECT_LT(sent, 1'200'000u);
}

}  // namespace
}  // namespace sluice::proxy
