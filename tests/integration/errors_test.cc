// What the proxy answers itself: bad requests, bad servers, nobody there.
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ErrorsTest : public SluiceTest {
 protected:
  // Short, readable, and not to be taken for the server's.
  void expect_own_answer(const Response& response, int status, std::string_view what) {
    EXPECT_TRUE(response.complete()) << what << ": " << response.summary();
    EXPECT_EQ(response.status, status) << what << ": " << response.summary();
    EXPECT_THAT(response.field("Proxy-Status"), HasSubstr("sluice")) << what;
    EXPECT_FALSE(response.fields.has("X-Backend")) << what;
    EXPECT_THAT(response.body, HasSubstr(std::to_string(status))) << what;
    EXPECT_LT(response.body_size, 500u) << what;
  }
};

TEST_F(ErrorsTest, G10BadRequestsAreRefusedAndReachNoServer) {
  start({.limits = "body_bytes = 1000"});
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  struct {
    const char* name;
    std::string bytes;
    int status;
  } cases[] = {
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare CR", get + "X: a\rb\r\n\r\n", 400},
      {"NUL", get + std::string("X: a\0b\r\n\r\n", 10), 400},
      {"obs-fold", get + "X: a\r\n b\r\n\r\n", 400},
      {"space before colon", get + "X : a\r\n\r\n", 400},
      {"no colon", get + "Nonsense\r\n\r\n", 400},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", get + "Host: b\r\n\r\n", 400},
      {"bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
      {"length list", post + "Content-Length: 1, 2\r\n\r\nab", 400},
      {"negative length", post + "Content-Length: -1\r\n\r\n", 400},
      {"huge length", post + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {"length and chunked",
       post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"bad chunk size", post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
      {"huge chunk size", post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {"chunk too long", post + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
      {"unknown coding", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {"not HTTP", "hello\r\n\r\n", 400},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"long request line", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
      {"long field", get + "X: " + std::string(9000, 'a') + "\r\n\r\n", 431},
      {"unknown expectation", get + "Expect: magic\r\n\r\n", 417},
      {"large body", post + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x'), 413},
  };
  for (const auto& test : cases) {
    auto client = connect();
    client->send(test.bytes);
    Response response = client->read_response();
    expect_own_answer(response, test.status, test.name);
    EXPECT_NE(client->wait_for_end(), Ending::open) << test.name;
  }
  EXPECT_EQ(connect()->get("/").status, 200) << "the next request is served";
  // A request whose body is malformed may have begun to go through, but never whole.
  EXPECT_EQ(blue_.counts().requests, 1u);
}

TEST_F(ErrorsTest, ManyFieldsAreRefused) {
  start();
  Fields fields;
  for (int i = 0; i < 101; ++i) fields.add("X-" + std::to_string(i), "y");
  auto client = connect();
  expect_own_answer(client->request("GET", "/", "", fields), 431, "101 fields");
}

TEST_F(ErrorsTest, NoRouteIs404) {
  start({.routes = "[routes.app]\nhost = \"one.example\"\nsplit = { blue = 1 }\n"});
  auto client = connect();
  expect_own_answer(client->get("/"), 404, "no route");
  EXPECT_EQ(client->get("/").status, 404) << "the connection goes on";
}

TEST_F(ErrorsTest, NoServerIs503) {
  start();
  blue_.stop();
  auto client = connect();
  expect_own_answer(client->get("/"), 503, "stopped server");
  expect_own_answer(client->get("/"), 503, "and again");
}

TEST_F(ErrorsTest, G10MalformedResponsesAre502AndPoisonNothing) {
  start();
  for (const std::string& kind : StrictOrigin::garbage_kinds()) {
    auto client = connect();
    Response response = client->get("/garbage/" + kind);
    // Where the head was good, it is taken back: the fault has come with it.
    expect_own_answer(response, 502, kind);
    for (int i = 0; i < 4; ++i) {
      Response next = get("/bytes/3");
      EXPECT_EQ(next.body_size, 3u) << "after " << kind << ": " << next.summary();
      EXPECT_FALSE(next.fields.has("X-Poison")) << kind;
    }
  }
}

TEST_F(ErrorsTest, AServerThatSaysTooMuchLosesItsConnection) {
  start({.workers = 1});
  EXPECT_EQ(get("/garbage/extra-bytes").status, 502);
  EXPECT_EQ(get("/").status, 200);
  std::vector<harness::RecordedRequest> requests = blue_.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_NE(requests[0].connection, requests[1].connection);
}

TEST_F(ErrorsTest, AServerThatHangsUpIs502) {
  start();
  for (const char* target : {"/drop", "/reset"}) {
    auto client = connect();
    expect_own_answer(client->request("POST", target, "x"), 502, target);
    EXPECT_EQ(client->get("/").status, 200) << "the connection goes on";
  }
}

TEST_F(ErrorsTest, AResponseThatIsCutNeverLooksComplete) {
  start();
  for (const char* target : {"/truncate/1000", "/truncate/1000000", "/truncate-chunked/1000",
                             "/truncate-chunked/1000000"}) {
    Response response = get(target);
    EXPECT_FALSE(response.complete() && response.status == 200)
        << target << ": " << response.summary();
    EXPECT_NE(response.outcome, Outcome::timed_out) << target;
  }
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(ErrorsTest, ACutShowsEvenWhereOnlyTheConnectionsEndMarksTheBodys) {
  start();
  for (bool tls : {false, true}) {
    for (const char* size : {"1000", "1000000"}) {
      auto client = tls ? connect_tls() : connect();
      ASSERT_TRUE(client->send("GET /truncate-chunked/" + std::string(size) +
                               " HTTP/1.0\r\nHost: a\r\n\r\n"));
      Response response = client->read_response();
      EXPECT_FALSE(response.complete() && response.status == 200)
          << "TLS " << tls << ": " << response.summary();
    }
  }
}

TEST_F(ErrorsTest, ASlowServerIs504) {
  start({.timeouts = "response_head = \"200ms\""});
  auto client = connect();
  expect_own_answer(client->get("/hold"), 504, "no head in time");
  EXPECT_EQ(client->get("/").status, 200) << "the connection goes on";
}

TEST_F(ErrorsTest, ASlowClientIsGivenUp) {
  start({.timeouts = "request_head = \"200ms\"\nidle = \"1s\""});
  auto half = connect();
  ASSERT_TRUE(half->send("GET / HT"));
  Response response = half->read_response();
  expect_own_answer(response, 408, "no whole head");
  EXPECT_EQ(half->wait_for_end(), Ending::closed);
  auto idle = connect();
  EXPECT_EQ(idle->get("/").status, 200);
  EXPECT_EQ(idle->wait_for_end(), Ending::closed);
}

TEST_F(ErrorsTest, OwnAnswersToHeadHaveNoBody) {
  start({.routes = "[routes.app]\nhost = \"one.example\"\nsplit = { blue = 1 }\n"});
  auto client = connect();
  Response response = client->request("HEAD", "/");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body_size, 0u);
  EXPECT_EQ(client->get("/").status, 404);
}

}  // namespace
}  // namespace sluice::integration
