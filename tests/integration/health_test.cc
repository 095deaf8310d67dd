// Servers that go and come back.
#include <sys/socket.h>

#include <algorithm>

#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

class HealthTest : public SluiceTest {
 protected:
  Scenario two_servers(std::string health = "settle_interval = \"50ms\"") {
    return {.health = std::move(health),
            .backends = {{"pool", {{"web-1", blue_.address()}, {"web-2", green_.address()}}}},
            .split = "{ pool = 1 }"};
  }
};

TEST_F(HealthTest, AKilledServerCostsNoRequestAndComesBackAfterAProbe) {
  start(two_servers());
  auto client = connect();
  blue_.stop();
  for (int i = 0; i < 20; ++i) {
    Response response = client->get("/");
    ASSERT_EQ(response.status, 200) << i << ": " << response.summary();
    EXPECT_EQ(response.field("X-Backend"), "green");
  }
  EXPECT_TRUE(wait_for_status("pool", "web-1", "down"));
  json server = backend_server("pool", "web-1");
  EXPECT_EQ(server["takes_new_work"], false);
  EXPECT_FALSE(server.value("last_error", "").empty());
  blue_.start();
  EXPECT_TRUE(wait_for_status("pool", "web-1", "up"));
  std::uint64_t before = blue_.counts().requests;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client->get("/").status, 200);
  EXPECT_GT(blue_.counts().requests, before);
}

TEST_F(HealthTest, AServerWhoseProbesFailIsTakenOut) {
  start(two_servers("interval = \"50ms\"\nsettle_interval = \"20ms\""));
  blue_.set_health(500);
  ASSERT_TRUE(wait_for_status("pool", "web-1", "down"));
  std::uint64_t before = blue_.counts().requests;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_EQ(blue_.counts().requests, before);
  blue_.set_health(200);
  EXPECT_TRUE(wait_for_status("pool", "web-1", "up"));
}

TEST_F(HealthTest, WithoutAnyServerItIs503AndEndsWhenOneIsBack) {
  start(two_servers());
  blue_.stop();
  green_.stop();
  auto client = connect();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client->get("/").status, 503);
  green_.start();
  ASSERT_TRUE(wait_for_status("pool", "web-2", "up"));
  EXPECT_EQ(client->get("/").field("X-Backend"), "green");
}

TEST_F(HealthTest, ThereIsOneProberHoweverManyWorkers) {
  Scenario scenario = two_servers("interval = \"100ms\"\nsettle_interval = \"100ms\"\nrise = 1");
  scenario.workers = 4;
  start(scenario);
  std::uint64_t before = blue_.counts().health_probes;
  auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(blue_.wait_for_health_probes(before + 8));
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  // One prober needs 8 intervals, give or take its jitter; four would need two.
  EXPECT_GT(took.count(), 0.4);
}

TEST_F(HealthTest, ReadinessWaitsForTheFirstRound) {
  Scenario scenario = two_servers("timeout = \"10s\"");
  scenario.runtime = "ready_timeout = \"60s\"";
  // Listens and never answers: its first probe is still out.
  harness::Fd mute = harness::bind_loopback(0);
  ASSERT_EQ(listen(mute.get(), 10), 0);
  scenario.backends["pool"]["web-1"] =
      "127.0.0.1:" + std::to_string(harness::local_port(mute.get()));
  auto process = SluiceProcess::start(
      {.config = config_text(scenario), .directory = directory_, .wait_ready = false});
  ASSERT_TRUE(process) << process.error();
  sluice_ = std::move(*process);
  ASSERT_NE(sluice_->metrics().port, 0);
  EXPECT_EQ(harness::fetch(sluice_->metrics(), "GET", "/livez").status, 200);
  Response not_ready = harness::fetch(sluice_->metrics(), "GET", "/readyz");
  EXPECT_EQ(not_ready.status, 503) << not_ready.summary();
  EXPECT_THAT(sluice_->notifications(), testing::Not(testing::Contains("READY=1")));
  mute.close();
  EXPECT_TRUE(sluice_->wait_for_notification("READY=1"));
  EXPECT_EQ(harness::fetch(sluice_->metrics(), "GET", "/readyz").status, 200);
}

TEST_F(HealthTest, ReadinessDoesNotWaitForEver) {
  Scenario scenario = two_servers("timeout = \"60s\"");
  scenario.runtime = "ready_timeout = \"300ms\"";
  harness::Fd mute = harness::bind_loopback(0);
  ASSERT_EQ(listen(mute.get(), 10), 0);
  scenario.backends["pool"]["web-1"] =
      "127.0.0.1:" + std::to_string(harness::local_port(mute.get()));
  start(scenario);
  EXPECT_EQ(get("/").field("X-Backend"), "green") << "what is not probed yet takes no work";
}

TEST_F(HealthTest, G8WhatIsKnownSurvivesAReload) {
  Scenario scenario = two_servers("settle_interval = \"1h\"");
  start(scenario);
  blue_.stop();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(get("/").status, 200);
  ASSERT_TRUE(wait_for_status("pool", "web-1", "down"));
  blue_.start();
  std::uint64_t before = blue_.counts().requests;
  scenario.timeouts = "connect = \"4s\"";
  ASSERT_TRUE(reload(scenario));
  EXPECT_EQ(backend_server("pool", "web-1")["status"], "down");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_EQ(blue_.counts().requests, before);
}

}  // namespace
}  // namespace sluice::integration
