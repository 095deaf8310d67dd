// A request's body that is answered before anybody has read it: its rest is never read as the next
// request, by us or by a server, whichever versions they speak.
#include "tests/integration/pair_test.h"

namespace sluice::integration {
namespace {

using harness::RecordedRequest;

const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Early {
  const char* name;
  const char* target;
  const char* host;
  int status;
  bool h1_connection_ends;
};

constexpr Early kEarly[] = {
    {"no route", "/", "nowhere.example", 404, true},
    {"too large", "/small", "localhost", 413, true},
    {"by the server", "/early", "localhost", 200, false},
    {"by the server, which closes", "/early-close", "localhost", 413, true},
};

class UnreadBodiesTest : public PairTest {
 protected:
  void start_early() {
    start_pair({.workers = 1,
                .routes = "[routes.app]\nhost = \"localhost\"\nsplit = { blue = 1 }\n"
                          "[routes.small]\nhost = \"localhost\"\npath = \"/small\"\n"
                          "split = { blue = 1 }\nlimits = { body_bytes = 10 }\n"});
  }
  // After so many requests behind early answers somebody else's is served too. The server has seen
  // whole requests only, and none that stood in a body.
  void expect_seen(std::uint64_t asked) {
    AnyClient last = client();
    expect_next_on(last);
    std::uint64_t seen = 0;
    for (const RecordedRequest& request : origin_.requests()) {
      EXPECT_NE(request.target, "/smuggled");
      if (request.target == "/next") {
        ++seen;
        EXPECT_EQ(request.body_size, 0u);
      } else {
        EXPECT_EQ(request.body, "x" + kSmuggled) << request.target;
      }
    }
    EXPECT_EQ(seen, asked + 1);
  }
  void expect_next_on(AnyClient& client) {
    const Response next = client.get("/next");
    EXPECT_EQ(verdict(next), "200") << next.summary();
    EXPECT_EQ(next.field("X-Backend"), "blue");
  }
};

INSTANTIATE_TEST_SUITE_P(Each, UnreadBodiesTest, testing::ValuesIn(plain_pairs()), pair_name);

// The rest comes behind the answer.
TEST_P(UnreadBodiesTest, ARestThatComesLateIsNoRequest) {
  start_early();
  std::uint64_t asked = 0;
  for (const Early& early : kEarly) {
    for (const bool with_length : {true, false}) {
      SCOPED_TRACE(std::string(early.name) + (with_length ? ", length" : ", no length"));
      AnyClient client = this->client();
      Fields host;
      host.add("Host", early.host);
      const std::uint64_t length = kSmuggled.size() + 1;
      client.begin("POST", early.target, with_length ? std::optional(length) : std::nullopt, host);
      client.put("x");
      // Without a length it is too large only with its rest.
      if (!with_length && early.target == std::string("/small")) client.put(kSmuggled);
      EXPECT_EQ(client.wait_for_status(), early.status);
      if (client.is_h2()) {
        // As if it had been on its way when our RST_STREAM came.
        client.h2().send(harness::h2::data(client.stream(), kSmuggled, true));
        EXPECT_EQ(verdict(client.finish()), std::to_string(early.status));
      } else {
        client.put(kSmuggled);
        client.end();
        if (early.h1_connection_ends) {
          EXPECT_EQ(client.h1().read_to_end(), "");
          continue;
        }
      }
      expect_next_on(client);
      ++asked;
    }
  }
  expect_seen(asked);
}

// A rest that can't be read to its end takes an HTTP/1 client's connection with it. To HTTP/2 it is
// nothing, but for its field section, which has to be decoded.
TEST_P(UnreadBodiesTest, ARestThatIsMalformedIsNoRequest) {
  start_early();
  AnyClient client = this->client();
  client.begin("POST", "/early");
  client.put("x");
  EXPECT_EQ(client.wait_for_status(), 200);
  if (client.is_h2()) {
    const Fields malformed{.lines = {{"X-Up", "a\r\nb"}, {":path", "/smuggled"}}};
    client.h2().send(harness::h2::data(client.stream(), kSmuggled) +
                     harness::h2::headers(client.stream(), malformed, true));
    EXPECT_EQ(verdict(client.finish()), "200");
    expect_next_on(client);
  } else {
    client.h1().send("x\r\n" + kSmuggled);
    EXPECT_EQ(client.h1().read_to_end(), "");
  }
  expect_seen(client.is_h2() ? 1 : 0);
}

// The rest is there before the answer, in one piece with the head and with what would come next.
TEST_P(UnreadBodiesTest, ARestThatIsThereIsNoRequest) {
  start_early();
  std::uint64_t asked = 0;
  for (const Early& early : kEarly) {
    SCOPED_TRACE(early.name);
    AnyClient client = this->client();
    Fields fields;
    fields.add("Host", early.host);
    const std::string body = "x" + kSmuggled;
    const Response response = client.request("POST", early.target, body, fields);
    EXPECT_EQ(response.status, early.status) << response.summary();
    if (!client.is_h2() && response.fields.lists("Connection", "close")) {
      EXPECT_EQ(client.h1().read_to_end(), "");
      continue;
    }
    expect_next_on(client);
    ++asked;
  }
  expect_seen(asked);
}

}  // namespace
}  // namespace sluice::integration
