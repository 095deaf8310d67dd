#include "proxy/cli/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/base/rfc3339.h"

namespace sluice::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

StatusAnswers well() {
  StatusAnswers answers;
  answers.index = Json::parse(R"({"name": "sluice", "version": "1.2.3", "pid": 7,
      "started": "2026-11-28T08:00:00.000000000Z", "workers": 4, "config": "/etc/s.toml",
      "revision": 42, "epoch": 9, "ready": true,
      "ready_because": "ready: every server has been probed"})");
  answers.weights = Json::parse(R"({"revision": 42, "routes": {"app": {"revision": 42,
      "weights": {"blue": 90, "green": 10},
      "in_force": {"everywhere": true, "workers": 4, "weights": {"blue": 90, "green": 10}},
      "observed": [{"requests": 1000, "share": {"blue": 0.9001, "green": 0.0999}},
                   {"requests": 0, "share": {"blue": 0, "green": 0}}]}}})");
  answers.backends = Json::parse(R"({"backends": {
      "blue": {"servers": [{"name": "one", "address": "127.0.0.1:1", "status": "up",
               "since": "2026-11-28T08:00:01.000000000Z", "takes_new_work": true,
               "draining": false, "running": 3}]},
      "green": {"servers": [{"name": "one", "address": "127.0.0.1:2", "status": "up",
                "since": "2026-11-28T08:00:01.000000000Z", "takes_new_work": true,
                "draining": false, "running": 0}]}}})");
  return answers;
}

WallTime now() {
  return *parse_rfc3339("2026-11-28T12:00:00.000000000Z");
}

TEST(Status, IsWellWhereNothingIsWrong) {
  const Status status = judge_status(well());
  EXPECT_THAT(status.wrong, IsEmpty());
  const std::string text = status_text(well(), status, now());
  EXPECT_THAT(text, HasSubstr("sluice 1.2.3, pid 7, started 4h 0m ago, 4 workers, /etc/s.toml\n"));
  EXPECT_THAT(text, HasSubstr("app    blue     90      90        90.01%     -"));
  EXPECT_THAT(text, HasSubstr("2 of 2 servers take new work"));
  EXPECT_THAT(text, Not(HasSubstr("Wrong")));
  EXPECT_THAT(text, Not(HasSubstr("LEASE")));
}

TEST(Status, SaysThatItIsNotReadyAndWhy) {
  StatusAnswers answers = well();
  answers.index["ready"] = false;
  answers.index["ready_because"] = "not ready: 1 server is not probed yet";
  EXPECT_THAT(judge_status(answers).wrong, ElementsAre(HasSubstr("1 server is not probed yet")));
}

TEST(Status, NamesTheServerThatIsDownAndTheRouteThatNeedsIt) {
  StatusAnswers answers = well();
  Json& server = answers.backends["backends"]["green"]["servers"][0];
  server["status"] = "down";
  server["takes_new_work"] = false;
  server["last_error"] = "connection refused\x1b[2J";
  EXPECT_THAT(judge_status(answers).wrong,
              ElementsAre("Route app sends to green, none of whose servers takes new work",
                          HasSubstr("Server green/one is down since 2026-11-28T08:00:01")));
  EXPECT_THAT(judge_status(answers).wrong[1], HasSubstr(": connection refused?[2J"));
  // With no weight on it the server alone is what is wrong.
  answers.weights["routes"]["app"]["weights"]["green"] = 0;
  EXPECT_EQ(judge_status(answers).wrong.size(), 1u);
}

TEST(Status, NamesTheWorkersThatAreBehind) {
  StatusAnswers answers = well();
  answers.weights["routes"]["app"]["in_force"] = Json::parse(R"({"everywhere": false,
      "workers": 4, "by_worker": [
        {"workers": [0, 1, 3], "revision": 42, "weights": {"blue": 90, "green": 10}},
        {"workers": [2], "revision": 41, "weights": {"blue": 100, "green": 0}}]})");
  const Status status = judge_status(answers);
  EXPECT_THAT(status.wrong, ElementsAre("Route app is not in force on every worker: behind are 2 "
                                        "(revision 41)"));
  EXPECT_THAT(status_text(answers, status, now()), HasSubstr("blue     90      90, 100"));
}

