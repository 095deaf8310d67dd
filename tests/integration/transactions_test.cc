// Shifts as transactions, over real sockets: several routes at once, rollback, leases, dry runs,
// idempotency keys, the guard, servers at run time, reload by call.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "tests/integration/sluice_test.h"
#include "tests/integration/stopped_thread.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;

class TransactionsTest : public SluiceTest {
 protected:
  static constexpr const char* kTwoRoutes =
      "[routes.app]\npath = \"/\"\nsplit = { blue = 1, green = 0 }\n"
      "[routes.api]\npath = \"/api\"\nsplit = { blue = 1, green = 0 }\n";

  Scenario two_servers() {
    return {.backends = {{"pool", {{"web-1", blue_.address()}, {"web-2", green_.address()}}}},
            .split = "{ pool = 1 }"};
  }
  std::string weights(const std::string& route = "app") {
    return admin_json("/weights/" + route)["weights"].dump();
  }
  Response with_key(const std::string& key, std::string_view form) {
    Fields fields;
    fields.add("Idempotency-Key", key);
    return admin("PUT", "/weights/app", form, fields);
  }
  std::string code(const Response& response) {
    const json body = json::parse(response.body, nullptr, false);
    if (!body.is_object()) return response.summary();
    return std::to_string(response.status) + " " + body.value("code", "");
  }
};

TEST_F(TransactionsTest, SeveralRoutesChangeTogetherOrNotAtAll) {
  start({.routes = kTwoRoutes});
  Response done =
      admin("POST", "/shifts", "app/blue=1&app/green=9&api/blue=0&api/green=5&author=ci");
  ASSERT_EQ(done.status, 200) << done.summary();
  const json body = parse_json(done);
  EXPECT_EQ(done.field("Location"), "/v1/revisions/" + body["revision"].dump());
  const json revision = admin_json("/revisions/" + body["revision"].dump());
  EXPECT_EQ(revision["changes"].size(), 2u);
  EXPECT_EQ(revision["author"], "ci");
  EXPECT_EQ(weights("api"), R"({"blue":0,"green":5})");
  Response refused = admin("POST", "/shifts", "app/blue=1&app/green=1&api/blue=0&api/grene=5");
  EXPECT_EQ(code(refused), "422 unknown_backend");
  EXPECT_EQ(weights(), R"({"blue":1,"green":9})") << "half a transaction";
  Fields fields;
  fields.add("Content-Type", "application/json");
  Response stale = admin("POST", "/shifts",
                         R"({"routes": {"app": {"to": "blue"},
                                        "api": {"weights": {"blue": 1, "green": 0.25},
                                                "if_match": 1}}})",
                         fields);
  EXPECT_EQ(code(stale), "412 stale");
  EXPECT_EQ(parse_json(stale)["route"], "api");
  EXPECT_EQ(parse_json(stale)["revision"], body["revision"]);
  EXPECT_EQ(weights(), R"({"blue":1,"green":9})");
}

TEST_F(TransactionsTest, RollbackIsOneCallAndRepeatedGoesFurtherBack) {
  start();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=9&green=1").status, 200);
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=5&green=5").status, 200);
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  EXPECT_EQ(get("/").field("X-Backend"), "green");
  Response back = admin("POST", "/rollback/app");
  ASSERT_EQ(back.status, 200) << back.summary();
  EXPECT_EQ(parse_json(back)["of"], 3);
  EXPECT_EQ(weights(), R"({"blue":5,"green":5})");
  ASSERT_EQ(admin("POST", "/rollback/app").status, 200);
  EXPECT_EQ(weights(), R"({"blue":9,"green":1})");
  ASSERT_EQ(admin("POST", "/rollback/app", "to=4").status, 200);
  EXPECT_EQ(weights(), R"({"blue":0,"green":100})");
  EXPECT_EQ(code(admin("POST", "/rollback/app", "to=99")), "404 unknown_revision");
  const json history = admin_json("/history/app?limit=2");
  EXPECT_EQ(history["revisions"].size(), 2u);
  EXPECT_EQ(history["revisions"][0]["kind"], "rollback");
  EXPECT_EQ(admin_json(history["next"].get<std::string>())["revisions"].size(), 2u);
  kill_and_restart();
  EXPECT_EQ(admin_json("/history")["revisions"].size(), 7u);
  ASSERT_EQ(admin("POST", "/rollback/app", "to=2").status, 200);
  EXPECT_EQ(weights(), R"({"blue":9,"green":1})");
}

