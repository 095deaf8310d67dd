// POST /rollback/ROUTE where what it goes back to is not there: servers that are not healthy yet
// (`wait=healthy`), and backends that left the file. By curl's means and by the command line's.
#include <future>

#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class RollbackTest : public CliTestBase {
 protected:
  // After the first round nobody is probed but for those who wait for it.
  static constexpr const char* kHealth =
      "interval = \"10m\"\nsettle_interval = \"50ms\"\nrise = 1\nfall = 1";
  static constexpr const char* kOnlyBlue = "[routes.app]\nsplit = { blue = 1 }\n";

  // All on green, and blue, where a rollback would go, unhealthy.
  void start_with_blue_ill(const char* health = kHealth) {
    blue_.set_health(500);
    start({.health = health});
    ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
    ASSERT_TRUE(wait_for_status("blue", "one", "down"));
  }
  Scenario only_blue() const {
    return {
        .health = kHealth, .backends = {{"blue", {{"one", blue_.address()}}}}, .routes = kOnlyBlue};
  }
  std::future<Response> roll_back(std::string query, std::string form = "", Fields fields = {}) {
    return std::async(std::launch::async, [this, query, form, fields] {
      return admin("POST", "/rollback/app" + query, form, fields);
    });
  }
  // While a call waits, the servers that it waits for are probed.
  void await_that_it_waits(const std::future<Response>& call) {
    ASSERT_TRUE(blue_.wait_for_health_probes(blue_.counts().health_probes + 3));
    ASSERT_EQ(call.wait_for(seconds(0)), std::future_status::timeout) << "it did not wait";
  }
  void expect_stale_after_another_change(Fields fields) {
    std::future<Response> call = roll_back("?wait=healthy&timeout=60s", "", std::move(fields));
    await_that_it_waits(call);
    ASSERT_EQ(admin("PUT", "/weights/app", "blue=0&green=7").status, 200);
    const Response stale = call.get();
    EXPECT_EQ(code(stale), "412 stale") << stale.summary();
    EXPECT_THAT(detail(stale), HasSubstr("is at revision 3, not 2"));
    EXPECT_EQ(stale.field("ETag"), "\"3\"");
    EXPECT_EQ(weights(), R"({"blue":0,"green":7})");
  }
  std::string ledger() { return admin("GET", "/ledger").body; }
  std::string weights() { return admin_json("/weights/app")["weights"].dump(); }
  static std::string code(const Response& response) {
    const json body = parse_json(response);
    return body.is_object() ? std::to_string(response.status) + " " + body.value("code", "")
                            : response.summary();
  }
  static std::string detail(const Response& response) {
    return parse_json(response).value("detail", "");
  }
  static Fields if_match(const std::string& etag) {
    Fields fields;
    fields.add("If-Match", etag);
    return fields;
  }
};

TEST_F(RollbackTest, WithHealthyServersItWaitsForNothing) {
  start({.health = kHealth});
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  const Response back = admin("POST", "/rollback/app?wait=healthy&timeout=0ms");
  ASSERT_EQ(back.status, 200) << back.summary();
  EXPECT_EQ(parse_json(back)["of"], 1);
  EXPECT_EQ(get("/").field("X-Backend"), "blue");
}

TEST_F(RollbackTest, ItWaitsUntilTheServerIsHealthyAndThenSwitches) {
  start_with_blue_ill();
  const std::string before = ledger();
  const Response refused = admin("POST", "/rollback/app");
  EXPECT_EQ(code(refused), "409 no_healthy_server");
  EXPECT_THAT(detail(refused),
              AllOf(HasSubstr("\"app\""), HasSubstr("\"blue\""), HasSubstr("wait=healthy")));
  const std::uint64_t requests = blue_.counts().requests;
  std::future<Response> call = roll_back("?wait=healthy&timeout=60s", "author=ci");
  await_that_it_waits(call);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_EQ(ledger(), before);
  EXPECT_EQ(blue_.counts().requests, requests);
  blue_.set_health(200);
  const Response back = call.get();
  ASSERT_EQ(back.status, 200) << back.summary();
  EXPECT_EQ(parse_json(back)["of"], 1);
  EXPECT_EQ(parse_json(back)["weights"], json::parse(R"({"blue": 1, "green": 0})"));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/").field("X-Backend"), "blue");
  const json last = admin_json("/history?limit=1")["revisions"][0];
  EXPECT_EQ(last["kind"], "rollback");
  EXPECT_EQ(last["author"], "ci");
}

TEST_F(RollbackTest, AWaitInVainIs504AndChangesNothing) {
  start_with_blue_ill("interval = \"200ms\"\nrise = 1\nfall = 1");
  const std::string before = ledger();
  const std::string etag = admin("GET", "/weights/app").field("ETag");
  for (const char* form : {"", "to=1"}) {
    const Response late = admin("POST", "/rollback/app?wait=healthy&timeout=300ms", form);
    EXPECT_EQ(code(late), "504 not_healthy") << form;
    EXPECT_THAT(detail(late),
                AllOf(HasSubstr("After 0.3 s nothing was changed"), HasSubstr("\"blue\"")));
  }
  EXPECT_EQ(ledger(), before);
  EXPECT_EQ(admin("GET", "/weights/app").field("ETag"), etag);
  EXPECT_EQ(get("/").field("X-Backend"), "green");
  // Nothing is left behind that would come true later.
  blue_.set_health(200);
  ASSERT_TRUE(wait_for_status("blue", "one", "up"));
  EXPECT_EQ(ledger(), before);
  EXPECT_EQ(get("/").field("X-Backend"), "green");
}

