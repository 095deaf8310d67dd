// Who goes where in a split that is more than weights: keys, states, forced requests, backends
// that can't serve.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "routing/picker.h"
#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

class PickerStickyTest : public testing::Test {
 protected:
  PickerStickyTest() {
    config.backends = {backend("blue", {"b1"}), backend("green", {"g1"}), backend("red", {"r1"}),
                       backend("spare", {"s1"})};
    config.routes = {route("app", {share("blue", "60"), share("green", "30"), share("red", "10")})};
    config.routes[0].sticky.emplace();
    adopt();
  }
  void adopt() {
    const State::ReloadPlan plan = state.plan_reload(config, {});
    ASSERT_TRUE(plan.errors.empty());
    if (plan.revision) state.apply(*plan.revision);
    snapshot = registry.build(std::make_shared<const conf::Config>(config), state, ++epoch);
    picker.adopt(*snapshot);
  }
  void set(std::size_t index, conf::ShareState new_state) {
    config.routes[0].split[index].state = new_state;
    adopt();
  }
  void up(std::size_t backend, bool up) { snapshot->backends[backend].servers[0].runtime->up = up; }
  std::string name(const Choice& choice) const { return snapshot->backends[choice.backend].name; }
  Choice by_key(StickyKey key) { return picker.pick(*snapshot, 0, {.key = key}); }
  RouteRuntime& runtime() const { return *snapshot->routes[0].runtime; }

  conf::Config config;
  State state;
  Registry registry{1};
  std::uint64_t epoch = 0;
  std::shared_ptr<const Snapshot> snapshot;
  Picker picker{0};
};

// The points at which each backend's fragment lies: blue, green, red.
constexpr StickyKey kBlue = 0x10000000;
constexpr StickyKey kGreen = 0xb0000000;
constexpr StickyKey kRed = 0xf8000000;

TEST_F(PickerStickyTest, AKeyGoesToItsBackendAndTakesNoTicket) {
  EXPECT_EQ(name(by_key(kBlue)), "blue");
  EXPECT_EQ(name(by_key(kGreen)), "green");
  const Choice red = by_key(kRed);
  EXPECT_EQ(name(red), "red");
  EXPECT_EQ(red.by, ChosenBy::sticky);
  EXPECT_EQ(runtime().tickets_taken(), 0u);
  EXPECT_EQ(runtime().total(0) + runtime().total(1) + runtime().total(2), 0u);
  EXPECT_EQ(runtime().total_by(ChosenBy::sticky), 3u);
}

// Exact for those who have no key, however many others come between (guarantee G2).
TEST_F(PickerStickyTest, G2NewRequestsAreExactWithOthersMixedIn) {
  std::mt19937_64 random(3);
  std::vector<std::size_t> tickets;
  while (tickets.size() < 20'000) {
    switch (random() % 3) {
      case 0:
        by_key(static_cast<StickyKey>(random()));
        break;
      case 1:
        picker.pick(*snapshot, 0, {.forced = random() % 3});
        break;
      default:
        tickets.push_back(picker.pick(*snapshot, 0).share);
    }
  }
  std::vector<int> counts(3);
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    ++counts[tickets[i]];
    if (i >= 1000) --counts[tickets[i - 1000]];
    if (i < 999) continue;
    ASSERT_NEAR(counts[0], 600, 2);
    ASSERT_NEAR(counts[1], 300, 2);
    ASSERT_NEAR(counts[2], 100, 2);
  }
  EXPECT_EQ(runtime().total(0), 12'000u);
  EXPECT_EQ(runtime().total(2), 2'000u);
}

TEST_F(PickerStickyTest, G2TenPartsPerMillionWithStickyTrafficMixedIn) {
  config.routes[0].split = {share("blue", "999990"), share("green", "10"), share("red", "0")};
  adopt();
  std::mt19937_64 random(4);
  std::uint64_t green = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    if (i % 4 == 0) by_key(static_cast<StickyKey>(random()));
    green += picker.pick(*snapshot, 0).share;
  }
  EXPECT_NEAR(static_cast<double>(green), 10, 1);
}