TEST_F(TransactionsTest, ALeaseLapsesUnlessItIsRenewed) {
  start();
  Response leased = admin("POST", "/switch/app", "to=green&ttl=1s");
  ASSERT_EQ(leased.status, 200) << leased.summary();
  const std::string number = parse_json(leased)["lease"]["revision"].dump();
  ASSERT_EQ(admin("POST", "/leases/" + number + "/renew", "ttl=2s").status, 200);
  EXPECT_EQ(admin_json("/leases")["leases"].size(), 1u);
  EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_TRUE(wait_until([&] { return get("/").field("X-Backend") == "blue"; }));
  const json last = admin_json("/history?limit=1")["revisions"][0];
  EXPECT_EQ(last["kind"], "lapse_lease");
  EXPECT_EQ(last["identity"], "lease");
  EXPECT_EQ(code(admin("POST", "/leases/" + number + "/renew")), "404 unknown_lease");
  // One that is confirmed stays, and so does one that somebody has superseded.
  Response kept = admin("POST", "/switch/app", "to=green&ttl=1s");
  const std::string second = parse_json(kept)["lease"]["revision"].dump();
  ASSERT_EQ(admin("DELETE", "/leases/" + second).status, 200);
  EXPECT_TRUE(admin_json("/leases")["leases"].empty());
  ASSERT_EQ(admin("POST", "/switch/app", "to=blue&ttl=1s").status, 200);
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=3").status, 200);
  EXPECT_TRUE(admin_json("/leases")["leases"].empty());
  EXPECT_EQ(weights(), R"({"blue":1,"green":3})");
}

TEST_F(TransactionsTest, ALeaseThatLapsedWhileNobodyWasThereIsTakenBackBeforeTheFirstRequest) {
  start();
  ASSERT_EQ(admin("POST", "/switch/app", "to=green&ttl=1s").status, 200);
  sluice_->signal(SIGKILL);
  ASSERT_TRUE(sluice_->wait_exit());
  const Deadline lapsed{seconds(2)};
  while (!lapsed.over()) std::this_thread::sleep_for(milliseconds(20));
  start();
  EXPECT_EQ(get("/").field("X-Backend"), "blue");
  EXPECT_EQ(admin_json("/history?limit=1")["revisions"][0]["kind"], "lapse_lease");
}

TEST_F(TransactionsTest, ADryRunSaysWhatWouldHappenAndChangesNothing) {
  start();
  const std::string before = admin("GET", "/ledger").body;
  Response dry = admin("PUT", "/weights/app?dry_run=true", "blue=3&green=1");
  ASSERT_EQ(dry.status, 200) << dry.summary();
  const json body = parse_json(dry);
  EXPECT_EQ(body["dry_run"], true);
  EXPECT_EQ(body["changes"][0]["after"]["weights"], json::parse(R"({"blue": 3, "green": 1})"));
  EXPECT_EQ(body["effect"]["routes"][0]["moved_share"], 0.25);
  EXPECT_EQ(body["effect"]["backends"][1]["servers_up"], 1);
  EXPECT_EQ(admin("GET", "/ledger").body, before);
  EXPECT_EQ(weights(), R"({"blue":1,"green":0})");
}

TEST_F(TransactionsTest, ACallIsMadeOnceHoweverOftenItIsSent) {
  start();
  Response first = with_key("deploy-17", "blue=1&green=1");
  ASSERT_EQ(first.status, 200);
  EXPECT_EQ(first.field("Idempotent-Replayed"), "");
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=2").status, 200);
  Response second = with_key("deploy-17", "blue=1&green=1");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.field("Idempotent-Replayed"), "true");
  EXPECT_EQ(parse_json(second)["revision"], parse_json(first)["revision"]);
  EXPECT_EQ(weights(), R"({"blue":1,"green":2})");
  EXPECT_EQ(code(with_key("deploy-17", "blue=1&green=5")), "422 idempotency_key_reused");
  EXPECT_EQ(code(with_key("two words", "blue=1&green=5")), "400 bad_idempotency_key");
  kill_and_restart();
  EXPECT_EQ(with_key("deploy-17", "blue=1&green=1").field("Idempotent-Replayed"), "true");
}

