#include "routing/snapshot.h"

#include <gtest/gtest.h>

#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

class SnapshotTest : public testing::Test {
 protected:
  std::shared_ptr<const Snapshot> build(bool assume_up = false) {
    const State::ReloadPlan plan = state.plan_reload(config, {});
    EXPECT_TRUE(plan.errors.empty());
    if (plan.revision) state.apply(*plan.revision);
    return registry.build(std::make_shared<const conf::Config>(config), state, ++epoch, assume_up);
  }
  void shift(const char* blue, const char* green) {
    state.apply(*plan_wish(state, put("app", {{"blue", blue}, {"green", green}}), {}, {}));
  }

  conf::Config config = basic_config();
  State state;
  Registry registry{2};
  std::uint64_t epoch = 0;
};

TEST_F(SnapshotTest, ShowsTheStateOverTheConfiguration) {
  build();
  shift("0", "100");
  state.apply(*state.plan_drain(config, {"blue", "b2"}, true, {}, {}));
  const auto snapshot = build();
  EXPECT_EQ(snapshot->epoch, 2u);
  EXPECT_EQ(snapshot->revision, 3u);
  ASSERT_EQ(snapshot->backends.size(), 2u);
  EXPECT_EQ(snapshot->backends[0].name, "blue");
  EXPECT_FALSE(snapshot->backends[0].servers[0].draining);
  EXPECT_TRUE(snapshot->backends[0].servers[1].draining);
  EXPECT_FALSE(snapshot->backends[0].servers[1].takes_new_work());
  EXPECT_EQ(snapshot->backends[0].servers[1].address, config.backends[0].servers[1].address);
  ASSERT_EQ(snapshot->routes.size(), 1u);
  const SnapshotRoute& app = snapshot->routes[0];
  EXPECT_EQ(app.split, blue_green("0", "100"));
  EXPECT_EQ(app.backends, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(app.revision, 2u);
  for (Ticket ticket = 0; ticket < 10; ++ticket) EXPECT_EQ(app.schedule.pick(ticket), 1u);
  EXPECT_EQ(snapshot->table.match("any.host", "/x"), 0u);
}

TEST_F(SnapshotTest, ANewProbedServerIsDownUntilAProbePasses) {
  config.backends[0].health.emplace();
  const auto snapshot = build();
  EXPECT_FALSE(snapshot->backends[0].servers[0].takes_new_work());
  EXPECT_TRUE(snapshot->backends[1].servers[0].takes_new_work()) << "not probed";
  Registry fresh(1);
  const auto assumed = fresh.build(snapshot->config, state, 1, /*assume_up=*/true);
  EXPECT_TRUE(assumed->backends[0].servers[0].takes_new_work());
}

TEST_F(SnapshotTest, HealthAndCountsOutliveReloadsAndShifts) {
  config.backends[0].health.emplace();
  auto snapshot = build();
  ServerRuntime* const b1 = snapshot->backends[0].servers[0].runtime.get();
  b1->up = true;
  b1->cell(0).running = 3;
  b1->cell(1).running = 4;
  b1->cell(1).requests_total = 9;
  b1->cell(0).failures_total = 1;
  config.backends[0].health->path = "/other";
  config.backends[0].servers.insert(config.backends[0].servers.begin(),
                                    {"b0", *Address::parse("127.0.0.1:9000")});
  snapshot = build();
  EXPECT_FALSE(snapshot->backends[0].servers[0].takes_new_work()) << "b0 is new";
  EXPECT_EQ(snapshot->backends[0].servers[1].runtime.get(), b1);
  EXPECT_TRUE(b1->up);
  EXPECT_EQ(b1->running(), 7u);
  EXPECT_EQ(b1->requests_total(), 9u);
  EXPECT_EQ(b1->failures_total(), 1u);
}

TEST_F(SnapshotTest, ADeadServerStaysDeadOverAReload) {
  config.backends[0].health.emplace();
  build(/*assume_up=*/true)->backends[0].servers[0].runtime->up = false;
  EXPECT_FALSE(build(/*assume_up=*/true)->backends[0].servers[0].takes_new_work());
}

TEST_F(SnapshotTest, AServerThatIsNoLongerProbedComesUp) {
  config.backends[0].health.emplace();
  EXPECT_FALSE(build()->backends[0].servers[0].takes_new_work());
  config.backends[0].health.reset();
  EXPECT_TRUE(build()->backends[0].servers[0].takes_new_work());
}

TEST_F(SnapshotTest, AnotherAddressIsAnotherServer) {
  auto before = build();
  config.backends[0].servers[0].address = *Address::parse("127.0.0.1:9999");
  const auto after = build();
  EXPECT_NE(after->backends[0].servers[0].runtime, before->backends[0].servers[0].runtime);
  EXPECT_EQ(after->backends[0].servers[1].runtime, before->backends[0].servers[1].runtime);
}

TEST_F(SnapshotTest, WhatNoSnapshotUsesIsForgotten) {
  auto pinned = build();
  const std::weak_ptr<ServerRuntime> b1 = pinned->backends[0].servers[0].runtime;
  const std::weak_ptr<RouteRuntime> app = pinned->routes[0].runtime;
  b1.lock()->cell(0).requests_total = 5;
  const conf::Config full = config;
  config.backends[0].servers.erase(config.backends[0].servers.begin());
  config.routes[0].name = "renamed";
  build();
  EXPECT_FALSE(b1.expired()) << "an exchange may still pin the old snapshot";
  // Back while it is still in use: it is the same server with the same counts.
  config = full;
  EXPECT_EQ(build()->backends[0].servers[0].runtime->requests_total(), 5u);
  config.backends[0].servers.erase(config.backends[0].servers.begin());
  config.routes[0].name = "renamed";
  pinned.reset();
  build();
  EXPECT_TRUE(b1.expired());
  EXPECT_TRUE(app.expired());
}

TEST_F(SnapshotTest, TicketsAndCountsOutliveShiftsAndReloads) {
  auto snapshot = build();
  RouteRuntime* const runtime = snapshot->routes[0].runtime.get();
  for (int i = 0; i < 7; ++i) runtime->take_ticket();
  runtime->count(0, 0);
  runtime->count(1, 0);
  runtime->count(1, 1);
  shift("50", "50");
  snapshot = build();
  EXPECT_EQ(snapshot->routes[0].runtime.get(), runtime);
  config.timeouts.connect = std::chrono::seconds(9);
  snapshot = build();
  EXPECT_EQ(snapshot->routes[0].runtime.get(), runtime);
  EXPECT_EQ(runtime->take_ticket(), 7u);
  EXPECT_EQ(runtime->total(0), 2u);
  EXPECT_EQ(runtime->total(1), 1u);
}

TEST_F(SnapshotTest, TicketsAndCountsOutliveAChangeOfBackends) {
  const auto before = build();
  const auto old = before->routes[0].runtime;
  for (int i = 0; i < 7; ++i) old->take_ticket();
  old->count(0, 0);
  old->count(0, 1);
  old->count(0, 1);
  config.backends.push_back(backend("red", {"r1"}));
  config.routes[0].split = {share("red", "1"), share("green", "1")};
  const auto after = build()->routes[0].runtime;
  EXPECT_NE(after, old);
  EXPECT_EQ(after->backends(), (std::vector<std::string>{"red", "green"}));
  EXPECT_EQ(after->total(0), 0u) << "red is new";
  EXPECT_EQ(after->total(1), 2u) << "green stayed";
  // A worker that has not adopted the new snapshot yet goes on counting, and is seen.
  old->count(1, 1);
  EXPECT_EQ(after->total(1), 3u);
  EXPECT_EQ(old->take_ticket(), 7u);
  EXPECT_EQ(after->take_ticket(), 8u);
  EXPECT_EQ(old->tickets_taken(), 9u);
}

TEST_F(SnapshotTest, ASplitWithATableIsRightAfterEveryBuild) {
  Split split;
  for (int i = 0; i < 6; ++i) {
    const std::string name = "x" + std::to_string(i);
    config.backends.push_back(backend(name, {"s"}));
    split.push_back(share(name, i == 0 ? "5" : "1"));
  }
  config.routes[0].split = split;
  build();
  for (const char* weight : {"5", "5", "0", "5"}) {
    state.apply(*plan_wish(state, patch("app", {{"x0", weight}}), {}, {}));
    const auto snapshot = build();
    std::size_t first_share = 0;
    for (Ticket ticket = 0; ticket < 100; ++ticket) {
      first_share += snapshot->routes[0].schedule.pick(ticket) == 0 ? 1 : 0;
    }
    EXPECT_EQ(first_share, std::string_view(weight) == "0" ? 0u : 50u);
  }
}

}  // namespace
}  // namespace sluice::routing
