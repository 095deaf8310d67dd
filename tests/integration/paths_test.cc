// Paths between each pair of HTTP versions: what is routed is what is forwarded and what is logged
// (docs/paths.md).
#include "tests/integration/pair_test.h"

namespace sluice::integration {
namespace {

using harness::RecordedRequest;

class PathsTest : public PairTest {
 protected:
  AnyOrigin secret_{"green", pair_.h2_server};
};

INSTANTIATE_TEST_SUITE_P(Each, PathsTest, testing::ValuesIn(plain_pairs()), pair_name);

// Two routes: what decides between them is the path that the server will see.
TEST_P(PathsTest, WhatIsRoutedIsWhatIsForwarded) {
  start_pair({.workers = 1,
              .backends = {{"green", {{"one", secret_.address()}}}},
              .backend_lines = {{"green", secret_.backend_lines()}},
              .routes = "[routes.app]\nsplit = { blue = 1 }\n"
                        "[routes.secret]\npath = \"/secret\"\nsplit = { green = 1 }\n"});
  const struct {
    const char* target;
    const char* seen;  // by the server
    bool secret;
  } cases[] = {
      {"/secret", "/secret", true},
      {"/secret/x", "/secret/x", true},
      {"/%73ecret", "/secret", true},
      {"/SECRET/../secret", "/secret", true},
      {"//secret", "/secret", true},
      {"/./secret", "/secret", true},
      {"/a/../secret", "/secret", true},
      {"/a/%2e%2e/secret", "/secret", true},
      {"/a/.%2E//secret/", "/secret/", true},
      {"/secret;a/../secret", "/secret", true},
      {"/secret/?/a/..", "/secret/?/a/..", true},
      {"/secret/%2573", "/secret/%2573", true},
      {"/secret?x=%2e%2e/%2f", "/secret?x=%2e%2e/%2f", true},
      {"/secrets", "/secrets", false},
      {"/Secret", "/Secret", false},
      {"/secret/..", "/", false},
      {"/secret/../a", "/a", false},
      {"/%2573ecret", "/%2573ecret", false},
      {"/a;/secret", "/a;/secret", false},
      {"/?/secret", "/?/secret", false},
      {"/secret;a", "/secret;a", false},
      {"/secret%3Ba", "/secret%3Ba", false},
      {"/%e2%82%ac%7e?%7e", "/%E2%82%AC~?%7e", false},
      {"http://localhost//secret", "/secret", true},
      {"http://localhost/secret/..", "/", false},
      {"http://localhost", "/", false},
  };
  AnyClient client = this->client();
  for (const auto& c : cases) {
    SCOPED_TRACE(c.target);
    // Absolute form is HTTP/1's alone.
    if (pair_.h2_client && c.target[0] != '/') continue;
    const Response response = client.get(c.target);
    EXPECT_EQ(response.field("X-Backend"), c.secret ? "green" : "blue") << response.summary();
    AnyOrigin& origin = c.secret ? secret_ : origin_;
    ASSERT_EQ(origin_.requests().size() + secret_.requests().size(), 1u);
    EXPECT_EQ(origin.last_request().target, c.seen);
    origin.forget();
  }
  EXPECT_THAT(secret_.violations(), testing::IsEmpty());
}

// Nothing of it is seen by any server.
TEST_P(PathsTest, WhatHasNoFormReachesNobody) {
  start_pair({.workers = 1});
  constexpr const char* kMalformed = "RST_STREAM PROTOCOL_ERROR";
  const struct {
    std::string target;
    const char* to_h2 = "400";  // of HTTP/1 it is always that
  } cases[] = {
      {"/../a"},
      {"/%2e%2E/a"},
      {"/a/../../b"},
      {"/a/..;/b"},
      {"/a/.;x/b"},
      {"/a/..%3bx"},
      {"/a%2Fb"},
      {"/a%5cb"},
      {"/a\\b"},
      {"/%00"},
      {"/?%00"},
      {"/%zz"},
      {"/%4"},
      {"/?%"},
      {"/#f"},
      {"/a?b#f"},
      {"/\x80"},
      {"/\xc3\xa9"},
      {"/?\xff"},
      {"/a\"b"},
      {"/<a>"},
      {"/a b", kMalformed},
      {"/a\tb", kMalformed},
      {"/\x01", kMalformed},
      {"/\x7f", kMalformed},
      {std::string("/\0", 2), kMalformed},
      {"*", kMalformed},
      {"a", kMalformed},
      {"?a", kMalformed},
      {"", kMalformed},
      {"http://localhost/../a", kMalformed},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.target);
    AnyClient client = this->client();
    const Response response = client.get(c.target);
    EXPECT_EQ(verdict(response), pair_.h2_client ? c.to_h2 : "400") << response.summary();
    if (pair_.h2_client) {
      EXPECT_EQ(client.get("/next").status, 200) << "the connection goes on";
      EXPECT_EQ(origin_.requests_count(), 1u);
      origin_.forget();
    }
  }
  EXPECT_EQ(client().get("/last").status, 200);
  EXPECT_EQ(origin_.requests_count(), 1u);
  EXPECT_EQ(origin_.incomplete_count(), 0u);
}

// What the log says is what the server saw.
TEST_P(PathsTest, TheLogHasTheSamePath) {
  start_pair({.workers = 1, .more = "[access_log]\npath = \"@DIR@/access.log\"\n"});
  EXPECT_EQ(client().get("/x/../%61b//c").status, 200);
  EXPECT_EQ(origin_.last_request().target, "/ab/c");
  EXPECT_EQ(client().get("/y/../..").status, 400);
  // Where there is no form of it, the log has what came.
  EXPECT_TRUE(wait_until([&] {
    const std::string log = harness::read_file(directory_->file("access.log"));
    return log.contains("\"path\":\"/ab/c\"") && log.contains("\"path\":\"/y/../..\"");
  }));
}

}  // namespace
}  // namespace sluice::integration
