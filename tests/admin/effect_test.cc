// What `?dry_run=true` warns of, and what a drain may say.
#include "admin/effect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::json_of;
using testing::make_request;
using testing::Node;
using testing::outcome;

std::vector<std::string> warnings(Node& node, std::string_view method, std::string target,
                                  std::string_view body = "") {
  target += target.contains('?') ? "&dry_run=true" : "?dry_run=true";
  const Reply reply = node.call(method, target, body);
  EXPECT_EQ(reply.status, 200) << reply.body;
  return json_of(reply)["warnings"];
}

TEST(Effect, WarnsOfADrainThatLeavesABackendWithTrafficWithoutServers) {
  Node node;
  EXPECT_THAT(warnings(node, "POST", "/servers/blue/web-1/drain"), IsEmpty());
  EXPECT_THAT(
      warnings(node, "POST", "/backends/green/drain"),
      ElementsAre("green would have no server that takes requests, and app sends it 10 % of "
                  "its requests"));
  node.server("blue", "web-2").status = health::Status::down;
  const std::vector<std::string> of_blue = {
      "blue would have no server that takes requests, and api.v2 sends it 100 % of its requests",
      "blue would have no server that takes requests, and app sends it 90 % of its requests"};
  EXPECT_EQ(warnings(node, "POST", "/servers/blue/web-1/drain"), of_blue);
  EXPECT_EQ(warnings(node, "PATCH", "/servers/blue/web-1", "weight=0"), of_blue);
  EXPECT_THAT(warnings(node, "POST", "/servers/blue/web-2/drain"), IsEmpty())
      << "it takes nothing away";
}

TEST(Effect, WhoOnlyHasKeysOrNothingIsToldApart) {
  Node node;
  ASSERT_EQ(node.call("PATCH", "/states/app", "green=sticky_only").status, 200);
  EXPECT_THAT(warnings(node, "POST", "/backends/green/drain"),
              ElementsAre("green would have no server that takes requests, and app sends it those "
                          "that belong to it"));
  ASSERT_EQ(node.call("PATCH", "/states/app", "green=off").status, 200);
  EXPECT_THAT(warnings(node, "POST", "/backends/green/drain"), IsEmpty());
}

TEST(Effect, WarnsOfMaintenanceThatEndsWhereNobodyCanServe) {
  Node node;
  for (const char* server : {"web-1", "web-2"}) {
    node.server("blue", server).status = health::Status::down;
  }
  ASSERT_EQ(node.call("POST", "/maintenance/api.v2").status, 200);
  EXPECT_THAT(warnings(node, "PUT", "/weights/api.v2", "blue=2&green=1"),
              ElementsAre("api.v2 answers 503 to every request: it is in maintenance"));
  EXPECT_THAT(warnings(node, "DELETE", "/maintenance/api.v2"),
              ElementsAre("blue has no healthy server, and api.v2 would send it 100 % of its "
                          "requests"));
}

TEST(DrainCall, OnlyADrainMayBeForcedAndOnlyByAnAdmin) {
  Node node;
  EXPECT_EQ(outcome(node.call("POST", "/servers/blue/web-1/drain?force=maybe")),
            "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("POST", "/servers/blue/web-1/resume?force=true")),
            "400 unknown_parameter");
  EXPECT_EQ(node.call("POST", "/servers/blue/web-1/drain?force=true").status, 200);
  Request request = make_request("POST", "/backends/blue/drain?force=true");
  request.identity.grant = {.role = conf::Role::operator_};
  const auto answer = handle(request, node.view());
  ASSERT_TRUE(std::holds_alternative<Reply>(answer));
  EXPECT_EQ(outcome(std::get<Reply>(answer)), "403 role_not_enough");
}

TEST(StaleRoute, IsNamedWithItsRevision) {
  Node node;
  const Reply stale = render_plan_error(
      node.view(), {.action = Change{}, .origin = {}},
      {routing::PlanError::Kind::stale, "route \"app\" is at revision 1, not 7", "app"});
  EXPECT_EQ(stale.status, 412);
  EXPECT_EQ(json_of(stale)["route"], "app");
  EXPECT_EQ(json_of(stale)["revision"], 1);
}

}  // namespace
}  // namespace sluice::admin