TEST_F(TransactionsTest, ACallThatChangedNothingIsRememberedToo) {
  start();
  const auto repeat = [this](std::string_view method, const std::string& target,
                             std::string_view form) {
    Fields fields;
    fields.add("Idempotency-Key", "run-9");
    return admin(method, target + (target.contains('?') ? "&" : "?") + "author=ci", form, fields);
  };
  const auto drop_replayed = [](Response response) {
    return std::to_string(response.status) + response.field("ETag") + response.body;
  };
  const Response first = repeat("PUT", "/weights/app", "blue=1&green=0");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(parse_json(first)["changed"], false);
  EXPECT_EQ(parse_json(first)["revision"], 1);
  EXPECT_EQ(first.field("Idempotent-Replayed"), "");
  EXPECT_EQ(admin("GET", "/weights/app").field("ETag"), "\"1\"");
  EXPECT_EQ(admin_json("/history/app")["revisions"].size(), 1u) << "the route did not change";
  EXPECT_EQ(admin_json("/history?limit=1")["revisions"][0]["result"], "unchanged");
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  for (int i = 0; i < 2; ++i) {
    const Response again = repeat("PUT", "/weights/app", "blue=1&green=0");
    EXPECT_EQ(again.field("Idempotent-Replayed"), "true");
    EXPECT_EQ(drop_replayed(again), drop_replayed(first));
    EXPECT_EQ(weights(), R"({"blue":0,"green":100})") << "somebody else's switch is undone";
    EXPECT_EQ(code(repeat("PUT", "/weights/app", "blue=1&green=1")), "422 idempotency_key_reused");
    if (i == 0) kill_and_restart();
  }
  ASSERT_EQ(admin("POST", "/rollback/app").status, 200);
  EXPECT_EQ(weights(), R"({"blue":1,"green":0})") << "it is no step of a rollback";
}

TEST_F(TransactionsTest, ADrainThatChangedNothingIsRememberedToo) {
  start(two_servers());
  const std::string path = "/servers/pool/web-1";
  ASSERT_EQ(admin("POST", path + "/drain?wait=5s").status, 200);
  Fields key;
  key.add("Idempotency-Key", "run-10");
  Response drained = admin("POST", path + "/drain?wait=5s", "", key);
  EXPECT_EQ(parse_json(drained)["changed"], false);
  EXPECT_EQ(drained.field("Idempotent-Replayed"), "");
  ASSERT_EQ(admin("POST", path + "/resume?wait=30s").status, 200);
  drained = admin("POST", path + "/drain?wait=5s", "", key);
  EXPECT_EQ(drained.status, 200);
  EXPECT_EQ(parse_json(drained)["changed"], false);
  EXPECT_EQ(drained.field("Idempotent-Replayed"), "true");
  EXPECT_EQ(backend_server("pool", "web-1")["draining"], false);
  // A weight that is so already.
  Fields other;
  other.add("Idempotency-Key", "run-11");
  ASSERT_EQ(admin("PATCH", path, "weight=2").status, 200);
  const Response first = admin("PATCH", path, "weight=2", other);
  EXPECT_EQ(parse_json(first)["changed"], false);
  ASSERT_EQ(admin("PATCH", path, "weight=3").status, 200);
  const Response second = admin("PATCH", path, "weight=2", other);
  EXPECT_EQ(second.field("Idempotent-Replayed"), "true");
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(backend_server("pool", "web-1")["weight"], 3);
}

TEST_F(TransactionsTest, AKeyOutlivesItsRevisionInTheHistory) {
  start({.more = "[ledger]\nhistory = 100\n"});
  ASSERT_EQ(with_key("run-13", "blue=7&green=1").status, 200);
  // Twice as many as are kept at least.
  for (int i = 1; i <= 205; ++i) {
    ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=" + std::to_string(i)).status, 200);
  }
  EXPECT_EQ(code(admin("GET", "/revisions/2")), "404 unknown_revision");
  const Response again = with_key("run-13", "blue=7&green=1");
  EXPECT_EQ(again.status, 200) << again.summary();
  EXPECT_EQ(again.field("Idempotent-Replayed"), "true");
  EXPECT_EQ(parse_json(again)["revision"], 2);
  EXPECT_EQ(weights(), R"({"blue":1,"green":205})");
}

