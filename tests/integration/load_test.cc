// Everything that an operator does, while load runs: nothing may fail for it.
#include "tests/harness/load.h"

#include <signal.h>

#include <atomic>
#include <thread>

#include "tests/harness/child.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Wrk;
using harness::WrkResult;

class LoadTest : public SluiceTest {
 protected:
  void SetUp() override {
    if (!Wrk::installed()) GTEST_SKIP() << "wrk is not installed";
  }
  void TearDown() override {
    loads_.clear();
    SluiceTest::TearDown();
  }

  // Four servers: blue has two, green has two.
  Scenario four_servers() {
    return {.health = "interval = \"1s\"\nsettle_interval = \"50ms\"",
            .backends = {{"blue", {{"one", blue_.address()}, {"two", blue_two_.address()}}},
                         {"green", {{"one", green_.address()}, {"two", green_two_.address()}}}},
            .split = "{ blue = 50, green = 50 }"};
  }

  void start_load() {
    for (const char* scheme : {"http", "https"}) {
      auto wrk =
          Wrk::start({.url = std::string(scheme) + "://" + sluice_->endpoint(scheme).text() + "/",
                      .connections = 32});
      ASSERT_TRUE(wrk) << wrk.error();
      loads_.push_back(std::move(*wrk));
    }
    ASSERT_TRUE(blue_.wait_for_requests(blue_.counts().requests + 200));
  }

  // Ends the load: how many requests failed.
  std::uint64_t stop_load() {
    std::uint64_t failed = 0;
    for (auto& wrk : loads_) {
      auto result = wrk->stop();
      EXPECT_TRUE(result) << result.error();
      if (!result) continue;
      EXPECT_GT(result->requests, 100u);
      failed += result->failed();
      if (result->failed() > 0) last_output_ += result->output;
    }
    loads_.clear();
    return failed;
  }

  StrictOrigin blue_two_{"blue"};
  StrictOrigin green_two_{"green"};
  std::vector<std::unique_ptr<Wrk>> loads_;
  std::string last_output_;
};

TEST_F(LoadTest, G3AThousandShiftsFailNoRequest) {
  start(four_servers());
  start_load();
  const int kShifts = sanitized() ? 200 : 1000;
  for (int i = 1; i <= kShifts; ++i) {
    Response put = admin("PUT", "/weights/app",
                         "blue=" + std::to_string(i) + "&green=" + std::to_string(1001 - i));
    ASSERT_EQ(put.status, 200) << i << ": " << put.summary();
  }
  EXPECT_EQ(stop_load(), 0u) << last_output_;
}

TEST_F(LoadTest, G3TwentyReloadsFailNoRequest) {
  Scenario scenario = four_servers();
  start(scenario);
  start_load();
  for (int i = 0; i < 20; ++i) {
    scenario.timeouts = "connect = \"" + std::to_string(3 + i % 2) + "s\"";
    ASSERT_TRUE(reload(scenario)) << i;
  }
  EXPECT_EQ(stop_load(), 0u) << last_output_;
}

TEST_F(LoadTest, G3TwentyDrainsOfEveryServerFailNoRequestEvenIfItIsStopped) {
  start(four_servers());
  start_load();
  struct {
    const char* path;
    StrictOrigin* origin;
  } servers[] = {{"/servers/blue/one", &blue_},
                 {"/servers/blue/two", &blue_two_},
                 {"/servers/green/one", &green_},
                 {"/servers/green/two", &green_two_}};
  for (int round = 0; round < 20; ++round) {
    for (const auto& server : servers) {
      std::string path = server.path;
      Response drained = admin("POST", path + "/drain?wait=30s");
      ASSERT_EQ(drained.status, 200) << drained.summary();
      if (round % 5 == 0) server.origin->stop();
      if (round % 5 == 0) server.origin->start();
      Response resumed = admin("POST", path + "/resume?wait=30s");
      ASSERT_EQ(resumed.status, 200) << resumed.summary();
    }
  }
  EXPECT_EQ(stop_load(), 0u) << last_output_;
  for (const auto& server : servers) EXPECT_EQ(server.origin->counts().cut_by_stop, 0u);
}

TEST_F(LoadTest, AKilledServerCostsOnlyWhatWasInFlightOnIt) {
  start(four_servers());
  start_load();
  blue_.stop();
  ASSERT_TRUE(wait_for_status("blue", "one", "down"));
  blue_.start();
  ASSERT_TRUE(wait_for_status("blue", "one", "up"));
  ASSERT_TRUE(blue_.wait_for_requests(blue_.counts().requests + 100)) << "it gets work again";
  EXPECT_LE(stop_load(), blue_.counts().cut_by_stop) << last_output_;
}

