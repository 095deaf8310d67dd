// HTTP/2 from clients: a scripted client on a fake network, a scripted service behind.
#include "proxy/data/h2_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/data/reactor.h"
#include "tests/io/fake_ring.h"
#include "tests/proxy/h2_peer.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using BodyKind = http::BodyLength::Kind;

const Address kListen = *Address::parse("10.0.0.1:80");

// One request as the service heard it, and the way to answer it.
struct Asked {
  std::string head;  // "GET app /x"
  std::string body;
  std::string log;  // "end", "end 1 trailers", "gone", "writable", each followed by "; "
  ClientStream* stream = nullptr;
  bool parted = false;  // its handler is freed
};

class ScriptedHandler final : public RequestHandler {
 public:
  explicit ScriptedHandler(std::shared_ptr<Asked> asked) : asked_(std::move(asked)) {}
  ~ScriptedHandler() override { asked_->parted = true; }
  void on_request_body(Bytes bytes) override { asked_->body += as_text(bytes); }
  void on_request_end(const http::Fields& trailers) override {
    asked_->log += "end";
    if (!trailers.empty()) asked_->log += " " + std::to_string(trailers.size()) + " trailers";
    asked_->log += "; ";
  }
  void on_request_failure(int status, std::string_view) override {
    asked_->log += "failure " + std::to_string(status) + "; ";
  }
  void on_client_gone() override { asked_->log += "gone; "; }
  void on_client_writable() override { asked_->log += "writable; "; }

 private:
  std::shared_ptr<Asked> asked_;
};

class ScriptedService final : public Service {
 public:
  std::unique_ptr<RequestHandler> on_request(http::RequestHead& head, bool complete,
                                             ClientStream& stream) override {
    auto made = std::make_shared<Asked>();
    made->head = head.method_text + " " + head.authority + " " + head.target;
    if (complete) made->log = "complete; ";
    made->stream = &stream;
    asked.push_back(made);
    if (on_each) on_each(*made);
    return std::make_unique<ScriptedHandler>(made);
  }
  void on_refused(const http::RequestHead& head, const ClientInfo&, int status,
                  std::string_view reason) override {
    refused += std::to_string(status) + " " + head.method_text + " " + std::string(reason) + "; ";
  }

  std::vector<std::shared_ptr<Asked>> asked;
  std::string refused;
  std::function<void(Asked&)> on_each;
};

http::ResponseHead response(int status, BodyKind kind = BodyKind::chunked,
                            std::uint64_t bytes = 0) {
  http::ResponseHead head;
  head.status = status;
  head.body = {kind, bytes};
  if (kind == BodyKind::known) head.fields.append("Content-Length", std::to_string(bytes));
  return head;
}

class H2ClientTest : public testing::Test {
 protected:
  H2ClientTest() {
    network_.hold_time(true);
    settings_->listener = "http";
    settings_->http1 = false;
    settings_->http2 = true;
    settings_->limits.stream_buffer_bytes = 10'000;
    reactor_ = std::make_unique<Reactor>(std::make_unique<io::FakeRing>(network_), counters_,
                                         connections_, config_);
  }

  ~H2ClientTest() override {
    reactor_->drain();
    reactor_->cut_clients();
    for (int i = 0; i < 100 && reactor_->loop().attached() > 0; ++i) turn();
    EXPECT_EQ(network_.check_clean(), "");
    EXPECT_EQ(reactor_->loop().blocks().lent(), 0u);
  }

  void turn() { reactor_->loop().turn(reactor_->loop().now()); }

  // Until everything that was said has been heard.
  void settle(H2Peer& client) {
    for (int i = 0; i < 30; ++i) {
      turn();
      client.step();
    }
    EXPECT_EQ(client.complaint(), "");
  }

  void pass(H2Peer& client, Duration time) {
    network_.advance(time);
    settle(client);
  }

  H2Peer connect(const H2Peer::Options& options = {}) {
    if (!listening_) {
      reactor_->listen("http", io::FileDescriptor(network_.listen(kListen)), settings_, service_);
      listening_ = true;
    }
    H2Peer client(network_.connect(kListen), options);
    settle(client);
    return client;
  }

  Asked& asked(std::size_t index) { return *service_.asked.at(index); }

