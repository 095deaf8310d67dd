// Tunnels through Sluice: WebSocket over HTTP/1 and by extended CONNECT over HTTP/2, CONNECT where
// a route allows it; and server-sent events, which need no tunnel but may not wait either.
#include <thread>

#include "tests/harness/certificate.h"
#include "tests/harness/child.h"
#include "tests/harness/h2_client.h"
#include "tests/harness/raw_origin.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Child;
using harness::H2Client;
using harness::RawConnection;
using harness::RawOrigin;
using harness::StrictH2Origin;

constexpr const char* kPython = "/usr/bin/python3";

std::string script(const std::string& name) {
  return SLUICE_SOURCE_DIR "/tests/clients/" + name;
}

// A masked text frame (RFC 6455 section 5.2), as clients send it.
std::string websocket_text(std::string_view text) {
  std::string frame = "\x81";
  frame += static_cast<char>(0x80 | text.size());
  const std::string mask = "\x11\x22\x33\x44";
  frame += mask;
  for (std::size_t i = 0; i < text.size(); ++i) {
    frame += static_cast<char>(text[i] ^ mask[i % 4]);
  }
  return frame;
}

class UpgradeTest : public SluiceTest {
 protected:
  // `blue` is that address.
  void start_with(const std::string& address, Scenario scenario = {}, bool h2 = false,
                  const std::string& tls = "") {
    scenario.backends = {{"blue", {{"one", address}}}};
    scenario.split = "{ blue = 1 }";
    if (h2) scenario.backend_lines["blue"] = "protocol = \"h2\"\n" + tls;
    scenario.listener += "protocols = [\"http/1.1\", \"h2\"]\n";
    start(scenario);
  }
  std::string start_websocket_server() {
    server_ = Child::start({kPython, script("websocket_server.py")});
    const std::string port = server_->wait_for_line("port ");
    EXPECT_NE(port, "") << server_->output();
    return "127.0.0.1:" + port;
  }
  static H2Client::Ask websocket_ask(const std::string& target = "/") {
    H2Client::Ask ask{.method = "CONNECT", .target = target, .fields = {}, .end = false};
    ask.fields.add(":protocol", "websocket");
    ask.fields.add("sec-websocket-version", "13");
    return ask;
  }
  // Puts bytes into the tunnel and waits for so many back.
  std::string exchange(H2Client& client, std::uint32_t stream, std::string_view bytes,
                       std::size_t due) {
    const std::size_t before = client.response(stream).body.size();
    client.put(stream, bytes, false);
    client.wait_until(
        [&] { return client.response(stream).body.size() >= before + due || client.over(stream); });
    return client.response(stream).body.substr(before);
  }

  std::unique_ptr<Child> server_;
};

constexpr const char* kUpgrade =
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

TEST_F(UpgradeTest, AWebSocketClientAndServerTalkThroughHttp1) {
  start_with(start_websocket_server());
  for (const char* scheme : {"ws", "wss"}) {
    const std::string address =
        sluice_->endpoint(std::string_view(scheme) == "ws" ? "http" : "https").text();
    const harness::Ran ran = harness::run(
        {kPython, script("websocket_client.py"), std::string(scheme) + "://" + address + "/chat"},
        Deadline(seconds(90)));
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_EQ(ran.output, "good\n");
  }
}

TEST_F(UpgradeTest, AWebSocketThroughExtendedConnectReachesAnHttp1Server) {
  start_with(start_websocket_server());
  auto client = connect_h2();
  ASSERT_TRUE(client->wait_until([&] {
    return client->setting(harness::h2::kEnableConnectProtocol).value_or(0) == 1;
  })) << "extended CONNECT is not offered";
  H2Client::Ask ask = websocket_ask();
  ask.fields.add("sec-websocket-protocol", "chat");
  const std::uint32_t stream = client->begin(ask);
  ASSERT_TRUE(client->wait_for_head(stream)) << client->response(stream).summary();
  EXPECT_EQ(client->response(stream).status, 200);
  EXPECT_EQ(client->response(stream).field("sec-websocket-protocol"), "chat");
  EXPECT_FALSE(client->response(stream).fields.has("sec-websocket-accept"));
  for (const char* word : {"one", "two", "three"}) {
    const std::string echoed = exchange(*client, stream, websocket_text(word), strlen(word) + 2);
    EXPECT_EQ(echoed.substr(2), word);
  }
  // Other requests go on beside it.
  EXPECT_EQ(client->get("/health").status, 200);
  EXPECT_EQ(exchange(*client, stream, websocket_text("four"), 6).substr(2), "four");
}

