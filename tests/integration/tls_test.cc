// TLS from clients, seen by a client that is none of ours.
#include "tests/harness/certificate.h"
#include "tests/harness/child.h"
#include "tests/harness/pattern.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::ClientTls;

class TlsTest : public SluiceTest {};

TEST_F(TlsTest, SpeaksTls13WithX25519AndAlpn) {
  start();
  EXPECT_EQ(connect_tls({.alpn = {"h2", "http/1.1"}})->tls_alpn(), "h2");
  auto client = connect_tls({.alpn = {"http/1.1"}});
  EXPECT_EQ(client->tls_version(), TLS1_3_VERSION);
  EXPECT_EQ(client->tls_group(), "X25519");
  EXPECT_EQ(client->tls_alpn(), "http/1.1");
  EXPECT_EQ(client->get("/").status, 200);
  EXPECT_EQ(connect_tls()->tls_alpn(), "");
}

TEST_F(TlsTest, Tls12NeedsAnExplicitChoice) {
  start();
  ClientTls old{.version_min = TLS1_2_VERSION, .version_max = TLS1_2_VERSION};
  EXPECT_FALSE(HttpClient::connect_tls(sluice_->endpoint("https"), old));
  EXPECT_EQ(connect_tls()->get("/").status, 200);
}

TEST_F(TlsTest, Tls12IsSpokenWhereItIsChosen) {
  start({.tls = "min_version = \"1.2\""});
  auto old = connect_tls({.version_min = TLS1_2_VERSION, .version_max = TLS1_2_VERSION});
  EXPECT_EQ(old->tls_version(), TLS1_2_VERSION);
  EXPECT_EQ(old->get("/").status, 200);
  EXPECT_EQ(connect_tls()->tls_version(), TLS1_3_VERSION);
}

// OpenSSL's client asks for another handshake when it reads an R.
TEST_F(TlsTest, ARenegotiationEndsTheConnection) {
  if (!harness::is_installed("openssl")) GTEST_SKIP() << "openssl is not installed";
  start({.tls = "min_version = \"1.2\""});
  const std::string script =
      "mkfifo \"$1\" && exec 3<>\"$1\" && echo R >&3 && "
      "exec openssl s_client -tls1_2 -alpn h2 -connect \"$2\" <&3";
  const harness::Ran ran = harness::run(
      {"sh", "-c", script, "sh", directory_->file("commands"), sluice_->endpoint("https").text()});
  EXPECT_THAT(ran.output, testing::HasSubstr("RENEGOTIATING"));
  EXPECT_THAT(ran.output, testing::HasSubstr("alert no renegotiation"));
  EXPECT_EQ(connect_tls()->get("/").status, 200);
}

TEST_F(TlsTest, SessionsAreResumedOnWhateverWorker) {
  start({.workers = 4});
  bssl::UniquePtr<SSL_SESSION> session;
  for (int i = 0; i < 20; ++i) {
    auto client = connect_tls({.resume = session.get()});
    EXPECT_EQ(client->tls_resumed(), i > 0) << i;
    EXPECT_EQ(client->get("/").status, 200);
    session = client->tls_session();
    ASSERT_TRUE(session) << i;
  }
  EXPECT_EQ(metric(R"(sluice_tls_handshakes_total{listener="https",result="resumed"})"), 19);
}

TEST_F(TlsTest, AnEndIsSaidWithCloseNotify) {
  start();
  auto client = connect_tls();
  Fields fields;
  fields.add("Connection", "close");
  EXPECT_EQ(client->request("GET", "/", "", fields).status, 200);
  EXPECT_EQ(client->wait_for_end(), Ending::closed);
}

TEST_F(TlsTest, AClientsCloseNotifyEndsTheConnectionCleanly) {
  start();
  auto client = connect_tls();
  EXPECT_EQ(client->get("/").status, 200);
  client->finish_sending();
  EXPECT_EQ(client->wait_for_end(), Ending::closed);
}

TEST_F(TlsTest, ACutResponseEndsWithoutCloseNotify) {
  start();
  for (const char* target : {"/truncate/3000000", "/truncate-chunked/3000000"}) {
    auto client = connect_tls();
    Response response = client->get(target);
    EXPECT_FALSE(response.complete()) << target << ": " << response.summary();
    EXPECT_NE(client->wait_for_end(), Ending::closed) << target;
  }
}

TEST_F(TlsTest, LargeBodiesPassBothWays) {
  start();
  auto client = connect_tls();
  std::string body = harness::pattern(5'000'000);
  Response response = client->request("POST", "/echo", body);
  EXPECT_EQ(response.body_size, body.size()) << to_text(response.outcome);
  EXPECT_TRUE(response.body_is_pattern);
}

TEST_F(TlsTest, WhatIsNoTlsIsRefusedAndTheNextIsServed) {
  start();
  for (std::string bytes :
       {std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), std::string(300, '\0'),
        std::string("\x16\x03\x01\xff\xff", 5) + std::string(1000, 'x')}) {
    auto client = HttpClient::connect(sluice_->endpoint("https"));
    ASSERT_TRUE(client);
    (*client)->send(bytes);
    (*client)->finish_sending();
    EXPECT_NE((*client)->wait_for_end(), Ending::open);
    EXPECT_EQ(connect_tls()->get("/").status, 200);
  }
  EXPECT_EQ(blue_.counts().requests, 3u);
}

TEST_F(TlsTest, AHandshakeThatStallsIsGivenUp) {
  start({.timeouts = "tls_handshake = \"200ms\""});
  auto client = HttpClient::connect(sluice_->endpoint("https"));
  ASSERT_TRUE(client);
  EXPECT_NE((*client)->wait_for_end(), Ending::open);
}

}  // namespace
}  // namespace sluice::integration
