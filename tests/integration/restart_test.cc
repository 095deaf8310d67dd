// What is left after a kill: the last acknowledged revision, or the one that was in flight.
#include <signal.h>

#include <random>
#include <thread>

#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

class RestartTest : public SluiceTest {
 protected:
  std::string ledger() const { return directory_->file("state/ledger"); }
  std::string second_copy() const { return directory_->file("state/ledger.2"); }
  // Both copies, as a process that was cut off has left them.
  void put_ledger(std::string_view first, std::string_view second) const {
    harness::write_file(ledger(), std::string(first), 0600);
    harness::write_file(second_copy(), std::string(second), 0600);
  }
  int green() { return admin_json("/weights/app")["weights"]["green"]; }
};

TEST_F(RestartTest, G4WeightsAndDrainsSurviveAKill) {
  start();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=33.333&green=66.667").status, 200);
  ASSERT_EQ(admin("POST", "/servers/blue/one/drain?force=true").status, 200);
  json before = admin_json("/weights/app");
  kill_and_restart();
  json after = admin_json("/weights/app");
  EXPECT_EQ(after["weights"], before["weights"]);
  EXPECT_EQ(after["revision"], before["revision"]);
  EXPECT_EQ(backend_server("blue", "one")["draining"], true);
  EXPECT_EQ(backend_server("green", "one")["draining"], false);
  Response next = admin("PUT", "/weights/app", "blue=1&green=9");
  EXPECT_GT(parse_json(next)["revision"], before["revision"]);
}

TEST_F(RestartTest, G4AfterAKillAtAnyInstantTheStateIsTheLastAcknowledgedOrTheNext) {
  start();
  std::mt19937 random(20261121);
  SCOPED_TRACE("seed 20261121");
  int acknowledged = 0;
  for (int round = 0; round < 8; ++round) {
    // Writes follow each other on one connection until the process is gone.
    int last_sent = acknowledged;
    std::thread killer([&, wait = milliseconds(random() % 60)] {
      std::this_thread::sleep_for(wait);
      sluice_->signal(SIGKILL);
    });
    auto client = HttpClient::connect(sluice_->admin());
    while (client) {
      last_sent = acknowledged + 1;
      Fields form;
      form.add("Content-Type", "application/x-www-form-urlencoded");
      Response put = (*client)->request("PUT", "/weights/app",
                                        "blue=1&green=" + std::to_string(last_sent), form);
      if (!put.complete()) break;
      ASSERT_EQ(put.status, 200) << put.summary();
      acknowledged = last_sent;
    }
    killer.join();
    ASSERT_TRUE(sluice_->wait_exit());
    start();
    int now = green();
    EXPECT_GE(now, acknowledged) << "an acknowledged revision is lost";
    EXPECT_LE(now, last_sent) << "a revision that nobody asked for";
    acknowledged = now;
  }
}

TEST_F(RestartTest, G4ATornTailIsCutAndReported) {
  start();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=1").status, 200);
  std::string before = harness::read_file(ledger());
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=2").status, 200);
  std::string whole = harness::read_file(ledger());
  ASSERT_TRUE(whole.starts_with(before));
  for (std::size_t keep : {before.size() + 1, before.size() + 20, whole.size() - 1}) {
    sluice_->signal(SIGKILL);
    ASSERT_TRUE(sluice_->wait_exit());
    put_ledger(whole.substr(0, keep), before);
    start();
    EXPECT_EQ(green(), 1) << "cut at " << keep;
    EXPECT_NE(sluice_->wait_for_error_text("ledger_torn_tail_cut"), std::string::npos);
    EXPECT_EQ(harness::read_file(ledger()), before);
    EXPECT_EQ(admin("PUT", "/weights/app", "blue=1&green=3").status, 200);
  }
}

TEST_F(RestartTest, G4DamageRefusesWritesAndKeepsTheTrafficFlowing) {
  start();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=1").status, 200);
  std::size_t good = harness::read_file(ledger()).size();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=2").status, 200);
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=3").status, 200);
  sluice_->signal(SIGKILL);
  ASSERT_TRUE(sluice_->wait_exit());
  std::string text = harness::read_file(ledger());
  text[good + 40] = static_cast<char>(text[good + 40] ^ 1);
  put_ledger(text, text);
  start();
  EXPECT_NE(sluice_->wait_for_error_text("ledger_damaged"), std::string::npos);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(admin("PUT", "/weights/app", "blue=5&green=5").status, 503);
  EXPECT_EQ(harness::read_file(ledger()), text) << "what is damaged is evidence";
}

TEST_F(RestartTest, G4ADamagedCopyIsMadeAnewFromTheOtherAndSaid) {
  start();
  for (int weight = 1; weight <= 3; ++weight) {
    ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=" + std::to_string(weight)).status, 200);
  }
  const std::string whole = harness::read_file(ledger());
  std::string damaged = whole;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 4);
  for (const bool first : {true, false}) {
    sluice_->signal(SIGKILL);
    ASSERT_TRUE(sluice_->wait_exit());
    put_ledger(first ? damaged : whole, first ? whole : damaged);
    start();
    EXPECT_NE(sluice_->wait_for_error_text("ledger_repaired"), std::string::npos);
    EXPECT_EQ(green(), 3);
    EXPECT_EQ(harness::read_file(ledger()), whole);
    EXPECT_EQ(harness::read_file(second_copy()), whole);
    EXPECT_EQ(admin_json("/")["ledger"]["good_copies"], 2);
  }
}

TEST_F(RestartTest, OneProcessAtATimeHoldsTheLedger) {
  start();
  auto second = SluiceProcess::start({.config = config_text({}), .directory = directory_});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), testing::HasSubstr("ledger"));
  EXPECT_EQ(get("/").status, 200);
}

}  // namespace
}  // namespace sluice::integration