// From clients of both versions, over TLS too, through an extended CONNECT to the server.
class UpgradeToH2Test : public UpgradeTest, public testing::WithParamInterface<bool> {
 protected:
  UpgradeToH2Test() {
    StrictH2Origin::Options options{.name = "blue", .tls = {}};
    if (GetParam()) {
      options.tls = harness::make_certificate(directory_->path(), "origin", {"app.internal"});
    }
    origin_ = std::make_unique<StrictH2Origin>(options);
    start_with(origin_->address(), {}, true,
               GetParam() ? "tls = { ca_file = \"@DIR@/origin.pem\", server_name = "
                            "\"app.internal\" }\n"
                          : "");
  }
  void TearDown() override {
    EXPECT_THAT(origin_->violations(), testing::IsEmpty());
    // One that was cut is no whole request.
    for (const harness::RecordedRequest& request : origin_->requests()) {
      EXPECT_EQ(request.fields.get(":protocol"), "websocket");
      EXPECT_EQ(request.fields.get(":scheme"), GetParam() ? "https" : "http");
    }
    EXPECT_EQ(origin_->requests().size() + origin_->counts().cut_by_stop, 1u);
    UpgradeTest::TearDown();
  }

  std::unique_ptr<StrictH2Origin> origin_;
};

TEST_P(UpgradeToH2Test, AWebSocketOverHttp2Passes) {
  H2Client::Options options;
  if (GetParam()) options.tls = harness::ClientTls{};
  auto connected = H2Client::connect(sluice_->endpoint(GetParam() ? "https" : "http"), options);
  ASSERT_TRUE(connected) << connected.error();
  H2Client& client = **connected;
  const std::uint32_t stream = client.begin(websocket_ask("/tunnel"));
  ASSERT_TRUE(client.wait_for_head(stream)) << client.response(stream).summary();
  ASSERT_EQ(client.response(stream).status, 200);
  EXPECT_EQ(exchange(client, stream, "any bytes", 9), "any bytes");
  // The client's half ends; the server sends the rest and ends its own.
  client.put(stream, "last", true);
  const harness::H2Response response = client.finish(stream);
  EXPECT_TRUE(response.complete()) << response.summary();
  EXPECT_EQ(response.body, "any byteslast");
}

TEST_P(UpgradeToH2Test, AWebSocketThatBreaksIsCancelled) {
  H2Client::Options options;
  if (GetParam()) options.tls = harness::ClientTls{};
  auto client = H2Client::connect(sluice_->endpoint(GetParam() ? "https" : "http"), options);
  ASSERT_TRUE(client) << client.error();
  const std::uint32_t stream = (*client)->begin(websocket_ask("/tunnel"));
  ASSERT_EQ(exchange(**client, stream, "any bytes", 9), "any bytes");
  ASSERT_TRUE(wait_until([&] { return origin_->counts().open_streams >= 1; }));
  origin_->stop();
  EXPECT_EQ((*client)->finish(stream).reset_code, harness::h2::kCancel);
  EXPECT_EQ(origin_->counts().cut_by_stop, 1u);
}

