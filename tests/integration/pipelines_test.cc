// The scripts of docs/pipelines, as they stand there, against the real binary and app servers: done
// well, with a step that fails, stopped, and killed halfway.
#include <signal.h>

#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kScripts = SLUICE_SOURCE_DIR "/docs/pipelines/shell/";

class PipelinesTest : public CliTestBase {
 protected:
  json weights() { return admin_json("/weights/app")["weights"]; }
  static json all_blue() { return json::parse(R"({"blue": 1, "green": 0})"); }

  // The script's environment and words.
  std::string command(const std::string& script, const std::string& words) const {
    return std::string(kScripts) + script + " " + words;
  }
  Environment with(Environment more) const {
    more.insert({{"LEASE", "4"}, {"PIPELINE_ID", "run-" + std::to_string(++runs_)}});
    return more;
  }
  Said run_script(const std::string& script, const std::string& words, Environment environment) {
    return shell("exec " + command(script, words), with(std::move(environment)));
  }
  // The same, not waited for.
  std::unique_ptr<harness::Child> start_script(const std::string& script, const std::string& words,
                                               const Environment& environment) {
    std::vector<std::string> all = {"env", "SLUICE_ADMIN=" + admin_url(),
                                    "SLUICE=" + SluiceProcess::binary()};
    for (const auto& [name, value] : with(environment)) all.push_back(name + "=" + value);
    all.insert(all.end(), {"sh", "-c", "exec " + command(script, words)});
    return harness::Child::start(all);
  }
  std::string mark(const char* name) const { return directory_->file(name); }
  bool is_marked(const char* name) const { return !harness::read_file(mark(name)).empty(); }
  bool wait_for_mark(const char* name) {
    return wait_until([&] { return is_marked(name); });
  }
  std::string marking(const char* name) const { return "echo x >> '" + mark(name) + "'"; }
  Scenario two_servers() {
    return {.backends = {{"pool", {{"web-1", blue_.address()}, {"web-2", green_.address()}}}},
            .split = "{ pool = 1 }"};
  }
  mutable int runs_ = 0;
};

TEST_F(PipelinesTest, BlueGreenSwitchesVerifiesAndKeeps) {
  start();
  const Said said = run_script(
      "blue-green.sh", "app green",
      {{"DEPLOY", marking("deployed")},
       {"VERIFY", "sluice=$SLUICE; \"$sluice\" weights app --json > '" + mark("seen") + "'"}});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(is_marked("deployed"));
  EXPECT_GT(json::parse(harness::read_file(mark("seen")))["weights"]["green"], 0)
      << "verified under traffic";
  EXPECT_EQ(weights()["blue"], 0);
  EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_EQ(admin_json("/leases")["leases"], json::array()) << "it stays for good";
}

TEST_F(PipelinesTest, BlueGreenThatFailsToVerifyIsRolledBack) {
  start();
  const Said said = run_script("blue-green.sh", "app green",
                               {{"DEPLOY", "true"}, {"VERIFY", marking("verified") + "; exit 7"}});
  EXPECT_EQ(said.code, 7) << said.err;
  EXPECT_TRUE(is_marked("verified"));
  EXPECT_THAT(said.err, HasSubstr("rolling app back"));
  EXPECT_EQ(weights(), all_blue());
}

TEST_F(PipelinesTest, BlueGreenThatFailsToDeployHasShiftedNothing) {
  start();
  const int before = admin_json("/weights/app")["revision"];
  const Said said =
      run_script("blue-green.sh", "app green", {{"DEPLOY", "exit 3"}, {"VERIFY", "true"}});
  EXPECT_EQ(said.code, 3) << said.err;
  EXPECT_EQ(admin_json("/weights/app")["revision"], before);
}

TEST_F(PipelinesTest, BlueGreenThatIsStoppedIsRolledBackAtOnce) {
  start();
  auto script = start_script(
      "blue-green.sh", "app green",
      {{"DEPLOY", "true"}, {"VERIFY", marking("v") + "; exec sleep 60 >/dev/null 2>&1"}});
  ASSERT_TRUE(wait_for_mark("v")) << script->output();
  EXPECT_EQ(weights()["blue"], 0);
  script->signal(SIGTERM);
  EXPECT_EQ(script->wait_exit(), 143) << script->output();
  EXPECT_EQ(weights(), all_blue());
}

