#include "routing/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

using testing::HasSubstr;

const WallTime kNow{std::chrono::seconds(1'800'000'000)};

class StateTest : public testing::Test {
 protected:
  void apply(const std::expected<Revision, PlanError>& plan) {
    ASSERT_TRUE(plan) << plan.error().message;
    state.apply(*plan);
  }
  conf::Config config = basic_config();
  State state = state_of(config);
};

TEST_F(StateTest, AShiftBecomesTheNextRevision) {
  const auto plan = plan_wish(state, put("app", {{"green", "50"}, {"blue", "50.0"}}),
                              {"uid:0", "ann", "half"}, kNow);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->number, 2u);
  EXPECT_EQ(plan->parent, 1u);
  EXPECT_EQ(plan->kind, RevisionKind::shift);
  EXPECT_EQ(plan->time, kNow);
  EXPECT_EQ(plan->origin, (Origin{"uid:0", "ann", "half"}));
  ASSERT_EQ(plan->routes.size(), 1u);
  EXPECT_EQ(
      plan->routes[0],
      (RouteChange{"app", setting(blue_green("90", "10")), setting(blue_green("50", "50")), {}}));
  EXPECT_EQ(state.revision(), 1u) << "planning changes nothing";
  state.apply(*plan);
  EXPECT_EQ(state.revision(), 2u);
  EXPECT_EQ(state.route("app")->setting.split, blue_green("50", "50"));
  EXPECT_EQ(state.route("app")->file_split, blue_green("90", "10"));
  EXPECT_EQ(state.route("app")->revision, 2u);
}

TEST_F(StateTest, APatchLeavesTheOthersAlone) {
  apply(plan_wish(state, patch("app", {{"green", "0.5"}}), {}, kNow));
  EXPECT_EQ(state.route("app")->setting.split, blue_green("90", "0.5"));
}

TEST_F(StateTest, AnIdenticalWriteIsARevisionToo) {
  apply(plan_wish(state, put("app", {{"blue", "90"}, {"green", "10"}}), {}, kNow));
  EXPECT_EQ(state.route("app")->setting.split, blue_green("90", "10"));
  EXPECT_EQ(state.route("app")->revision, 2u);
}

TEST_F(StateTest, RefusesASplitAndNamesWhatIsWrong) {
  using Kind = PlanError::Kind;
  const struct {
    RouteWish request;
    Kind kind;
    std::vector<const char*> says;
  } cases[] = {
      {put("ap", {}), Kind::unknown_route, {"\"ap\"", "did you mean \"app\"?"}},
      {put("zzzzzz", {}), Kind::unknown_route, {"\"zzzzzz\"", "known are \"app\""}},
      {put("app", {{"blue", "1"}}),
       Kind::bad_split,
       {"\"app\"", "for backend \"green\"", "0 for none"}},
      {put("app", {}), Kind::bad_split, {"\"blue\", \"green\""}},
      {put("app", {{"blue", "1"}, {"gren", "2"}, {"green", "1"}}),
       Kind::unknown_backend,
       {"\"gren\"", "did you mean \"green\"?"}},
      {put("app", {{"blue", "1"}, {"green", "1"}, {"blue", "2"}}),
       Kind::bad_split,
       {"\"blue\" is stated more than once"}},
      {put("app", {{"blue", "-1"}, {"green", "1"}}),
       Kind::bad_split,
       {"\"-1\"", "\"blue\"", "90 or 0.5"}},
      {put("app", {{"blue", "1e3"}, {"green", "NaN"}}), Kind::bad_split, {"\"1e3\"", "\"NaN\""}},
      {put("app", {{"blue", "0"}, {"green", "0.0"}}), Kind::bad_split, {"all zero"}},
      {patch("app", {{"blue", "0"}, {"green", "0"}}), Kind::bad_split, {"all zero"}},
      {patch("app", {}), Kind::bad_split, {"no weight is stated"}},
      {patch("app", {{"red", "1"}}), Kind::unknown_backend, {"\"red\"", "\"blue\", \"green\""}},
  };
  for (const auto& c : cases) {
    const auto plan = plan_wish(state, c.request, {}, kNow);
    ASSERT_FALSE(plan) << c.says[0];
    EXPECT_EQ(plan.error().kind, c.kind) << plan.error().message;
    for (const char* part : c.says) EXPECT_THAT(plan.error().message, HasSubstr(part));
  }
}

TEST_F(StateTest, NamesAllThatIsWrongAtOnceUpToABound) {
  auto plan = plan_wish(state, put("app", {{"bleu", "1"}, {"green", "x"}}), {}, kNow);
  ASSERT_FALSE(plan);
  for (const char* part : {"\"bleu\"", "\"x\"", "for backend \"blue\""}) {
    EXPECT_THAT(plan.error().message, HasSubstr(part));
  }
  NamedTexts names;
  for (int i = 0; i < 10'000; ++i) names.emplace_back("no-" + std::to_string(i), "1");
  const RouteWish flood = patch("app", std::move(names));
  plan = plan_wish(state, flood, {}, kNow);
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("and 9992 more"));
  EXPECT_LT(plan.error().message.size(), 2000u);
}

TEST_F(StateTest, RepeatsUntrustedNamesPrintableAndShort) {
  const auto plan = plan_wish(state, put(std::string(5000, 'a') + "\r\n\x01\"", {}), {}, kNow);
  ASSERT_FALSE(plan);
  EXPECT_LT(plan.error().message.size(), 200u);
  const auto control = plan_wish(state, switch_to("app", "x\n\"\xff"), {}, kNow);
  ASSERT_FALSE(control);
  EXPECT_THAT(control.error().message, HasSubstr("\"x???\""));
}

TEST_F(StateTest, AStaleIfMatchIsRefusedAndSaysWhereTheRouteIs) {
  apply(plan_wish(state, put("app", {{"blue", "1"}, {"green", "1"}}), {}, kNow));
  RouteWish request = put("app", {{"blue", "2"}, {"green", "1"}});
  request.if_match = 1;
  const auto refused = plan_wish(state, request, {}, kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, PlanError::Kind::stale);
  EXPECT_THAT(refused.error().message, HasSubstr("\"app\" is at revision 2, not 1"));
  EXPECT_EQ(plan_wish(state, switch_to("app", "blue", 1), {}, kNow).error().kind,
            PlanError::Kind::stale);
  request.if_match = 2;
  EXPECT_TRUE(plan_wish(state, request, {}, kNow));
  EXPECT_TRUE(plan_wish(state, switch_to("app", "blue", 2), {}, kNow));
}

TEST_F(StateTest, ARouteKeepsItsEtagWhileOthersMove) {
  config.routes.push_back(route("other", blue_green("1", "1")));
  state = state_of(config);
  apply(plan_wish(state, put("other", {{"blue", "2"}, {"green", "1"}}), {}, kNow));
  EXPECT_EQ(state.route("other")->revision, 2u);
  EXPECT_EQ(state.route("app")->revision, 1u);
}

TEST_F(StateTest, ASwitchGivesOneBackendEverything) {
  const auto plan = plan_wish(state, switch_to("app", "green"), {}, kNow);
  apply(plan);
  EXPECT_EQ(plan->kind, RevisionKind::switch_to);
  EXPECT_EQ(state.route("app")->setting.split, blue_green("0", "100"));
  const auto unknown = plan_wish(state, switch_to("app", "grene"), {}, kNow);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, PlanError::Kind::unknown_backend);
  EXPECT_THAT(unknown.error().message, HasSubstr("did you mean \"green\"?"));
  EXPECT_EQ(plan_wish(state, switch_to("nope", "green"), {}, kNow).error().kind,
            PlanError::Kind::unknown_route);
}