TEST_P(UpgradeToH2Test, AWebSocketOverHttp1Passes) {
  auto client = GetParam() ? connect_tls() : connect();
  std::string request = kUpgrade;
  request.replace(request.find("/ "), 2, "/tunnel ");
  ASSERT_TRUE(client->send(request));
  const Response response = client->read_response({.interim_too = true});
  ASSERT_EQ(response.status, 101) << response.summary();
  EXPECT_EQ(response.field("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  ASSERT_TRUE(client->send("over and out"));
  client->finish_sending();
  EXPECT_EQ(client->read_to_end(), "over and out");
}

INSTANTIATE_TEST_SUITE_P(Servers, UpgradeToH2Test, testing::Bool(),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_F(UpgradeTest, ARefusedUpgradeIsAnOrdinaryAnswer) {
  start_with(start_websocket_server());
  auto client = connect();
  std::string request = kUpgrade;
  request.replace(request.find("/ "), 2, "/refuse ");
  ASSERT_TRUE(client->send(request));
  const Response response = client->read_response({.interim_too = true});
  EXPECT_EQ(response.status, 403) << response.summary();
  EXPECT_EQ(response.body, "no sockets here\n");
  auto h2 = connect_h2();
  const std::uint32_t stream = h2->begin(websocket_ask("/refuse"));
  EXPECT_EQ(h2->finish(stream).status, 403);
}

TEST_F(UpgradeTest, ARouteCanForbidUpgrades) {
  start_with(start_websocket_server(), {.routes = "[routes.app]\nsplit = { blue = 1 }\n"
                                                  "upgrades = []\n"});
  auto client = connect();
  ASSERT_TRUE(client->send(kUpgrade));
  EXPECT_EQ(client->read_response({.interim_too = true}).status, 403);
  auto h2 = connect_h2();
  EXPECT_EQ(h2->finish(h2->begin(websocket_ask())).status, 403);
}

TEST_F(UpgradeTest, BytesBehindAnUpgradeThatIsRefusedAreNoRequest) {
  RawOrigin origin([](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(connection.read_to_end().find("smuggled"), std::string::npos);
  });
  start_with(origin.address());
  auto client = connect();
  ASSERT_TRUE(
      client->send(std::string(kUpgrade) + "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const Response response = client->read_response({.interim_too = true});
  EXPECT_NE(response.status, 101) << response.summary();
}

TEST_F(UpgradeTest, ServersThatSwitchUnaskedAreRefused) {
  RawOrigin origin([](RawConnection& connection) {
    const std::string head = connection.read_until("\r\n\r\n");
    const bool asked = head.find("pgrade: websocket") != std::string::npos;
    connection.write(std::string("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n") +
                     "Upgrade: " + (asked ? "chess" : "websocket") + "\r\n\r\nhello");
    connection.read_to_end();
  });
  start_with(origin.address());
  EXPECT_EQ(get("/").status, 502);
  auto client = connect();
  ASSERT_TRUE(client->send(kUpgrade));
  EXPECT_EQ(client->read_response({.interim_too = true}).status, 502)
      << "another protocol than was asked for";
}

TEST_F(UpgradeTest, ConnectIsRefusedUnlessARouteAllowsIt) {
  start({.listener = "protocols = [\"http/1.1\", \"h2\"]"});
  auto client = connect();
  ASSERT_TRUE(client->send("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n"));
  EXPECT_EQ(client->read_response().status, 405);
  auto h2 = connect_h2();
  H2Client::Ask ask{.method = "CONNECT", .target = "", .fields = {}, .end = false};
  ask.fields.add("Host", "localhost:443");
  const harness::H2Response response = h2->finish(h2->begin(ask));
  EXPECT_EQ(response.status, 405) << response.summary();
  EXPECT_EQ(blue_.counts().requests, 0u);
}

TEST_F(UpgradeTest, AnAllowedConnectIsATunnelToTheBackendsServer) {
  std::string seen;
  RawOrigin origin([&](RawConnection& connection) {
    seen = connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\n\r\nwelcome ");
    for (std::string bytes; !(bytes = connection.read_some()).empty();) connection.write(bytes);
    connection.write(" bye");
  });
  start_with(origin.address(), {.routes = "[routes.app]\nsplit = { blue = 1 }\nconnect = true\n"});
  {
    auto client = connect();
    ASSERT_TRUE(
        client->send("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n"));
    // Nothing behind its head is a body.
    const Response response = client->read_response({.method = "HEAD"});
    EXPECT_EQ(response.status, 200) << response.summary();
    ASSERT_TRUE(client->send("GET / HTTP/1.1\r\n\r\n"));
    client->finish_sending();
    EXPECT_EQ(client->read_to_end(), "welcome GET / HTTP/1.1\r\n\r\n bye");
    EXPECT_TRUE(seen.starts_with("CONNECT db.internal:5432 HTTP/1.1\r\n")) << seen;
  }
  auto h2 = connect_h2();
  H2Client::Ask ask{.method = "CONNECT", .target = "", .fields = {}, .end = false};
  ask.fields.add("Host", "db.internal:5432");
  const std::uint32_t stream = h2->begin(ask);
  ASSERT_TRUE(h2->wait_for_head(stream)) << h2->response(stream).summary();
  h2->put(stream, "bytes", true);
  const harness::H2Response response = h2->finish(stream);
  EXPECT_TRUE(response.complete()) << response.summary();
  EXPECT_EQ(response.body, "welcome bytes bye");
}

TEST_F(UpgradeTest, ATunnelThatBreaksIsReset) {
  constexpr std::uint32_t kConnectError = 0xa;
  RawOrigin origin([&](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\n\r\nwelcome");
    connection.read_some();
    connection.reset();
  });
  start_with(origin.address(), {.routes = "[routes.app]\nsplit = { blue = 1 }\nconnect = true\n"});
  auto client = connect_h2();
  H2Client::Ask ask{.method = "CONNECT", .target = "", .fields = {}, .end = false};
  ask.fields.add("Host", "db.internal:5432");
  const std::uint32_t stream = client->begin(ask);
  ASSERT_TRUE(client->wait_for_head(stream)) << client->response(stream).summary();
  client->put(stream, "cut", false);
  EXPECT_EQ(client->finish(stream).reset_code, kConnectError);
}

TEST_F(UpgradeTest, AnEndedTunnelEndsOnBothSidesAndACutOneIsSeen) {
  std::atomic<int> ends = 0;
  RawOrigin origin([&](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    if (connection.read_some() == "cut") return connection.reset();
    connection.read_to_end();
    ++ends;
  });
  start_with(origin.address());
  {
    auto client = connect();
    ASSERT_TRUE(client->send(kUpgrade));
    ASSERT_EQ(client->read_response({.interim_too = true}).status, 101);
    ASSERT_TRUE(client->send("cut"));
    EXPECT_EQ(client->wait_for_end(), Ending::reset);
  }
  auto client = connect();
  ASSERT_TRUE(client->send(kUpgrade));
  ASSERT_EQ(client->read_response({.interim_too = true}).status, 101);
  ASSERT_TRUE(client->send("stay"));
  client->reset();
  EXPECT_TRUE(wait_until([&] { return ends == 1; })) << "the server was told that its client left";
}

TEST_F(UpgradeTest, ServerSentEventsComeOneByOne) {
  // The next event is sent only when the one before has been seen.
  std::atomic<int> seen = 0;
  RawOrigin origin([&](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 1; i <= 20; ++i) {
      connection.write("9\r\ndata: x\n\n\r\n");
      Deadline deadline;
      while (seen < i && !deadline.over()) std::this_thread::sleep_for(milliseconds(1));
      if (seen < i) return;
    }
    connection.write("0\r\n\r\n");
  });
  start_with(origin.address());
  for (const char* listener : {"http", "https"}) {
    seen = 0;
    auto client = listener == std::string_view("http") ? connect() : connect_tls();
    ASSERT_TRUE(client->send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    std::size_t bytes = 0;
    const Response response = client->read_response({.on_body = [&](std::string_view part) {
      bytes += part.size();
      seen = static_cast<int>(bytes / 9);
    }});
    EXPECT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(seen, 20);
  }
  seen = 0;
  auto h2 = connect_h2();
  const std::uint32_t stream = h2->begin({.target = "/events"});
  EXPECT_TRUE(h2->wait_until([&] {
    seen = static_cast<int>(h2->response(stream).body_size / 9);
    return h2->over(stream);
  }));
  EXPECT_EQ(seen, 20);
}

TEST_F(UpgradeTest, AHalfClosedClientGetsItsAnswer) {
  start();
  auto client = connect();
  ASSERT_TRUE(client->send("GET /slow?ms=200 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  client->finish_sending();
  EXPECT_EQ(client->read_response().status, 200);
}

}  // namespace
}  // namespace sluice::integration
