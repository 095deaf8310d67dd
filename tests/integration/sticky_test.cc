// Splits that are more than weights, end to end: cookies and keys, states, backends that can't
// serve, maintenance, forced variants, servers' weights and slow start, the health path.
#include <signal.h>

#include <algorithm>
#include <thread>

#include "tests/harness/h2_client.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::H2Client;

class StickyTest : public SluiceTest {
 protected:
  static Scenario sticky(std::string lines = "", std::string split = "{ blue = 50, green = 50 }",
                         std::string route = "") {
    return {.routes =
                "[routes.app]\nsplit = " + split + "\n" + route + "[routes.app.sticky]\n" + lines};
  }
  static Fields with(std::string_view name, std::string_view value) {
    Fields fields;
    fields.add(name, value);
    return fields;
  }
  // `name=value` of a Set-Cookie; empty: there was none.
  static std::string cookie_of(const Response& response) {
    const std::string text = response.field("Set-Cookie");
    return text.substr(0, text.find(';'));
  }
  Response ask(const Fields& fields = {}, std::string_view target = "/") {
    return harness::fetch(sluice_->endpoint("http"), "GET", target, {}, fields);
  }
  std::string backend_for(const Fields& fields) { return ask(fields).field("X-Backend"); }

  // New clients: their cookies, by the backend that served them.
  std::map<std::string, std::vector<std::string>> new_clients(int count) {
    std::map<std::string, std::vector<std::string>> cookies;
    auto client = connect();
    for (int i = 0; i < count; ++i) {
      const Response response = client->get("/");
      EXPECT_EQ(response.status, 200) << response.summary();
      EXPECT_NE(cookie_of(response), "");
      cookies[response.field("X-Backend")].push_back(cookie_of(response));
    }
    return cookies;
  }
  // Which of these users green serves.
  std::vector<int> users_of_green(int count) {
    std::vector<int> users;
    auto client = connect();
    for (int user = 0; user < count; ++user) {
      const Response response =
          client->request("GET", "/", {}, with("X-User", "user-" + std::to_string(user)));
      EXPECT_EQ(response.status, 200) << response.summary();
      if (response.field("X-Backend") == "green") users.push_back(user);
    }
    return users;
  }
};

TEST_F(StickyTest, G2NewClientsAreExactAndKeepTheirBackend) {
  start(sticky("", "{ blue = 90, green = 10 }"));
  const auto cookies = new_clients(200);
  EXPECT_EQ(cookies.at("blue").size(), 180u);
  EXPECT_EQ(cookies.at("green").size(), 20u);
  auto client = connect();
  for (const auto& [backend, own] : cookies) {
    for (const std::string& cookie : own) {
      const Response response = client->request("GET", "/", {}, with("Cookie", cookie));
      ASSERT_EQ(response.field("X-Backend"), backend);
      ASSERT_FALSE(response.fields.has("Set-Cookie"));
    }
  }
  // They took no ticket: the next new ones are in the same ratio.
  const auto more = new_clients(100);
  EXPECT_EQ(more.at("green").size(), 10u);
  EXPECT_EQ(metric("sluice_route_sticky_total{route=\"app\"}"), 200);
  EXPECT_EQ(metric("sluice_route_requests_total{route=\"app\",backend=\"green\"}"), 30);
  EXPECT_EQ(metric("sluice_sticky_cookies_issued_total"), 300);
}