TEST_F(PipelinesTest, BlueGreenThatIsKilledGoesBackWhenItsLeaseLapses) {
  start();
  auto script = start_script(
      "blue-green.sh", "app green",
      {{"DEPLOY", "true"}, {"VERIFY", marking("v") + "; exec sleep 60 >/dev/null 2>&1"}});
  ASSERT_TRUE(wait_for_mark("v")) << script->output();
  EXPECT_EQ(weights()["blue"], 0);
  // It lives, and so does its lease: well beyond its four seconds.
  const Deadline beyond(seconds(7));
  EXPECT_FALSE(wait_until([&] { return weights() == all_blue(); }, beyond));
  script->signal(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return weights() == all_blue(); }));
}

TEST_F(PipelinesTest, BlueGreenNeverUndoesWhatSomebodyElseDidSince) {
  start();
  const Said said = run_script(
      "blue-green.sh", "app green",
      {{"DEPLOY", "true"}, {"VERIFY", "\"$SLUICE\" shift app blue=30 green=70 && exit 7"}});
  EXPECT_EQ(said.code, 7) << said.err;
  EXPECT_THAT(said.err, HasSubstr("could not be undone"));
  EXPECT_EQ(weights(), json::parse(R"({"blue": 30, "green": 70})"));
}

TEST_F(PipelinesTest, ASickBackendGetsNoTraffic) {
  start();
  green_.set_health(503);
  ASSERT_TRUE(wait_for_status("green", "one", "down"));
  // The script waits a minute for health; the deploy makes sure that it comes to nothing sooner.
  auto script =
      start_script("blue-green.sh", "app green", {{"DEPLOY", "true"}, {"VERIFY", "true"}});
  EXPECT_FALSE(wait_until([&] { return weights() != all_blue(); }, Deadline(seconds(2))));
  script->signal(SIGTERM);
  green_.set_health(200);
  script->wait_exit();
}

TEST_F(PipelinesTest, CanaryGoesStepByStep) {
  start();
  const Said said = run_script(
      "canary.sh", "app blue green",
      {{"DEPLOY", "true"},
       {"STEPS", "1 10 50 100"},
       {"PAUSE", "0"},
       {"VERIFY", "\"$SLUICE\" weights app --json | grep '\"weights\"' | head -n 1 >> '" +
                      mark("steps") + "'"}});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(harness::read_file(mark("steps")),
            "  \"weights\": {\"blue\": 99, \"green\": 1},\n"
            "  \"weights\": {\"blue\": 90, \"green\": 10},\n"
            "  \"weights\": {\"blue\": 50, \"green\": 50},\n"
            "  \"weights\": {\"blue\": 0, \"green\": 100},\n");
  EXPECT_EQ(admin_json("/leases")["leases"], json::array());
}

TEST_F(PipelinesTest, CanaryThatFailsAtAStepGoesAllTheWayBack) {
  start();
  const Said said =
      run_script("canary.sh", "app blue green",
                 {{"DEPLOY", "true"},
                  {"STEPS", "1 10 50"},
                  {"PAUSE", "0"},
                  {"VERIFY", marking("v") + "; [ $(wc -l < '" + mark("v") + "') -lt 3 ]"}});
  EXPECT_EQ(said.code, 1) << said.err;
  EXPECT_EQ(harness::read_file(mark("v")), "x\nx\nx\n") << "the third step failed";
  EXPECT_EQ(weights(), all_blue());
}

// As the Argo CD hook has it: the sync has deployed already, and each step waits for health.
TEST_F(PipelinesTest, CanaryThatFallsIllMidwayGetsNoMoreAndGoesAllTheWayBack) {
  start({.health = "interval = \"100ms\"\nsettle_interval = \"50ms\"\nrise = 1\nfall = 1"});
  auto script = start_script(
      "canary.sh", "app blue green",
      {{"DEPLOY", "true"},
       {"STEPS", "10 50"},
       {"PAUSE", "0"},
       {"VERIFY", marking("v") + "; while [ ! -s '" + mark("ill") + "' ]; do sleep 0.1; done"}});
  ASSERT_TRUE(wait_for_mark("v")) << script->output();
  EXPECT_EQ(weights()["green"], 10);
  green_.set_health(503);
  ASSERT_TRUE(wait_for_status("green", "one", "down"));
  harness::write_file(mark("ill"), "x");
  // The second step waits for health and does not come.
  EXPECT_FALSE(wait_until([&] { return weights()["green"] == 50; }, Deadline(seconds(1))));
  script->signal(SIGTERM);
  green_.set_health(200);
  script->wait_exit();
  EXPECT_TRUE(wait_until([&] { return weights() == all_blue(); })) << weights().dump();
}