  void answer(std::size_t index, std::string_view body, int status = 200) {
    ClientStream& stream = *asked(index).stream;
    stream.send_head(response(status), ClientStream::Author::server);
    stream.send_body(as_bytes(body));
    stream.send_end({});
  }

  std::uint64_t count(Count what) const { return counters_.get(what); }

  io::FakeNetwork network_;
  admin::WorkerCounters counters_;
  ConnectionCount connections_;
  std::shared_ptr<const conf::Config> config_ = std::make_shared<conf::Config>();
  std::shared_ptr<ConnectionSettings> settings_ = std::make_shared<ConnectionSettings>();
  ScriptedService service_;
  std::unique_ptr<Reactor> reactor_;
  bool listening_ = false;
};

// --- Requests and responses ---------------------------------------------------------------------

TEST_F(H2ClientTest, ManyRequestsRunAtATimeAndAreAnsweredInAnyOrder) {
  H2Peer client = connect();
  const auto first = client.ask(H2Peer::get("/a"));
  const auto second = client.ask(H2Peer::get("/b"));
  settle(client);
  ASSERT_EQ(service_.asked.size(), 2u);
  EXPECT_EQ(asked(0).head, "GET app /a");
  EXPECT_EQ(asked(0).log, "complete; ");
  EXPECT_EQ(asked(1).head, "GET app /b");
  answer(1, "two");
  settle(client);
  EXPECT_EQ(client.stream(second).body, "two");
  EXPECT_TRUE(client.stream(second).ended);
  EXPECT_FALSE(client.stream(first).has_head);
  EXPECT_TRUE(asked(1).parted);
  EXPECT_FALSE(asked(0).parted);
  answer(0, "one");
  settle(client);
  EXPECT_EQ(client.stream(first).body, "one");
  EXPECT_EQ(client.stream(first).status(), "200");
  EXPECT_TRUE(client.stream(first).head.has("via"));
  EXPECT_TRUE(client.stream(first).head.has("date"));
  EXPECT_FALSE(client.stream(first).reset);
  EXPECT_EQ(count(Count::h2_connections), 1u);
  EXPECT_EQ(count(Count::h2_streams), 2u);
}

TEST_F(H2ClientTest, ARequestsBodyAndTrailersAreHandedOn) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x", "POST"), false);
  client.data(id, "hello ", false);
  settle(client);
  EXPECT_EQ(asked(0).body, "hello ");
  EXPECT_EQ(asked(0).log, "");
  client.data(id, "world", false);
  WireFields trailers;
  trailers.add("checksum", "1");
  client.send(wire::headers(id, trailers, true));
  settle(client);
  EXPECT_EQ(asked(0).body, "hello world");
  EXPECT_EQ(asked(0).log, "end 1 trailers; ");
}

TEST_F(H2ClientTest, InterimResponsesAndTrailersPass) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  asked(0).stream->send_interim(response(103, BodyKind::none));
  asked(0).stream->send_head(response(200), ClientStream::Author::server);
  asked(0).stream->send_body(as_bytes("body"));
  http::Fields trailers;
  trailers.append("Grpc-Status", "0");
  asked(0).stream->send_end(trailers);
  settle(client);
  ASSERT_EQ(client.stream(id).interim.size(), 1u);
  EXPECT_EQ(client.stream(id).interim[0].get(":status"), "103");
  EXPECT_EQ(client.stream(id).body, "body");
  EXPECT_EQ(client.stream(id).trailers.get("grpc-status"), "0");
  EXPECT_TRUE(client.stream(id).ended);
}

TEST_F(H2ClientTest, AResponseWithoutABodyEndsWithItsHead) {
  struct Case {
    std::string_view method;
    http::ResponseHead head;
  };
  const Case cases[] = {{"HEAD", response(200, BodyKind::known, 5)},
                        {"GET", response(204, BodyKind::none)},
                        {"GET", response(304, BodyKind::none)},
                        {"GET", response(200, BodyKind::known, 0)},
                        {"GET", response(200, BodyKind::none)}};
  H2Peer client = connect();
  for (const Case& each : cases) {
    const auto id = client.ask(H2Peer::get("/x", each.method));
    settle(client);
    Asked& last = *service_.asked.back();
    last.stream->send_head(each.head, ClientStream::Author::server);
    settle(client);
    EXPECT_TRUE(client.stream(id).ended) << each.head.status;
    // The client has it all; the handler will still say so.
    EXPECT_FALSE(last.parted);
    last.stream->send_end({});
    settle(client);
    EXPECT_TRUE(last.parted);
    EXPECT_EQ(last.log, "complete; ");
    EXPECT_EQ(client.stream(id).body, "");
  }
}

