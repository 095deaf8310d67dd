#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/state.h"
#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReloadTest : public testing::Test {
 protected:
  void shift(const char* blue, const char* green) {
    const auto plan = plan_wish(state, put("app", {{"blue", blue}, {"green", green}}), {}, {});
    ASSERT_TRUE(plan) << plan.error().message;
    state.apply(*plan);
  }
  void set_file(const Split& split) { config.routes[0].split = split; }
  // Takes the configuration over and hands out what was planned.
  State::ReloadPlan reload() {
    State::ReloadPlan plan = state.plan_reload(config, {});
    if (plan.revision) state.apply(*plan.revision);
    // Taking the same file over once more has nothing left to do.
    const State::ReloadPlan again = state.plan_reload(config, {});
    if (plan.errors.empty()) {
      EXPECT_FALSE(again.revision);
      EXPECT_THAT(again.conflicts, IsEmpty());
    }
    return plan;
  }
  const Split& weights() { return state.route("app")->setting.split; }

  conf::Config config = basic_config();
  State state;
};

TEST_F(ReloadTest, TheFirstOneTakesTheFilesSplits) {
  const State::ReloadPlan plan = reload();
  ASSERT_TRUE(plan.revision);
  EXPECT_EQ(plan.revision->number, 1u);
  EXPECT_EQ(plan.revision->parent, 0u);
  EXPECT_EQ(plan.revision->kind, RevisionKind::reload);
  EXPECT_EQ(plan.revision->origin.identity, "file");
  EXPECT_EQ(weights(), blue_green("90", "10"));
  EXPECT_EQ(state.route("app")->revision, 1u);
}

TEST_F(ReloadTest, AnUnchangedFileIsNoRevision) {
  reload();
  EXPECT_FALSE(reload().revision);
}

TEST_F(ReloadTest, ACanarySetThroughTheApiStays) {
  reload();
  shift("50", "50");
  const State::ReloadPlan plan = reload();
  EXPECT_FALSE(plan.revision);
  EXPECT_THAT(plan.conflicts, IsEmpty());
  EXPECT_EQ(weights(), blue_green("50", "50"));
}

TEST_F(ReloadTest, AnotherRoutesTextDoesNotResetTheCanary) {
  reload();
  shift("50", "50");
  config.routes.push_back(route("new", blue_green("1", "0")));
  const State::ReloadPlan plan = reload();
  ASSERT_TRUE(plan.revision);
  ASSERT_EQ(plan.revision->routes.size(), 1u);
  EXPECT_EQ(plan.revision->routes[0].route, "new");
  EXPECT_EQ(weights(), blue_green("50", "50"));
  EXPECT_EQ(state.route("app")->revision, 2u);
}

TEST_F(ReloadTest, TheSplitsOwnTextWinsAndTheLossIsReported) {
  reload();
  shift("50", "50");
  set_file(blue_green("80", "20"));
  const State::ReloadPlan plan = reload();
  ASSERT_TRUE(plan.revision);
  EXPECT_EQ(weights(), blue_green("80", "20"));
  EXPECT_EQ(state.route("app")->revision, 3u);
  EXPECT_THAT(plan.conflicts,
              ElementsAre(AllOf(HasSubstr("\"app\""), HasSubstr("from blue=90, green=10"),
                                HasSubstr("to blue=80, green=20"),
                                HasSubstr("replaces blue=50, green=50, set by revision 2"))));
}

TEST_F(ReloadTest, AFileThatChangesAnUntouchedSplitIsNoConflict) {
  reload();
  set_file(blue_green("80", "20"));
  const State::ReloadPlan plan = reload();
  EXPECT_TRUE(plan.revision);
  EXPECT_THAT(plan.conflicts, IsEmpty());
  EXPECT_EQ(weights(), blue_green("80", "20"));
}

TEST_F(ReloadTest, AFileThatCatchesUpWithTheApiIsNoConflictAndKeepsTheEtag) {
  reload();
  shift("50", "50");
  set_file(blue_green("50", "50"));
  const State::ReloadPlan plan = reload();
  ASSERT_TRUE(plan.revision) << "the file's text must be remembered";
  EXPECT_THAT(plan.conflicts, IsEmpty());
  EXPECT_EQ(state.route("app")->revision, 2u);
  EXPECT_EQ(state.route("app")->file_split, blue_green("50", "50"));
  // Back to what it said at first: that is a change of its text.
  set_file(blue_green("90", "10"));
  EXPECT_THAT(reload().conflicts, IsEmpty());
  EXPECT_EQ(weights(), blue_green("90", "10"));
}

TEST_F(ReloadTest, AnotherOrderInTheFileReordersAndKeepsTheWeights) {
  reload();
  shift("50", "25");
  set_file({share("green", "10"), share("blue", "90")});
  const State::ReloadPlan plan = reload();
  EXPECT_THAT(plan.conflicts, IsEmpty());
  EXPECT_EQ(weights(), (Split{share("green", "25"), share("blue", "50")}));
  EXPECT_EQ(state.route("app")->revision, 2u) << "the weights are the same";
}

