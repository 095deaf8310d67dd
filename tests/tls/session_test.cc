#include "tls/session.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/tls/wire.h"

namespace sluice::tls::test {
namespace {

class SessionTest : public testing::Test {
 protected:
  // Whatever a session met, the next user of this thread's error queue must not find it there.
  void TearDown() override { EXPECT_EQ(ERR_peek_error(), 0U); }

  std::shared_ptr<const ServerContext> server_ = make_server(server_options());
  std::shared_ptr<const ClientContext> client_ = make_client(client_options());
};

std::string pattern(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Sizes of the records in a stream, header included (RFC 8446 section 5.1).
std::vector<std::size_t> record_sizes(std::string_view stream) {
  std::vector<std::size_t> sizes;
  while (stream.size() >= 5) {
    const std::size_t size =
        5 + static_cast<std::uint8_t>(stream[3]) * 256U + static_cast<std::uint8_t>(stream[4]);
    sizes.push_back(size);
    stream.remove_prefix(std::min(size, stream.size()));
  }
  return sizes;
}

TEST_F(SessionTest, HandshakeGivesTls13WithX25519AndAlpn) {
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands()) << wire.client.failure() << wire.server.failure();
  for (const SessionInfo& info : {wire.server.info(), wire.client.info()}) {
    EXPECT_EQ(info.version, "TLSv1.3");
    EXPECT_TRUE(info.cipher.starts_with("TLS_")) << info.cipher;
#ifdef SSL_GROUP_X25519_MLKEM768
    EXPECT_EQ(info.group, "X25519MLKEM768");
#else
    EXPECT_EQ(info.group, "X25519");
#endif
    EXPECT_EQ(info.alpn, "http/1.1");
    EXPECT_FALSE(info.resumed);
  }
  EXPECT_EQ(wire.server.failure(), "");
}

TEST_F(SessionTest, X25519IsTakenFromAClientThatPrefersP256) {
  ASSERT_EQ(SSL_CTX_set1_curves_list(client_->handle(), "P-256:X25519"), 1);
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  EXPECT_EQ(wire.server.info().group, "X25519");
}

TEST_F(SessionTest, AClientWithP256AloneIsServed) {
  ASSERT_EQ(SSL_CTX_set1_curves_list(client_->handle(), "P-256"), 1);
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  EXPECT_EQ(wire.server.info().group, "P-256");
}

TEST_F(SessionTest, ASessionOutlivesItsContext) {
  Wire wire(*server_, *client_);
  server_.reset();
  ASSERT_TRUE(wire.shake_hands());
  wire.server_sends("still here");
  wire.run();
  EXPECT_EQ(wire.at_client.plaintext, "still here");
}

TEST_F(SessionTest, ASessionMayMove) {
  Wire wire(*server_, *client_);
  wire.client_status = wire.client.start(wire.at_client);
  Session moved = std::move(wire.server);
  wire.server = std::move(moved);
  wire.run();
  EXPECT_TRUE(wire.server.handshake_done());
}

// What both sides say in a whole conversation, however the stream to one side is cut.
void converse(Wire& wire, const Chunker& to_server, const Chunker& to_client) {
  ASSERT_TRUE(wire.shake_hands(to_server, to_client));
  wire.client_sends("a request");
  wire.run(to_server, to_client);
  wire.server_sends("an answer");
  wire.run(to_server, to_client);
  wire.client_sends("another");
  wire.client.close(wire.at_client);
  wire.run(to_server, to_client);
  EXPECT_EQ(wire.server_status, Status::closed);
  wire.server.close(wire.at_server);
  wire.run(to_server, to_client);
  EXPECT_EQ(wire.client_status, Status::closed);
  EXPECT_EQ(wire.at_server.plaintext, "a requestanother");
  EXPECT_EQ(wire.at_client.plaintext, "an answer");
}

TEST_F(SessionTest, ByteByByteIsAsGoodAsAllAtOnce) {
  Wire wire(*server_, *client_);
  const Chunker one = [](std::size_t) { return std::size_t{1}; };
  converse(wire, one, one);
}

// Delivers everything that is there, but never across the byte at `position` of the whole stream.
Chunker cut_at(std::size_t position, std::size_t* delivered) {
  return [position, delivered](std::size_t available) {
    const std::size_t until = position > *delivered ? position - *delivered : available;
    const std::size_t size = std::min(until, available);
    *delivered += size;
    return size;
  };
}

TEST_F(SessionTest, EveryCutOfTheStreamToTheServerGivesTheSame) {
  std::size_t length = 1;
  for (std::size_t position = 1; position <= length; ++position) {
    Wire wire(*server_, *client_);
    std::size_t delivered = 0;
    converse(wire, cut_at(position, &delivered), everything());
    ASSERT_FALSE(HasFailure()) << "cut at " << position;
    length = delivered;
  }
  EXPECT_GT(length, 300U);
}

TEST_F(SessionTest, EveryCutOfTheStreamToTheClientGivesTheSame) {
  std::size_t length = 1;
  for (std::size_t position = 1; position <= length; ++position) {
    Wire wire(*server_, *client_);
    std::size_t delivered = 0;
    converse(wire, everything(), cut_at(position, &delivered));
    ASSERT_FALSE(HasFailure()) << "cut at " << position;
    length = delivered;
  }
  EXPECT_GT(length, 800U);
}

TEST_F(SessionTest, LargeTransfersInRandomPiecesArriveWhole) {
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  std::mt19937 random(7);
  const auto piece = [&](std::size_t limit) { return 1 + random() % limit; };
  const Chunker chunker = [&](std::size_t available) { return std::min(available, piece(40'000)); };
  const std::string up = pattern(1'500'000, 1);
  const std::string down = pattern(3'000'000, 2);
  std::size_t sent_up = 0;
  std::size_t sent_down = 0;
  while (sent_up < up.size() || sent_down < down.size()) {
    const std::string_view more_up = std::string_view(up).substr(sent_up, piece(60'000));
    const std::string_view more_down = std::string_view(down).substr(sent_down, piece(120'000));
    ASSERT_EQ(wire.client_sends(more_up), Status::ok);
    ASSERT_EQ(wire.server_sends(more_down), Status::ok);
    sent_up += more_up.size();
    sent_down += more_down.size();
    if (random() % 4 == 0) wire.server.note_idle();
    wire.run(chunker, chunker);
  }
  EXPECT_TRUE(wire.at_server.plaintext == up);
  EXPECT_TRUE(wire.at_client.plaintext == down);
}

TEST_F(SessionTest, RecordsStartSmallGrowAndStartSmallAgainAfterAPause) {
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  wire.server_sends("x");  // takes the tickets with it
  wire.run();
  wire.server.note_idle();

  const std::string body(200'000, 'b');
  constexpr std::size_t kOverheadMax = 32;
  for (int burst = 0; burst < 2; ++burst) {
    wire.server_sends(body);
    const std::vector<std::size_t> sizes = record_sizes(wire.at_server.ciphertext);
    std::size_t sent = 0;
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      const std::size_t expected =
          sent < kSmallRecordsBurstBytes ? kRecordBytesSmall : kRecordBytesMax;
      EXPECT_GE(sizes[i], expected) << "record " << i;
      EXPECT_LE(sizes[i], expected + kOverheadMax) << "record " << i;
      sent += expected;
    }
    wire.run();
    wire.server.note_idle();
  }
  wire.server_sends(body);
  wire.at_server.ciphertext.clear();
  wire.server_sends(body);
  EXPECT_GT(record_sizes(wire.at_server.ciphertext).front(), kRecordBytesMax);
}

TEST_F(SessionTest, CloseNotifyIsToldFromTruncation) {
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  wire.client_sends("half a record is not a record");
  wire.at_client.ciphertext.resize(10);
  wire.run();
  // The stream ends here: nothing said so, and nothing came of the half record.
  EXPECT_EQ(wire.server_status, Status::ok);
  EXPECT_EQ(wire.at_server.plaintext, "");

  Wire orderly(*server_, *client_);
  ASSERT_TRUE(orderly.shake_hands());
  orderly.client_sends("bye");
  orderly.client.close(orderly.at_client);
  orderly.run();
  EXPECT_EQ(orderly.server_status, Status::closed);
  EXPECT_EQ(orderly.at_server.plaintext, "bye");
}

TEST_F(SessionTest, TheOtherDirectionStaysOpenAfterCloseNotify) {
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  wire.client.close(wire.at_client);
  wire.run();
  ASSERT_EQ(wire.server_status, Status::closed);
  EXPECT_EQ(wire.server_sends("a late answer"), Status::ok);
  wire.run();
  EXPECT_EQ(wire.at_client.plaintext, "a late answer");
  wire.server.close(wire.at_server);
  wire.run();
  EXPECT_EQ(wire.client_status, Status::closed);
}

TEST_F(SessionTest, WhatFollowsCloseNotifyIsDropped) {
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  wire.client.close(wire.at_client);
  wire.at_client.ciphertext += "not TLS at all";
  wire.run();
  EXPECT_EQ(wire.server_status, Status::closed);
  EXPECT_EQ(wire.server.receive(as_bytes("more of it"), wire.at_server), Status::closed);
  EXPECT_EQ(wire.server.failure(), "");
}

TEST_F(SessionTest, CloseIsSentOnceAndOnlyAfterTheHandshake) {
  Wire wire(*server_, *client_);
  wire.server.close(wire.at_server);
  EXPECT_EQ(wire.at_server.ciphertext, "");
  ASSERT_TRUE(wire.shake_hands());
  wire.server.close(wire.at_server);
  const std::size_t size = wire.at_server.ciphertext.size();
  EXPECT_GT(size, 0U);
  wire.server.close(wire.at_server);
  EXPECT_EQ(wire.at_server.ciphertext.size(), size);
}

TEST_F(SessionTest, AChangedByteAnywhereFailsAndYieldsNothing) {
  const std::string request = "GET /account HTTP/1.1\r\n\r\n";
  std::size_t length = 1;
  for (std::size_t position = 0; position < length; ++position) {
    Wire wire(*server_, *client_);
    ASSERT_TRUE(wire.shake_hands());
    wire.client_sends(request);
    length = wire.at_client.ciphertext.size();
    wire.at_client.ciphertext[position] ^= 0x40;
    // Lest a longer length waits for bytes that will not come.
    wire.at_client.ciphertext += std::string(20'000, 'z');
    wire.run();
    ASSERT_EQ(wire.server_status, Status::failed) << "byte " << position;
    EXPECT_NE(wire.server.failure(), "");
    EXPECT_EQ(wire.at_server.plaintext, "");
    // The alert reached the peer.
    EXPECT_EQ(wire.client_status, Status::failed) << "byte " << position;
    EXPECT_TRUE(wire.client.failure().starts_with("peer alert: ")) << wire.client.failure();
  }
}

TEST_F(SessionTest, GarbageFailsAndStaysFailed) {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    Session session(*server_);
    Collector sink;
    const std::string garbage = pattern(1 + random() % 2'000, static_cast<unsigned>(random()));
    Status status = session.receive(as_bytes(garbage), sink);
    if (status == Status::ok) status = session.receive(as_bytes(std::string(70'000, '\0')), sink);
    ASSERT_EQ(status, Status::failed);
    EXPECT_NE(session.failure(), "");
    EXPECT_FALSE(session.handshake_done());
    EXPECT_EQ(sink.plaintext, "");
    sink.ciphertext.clear();
    EXPECT_EQ(session.receive(as_bytes("more"), sink), Status::failed);
    EXPECT_EQ(session.send(as_bytes("more"), sink), Status::failed);
    session.close(sink);
    EXPECT_EQ(sink.ciphertext, "");
  }
}

TEST_F(SessionTest, PlainHttpIsNamedAsSuch) {
  for (const char* request : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x HTTP/1.1\r\n\r\n"}) {
    Session session(*server_);
    Collector sink;
    EXPECT_EQ(session.receive(as_bytes(request), sink), Status::failed);
    EXPECT_EQ(session.failure(), "http request");
    EXPECT_EQ(sink.plaintext, "");
  }
}

TEST_F(SessionTest, PostHandshakeGarbageFromARealClientIsRefused) {
  Wire wire(*server_, *client_);
  ASSERT_TRUE(wire.shake_hands());
  EXPECT_EQ(wire.server.receive(as_bytes("GET / HTTP/1.1\r\n\r\n"), wire.at_server),
            Status::failed);
  EXPECT_EQ(wire.server.failure(), "wrong version number");
}

TEST_F(SessionTest, Tls12IsRefusedByDefaultWithAProtocolVersionAlert) {
  ClientOptions options = client_options();
  options.versions = Versions::tls12;
  Wire wire(*server_, *make_client(options));
  EXPECT_FALSE(wire.shake_hands());
  EXPECT_EQ(wire.server_status, Status::failed);
  EXPECT_EQ(wire.server.failure(), "unsupported protocol");
  EXPECT_EQ(wire.client_status, Status::failed);
  EXPECT_EQ(wire.client.failure(), "peer alert: protocol version");
}

TEST_F(SessionTest, Tls12IsServedWhereAllowedWithAnAeadEcdheSuite) {
  ServerOptions allowing = server_options();
  allowing.allow_tls12 = true;
  ClientOptions options = client_options();
  options.versions = Versions::tls12;
  const auto server = make_server(allowing);
  Wire wire(*server, *make_client(options));
  ASSERT_TRUE(wire.shake_hands()) << wire.server.failure();
  const SessionInfo info = wire.server.info();
  EXPECT_EQ(info.version, "TLSv1.2");
  EXPECT_TRUE(info.cipher.starts_with("TLS_ECDHE_ECDSA_WITH_")) << info.cipher;
  EXPECT_TRUE(info.cipher.find("GCM") != info.cipher.npos ||
              info.cipher.find("POLY1305") != info.cipher.npos)
      << info.cipher;
  wire.client_sends("ping");
  wire.server_sends("pong");
  wire.run();
  EXPECT_EQ(wire.at_server.plaintext, "ping");
  EXPECT_EQ(wire.at_client.plaintext, "pong");

  options.versions = Versions::tls12_or_tls13;
  Wire best(*server, *make_client(options));
  ASSERT_TRUE(best.shake_hands());
  EXPECT_EQ(best.server.info().version, "TLSv1.3");
}

// A ClientHello that offers DEFLATE beside no compression (RFC 3749).
std::string with_compression(std::string hello) {
  std::size_t at = 5 + 4 + 2 + 32;                    // record, message, version, random
  at += 1 + static_cast<std::uint8_t>(hello.at(at));  // session id
  at += 2 + static_cast<std::uint8_t>(hello.at(at)) * 256U +
        static_cast<std::uint8_t>(hello.at(at + 1));  // cipher suites
  EXPECT_EQ(hello.substr(at, 2), std::string("\x01\x00", 2));
  hello.replace(at, 2, std::string("\x02\x01\x00", 3));
  for (const std::size_t low : {std::size_t{4}, std::size_t{8}}) {  // both lengths
    if (++hello[low] == 0) ++hello[low - 1];
  }
  return hello;
}

TEST_F(SessionTest, NoCompressionIsChosenWhoeverOffersIt) {
  ServerOptions allowing = server_options();
  allowing.allow_tls12 = true;
  ClientOptions options = client_options();
  options.versions = Versions::tls12;
  const auto server = make_server(allowing);
  const auto client = make_client(options);
  Wire wire(*server, *client);
  ASSERT_EQ(wire.client.start(wire.at_client), Status::ok);
  const std::string hello = with_compression(wire.at_client.ciphertext);
  ASSERT_EQ(wire.server.receive(as_bytes(hello), wire.at_server), Status::ok)
      << wire.server.failure();
  const std::string& answer = wire.at_server.ciphertext;
  ASSERT_EQ(answer.at(5), 2) << "a ServerHello";
  const std::size_t id = 5 + 4 + 2 + 32;
  const std::size_t method = id + 1 + static_cast<std::uint8_t>(answer.at(id)) + 2;
  EXPECT_EQ(answer.at(method), 0);
}

TEST_F(SessionTest, AnOldSuiteIsRefusedEvenUnderTls12) {
  ServerOptions allowing = server_options();
  allowing.allow_tls12 = true;
  ClientOptions options = client_options();
  options.versions = Versions::tls12;
  const auto client = make_client(options);
  ASSERT_EQ(SSL_CTX_set_strict_cipher_list(client->handle(), "ECDHE-ECDSA-AES128-SHA"), 1);
  Wire wire(*make_server(allowing), *client);
  EXPECT_FALSE(wire.shake_hands());
  EXPECT_EQ(wire.server.failure(), "no shared cipher");
}

struct AlpnCase {
  std::vector<std::string> server;
  std::vector<std::string> client;
  std::string chosen;
  bool agreed = true;
};

TEST_F(SessionTest, AlpnIsTheServersFirstThatTheClientOffers) {
  const AlpnCase cases[] = {
      {{"http/1.1"}, {"h2", "http/1.1"}, "http/1.1"},
      {{"h2", "http/1.1"}, {"http/1.1", "h2"}, "h2"},
      {{"http/1.1"}, {}, ""},
      {{}, {"h2"}, ""},
      {{"http/1.1"}, {"h2"}, "", false},
      {{"http/1.1"}, {"http/1.1x", "http/1."}, "", false},
  };
  for (const AlpnCase& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.server) + " and " + testing::PrintToString(c.client));
    ServerOptions server = server_options();
    server.alpn = c.server;
    ClientOptions client = client_options();
    client.alpn = c.client;
    Wire wire(*make_server(server), *make_client(client));
    EXPECT_EQ(wire.shake_hands(), c.agreed);
    if (c.agreed) {
      EXPECT_EQ(wire.server.info().alpn, c.chosen);
      EXPECT_EQ(wire.client.info().alpn, c.chosen);
    } else {
      EXPECT_EQ(wire.server.failure(), "no application protocol");
      EXPECT_EQ(wire.client.failure(), "peer alert: no application protocol");
    }
  }
}

TEST_F(SessionTest, TheClientChecksTheServersName) {
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) {
    Wire wire(*server_, *client_, nullptr, name);
    EXPECT_TRUE(wire.shake_hands()) << name << ": " << wire.client.failure();
    // Names of hosts, and nothing else, are sent as SNI (RFC 6066 section 3).
    const bool is_name = std::string_view(name) == "localhost";
    EXPECT_EQ(wire.server.info().server_name, is_name ? name : "");
  }
  for (const char* name : {"example.org", "127.0.0.2"}) {
    Wire wire(*server_, *client_, nullptr, name);
    EXPECT_FALSE(wire.shake_hands()) << name;
    EXPECT_TRUE(wire.client.failure().starts_with("certificate verify failed: "))
        << wire.client.failure();
    EXPECT_TRUE(wire.server.failure().starts_with("peer alert: ")) << wire.server.failure();
  }
  Wire nameless(*server_, *client_, nullptr, "");
  EXPECT_EQ(nameless.client.start(nameless.at_client), Status::failed);
  EXPECT_EQ(nameless.client.failure(), "no server name to check the certificate against");
}

TEST_F(SessionTest, TheClientChecksTheServersChain) {
  ClientOptions options = client_options();
  options.trust_anchors_pem = make_self_signed({"localhost"}, 1).certificate_pem;
  Wire wire(*server_, *make_client(options));
  EXPECT_FALSE(wire.shake_hands());
  EXPECT_TRUE(wire.client.failure().starts_with("certificate verify failed: "))
      << wire.client.failure();

  options.insecure = true;
  Wire insecure(*server_, *make_client(options), nullptr, "");
  EXPECT_TRUE(insecure.shake_hands());
}

}  // namespace
}  // namespace sluice::tls::test
