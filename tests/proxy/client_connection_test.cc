// What comes before the first request on a client's connection, what HTTP/1 does with a tunnel, and
// who has to give way when there are too many: scripted clients on a fake network.
#include "proxy/data/client_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/data/local_service.h"
#include "proxy/data/reactor.h"
#include "tests/io/fake_ring.h"
#include "tls/client_session.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;
using BodyKind = http::BodyLength::Kind;

const Address kListen = *Address::parse("10.0.0.1:80");
const Address kBalancer = *Address::parse("10.1.0.9:4000");
const Address kStranger = *Address::parse("192.0.2.7:4000");
constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: app\r\n\r\n";
constexpr std::string_view kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// One request as the service heard it, and the way to answer it.
struct Asked {
  std::string head;  // "GET /x"
  std::string peer_ip;
  std::string log_peer;
  std::string local;
  bool trusted = false;
  bool is_tls = false;
  std::string body;
  std::string log;  // "end; ", "gone; "
  ClientStream* stream = nullptr;
};

class ScriptedHandler final : public RequestHandler {
 public:
  explicit ScriptedHandler(std::shared_ptr<Asked> asked) : asked_(std::move(asked)) {}
  void on_request_body(Bytes bytes) override { asked_->body += as_text(bytes); }
  void on_request_end(const http::Fields&) override { asked_->log += "end; "; }
  void on_request_failure(int status, std::string_view) override {
    asked_->log += "failure " + std::to_string(status) + "; ";
  }
  void on_client_gone() override { asked_->log += "gone; "; }
  void on_client_writable() override {}

 private:
  std::shared_ptr<Asked> asked_;
};

class ScriptedService final : public Service {
 public:
  std::unique_ptr<RequestHandler> on_request(http::RequestHead& head, bool,
                                             ClientStream& stream) override {
    auto made = std::make_shared<Asked>();
    const ClientInfo& client = stream.client();
    made->head = head.method_text + " " + head.target;
    made->peer_ip = client.peer_ip;
    made->log_peer = client.peer.to_string();
    made->local = client.local.to_string();
    made->trusted = client.trusted;
    made->is_tls = client.is_tls;
    made->stream = &stream;
    asked.push_back(made);
    return std::make_unique<ScriptedHandler>(made);
  }
  void on_refused(const http::RequestHead&, const ClientInfo& client, int status,
                  std::string_view) override {
    refused += std::to_string(status) + " " + std::string(client.peer_ip) + "; ";
  }

  std::vector<std::shared_ptr<Asked>> asked;
  std::string refused;
};

http::ResponseHead response(int status, BodyKind kind, std::uint64_t bytes = 0) {
  http::ResponseHead head;
  head.status = status;
  head.body = {kind, bytes};
  return head;
}

void answer(Asked& asked, std::string_view body = "hello") {
  asked.stream->send_head(response(200, BodyKind::known, body.size()),
                          ClientStream::Author::server);
  asked.stream->send_body(as_bytes(body));
  asked.stream->send_end({});
}

class ClientConnectionTest : public testing::Test {
 protected:
  ClientConnectionTest() {
    network_.hold_time(true);
    settings_->listener = "http";
    reactor_ = std::make_unique<Reactor>(std::make_unique<io::FakeRing>(network_), counters_,
                                         connections_, config_);
  }

  ~ClientConnectionTest() override {
    reactor_->drain();
    reactor_->cut_clients();
    for (int i = 0; i < 100 && reactor_->loop().attached() > 0; ++i) turn();
    EXPECT_EQ(network_.check_clean(), "");
    EXPECT_EQ(reactor_->loop().blocks().lent(), 0u);
  }

  void listen() {
    reactor_->listen("http", io::FileDescriptor(network_.listen(kListen)), settings_, service_);
    turn();
  }
  void use_tls() {
    const tls::SelfSigned made = tls::make_self_signed({"app"}, 1);
    tls::ServerOptions options;
    options.certificate_pem = made.certificate_pem;
    options.key_pem = made.key_pem;
    settings_->tls = tls::ServerContext::make(options, tls::make_ticket_keys()).value();
  }
  void turn() { reactor_->loop().turn(reactor_->loop().now()); }
  void settle() {
    for (int i = 0; i < 20; ++i) turn();
  }
  void wait(Duration by) {
    network_.advance(by);
    settle();
  }
  io::Peer connect(const Address& from = {}) {
    io::Peer peer = network_.connect(kListen, from);
    settle();
    return peer;
  }
  void say(io::Peer& peer, std::string_view bytes) {
    peer.write(bytes);
    settle();
  }
  std::uint64_t count(Count count) const { return counters_.get(count); }