TEST_F(StickyTest, TheCookieSaysWhatTheFileSays) {
  start(sticky("cookie_name = \"variant\"\ncookie_max_age = \"1h\"\n"));
  const std::string plain = ask().field("Set-Cookie");
  EXPECT_TRUE(plain.starts_with("variant=v1.")) << plain;
  EXPECT_TRUE(plain.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax")) << plain;
  const std::string tls = connect_tls()->get("/").field("Set-Cookie");
  EXPECT_TRUE(tls.ends_with("; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax")) << tls;
}

TEST_F(StickyTest, ACookieIsGoodOverHttp2AsWell) {
  start(sticky());
  auto client =
      H2Client::connect(sluice_->endpoint("https"), {.tls = harness::ClientTls{.alpn = {"h2"}}});
  ASSERT_TRUE(client) << client.error();
  for (int i = 0; i < 4; ++i) {
    const auto first = (*client)->get("/");
    ASSERT_EQ(first.status, 200) << first.summary();
    const std::string cookie = cookie_of(first);
    ASSERT_NE(cookie, "");
    Fields fields = with("cookie", "theme=dark");
    fields.add("cookie", cookie);  // a crumb of its own (RFC 9113 §8.2.3)
    const auto second = (*client)->request("GET", "/", {}, fields);
    EXPECT_EQ(second.field("X-Backend"), first.field("X-Backend"));
    EXPECT_EQ(second.field("Set-Cookie"), "");
    EXPECT_EQ(backend_for(with("Cookie", cookie)), first.field("X-Backend"));
  }
}

TEST_F(StickyTest, ExplainSaysWhereARequestGoes) {
  Scenario scenario = sticky("by = [\"header:x-user\", \"cookie\"]\n");
  scenario.routes += "[routes.app.force]\nallow_from = [\"127.0.0.1\"]\n";
  start(scenario);
  const auto explained = [&](const std::string& query) { return admin_json("/explain?" + query); };
  for (int user = 0; user < 20; ++user) {
    const std::string name = "user-" + std::to_string(user);
    const json told = explained("header=X-User:" + name);
    EXPECT_EQ(told["backend"], backend_for(with("X-User", name)));
    EXPECT_THAT(told["backend_because"], testing::HasSubstr("bound by header:x-user"));
  }
  for (const auto& [backend, own] : new_clients(10)) {
    const json told = explained("cookie=" + own.front());
    EXPECT_EQ(told["backend"], backend);
    EXPECT_THAT(told["backend_because"], testing::HasSubstr("bound by cookie"));
  }
  EXPECT_THAT(explained("cookie=sluice_app%3Dforged")["backend_because"],
              testing::HasSubstr("cookie is not good"));
  for (const std::string backend : {"blue", "green"}) {
    const std::string header = "header=X-Sluice-Backend:" + backend;
    EXPECT_EQ(explained(header + "&client=127.0.0.1")["backend"], backend);
    EXPECT_THAT(explained(header + "&client=127.0.0.1")["backend_because"],
                testing::HasSubstr("names it"));
  }
  EXPECT_EQ(explained("header=X-Sluice-Backend:gren&client=127.0.0.1")["answer"]["status"], 400);
  EXPECT_FALSE(explained("header=X-Sluice-Backend:gren&client=10.0.0.1").contains("answer"));
}

TEST_F(StickyTest, G6CookiesAreGoodAfterARestartAndAReload) {
  const Scenario scenario = sticky();
  start(scenario);
  const auto cookies = new_clients(20);
  const auto all_stay = [&] {
    for (const auto& [backend, own] : cookies) {
      for (const std::string& cookie : own) {
        EXPECT_EQ(backend_for(with("Cookie", cookie)), backend);
      }
    }
  };
  kill_and_restart(scenario);
  all_stay();
  ASSERT_TRUE(reload(scenario));
  all_stay();
  // Not sticky for a while, and again: the split has not changed, nor has any key's place.
  ASSERT_TRUE(reload({.split = "{ blue = 50, green = 50 }"}));
  EXPECT_EQ(ask().field("Set-Cookie"), "");
  ASSERT_TRUE(reload(scenario));
  all_stay();
}

TEST_F(StickyTest, ForgedCookiesAreNoneAndAreCounted) {
  start(sticky("", "{ blue = 1, green = 0 }"));
  std::string forged = cookie_of(ask());
  forged.back() = forged.back() == '0' ? '1' : '0';
  for (const std::string& cookie :
       {forged, std::string("sluice_app="), "sluice_app=" + std::string(4000, 'a')}) {
    const Response response = ask(with("Cookie", cookie));
    EXPECT_EQ(response.status, 200);
    EXPECT_NE(cookie_of(response), "") << "a new one";
  }
  EXPECT_EQ(metric("sluice_sticky_cookies_refused_total"), 3);
}

TEST_F(StickyTest, KeysThatAreRotatedStayGoodWhileTheyAreInTheFile) {
  const std::string path = directory_->file("keys");
  const std::string old_key(64, 'a');
  const std::string new_key(64, 'b');
  harness::write_file(path, old_key, 0600);
  const Scenario scenario = sticky("key_file = \"" + path + "\"\n");
  start(scenario);
  const Response first = ask();
  const std::string cookie = cookie_of(first);
  harness::write_file(path, new_key + "\n" + old_key + "\n", 0600);
  ASSERT_TRUE(reload(scenario));
  const Response renewed = ask(with("Cookie", cookie));
  EXPECT_EQ(renewed.field("X-Backend"), first.field("X-Backend"));
  const std::string next = cookie_of(renewed);
  ASSERT_NE(next, "") << "signed anew with the current key";
  harness::write_file(path, new_key, 0600);
  ASSERT_TRUE(reload(scenario));
  EXPECT_EQ(ask(with("Cookie", next)).field("Set-Cookie"), "");
  EXPECT_NE(ask(with("Cookie", cookie)).field("Set-Cookie"), "");
  harness::write_file(path, "nonsense", 0600);
  EXPECT_FALSE(reload(scenario));
  EXPECT_EQ(ask(with("Cookie", next)).field("Set-Cookie"), "") << "the old keys stay";
}

TEST_F(StickyTest, G6SetsAreNestedOverShifts) {
  start(sticky("by = [\"header:X-User\"]\n", "{ blue = 99, green = 1 }"));
  constexpr int kUsers = 400;
  std::vector<int> before = users_of_green(kUsers);
  const std::vector<int> at_1 = before;
  for (const auto& [form, up] :
       {std::pair("blue=90&green=10", true), std::pair("blue=50&green=50", true),
        std::pair("blue=0&green=100", true), std::pair("blue=90&green=10", false),
        std::pair("blue=99&green=1", false)}) {
    ASSERT_EQ(admin("PUT", "/weights/app", form).status, 200);
    const std::vector<int> now = users_of_green(kUsers);
    EXPECT_TRUE(up ? std::ranges::includes(now, before) : std::ranges::includes(before, now))
        << form;
    before = now;
  }
  EXPECT_EQ(before, at_1);
}

TEST_F(StickyTest, G6ARollbackBringsEveryKeyBack) {
  start(sticky("by = [\"header:X-User\"]\n", "{ blue = 70, green = 30 }"));
  const std::vector<int> before = users_of_green(100);
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=5&green=95").status, 200);
  EXPECT_NE(users_of_green(100), before);
  ASSERT_EQ(admin("POST", "/rollback/app").status, 200);
  EXPECT_EQ(users_of_green(100), before);
}

TEST_F(StickyTest, StatesOfTheFileAreWhereItBegins) {
  Scenario scenario = sticky("", "{ blue = 50, green = 50 }", "");
  start(scenario);
  const auto cookies = new_clients(20);
  scenario = sticky("", "{ blue = 50, green = 50 }", "states = { green = \"sticky_only\" }\n");
  ASSERT_TRUE(reload(scenario));
  EXPECT_FALSE(new_clients(10).contains("green"));
  EXPECT_EQ(backend_for(with("Cookie", cookies.at("green")[0])), "green");
  scenario = sticky("", "{ blue = 50, green = 50 }", "states = { green = \"off\" }\n");
  ASSERT_TRUE(reload(scenario));
  const Response moved = ask(with("Cookie", cookies.at("green")[0]));
  EXPECT_EQ(moved.field("X-Backend"), "blue");
  EXPECT_EQ(moved.field("Set-Cookie"), "") << "it keeps its key, and returns";
  EXPECT_EQ(metric("sluice_route_redistributed_total{route=\"app\"}"), 1);
  ASSERT_TRUE(reload(sticky()));
  EXPECT_EQ(backend_for(with("Cookie", cookies.at("green")[0])), "green");
}

TEST_F(StickyTest, OnUnhealthyFailIsA503) {
  start(sticky());
  const auto cookies = new_clients(10);
  green_.stop();
  int refused = 0;
  for (int i = 0; i < 10; ++i) refused += ask().status >= 502 ? 1 : 0;
  EXPECT_EQ(refused, 5) << "half of the new ones";
  EXPECT_GE(ask(with("Cookie", cookies.at("green")[0])).status, 502);
  EXPECT_EQ(ask(with("Cookie", cookies.at("blue")[0])).status, 200);
}

TEST_F(StickyTest, OnUnhealthyRedistributeFailsNobodyAndBringsThemBack) {
  start(sticky("", "{ blue = 50, green = 50 }", "on_unhealthy = \"redistribute\"\n"));
  const auto cookies = new_clients(10);
  green_.stop();
  for (int i = 0; i < 10; ++i) {
    const Response response = ask();
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_EQ(response.field("X-Backend"), "blue");
  }
  for (const std::string& cookie : cookies.at("green")) {
    EXPECT_EQ(backend_for(with("Cookie", cookie)), "blue");
  }
  EXPECT_GE(metric("sluice_route_redistributed_total{route=\"app\"}"), 9);
  green_.start();
  ASSERT_TRUE(wait_for_status("green", "one", "up"));
  for (const std::string& cookie : cookies.at("green")) {
    EXPECT_EQ(backend_for(with("Cookie", cookie)), "green");
  }
}

TEST_F(StickyTest, OnUnhealthyFallbackGoesToTheNamedBackend) {
  harness::StrictOrigin spare("spare");
  Scenario scenario{
      .backends = {{"blue", {{"one", blue_.address()}}}, {"spare", {{"one", spare.address()}}}}};
  scenario.routes =
      "[routes.app]\nsplit = { blue = 1 }\non_unhealthy = \"fallback\"\nfallback = \"spare\"\n";
  start(scenario);
  EXPECT_EQ(ask().field("X-Backend"), "blue");
  blue_.stop();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask().field("X-Backend"), "spare");
  EXPECT_EQ(metric("sluice_route_fallback_total{route=\"app\"}"), 5);
  spare.stop();
  EXPECT_GE(ask().status, 502);
}

