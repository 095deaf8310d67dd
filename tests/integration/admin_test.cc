// The admin API over real sockets, and what a shift does to the traffic.
#include <atomic>
#include <thread>

#include "tests/harness/load.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;

class AdminTest : public SluiceTest {
 protected:
  json weights() { return admin_json("/weights/app")["weights"]; }
  // Two servers in one backend: `web-1` is blue_, `web-2` is green_.
  Scenario two_servers() {
    return {.backends = {{"pool", {{"web-1", blue_.address()}, {"web-2", green_.address()}}}},
            .split = "{ pool = 1 }"};
  }
};

TEST_F(AdminTest, ShowsEveryRoute) {
  start({.split = "{ blue = 90, green = 10 }"});
  json all = admin_json("/weights");
  ASSERT_TRUE(all["routes"].contains("app")) << all.dump();
  json app = admin_json("/v1/weights/app");
  EXPECT_EQ(app["weights"], json::parse(R"({"blue": 90, "green": 10})"));
  EXPECT_EQ(app["in_force"]["everywhere"], true);
  EXPECT_EQ(app["in_force"]["workers"], 2);
  EXPECT_EQ(app["in_force"]["weights"], app["weights"]);
  EXPECT_THAT(admin("GET", "/weights/app?format=text").body, HasSubstr("90"));
  EXPECT_EQ(admin_json("/")["name"], "sluice");
}

TEST_F(AdminTest, PutPatchAndSwitchChangeWeights) {
  start();
  EXPECT_EQ(admin("PUT", "/weights/app", "blue=90&green=10").status, 200);
  EXPECT_EQ(weights(), json::parse(R"({"blue": 90, "green": 10})"));
  EXPECT_EQ(admin("PATCH", "/v1/weights/app", "green=25").status, 200);
  EXPECT_EQ(weights(), json::parse(R"({"blue": 90, "green": 25})"));
  EXPECT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  EXPECT_EQ(weights(), json::parse(R"({"blue": 0, "green": 100})"));
  Fields fields;
  fields.add("Content-Type", "application/json");
  Response put = admin("PUT", "/weights/app",
                       R"({"weights": {"blue": 0.5, "green": 99.5}, "author": "ci"})", fields);
  EXPECT_EQ(put.status, 200) << put.summary();
  EXPECT_EQ(parse_json(put)["changed"], true);
  EXPECT_EQ(weights(), json::parse(R"({"blue": 0.5, "green": 99.5})"));
}

TEST_F(AdminTest, TheSameWeightsAreNoRevision) {
  start();
  Response first = admin("PUT", "/weights/app", "blue=90&green=10");
  Response second = admin("PUT", "/weights/app", "blue=90&green=10");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(parse_json(second)["changed"], false);
  EXPECT_EQ(second.field("ETag"), first.field("ETag"));
}

TEST_F(AdminTest, G1InForceOnReturnOnEveryWorker) {
  start({.workers = 4});
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 24; ++i) clients.push_back(i % 2 == 0 ? connect() : connect_tls());
  for (int shift = 0; shift < 60; ++shift) {
    const char* to = shift % 2 == 0 ? "green" : "blue";
    Response response = admin("POST", "/switch/app", "to=" + std::string(to));
    ASSERT_EQ(response.status, 200) << response.summary();
    for (auto& client : clients) ASSERT_EQ(client->get("/").field("X-Backend"), to) << shift;
  }
}

TEST_F(AdminTest, G2ExactRatioOverAnyThousandRequests) {
  start({.workers = 2});
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=90&green=10").status, 200);
  for (int round = 0; round < 5; ++round) {
    blue_.forget();
    green_.forget();
    harness::CheckedResult result = harness::run_checked({.endpoint = sluice_->endpoint("http"),
                                                          .requests = 1000,
                                                          .connections = 16,
                                                          .body = "backend {backend}\n"});
    ASSERT_EQ(result.completed, 1000u) << testing::PrintToString(result.failures);
    EXPECT_NEAR(static_cast<double>(result.by_backend["green"]), 100, 2) << round;
    EXPECT_EQ(green_.counts().requests, result.by_backend["green"]);
    // Neither an identical write nor a reload disturbs the order.
    EXPECT_EQ(admin("PUT", "/weights/app", "blue=90&green=10").status, 200);
  }
}