TEST_F(TransactionsTest, AServerIsRemovedOnceHoweverOftenThatIsAsked) {
  start(two_servers());
  const std::string path = "/servers/pool/web-1";
  ASSERT_EQ(admin("POST", path + "/drain?wait=5s").status, 200);
  Fields key;
  key.add("Idempotency-Key", "run-12");
  const Response first = admin("DELETE", path, "", key);
  ASSERT_EQ(first.status, 200) << first.summary();
  const Response second = admin("DELETE", path, "", key);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.field("Idempotent-Replayed"), "true");
  EXPECT_EQ(code(admin("DELETE", path)), "404 unknown_server");
  EXPECT_EQ(code(admin("DELETE", "/servers/pool/web-9", "", key)), "422 idempotency_key_reused");
  EXPECT_EQ(backend_server("pool", "web-2")["takes_new_work"], true);
}

TEST_F(TransactionsTest, ARepeatedCallIsNotStale) {
  start();
  const auto once = [&](std::string_view method, const std::string& target, std::string_view form,
                        const std::string& etag) {
    Fields fields;
    fields.add("If-Match", etag);
    fields.add("Idempotency-Key", "once-" + target);
    return admin(method, target, form, fields);
  };
  for (int i = 0; i < 2; ++i) {
    const Response shifted = once("PUT", "/weights/app", "blue=1&green=1", "\"1\"");
    EXPECT_EQ(shifted.status, 200) << shifted.body;
    EXPECT_EQ(shifted.field("Idempotent-Replayed"), i == 0 ? "" : "true");
    const Response weighed = once("PATCH", "/servers/blue/one", "weight=2", "\"0\"");
    EXPECT_EQ(weighed.status, 200) << weighed.body;
    EXPECT_EQ(weighed.field("Idempotent-Replayed"), i == 0 ? "" : "true");
  }
}

TEST_F(TransactionsTest, ADrainIsMadeOnceHoweverOftenItIsSent) {
  start(two_servers());
  Fields key;
  key.add("Idempotency-Key", "deploy-18");
  const std::string path = "/servers/pool/web-1";
  for (int i = 0; i < 2; ++i) {
    const Response drained = admin("POST", path + "/drain?wait=5s", "", key);
    ASSERT_EQ(drained.status, 200) << drained.summary();
    EXPECT_EQ(drained.field("Idempotent-Replayed"), i == 0 ? "" : "true");
    EXPECT_EQ(parse_json(drained)["changed"], true);
    EXPECT_EQ(parse_json(drained)["safe_to_stop"], true);
  }
  ASSERT_EQ(admin("POST", path + "/resume?wait=30s").status, 200);
  const Response late = admin("POST", path + "/drain?wait=5s", "", key);
  EXPECT_EQ(late.status, 200) << late.summary();
  EXPECT_EQ(late.field("Idempotent-Replayed"), "true");
  EXPECT_EQ(backend_server("pool", "web-1")["draining"], false) << "somebody resumed it since";
}

TEST_F(TransactionsTest, TheSameWriteWithoutALeaseMakesItStay) {
  start();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=1&ttl=1h").status, 200);
  const Response dry = admin("PUT", "/weights/app?dry_run=true", "blue=1&green=1");
  EXPECT_EQ(parse_json(dry)["changed"], true) << dry.body;
  const Response kept = admin("PUT", "/weights/app", "blue=1&green=1");
  EXPECT_EQ(parse_json(kept)["changed"], true) << kept.body;
  EXPECT_TRUE(admin_json("/leases")["leases"].empty());
  EXPECT_EQ(parse_json(admin("PUT", "/weights/app", "blue=1&green=1"))["changed"], false);
}

TEST_F(TransactionsTest, TheHistorySaysWhoHadTheFileReadAgain) {
  start();
  const std::string file = directory_->file("sluice.toml");
  std::string text = harness::read_file(file);
  text.replace(text.find("green = 0"), 9, "green = 1");
  harness::write_file(file, text, 0600);
  ASSERT_EQ(admin("POST", "/reload", "author=ci&reason=release").status, 200);
  const json last = admin_json("/history?limit=1")["revisions"][0];
  EXPECT_EQ(last["kind"], "reload");
  EXPECT_EQ(last["identity"], "uid:" + std::to_string(::geteuid()));
  EXPECT_EQ(last["author"], "ci");
  ASSERT_TRUE(reload({.split = "{ blue = 1, green = 2 }"}));
  EXPECT_EQ(admin_json("/history?limit=1")["revisions"][0]["identity"], "file");
}

