// HTTP/1 from clients: how a response is taken back, and tunnels. Scripted clients on a fake
// network.
#include "proxy/data/h1_client.h"

#include "proxy/data/local_service.h"
#include "tests/proxy/client_fixture.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using testing::HasSubstr;
using testing::StartsWith;
using BodyKind = http::BodyLength::Kind;

constexpr std::string_view kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// --- Responses that are taken back --------------------------------------------------------------

class TakenBackTest : public ClientConnectionTest {
 protected:
  // A response of which half is said.
  ClientStream& begin(Asked& asked, std::size_t half = 50'000) {
    ClientStream& stream = *asked.stream;
    stream.send_head(response(200, BodyKind::known, 2 * half), ClientStream::Author::server);
    stream.send_body(as_bytes(std::string(half, 'x')));
    return stream;
  }
};

TEST_F(TakenBackTest, IsAsIfNothingHadBeenSaid) {
  listen();
  io::Peer peer = connect();
  say(peer, kGet);
  asked(0).stream->send_interim(response(103));
  EXPECT_TRUE(begin(asked(0)).take_back_response());
  answer(asked(0), "sorry", 502);
  settle();
  EXPECT_THAT(peer.received(), StartsWith("HTTP/1.1 103"));
  EXPECT_THAT(peer.received(), HasSubstr("HTTP/1.1 502"));
  EXPECT_THAT(peer.received(), testing::EndsWith("\r\n\r\nsorry"));
  EXPECT_THAT(peer.received(), testing::Not(HasSubstr("200")));
  EXPECT_EQ(count(Count::client_bytes_sent), peer.received().size());
  say(peer, kGet);
  EXPECT_EQ(service_.asked.size(), 2u) << "the connection goes on";
}

TEST_F(TakenBackTest, LeavesWhatIsStillOnItsWayBefore) {
  listen();
  io::Peer peer = connect();
  peer.stop_reading();
  say(peer, std::string(kGet) + std::string(kGet));
  answer(asked(0), std::string(100'000, 'y'));
  settle();
  ASSERT_EQ(service_.asked.size(), 2u);
  ASSERT_GT(asked(1).stream->buffered(), 0u) << "a send is in flight";
  EXPECT_TRUE(begin(asked(1)).take_back_response());
  answer(asked(1), "sorry", 502);
  peer.resume_reading();
  settle();
  const std::string received = peer.take();
  EXPECT_THAT(received, HasSubstr("\r\n\r\n" + std::string(100'000, 'y') + "HTTP/1.1 502"));
  EXPECT_THAT(received, testing::Not(HasSubstr("xx")));
  EXPECT_THAT(received, testing::EndsWith("\r\n\r\nsorry"));
}

TEST_F(TakenBackTest, IsNotWhatMayHaveLeft) {
  listen();
  io::Peer peer = connect();
  say(peer, kGet);
  ClientStream& stream = begin(asked(0));
  settle();
  stream.send_body(as_bytes("more"));
  EXPECT_FALSE(stream.take_back_response());
  stream.abort();
  settle();
  EXPECT_THAT(peer.received(), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(peer.saw_end());
}

TEST_F(TakenBackTest, IsNeverAnOpenTunnel) {
  listen();
  io::Peer peer = connect();
  say(peer, kUpgrade);
  asked(0).stream->send_head(response(101, BodyKind::tunnel), ClientStream::Author::server);
  EXPECT_FALSE(asked(0).stream->take_back_response());
  asked(0).stream->abort();
}

TEST_F(TakenBackTest, BeforeItIsEncrypted) {
  use_tls();
  listen();
  TlsClient client;
  client.session.start(client);
  io::Peer peer = connect();
  exchange(peer, client);
  exchange(peer, client);
  for (const bool left : {false, true}) {
    client.session.send(as_bytes(kGet), client);
    exchange(peer, client);
    ClientStream& stream = begin(asked(left ? 1 : 0));
    if (left) settle();
    EXPECT_EQ(stream.take_back_response(), !left);
    if (left) {
      stream.abort();
    } else {
      answer(asked(0), "sorry", 502);
    }
    settle();
    exchange(peer, client);
    EXPECT_THAT(client.plaintext, StartsWith(left ? "HTTP/1.1 200" : "HTTP/1.1 502"));
    client.plaintext.clear();
  }
}

// --- Early answers ------------------------------------------------------------------------------

TEST_F(ClientConnectionTest, AMalformedRestOfAnAnsweredRequestEndsTheConnectionAtOnce) {
  listen();
  io::Peer peer = connect();
  say(peer, "POST /x HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
  answer(asked(0));
  settle();
  EXPECT_FALSE(peer.saw_end()) << "the rest may still be read";
  say(peer, "no size\r\n" + std::string(kGet));
  settle();
  EXPECT_TRUE(peer.saw_end());
  EXPECT_EQ(service_.asked.size(), 1u);
  EXPECT_EQ(count(Count::refused_400), 1u);
}

// --- Bounds -------------------------------------------------------------------------------------

TEST_F(ClientConnectionTest, EachBoundOnAHeadHasItsCount) {
  settings_->limits.request_line_bytes = 50;
  settings_->limits.field_line_bytes = 100;
  settings_->limits.head_bytes = 300;
  settings_->limits.field_count = 5;
  listen();
  const std::string line = "GET /x HTTP/1.1\r\n";
  std::string many;
  for (int i = 0; i < 6; ++i) many += "X: y\r\n";
  const std::string large = "X: " + std::string(90, 'y') + "\r\n";
  const struct {
    std::string head;
    Count bound;
    Count refused;
  } cases[] = {
      {"GET /" + std::string(60, 'x') + " HTTP/1.1\r\n", Count::limit_request_line_bytes,
       Count::refused_414},
      {line + "X: " + std::string(120, 'y') + "\r\n", Count::limit_field_line_bytes,
       Count::refused_431},
      {line + large + large + large + large, Count::limit_head_bytes, Count::refused_431},
      {line + many, Count::limit_field_count, Count::refused_431},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.head);
    const std::uint64_t refused = count(c.refused);
    io::Peer peer = connect();
    say(peer, c.head);
    EXPECT_EQ(count(c.bound), 1u);
    EXPECT_EQ(count(c.refused), refused + 1);
  }
}

// --- Tunnels ------------------------------------------------------------------------------------

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
  reactor_->listen("http", io::FileDescriptor(network_.listen(address_)), settings_, local);
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