TEST_F(H2ClientTest, AnswersGivenAtOnceAreSentAsWell) {
  service_.on_each = [](Asked& made) {
    made.stream->send_head(response(404, BodyKind::known, 3), ClientStream::Author::proxy);
    made.stream->send_body(as_bytes("no\n"));
    made.stream->send_end({});
  };
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  EXPECT_EQ(client.stream(id).status(), "404");
  EXPECT_EQ(client.stream(id).body, "no\n");
  EXPECT_FALSE(client.stream(id).head.has("via"));
  EXPECT_TRUE(asked(0).parted);
}

// --- Ends of streams ----------------------------------------------------------------------------

TEST_F(H2ClientTest, AnAnswerBeforeTheRequestsEndCutsTheRestAndNothingElse) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x", "POST"), false);
  client.data(id, "some", false);
  settle(client);
  answer(0, "no more", 413);
  settle(client);
  EXPECT_EQ(client.stream(id).status(), "413");
  EXPECT_EQ(client.stream(id).body, "no more");
  EXPECT_TRUE(client.stream(id).ended);
  EXPECT_EQ(client.stream(id).reset, wire::kNoError);
  EXPECT_TRUE(asked(0).parted);
  client.send(wire::data(id, "late", false));
  client.ask(H2Peer::get("/next"));
  settle(client);
  EXPECT_EQ(asked(0).body, "some");
  EXPECT_EQ(asked(1).head, "GET app /next");
  EXPECT_EQ(count(Count::h2_resets_sent), 0u);
}

TEST_F(H2ClientTest, AbortShowsAsAReset) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  asked(0).stream->send_head(response(200), ClientStream::Author::server);
  asked(0).stream->send_body(as_bytes("half"));
  settle(client);
  asked(0).stream->abort();
  settle(client);
  EXPECT_EQ(client.stream(id).reset, wire::kInternalError);
  EXPECT_FALSE(client.stream(id).ended);
  EXPECT_TRUE(asked(0).parted);
  EXPECT_EQ(asked(0).log, "complete; ");
  EXPECT_EQ(count(Count::h2_resets_sent), 1u);
}

TEST_F(H2ClientTest, AResetByTheClientIsHeardOnce) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  const auto other = client.ask(H2Peer::get("/y"));
  settle(client);
  client.reset(id);
  settle(client);
  EXPECT_EQ(asked(0).log, "complete; gone; ");
  EXPECT_TRUE(asked(0).parted);
  EXPECT_EQ(count(Count::h2_resets_received), 1u);
  answer(1, "still");
  settle(client);
  EXPECT_EQ(client.stream(other).body, "still");
}

TEST_F(H2ClientTest, AClientThatGoesTakesAllItsRequests) {
  for (const bool orderly : {true, false}) {
    service_.asked.clear();
    H2Peer client = connect();
    client.ask(H2Peer::get("/x"));
    client.ask(H2Peer::get("/y", "POST"), false);
    settle(client);
    if (orderly) {
      client.peer().finish();
    } else {
      client.peer().reset();
    }
    settle(client);
    EXPECT_EQ(asked(0).log, "complete; gone; ");
    EXPECT_EQ(asked(1).log, "gone; ");
    EXPECT_TRUE(asked(1).parted);
    EXPECT_EQ(reactor_->client_connections(), 0u);
  }
}

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

// --- Refusals -----------------------------------------------------------------------------------

