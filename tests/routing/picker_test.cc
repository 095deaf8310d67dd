#include "routing/picker.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

class PickerTest : public testing::Test {
 protected:
  PickerTest() { adopt(); }
  void adopt() {
    const State::ReloadPlan plan = state.plan_reload(config, {});
    if (plan.revision) state.apply(*plan.revision);
    snapshot = registry.build(std::make_shared<const conf::Config>(config), state, ++epoch);
    picker.adopt(*snapshot);
  }
  void shift(const char* blue, const char* green) {
    state.apply(*plan_wish(state, put("app", {{"blue", blue}, {"green", green}}), {}, {}));
    adopt();
  }
  std::string server(const Choice& choice) const {
    if (!choice.server) return "none";
    return snapshot->backends[choice.backend].servers[*choice.server].key.server;
  }
  ServerRuntime& runtime(std::size_t backend, std::size_t index) const {
    return *snapshot->backends[backend].servers[index].runtime;
  }

  conf::Config config = basic_config();
  State state;
  Registry registry{2};
  std::uint64_t epoch = 0;
  std::shared_ptr<const Snapshot> snapshot;
  Picker picker{0};
};

TEST_F(PickerTest, FollowsTheTicketsAndCountsThem) {
  std::vector<std::uint64_t> counts(2);
  for (int i = 0; i < 1000; ++i) {
    const Choice choice = picker.pick(*snapshot, 0);
    EXPECT_EQ(choice.backend, choice.share);
    ++counts[choice.share];
  }
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{900, 100}));
  EXPECT_EQ(snapshot->routes[0].runtime->total(0), 900u);
  EXPECT_EQ(snapshot->routes[0].runtime->total(1), 100u);
  EXPECT_EQ(snapshot->routes[0].runtime->tickets_taken(), 1000u);
}

TEST_F(PickerTest, ThePhaseSurvivesReloadsAndIdenticalWrites) {
  std::uint64_t green = 0;
  for (int i = 0; i < 1000; ++i) {
    green += picker.pick(*snapshot, 0).share;
    if (i % 3 == 0) shift("90", "10");
    if (i % 7 == 0) adopt();
  }
  EXPECT_EQ(green, 100u);
}

TEST_F(PickerTest, TakesTheServersOfABackendInTurn) {
  shift("1", "0");
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) order.push_back(server(picker.pick(*snapshot, 0)));
  EXPECT_EQ(order, (std::vector<std::string>{"b1", "b2", "b1", "b2"}));
}

TEST_F(PickerTest, WorkersBeginWithDifferentServers) {
  shift("1", "0");
  Picker other(1);
  other.adopt(*snapshot);
  EXPECT_EQ(server(picker.pick(*snapshot, 0)), "b1");
  EXPECT_EQ(server(other.pick(*snapshot, 0)), "b2");
}

TEST_F(PickerTest, RoundRobinGoesOnAfterAdoption) {
  shift("1", "0");
  EXPECT_EQ(server(picker.pick(*snapshot, 0)), "b1");
  config.backends.insert(config.backends.begin(), backend("red", {"r1"}));
  adopt();
  EXPECT_EQ(server(picker.pick(*snapshot, 0)), "b2");
  config.backends.erase(config.backends.begin());
  adopt();
  EXPECT_EQ(server(picker.pick(*snapshot, 0)), "b1");
}

TEST_F(PickerTest, SkipsServersThatTakeNoNewWork) {
  config.backends[0].health.emplace();
  shift("1", "0");
  runtime(0, 0).up = false;
  runtime(0, 1).up = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(server(picker.pick(*snapshot, 0)), "b2");
  state.apply(*state.plan_drain(config, {"blue", "b2"}, true, {}, {}));
  adopt();
  const Choice choice = picker.pick(*snapshot, 0);
  EXPECT_EQ(choice.server, std::nullopt);
  EXPECT_EQ(choice.backend, 0u) << "the split says blue, whether or not blue can serve";
}

TEST_F(PickerTest, ABackendWithoutServersHasNone) {
  config.backends[0].servers.clear();
  shift("1", "0");
  EXPECT_EQ(picker.pick(*snapshot, 0).server, std::nullopt);
}

TEST_F(PickerTest, PicksAgainWithinTheSameBackendWithoutCounting) {
  shift("50", "50");
  for (int i = 0; i < 4; ++i) {
    const Choice choice =
        picker.pick_again(*snapshot, 0, "blue", ChosenBy::ticket, {&runtime(0, 0)});
    EXPECT_EQ(server(choice), "b2");
    EXPECT_EQ(choice.share, 0u);
  }
  EXPECT_EQ(server(picker.pick_again(*snapshot, 0, "blue", ChosenBy::ticket,
                                     {&runtime(0, 0), &runtime(0, 1)})),
            "none");
  EXPECT_EQ(snapshot->routes[0].runtime->tickets_taken(), 0u);
  EXPECT_EQ(snapshot->routes[0].runtime->total(0), 0u);
}

TEST_F(PickerTest, PicksAgainByANewTicketOnceTheBackendHasNoWeight) {
  shift("0", "100");
  const Choice choice = picker.pick_again(*snapshot, 0, "blue", ChosenBy::ticket, {&runtime(0, 0)});
  EXPECT_EQ(server(choice), "g1");
  EXPECT_EQ(snapshot->routes[0].runtime->tickets_taken(), 1u);
  EXPECT_EQ(snapshot->routes[0].runtime->total(1), 1u);
  EXPECT_EQ(server(picker.pick_again(*snapshot, 0, "gone", ChosenBy::ticket, {})), "g1");
}

// In force on adoption: whatever was tried, no weight means no choice (guarantee G1).
TEST_F(PickerTest, NeverChoosesABackendWithoutWeight) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    const bool blue = random() % 2 == 0;
    shift(blue ? "1" : "0", blue ? "0" : "1");
    for (int i = 0; i < 5; ++i) {
      const Choice choice = random() % 2 == 0
                                ? picker.pick(*snapshot, 0)
                                : picker.pick_again(*snapshot, 0, random() % 2 ? "blue" : "green",
                                                    ChosenBy::ticket, {});
      ASSERT_EQ(choice.backend, blue ? 0u : 1u);
    }
  }
}

using PickerDeathTest = PickerTest;

TEST_F(PickerDeathTest, ASnapshotMustBeAdoptedFirst) {
  Picker fresh(0);
  EXPECT_DEATH(fresh.pick(*snapshot, 0), "turns_.size");
}

}  // namespace
}  // namespace sluice::routing