  conf::Config defaults_;
  std::shared_ptr<conf::Config> config_ = std::make_shared<conf::Config>();
  std::shared_ptr<ConnectionSettings> settings_ = std::make_shared<ConnectionSettings>();
  io::FakeNetwork network_;
  admin::WorkerCounters counters_;
  ConnectionCount connections_;
  ScriptedService service_;
  std::unique_ptr<Reactor> reactor_;
};

// --- PROXY headers ------------------------------------------------------------------------------

class ProxyHeaderTest : public ClientConnectionTest {
 protected:
  ProxyHeaderTest() { settings_->proxy_protocol_from = {*AddressBlock::parse("10.1.0.0/16")}; }
};

std::string header(http::ProxyVersion version, const char* source, const char* destination) {
  std::string text;
  http::write_proxy_header(text, version, *Address::parse(source), *Address::parse(destination));
  return text;
}

TEST_F(ProxyHeaderTest, TellsTheClientsAddressEverywhere) {
  settings_->trusted_proxies = {*AddressBlock::parse("203.0.113.0/24")};
  listen();
  for (const auto version : {http::ProxyVersion::v1, http::ProxyVersion::v2}) {
    service_.asked.clear();
    io::Peer peer = connect(kBalancer);
    say(peer, header(version, "203.0.113.5:777", "198.51.100.1:443") + std::string(kGet));
    ASSERT_EQ(service_.asked.size(), 1u);
    const Asked& asked = *service_.asked[0];
    EXPECT_EQ(asked.peer_ip, "203.0.113.5");
    EXPECT_EQ(asked.log_peer, "203.0.113.5:777");
    EXPECT_EQ(asked.local, "198.51.100.1:443");
    EXPECT_TRUE(asked.trusted);
  }
}

TEST_F(ProxyHeaderTest, MayComeByteByByte) {
  listen();
  for (const auto version : {http::ProxyVersion::v1, http::ProxyVersion::v2}) {
    service_.asked.clear();
    io::Peer peer = connect(kBalancer);
    const std::string all =
        header(version, "[2001:db8::1]:777", "[2001:db8::2]:443") + std::string(kGet);
    for (const char byte : all) say(peer, {&byte, 1});
    ASSERT_EQ(service_.asked.size(), 1u);
    EXPECT_EQ(service_.asked[0]->peer_ip, "2001:db8::1");
  }
}

TEST_F(ProxyHeaderTest, ThatTellsNobodyKeepsTheRealAddressAndIsNoProxysWord) {
  settings_->trusted_proxies = {*AddressBlock::parse("10.1.0.0/16")};
  listen();
  for (const auto version : {http::ProxyVersion::v1, http::ProxyVersion::v2}) {
    service_.asked.clear();
    std::string text;
    http::write_local_proxy_header(text, version);
    io::Peer peer = connect(kBalancer);
    say(peer, text + std::string(kGet));
    ASSERT_EQ(service_.asked.size(), 1u);
    EXPECT_EQ(service_.asked[0]->log_peer, kBalancer.to_string());
    EXPECT_EQ(service_.asked[0]->local, kListen.to_string());
    EXPECT_FALSE(service_.asked[0]->trusted);
  }
}

TEST_F(ProxyHeaderTest, MissingOrMalformedEndsTheConnectionWithoutAWord) {
  listen();
  std::uint64_t refused = 0;
  for (const std::string_view bytes :
       {kGet, std::string_view("PROXY TCP4 203.0.113.5 198.51.100.1 777\r\n"),
        std::string_view("\x16\x03\x01\x02\x00")}) {
    io::Peer peer = connect(kBalancer);
    say(peer, bytes);
    EXPECT_TRUE(peer.saw_end() || peer.saw_reset());
    EXPECT_EQ(peer.received(), "");
    EXPECT_EQ(count(Count::refused_proxy_headers), ++refused);
  }
  EXPECT_TRUE(service_.asked.empty());
  EXPECT_EQ(service_.refused, "");
}