TEST_F(AdminTest, G7ABadWriteChangesNothingAndSaysWhy) {
  start({.split = "{ blue = 90, green = 10 }"});
  json before = admin_json("/weights/app");
  struct {
    const char* method;
    const char* target;
    const char* form;
    int status;
    const char* says;
  } cases[] = {
      {"PUT", "/weights/app", "blue=100", 422, "green"},
      {"PUT", "/weights/app", "blue=1&green=1&gren=1", 422, "gren"},
      {"PUT", "/weights/app", "blue=1&blue=2&green=1", 422, "blue"},
      {"PUT", "/weights/app", "blue=-1&green=2", 422, "blue"},
      {"PUT", "/weights/app", "blue=0&green=0", 422, ""},
      {"PUT", "/weights/app", "blue=a&green=1", 422, "blue"},
      {"PUT", "/weights/app", "", 0, ""},
      {"PATCH", "/weights/app", "red=1", 422, "red"},
      {"PUT", "/weights/apq", "blue=1&green=1", 404, "app"},
      {"POST", "/switch/app", "to=red", 422, "red"},
      {"POST", "/switch/app", "", 422, "to"},
      {"POST", "/servers/blue/two/drain", "", 404, "one"},
      {"POST", "/servers/red/one/drain", "", 404, "red"},
      {"POST", "/servers/blue/one/drain?wait=soon", "", 422, "soon"},
      {"DELETE", "/weights/app", "", 405, ""},
      {"GET", "/wieghts", "", 404, ""},
  };
  for (const auto& test : cases) {
    Response response = admin(test.method, test.target, test.form);
    std::string what = std::string(test.method) + " " + test.target + " " + test.form;
    if (test.status == 0) {
      EXPECT_TRUE(response.status >= 400 && response.status < 500) << what;
    } else {
      EXPECT_EQ(response.status, test.status) << what << ": " << response.summary();
    }
    EXPECT_EQ(response.field("Content-Type"), "application/problem+json") << what;
    json problem = parse_json(response);
    EXPECT_EQ(problem.value("status", 0), response.status) << what;
    EXPECT_THAT(problem.value("detail", ""), HasSubstr(test.says)) << what;
    EXPECT_FALSE(problem.value("code", "").empty()) << what;
  }
  json after = admin_json("/weights/app");
  EXPECT_EQ(after["weights"], before["weights"]);
  EXPECT_EQ(after["revision"], before["revision"]);
}

TEST_F(AdminTest, G7AStaleIfMatchIsRefused) {
  start();
  Response seen = admin("GET", "/weights/app");
  ASSERT_TRUE(seen.fields.has("ETag"));
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=90&green=10").status, 200);
  Fields stale;
  stale.add("If-Match", seen.field("ETag"));
  Response refused = admin("PUT", "/weights/app", "blue=1&green=1", stale);
  EXPECT_EQ(refused.status, 412);
  Fields fresh;
  fresh.add("If-Match", refused.field("ETag"));
  EXPECT_EQ(admin("PUT", "/weights/app", "blue=1&green=1", fresh).status, 200);
}