TEST(Status, SaysWhatIsTheMatterWithTheLedger) {
  StatusAnswers answers = well();
  answers.index["ledger"] = Json::parse(R"({"good_copies": 2, "alarm": ""})");
  EXPECT_THAT(judge_status(answers).wrong, IsEmpty());
  EXPECT_THAT(status_text(answers, {}, now()), HasSubstr("Ledger: 2 good copies\n"));
  answers.index["ledger"] = Json::parse(R"({"good_copies": 1, "alarm": "copy b failed"})");
  answers.index["alarms"] =
      Json::parse(R"([{"alarm": "ledger_copy_lost", "reason": "copy b failed"},
      {"alarm": "ledger_write_failed", "reason": "disk full"}])");
  EXPECT_THAT(judge_status(answers).wrong, ElementsAre("The ledger is not well: copy b failed",
                                                       "ledger_write_failed: disk full"));
}

TEST(Status, AWebhookIsWrongOnlyWhileItFails) {
  StatusAnswers answers = well();
  answers.webhooks = Json::parse(R"({"webhooks": [{"name": "page", "failures_in_a_row": 0,
      "last_error": "refused"}]})");
  EXPECT_THAT(judge_status(answers).wrong, IsEmpty()) << "it has succeeded since";
  answers.webhooks["webhooks"][0]["failures_in_a_row"] = 2;
  EXPECT_THAT(judge_status(answers).wrong, ElementsAre("Webhook page fails: refused"));
}

TEST(Status, ADrainIsShownButNotWrong) {
  StatusAnswers answers = well();
  Json& servers = answers.backends["backends"]["blue"]["servers"];
  servers.push_back(servers[0]);
  servers[0]["draining"] = true;
  servers[0]["takes_new_work"] = false;
  const Status status = judge_status(answers);
  EXPECT_THAT(status.wrong, IsEmpty());
  EXPECT_THAT(status_text(answers, status, now()), HasSubstr("draining"));
}

TEST(Status, ShowsLeasesHistoryAndConflicts) {
  StatusAnswers answers = well();
  answers.leases = Json::parse(R"({"leases": [{"revision": 42, "routes": ["app"],
      "deadline": "2026-11-28T12:01:30.000000000Z", "on_lapse": "revert"}]})");
  answers.history = Json::parse(R"({"revisions": [{"revision": 42, "kind": "shift",
      "time": "2026-11-28T11:00:00.000000000Z", "identity": "uid:0", "author": "ci",
      "reason": "release", "changes": [{"route": "app", "before": {"weights": {"blue": 1}},
      "after": {"weights": {"blue": 90, "green": 10}}}]}]})");
  answers.conflicts = Json::parse(R"({"conflicts": [{"route": "app"}]})");
  const std::string text = status_text(answers, judge_status(answers), now());
  EXPECT_THAT(text, HasSubstr("42     app     in 1m 30s  revert"));
  EXPECT_THAT(text, HasSubstr("42        1h 0m ago  shift  ci      release  app blue=90 green=10"));
  EXPECT_THAT(text, HasSubstr("the file and what was shifted to differ"));
}

TEST(Status, OfManyServersOnlyThoseOutOfWorkAreListed) {
  StatusAnswers answers = well();
  Json& servers = answers.backends["backends"]["blue"]["servers"];
  const Json one = servers[0];
  for (int i = 0; i < 40; ++i) {
    servers.push_back(one);
    servers.back()["name"] = "web-" + std::to_string(i);
  }
  servers.back()["status"] = "down";
  servers.back()["takes_new_work"] = false;
  const std::string text = status_text(answers, judge_status(answers), now());
  EXPECT_THAT(text, HasSubstr("41 of 42 servers take new work"));
  EXPECT_THAT(text, HasSubstr("blue/web-39"));
  EXPECT_THAT(text, Not(HasSubstr("blue/web-38")));
}

// A newer or older Sluice, or one that lies: never a crash, and never "well" by mistake.
TEST(Status, OddAnswersAreNotWell) {
  EXPECT_THAT(judge_status({}).wrong, Not(IsEmpty()));
  StatusAnswers answers;
  answers.index = Json::parse(R"({"ready": "yes", "started": 7})");
  answers.weights = Json::parse(R"({"routes": [1, {"weights": 3}]})");
  answers.backends = Json::parse(R"({"backends": {"a": 1, "b": {"servers": [1, {}]}}})");
  answers.history = Json::parse(R"({"revisions": [1, {"changes": 1}, {"changes": [1]}]})");
  const Status status = judge_status(answers);
  EXPECT_THAT(status.wrong, Not(IsEmpty()));
  EXPECT_NE(status_text(answers, status, now()), "");
  EXPECT_EQ(Json::parse(status_json(answers, status))["healthy"], false);
}

}  // namespace
}  // namespace sluice::cli
