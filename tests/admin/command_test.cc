// Whole calls: handled, planned, applied and rendered as control does it.
#include <gtest/gtest.h>

#include "admin/api.h"
#include "admin/render.h"
#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::field;
using testing::json_of;
using testing::make_request;
using testing::Node;
using testing::outcome;

TEST(Shifts, PutStatesTheWholeSplit) {
  Node node;
  const Reply reply = node.call("PUT", "/weights/app", "blue=50&green=50");
  EXPECT_EQ(outcome(reply), "200");
  EXPECT_EQ(node.weights("app"), "blue=50 green=50");
  EXPECT_EQ(node.weights("api.v2"), "blue=1 green=0");
  EXPECT_EQ(field(reply, "ETag"), "\"2\"");
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.body,
            "{\n"
            "  \"route\": \"app\",\n"
            "  \"revision\": 2,\n"
            "  \"changed\": true,\n"
            "  \"weights\": {\"blue\": 50, \"green\": 50},\n"
            "  \"before\": {\"blue\": 90, \"green\": 10},\n"
            "  \"in_force\": {\"everywhere\": true, \"workers\": 4}\n"
            "}\n");
  EXPECT_EQ(reply.note, "app: blue=50 green=50");
}

TEST(Shifts, PatchChangesAPart) {
  Node node;
  EXPECT_EQ(outcome(node.call("PATCH", "/weights/app", "green=0.25")), "200");
  EXPECT_EQ(node.weights("app"), "blue=90 green=0.25");
}

TEST(Shifts, WeightsAreTakenAndGivenExactly) {
  Node node;
  const Reply reply =
      node.call_json("PUT", "/weights/app", R"({"blue": 999999999.999999, "green": 0.000001})");
  EXPECT_EQ(outcome(reply), "200");
  EXPECT_NE(reply.body.find("{\"blue\": 999999999.999999, \"green\": 0.000001}"), std::string::npos)
      << reply.body;
}