TEST_F(TransactionsTest, ServersHaveAnEtagThatCounts) {
  start(two_servers());
  const std::string path = "/servers/pool/web-1";
  EXPECT_EQ(admin("GET", path).field("ETag"), "\"0\"");
  const auto with = [](const std::string& etag) {
    Fields fields;
    fields.add("If-Match", etag);
    return fields;
  };
  ASSERT_EQ(admin("PATCH", path, "weight=2", with("\"0\"")).status, 200);
  EXPECT_EQ(code(admin("PATCH", path, "weight=3", with("\"0\""))), "412 stale");
  EXPECT_EQ(code(admin("POST", path + "/drain", "", with("\"0\""))), "412 stale");
  EXPECT_EQ(code(admin("DELETE", path, "", with("\"0\""))), "412 stale");
  EXPECT_EQ(backend_server("pool", "web-1")["weight"], 2);
  const std::string etag = admin("GET", path).field("ETag");
  EXPECT_EQ(admin("PATCH", path, "weight=3", with(etag)).status, 200);
  EXPECT_EQ(code(admin("POST", "/servers/pool", "address=127.0.0.1:9", with(etag))),
            "400 bad_if_match");
  EXPECT_EQ(code(admin("POST", "/reload", "", with(etag))), "400 bad_if_match");
}

TEST_F(TransactionsTest, AServerIsNamedByThePathOfItsUnixSocket) {
  const std::string socket = directory_->file("app.sock");
  Scenario scenario = two_servers();
  start(scenario);
  ASSERT_EQ(admin("POST", "/servers/pool", "address=unix:" + socket).status, 201);
  const std::string path = "/servers/pool/unix:" + socket;
  EXPECT_EQ(admin("GET", path).status, 200);
  EXPECT_EQ(admin("POST", path + "/drain?wait=5s").status, 200);
  EXPECT_EQ(admin("PATCH", path, "weight=2").status, 200);
  EXPECT_EQ(admin("DELETE", path).status, 200);
  EXPECT_EQ(code(admin("GET", path)), "404 unknown_server");
}

TEST_F(TransactionsTest, G1AWorkerThatIsLateIsNamedAndTheRevisionIsDurable) {
  start({.workers = 2, .runtime = "adopt_timeout = \"1s\""});
  StoppedThread late(sluice_->pid(), "worker-1");
  if (!late.stopped()) GTEST_SKIP() << "a thread can't be stopped here";
  const Response shifted = admin("PUT", "/weights/app", "blue=1&green=3");
  EXPECT_EQ(code(shifted), "504 not_adopted") << shifted.body;
  EXPECT_EQ(parse_json(shifted)["revision"], 2);
  EXPECT_EQ(parse_json(shifted)["workers"], json::parse("[1]"));
  json route = admin_json("/weights/app");
  EXPECT_EQ(route["in_force"]["everywhere"], false);
  EXPECT_EQ(route["in_force"]["by_worker"].size(), 2u) << route.dump();
  EXPECT_THAT(admin_json("/")["alarms"].dump(), HasSubstr("workers_behind"));
  EXPECT_EQ(admin_json("/revisions/2")["kind"], "shift");
  late.go_on();
  EXPECT_TRUE(
      wait_until([&] { return admin_json("/weights/app")["in_force"]["everywhere"] == true; }));
  EXPECT_TRUE(wait_until([&] { return admin_json("/")["alarms"].dump() == "[]"; }));
  kill_and_restart();
  EXPECT_EQ(weights(), R"({"blue":1,"green":3})");
}

