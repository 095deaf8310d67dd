// The real binary as a client of the real binary, over every kind of connection.
#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;

class CliTest : public CliTestBase {
 protected:
  json weights() { return admin_json("/weights/app")["weights"]; }
};

TEST_F(CliTest, ShowsWeightsServersAndStatus) {
  start({.split = "{ blue = 90, green = 10 }"});
  Said said = sluice({"weights"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("app    blue     90"));
  said = sluice({"weights", "app", "--json"});
  EXPECT_EQ(json::parse(said.out)["weights"], json::parse(R"({"blue": 90, "green": 10})"));
  said = sluice({"servers", "blue"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr(blue_.address()));
  EXPECT_THAT(said.out, testing::Not(HasSubstr(green_.address())));
  said = sluice({"status"});
  EXPECT_EQ(said.code, 0) << said.out << said.err;
  EXPECT_THAT(said.out, HasSubstr("2 of 2 servers take new work"));
  EXPECT_THAT(said.out, testing::Not(HasSubstr("\x1b"))) << "no terminal, no colours";
}

TEST_F(CliTest, StatusIsNotWellWhereAServerIsDown) {
  start({.split = "{ blue = 1, green = 1 }"});
  green_.stop();
  for (int i = 0; i < 4; ++i) get("/");
  ASSERT_TRUE(wait_for_status("green", "one", "down"));
  Said said = sluice({"status"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.out, HasSubstr("Server green/one is down"));
  EXPECT_THAT(said.out, HasSubstr("Route app sends to green"));
  said = sluice({"status", "--json"});
  EXPECT_EQ(said.code, 1);
  EXPECT_EQ(json::parse(said.out)["healthy"], false);
}

TEST_F(CliTest, ShiftsAndSwitches) {
  start();
  Said said = sluice({"shift", "app", "blue=90", "green=10", "--author", "ci", "--reason", "try"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("app: blue=90 green=10, revision "));
  EXPECT_EQ(weights(), json::parse(R"({"blue": 90, "green": 10})"));
  EXPECT_EQ(sluice({"shift", "app:blue=0.5,green=99.5"}).code, 0);
  EXPECT_EQ(weights(), json::parse(R"({"blue": 0.5, "green": 99.5})"));
  EXPECT_EQ(sluice({"shift", "app", "green=25", "--part"}).code, 0);
  EXPECT_EQ(weights(), json::parse(R"({"blue": 0.5, "green": 25})"));
  EXPECT_EQ(sluice({"switch", "app", "green"}).code, 0);
  EXPECT_EQ(weights()["blue"], 0);
  said = sluice({"switch", "app", "green", "--json"});
  EXPECT_EQ(json::parse(said.out)["changed"], false);
  EXPECT_NE(sluice_->wait_for_error_text("\"author\": \"ci\""), std::string::npos);
}

TEST_F(CliTest, G7AStaleIfMatchIsRefused) {
  start();
  const int revision = admin_json("/weights/app")["revision"];
  const std::string match = std::to_string(revision);
  EXPECT_EQ(sluice({"shift", "app", "blue=1", "green=1", "--if-match", match}).code, 0);
  Said said = sluice({"shift", "app", "blue=2", "green=1", "--if-match", match});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("(stale, 412)"));
  EXPECT_EQ(weights()["blue"], 1);
}

TEST_F(CliTest, DrainsAndResumes) {
  start();
  Said said = sluice({"drain", "green/one", "--wait", "30s"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("green/one: drained, safe to stop, revision "));
  EXPECT_EQ(backend_server("green", "one")["draining"], true);
  said = sluice({"resume", "green", green_.address(), "--wait"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("green/one: takes new work"));
}

TEST_F(CliTest, AWaitThatLapsesIsExitStatus4) {
  start();
  auto held = connect();
  ASSERT_TRUE(held->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(1));
  Said said = sluice({"drain", "blue/one", "--force", "--wait=100ms"});
  EXPECT_EQ(said.code, 4) << said.out;
  EXPECT_THAT(said.err, HasSubstr("(wait_lapsed, 504)"));
  said = sluice({"drain", "blue/one", "--force", "--wait=30s", "--timeout=200ms"});
  EXPECT_EQ(said.code, 4) << said.out;
  EXPECT_THAT(said.err, HasSubstr("no answer came in time"));
  EXPECT_THAT(said.err, HasSubstr("is not known"));
}

TEST_F(CliTest, RefusalsAreExitStatus1AndPassTheProblemOn) {
  start();
  Said said = sluice({"shift", "app", "blue=1"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, testing::StartsWith("sluice: "));
  EXPECT_THAT(said.err, HasSubstr("(bad_split, 422)"));
  EXPECT_EQ(said.out, "");
  said = sluice({"weights", "apq", "--json"});
  EXPECT_EQ(said.code, 1);
  EXPECT_EQ(json::parse(said.out)["code"], "unknown_route");
  EXPECT_THAT(said.err, HasSubstr("did you mean"));
}

TEST_F(CliTest, SeesLeasesHistoryRevisionsAndGoesBack) {
  start();
  Said said = sluice(
      {"shift", "app", "blue=90", "green=10", "--ttl", "10m", "--reason", "gr\u00f6\u00dfer"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("on_lapse=revert"));
  const std::string revision = std::to_string(admin_json("/weights/app")["revision"].get<int>());
  EXPECT_THAT(sluice({"leases"}).out, HasSubstr(revision + "         app"));
  EXPECT_THAT(sluice({"status"}).out, HasSubstr("revert"));
  EXPECT_EQ(sluice({"leases", "renew", revision, "--ttl", "20m"}).code, 0);
  EXPECT_EQ(sluice({"leases", "keep", revision}).code, 0);
  EXPECT_EQ(sluice({"leases", "keep", revision}).code, 1) << "none runs any more";
  EXPECT_THAT(sluice({"history", "app"}).out, HasSubstr("gr\u00f6\u00dfer"));
  EXPECT_THAT(sluice({"revision", revision}).out, HasSubstr("gr\u00f6\u00dfer"));
  said = sluice({"rollback", "app"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(weights(), json::parse(R"({"blue": 1, "green": 0})"));
}

TEST_F(CliTest, ShiftsSeveralRoutesAtOnceOrNone) {
  start({.routes = "[routes.app]\nsplit = { blue = 1, green = 0 }\n[routes.api]\npath = \"/api\"\n"
                   "split = { blue = 1, green = 0 }\n"});
  EXPECT_EQ(sluice({"shift", "app:blue=1,green=1", "api:blue=0,green=1", "--if-match",
                    "app=" + std::to_string(admin_json("/weights/app")["revision"].get<int>())})
                .code,
            0);
  EXPECT_EQ(admin_json("/weights/api")["weights"]["green"], 1);
  EXPECT_EQ(admin_json("/weights/api")["revision"], admin_json("/weights/app")["revision"]);
  EXPECT_EQ(sluice({"shift", "app:blue=7,green=7", "api:blue=0,red=1"}).code, 1);
  EXPECT_EQ(weights()["blue"], 1);
}

TEST_F(CliTest, SaysWhatWouldHappenAndChangesNothing) {
  start();
  const Said said = sluice({"switch", "app", "green", "--dry-run"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("EFFECT: BACKENDS"));
  EXPECT_EQ(weights()["green"], 0);
}

TEST_F(CliTest, AddsWeighsAndRemovesAServer) {
  start();
  Said said = sluice({"servers", "add", "blue", green_.address(), "--name", "two"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(sluice({"servers", "weight", "blue/two", "2"}).code, 0);
  EXPECT_THAT(sluice({"servers", "blue"}).out, HasSubstr("two"));
  said = sluice({"servers", "remove", "blue/two"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("(not_drained, 409)"));
  EXPECT_EQ(sluice({"drain", "blue/two", "--wait"}).code, 0);
  EXPECT_EQ(sluice({"servers", "remove", "blue/two"}).code, 0);
  EXPECT_THAT(sluice({"servers", "blue"}).out, testing::Not(HasSubstr("two")));
}

TEST_F(CliTest, ReloadsAndTellsTheVerdict) {
  start();
  Said said = sluice({"reload"});
  EXPECT_EQ(said.code, 0) << said.err;
  sluice_->write_config("nonsense");
  said = sluice({"reload"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("(reload_refused, 422)\n  "));
}

TEST_F(CliTest, ExplainsAndTellsEvents) {
  start();
  Said said = sluice({"explain", "http://app.example/cart?a=b", "--header", "X-Test: yes"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("app"));
  ASSERT_EQ(sluice({"switch", "app", "green"}).code, 0);
  said = sluice({"events", "--type", "shift"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("  shift  "));
  said = sluice({"events", "--json"});
  EXPECT_THAT(said.out, HasSubstr("\"type\":\"shift\""));
}

TEST_F(CliTest, KeepsChecksAndBringsBackTheLedger) {
  start();
  ASSERT_EQ(sluice({"switch", "app", "green"}).code, 0);
  const std::string file = directory_->file("kept");
  Said said = sluice({"ledger", "export", "-o", file});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(sluice({"ledger", "export"}).out, harness::read_file(file));
  EXPECT_EQ(sluice({"ledger", "verify", file}).code, 0);
  const std::vector<std::string> config = {"-c", sluice_->config_file()};
  EXPECT_EQ(run_sluice({"ledger", "verify", config[0], config[1]}, {}).code, 0);
  said = run_sluice({"ledger", "import", file, "--force", config[0], config[1]}, {});
  EXPECT_EQ(said.code, 1) << "it runs";
  stop();
  said = run_sluice({"ledger", "import", file, "--force", config[0], config[1]}, {});
  EXPECT_EQ(said.code, 0) << said.err;
  std::string damaged = harness::read_file(file);
  damaged[damaged.size() / 2] ^= 1;
  harness::write_file(file, damaged);
  EXPECT_EQ(run_sluice({"ledger", "verify", file}, {}).code, 1);
  start();
  EXPECT_EQ(weights()["blue"], 0);
}

TEST_F(CliTest, LedgersAreCheckedAsJsonToo) {
  start();
  ASSERT_EQ(sluice({"switch", "app", "green"}).code, 0);
  Said said = run_sluice({"ledger", "verify", "--json", "-c", sluice_->config_file()}, {});
  EXPECT_EQ(said.code, 0) << said.err;
  json report = json::parse(said.out);
  EXPECT_EQ(report["good"], true);
  ASSERT_EQ(report["files"].size(), 2u);
  EXPECT_EQ(report["files"][0]["file"], directory_->file("state/ledger"));
  EXPECT_EQ(report["files"][0]["good"], true);
  EXPECT_EQ(report["files"][0]["last"], 2);
  EXPECT_EQ(report["files"][0]["torn_bytes"], 0);
  std::string damaged = harness::read_file(directory_->file("state/ledger"));
  damaged[damaged.size() / 2] ^= 1;
  harness::write_file(directory_->file("damaged"), damaged);
  said = run_sluice(
      {"ledger", "verify", "--json", directory_->file("damaged"), directory_->file("none")}, {});
  EXPECT_EQ(said.code, 1);
  report = json::parse(said.out);
  EXPECT_EQ(report["good"], false);
  EXPECT_EQ(report["files"][0]["good"], false);
  EXPECT_NE(report["files"][0].value("damage", ""), "");
  EXPECT_NE(report["files"][1].value("error", ""), "");
}

TEST_F(CliTest, MaintenanceThatNobodyKeepsEndsByItself) {
  start();
  Said said = sluice({"maintenance", "on", "app", "--ttl", "1s", "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(json::parse(said.out)["lease"]["ttl"], 1) << said.out;
  EXPECT_EQ(get("/").status, 503);
  EXPECT_TRUE(wait_until([&] { return get("/").status == 200; }));
}

TEST_F(CliTest, WrongCommandLinesAreExitStatus2AndCallNobody) {
  start();
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"statsu"},
      {"shift"},
      {"shift", "app"},
      {"shift", "app", "blue=-1", "green=1"},
      {"shift", "app", "blue=90", "green=ten"},
      {"shift", "app", "blue=90", "--timeout", "soon"},
      {"shift", "app", "blue=90", "--if-match", "new"},
      {"shift", "app", "blue=90", "--if-match", "app=1"},
      {"shift", "app:blue=1", "api:blue=1", "--if-match", "1"},
      {"shift", "app:blue=1", "api:blue=1", "--part"},
      {"shift", "app", "blue=90", "--on-lapse", "explode"},
      {"shift", "app", "blue=90", "--idempotency-key", "a b"},
      {"drain"},
      {"drain", "blue/"},
      {"weights", "--admin", "gopher://x"},
      {"weights", "--token-file", "/nonexistent"},
      {"weights", "--admin", "https://localhost:1", "--ca-file", "/nonexistent"},
      {"weights", "--client-cert", "/nonexistent"},
      {"weights", "-c", "/nonexistent.toml"},
  };
  for (const auto& words : wrong) {
    Said said = sluice(words, /*with_admin=*/std::ranges::find(words, "-c") == words.end());
    EXPECT_EQ(said.code, 2) << testing::PrintToString(words) << said.err;
    EXPECT_EQ(said.out, "") << testing::PrintToString(words);
    EXPECT_NE(said.err, "") << testing::PrintToString(words);
  }
  EXPECT_EQ(admin_json("/weights/app")["revision"], 1);
}

TEST_F(CliTest, FindsTheAdminApiByFlagEnvironmentAndFile) {
  start();
  const std::string socket = "unix:" + directory_->file("admin.sock");
  EXPECT_EQ(run_sluice({"weights", "--admin", socket}, {}).code, 0);
  EXPECT_EQ(run_sluice({"weights"}, {{"SLUICE_ADMIN", socket}}).code, 0);
  // The file has a Unix socket beside a port that the system chose.
  EXPECT_EQ(run_sluice({"weights", "-c", sluice_->config_file()}, {}).code, 0);
  EXPECT_EQ(run_sluice({"weights", "--admin", socket}, {{"SLUICE_ADMIN", "127.0.0.1:1"}}).code, 0);
  Said said = run_sluice({"weights"}, {{"SLUICE_ADMIN", "unix:/nonexistent.sock"}});
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("unix:/nonexistent.sock ($SLUICE_ADMIN): No such file"));
}

TEST_F(CliTest, ATokenNeverCrossesANetworkInClear) {
  Said said = run_sluice({"weights", "--admin", "http://192.0.2.1:9901"},
                         {{"SLUICE_TOKEN", "secret-secret"}});
  EXPECT_EQ(said.code, 2);
  EXPECT_THAT(said.err, HasSubstr("in clear"));
  EXPECT_THAT(said.err, testing::Not(HasSubstr("secret-secret")));
}

TEST_F(CliTest, NobodyThereIsExitStatus3) {
  harness::Fd taken = harness::bind_loopback(0);
  Said said = run_sluice(
      {"status", "--admin", "127.0.0.1:" + std::to_string(harness::local_port(taken.get()))}, {});
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.err, HasSubstr("(--admin): Connection refused"));
}

TEST_F(CliTest, OutputThatCannotBeWrittenIsNotDone) {
  start();
  const Said said = shell("\"$SLUICE\" weights > /dev/full");
  EXPECT_EQ(said.code, 5);
  EXPECT_THAT(said.err, HasSubstr("the output can't be written: No space left"));
}

}  // namespace
}  // namespace sluice::integration
