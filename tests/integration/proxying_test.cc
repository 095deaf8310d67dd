// One request through the proxy, in every shape that RFC 9112 knows.
#include "tests/harness/pattern.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::pattern;
using harness::RecordedRequest;
using testing::HasSubstr;

class ProxyingTest : public SluiceTest {
 protected:
  std::string chunked_body(std::uint64_t size, std::uint64_t chunk) {
    std::string text;
    for (std::uint64_t at = 0; at < size; at += chunk) {
      std::uint64_t n = std::min(chunk, size - at);
      char line[32];
      snprintf(line, sizeof line, "%zx\r\n", static_cast<std::size_t>(n));
      text += line + pattern(n, at) + "\r\n";
    }
    return text;
  }
};

TEST_F(ProxyingTest, ResponseBodiesOfEveryFramingArriveWholeAndTheConnectionStays) {
  start();
  for (bool tls : {false, true}) {
    auto client = tls ? connect_tls() : connect();
    for (std::uint64_t size : {0ul, 1ul, 1000ul, 65'521ul, 2'000'000ul}) {
      for (const char* kind : {"/bytes/", "/chunked/", "/until-close/", "/http10/"}) {
        Response response = client->get(kind + std::to_string(size));
        ASSERT_TRUE(response.complete()) << kind << size << ": " << response.summary();
        EXPECT_EQ(response.status, 200) << kind << size;
        EXPECT_EQ(response.body_size, size) << kind;
        EXPECT_TRUE(response.body_is_pattern) << kind << size;
        ASSERT_EQ(response.ending, Ending::open) << kind << size;
        EXPECT_EQ(response.field("X-Backend"), "blue");
      }
    }
  }
}

TEST_F(ProxyingTest, RequestBodiesArriveWholeWithTheirFraming) {
  start();
  auto client = connect();
  for (std::uint64_t size : {0ul, 1ul, 1000ul, 65'536ul, 2'000'000ul}) {
    blue_.forget();
    Response response = client->request("POST", "/upload", pattern(size));
    ASSERT_EQ(response.status, 200) << response.summary();
    RecordedRequest request = blue_.requests().at(0);
    EXPECT_FALSE(request.chunked);
    EXPECT_EQ(request.body_size, size);
    EXPECT_TRUE(request.body_is_pattern);
  }
  for (std::uint64_t chunk : {1ul, 7ul, 4096ul, 100'000ul}) {
    blue_.forget();
    std::uint64_t size = chunk * 20;
    ASSERT_TRUE(
        client->send("PUT /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                     chunked_body(size, chunk) + "0\r\nX-Sum: 42\r\n\r\n"));
    ASSERT_EQ(client->read_response().status, 200);
    RecordedRequest request = blue_.requests().at(0);
    EXPECT_TRUE(request.chunked);
    EXPECT_EQ(request.body_size, size);
    EXPECT_TRUE(request.body_is_pattern);
    EXPECT_EQ(request.trailers.get("X-Sum"), "42");
  }
}

TEST_F(ProxyingTest, ARequestSentByteByByteIsTheSameRequest) {
  start();
  auto client = connect();
  const std::string text =
      "POST /echo?x=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;ext=1\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
  for (char c : text) ASSERT_TRUE(client->send({&c, 1}));
  Response response = client->read_response();
  EXPECT_EQ(response.body, "hello") << response.summary();
  RecordedRequest request = blue_.requests().at(0);
  EXPECT_EQ(request.target, "/echo?x=1");
  EXPECT_EQ(request.trailers.get("X-Sum"), "1");
}

TEST_F(ProxyingTest, HeadAndBodilessStatusesHaveNoBody) {
  start();
  auto client = connect();
  for (const char* target : {"/bytes/1000", "/chunked/1000", "/"}) {
    Response response = client->request("HEAD", target);
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_EQ(response.body_size, 0u) << target;
  }
  EXPECT_EQ(client->request("HEAD", "/bytes/1000").field("Content-Length"), "1000");
  for (int status : {204, 304}) {
    Response response = client->get("/status/" + std::to_string(status));
    EXPECT_EQ(response.status, status) << response.summary();
    EXPECT_EQ(response.body_size, 0u);
  }
  EXPECT_EQ(client->get("/bytes/3").body, pattern(3));
  EXPECT_EQ(blue_.requests().at(0).method, "HEAD");
}

TEST_F(ProxyingTest, OtherMethodsPassThrough) {
  start();
  auto client = connect();
  for (const char* method : {"OPTIONS", "DELETE", "PATCH", "PROPFIND"}) {
    EXPECT_EQ(client->request(method, "/x").status, 200) << method;
    EXPECT_EQ(blue_.requests().back().method, method);
  }
  EXPECT_EQ(client->request("OPTIONS", "*").status, 200);
  EXPECT_EQ(blue_.requests().back().target, "*");
}

TEST_F(ProxyingTest, ContinueAndOtherInterimResponsesAreRelayed) {
  start();
  auto client = connect();
  ASSERT_TRUE(
      client->send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                   "Content-Length: 5\r\n\r\n"));
  EXPECT_EQ(client->read_response({.interim_too = true}).status, 100);
  ASSERT_TRUE(client->send("hello"));
  EXPECT_EQ(client->read_response().body, "hello");

  Response hinted = client->get("/interim/103");
  EXPECT_EQ(hinted.status, 200) << hinted.summary();
  ASSERT_EQ(hinted.interim.size(), 1u);
  EXPECT_EQ(hinted.interim[0].status, 103);
  EXPECT_EQ(hinted.interim[0].field("Link"), "</style.css>; rel=preload");
}

TEST_F(ProxyingTest, AnHttp10ClientGetsNoInterimResponseAndNoChunks) {
  start();
  for (const char* target : {"/interim/103", "/chunked/1000", "/bytes/1000"}) {
    auto client = connect();
    ASSERT_TRUE(client->send("GET " + std::string(target) + " HTTP/1.0\r\nHost: a\r\n\r\n"));
    Response response = client->read_response();
    EXPECT_TRUE(response.complete()) << target << ": " << response.summary();
    EXPECT_EQ(response.status, 200) << target;
    EXPECT_TRUE(response.interim.empty()) << target;
    EXPECT_FALSE(response.chunked) << target;
    EXPECT_TRUE(response.body_is_pattern || response.body == "backend blue\n") << target;
    EXPECT_EQ(client->wait_for_end(), Ending::closed) << target;
  }
}

TEST_F(ProxyingTest, AnHttp10ClientMayKeepItsConnection) {
  start();
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client->send("GET /bytes/9 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"));
    Response response = client->read_response();
    EXPECT_EQ(response.body, pattern(9)) << response.summary();
    EXPECT_TRUE(response.fields.lists("Connection", "keep-alive"));
  }
}

TEST_F(ProxyingTest, ResponseTrailersArrive) {
  start();
  Response response = connect()->get("/trailers");
  EXPECT_TRUE(response.complete()) << response.summary();
  EXPECT_TRUE(response.body_is_pattern);
  EXPECT_EQ(response.trailers.get("X-Checksum"), harness::Digest::of(pattern(1000)));
  EXPECT_EQ(response.trailers.get("X-Backend-Time"), "7");
}

TEST_F(ProxyingTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  auto client = connect();
  std::string text = "GET /slow?ms=30 HTTP/1.1\r\nHost: a\r\n\r\n";
  for (int i = 1; i <= 20; ++i) {
    text += "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n" + std::to_string(i + 10);
  }
  ASSERT_TRUE(client->send(text));
  EXPECT_EQ(client->read_response().body, "backend blue\n");
  for (int i = 1; i <= 20; ++i) {
    Response response = client->read_response();
    ASSERT_EQ(response.body, std::to_string(i + 10)) << response.summary();
  }
}

TEST_F(ProxyingTest, ConnectionCloseEndsTheClientsConnectionAndNotTheServers) {
  start();
  auto client = connect();
  ASSERT_TRUE(client->send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  Response response = client->read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.fields.lists("Connection", "close"));
  EXPECT_EQ(client->wait_for_end(), Ending::closed);
  EXPECT_FALSE(blue_.requests().at(0).fields.lists("Connection", "close"));
}

TEST_F(ProxyingTest, AServersCloseDoesNotEndTheClientsConnection) {
  start();
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    Response response = client->get("/close");
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_FALSE(response.fields.lists("Connection", "close"));
    EXPECT_EQ(response.ending, Ending::open);
  }
}

TEST_F(ProxyingTest, AServerThatClosedAnIdleConnectionCostsNoRequest) {
  start({.workers = 1});
  auto client = connect();
  EXPECT_EQ(client->get("/").status, 200);
  blue_.stop();
  blue_.start();
  Response response = client->get("/");
  EXPECT_EQ(response.status, 200) << response.summary();
}

TEST_F(ProxyingTest, ConnectionsToServersAreReused) {
  start({.workers = 1});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").status, 200);
  std::set<std::uint64_t> connections;
  for (const harness::RecordedRequest& request : blue_.requests()) {
    connections.insert(request.connection);
  }
  EXPECT_EQ(connections.size(), 1u);
}

TEST_F(ProxyingTest, WhatAClientSaysOfItsOriginIsReplaced) {
  start();
  Fields claims;
  claims.add("X-Forwarded-For", "6.6.6.6");
  claims.add("X-Forwarded-Proto", "gopher");
  claims.add("X-Forwarded-Host", "evil.example");
  claims.add("Forwarded", "for=6.6.6.6");
  claims.add("X-Request-Id", "mine");
  for (bool tls : {false, true}) {
    blue_.forget();
    auto client = tls ? connect_tls() : connect();
    ASSERT_EQ(client->request("GET", "/", "", claims).status, 200);
    Fields seen = blue_.requests().at(0).fields;
    EXPECT_EQ(seen.all("X-Forwarded-For"), std::vector<std::string>{"127.0.0.1"});
    EXPECT_EQ(seen.all("X-Forwarded-Proto"), std::vector<std::string>{tls ? "https" : "http"});
    EXPECT_EQ(seen.all("X-Forwarded-Host"), std::vector<std::string>{"localhost"});
    EXPECT_EQ(seen.all("Forwarded"),
              std::vector<std::string>{std::string("for=127.0.0.1;host=\"localhost\";proto=") +
                                       (tls ? "https" : "http")});
    EXPECT_EQ(seen.all("Via"), std::vector<std::string>{"1.1 sluice"});
    ASSERT_EQ(seen.count("X-Request-Id"), 1u);
    EXPECT_NE(seen.get("X-Request-Id"), "mine");
    EXPECT_GE(seen.get("X-Request-Id")->size(), 8u);
  }
}

TEST_F(ProxyingTest, ATrustedProxyIsBelieved) {
  start({.listener = "trusted_proxies = [\"127.0.0.0/8\"]"});
  Fields claims;
  claims.add("X-Forwarded-For", "6.6.6.6");
  claims.add("X-Forwarded-Proto", "https");
  claims.add("X-Request-Id", "mine");
  ASSERT_EQ(connect()->request("GET", "/", "", claims).status, 200);
  Fields seen = blue_.requests().at(0).fields;
  EXPECT_EQ(seen.get("X-Forwarded-For"), "6.6.6.6, 127.0.0.1");
  EXPECT_EQ(seen.all("X-Forwarded-Proto"), std::vector<std::string>{"https"});
  EXPECT_EQ(seen.all("X-Request-Id"), std::vector<std::string>{"mine"});
}

TEST_F(ProxyingTest, HopByHopFieldsStayBehind) {
  start();
  Fields fields;
  fields.add("Connection", "X-Secret, keep-alive");
  fields.add("X-Secret", "1");
  fields.add("Keep-Alive", "timeout=5");
  fields.add("Proxy-Connection", "keep-alive");
  fields.add("Proxy-Authorization", "Basic YTpi");
  fields.add("Upgrade", "websocket");
  fields.add("TE", "gzip");
  fields.add("X-Kept", "yes");
  ASSERT_EQ(connect()->request("GET", "/", "", fields).status, 200);
  Fields seen = blue_.requests().at(0).fields;
  for (const char* name :
       {"X-Secret", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Upgrade", "TE"}) {
    EXPECT_FALSE(seen.has(name)) << name;
  }
  EXPECT_EQ(seen.get("X-Kept"), "yes");
}

TEST_F(ProxyingTest, ResponsesCarryViaAndADate) {
  start();
  Response response = get("/");
  EXPECT_EQ(response.field("Via"), "1.1 sluice");
  EXPECT_EQ(response.fields.count("Date"), 1u);
}

TEST_F(ProxyingTest, EarlyAnswersReachTheClientWhileItStillSends) {
  start();
  auto client = connect();
  ASSERT_TRUE(
      client->send("POST /early-close HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"));
  EXPECT_EQ(client->read_response().status, 413);
  client = connect();
  ASSERT_TRUE(client->send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_EQ(client->read_response().status, 200);
}

TEST_F(ProxyingTest, RoutesAreChosenByHostAndPath) {
  start({.routes = R"(
[routes.any]
split = { green = 1 }
[routes.exact]
host = "one.example"
split = { blue = 1 }
[routes.api]
hosts = ["one.example", "*.two.example"]
path = "/api"
split = { green = 1 }
)"});
  struct {
    const char* host;
    const char* target;
    const char* backend;
  } cases[] = {
      {"one.example", "/", "blue"},       {"one.example:8080", "/", "blue"},
      {"ONE.example", "/apis", "blue"},   {"one.example", "/api", "green"},
      {"one.example", "/api/x", "green"}, {"one.example", "/api?x", "green"},
      {"a.two.example", "/api", "green"}, {"other.example", "/", "green"},
  };
  auto client = connect();
  for (const auto& test : cases) {
    Fields fields;
    fields.add("Host", test.host);
    EXPECT_EQ(client->request("GET", test.target, "", fields).field("X-Backend"), test.backend)
        << test.host << test.target;
  }
}

TEST_F(ProxyingTest, AClientThatLeavesEndsItsExchange) {
  start();
  {
    auto client = connect();
    ASSERT_TRUE(client->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_TRUE(blue_.wait_for_held(1));
    client->reset();
  }
  EXPECT_TRUE(wait_until([&] { return blue_.counts().held == 0; }));
  EXPECT_EQ(get("/").status, 200);
}

}  // namespace
}  // namespace sluice::integration