TEST_F(StickyTest, TestersMayForceABackendAndOthersMayNot) {
  Scenario scenario{.split = "{ blue = 1, green = 0 }",
                    .more = "[routes.app.force]\nallow_from = [\"127.0.0.0/8\"]\n"};
  start(scenario);
  EXPECT_EQ(backend_for(with("X-Sluice-Backend", "green")), "green");
  EXPECT_EQ(backend_for(with("Cookie", "a=b; sluice_backend=green")), "green");
  EXPECT_EQ(backend_for(with("Cookie", "sluice_backend=gone")), "blue");
  EXPECT_EQ(backend_for({}), "blue");
  const Response unknown = ask(with("X-Sluice-Backend", "gren"));
  EXPECT_EQ(unknown.status, 400);
  EXPECT_TRUE(unknown.body.contains("did you mean")) << unknown.body;
  EXPECT_EQ(metric("sluice_route_forced_total{route=\"app\"}"), 2);
  EXPECT_EQ(metric("sluice_route_requests_total{route=\"app\",backend=\"green\"}"), 0);
  green_.stop();
  EXPECT_GE(ask(with("X-Sluice-Backend", "green")).status, 502);
  scenario.more = "[routes.app.force]\nallow_from = [\"192.0.2.0/24\"]\n";
  ASSERT_TRUE(reload(scenario));
  EXPECT_EQ(backend_for(with("X-Sluice-Backend", "green")), "blue");
  EXPECT_EQ(backend_for(with("X-Sluice-Backend", "gren")), "blue");
}

