// PROXY headers in, from those who may send them, and out.
#include <mutex>
#include <set>

#include "tests/harness/h2_client.h"
#include "tests/harness/raw_origin.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::RawConnection;
using harness::RawOrigin;

// Version 2, PROXY over TCP/IPv4, 192.0.2.1:1111 → 192.0.2.2:2222.
const std::string kVersion2(
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
    "\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\x57\x08\xae",
    28);
const std::string kVersion1 = "PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n";
constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

class ProxyProtocolTest : public SluiceTest {
 protected:
  void start_trusting(const std::string& block) {
    start({.timeouts = "request_head = \"2s\"\ntls_handshake = \"2s\"",
           .listener =
               "protocols = [\"http/1.1\", \"h2\"]\nproxy_protocol_from = [\"" + block + "\"]"});
  }
};

TEST_F(ProxyProtocolTest, TheHeadersAddressIsTheClients) {
  start_trusting("127.0.0.0/8");
  for (const std::string& header :
       {kVersion1, kVersion2, std::string("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n")}) {
    for (const bool in_pieces : {false, true}) {
      blue_.forget();
      auto client = connect();
      const std::string bytes = header + kGet;
      if (in_pieces) {
        for (const char c : bytes) ASSERT_TRUE(client->send({&c, 1}));
      } else {
        ASSERT_TRUE(client->send(bytes));
      }
      ASSERT_EQ(client->read_response().status, 200) << header;
      EXPECT_EQ(blue_.requests().at(0).fields.get("X-Forwarded-For"),
                header[9] == '6' ? "2001:db8::1" : "192.0.2.1");
      // It is said once, at the beginning.
      EXPECT_EQ(client->get("/").status, 200);
    }
  }
}

TEST_F(ProxyProtocolTest, ItComesBeforeHttp2) {
  start_trusting("127.0.0.0/8");
  auto client = harness::H2Client::connect(sluice_->endpoint("http"), {.greets = false});
  ASSERT_TRUE(client) << client.error();
  ASSERT_TRUE(
      (*client)->send(kVersion2 + std::string(harness::h2::kPreface) + harness::h2::settings({})));
  EXPECT_EQ((*client)->get("/").status, 200);
  EXPECT_EQ(blue_.requests().at(0).fields.get("X-Forwarded-For"), "192.0.2.1");
}

TEST_F(ProxyProtocolTest, LocalConnectionsAreTheProxysOwn) {
  start_trusting("127.0.0.0/8");
  for (const std::string& header : {std::string("PROXY UNKNOWN\r\n"),
                                    std::string("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16)}) {
    blue_.forget();
    auto client = connect();
    ASSERT_TRUE(client->send(header + kGet));
    ASSERT_EQ(client->read_response().status, 200);
    EXPECT_EQ(blue_.requests().at(0).fields.get("X-Forwarded-For"), "127.0.0.1");
  }
}

TEST_F(ProxyProtocolTest, AnythingElseFromATrustedPeerIsCut) {
  start_trusting("127.0.0.0/8");
  for (const std::string& header :
       {std::string(), std::string("PROXY TCP4 192.0.2.1\r\n"),
        std::string("PROXY TCP4 192.0.2.256 192.0.2.2 1111 2222\r\n"),
        std::string("PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\n"),
        std::string("PROXY TCP4 192.0.2.1 192.0.2.2 01111 2222\r\n"),
        std::string("PROXY TCP4  192.0.2.1 192.0.2.2 1111 2222\r\n"),
        "PROXY TCP4 " + std::string(200, '1'),
        kVersion2.substr(0, 12) + "\x31\x11" + kVersion2.substr(14),
        kVersion2.substr(0, 14) + std::string("\xff\xff", 2) + kVersion2.substr(16)}) {
    auto client = connect();
    client->send(header + kGet);
    EXPECT_EQ(client->read_to_end().find(" 200 "), std::string::npos) << header;
  }
  EXPECT_EQ(blue_.counts().requests, 0u);
}

TEST_F(ProxyProtocolTest, FromOthersItIsRefused) {
  start_trusting("10.0.0.0/8");
  for (const std::string& header : {kVersion1, kVersion2}) {
    auto client = connect();
    client->send(header + kGet);
    const Response response = client->read_response();
    EXPECT_NE(response.status, 200) << response.summary();
  }
  EXPECT_EQ(blue_.counts().requests, 0u);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(ProxyProtocolTest, AHeaderThatNeverEndsIsTimedOut) {
  start_trusting("127.0.0.0/8");
  auto client = connect();
  ASSERT_TRUE(client->send("PROXY TCP4 "));
  EXPECT_NE(client->wait_for_end(), Ending::open);
}

TEST_F(ProxyProtocolTest, ServersAreToldWhoTheClientIs) {
  for (const char* version : {"v1", "v2"}) {
    std::mutex mutex;
    std::vector<std::string> heads;
    const bool text = version == std::string_view("v1");
    RawOrigin origin([&](RawConnection& connection) {
      std::string head = text ? connection.read_until("\r\n") : connection.read_bytes(28);
      {
        std::lock_guard lock(mutex);
        heads.push_back(head);
      }
      while (!connection.read_until("\r\n\r\n").empty()) {
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    });
    Scenario scenario{
        .health = "enabled = false",
        .backends = {{"blue", {{"one", origin.address()}}}},
        .backend_lines = {{"blue", "send_proxy_protocol = \"" + std::string(version) + "\""}},
        .split = "{ blue = 1 }"};
    start(scenario);
    // A connection to a server is for one client only.
    auto first = connect();
    auto second = connect();
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(first->get("/").body, "ok");
      EXPECT_EQ(second->get("/").body, "ok");
    }
    stop();
    sluice_.reset();
    std::lock_guard lock(mutex);
    EXPECT_LE(heads.size(), 6u);
    EXPECT_EQ(std::set<std::string>(heads.begin(), heads.end()).size(), 2u);
    for (const std::string& head : heads) {
      if (text) {
        EXPECT_TRUE(head.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 ")) << head;
      } else {
        EXPECT_EQ(head.substr(0, 24),
                  kVersion2.substr(0, 12) +
                      std::string("\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01", 12));
      }
    }
  }
}

}  // namespace
}  // namespace sluice::integration
