// Every command makes the call that docs/admin-api.md has for it: seen by a server that writes it
// down.
#include <mutex>

#include "tests/harness/raw_origin.h"
#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

using harness::RawConnection;
using harness::RawOrigin;
using testing::HasSubstr;

class CliCallsTest : public CliTestBase {
 protected:
  // The request that a command makes, whole.
  std::string request_of(std::vector<std::string> words, const Environment& environment = {}) {
    std::mutex mutex;
    std::string request;
    RawOrigin origin([&](RawConnection& connection) {
      std::string head = connection.read_until("\r\n\r\n");
      std::string body;
      const std::size_t length = head.find("Content-Length: ");
      if (length != std::string::npos)
        body = connection.read_bytes(std::stoul(head.substr(length + 16)));
      {
        const std::lock_guard lock(mutex);
        request = head + body;
      }
      connection.write(
          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    });
    words.insert(words.end(), {"--admin", "http://" + origin.address()});
    Environment all = {{"SLUICE_AUTHOR", "ci"}};
    all.insert(environment.begin(), environment.end());
    const Said said = run_sluice(words, all);
    EXPECT_EQ(said.code, 0) << testing::PrintToString(words) << said.err;
    const std::lock_guard lock(mutex);
    return request;
  }
};

TEST_F(CliCallsTest, EachCommandMakesItsCall) {
  const struct {
    std::vector<std::string> words;
    const char* line;
    const char* body = "";
  } cases[] = {
      {{"weights"}, "GET /v1/weights?format=text"},
      {{"weights", "app", "--json"}, "GET /v1/weights/app"},
      {{"shift", "app", "blue=90", "green=10"},
       "PUT /v1/weights/app?author=ci",
       "{\n  \"weights\": {\"blue\": 90, \"green\": 10}\n}\n"},
      {{"shift", "app", "green=33.333", "--part"},
       "PATCH /v1/weights/app?author=ci",
       "{\n  \"weights\": {\"green\": 33.333}\n}\n"},
      {{"shift", "app:blue=0.000001,green=1", "api:blue=0,green=999999999.999999"},
       "POST /v1/shifts?author=ci",
       "{\n  \"routes\": {\n    \"app\": {\n      \"weights\": {\"blue\": 0.000001, \"green\": 1}\n"
       "    },\n    \"api\": {\n      \"weights\": {\"blue\": 0, \"green\": 999999999.999999}\n"
       "    }\n  }\n}\n"},
      {{"shift", "app:blue=1", "api:blue=1", "--if-match", "app=42"},
       "POST /v1/shifts?author=ci",
       "{\n  \"routes\": {\n    \"app\": {\n      \"weights\": {\"blue\": 1},\n"
       "      \"if_match\": \"\\\"42\\\"\"\n    },\n    \"api\": {\n      \"weights\": {\"blue\": "
       "1}\n"
       "    }\n  }\n}\n"},
      {{"switch", "app", "green"}, "POST /v1/switch/app?to=green&author=ci"},
      {{"switch", "app", "green", "--dry-run"},
       "POST /v1/switch/app?to=green&author=ci&dry_run=true"},
      {{"switch", "app", "green", "--wait"},
       "POST /v1/switch/app?to=green&author=ci&wait=healthy&timeout=30s"},
      {{"switch", "app", "green", "--wait", "2m", "--ttl=60s", "--on-lapse", "freeze", "--force"},
       "POST /v1/switch/app?to=green&author=ci&force=true&ttl=60s&on_lapse=freeze&wait=healthy&"
       "timeout=2m"},
      {{"rollback", "app"}, "POST /v1/rollback/app?author=ci"},
      {{"rollback", "app", "--to", "41"}, "POST /v1/rollback/app?to=41&author=ci"},
      {{"rollback", "app", "--to", "41", "--wait=5s", "--if-match", "42"},
       "POST /v1/rollback/app?to=41&author=ci&wait=healthy&timeout=5s"},
      {{"states", "app", "blue=sticky_only", "green=active"},
       "PUT /v1/states/app?author=ci",
       "{\n  \"blue\": \"sticky_only\",\n  \"green\": \"active\"\n}\n"},
      {{"states", "app", "blue=off", "--part"},
       "PATCH /v1/states/app?author=ci",
       "{\n  \"blue\": \"off\"\n}\n"},
      {{"maintenance", "on", "app", "--retry-after", "120s"},
       "POST /v1/maintenance/app?retry_after=120s&author=ci"},
      {{"maintenance", "off", "app"}, "DELETE /v1/maintenance/app?author=ci"},
      {{"maintenance", "on", "app", "--ttl", "10m", "--on-lapse", "freeze"},
       "POST /v1/maintenance/app?author=ci&ttl=10m&on_lapse=freeze"},
      {{"maintenance", "off", "app", "--wait=5s"},
       "DELETE /v1/maintenance/app?author=ci&wait=healthy&timeout=5s"},
      {{"servers"}, "GET /v1/backends?format=text"},
      {{"servers", "blue"}, "GET /v1/backends/blue?format=text"},
      {{"servers", "add", "blue", "10.0.0.7:80", "--name", "web-3", "--weight", "0.5"},
       "POST /v1/servers/blue?address=10.0.0.7%3A80&name=web-3&weight=0.5&author=ci"},
      {{"servers", "weight", "blue/web-3", "2"}, "PATCH /v1/servers/blue/web-3?weight=2&author=ci"},
      {{"servers", "remove", "blue/web-3", "--force"},
       "DELETE /v1/servers/blue/web-3?author=ci&force=true"},
      {{"drain", "blue/web-1"}, "POST /v1/servers/blue/web-1/drain?author=ci"},
      {{"drain", "blue", "unix:/run/a.sock", "--wait=5s"},
       "POST /v1/servers/blue/unix%3A/run/a.sock/drain?author=ci&wait=5s"},
      {{"drain", "blue"}, "POST /v1/backends/blue/drain?author=ci"},
      {{"drain", "blue", "--force"}, "POST /v1/backends/blue/drain?author=ci&force=true"},
      {{"resume", "blue/web-1", "--wait"}, "POST /v1/servers/blue/web-1/resume?author=ci&wait=60s"},
      {{"history"}, "GET /v1/history?limit=20&format=text"},
      {{"history", "app", "-n", "5", "--before", "42", "--json"},
       "GET /v1/history/app?limit=5&before=42"},
      {{"revision", "42"}, "GET /v1/revisions/42?format=text"},
      {{"leases"}, "GET /v1/leases?format=text"},
      {{"leases", "keep", "42"}, "DELETE /v1/leases/42?author=ci"},
      {{"leases", "renew", "42", "--ttl", "60s"}, "POST /v1/leases/42/renew?author=ci&ttl=60s"},
      {{"reload"}, "POST /v1/reload"},
      {{"rollback", "app", "--reason", "slow & wrong"},
       "POST /v1/rollback/app?author=ci&reason=slow%20%26%20wrong"},
      {{"explain", "http://app.example:8080/cart?a=b"},
       "GET /v1/explain?host=app.example%3A8080&path=%2Fcart%3Fa%3Db&format=text"},
      {{"explain", "/", "--host", "a", "--method", "POST", "--header", "X: y", "--header", "Z: w",
        "--client", "10.0.0.1", "--cookie", "s=1"},
       "GET /v1/explain?host=a&path=%2F&method=POST&header=X%3A%20y&header=Z%3A%20w&"
       "client=10.0.0.1&cookie=s%3D1&format=text"},
  };
  for (const auto& each : cases) {
    const std::string request = request_of(each.words);
    EXPECT_EQ(request.substr(0, request.find(" HTTP/1.1\r\n")), each.line)
        << testing::PrintToString(each.words);
    EXPECT_EQ(request.substr(std::min(request.find("\r\n\r\n") + 4, request.size())), each.body)
        << testing::PrintToString(each.words);
  }
}

TEST_F(CliCallsTest, WhoAsksAndOnWhatConditionStandsInTheHead) {
  std::string request = request_of({"switch", "app", "green", "--if-match", "42",
                                    "--idempotency-key", "run-7", "--author", "ann"});
  EXPECT_THAT(request, HasSubstr("\r\nIf-Match: \"42\"\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nIdempotency-Key: run-7\r\n"));
  EXPECT_THAT(request, HasSubstr("author=ann "));
  EXPECT_THAT(request, testing::Not(HasSubstr("Authorization")));
  EXPECT_THAT(request_of({"switch", "app", "green", "--if-match", "\"42\""}),
              HasSubstr("\r\nIf-Match: \"42\"\r\n"));
  EXPECT_THAT(request_of({"switch", "app", "green", "--if-match", "*"}),
              HasSubstr("\r\nIf-Match: *\r\n"));
}

TEST_F(CliCallsTest, ATokenComesFromAFileOrTheEnvironment) {
  harness::write_file(directory_->file("token"), "from-file\r\nsecond line\n");
  const std::string from_file = "\r\nAuthorization: Bearer from-file\r\n";
  EXPECT_THAT(request_of({"weights", "--token-file", directory_->file("token")}),
              HasSubstr(from_file));
  EXPECT_THAT(request_of({"weights"}, {{"SLUICE_TOKEN_FILE", directory_->file("token")},
                                       {"SLUICE_TOKEN", "from-environment"}}),
              HasSubstr(from_file));
  EXPECT_THAT(request_of({"weights"}, {{"SLUICE_TOKEN", "from-environment"}}),
              HasSubstr("\r\nAuthorization: Bearer from-environment\r\n"));
}

// A server that breaks off in the middle of an event: nothing is lost, and nothing comes twice.
TEST_F(CliCallsTest, EventsGoOnBehindTheLastOneThatWasSeen) {
  std::mutex mutex;
  std::vector<std::string> heads;
  RawOrigin origin([&](RawConnection& connection) {
    const std::string head = connection.read_until("\r\n\r\n");
    std::size_t number;
    {
      const std::lock_guard lock(mutex);
      heads.push_back(head);
      number = heads.size();
    }
    connection.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    if (number == 1) {
      connection.write(": hello\n\nid: 1\nevent: shift\ndata: {\"route\": \"a\\u001b[2J\"}\n\n");
      connection.write("id: 2\nevent: health\nda");
      return;
    }
    if (number == 2) {
      connection.write("id: 2\nevent: health\ndata: {\"time\": \"T\", \"server\": \"b\"}\n\n");
      connection.reset();
      return;
    }
    connection.write("id: 3\nevent: drain\ndata: {\"n\": 3}\n\n");
    connection.read_to_end();
  });
  const Said said =
      run_sluice({"events", "--follow", "--type", "shift", "--type", "health,drain", "--since", "0",
                  "--count", "3", "--admin", "http://" + origin.address()},
                 {});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(said.out,
            "1  -  shift  route=a?[2J\n"
            "2  T  health  server=b\n"
            "3  -  drain  n=3\n");
  ASSERT_EQ(heads.size(), 3u);
  EXPECT_THAT(heads[0], HasSubstr("GET /v1/events?types=shift%2Chealth%2Cdrain&since=0 HTTP"));
  EXPECT_THAT(heads[1], HasSubstr("\r\nLast-Event-ID: 1\r\n"));
  EXPECT_THAT(heads[1], testing::Not(HasSubstr("since")));
  EXPECT_THAT(heads[2], HasSubstr("\r\nLast-Event-ID: 2\r\n"));
}

TEST_F(CliCallsTest, EventsEndWhereTheyAreRefusedOrNobodyIsThere) {
  RawOrigin refusing([](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\n"
        "Content-Length: 35\r\n\r\n{\"code\": \"no\", \"detail\": \"not you\"}");
  });
  Said said = run_sluice({"events", "--follow", "--admin", "http://" + refusing.address()}, {});
  EXPECT_EQ(said.code, 1) << said.err;
  EXPECT_THAT(said.err, HasSubstr("not you (no, 403)"));
  said = run_sluice({"events", "--follow", "--admin", "unix:/nonexistent"}, {});
  EXPECT_EQ(said.code, 3);
}

}  // namespace
}  // namespace sluice::integration