// A disk that takes no more, as the process sees it: a write that fails, or only half succeeds.
TEST_F(TransactionsTest, G7AFullDiskFailsWritesAndNothingElse) {
  start();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=9&green=1").status, 200);
  const auto limit_files = [this](rlim_t bytes) {
    const rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(::prlimit(sluice_->pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
  };
  const auto alarms = [this] { return admin_json("/")["alarms"].dump(); };
  const std::size_t full = admin("GET", "/ledger").body.size();
  for (const std::size_t room : {0, 20}) {
    limit_files(full + room);
    EXPECT_EQ(code(admin("POST", "/switch/app", "to=green")), "503 ledger_failed");
    EXPECT_EQ(code(admin("POST", "/servers/green/one/drain?force=true")), "503 ledger_failed");
    EXPECT_THAT(alarms(), HasSubstr("ledger_write_failed"));
    EXPECT_EQ(weights(), R"({"blue":9,"green":1})");
    for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").status, 200);
  }
  limit_files(RLIM_INFINITY);
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=3").status, 200);
  EXPECT_EQ(alarms(), "[]");
  kill_and_restart();
  EXPECT_EQ(weights(), R"({"blue":1,"green":3})");
  EXPECT_EQ(admin_json("/")["ledger"]["good_copies"], 2);
}

TEST_F(TransactionsTest, TheGuardKeepsTrafficFromABackendThatIsDown) {
  start({.health = "settle_interval = \"50ms\"\nrise = 1\nfall = 1\ninterval = \"1s\""});
  green_.stop();
  ASSERT_TRUE(wait_for_status("green", "one", "down"));
  EXPECT_EQ(code(admin("PUT", "/weights/app", "blue=1&green=1")), "409 no_healthy_server");
  const json dry = parse_json(admin("POST", "/switch/app?dry_run=true", "to=green"));
  EXPECT_THAT(dry["warnings"].dump(), HasSubstr("green has no healthy server"));
  EXPECT_EQ(code(admin("POST", "/switch/app", "to=green&wait=healthy&timeout=100ms")),
            "504 not_healthy");
  EXPECT_EQ(weights(), R"({"blue":1,"green":0})");
  std::thread later([&] { green_.start(); });
  Response waited = admin("POST", "/switch/app", "to=green&wait=healthy&timeout=30s");
  later.join();
  EXPECT_EQ(waited.status, 200) << waited.summary();
  EXPECT_EQ(get("/").field("X-Backend"), "green");
}

TEST_F(TransactionsTest, TheGuardKeepsTheLastServerOfABackendWithTraffic) {
  Scenario scenario = two_servers();
  scenario.health = "interval = \"10m\"\nsettle_interval = \"50ms\"\nrise = 1\nfall = 1";
  start(scenario);
  const std::string web_1 = "/servers/pool/web-1";
  ASSERT_EQ(admin("POST", web_1 + "/drain?wait=5s").status, 200);
  const std::string before = admin("GET", "/ledger").body;
  const json dry = parse_json(admin("POST", "/servers/pool/web-2/drain?dry_run=true"));
  EXPECT_THAT(dry["warnings"].dump(), HasSubstr("pool would have no server"));
  const std::pair<const char*, const char*> calls[] = {{"/servers/pool/web-2/drain", ""},
                                                       {"/servers/pool/web-2/drain?wait=10m", ""},
                                                       {"/backends/pool/drain", ""}};
  for (const auto& [target, form] : calls) {
    const Response refused = admin("POST", target, form);
    EXPECT_EQ(code(refused), "409 no_healthy_server") << target;
    const std::string detail = parse_json(refused).value("detail", "");
    EXPECT_THAT(detail, HasSubstr("backend \"pool\" would be left without a server"));
    EXPECT_THAT(detail, HasSubstr("route \"app\" sends to it"));
  }
  EXPECT_EQ(code(admin("PATCH", "/servers/pool/web-2", "weight=0")), "409 no_healthy_server");
  EXPECT_EQ(admin("GET", "/ledger").body, before);
  // One that was resumed and has not passed a probe yet takes no requests either.
  blue_.set_health(500);
  ASSERT_EQ(admin("POST", web_1 + "/resume").status, 200);
  ASSERT_TRUE(wait_for_status("pool", "web-1", "down"));
  EXPECT_EQ(code(admin("POST", "/servers/pool/web-2/drain")), "409 no_healthy_server");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_EQ(admin("POST", web_1 + "/drain").status, 200) << "nothing is taken away with it";
  ASSERT_EQ(admin("POST", "/servers/pool/web-2/drain?force=true").status, 200);
  EXPECT_EQ(get("/").status, 503);
}

TEST_F(TransactionsTest, MaintenanceEndsWhenThereIsAServerForThoseWhoComeBack) {
  start({.health = "interval = \"10m\"\nsettle_interval = \"50ms\"\nrise = 1\nfall = 1"});
  ASSERT_EQ(admin("POST", "/maintenance/app").status, 200);
  ASSERT_EQ(admin("POST", "/servers/blue/one/drain?wait=5s").status, 200) << "nobody comes";
  EXPECT_EQ(code(admin("DELETE", "/maintenance/app")), "409 no_healthy_server");
  ASSERT_EQ(admin("POST", "/servers/blue/one/resume").status, 200);
  ASSERT_EQ(admin("DELETE", "/maintenance/app?wait=healthy").status, 200);
  EXPECT_EQ(get("/").field("X-Backend"), "blue");
}

TEST_F(TransactionsTest, ServersComeAndGoWithoutAReload) {
  start({.split = "{ blue = 1, green = 0 }"});
  Response added = admin("POST", "/servers/blue", "address=" + green_.address() + "&name=two");
  ASSERT_EQ(added.status, 201) << added.summary();
  EXPECT_EQ(added.field("Location"), "/v1/servers/blue/two");
  ASSERT_TRUE(wait_for_status("blue", "two", "up"));
  EXPECT_TRUE(wait_until([&] { return get("/").field("X-Backend") == "green"; }));
  kill_and_restart();
  EXPECT_EQ(backend_server("blue", "two")["address"], green_.address());
  EXPECT_EQ(code(admin("DELETE", "/servers/blue/one")), "409 not_drained");
  ASSERT_EQ(admin("POST", "/servers/blue/one/drain?wait=10s").status, 200);
  ASSERT_EQ(admin("DELETE", "/servers/blue/one").status, 200);
  EXPECT_EQ(code(admin("DELETE", "/servers/blue/two?force=true")), "409 last_server");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(get("/").field("X-Backend"), "green");
  ASSERT_TRUE(reload({.split = "{ blue = 1, green = 0 }"}));
  EXPECT_EQ(code(admin("GET", "/servers/blue/one")), "404 unknown_server") << "it came back";
  EXPECT_EQ(get("/").field("X-Backend"), "green");
}

TEST_F(TransactionsTest, AWholeBackendIsDrainedInOneRevision) {
  start({.backends = {{"pool", {{"a", blue_.address()}, {"b", green_.address()}}}},
         .split = "{ pool = 1 }"});
  const int before = admin_json("/")["revision"];
  Response drained = admin("POST", "/backends/pool/drain?wait=10s&force=true");
  ASSERT_EQ(drained.status, 200) << drained.summary();
  EXPECT_EQ(parse_json(drained)["safe_to_stop"], true);
  EXPECT_EQ(admin_json("/")["revision"], before + 1);
  EXPECT_EQ(get("/").status, 503);
  ASSERT_EQ(admin("POST", "/backends/pool/resume?wait=10s").status, 200);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(TransactionsTest, AReloadByCallAnswersWithTheVerdict) {
  start();
  EXPECT_EQ(admin("POST", "/reload").status, 200);
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=3").status, 200);
  const std::string file = directory_->file("sluice.toml");
  const std::string text = harness::read_file(file);
  harness::write_file(file, text + "\n[nonsense]\n", 0600);
  Response refused = admin("POST", "/reload");
  EXPECT_EQ(code(refused), "422 reload_refused");
  EXPECT_THAT(refused.body, HasSubstr("nonsense"));
  std::string changed = text;
  changed.replace(changed.find("green = 0"), 9, "green = 7");
  harness::write_file(file, changed, 0600);
  const json done = parse_json(admin("POST", "/reload"));
  ASSERT_EQ(done["conflicts"].size(), 1u) << done.dump();
  EXPECT_EQ(admin_json("/conflicts")["conflicts"], done["conflicts"]);
  EXPECT_EQ(weights(), R"({"blue":1,"green":7})");
}

TEST_F(TransactionsTest, ACopyOfTheLedgerFollowsEveryChange) {
  start({.more = "[ledger]\ncopy_to = \"@DIR@/backup.ledger\"\n"});
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=3").status, 200);
  const std::string ledger = harness::read_file(directory_->file("state/ledger"));
  EXPECT_EQ(admin("GET", "/ledger").body, ledger);
  EXPECT_TRUE(
      wait_until([&] { return harness::read_file(directory_->file("backup.ledger")) == ledger; }));
}

}  // namespace
}  // namespace sluice::integration