TEST_F(LoadTest, G1AfterASwitchNoneOfTheNextHundredThousandReachesBlue) {
  start(four_servers());
  start_load();
  ASSERT_TRUE(blue_.wait_for_requests(blue_.counts().requests + 500));
  Response put = admin("PUT", "/weights/app", "blue=0&green=100");
  ASSERT_EQ(put.status, 200) << put.summary();
  const std::uint64_t kRequests = sanitized() ? 30'000 : 100'000;
  harness::CheckedResult result = harness::run_checked({.endpoint = sluice_->endpoint("http"),
                                                        .requests = kRequests,
                                                        .connections = 64,
                                                        .body = "backend {backend}\n"});
  EXPECT_EQ(stop_load(), 0u) << last_output_;
  EXPECT_EQ(result.failed, 0u) << testing::PrintToString(result.failures);
  EXPECT_EQ(result.by_backend["green"], kRequests);
  EXPECT_EQ(result.by_backend["blue"], 0u);
}

TEST_F(LoadTest, G1NoRequestSentAfterTheReturnIsChosenByTheWeightsBefore) {
  Scenario scenario = four_servers();
  scenario.workers = 4;
  start(scenario);
  // The load keeps every worker busy, so that one which is late has the time to show.
  start_load();
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 16; ++i) clients.push_back(connect());
  auto admin_client = HttpClient::connect(sluice_->admin());
  ASSERT_TRUE(admin_client) << admin_client.error();
  Fields form;
  form.add("Content-Type", "application/x-www-form-urlencoded");
  for (int shift = 0; shift < (sanitized() ? 50 : 500); ++shift) {
    const std::string to = shift % 2 == 0 ? "green" : "blue";
    Response response = (*admin_client)->request("POST", "/switch/app", "to=" + to, form);
    ASSERT_EQ(response.status, 200) << response.summary();
    for (auto& client : clients) ASSERT_TRUE(client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (auto& client : clients) {
      ASSERT_EQ(client->read_response().field("X-Backend"), to) << "after shift " << shift;
    }
  }
  EXPECT_EQ(stop_load(), 0u) << last_output_;
}

TEST_F(LoadTest, NothingFailsWhileEverythingHappensAtOnce) {
  Scenario scenario = four_servers();
  start(scenario);
  start_load();
  std::atomic<bool> over = false;
  std::thread shifts([&] {
    for (int i = 1; !over; i = i % 1000 + 1) {
      Response put = admin("PUT", "/weights/app",
                           "blue=" + std::to_string(i) + "&green=" + std::to_string(1001 - i));
      EXPECT_EQ(put.status, 200) << put.summary();
    }
  });
  std::thread drains([&] {
    while (!over) {
      EXPECT_EQ(admin("POST", "/servers/blue/one/drain?wait=30s").status, 200);
      EXPECT_EQ(admin("POST", "/servers/blue/one/resume?wait=30s").status, 200);
    }
  });
  for (int i = 0; i < (sanitized() ? 10 : 100); ++i) {
    scenario.timeouts = "connect = \"" + std::to_string(3 + i % 2) + "s\"";
    EXPECT_TRUE(reload(scenario)) << i;
  }
  over = true;
  shifts.join();
  drains.join();
  EXPECT_EQ(stop_load(), 0u) << last_output_;
}

TEST_F(LoadTest, H2loadWithAHundredStreamsOnAHundredConnectionsFailsNothing) {
  start({.listener = "protocols = [\"http/1.1\", \"h2\"]"});
  const std::uint64_t kRequests = sanitized() ? 10'000 : 200'000;
  const std::uint64_t before = blue_.counts().requests;
  const harness::Ran ran =
      harness::run({"h2load", "-n", std::to_string(kRequests), "-c", "100", "-m", "100", "-t", "1",
                    "https://" + sluice_->endpoint("https").text() + "/bytes/1000"},
                   Deadline(seconds(300)));
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_THAT(ran.output, testing::HasSubstr(std::to_string(kRequests) +
                                             " succeeded, 0 failed, 0 errored, 0 timeout"));
  EXPECT_EQ(blue_.counts().requests, before + kRequests);
}

}  // namespace
}  // namespace sluice::integration
