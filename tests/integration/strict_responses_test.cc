// What servers must not say, byte for byte: the client gets a 502 or sees the response break off,
// never something that looks whole and isn't; and that server connection serves nobody again. To
// clients of both versions.
#include <atomic>
#include <semaphore>

#include "tests/harness/raw_origin.h"
#include "tests/integration/pair_test.h"

namespace sluice::integration {
namespace {

using harness::RawConnection;
using harness::RawOrigin;
using harness::RecordedRequest;
using std::string_literals::operator""s;
using testing::HasSubstr;

const std::string kOk = "HTTP/1.1 200 OK\r\n";
const std::string kPoison = kOk + "X-Poison: yes\r\nContent-Length: 6\r\n\r\npoison";

// To an HTTP/2 client whose response has begun.
constexpr const char* kReset = "RST_STREAM INTERNAL_ERROR";

struct Answer {
  const char* name;
  std::string bytes;
};

class StrictResponsesTest : public PairTest {
 protected:
  // The origin answers with exactly `bytes`, then `then`. POST is never tried twice.
  static Response ask(AnyClient& client, const std::string& bytes, std::string_view then,
                      std::string_view method = "POST") {
    client.begin(method, "/raw/" + std::string(then), bytes.size());
    client.put(bytes);
    client.end();
    return client.finish();
  }

  // The next request is answered whole, over another connection to the server.
  void expect_connection_not_used_again() {
    const Response next = get("/bytes/3");
    EXPECT_EQ(next.status, 200) << next.summary();
    EXPECT_EQ(next.body_size, 3u);
    const std::vector<RecordedRequest> seen = origin_.requests();
    ASSERT_GE(seen.size(), 2u);
    EXPECT_NE(seen[seen.size() - 1].connection, seen[seen.size() - 2].connection);
    origin_.forget();
  }

  void expect_bad_gateway(const Response& response) {
    EXPECT_EQ(verdict(response), "502") << response.summary();
    EXPECT_THAT(response.field("Proxy-Status"), HasSubstr("sluice"));
    EXPECT_FALSE(response.fields.has("X-Poison"));
  }