TEST_F(PipelinesTest, CanaryThatIsKilledGoesAllTheWayBack) {
  start();
  auto script = start_script("canary.sh", "app blue green",
                             {{"DEPLOY", "true"},
                              {"STEPS", "10 50"},
                              {"PAUSE", "0"},
                              {"VERIFY", marking("v") + "; [ $(wc -l < '" + mark("v") +
                                             "') -lt 2 ] || exec sleep 60 >/dev/null 2>&1"}});
  ASSERT_TRUE(wait_until([&] { return harness::read_file(mark("v")) == "x\nx\n"; }))
      << script->output();
  EXPECT_EQ(weights()["green"], 50);
  script->signal(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return weights() == all_blue(); })) << weights().dump();
}

TEST_F(PipelinesTest, RollingDrainsDeploysAndResumesEachServer) {
  start(two_servers());
  const Said said = run_script("rolling.sh", "pool",
                               {{"DEPLOY", "echo \"$SERVER $ADDRESS\" >> '" + mark("d") +
                                               "'; \"$SLUICE\" servers pool "
                                               "--json | grep -c '\"safe_to_stop\": true' >> '" +
                                               mark("d") + "'"}});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(harness::read_file(mark("d")),
            "web-1 " + blue_.address() + "\n1\nweb-2 " + green_.address() + "\n1\n");
  for (const char* server : {"web-1", "web-2"})
    EXPECT_EQ(backend_server("pool", server)["takes_new_work"], true) << server;
}

TEST_F(PipelinesTest, RollingThatFailsUndoesWhatItTouched) {
  start(two_servers());
  const Said said = run_script("rolling.sh", "pool",
                               {{"DEPLOY", "[ \"$SERVER\" = web-1 ]"},
                                {"UNDO", "echo \"$SERVER\" >> '" + mark("undone") + "'"}});
  EXPECT_EQ(said.code, 1) << said.err;
  EXPECT_EQ(harness::read_file(mark("undone")), "web-2\nweb-1\n");
  for (const char* server : {"web-1", "web-2"})
    EXPECT_EQ(backend_server("pool", server)["takes_new_work"], true) << server;
}

TEST_F(PipelinesTest, RollingThatIsKilledLeavesOneServerDrainedAndCanBeRunAgain) {
  start(two_servers());
  auto script = start_script("rolling.sh", "pool",
                             {{"DEPLOY", marking("d") + "; exec sleep 60 >/dev/null 2>&1"}});
  ASSERT_TRUE(wait_for_mark("d")) << script->output();
  script->signal(SIGKILL);
  script->wait_exit();
  EXPECT_EQ(backend_server("pool", "web-1")["draining"], true);
  EXPECT_EQ(backend_server("pool", "web-2")["takes_new_work"], true);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(run_script("rolling.sh", "pool", {{"DEPLOY", "true"}}).code, 0);
  EXPECT_EQ(backend_server("pool", "web-1")["takes_new_work"], true);
}

TEST_F(PipelinesTest, RollingNeverTakesTheLastServerThatServes) {
  start();
  const Said said = run_script("rolling.sh", "blue", {{"DEPLOY", marking("d")}});
  EXPECT_NE(said.code, 0);
  EXPECT_THAT(said.err, HasSubstr("no_healthy_server"));
  EXPECT_FALSE(is_marked("d"));
  EXPECT_EQ(backend_server("blue", "one")["takes_new_work"], true);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(PipelinesTest, IdleSaysWhetherABackendHasTraffic) {
  start();
  EXPECT_EQ(run_script("idle.sh", "app green", {}).code, 0);
  const Said said = run_script("idle.sh", "app blue", {});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("blue has weight 1 in app"));
  EXPECT_EQ(run_script("idle.sh", "app red", {}).code, 1);
}

TEST_F(PipelinesTest, TheyCallOverAUnixSocketToo) {
  start();
  const Said said = run_script("idle.sh", "app green",
                               {{"SLUICE_ADMIN", "unix:" + directory_->file("admin.sock")}});
  EXPECT_EQ(said.code, 0) << said.err;
}

TEST_F(PipelinesTest, ARefusalIsSaidWithItsReason) {
  start();
  const Said said =
      run_script("blue-green.sh", "apq green", {{"DEPLOY", "true"}, {"VERIFY", "true"}});
  EXPECT_NE(said.code, 0);
  EXPECT_THAT(said.err, HasSubstr("unknown_route"));
}

TEST_F(PipelinesTest, WhatIsMissingIsNamed) {
  start();
  Said said = run_script("blue-green.sh", "app green", {{"DEPLOY", "true"}});
  EXPECT_NE(said.code, 0);
  EXPECT_THAT(said.err, HasSubstr("VERIFY is the command"));
  said = run_script("canary.sh", "app", {});
  EXPECT_NE(said.code, 0);
  EXPECT_THAT(said.err, HasSubstr("canary.sh ROUTE STABLE CANARY"));
}

}  // namespace
}  // namespace sluice::integration