TEST_F(AdminTest, G7NoUpdateIsLostAmongConcurrentWriters) {
  start();
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=1&green=1").status, 200);
  constexpr int kWriters = 4;
  constexpr int kEach = 10;
  std::atomic<int> refused = 0;
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&] {
      for (int done = 0; done < kEach;) {
        Response seen = admin("GET", "/weights/app");
        int green = parse_json(seen)["weights"]["green"];
        Fields match;
        match.add("If-Match", seen.field("ETag"));
        Response put = admin("PATCH", "/weights/app", "green=" + std::to_string(green + 1), match);
        put.status == 200 ? ++done : ++refused;
        ASSERT_TRUE(put.status == 200 || put.status == 412) << put.summary();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(weights()["green"], 1 + kWriters * kEach) << refused << " were refused";
}

TEST_F(AdminTest, ADrainWaitsForRunningExchangesAndAResumeBringsTheServerBack) {
  start(two_servers());
  std::vector<std::unique_ptr<HttpClient>> holders;
  while (blue_.counts().held == 0) {
    holders.push_back(connect());
    ASSERT_TRUE(holders.back()->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_TRUE(
        wait_until([&] { return blue_.counts().held + green_.counts().held == holders.size(); }));
  }
  Response lapsed = admin("POST", "/servers/pool/web-1/drain?wait=100ms");
  EXPECT_EQ(lapsed.status, 504) << lapsed.summary();
  EXPECT_EQ(parse_json(lapsed).value("code", ""), "wait_lapsed");
  EXPECT_EQ(parse_json(lapsed)["safe_to_stop"], false);
  EXPECT_EQ(backend_server("pool", "web-1")["running"], 1);

  std::uint64_t before = blue_.counts().requests;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_EQ(blue_.counts().requests, before);

  std::thread releaser([&] {
    blue_.release();
    green_.release();
  });
  Response drained = admin("POST", "/servers/pool/web-1/drain?wait=30s");
  releaser.join();
  EXPECT_EQ(drained.status, 200) << drained.summary();
  EXPECT_EQ(parse_json(drained)["safe_to_stop"], true) << drained.body;
  for (auto& holder : holders) EXPECT_EQ(holder->read_response().status, 200);

  Response resumed = admin("POST", "/servers/pool/web-1/resume?wait=30s");
  EXPECT_EQ(resumed.status, 200) << resumed.summary();
  before = blue_.counts().requests;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").status, 200);
  EXPECT_GT(blue_.counts().requests, before);
}

TEST_F(AdminTest, G5ADrainedServerCanBeStoppedWithoutAFailure) {
  start(two_servers());
  for (int round = 0; round < 3; ++round) {
    for (auto [name, origin] : {std::pair("web-1", &blue_), std::pair("web-2", &green_)}) {
      std::string path = "/servers/pool/" + std::string(name);
      ASSERT_EQ(admin("POST", path + "/drain?wait=30s").status, 200);
      origin->stop();
      for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/").status, 200);
      origin->start();
      Response resumed = admin("POST", path + "/resume?wait=30s");
      ASSERT_EQ(resumed.status, 200) << resumed.summary();
    }
  }
}

TEST_F(AdminTest, ARequestForADrainedBackendIs503) {
  start();
  ASSERT_EQ(admin("POST", "/servers/blue/one/drain?force=true").status, 200);
  EXPECT_EQ(get("/").status, 503);
  ASSERT_EQ(admin("POST", "/servers/blue/one/resume?wait=30s").status, 200);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(AdminTest, AServerMayBeNamedByItsAddress) {
  start(two_servers());
  EXPECT_EQ(admin("POST", "/servers/pool/" + blue_.address() + "/drain?wait=30s").status, 200);
  EXPECT_EQ(backend_server("pool", "web-1")["draining"], true);
}

TEST_F(AdminTest, OtherHostsAndOtherSitesAreRefused) {
  start({.more = "hosts = [\"sluice.internal\"]\n"});
  struct {
    const char* field;
    const char* value;
    int status;
  } cases[] = {
      {"Host", "rebound.example", 421},
      {"Host", "sluice.internal", 200},
      {"Host", "127.0.0.1:9901", 200},
      {"Origin", "http://evil.example", 403},
      {"Sec-Fetch-Site", "cross-site", 403},
      {"Sec-Fetch-Site", "same-origin", 200},
      {"Origin", "null", 403},
  };
  json before = admin_json("/weights/app");
  for (const auto& test : cases) {
    Fields fields;
    fields.add(test.field, test.value);
    EXPECT_EQ(admin("GET", "/weights", "", fields).status, test.status)
        << test.field << ": " << test.value;
    if (test.status == 200) continue;
    EXPECT_EQ(admin("PUT", "/weights/app", "blue=1&green=1", fields).status, test.status);
  }
  EXPECT_EQ(admin_json("/weights/app")["revision"], before["revision"]);
}

TEST_F(AdminTest, TheUnixSocketAnswersToo) {
  start();
  harness::Endpoint socket = harness::Endpoint::unix_socket(directory_->file("admin.sock"));
  Response response = harness::fetch(socket, "GET", "/weights/app");
  EXPECT_EQ(response.status, 200) << response.summary();
}

TEST_F(AdminTest, TheReadOnlyListenerReadsOnly) {
  start();
  for (const char* target : {"/livez", "/readyz", "/metrics"}) {
    EXPECT_EQ(harness::fetch(sluice_->metrics(), "GET", target).status, 200) << target;
  }
  EXPECT_EQ(harness::fetch(sluice_->metrics(), "PUT", "/weights/app", "blue=0&green=1").status,
            404);
  EXPECT_EQ(harness::fetch(sluice_->metrics(), "POST", "/metrics").status, 405);
  EXPECT_EQ(get("/").field("X-Backend"), "blue");
}

TEST_F(AdminTest, AnAdminClientThatStallsDelaysNobody) {
  start();
  auto stalled = HttpClient::connect(sluice_->admin());
  ASSERT_TRUE(stalled);
  ASSERT_TRUE((*stalled)->send("PUT /weights/app HTTP/1.1\r\nHost: localhost\r\nContent-Le"));
  EXPECT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  EXPECT_EQ(get("/").field("X-Backend"), "green");
}

}  // namespace
}  // namespace sluice::integration