  void expect_all_bad_gateway(const std::vector<Answer>& cases) {
    start_pair({.workers = 1});
    AnyClient client = this->client();
    for (const Answer& c : cases) {
      // Whether or not the server then closes: its bytes alone decide.
      for (const char* then : {"keep", "close"}) {
        SCOPED_TRACE(std::string(c.name) + ", " + then);
        expect_bad_gateway(ask(client, c.bytes, then));
        expect_connection_not_used_again();
      }
    }
    EXPECT_EQ(client.get("/").status, 200) << "the client's connection goes on";
  }
};

INSTANTIATE_TEST_SUITE_P(Each, StrictResponsesTest,
                         testing::Values(Pair{.h2_client = false}, Pair{.h2_client = true}),
                         pair_name);

TEST_P(StrictResponsesTest, WhatIsNoResponse) {
  expect_all_bad_gateway({
      {"HTTP/0.9", "<html>hello</html>\n"},
      {"HTTP/0.9 without a line end", "hello"},
      {"garbage", "\x01\x02\x03\xff\xfe"s},
      {"NULs", std::string(64, '\0')},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n"},
      {"TLS alert", "\x15\x03\x03\x00\x02\x02\x46"s},
      {"h2 SETTINGS", "\x00\x00\x00\x04\x00\x00\x00\x00\x00"s},
      {"ICY", "ICY 200 OK\r\n\r\n"},
      {"empty line before", "\r\n" + kOk + "Content-Length: 0\r\n\r\n"},
      {"lower case", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
  });
}

TEST_P(StrictResponsesTest, StatusLinesInEveryForm) {
  std::vector<Answer> cases;
  for (const char* line : {"HTTP/1.1 99 X",       "HTTP/1.1 099 X",      "HTTP/1.1 000 X",
                           "HTTP/1.1 600 X",      "HTTP/1.1 999 X",      "HTTP/1.1 1000 X",
                           "HTTP/1.1 2x0 X",      "HTTP/1.1 20 X",       "HTTP/1.1 +20 X",
                           "HTTP/1.1 -20 X",      "HTTP/1.1 0x1 X",      "HTTP/1.1 2 00 X",
                           "HTTP/1.1  200 OK",    "HTTP/1.1\t200 OK",    "HTTP/1.1 200\tOK",
                           "HTTP/1.1 200",        "HTTP/1.1 ",           "HTTP/1.1",
                           "HTTP/1.1 OK",         "HTTP/1.10 200 OK",    "HTTP/1.2 200 OK",
                           "HTTP/0.9 200 OK",     "HTTP/2.0 200 OK",     "HTTP/3 200 OK",
                           "HTTP/1 200 OK",       "HTTP 200 OK",         "HTTP/1.1 200 O\rK",
                           "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\x7fK", "HTTP/1.1 200 \x1b[0m"}) {
    cases.push_back({line, std::string(line) + "\r\nContent-Length: 0\r\n\r\n"});
  }
  cases.push_back({"NUL in reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"s});
  cases.push_back({"LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"});
  cases.push_back(
      {"long", "HTTP/1.1 200 " + std::string(9000, 'x') + "\r\nContent-Length: 0\r\n\r\n"});
  expect_all_bad_gateway(cases);
}

TEST_P(StrictResponsesTest, FramingInEveryForm) {
  std::vector<Answer> cases;
  for (const char* lines : {"Content-Length: 2\r\nTransfer-Encoding: chunked",
                            "Transfer-Encoding: chunked\r\nContent-Length: 2",
                            "Content-Length: 2\r\nContent-Length: 2",
                            "Content-Length: 2\r\nContent-Length: 3",
                            "Content-Length: 2, 2",
                            "Content-Length: 2, 3",
                            "Content-Length: +2",
                            "Content-Length: -2",
                            "Content-Length: 0x2",
                            "Content-Length: 2 ok",
                            "Content-Length:",
                            "Content-Length: 2\t",
                            "Content-Length: 99999999999999999999",
                            "Content-Length : 2",
                            "Transfer-Encoding: gzip",
                            "Transfer-Encoding: identity",
                            "Transfer-Encoding: chunked, chunked",
                            "Transfer-Encoding: chunked,",
                            "Transfer-Encoding: gzip, chunked",
                            "Transfer-Encoding: chunked, gzip",
                            "Transfer-Encoding: xchunked",
                            "Transfer-Encoding : chunked",
                            "Transfer-Encoding:\tchunked",
                            "Transfer-Encoding:",
                            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
                            "Connection: Content-Length",
                            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
                            "Connection: a b"}) {
    cases.push_back({lines, kOk + lines + "\r\n\r\n2\r\nok\r\n0\r\n\r\n"});
  }
  cases.push_back(
      {"chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"});
  cases.push_back({"204 with a length", "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello"});
  cases.push_back({"204 chunked", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"});
  cases.push_back({"103 with a length", "HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\nhello"});
  cases.push_back({"304 with both",
                   "HTTP/1.1 304 X\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"});
  expect_all_bad_gateway(cases);
}

TEST_P(StrictResponsesTest, FieldsInEveryForm) {
  std::vector<Answer> cases;
  for (const char* line : {"X: a\rb", "X: a\nY: b", "X: a\r\n b", "X: a\r\n\tb", " X: a", "X : a",
                           "X\t: a", ": a", "X", "X Y: a", "X(: a", "X\x80: a", "X: \x01",
                           "X: \x7f", "X: \x1b[0m", "X: a\x0b", "\"X\": a"}) {
    cases.push_back({line, kOk + line + "\r\nContent-Length: 0\r\n\r\n"});
  }
  cases.push_back({"NUL", kOk + "X: a\0b\r\nContent-Length: 0\r\n\r\n"s});
  cases.push_back({"NUL in name", kOk + "X\0Y: a\r\nContent-Length: 0\r\n\r\n"s});
  cases.push_back({"long field", kOk + "X: " + std::string(9000, 'x') + "\r\n\r\n"});
  std::string many = kOk;
  for (int count = 0; count < 101; ++count) many += "X: y\r\n";
  cases.push_back({"many fields", many + "\r\n"});
  std::string large = kOk;
  for (int count = 0; count < 40; ++count) large += "X: " + std::string(1000, 'y') + "\r\n";
  cases.push_back({"large head", large + "\r\n"});
  cases.push_back({"LF ends the head", kOk + "Content-Length: 0\r\n\n"});
  expect_all_bad_gateway(cases);
}

TEST_P(StrictResponsesTest, InterimResponsesThatLeadNowhere) {
  std::string endless;
  for (int count = 0; count < 1000; ++count) endless += "HTTP/1.1 102 X\r\n\r\n";
  expect_all_bad_gateway({
      {"101 that nobody asked for",
       "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x01x"},
      {"101 after 103",
       "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
      {"endless", endless},
      {"endless, and an answer", endless + kOk + "Content-Length: 0\r\n\r\n"},
      {"one that closes", "HTTP/1.1 103 X\r\nConnection: close\r\n\r\n" + kOk + "\r\n"},
      {"garbage behind one", "HTTP/1.1 103 X\r\n\r\ngarbage\r\n"},
      {"chunked", "HTTP/1.1 100 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
  });
}

// What comes with the end of a response and behind it: the server means something that its head
// doesn't say. A client that has been sent nothing is told so; one of HTTP/2 has been sent the head
// of a response with a body.
TEST_P(StrictResponsesTest, BytesBehindTheEndAreNoResponse) {
  start_pair({.workers = 1});
  const std::string chunked = kOk + "Transfer-Encoding: chunked\r\n\r\n";
  const struct {
    const char* name;
    std::string bytes;
    bool with_body = true;
    const char* method = "POST";
  } cases[] = {
      {"known length", kOk + "Content-Length: 2\r\n\r\nok" + kPoison},
      {"one byte", kOk + "Content-Length: 2\r\n\r\nok!"},
      {"a line end", kOk + "Content-Length: 2\r\n\r\nok\r\n"},
      {"chunked", chunked + "2\r\nok\r\n0\r\n\r\n" + kPoison},
      {"chunked, with trailers", chunked + "2\r\nok\r\n0\r\nX: y\r\n\r\n!"},
      {"said to be the last", kOk + "Connection: close\r\nContent-Length: 2\r\n\r\nok!"},
      {"length 0", kOk + "Content-Length: 0\r\n\r\n" + kPoison, false},
      {"length 0 in 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n!", false},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n" + kPoison, false},
      {"204 with a body", "HTTP/1.1 204 No Content\r\n\r\nhello", false},
      {"304 with a body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", false},
      {"304 with chunks",
       "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
      {"204 behind a 103", "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 204 X\r\n\r\n" + kPoison, false},
      {"HEAD with a body", kOk + "Content-Length: 5\r\n\r\nhello", false, "HEAD"},
  };
  AnyClient client = this->client();
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const Response response = ask(client, c.bytes, "keep", c.method);
    if (pair_.h2_client && c.with_body) {
      EXPECT_EQ(verdict(response), kReset) << response.summary();
    } else {
      expect_bad_gateway(response);
    }
    expect_connection_not_used_again();
    const Response next = client.get("/bytes/3");
    EXPECT_EQ(next.body_size, 3u) << "the client's connection goes on: " << next.summary();
    EXPECT_FALSE(next.fields.has("X-Poison"));
  }
}

// A response whose first part has left already: its last bytes stay here, without which it can't
// look whole.
TEST_P(StrictResponsesTest, BytesBehindTheEndOfALongResponseCutIt) {
  std::counting_semaphore<> read{0};
  RawOrigin server([&](RawConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) {
      connection.write(kOk + "Content-Length: 6\r\n\r\nfirst");
      if (!read.try_acquire_for(seconds(10))) return;
      connection.write("!" + kPoison);
    }
  });
  start_pair({.workers = 1,
              .backends = {{"raw", {{"one", server.address()}}}},
              .routes = "[routes.app]\nsplit = { raw = 1 }\n"});
  AnyClient client = this->client();
  if (client.is_h2()) {
    client.begin("GET", "/", 0);
    client.end();
    EXPECT_TRUE(client.h2().wait_until(
        [&] { return client.h2().response(client.stream()).body_size == 5; }));
    read.release();
    EXPECT_EQ(verdict(client.finish()), kReset);
    return;
  }
  ASSERT_TRUE(client.h1().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  const Response response =
      client.h1().read_response({.on_body = [&](std::string_view) { read.release(); }});
  EXPECT_EQ(verdict(response), "cut") << response.summary();
  EXPECT_EQ(response.body_size, 5u);
}

// What comes later is nobody's: the exchange is over, and only the connection dies.
TEST_P(StrictResponsesTest, BytesThatComeLaterPoisonNobody) {
  std::counting_semaphore<> answered{0};
  std::atomic<int> ended = 0;
  RawOrigin server([&](RawConnection& connection) {
    if (connection.read_until("\r\n\r\n").empty()) return;
    connection.write(kOk + "Content-Length: 2\r\n\r\nok");
    if (!answered.try_acquire_for(seconds(10))) return;
    connection.write(kPoison);
    EXPECT_EQ(connection.read_to_end(), "") << "no further request on this connection";
    ++ended;
  });
  start_pair({.workers = 1,
              .backends = {{"raw", {{"one", server.address()}}}},
              .routes = "[routes.app]\nsplit = { raw = 1 }\n"});
  AnyClient client = this->client();
  for (int round = 1; round <= 3; ++round) {
    const Response response = client.get("/");
    EXPECT_EQ(verdict(response), "200") << response.summary();
    EXPECT_EQ(response.body, "ok");
    EXPECT_FALSE(response.fields.has("X-Poison"));
    answered.release();
    EXPECT_TRUE(wait_until([&] { return ended == round; }));
  }
  EXPECT_EQ(server.connections(), 3);
}

struct Cut {
  const char* name;
  std::string bytes;
  const char* then;
};

std::vector<Cut> cuts() {
  const std::string chunked = kOk + "Transfer-Encoding: chunked\r\n\r\n";
  return {
      {"short length", kOk + "Content-Length: 10\r\n\r\nhello", "close"},
      {"short length, reset", kOk + "Content-Length: 10\r\n\r\nhello", "reset"},
      {"no body at all", kOk + "Content-Length: 10\r\n\r\n", "close"},
      {"one byte missing", kOk + "Content-Length: 6\r\n\r\nhello", "close"},
      {"chunked, no last chunk", chunked + "5\r\nhello\r\n", "close"},
      {"chunked, in a size", chunked + "5\r\nhello\r\n5", "close"},
      {"chunked, in data", chunked + "a\r\nhello", "close"},
      {"chunked, in the last line", chunked + "5\r\nhello\r\n0\r\n", "close"},
      {"chunked, in trailers", chunked + "5\r\nhello\r\n0\r\nX: y\r\n", "close"},
      {"chunked, reset", chunked + "5\r\nhello\r\n", "reset"},
      {"chunked, malformed size", chunked + "5\r\nhello\r\n5 \r\nhello\r\n0\r\n\r\n", "keep"},
      {"chunked, bare LF", chunked + "5\r\nhello\r\n5\nhello\r\n0\r\n\r\n", "keep"},
      {"chunked, huge size", chunked + "5\r\nhello\r\nfffffffffffffffff\r\n", "keep"},
      {"chunked, too long data", chunked + "5\r\nhello\r\n2\r\nokay\r\n0\r\n\r\n", "keep"},
      {"chunked, forbidden trailer", chunked + "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
       "keep"},
      {"until close, reset", kOk + "Connection: close\r\n\r\nhello", "reset"},
      {"1.0, until close, reset", "HTTP/1.0 200 OK\r\n\r\nhello", "reset"},
  };
}

// Over TLS an end without close_notify is a cut. In the clear the lack of a head, a length or
// chunks tell one, and without them only a reset does.
void expect_visible_cut(const Response& response, bool tls) {
  EXPECT_FALSE(response.complete()) << response.summary();
  EXPECT_NE(response.outcome, Outcome::timed_out) << response.summary();
  const bool unclean =
      response.ending == Ending::reset || (tls && response.ending == Ending::without_close_notify);
  const bool told =
      response.status == 0 || response.chunked || response.fields.has("Content-Length");
  EXPECT_TRUE(unclean || (!tls && told)) << response.summary();
}

// What can be told from a whole response is told to the client, in each way that it can see.
TEST_P(StrictResponsesTest, ACutIsVisible) {
  start_pair({.workers = 1});
  for (const Cut& c : cuts()) {
    SCOPED_TRACE(c.name);
    if (pair_.h2_client) {
      AnyClient client = this->client();
      const Response response = ask(client, c.bytes, c.then);
      EXPECT_EQ(verdict(response), kReset) << response.summary();
      expect_connection_not_used_again();
      EXPECT_EQ(client.get("/").status, 200) << "the client's connection goes on";
      continue;
    }
    for (const bool tls : {false, true}) {
      for (const char* version : {"1.1", "1.0"}) {
        SCOPED_TRACE(std::string(tls ? "TLS" : "plain") + ", HTTP/" + version);
        auto client = tls ? connect_tls() : connect();
        ASSERT_TRUE(client->send("POST /raw/"s + c.then + " HTTP/" + version +
                                 "\r\nHost: a\r\nContent-Length: " +
                                 std::to_string(c.bytes.size()) + "\r\n\r\n" + c.bytes));
        const Response response = client->read_response();
        // Nothing of it is out yet where one read has brought the fault too, and may be otherwise.
        if (response.status == 502 || c.then == "keep"s) {
          expect_bad_gateway(response);
        } else {
          expect_visible_cut(response, tls);
        }
        expect_connection_not_used_again();
      }
    }
  }
}

}  // namespace
}  // namespace sluice::integration
