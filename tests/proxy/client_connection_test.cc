// What comes before the first request on a client's connection, and who has to give way when there
// are too many: scripted clients on a fake network.
#include "proxy/data/client_connection.h"

#include "tests/proxy/client_fixture.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

const Address kBalancer = *Address::parse("10.1.0.9:4000");
const Address kStranger = *Address::parse("192.0.2.7:4000");

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
    EXPECT_EQ(service_.asked[0]->local, address_.to_string());
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
  EXPECT_THAT(service_.refused, AllOf(StartsWith("400 "), HasSubstr("192.0.2.7")));
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
    EXPECT_EQ(service_.asked[1]->head, std::string(method) + " app /x");
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

TEST_F(CrowdTest, WhoHasHeardAllGivesWayFirst) {
  listen();
  io::Peer idle = connect();
  io::Peer refused = connect();
  say(refused, "nonsense\r\n");
  EXPECT_THAT(refused.received(), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(connections_.open, 2u) << "it waits for its client's end";
  io::Peer third = connect();
  say(third, kGet);
  EXPECT_EQ(service_.asked.size(), 1u);
  EXPECT_EQ(connections_.open, 2u);
  EXPECT_FALSE(idle.saw_end());
  EXPECT_EQ(count(Count::client_connections_gave_way), 1u);
}

TEST_F(CrowdTest, WhoHasNotHeardAllKeepsItsPlace) {
  listen();
  io::Peer slow = connect();
  slow.stop_reading();
  say(slow, "GET /x HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n");
  io::Peer busy = connect();
  say(busy, kGet);
  const std::string body(100'000, 'x');
  answer(asked(0), body);
  settle();
  io::Peer third = connect();
  EXPECT_TRUE(third.saw_end() || third.saw_reset());
  slow.resume_reading();
  settle();
  EXPECT_TRUE(slow.received().ends_with(body));
  io::Peer fourth = connect();
  say(fourth, kGet);
  EXPECT_EQ(service_.asked.size(), 3u);
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

}  // namespace
}  // namespace sluice::proxy
