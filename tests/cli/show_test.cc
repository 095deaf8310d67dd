#include "proxy/cli/show.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

using testing::HasSubstr;

Json json(const char* text) {
  return Json::parse(text);
}

TEST(Show, ACellIsOneLineOfPlainText) {
  EXPECT_EQ(cell_text(json(R"({"blue": 90, "green": 0.5})")), "blue=90 green=0.5");
  EXPECT_EQ(cell_text(json(R"([0, 1, "x"])")), "0, 1, x");
  EXPECT_EQ(cell_text(json("true")), "yes");
  EXPECT_EQ(cell_text(json("null")), "-");
  EXPECT_EQ(cell_text(json(R"({"a": {"b": 1}})")), "a=(b=1)");
  EXPECT_EQ(cell_text(json(R"("a\u001b[2J\nb\u009bc")")), "a?[2J?b?c");
  EXPECT_EQ(cell_text(json(R"({"\u001b": 1})")), "?=1");
}

TEST(Show, AnObjectIsLinesAndTables) {
  EXPECT_EQ(describe(json(R"({"revision": 42, "in_force": {"everywhere": true},
                              "routes": {"app": {"weight": 1}, "api": {"up": 2}},
                              "servers": [{"name": "a", "up": true}, {"name": "b"}]})")),
            "revision:  42\n"
            "in force:  everywhere=yes\n"
            "\n"
            "ROUTES\n"
            "NAME  WEIGHT  UP\n"
            "app   1       -\n"
            "api   -       2\n"
            "\n"
            "SERVERS\n"
            "NAME  UP\n"
            "a     yes\n"
            "b     -\n");
  EXPECT_EQ(describe(json(R"({"list": [{"a": 1}]})")), "LIST\nA\n1\n");
  EXPECT_EQ(describe(json(R"({"dry_run": true, "changes": [],
                              "effect": {"routes": [{"route": "app", "moved_share": 0.1}],
                                         "backends": [{"backend": "blue"}]}})")),
            "dry run:  yes\n"
            "changes:  -\n"
            "\n"
            "EFFECT: ROUTES\n"
            "ROUTE  MOVED SHARE\n"
            "app    0.1\n"
            "\n"
            "EFFECT: BACKENDS\n"
            "BACKEND\n"
            "blue\n");
  EXPECT_EQ(describe(json("{}")), "");
}

TEST(Show, AShiftIsOneLine) {
  EXPECT_EQ(describe_change(json(R"({"route": "app", "revision": 42, "changed": true,
                                     "weights": {"blue": 90, "green": 10},
                                     "before": {"blue": 100, "green": 0},
                                     "in_force": {"everywhere": true, "workers": 4}})")),
            "app: blue=90 green=10, revision 42, was blue=100 green=0\n");
  EXPECT_EQ(describe_change(json(R"({"route": "app", "revision": 43, "changed": true, "of": 41,
                                     "weights": {"blue": 1}, "before": {"blue": 9}})")),
            "app: blue=1, revision 43, as in revision 41, was blue=9\n");
  EXPECT_EQ(describe_change(json(R"({"route": "app", "revision": 42, "changed": false,
                                     "weights": {"blue": 90}})")),
            "app: blue=90, revision 42, unchanged\n");
}

TEST(Show, WhatElseAChangeSaysStandsBehindItsLine) {
  const std::string text = describe_change(
      json(R"({"route": "app", "revision": 7, "changed": true, "weights": {"blue": 1},
               "warnings": ["for the standard error"],
               "lease": {"revision": 7, "deadline": "2026-01-01", "on_lapse": "revert"}})"));
  EXPECT_THAT(text, HasSubstr("lease:  revision=7 deadline=2026-01-01 on_lapse=revert\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("standard error")));
}

TEST(Show, ADrainIsOneLine) {
  EXPECT_EQ(describe_change(json(R"({"changed": true, "safe_to_stop": false, "backend": "blue",
                                     "revision": 5,
                                     "server": {"name": "web-1", "draining": true,
                                                "safe_to_stop": false, "running": 3}})")),
            "blue/web-1: draining, 3 running, revision 5\n");
  EXPECT_EQ(describe_change(json(R"({"changed": false, "safe_to_stop": true, "backend": "blue",
                                     "revision": 5,
                                     "server": {"name": "web-1", "draining": true,
                                                "safe_to_stop": true}})")),
            "blue/web-1: drained, safe to stop, revision 5, unchanged\n");
  EXPECT_THAT(describe_change(json(R"({"changed": true, "backend": "blue", "revision": 6,
                                       "server": {"name": "web-1", "draining": false,
                                                  "takes_new_work": false, "status": "down"}})")),
              HasSubstr("takes no new work yet, status down"));
}

// What an answer lacks or has of the wrong kind must harm nobody.
TEST(Show, OddAnswersAreShownAsTheyAre) {
  for (const char* odd : {R"({"route": 1, "weights": null})", R"({"backend": "b", "server": 1})",
                          R"({"backend": {}, "server": {}})", R"({"warnings": 1, "x": [[[]]]})",
                          R"({"a": [{}, {}]})", R"({"a": {"b": {}}})"}) {
    EXPECT_NE(describe_change(json(odd)) + "x", "") << odd;
  }
}

}  // namespace
}  // namespace sluice::cli