TEST_F(RollbackTest, WhatCantBeRightIsNotWaitedFor) {
  start_with_blue_ill();
  const std::string before = ledger();
  const std::string wait = "/rollback/app?wait=healthy&timeout=10m";
  EXPECT_EQ(code(admin("POST", wait, "to=99")), "404 unknown_revision");
  EXPECT_EQ(code(admin("POST", wait, "to=now")), "422 bad_parameter");
  EXPECT_EQ(code(admin("POST", wait, "", if_match("\"1\""))), "412 stale");
  EXPECT_EQ(code(admin("POST", "/rollback/app?wait=60s")), "422 bad_wait");
  EXPECT_EQ(code(admin("POST", "/rollback/app?timeout=60s")), "422 bad_parameter");
  EXPECT_EQ(ledger(), before);
}

TEST_F(RollbackTest, G7AStepBackThatWaitsUndoesNobodyElsesChange) {
  start_with_blue_ill();
  expect_stale_after_another_change({});
}

TEST_F(RollbackTest, G7AStepBackOfANamedRevisionUndoesNobodyElsesChange) {
  start_with_blue_ill();
  expect_stale_after_another_change(if_match("\"2\""));
}

TEST_F(RollbackTest, ARevisionThatIsNamedStaysTheOneThatIsMeant) {
  start_with_blue_ill();
  std::future<Response> call = roll_back("?wait=healthy&timeout=60s", "to=1");
  await_that_it_waits(call);
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=0&green=7").status, 200);
  blue_.set_health(200);
  const Response back = call.get();
  ASSERT_EQ(back.status, 200) << back.summary();
  EXPECT_EQ(parse_json(back)["of"], 1);
  EXPECT_EQ(weights(), R"({"blue":1,"green":0})");
}

TEST_F(RollbackTest, ABackendThatLeftTheFileIs409AndChangesNothing) {
  start({.health = kHealth});
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=3").status, 200);
  ASSERT_TRUE(reload(only_blue()));
  for (int i = 0; i < 2; ++i) {
    const std::string before = ledger();
    for (const char* query : {"", "?wait=healthy&timeout=10m", "?force=true", "?dry_run=true"}) {
      for (const char* form : {"", "to=2"}) {
        const Response gone = admin("POST", std::string("/rollback/app") + query, form);
        EXPECT_EQ(code(gone), "409 backend_gone") << query << form;
        EXPECT_THAT(detail(gone), AllOf(HasSubstr("\"app\""), HasSubstr("\"green\""),
                                        HasSubstr("no longer"), HasSubstr("to=")));
      }
    }
    EXPECT_EQ(ledger(), before);
    EXPECT_EQ(weights(), R"({"blue":1})");
    EXPECT_EQ(get("/").field("X-Backend"), "blue");
    if (i == 0) kill_and_restart(only_blue());
  }
  // Where it had no weight it is not missed.
  const Response back = admin("POST", "/rollback/app", "to=1");
  EXPECT_EQ(back.status, 200) << back.summary();
  EXPECT_EQ(weights(), R"({"blue":1})");
}

TEST_F(RollbackTest, ABackendThatLeavesTheFileEndsTheWaitForIt) {
  start_with_blue_ill();
  std::future<Response> call = roll_back("?wait=healthy&timeout=10m", "to=1");
  await_that_it_waits(call);
  ASSERT_TRUE(reload({.health = kHealth,
                      .backends = {{"green", {{"one", green_.address()}}}},
                      .routes = "[routes.app]\nsplit = { green = 1 }\n"}));
  const Response gone = call.get();
  EXPECT_EQ(code(gone), "409 backend_gone");
  EXPECT_THAT(detail(gone), HasSubstr("\"blue\""));
  EXPECT_EQ(weights(), R"({"green":1})");
}

TEST_F(RollbackTest, TheCommandLineWaitsAndTellsWhatCame) {
  start_with_blue_ill();
  const std::string before = ledger();
  Said said = sluice({"rollback", "app"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("(no_healthy_server, 409)"));
  said = sluice({"rollback", "app", "--to", "1", "--wait=300ms", "--if-match", "2"});
  EXPECT_EQ(said.code, 4);
  EXPECT_THAT(said.err, HasSubstr("(not_healthy, 504)"));
  said = sluice({"rollback", "app", "--wait=10m", "--if-match", "1"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("(stale, 412)"));
  EXPECT_EQ(ledger(), before);
  auto waiting = std::async(std::launch::async, [this] {
    return sluice({"rollback", "app", "--to", "1", "--wait", "--if-match", "2"});
  });
  ASSERT_TRUE(blue_.wait_for_health_probes(blue_.counts().health_probes + 3));
  blue_.set_health(200);
  said = waiting.get();
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("app: blue=1 green=0, revision 3"));
  ASSERT_TRUE(reload(only_blue()));
  said = sluice({"rollback", "app", "--to", "2", "--wait"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, AllOf(HasSubstr("(backend_gone, 409)"), HasSubstr("\"green\"")));
}

}  // namespace
}  // namespace sluice::integration