TEST_F(PickerStickyTest, StickyOnlyKeepsItsKeysAndGetsNobodyNew) {
  set(0, conf::ShareState::sticky_only);
  EXPECT_EQ(name(by_key(kBlue)), "blue");
  std::vector<int> counts(3);
  for (int i = 0; i < 400; ++i) ++counts[picker.pick(*snapshot, 0).share];
  EXPECT_EQ(counts, (std::vector<int>{0, 300, 100})) << "the others share what is new";
}

// Whatever the state of things: who is told what would come gets just that, and telling it changes
// nothing.
TEST_F(PickerStickyTest, AForecastIsWhatThenHappens) {
  std::mt19937_64 random(5);
  constexpr conf::ShareState kStates[] = {conf::ShareState::active, conf::ShareState::sticky_only,
                                          conf::ShareState::off};
  constexpr conf::OnUnhealthy kWays[] = {conf::OnUnhealthy::fail, conf::OnUnhealthy::redistribute,
                                         conf::OnUnhealthy::fallback};
  for (int round = 0; round < 300; ++round) {
    for (std::size_t i = 0; i < 3; ++i) {
      config.routes[0].split[i].state = i == 0 ? conf::ShareState::active : kStates[random() % 3];
    }
    config.routes[0].on_unhealthy = kWays[random() % 3];
    config.routes[0].fallback = "";
    if (config.routes[0].on_unhealthy == conf::OnUnhealthy::fallback) {
      config.routes[0].fallback = random() % 2 == 0 ? "spare" : "red";
    }
    adopt();
    for (std::size_t i = 0; i < 4; ++i) up(i, random() % 3 != 0);
    Wish wish;
    const auto dice = random() % 3;
    if (dice == 0) wish.key = static_cast<StickyKey>(random());
    if (dice == 1) {
      wish.forced = random() % 3;
      if (config.routes[0].split[*wish.forced].state == conf::ShareState::off) wish.forced = 0;
    }
    const auto tickets = runtime().tickets_taken();
    const Forecast told = forecast(*snapshot, 0, wish);
    EXPECT_EQ(runtime().tickets_taken(), tickets);
    const Choice choice = picker.pick(*snapshot, 0, wish);
    ASSERT_EQ(name(told.choice), name(choice)) << "round " << round;
    ASSERT_EQ(told.choice.by, choice.by) << "round " << round;
    ASSERT_EQ(told.served, choice.server.has_value()) << "round " << round;
  }
}

TEST_F(PickerStickyTest, KeysOfOneThatIsOffGoElsewhereAndReturn) {
  std::set<std::string> elsewhere;
  std::vector<std::string> first;
  set(0, conf::ShareState::off);
  for (StickyKey key = 0; key < 1000; ++key) {
    const Choice choice = by_key(key * 1000);
    EXPECT_EQ(choice.by, ChosenBy::redistributed);
    elsewhere.insert(name(choice));
    first.push_back(name(choice));
    EXPECT_EQ(name(by_key(key * 1000)), first.back()) << "not always the same";
  }
  EXPECT_EQ(elsewhere, (std::set<std::string>{"green", "red"}));
  EXPECT_NEAR(std::count(first.begin(), first.end(), "green"), 750, 50);
  EXPECT_EQ(name(by_key(kGreen)), "green") << "the others stay";
  set(0, conf::ShareState::active);
  EXPECT_EQ(name(by_key(kBlue)), "blue");
}

TEST_F(PickerStickyTest, ForcedGoesWhereItSaysWhateverTheWeights) {
  config.routes[0].split = {share("blue", "1"), share("green", "0"), share("red", "0")};
  adopt();
  const Choice choice = picker.pick(*snapshot, 0, {.key = kBlue, .forced = 1});
  EXPECT_EQ(name(choice), "green");
  EXPECT_EQ(choice.by, ChosenBy::forced);
  EXPECT_EQ(runtime().total_by(ChosenBy::forced), 1u);
  config.routes[0].on_unhealthy = conf::OnUnhealthy::redistribute;
  adopt();
  up(1, false);
  EXPECT_FALSE(picker.pick(*snapshot, 0, {.forced = 1}).server) << "that one or none";
}

TEST_F(PickerStickyTest, OnUnhealthyFailHasNoServer) {
  up(0, false);
  const Choice choice = by_key(kBlue);
  EXPECT_EQ(name(choice), "blue");
  EXPECT_FALSE(choice.server);
}