TEST_F(StateTest, ASplitWhoseOrderIsTooLongIsRefusedWithTheReason) {
  Split split;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    config.backends.push_back(backend(name, {"s"}));
    split.push_back(share(name, "1"));
  }
  config.routes.push_back(route("wide", split));
  state = state_of(config);
  ASSERT_NE(state.route("wide"), nullptr);
  const auto refused = plan_wish(state, patch("wide", {{"a", "99.999999"}}), {}, kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, PlanError::Kind::bad_split);
  EXPECT_THAT(refused.error().message, HasSubstr("only after 103999999 requests"));
  EXPECT_THAT(refused.error().message, HasSubstr("within 1048576"));
  EXPECT_TRUE(plan_wish(state, patch("wide", {{"a", "99.999"}}), {}, kNow));
  // Four above zero are always possible.
  EXPECT_TRUE(plan_wish(state, patch("wide", {{"a", "99.999999"}, {"b", "0"}}), {}, kNow));
}

TEST_F(StateTest, ADrainIsARevisionOfOneServer) {
  const ServerKey b1{"blue", "b1"};
  EXPECT_FALSE(state.is_draining(b1));
  EXPECT_EQ(state.drain_revision(b1), 0u);
  const auto plan = state.plan_drain(config, b1, true, {}, kNow);
  apply(plan);
  EXPECT_EQ(plan->kind, RevisionKind::drain);
  EXPECT_EQ(plan->drains, (std::vector<DrainChange>{{b1, false, true}}));
  EXPECT_TRUE(state.is_draining(b1));
  EXPECT_FALSE(state.is_draining({"blue", "b2"}));
  EXPECT_EQ(state.drain_revision(b1), 2u);
  apply(state.plan_drain(config, b1, true, {}, kNow));
  EXPECT_EQ(state.drain_revision(b1), 2u) << "the second drain changed nothing";
  EXPECT_EQ(state.revision(), 3u);
  const auto resume = state.plan_drain(config, b1, false, {}, kNow);
  apply(resume);
  EXPECT_EQ(resume->kind, RevisionKind::resume);
  EXPECT_FALSE(state.is_draining(b1));
  EXPECT_EQ(state.drain_revision(b1), 4u);
  EXPECT_EQ(state.route("app")->revision, 1u);
}