TEST_F(ReloadTest, AnotherSetOfBackendsTakesTheFile) {
  reload();
  shift("50", "50");
  config.backends.push_back(backend("red", {"r1"}));
  set_file({share("blue", "90"), share("red", "10")});
  const State::ReloadPlan plan = reload();
  EXPECT_EQ(weights(), (Split{share("blue", "90"), share("red", "10")}));
  EXPECT_THAT(plan.conflicts, ElementsAre(HasSubstr("replaces blue=50, green=50")));
}

TEST_F(ReloadTest, ARouteThatLeftTheFileIsForgotten) {
  config.routes.push_back(route("old", blue_green("1", "1")));
  reload();
  config.routes.pop_back();
  State::ReloadPlan plan = reload();
  EXPECT_THAT(plan.conflicts, IsEmpty());
  EXPECT_EQ(state.route("old"), nullptr);

  shift("50", "50");
  config.routes[0].name = "renamed";
  plan = reload();
  EXPECT_EQ(state.route("app"), nullptr);
  EXPECT_NE(state.route("renamed"), nullptr);
  EXPECT_THAT(plan.conflicts,
              ElementsAre(AllOf(HasSubstr("\"app\""), HasSubstr("no longer"),
                                HasSubstr("blue=90, green=10"),
                                HasSubstr("blue=50, green=50, set by revision 3"))));
}

TEST_F(ReloadTest, DrainsSurviveUnlessTheServerLeftTheFile) {
  reload();
  const ServerKey b1{"blue", "b1"}, b2{"blue", "b2"};
  state.apply(*state.plan_drain(config, b1, true, {}, {}));
  state.apply(*state.plan_drain(config, b2, true, {}, {}));
  EXPECT_FALSE(reload().revision);
  config.backends[0].servers.erase(config.backends[0].servers.begin());
  const State::ReloadPlan plan = reload();
  ASSERT_TRUE(plan.revision);
  EXPECT_EQ(plan.revision->drains, (std::vector<DrainChange>{{b1, true, false}}));
  EXPECT_FALSE(state.is_draining(b1));
  EXPECT_TRUE(state.is_draining(b2));
}

TEST_F(ReloadTest, SplitsThatCanNotBeCarriedOutAreErrorsAndNothingElse) {
  reload();
  const struct {
    Split split;
    const char* says;
  } cases[] = {
      {blue_green("0", "0"), "all zero"},
      {{share("blue", "1"), share("grene", "1")}, "no backend is named \"grene\", did you mean"},
      {{share("blue", "1"), share("blue", "2")}, "\"blue\" is stated more than once"},
      {{}, "all zero"},
  };
  for (const auto& c : cases) {
    set_file(c.split);
    const State::ReloadPlan plan = state.plan_reload(config, {});
    EXPECT_FALSE(plan.revision);
    EXPECT_THAT(plan.errors, ElementsAre(AllOf(HasSubstr("route \"app\""), HasSubstr(c.says))));
  }
}

TEST_F(ReloadTest, AllWrongSplitsAreNamedAtOnce) {
  Split wide;
  for (int i = 0; i < 65; ++i) {
    const std::string name = "x" + std::to_string(i);
    config.backends.push_back(backend(name, {"s"}));
    wide.push_back(share(name, "1"));
  }
  config.routes.push_back(route("wide", wide));
  Split odd(wide.begin(), wide.begin() + 5);
  odd[0] = share("x0", "0.000001");
  config.routes.push_back(route("odd", odd));
  config.routes.push_back(route("app", blue_green("1", "1")));
  const State::ReloadPlan plan = state.plan_reload(config, {});
  EXPECT_THAT(plan.errors, ElementsAre(AllOf(HasSubstr("\"wide\""), HasSubstr("65 backends")),
                                       AllOf(HasSubstr("\"odd\""), HasSubstr("4000001 requests")),
                                       HasSubstr("\"app\" is stated more than once")));
}

// Weights that an earlier version wrote, or a ledger from elsewhere, must not stop the start.
TEST_F(ReloadTest, StoredWeightsThatFitNoScheduleYieldToTheFile) {
  Revision stored;
  stored.number = 5;
  stored.kind = RevisionKind::reload;
  stored.routes = {
      {"app", {}, setting({share("blue", "0"), share("green", "0")}), blue_green("90", "10")}};
  state.apply(stored);
  const State::ReloadPlan plan = reload();
  EXPECT_EQ(weights(), blue_green("90", "10"));
  EXPECT_THAT(plan.conflicts, ElementsAre(HasSubstr("no longer fits")));
}

}  // namespace
}  // namespace sluice::routing