TEST(Shifts, AnswerAsTextWhereAsked) {
  Node node;
  const Reply done = node.call("PUT", "/weights/app?format=text", "blue=0&green=100");
  EXPECT_EQ(done.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(done.body, "app: blue=0 green=100, revision 2, was blue=90 green=10\n");
  const Reply again = node.call("PUT", "/weights/app?format=text", "blue=0&green=100");
  EXPECT_EQ(again.body, "app: blue=0 green=100, revision 2, unchanged\n");
}

TEST(Shifts, WhatIsAlreadySoChangesNothing) {
  Node node;
  const Reply reply = node.call("PUT", "/weights/app", "green=10&blue=90.0");
  EXPECT_EQ(outcome(reply), "200");
  EXPECT_EQ(node.state.revision(), 1u);
  EXPECT_EQ(field(reply, "ETag"), "\"1\"");
  EXPECT_EQ(json_of(reply)["changed"], false);
  EXPECT_FALSE(json_of(reply).contains("before"));
}

TEST(Shifts, BadOnesChangeNothingAndNameWhatIsWrong) {
  const struct {
    const char* method;
    const char* body;
    const char* expected;
    const char* said;
  } cases[] = {
      {"PUT", "", "422 bad_split", "\"blue\", \"green\""},
      {"PUT", "blue=90", "422 bad_split", "\"green\""},
      {"PATCH", "", "422 bad_split", "no weight is stated"},
      {"PUT", "blue=90&gren=10", "422 unknown_backend", "did you mean \"green\"?"},
      {"PUT", "blue=90&green=10&red=1", "422 unknown_backend", "\"red\""},
      {"PUT", "blue=90&blue=90&green=10", "422 bad_split", "\"blue\" is stated more than once"},
      {"PATCH", "blue=90&blue=90", "422 bad_split", "\"blue\" is stated more than once"},
      {"PUT", "blue=0&green=0", "422 bad_split", "all zero"},
      {"PUT", "blue=0.0&green=0.000000", "422 bad_split", "all zero"},
      {"PUT", "blue=-1&green=1", "422 bad_split", "\"-1\""},
      {"PUT", "blue=NaN&green=1", "422 bad_split", "\"NaN\""},
      {"PUT", "blue=inf&green=1", "422 bad_split", "\"inf\""},
      {"PUT", "blue=1e3&green=1", "422 bad_split", "\"1e3\""},
      {"PUT", "blue=0x10&green=1", "422 bad_split", "\"0x10\""},
      {"PUT", "blue=%2B1&green=1", "422 bad_split", "\"+1\""},
      {"PUT", "blue=1%25&green=1", "422 bad_split", "\"1%\""},
      {"PUT", "blue=+1&green=1", "422 bad_split", "\" 1\""},
      {"PUT", "blue=&green=1", "422 bad_split", "\"\""},
      {"PUT", "blue=.5&green=1", "422 bad_split", "\".5\""},
      {"PUT", "blue=1.0000001&green=1", "422 bad_split", "\"1.0000001\""},
      {"PUT", "blue=1000000001&green=1", "422 bad_split", "\"1000000001\""},
      {"PUT", "blue=99999999999999999999999999&green=1", "422 bad_split", "\"9999999"},
      {"PUT", "blue=1&green=%ff%00", "422 bad_split", "\"??\""},
      {"PUT", "%ff=1&blue=1&green=1", "422 unknown_backend", "\"?\""},
  };
  for (const auto& test : cases) {
    Node node;
    const Reply reply = node.call(test.method, "/weights/app", test.body);
    EXPECT_EQ(outcome(reply), test.expected) << test.body;
    const std::string detail = json_of(reply)["detail"];
    EXPECT_NE(detail.find(test.said), std::string::npos) << test.body << ": " << detail;
    EXPECT_EQ(node.state.revision(), 1u);
    EXPECT_EQ(node.weights("app"), "blue=90 green=10");
  }
}

TEST(Shifts, JsonIsJudgedAsStrictly) {
  const struct {
    const char* body;
    const char* expected;
  } cases[] = {
      {R"({"weights": {"blue": 1, "green": 2}})", "200"},
      {R"({"blue": 1, "green": 2, "author": "ci", "reason": "x"})", "200"},
      {R"({})", "422 bad_split"},
      {R"({"weights": {}})", "422 bad_split"},
      {R"({"blue": 1})", "422 bad_split"},
      {R"({"blue": 1, "blue": 1, "green": 1})", "422 bad_split"},
      {R"({"blue": -1, "green": 1})", "422 bad_split"},
      {R"({"blue": 1e2, "green": 1})", "422 bad_split"},
      {R"({"blue": 0.0000001, "green": 1})", "422 bad_split"},
      {R"({"blue": 0, "green": 0})", "422 bad_split"},
      {R"({"blue": 1, "green": 1, "red": 0})", "422 unknown_backend"},
      {R"({"blue": "1", "green": "1"})", "422 bad_weight"},
      {R"({"blue": 1, "green": 1, "author": 7})", "422 bad_parameter"},
      {R"({"blue": 1, "green": 1, "author": ""})", "200"},
      {R"({"blue": 1, "green": )", "400 bad_json"},
  };
  for (const auto& test : cases) {
    Node node;
    EXPECT_EQ(outcome(node.call_json("PUT", "/weights/app", test.body)), test.expected)
        << test.body;
  }
}

TEST(Shifts, HugeBodiesAreRefused) {
  Node node;
  EXPECT_EQ(outcome(node.call("PUT", "/weights/app", "blue=" + std::string(1 << 20, '9'))),
            "413 body_too_large");
  EXPECT_EQ(outcome(node.call("PUT", "/weights/app", "blue=" + std::string(60'000, '9'))),
            "422 bad_split");
}

TEST(Shifts, NoUpdateIsLost) {
  Node node;
  Request first = make_request("PUT", "/weights/app", "blue=80&green=20");
  first.if_match = field(node.call("GET", "/weights/app"), "ETag");
  Request second = first;
  second.body = "blue=10&green=90";
  EXPECT_EQ(outcome(node.call(first)), "200");
  const Reply stale = node.call(second);
  EXPECT_EQ(outcome(stale), "412 stale");
  EXPECT_EQ(field(stale, "ETag"), "\"2\"");
  EXPECT_EQ(json_of(stale)["revision"], 2);
  EXPECT_EQ(node.weights("app"), "blue=80 green=20");
  second.if_match = field(stale, "ETag");
  EXPECT_EQ(outcome(node.call(second)), "200");
  EXPECT_EQ(node.weights("app"), "blue=10 green=90");
}

TEST(Shifts, OfOneRouteLeaveTheETagsOfOthersAlone) {
  Node node;
  node.call("PUT", "/weights/app", "blue=80&green=20");
  EXPECT_EQ(field(node.call("GET", "/weights/api.v2"), "ETag"), "\"1\"");
  EXPECT_EQ(field(node.call("GET", "/weights/app"), "ETag"), "\"2\"");
}

TEST(Switches, GiveAllToOne) {
  Node node;
  const Reply reply = node.call("POST", "/switch/app", "to=green");
  EXPECT_EQ(outcome(reply), "200");
  EXPECT_EQ(json_of(reply)["weights"], (nlohmann::json{{"blue", 0}, {"green", 100}}));
  EXPECT_EQ(json_of(reply)["before"], (nlohmann::json{{"blue", 90}, {"green", 10}}));
  EXPECT_EQ(outcome(node.call("POST", "/switch/app", "to=gren")), "422 unknown_backend");
  EXPECT_EQ(json_of(node.call("POST", "/switch/app", "to=green"))["changed"], false);
}

TEST(Drains, SayWhetherTheServerIsSafeToStop) {
  Node node;
  node.server("blue", "web-1").running = 3;
  const Reply busy = node.call("POST", "/servers/blue/web-1/drain");
  EXPECT_EQ(outcome(busy), "200");
  EXPECT_EQ(field(busy, "ETag"), "\"2\"");
  nlohmann::json json = json_of(busy);
  EXPECT_EQ(json["changed"], true);
  EXPECT_EQ(json["safe_to_stop"], false);
  EXPECT_EQ(json["revision"], 2);
  EXPECT_EQ(json["server"]["draining"], true);
  EXPECT_EQ(json["server"]["running"], 3);
  EXPECT_EQ(busy.note, "blue/web-1: draining, 3 running");

  node.server("blue", "web-1").running = 0;
  const Reply idle = node.call("POST", "/servers/blue/web-1/drain");
  json = json_of(idle);
  EXPECT_EQ(json["changed"], false);
  EXPECT_EQ(json["safe_to_stop"], true);
  EXPECT_EQ(json["revision"], 2);

  const Reply resumed = node.call("POST", "/servers/blue/127.0.0.1:9001/resume?format=text");
  EXPECT_EQ(resumed.body, "blue/web-1: takes new work, revision 3\n");
  EXPECT_EQ(node.state.is_draining({"blue", "web-1"}), false);
}

Command drain_command(bool draining, Duration wait) {
  return {.action = Drain{.server = {"blue", "web-1"}, .draining = draining, .wait = wait},
          .origin = {},
          .format = Format::json};
}

TEST(Drains, AWaitThatLapsesIs504WithTheState) {
  Node node;
  node.call("POST", "/servers/blue/web-1/drain");
  node.server("blue", "web-1").running = 2;
  const Reply reply = render_wait_lapsed(node.view(), drain_command(true, seconds(60)));
  EXPECT_EQ(outcome(reply), "504 wait_lapsed");
  const nlohmann::json json = json_of(reply);
  EXPECT_EQ(json["detail"],
            "After 60 s server blue/web-1 is not safe to stop: 2 exchanges are running. It stays "
            "draining; call again to wait on.");
  EXPECT_EQ(json["safe_to_stop"], false);
  EXPECT_EQ(json["server"]["running"], 2);
  EXPECT_EQ(json["revision"], 2);
}

TEST(Drains, AResumeThatLapsesSaysWhyThereIsNoWork) {
  Node node;
  node.server("blue", "web-1").status = health::Status::down;
  node.server("blue", "web-1").last_error = "connect refused";
  node.server("blue", "web-1").last_error_at = node.now;
  const Reply reply = render_wait_lapsed(node.view(), drain_command(false, milliseconds(1500)));
  EXPECT_EQ(json_of(reply)["detail"],
            "After 1.5 s server blue/web-1 takes no new work: its status is down, last error: "
            "connect refused. It stays resumed and gets work when a probe passes.");
}

TEST(Drains, AServerThatAReloadTookAwayMeanwhileIs404) {
  Node node;
  node.servers.clear();
  EXPECT_EQ(outcome(render_wait_lapsed(node.view(), drain_command(true, seconds(1)))),
            "404 unknown_server");
  EXPECT_EQ(outcome(render_drain(node.view(), drain_command(true, seconds(1)), true)),
            "404 unknown_server");
}

TEST(Failures, NotAdoptedNamesRevisionAndWorkers) {
  const Node node;
  const std::size_t workers[] = {1, 3};
  const Reply reply = render_not_adopted(node.view(), 42, workers);
  EXPECT_EQ(outcome(reply), "504 not_adopted");
  EXPECT_EQ(json_of(reply)["revision"], 42);
  EXPECT_EQ(json_of(reply)["workers"], (nlohmann::json{1, 3}));
  const std::string detail = json_of(reply)["detail"];
  EXPECT_TRUE(detail.starts_with("Revision 42 is durable, but after 2 s workers 1, 3 still run"))
      << detail;
}

TEST(Failures, ALedgerThatTakesNothingSaysThatNothingChanged) {
  const Reply reply = render_ledger_failed("No space left on device.");
  EXPECT_EQ(outcome(reply), "503 ledger_failed");
  EXPECT_EQ(json_of(reply)["detail"],
            "Nothing was changed: the ledger could not be written. No space left on device.");
}

TEST(Failures, PlanErrorsOfPathsAre404AndOfBodies422) {
  const Node node;
  const Command drain = drain_command(true, seconds(1));
  const Command shift{.action = Change{{.routes = {{"app", routing::StatedSplit{}}}}},
                      .origin = {},
                      .format = Format::json};
  using Kind = routing::PlanError::Kind;
  const struct {
    const Command& command;
    Kind kind;
    const char* expected;
  } cases[] = {
      {shift, Kind::unknown_route, "404 unknown_route"},
      {shift, Kind::unknown_backend, "422 unknown_backend"},
      {shift, Kind::bad_split, "422 bad_split"},
      {shift, Kind::stale, "412 stale"},
      {drain, Kind::unknown_backend, "404 unknown_backend"},
      {drain, Kind::unknown_server, "404 unknown_server"},
      {shift, Kind::unknown_revision, "404 unknown_revision"},
      {shift, Kind::if_match_required, "428 if_match_required"},
      {shift, Kind::backend_gone, "409 backend_gone"},
      {shift, Kind::nothing_before, "409 nothing_before"},
      {shift, Kind::no_healthy_server, "409 no_healthy_server"},
      {shift, Kind::key_reused, "422 idempotency_key_reused"},
      {drain, Kind::unknown_lease, "404 unknown_lease"},
      {drain, Kind::bad_server, "422 bad_server"},
      {drain, Kind::not_drained, "409 not_drained"},
      {drain, Kind::last_server, "409 last_server"},
      {drain, Kind::server_exists, "409 server_exists"},
  };
  for (const auto& test : cases) {
    const Reply reply = render_plan_error(
        node.view(), test.command, {test.kind, "why", test.kind == Kind::stale ? "app" : ""});
    EXPECT_EQ(outcome(reply), test.expected);
    EXPECT_EQ(json_of(reply)["detail"], "why");
    EXPECT_EQ(field(reply, "ETag"), test.kind == Kind::stale ? "\"1\"" : "");
  }
}

}  // namespace
}  // namespace sluice::admin