TEST_F(StickyTest, UnderMaintenanceARouteSaysWhenToComeAgain) {
  start(sticky("", "{ blue = 1, green = 1 }"));
  const auto cookies = new_clients(4);
  const std::uint64_t before = blue_.counts().requests + green_.counts().requests;
  ASSERT_EQ(admin("POST", "/maintenance/app", "retry_after=120s").status, 200);
  for (const Fields& fields : {Fields(), with("Cookie", cookies.at("blue")[0])}) {
    const Response response = ask(fields);
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.field("Retry-After"), "120");
    EXPECT_FALSE(response.fields.has("Set-Cookie"));
  }
  auto client = H2Client::connect_tls(sluice_->endpoint("https"));
  ASSERT_TRUE(client) << client.error();
  const auto grpc =
      (*client)->request("POST", "/pkg.Service/Call", "", with("Content-Type", "application/grpc"));
  EXPECT_EQ(grpc.status, 200);
  EXPECT_EQ(grpc.field("grpc-status"), "14");
  EXPECT_EQ(blue_.counts().requests + green_.counts().requests, before);
  ASSERT_EQ(admin("DELETE", "/maintenance/app").status, 200);
  EXPECT_EQ(backend_for(with("Cookie", cookies.at("blue")[0])), "blue") << "no key has moved";
}

TEST_F(StickyTest, G1StatesThatAreSetThroughTheApiAreInForceOnReturn) {
  start(sticky());
  const auto cookies = new_clients(10);
  ASSERT_EQ(admin("PATCH", "/states/app", "green=sticky_only").status, 200);
  EXPECT_FALSE(new_clients(10).contains("green"));
  EXPECT_EQ(backend_for(with("Cookie", cookies.at("green")[0])), "green");
  ASSERT_EQ(admin("PATCH", "/states/app", "green=off").status, 200);
  EXPECT_EQ(backend_for(with("Cookie", cookies.at("green")[0])), "blue");
  ASSERT_EQ(admin("POST", "/rollback/app", "").status, 200);
  EXPECT_EQ(backend_for(with("Cookie", cookies.at("green")[0])), "green");
}