TEST_F(StateTest, AServerMayBeNamedByItsAddress) {
  const auto plan = state.plan_drain(config, {"blue", "127.0.0.1:8001"}, true, {}, kNow);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->drains[0].server, (ServerKey{"blue", "b2"}));
}

TEST_F(StateTest, ADrainOfWhatDoesNotExistNamesTheNearest) {
  using Kind = PlanError::Kind;
  const struct {
    ServerKey key;
    Kind kind;
    const char* says;
  } cases[] = {
      {{"blu", "b1"}, Kind::unknown_backend, "\"blu\": did you mean \"blue\"?"},
      {{"blue", "b3"}, Kind::unknown_server, "\"b3\": did you mean \"b1\"?"},
      {{"blue", "127.0.0.1:9"}, Kind::unknown_server, "known are \"b1\", \"b2\""},
      {{"green", "b1"}, Kind::unknown_server, "\"green\" has no server \"b1\""},
  };
  for (const auto& c : cases) {
    const auto plan = state.plan_drain(config, c.key, true, {}, kNow);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().kind, c.kind);
    EXPECT_THAT(plan.error().message, HasSubstr(c.says));
  }
}

using StateDeathTest = StateTest;

TEST_F(StateDeathTest, RevisionsOnlyGrow) {
  const auto plan = plan_wish(state, switch_to("app", "green"), {}, kNow);
  state.apply(*plan);
  EXPECT_DEATH(state.apply(*plan), "revision.number > image_.revision");
}

// What a pipeline does that shifts step by step, and dies at the third.
TEST_F(StateTest, ALeaseUponALeaseLapsesToWhatWasThereBeforeBoth) {
  const auto shift = [&](const char* blue, const char* green, bool leased) {
    const History history;
    Transaction transaction{.routes = {put("app", {{"blue", blue}, {"green", green}})}};
    if (leased) transaction.lease = LeaseWish{.ttl = std::chrono::seconds(60)};
    apply(state.plan(transaction, {.config = config, .history = history}, {}, kNow));
  };
  shift("80", "20", false);
  for (const char* green : {"30", "50", "70"}) shift("30", green, true);
  EXPECT_EQ(state.leases().size(), 1u) << "each took the place of the one before";
  const RevisionNumber lease = state.lease_of("app");
  apply(state.plan_lease(RevisionKind::lapse_lease, lease, {}, {}, kNow));
  EXPECT_EQ(state.route("app")->setting.split, blue_green("80", "20"));
  // Kept in between, and only what came later goes back.
  shift("30", "40", true);
  apply(state.plan_lease(RevisionKind::confirm_lease, state.lease_of("app"), {}, {}, kNow));
  shift("30", "90", true);
  apply(state.plan_lease(RevisionKind::lapse_lease, state.lease_of("app"), {}, {}, kNow));
  EXPECT_EQ(state.route("app")->setting.split, blue_green("30", "40"));
}

}  // namespace
}  // namespace sluice::routing