TEST_F(PickerStickyTest, OnUnhealthyRedistributeGoesElsewhereAndReturns) {
  config.routes[0].on_unhealthy = conf::OnUnhealthy::redistribute;
  adopt();
  up(0, false);
  const Choice choice = by_key(kBlue);
  EXPECT_EQ(choice.by, ChosenBy::redistributed);
  EXPECT_NE(name(choice), "blue");
  EXPECT_TRUE(choice.server);
  const std::string other = name(choice);
  EXPECT_EQ(name(by_key(kBlue)), other);
  up(0, true);
  EXPECT_EQ(name(by_key(kBlue)), "blue");
  up(0, false);
  up(1, false);
  up(2, false);
  EXPECT_FALSE(by_key(kBlue).server) << "nobody is left";
}

// Tickets of one that can't serve are spread by weight, and counted apart.
TEST_F(PickerStickyTest, RedistributedTicketsAreNotInTheRatio) {
  config.routes[0].on_unhealthy = conf::OnUnhealthy::redistribute;
  adopt();
  up(0, false);
  std::vector<int> counts(3);
  for (int i = 0; i < 10'000; ++i) {
    const Choice choice = picker.pick(*snapshot, 0);
    ASSERT_TRUE(choice.server);
    ++counts[choice.share];
  }
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 7'500, 200);
  EXPECT_EQ(runtime().total(0), 0u);
  EXPECT_EQ(runtime().total(1), 3'000u);
  EXPECT_EQ(runtime().total(2), 1'000u);
  EXPECT_EQ(runtime().total_by(ChosenBy::redistributed), 6'000u);
}

TEST_F(PickerStickyTest, OnUnhealthyFallbackGoesToTheNamedBackend) {
  config.routes[0].on_unhealthy = conf::OnUnhealthy::fallback;
  config.routes[0].fallback = "spare";
  adopt();
  up(0, false);
  const Choice choice = by_key(kBlue);
  EXPECT_EQ(name(choice), "spare");
  EXPECT_EQ(choice.by, ChosenBy::fallback);
  EXPECT_EQ(choice.share, Choice::kNoShare);
  up(3, false);
  EXPECT_FALSE(by_key(kBlue).server);
}

TEST_F(PickerStickyTest, ARetryGoesElsewhereOnlyWhenItsBackendIsOutOfServers) {
  config.routes[0].on_unhealthy = conf::OnUnhealthy::redistribute;
  adopt();
  const ServerRuntime* b1 = snapshot->backends[0].servers[0].runtime.get();
  const Wish wish{.key = kBlue};
  const Choice again = picker.pick_again(*snapshot, 0, "blue", ChosenBy::sticky, {b1}, wish);
  EXPECT_EQ(again.by, ChosenBy::redistributed);
  const Wish busy{.key = kBlue, .same_backend_only = true};
  EXPECT_FALSE(picker.pick_again(*snapshot, 0, "blue", ChosenBy::sticky, {b1}, busy).server)
      << "busy is not unhealthy";
}

// A key moves only when the partition says so (guarantee G6), also over a reload that makes the
// route sticky, and back.
TEST_F(PickerStickyTest, G6ShiftsMoveKeysOnlyTowardWhoGrowsAndReloadsMoveNone) {
  const auto owners = [&] {
    std::vector<std::string> names;
    for (StickyKey key = 0; key < 4000; ++key) names.push_back(name(by_key(key * 1'000'003)));
    return names;
  };
  const auto before = owners();
  adopt();
  EXPECT_EQ(owners(), before);
  config.routes[0].split = {share("blue", "40"), share("green", "30"), share("red", "30")};
  adopt();
  const auto after = owners();
  int moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    EXPECT_EQ(after[i], "red");
    ++moved;
  }
  EXPECT_NEAR(moved, 800, 100);
  config.routes[0].sticky.reset();
  adopt();
  EXPECT_FALSE(snapshot->routes[0].keys);
  EXPECT_EQ(by_key(kBlue).by, ChosenBy::ticket);
  config.routes[0].sticky.emplace();
  adopt();
  EXPECT_TRUE(snapshot->routes[0].keys);
}

}  // namespace
}  // namespace sluice::routing
