#include "routing/server_turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

using std::chrono::seconds;

class ServerTurnsTest : public testing::Test {
 protected:
  void use(std::vector<const char*> weights, Duration slow_start = Duration::zero()) {
    config = basic_config();
    conf::Backend& blue = config.backends[0];
    blue.servers.clear();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      const auto port = std::to_string(8000 + i);
      blue.servers.push_back(
          {name, *Address::parse("127.0.0.1:" + port), *Decimal::parse(weights[i])});
    }
    blue.slow_start = slow_start;
    adopt();
  }
  void adopt() {
    if (const auto plan = state.plan_reload(config, {}); plan.revision) state.apply(*plan.revision);
    snapshot =
        registry.build(std::make_shared<const conf::Config>(config), state, ++epoch, false, now);
    turns.adopt(backend());
  }
  void drain(const char* server, bool draining) {
    state.apply(*state.plan_drain(config, {"blue", server}, draining, {}, {}));
    adopt();
  }
  const SnapshotBackend& backend() const { return snapshot->backends[0]; }
  ServerRuntime& runtime(std::size_t index) const { return *backend().servers[index].runtime; }
  std::string next(const TriedServers& tried = {}) {
    const auto index = turns.next(backend(), tried, now);
    return index ? backend().servers[*index].key.server : "-";
  }
  std::string order(int count) {
    std::string order;
    for (int i = 0; i < count; ++i) order += next();
    return order;
  }
  std::map<char, int> counts(int count) {
    std::map<char, int> counts;
    for (const char server : order(count)) ++counts[server];
    return counts;
  }

  conf::Config config;
  State state;
  Registry registry{1};
  std::uint64_t epoch = 0;
  TimePoint now{seconds(1000)};
  std::shared_ptr<const Snapshot> snapshot;
  ServerTurns turns{0};
};

TEST_F(ServerTurnsTest, WithoutWeightsItIsPlainRoundRobin) {
  use({"3", "3", "3"});
  EXPECT_FALSE(backend().weighted);
  EXPECT_EQ(order(6), "abcabc");
}

TEST_F(ServerTurnsTest, WeightsAreExactAndEvenlyMixed) {
  use({"5", "1", "1"});
  EXPECT_EQ(order(7), "aabacaa");
  EXPECT_EQ(order(7), "aabacaa");
}

TEST_F(ServerTurnsTest, DecimalWeightsAreExactIntegers) {
  use({"0.5", "0.25", "1000000000"});
  EXPECT_EQ(backend().servers[0].units, 2u);
  EXPECT_EQ(backend().servers[1].units, 1u);
  EXPECT_EQ(backend().servers[2].units, 4'000'000'000u);
  use({"99.9", "0.1"});
  EXPECT_EQ(counts(1000), (std::map<char, int>{{'a', 999}, {'b', 1}}));
}

// Any so many consecutive requests as the weights sum to, not just the first.
TEST_F(ServerTurnsTest, EveryWindowOfOneRoundIsExact) {
  use({"7", "2", "1"});
  const std::string all = order(100);
  for (std::size_t at = 0; at + 10 <= all.size(); ++at) {
    const std::string window = all.substr(at, 10);
    ASSERT_EQ(std::count(window.begin(), window.end(), 'a'), 7) << at;
    ASSERT_EQ(std::count(window.begin(), window.end(), 'b'), 2) << at;
  }
}

TEST_F(ServerTurnsTest, AServerOfWeightZeroGetsNothing) {
  use({"0", "1", "2"});
  EXPECT_EQ(counts(300), (std::map<char, int>{{'b', 100}, {'c', 200}}));
  runtime(1).up = runtime(2).up = false;
  EXPECT_EQ(next(), "-");
  EXPECT_FALSE(any_may_serve(backend(), {}));
}

TEST_F(ServerTurnsTest, TheOthersShareByWeightWhatOneThatIsOutWouldGet) {
  use({"5", "3", "2"});
  runtime(0).up = false;
  EXPECT_EQ(counts(100), (std::map<char, int>{{'b', 60}, {'c', 40}}));
  EXPECT_EQ(next({&runtime(1)}), "c");
  EXPECT_EQ(next({&runtime(1), &runtime(2)}), "-");
}

TEST_F(ServerTurnsTest, ARevisionOfSomethingElseDoesNotDisturbTheOrder) {
  use({"5", "1", "1"});
  EXPECT_EQ(order(3), "aab");
  adopt();
  EXPECT_EQ(order(4), "acaa");
}

TEST_F(ServerTurnsTest, WithoutSlowStartWhoReturnsHasItsShareAtOnce) {
  use({"1", "1"});
  runtime(0).bring_up(now);
  runtime(0).up = false;
  runtime(0).bring_up(now);
  EXPECT_EQ(counts(100), (std::map<char, int>{{'a', 50}, {'b', 50}}));
}

TEST_F(ServerTurnsTest, ShareOfWhoReturnsGrowsEvenly) {
  use({"1", "1"}, seconds(10));
  EXPECT_EQ(counts(100), (std::map<char, int>{{'a', 50}, {'b', 50}})) << "nobody has returned";
  runtime(0).bring_up(now);  // the first word on it, at start: no return
  runtime(0).up = false;
  now += seconds(1);
  runtime(0).bring_up(now);
  // Weight w of 1 gives w / (w + 1) of the requests.
  const struct {
    int seconds_since;
    double share;
  } kSteps[] = {{0, 0.001}, {1, 0.0909}, {3, 0.2308}, {5, 0.3333}, {9, 0.4737}, {10, 0.5}};
  const TimePoint returned = now;
  for (const auto& [since, share] : kSteps) {
    now = returned + seconds(since);
    EXPECT_NEAR(counts(10'000)['a'], 10'000 * share, 12) << since;
  }
}

TEST_F(ServerTurnsTest, AResumeIsAReturn) {
  use({"1", "1"}, seconds(10));
  drain("a", true);
  EXPECT_EQ(order(3), "bbb");
  now += seconds(5);
  drain("a", false);
  now += seconds(1);
  EXPECT_NEAR(counts(1000)['a'], 91, 2);
}

TEST_F(ServerTurnsTest, JoiningIsAReturnButBeginningTogetherIsNot) {
  use({"1", "1"}, seconds(10));
  EXPECT_EQ(counts(100)['a'], 50);
  conf::Server joining = config.backends[0].servers[0];
  joining.name = "c";
  joining.address = *Address::parse("127.0.0.1:8009");
  config.backends[0].servers.push_back(joining);
  adopt();
  now += seconds(1);
  EXPECT_NEAR(counts(2100)['c'], 100, 2);
  now += seconds(9);
  EXPECT_EQ(counts(300)['c'], 100);
}

TEST_F(ServerTurnsTest, WhoReturnsAloneTakesEverything) {
  use({"1", "1"}, seconds(10));
  runtime(0).bring_up(now);
  runtime(0).up = runtime(1).up = false;
  runtime(0).bring_up(now);
  EXPECT_EQ(order(3), "aaa");
}

}  // namespace
}  // namespace sluice::routing
