// The partition of a sticky route as a part of its setting: it comes with the file, changes with
// the weights, rolls back with them, and is in the ledger.
#include <gtest/gtest.h>

#include "routing/history.h"
#include "routing/ledger.h"
#include "routing/state.h"
#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

class StickyStateTest : public testing::Test {
 protected:
  StickyStateTest() {
    config.routes[0].sticky.emplace();
    take_over();
  }
  void take_over() {
    const State::ReloadPlan plan = state.plan_reload(config, {});
    ASSERT_TRUE(plan.errors.empty());
    if (plan.revision) apply(*plan.revision);
  }
  void apply(const Revision& revision) {
    revisions.push_back(revision);
    state.apply(revision);
    history.add(revision);
  }
  Revision plan(RouteWish wish, RevisionKind kind = RevisionKind::shift) {
    auto planned = state.plan({.kind = kind, .routes = {std::move(wish)}},
                              {.config = config, .history = history}, {}, {});
    EXPECT_TRUE(planned.has_value()) << planned.error().message;
    return *planned;
  }
  const Partition& partition() const { return state.route("app")->setting.partition; }

  conf::Config config = basic_config();
  State state;
  History history;
  std::vector<Revision> revisions;
};

TEST_F(StickyStateTest, TheFileMakesTheFirstOne) {
  EXPECT_EQ(partition().to_string(), "0:blue e6666666:green");
  EXPECT_FALSE(state.plan_reload(config, {}).revision) << "the same file changes nothing";
}

TEST_F(StickyStateTest, G6AShiftRebalancesTheOneBefore) {
  const Partition before = partition();
  apply(plan(put("app", {{"blue", "50"}, {"green", "50"}})));
  EXPECT_EQ(partition(), before.rebalance(blue_green("50", "50")));
  EXPECT_EQ(partition().moved_from(before),
            before.points_of("blue") - partition().points_of("blue"));
}

TEST_F(StickyStateTest, G6ARollbackBringsEveryKeyBack) {
  apply(plan(put("app", {{"blue", "50"}, {"green", "50"}})));
  const Partition at_50 = partition();
  apply(plan(put("app", {{"blue", "1"}, {"green", "99"}})));
  apply(plan({"app", RollBack{}}, RevisionKind::rollback));
  EXPECT_EQ(partition(), at_50);
  EXPECT_EQ(state.route("app")->setting.split, blue_green("50", "50"));
}

TEST_F(StickyStateTest, MaintenanceMovesNoKey) {
  const Partition before = partition();
  apply(plan({"app", SetMaintenance{Maintenance{}}}, RevisionKind::maintenance));
  EXPECT_EQ(partition(), before);
}

TEST_F(StickyStateTest, AReloadTurnsItOnAndOff) {
  config.routes[0].sticky.reset();
  take_over();
  EXPECT_TRUE(partition().empty());
  apply(plan(put("app", {{"blue", "50"}, {"green", "50"}})));
  EXPECT_TRUE(partition().empty());
  config.routes[0].sticky.emplace();
  take_over();
  EXPECT_EQ(partition().to_string(), "0:blue 80000000:green") << "of the weights in force";
}

TEST_F(StickyStateTest, G6BackendsThatJoinAndLeaveOnAReloadMoveTheMinimum) {
  const Partition before = partition();
  config.backends.push_back(backend("red", {"r1"}));
  config.routes[0].split = {share("blue", "80"), share("green", "10"), share("red", "10")};
  take_over();
  EXPECT_EQ(partition().moved_from(before), partition().points_of("red"));
  config.routes[0].split = {share("green", "10"), share("red", "90")};
  take_over();
  EXPECT_EQ(partition().points_of("blue"), 0u);
  EXPECT_EQ(partition().points_of("green"), before.points_of("green"));
}

TEST_F(StickyStateTest, TheLedgerKeepsItInRecordsAndCheckpoints) {
  apply(plan(put("app", {{"blue", "33.333"}, {"green", "66.667"}})));
  config.routes[0].sticky.reset();
  take_over();
  config.routes[0].sticky.emplace();
  take_over();
  const auto file = encode_ledger(StateImage(), revisions);
  ASSERT_TRUE(file.has_value());
  const auto read = read_ledger(file->text);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->revisions, revisions);
  const auto checkpoint = encode_ledger(state.image(), {});
  const auto image = read_ledger(checkpoint->text);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->base, state.image());
}

TEST_F(StickyStateTest, APartitionThatDoesNotFitItsSplitIsDamage) {
  Revision wrong = revisions[0];
  wrong.routes[0].after.partition = *Partition::parse("0:blue 80000000:red");
  const auto file = encode_ledger(StateImage(), {wrong});
  const auto read = read_ledger(file->text);
  ASSERT_FALSE(read.has_value());
  EXPECT_TRUE(read.error().message.contains("partition.after")) << read.error().message;
  EXPECT_TRUE(read.error().message.contains("not in the split")) << read.error().message;
}

}  // namespace
}  // namespace sluice::routing