TEST_F(StickyTest, ServersGetTheirWeightExactly) {
  Scenario scenario{.workers = 1};
  scenario.more = "[backends.mixed]\nservers = { a = \"" + blue_.address() +
                  "\", b = { address = \"" + green_.address() + "\", weight = 2.5 } }\n";
  scenario.routes = "[routes.app]\nsplit = { mixed = 1 }\n";
  start(scenario);
  auto client = connect();
  int green = 0;
  for (int i = 0; i < 140; ++i) green += client->get("/").field("X-Backend") == "green" ? 1 : 0;
  EXPECT_EQ(green, 100);
}

TEST_F(StickyTest, AServerThatReturnsGetsItsShareBitByBit) {
  Scenario scenario{.workers = 1};
  scenario.more = "[backends.pool]\nslow_start = \"1h\"\nservers = { a = \"" + blue_.address() +
                  "\", b = \"" + green_.address() + "\" }\n";
  scenario.routes = "[routes.app]\nsplit = { pool = 1 }\n";
  start(scenario);
  auto client = connect();
  const auto green_of = [&](int count) {
    int green = 0;
    for (int i = 0; i < count; ++i) green += client->get("/").field("X-Backend") == "green" ? 1 : 0;
    return green;
  };
  EXPECT_EQ(green_of(20), 10) << "those that begin together share at once";
  ASSERT_EQ(admin("POST", "/servers/pool/b/drain").status, 200);
  EXPECT_EQ(green_of(10), 0);
  ASSERT_EQ(admin("POST", "/servers/pool/b/resume").status, 200);
  EXPECT_LE(green_of(200), 2) << "an hour to grow in, some seconds of which are over";
  // The share that it is to have without slow start, at once.
  scenario.more = "[backends.pool]\nservers = { a = \"" + blue_.address() + "\", b = \"" +
                  green_.address() + "\" }\n";
  ASSERT_TRUE(reload(scenario));
  EXPECT_EQ(green_of(20), 10);
}

TEST_F(StickyTest, TheHealthPathIsAnsweredHereAndCountsForNoRoute) {
  Scenario scenario{.listener = "health_path = \"/up\""};
  start(scenario);
  const Response up = ask({}, "/up");
  EXPECT_EQ(up.status, 200);
  EXPECT_EQ(up.body, "ready\n");
  EXPECT_EQ(up.field("Cache-Control"), "no-store");
  EXPECT_EQ(up.field("Via"), "");
  EXPECT_EQ(ask({}, "/up?x=1").status, 200);
  EXPECT_EQ(harness::fetch(sluice_->endpoint("http"), "HEAD", "/up").status, 200);
  EXPECT_EQ(harness::fetch(sluice_->endpoint("http"), "POST", "/up", "x").status, 405);
  EXPECT_EQ(ask({}, "/upper").field("X-Backend"), "blue");
  EXPECT_EQ(metric("sluice_route_requests_total{route=\"app\",backend=\"blue\"}"), 1);
  EXPECT_EQ(blue_.counts().requests, 1u);
}

TEST_F(StickyTest, TheHealthPathSaysNoWhileTheProcessDrains) {
  Scenario scenario{.listener = "health_path = \"/up\""};
  start(scenario);
  auto client = connect();
  auto held = connect();
  ASSERT_TRUE(held->send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(1));
  ASSERT_TRUE(client->send("GET /up HTTP/1.1\r\nHost: x\r\n\r\nGET /up HTTP/1.1\r\n"));
  EXPECT_EQ(client->read_response().status, 200);
  // The second request has begun, so its connection is not idle and outlives the signal.
  sluice_->signal(SIGTERM);
  ASSERT_NE(sluice_->wait_for_error_text("draining"), std::string::npos);
  // Every worker has heard of it when none listens any more.
  ASSERT_TRUE(wait_until([&] { return !HttpClient::connect(sluice_->endpoint("http")); }));
  ASSERT_TRUE(client->send("Host: x\r\n\r\n"));
  const Response draining = client->read_response();
  EXPECT_EQ(draining.status, 503) << draining.summary();
  EXPECT_EQ(draining.field("Cache-Control"), "no-store");
  blue_.release();
  EXPECT_EQ(held->read_response().status, 200);
  const auto status = sluice_->wait_exit();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << sluice_->standard_error();
}

}  // namespace
}  // namespace sluice::integration
