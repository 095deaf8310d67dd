// What a client must bear: servers that answer garbage, too much, too slowly, or not at all.
#include <chrono>
#include <thread>

#include "tests/harness/raw_origin.h"
#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

using harness::RawConnection;
using harness::RawOrigin;
using testing::HasSubstr;

class CliHostileTest : public CliTestBase {
 protected:
  // What `sluice WORDS` makes of a server that does this with each of its requests.
  Said against(RawOrigin::Script script, std::vector<std::string> words = {"weights"}) {
    RawOrigin origin(std::move(script));
    words.insert(words.end(), {"--admin", "http://" + origin.address()});
    return run_sluice(words, {}, Deadline(seconds(60)));
  }
  static RawOrigin::Script answering(std::string answer) {
    return [answer = std::move(answer)](RawConnection& connection) {
      connection.read_until("\r\n\r\n");
      connection.write(answer);
      connection.finish_sending();
      connection.read_to_end();
    };
  }
  static std::string response(const std::string& status, const std::string& type,
                              const std::string& body, const std::string& more = {}) {
    return "HTTP/1.1 " + status + "\r\nContent-Type: " + type +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
  }
};

TEST_F(CliHostileTest, WhatIsNoAnswerIsExitStatus3AndSaysWhat) {
  const std::string json = "application/json";
  const struct {
    std::string answer;
    const char* says;
  } cases[] = {
      {"", "hung up without an answer"},
      {"HTTP/1.1", "in the middle of the answer"},
      {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not HTTP as it should be"},
      {std::string(200'000, 'A'), "is not HTTP as it should be"},
      {std::string("\0\x01\x02\xff\xfe\r\n\r\n", 9), "is not HTTP as it should be"},
      {"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", "is not HTTP as it should be"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "is not HTTP"},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", "is not HTTP"},
      {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\": 1",
       "in the middle of the answer"},
      {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ",
       "in the middle of the answer"},
      {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
       "ZZ\r\n",
       "is not HTTP as it should be"},
      {response("200 OK", json, "not json"), "its JSON is none: \"not json\""},
      {response("200 OK", json, "[1, 2]"), "its JSON is none"},
      {response("200 OK", json, std::string(1'000'000, '[')), "its JSON is none"},
      {response("200 OK", "text/html", "<title>\x1b[31mrouter</title>"),
       "it answered 200 OK with text/html: \"<title>?[31mrouter</title>\""},
      {response("302 Found", "text/html", "", "Location: http://evil.example/\r\n"),
       "sends elsewhere (\"http://evil.example/\"); nobody is followed"},
      {response("301 Moved Permanently", json, "{}", "Location: /v1/weights\r\n"), "301"},
      {response("404 Not Found", "text/html", "<h1>nginx</h1>"), "404 Not Found with text/html"},
      {response("404 Not Found", json, "{\"error\": 1}"), "is not Sluice's admin API"},
      {response("502 Bad Gateway", "text/html", "bad gateway"), "is not Sluice's admin API"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "no Content-Type"},
  };
  for (const auto& each : cases) {
    const Said said = against(answering(each.answer));
    EXPECT_EQ(said.code, 3) << each.says << ": " << said.err;
    EXPECT_THAT(said.err, testing::StartsWith("sluice: "));
    EXPECT_THAT(said.err, HasSubstr(each.says)) << each.answer.substr(0, 80);
    EXPECT_EQ(said.out, "") << each.says;
    EXPECT_EQ(said.err.find('\x1b'), std::string::npos);
    EXPECT_LT(said.err.size(), 1000u);
  }
}

TEST_F(CliHostileTest, InterimResponsesWithoutEndAreNoAnswer) {
  const Said said = against([](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    while (connection.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")) {
    }
  });
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("interim responses without end"));
}

TEST_F(CliHostileTest, AnAnswerTooLargeIsGivenUp) {
  const Said said = against([](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
    const std::string piece(1 << 20, 'x');
    while (connection.write(piece)) {
    }
  });
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("longer than 33554432 bytes"));
  EXPECT_EQ(said.out, "");
}

TEST_F(CliHostileTest, ASlowAnswerIsExitStatus4) {
  for (const bool trickles : {false, true}) {
    const auto begin = std::chrono::steady_clock::now();
    const Said said = against(
        [trickles](RawConnection& connection) {
          connection.read_until("\r\n\r\n");
          connection.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
          while (trickles && connection.write("x")) std::this_thread::sleep_for(milliseconds(20));
          connection.read_to_end();
        },
        {"weights", "--timeout", "500ms"});
    EXPECT_EQ(said.code, 4) << said.err;
    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(500));
    EXPECT_EQ(said.out, "");
  }
}