TEST_F(ProxyHeaderTest, FromAnybodyElseIsNotHttp) {
  listen();
  io::Peer peer = connect(kStranger);
  say(peer, header(http::ProxyVersion::v1, "203.0.113.5:777", "198.51.100.1:443"));
  EXPECT_THAT(peer.received(), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(service_.refused, "400 192.0.2.7; ");
  EXPECT_EQ(count(Count::refused_proxy_headers), 0u);
}

TEST_F(ProxyHeaderTest, HasTheTimeOfAHead) {
  listen();
  io::Peer silent = connect(kBalancer);
  io::Peer slow = connect(kBalancer);
  say(slow, "PROXY TCP4 ");
  wait(settings_->timeouts.request_head - seconds(1));
  EXPECT_FALSE(slow.saw_end());
  wait(seconds(2));
  EXPECT_TRUE(silent.saw_end());
  EXPECT_TRUE(slow.saw_end());
  EXPECT_EQ(count(Count::timeout_request_head), 2u);
  EXPECT_EQ(count(Count::refused_proxy_headers), 2u);
}

TEST_F(ProxyHeaderTest, IsMissedFromAPeerThatMerelyLooksWhetherWeAreThere) {
  listen();
  io::Peer peer = connect(kBalancer);
  peer.finish();
  settle();
  EXPECT_TRUE(peer.saw_end());
  EXPECT_EQ(count(Count::refused_proxy_headers), 0u);
}

// A TLS client whose bytes a test carries.
struct TlsClient final : tls::SessionSink {
  explicit TlsClient(const std::string& name = "app")
      : context(tls::ClientContext::make({.trust_anchors_pem = {},
                                          .insecure = true,
                                          .versions = tls::Versions::tls13,
                                          .alpn = {}})
                    .value()),
        session(*context, name) {}
  void on_plaintext(Bytes bytes) override { plaintext += as_text(bytes); }
  void on_ciphertext(Bytes bytes) override { to_send += as_text(bytes); }

  std::shared_ptr<const tls::ClientContext> context;
  tls::ClientSession session;
  std::string plaintext;
  std::string to_send;
};

TEST_F(ProxyHeaderTest, ComesBeforeTls) {
  use_tls();
  listen();
  TlsClient client;
  client.session.start(client);
  io::Peer peer = connect(kBalancer);
  // With the ClientHello behind it in the same segment.
  say(peer, header(http::ProxyVersion::v2, "203.0.113.5:777", "198.51.100.1:443") +
                std::exchange(client.to_send, {}));
  client.session.receive(as_bytes(peer.take()), client);
  ASSERT_TRUE(client.session.handshake_done());
  client.session.send(as_bytes(kGet), client);
  say(peer, std::exchange(client.to_send, {}));
  ASSERT_EQ(service_.asked.size(), 1u);
  EXPECT_TRUE(service_.asked[0]->is_tls);
  EXPECT_EQ(service_.asked[0]->peer_ip, "203.0.113.5");
  answer(*service_.asked[0]);
  settle();
  client.session.receive(as_bytes(peer.take()), client);
  EXPECT_THAT(client.plaintext, HasSubstr("hello"));
}

TEST_F(ProxyHeaderTest, BegunBeforeADrainIsFollowedByARequest) {
  listen();
  io::Peer peer = connect(kBalancer);
  io::Peer silent = connect(kBalancer);
  const std::string text = header(http::ProxyVersion::v1, "203.0.113.5:777", "198.51.100.1:443");
  say(peer, text.substr(0, 10));
  reactor_->drain();
  settle();
  say(peer, text.substr(10));
  say(silent, text);
  EXPECT_FALSE(peer.saw_end());
  say(peer, kGet);
  ASSERT_EQ(service_.asked.size(), 1u);
  answer(*service_.asked[0]);
  settle();
  EXPECT_THAT(peer.received(), HasSubstr("hello"));
  EXPECT_TRUE(peer.saw_end());
  EXPECT_FALSE(silent.saw_end());
  wait(settings_->timeouts.request_head + seconds(1));
  EXPECT_TRUE(silent.saw_end());
}

class TlsTest : public ClientConnectionTest {
 protected:
  void SetUp() override {
    use_tls();
    listen();
  }
  // What has come is taken, and what that brings about is sent.
  tls::Session::Status exchange(io::Peer& peer, TlsClient& client) {
    const auto status = client.session.receive(as_bytes(peer.take()), client);
    say(peer, std::exchange(client.to_send, {}));
    return status;
  }
};

TEST_F(TlsTest, AHandshakeBegunBeforeADrainIsFollowedByARequest) {
  TlsClient client;
  client.session.start(client);
  io::Peer peer = connect();
  say(peer, std::exchange(client.to_send, {}));
  reactor_->drain();
  settle();
  exchange(peer, client);
  ASSERT_TRUE(client.session.handshake_done());
  EXPECT_FALSE(peer.saw_end());
  client.session.send(as_bytes(kGet), client);
  exchange(peer, client);
  ASSERT_EQ(service_.asked.size(), 1u);
  answer(*service_.asked[0]);
  settle();
  EXPECT_EQ(exchange(peer, client), tls::Session::Status::closed);
  EXPECT_THAT(client.plaintext, HasSubstr("Connection: close"));
  EXPECT_THAT(client.plaintext, testing::EndsWith("hello"));
}

TEST_F(TlsTest, WhoGivesWayHearsAnOrderlyEnd) {
  config_->limits.client_connections = 1;
  TlsClient client;
  client.session.start(client);
  io::Peer peer = connect();
  exchange(peer, client);
  exchange(peer, client);
  ASSERT_TRUE(client.session.handshake_done());
  io::Peer second = connect();
  EXPECT_EQ(exchange(peer, client), tls::Session::Status::closed);
  EXPECT_TRUE(peer.saw_end());
  EXPECT_FALSE(second.saw_end());
  EXPECT_EQ(connections_.open, 1u);
}

TEST_F(ProxyHeaderTest, LeavesTheHandshakeItsOwnTime) {
  use_tls();
  listen();
  io::Peer peer = connect(kBalancer);
  say(peer, header(http::ProxyVersion::v1, "203.0.113.5:777", "198.51.100.1:443"));
  wait(settings_->timeouts.tls_handshake + seconds(1));
  EXPECT_TRUE(peer.saw_end());
  EXPECT_EQ(count(Count::timeout_tls_handshake), 1u);
  EXPECT_EQ(count(Count::refused_proxy_headers), 0u);
}

// --- Which HTTP it is ---------------------------------------------------------------------------

class ChoosingTest : public ClientConnectionTest {
 protected:
  ChoosingTest() { settings_->http2 = true; }
};

TEST_F(ChoosingTest, WhatIsNotThePrefaceIsHttp1HoweverItIsSplit) {
  listen();
  for (const std::string_view method : {"GET", "POST", "PRI", "PUT"}) {
    service_.asked.clear();
    const std::string request =
        std::string(method) + " /x HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n";
    io::Peer whole = connect();
    say(whole, request);
    io::Peer bytes = connect();
    for (const char byte : request) say(bytes, {&byte, 1});
    ASSERT_EQ(service_.asked.size(), 2u) << method;
    EXPECT_EQ(service_.asked[1]->head, std::string(method) + " /x");
  }
}

TEST_F(ChoosingTest, ThePrefaceIsHttp2HoweverItIsSplit) {
  listen();
  io::Peer peer = connect();
  for (const char byte : kHttp2Preface) {
    EXPECT_EQ(count(Count::h2_connections), 0u);
    say(peer, {&byte, 1});
  }
  EXPECT_EQ(count(Count::h2_connections), 1u);
  io::Peer whole = connect();
  say(whole, kHttp2Preface);
  EXPECT_EQ(count(Count::h2_connections), 2u);
}

TEST_F(ChoosingTest, PartOfThePrefaceHasTheTimeOfAHead) {
  listen();
  io::Peer peer = connect();
  say(peer, kHttp2Preface.substr(0, 10));
  wait(settings_->timeouts.request_head + seconds(1));
  EXPECT_THAT(peer.received(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(count(Count::timeout_request_head), 1u);
}

TEST_F(ChoosingTest, NothingAtAllIsAnIdleConnection) {
  listen();
  io::Peer peer = connect();
  wait(settings_->timeouts.request_head + seconds(1));
  EXPECT_FALSE(peer.saw_end());
  wait(settings_->timeouts.idle);
  EXPECT_TRUE(peer.saw_end());
  EXPECT_EQ(peer.received(), "");
}

TEST_F(ChoosingTest, ADrainEndsWhatHasNotBegunAndServesWhatHas) {
  listen();
  io::Peer silent = connect();
  io::Peer begun = connect();
  say(begun, "P");
  reactor_->drain();
  settle();
  EXPECT_TRUE(silent.saw_end());
  EXPECT_FALSE(begun.saw_end());
  say(begun, "UT /x HTTP/1.1\r\nHost: app\r\n\r\n");
  ASSERT_EQ(service_.asked.size(), 1u);
  answer(*service_.asked[0]);
  settle();
  EXPECT_THAT(begun.received(), HasSubstr("hello"));
  EXPECT_TRUE(begun.saw_end());
}

// --- Too many -----------------------------------------------------------------------------------

class CrowdTest : public ClientConnectionTest {
 protected:
  CrowdTest() { config_->limits.client_connections = 2; }
};

TEST_F(CrowdTest, TheLongestIdleGivesWay) {
  listen();
  io::Peer first = connect();
  io::Peer second = connect();
  say(first, kGet);
  answer(*service_.asked.at(0));
  settle();  // idle again, later than the second
  io::Peer third = connect();
  EXPECT_TRUE(second.saw_end());
  EXPECT_FALSE(first.saw_end());
  EXPECT_EQ(count(Count::client_connections_gave_way), 1u);
  say(third, kGet);
  EXPECT_EQ(service_.asked.size(), 2u);
  EXPECT_EQ(connections_.open, 2u);
}

TEST_F(CrowdTest, NobodyAtWorkGivesWay) {
  listen();
  io::Peer asking = connect();
  say(asking, "GET /x HTTP/1.1\r\n");
  io::Peer answered = connect();
  say(answered, kGet);
  io::Peer third = connect();
  EXPECT_TRUE(third.saw_end() || third.saw_reset());
  EXPECT_FALSE(asking.saw_end());
  EXPECT_FALSE(answered.saw_end());
  EXPECT_EQ(count(Count::client_connections_gave_way), 0u);
  EXPECT_EQ(count(Count::limit_client_connections), 1u);
}

TEST_F(CrowdTest, NobodyGivesWayBeforeItsLastResponseIsOut) {
  listen();
  io::Peer asking = connect();
  say(asking, "GET /x HTTP/1.1\r\n");
  io::Peer slow = connect();
  slow.stop_reading();
  say(slow, kGet);
  const std::string body(100'000, 'x');
  answer(*service_.asked.at(0), body);
  settle();
  io::Peer third = connect();
  EXPECT_TRUE(third.saw_end() || third.saw_reset());
  EXPECT_EQ(count(Count::client_connections_gave_way), 0u);
  slow.resume_reading();
  settle();
  EXPECT_TRUE(slow.received().ends_with(body)) << slow.received().size();
  EXPECT_FALSE(slow.saw_end());
  io::Peer fourth = connect();
  EXPECT_TRUE(slow.saw_end());
  EXPECT_FALSE(fourth.saw_end());
  EXPECT_EQ(count(Count::client_connections_gave_way), 1u);
}

TEST_F(CrowdTest, AHoardIsHeldAtTheLimit) {
  listen();
  std::vector<io::Peer> hoard;
  for (int i = 0; i < 50; ++i) {
    hoard.push_back(connect());
    EXPECT_LE(connections_.open, 3u);  // the last to give way is being closed
  }
  settle();
  EXPECT_EQ(connections_.open, 2u);
  say(hoard.back(), kGet);
  EXPECT_EQ(service_.asked.size(), 1u);
}

// --- Tunnels on HTTP/1 --------------------------------------------------------------------------

class TunnelTest : public ClientConnectionTest {
 protected:
  Asked& open(io::Peer& peer, std::string_view early = {}) {
    peer = connect();
    say(peer, std::string(kUpgrade) + std::string(early));
    return *service_.asked.at(0);
  }
  void switch_protocols(Asked& asked) {
    asked.stream->send_head(response(101, BodyKind::tunnel), ClientStream::Author::server);
    settle();
  }
};

TEST_F(TunnelTest, PassesBytesAsTheyComeBothWays) {
  listen();
  io::Peer peer;
  Asked& asked = open(peer);
  switch_protocols(asked);
  EXPECT_THAT(peer.take(), StartsWith("HTTP/1.1 101 "));
  asked.stream->send_body(as_bytes("from the server"));
  say(peer, kGet);  // not a request any more
  EXPECT_EQ(peer.received(), "from the server");
  EXPECT_EQ(asked.body, kGet);
  EXPECT_EQ(service_.asked.size(), 1u);
}

TEST_F(TunnelTest, HoldsWhatComesBeforeItIsOpen) {
  listen();
  io::Peer peer;
  Asked& asked = open(peer, "early ");
  say(peer, "and late");
  EXPECT_EQ(asked.body, "");
  switch_protocols(asked);
  EXPECT_EQ(asked.body, "early and late");
  EXPECT_EQ(asked.log, "");
}

TEST_F(TunnelTest, ReadsNoMoreThanItHoldsBeforeItIsOpen) {
  listen();
  io::Peer peer;
  Asked& asked = open(peer);
  const std::string flood(100'000, 'x');
  for (int i = 0; i < 10; ++i) say(peer, flood);
  EXPECT_GT(peer.unsent(), 700'000u);
  switch_protocols(asked);
  for (int i = 0; i < 20; ++i) settle();
  EXPECT_EQ(asked.body.size(), 10 * flood.size());
}

TEST_F(TunnelTest, EndsByHalvesFromTheClientAndWholeFromTheServer) {
  listen();
  io::Peer peer;
  Asked& asked = open(peer, "early");
  peer.finish();
  settle();
  EXPECT_EQ(asked.log, "");  // it may still open
  switch_protocols(asked);
  EXPECT_EQ(asked.body, "early");
  EXPECT_EQ(asked.log, "end; ");
  asked.stream->send_body(as_bytes("the rest"));
  settle();
  EXPECT_FALSE(peer.saw_end());
  asked.stream->send_end({});
  settle();
  EXPECT_THAT(peer.received(), testing::EndsWith("the rest"));
  EXPECT_TRUE(peer.saw_end());
  EXPECT_EQ(asked.log, "end; ");
}

TEST_F(TunnelTest, CutByTheServerIsSeenByTheClient) {
  listen();
  io::Peer peer;
  Asked& asked = open(peer);
  switch_protocols(asked);
  asked.stream->abort();
  settle();
  EXPECT_TRUE(peer.saw_reset());
}

TEST_F(TunnelTest, CutByTheClientIsHeard) {
  listen();
  io::Peer peer;
  Asked& asked = open(peer);
  switch_protocols(asked);
  peer.reset();
  settle();
  EXPECT_EQ(asked.log, "gone; ");
}

TEST_F(TunnelTest, RefusedLeavesTheConnectionUnlessTheClientWasHasty) {
  for (const bool hasty : {false, true}) {
    service_.asked.clear();
    if (!hasty) listen();
    io::Peer peer;
    Asked& asked = open(peer, hasty ? kGet : "");
    asked.stream->send_head(response(403, BodyKind::known, 2), ClientStream::Author::server);
    asked.stream->send_body(as_bytes("no"));
    asked.stream->send_end({});
    settle();
    EXPECT_THAT(peer.received(), HasSubstr("403"));
    EXPECT_EQ(asked.log, "");
    EXPECT_EQ(peer.saw_end(), hasty);
    say(peer, kGet);
    EXPECT_EQ(service_.asked.size(), hasty ? 1u : 2u);
  }
}

// What a client sends behind CONNECT need not wait for the answer, nor be HTTP.
TEST_F(TunnelTest, ARefusedConnectEndsTheConnection) {
  listen();
  io::Peer peer = connect();
  say(peer, "CONNECT app:443 HTTP/1.1\r\nHost: app:443\r\n\r\n");
  Asked& asked = *service_.asked.at(0);
  asked.stream->send_head(response(403, BodyKind::known, 2), ClientStream::Author::server);
  asked.stream->send_body(as_bytes("no"));
  asked.stream->send_end({});
  settle();
  EXPECT_THAT(peer.received(), HasSubstr("Connection: close"));
  say(peer, kGet);
  EXPECT_TRUE(peer.saw_end());
  EXPECT_EQ(service_.asked.size(), 1u);
}

TEST_F(TunnelTest, NobodyGetsOneToTheProxyItself) {
  LocalService local(reactor_->loop(), 1000, [](const LocalRequest&, const Answer& answer) {
    answer({.status = 200, .content_type = {}, .fields = {}, .body = "an ordinary answer"});
  });
  reactor_->listen("http", io::FileDescriptor(network_.listen(kListen)), settings_, local);
  turn();
  for (const std::string_view request :
       {kUpgrade, std::string_view("CONNECT app:443 HTTP/1.1\r\nHost: app:443\r\n\r\n")}) {
    io::Peer peer = connect();
    say(peer, request);
    EXPECT_THAT(peer.received(), HasSubstr("an ordinary answer"));
  }
}

}  // namespace
}  // namespace sluice::proxy