TEST_F(H2ClientTest, RequestsThatAreRefusedAreAnsweredCountedAndLogged) {
  settings_->limits.field_count = 3;
  H2Peer client = connect();
  WireFields large = H2Peer::get("/x");
  for (int i = 0; i < 4; ++i) large.add("f" + std::to_string(i), "v");
  const auto refused = client.ask(large);
  const auto head = client.ask([] {
    WireFields fields = H2Peer::get("/x", "HEAD");
    for (int i = 0; i < 4; ++i) fields.add("f" + std::to_string(i), "v");
    return fields;
  }());
  settle(client);
  EXPECT_EQ(client.stream(refused).status(), "431");
  EXPECT_TRUE(client.stream(refused).head.has("proxy-status"));
  EXPECT_THAT(client.stream(refused).body, HasSubstr("431"));
  EXPECT_TRUE(client.stream(refused).ended);
  EXPECT_EQ(client.stream(head).body, "");
  EXPECT_TRUE(client.stream(head).ended);
  EXPECT_EQ(count(Count::refused_431), 2u);
  EXPECT_THAT(service_.refused, HasSubstr("431 GET"));
  EXPECT_TRUE(service_.asked.empty());
}

TEST_F(H2ClientTest, MalformedRequestsAreResetAndLogged) {
  H2Peer client = connect();
  WireFields upper = H2Peer::get("/x");
  upper.add("Upper", "case");
  const auto id = client.ask(upper);
  const auto good = client.ask(H2Peer::get("/y"));
  settle(client);
  EXPECT_EQ(client.stream(id).reset, wire::kProtocolError);
  EXPECT_FALSE(client.stream(id).has_head);
  EXPECT_EQ(count(Count::refused_400), 1u);
  EXPECT_EQ(count(Count::h2_resets_sent), 1u);
  EXPECT_THAT(service_.refused, HasSubstr("400 "));
  answer(0, "good");
  settle(client);
  EXPECT_EQ(client.stream(good).body, "good");
}

TEST_F(H2ClientTest, ABodyThatIsNotWhatItsHeadSaidIsResetAndItsRequestOver) {
  H2Peer client = connect();
  WireFields head = H2Peer::get("/x", "POST");
  head.add("content-length", "3");
  const auto id = client.ask(head, false);
  client.data(id, "four", true);
  settle(client);
  EXPECT_EQ(client.stream(id).reset, wire::kProtocolError);
  EXPECT_THAT(asked(0).log, HasSubstr("gone; "));
  EXPECT_TRUE(asked(0).parted);
}

TEST_F(H2ClientTest, WhoeverCausesTooMuchWorkIsSentAway) {
  H2Peer client = connect();
  client.ask(H2Peer::get("/x"));
  settle(client);
  for (int i = 0; i < 3000; ++i) {
    client.send(wire::frame(wire::kPing, 0, 0, "12345678"));
    if (i % 100 == 0) settle(client);
  }
  settle(client);
  ASSERT_FALSE(client.goaways().empty());
  EXPECT_EQ(client.goaways().back().code, wire::kEnhanceYourCalm);
  EXPECT_EQ(count(Count::h2_exhausted_control_frames), 1u);
  EXPECT_EQ(count(Count::h2_goaways_exhausted), 1u);
  EXPECT_EQ(asked(0).log, "complete; gone; ");
  EXPECT_TRUE(client.peer().saw_end());
  pass(client, seconds(10));
  EXPECT_EQ(reactor_->client_connections(), 0u);
}

TEST_F(H2ClientTest, ABrokenProtocolEndsTheConnectionWithItsReason) {
  H2Peer client = connect();
  client.ask(H2Peer::get("/x"));
  settle(client);
  client.send(wire::data(0, "on no stream"));
  settle(client);
  ASSERT_FALSE(client.goaways().empty());
  EXPECT_EQ(client.goaways().back().code, wire::kProtocolError);
  EXPECT_EQ(count(Count::h2_goaways_protocol_error), 1u);
  EXPECT_EQ(asked(0).log, "complete; gone; ");
  EXPECT_TRUE(client.peer().saw_end());
}

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
  reactor_->listen("http", io::FileDescriptor(network_.listen(kListen)), settings_, service_);
  io::Peer peer = network_.connect(kListen, *Address::parse("10.1.0.9:4000"));
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
  reactor_->listen("http", io::FileDescriptor(network_.listen(kListen)), settings_, service_);
  io::Peer silent = network_.connect(kListen);
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