TEST_F(CliHostileTest, AChangeThatMayHaveArrivedSaysSo) {
  Said said = against(answering(""), {"switch", "app", "green"});
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("Whether the call was carried out is not known"));
  // A reader has nothing to look after.
  said = against(answering(""), {"weights"});
  EXPECT_THAT(said.err, testing::Not(HasSubstr("carried out")));
}

TEST_F(CliHostileTest, EveryKindOfRefusalHasItsExitStatus) {
  const struct {
    const char* status;
    int code;
  } cases[] = {{"400 Bad Request", 1},    {"401 Unauthorized", 1}, {"403 Forbidden", 1},
               {"404 Not Found", 1},      {"409 Conflict", 1},     {"412 Precondition Failed", 1},
               {"422 Unprocessable", 1},  {"428 Precondition", 1}, {"429 Too Many Requests", 1},
               {"500 Internal Error", 5}, {"503 Unavailable", 5},  {"504 Gateway Timeout", 4}};
  for (const auto& each : cases) {
    const std::string body =
        R"({"code": "a\u001b_code", "detail": "a\u001b[2Jdetail", "errors": ["one", "two\u0007"]})";
    const Said said = against(answering(response(each.status, "application/problem+json", body)),
                              {"weights", "--json"});
    EXPECT_EQ(said.code, each.code) << each.status << said.err;
    EXPECT_THAT(said.err, HasSubstr("sluice: a?[2Jdetail (a?_code, "));
    EXPECT_THAT(said.err, HasSubstr("\n  one\n  two?\n"));
    EXPECT_EQ(json::parse(said.out)["errors"][0], "one") << "as it came";
  }
}

TEST_F(CliHostileTest, NamesFromAServerNeverReachTheTerminalAsTheyAre) {
  const Said said =
      against(answering(response("200 OK", "application/json",
                                 R"({"route": "\u001b]0;x\u0007", "weights": {"\u009b31m": 1},
                             "warnings": ["\u001b[5m"]})")),
              {"switch", "app", "green"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(said.out, "?]0;x?: ?31m=1\n");
  EXPECT_EQ(said.err, "sluice: warning: ?[5m\n");
  EXPECT_EQ(against(answering(response("200 OK", "text/plain", "a\x1b[31mb\n"))).out, "a?[31mb\n");
}

// The connection was kept from the call before, and closed meanwhile.
TEST_F(CliHostileTest, AReadIsMadeAgainWhereAKeptConnectionHadEnded) {
  const Said said = against(
      [](RawConnection& connection) {
        connection.read_until("\r\n\r\n");
        connection.write(response("200 OK", "application/json", R"({"ready": true})"));
      },
      {"status"});
  EXPECT_EQ(said.code, 0) << said.err;
}

TEST_F(CliHostileTest, TlsThatCannotBeTrustedIsExitStatus3) {
  start();
  const std::string https = sluice_->endpoint("https").text();
  const auto call = [&](const std::string& url, std::vector<std::string> more) {
    std::vector<std::string> words = {"weights", "--admin", url};
    words.insert(words.end(), more.begin(), more.end());
    return run_sluice(words, {});
  };
  const std::string own = directory_->file("server.pem");
  Said said = call("https://" + https, {});
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("TLS: ")) << "the system's authorities know nothing of it";
  // Trusted, but a page of the app's and no admin API.
  said = call("https://" + https, {"--ca-file", own});
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("is not Sluice's admin API"));
  harness::make_certificate(directory_->path(), "other");
  said = call("https://" + https, {"--ca-file", directory_->file("other.pem")});
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("TLS: "));
  // TLS to who speaks none, and none to who speaks TLS.
  said = call("https://" + sluice_->admin().text(), {"--ca-file", own});
  EXPECT_EQ(said.code, 3);
  said = call("http://" + https, {});
  EXPECT_EQ(said.code, 3);
  said = call("https://" + https, {"--ca-file", directory_->file("server.key")});
  EXPECT_EQ(said.code, 2);
  EXPECT_THAT(said.err, HasSubstr("trust anchors"));
}

}  // namespace
}  // namespace sluice::integration
