// GET /events and GET /explain over real sockets, curl as the client where the docs name it.
#include <signal.h>

#include <fstream>

#include "tests/harness/child.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Child;
using testing::HasSubstr;

Fields field(std::string_view name, std::string_view value) {
  Fields fields;
  fields.add(name, value);
  return fields;
}

class EventsTest : public SluiceTest {
 protected:
  // A client that follows, on a connection of its own.
  std::unique_ptr<HttpClient> follow(const std::string& query = "", Fields fields = {}) {
    auto client = HttpClient::connect(sluice_->admin());
    EXPECT_TRUE(client) << client.error();
    std::string head = "GET /v1/events" + query + " HTTP/1.1\r\nHost: localhost\r\n";
    EXPECT_TRUE((*client)->send(head + fields.text() + "\r\n"));
    return std::move(*client);
  }

  struct Heard {
    std::string id;
    std::string event;
    json data;
  };
  static std::vector<Heard> parse(const std::string& text) {
    std::vector<Heard> all;
    Heard now;
    std::size_t at = 0;
    while (at < text.size()) {
      const std::size_t end = text.find('\n', at);
      if (end == std::string::npos) break;
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      if (line.starts_with("id: ")) now.id = line.substr(4);
      if (line.starts_with("event: ")) now.event = line.substr(7);
      if (line.starts_with("data: ")) now.data = json::parse(line.substr(6));
      if (!line.empty()) continue;
      if (!now.data.is_null()) all.push_back(now);
      now = {};
    }
    return all;
  }
  // All that is kept and fits the query.
  std::vector<Heard> events(const std::string& query = "", Fields fields = {}) {
    Response response =
        admin("GET", "/v1/events?follow=false" + (query.empty() ? "" : "&" + query), {}, fields);
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_TRUE(response.complete());
    EXPECT_EQ(response.field("Content-Type"), "text/event-stream");
    return parse(response.body);
  }
  std::vector<std::string> phases(const std::string& type, const std::string& member) {
    std::vector<std::string> all;
    for (const Heard& heard : events("types=" + type)) {
      all.push_back(heard.data.value(member, "?"));
    }
    return all;
  }
};

TEST_F(EventsTest, AShiftIsAnEventOnceItIsInForce) {
  start();
  ASSERT_EQ(admin("POST", "/switch/app", "to=green&author=ci&reason=release").status, 200);
  const auto shifts = events("types=shift");
  ASSERT_FALSE(shifts.empty());
  const json& data = shifts.back().data;
  EXPECT_EQ(shifts.back().event, "shift");
  EXPECT_EQ(data["id"], shifts.back().id);
  EXPECT_EQ(data["kind"], "switch");
  EXPECT_EQ(data["author"], "ci");
  EXPECT_EQ(data["changes"][0]["after"]["weights"]["green"], 100);
  EXPECT_EQ(data["revision"], admin_json("/weights/app")["revision"]);
  // What changes nothing is none.
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  EXPECT_EQ(events("types=shift").size(), shifts.size());
}

TEST_F(EventsTest, CurlFollowsAsTheDocsSay) {
  start();
  auto curl = Child::start(
      {"curl", "--fail-with-body", "-sN", "http://" + sluice_->admin().text() + "/events"});
  ASSERT_NE(curl->wait_for_line("retry: "), "");
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  const std::string data = curl->wait_for_line("data: ");
  EXPECT_EQ(json::parse(data)["type"], "shift") << data;
  // The stream ends cleanly with the process.
  stop();
  EXPECT_EQ(curl->wait_exit(), 0) << curl->output();
}

TEST_F(EventsTest, HealthDrainsReloadsAndLeasesAreEvents) {
  start({.health = "interval = \"100ms\"\nsettle_interval = \"50ms\"",
         .backends = {{"blue", {{"one", blue_.address()}, {"two", green_.address()}}}},
         .split = "{ blue = 1 }"});
  blue_.set_health(500);
  ASSERT_TRUE(wait_for_status("blue", "one", "down"));
  blue_.set_health(200);
  ASSERT_TRUE(wait_for_status("blue", "one", "up"));
  std::vector<std::string> of_one;
  for (const Heard& heard : events("types=health")) {
    if (heard.data["server"] == "one") of_one.push_back(heard.data["status"]);
  }
  EXPECT_THAT(of_one, testing::ElementsAre("up", "down", "up"));

  ASSERT_EQ(admin("POST", "/servers/blue/one/drain?wait=10s").status, 200);
  ASSERT_TRUE(wait_until([&] { return phases("drain", "phase").size() == 2; }));
  ASSERT_EQ(admin("POST", "/servers/blue/one/resume?wait=10s").status, 200);
  EXPECT_THAT(phases("drain", "phase"), testing::ElementsAre("begun", "safe_to_stop", "resumed"));

  const Scenario other{.backends = {{"blue", {{"one", blue_.address()}}}}, .split = "{ blue = 2 }"};
  EXPECT_TRUE(reload(other));
  EXPECT_FALSE(reload({.limits = "nonsense = 1"}));
  EXPECT_THAT(phases("reload", "result"), testing::ElementsAre("accepted", "refused"));
  EXPECT_THAT(events("types=reload").back().data["errors"][0].get<std::string>(),
              HasSubstr("nonsense"));
}

TEST_F(EventsTest, ALeaseThatLapsesSaysSoAndWhatItBroughtBack) {
  start();
  const Response shifted = admin("PUT", "/weights/app?ttl=1s", "blue=0&green=1");
  ASSERT_EQ(shifted.status, 200) << shifted.body;
  ASSERT_TRUE(wait_until([&] { return !events("types=lease").empty(); }));
  const json lapse = events("types=lease").back().data;
  EXPECT_EQ(lapse["phase"], "lapsed");
  EXPECT_EQ(lapse["changes"][0]["after"]["weights"]["blue"], 1);
  EXPECT_EQ(events("types=shift").back().data["kind"], lapse["kind"]);
}

TEST_F(EventsTest, AReaderGoesOnWhereItWas) {
  start();
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  const std::string first = events("types=shift").back().id;
  ASSERT_EQ(admin("POST", "/switch/app", "to=blue").status, 200);
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  for (const auto& since : {events("types=shift&since=" + first),
                            events("types=shift", field("Last-Event-ID", first))}) {
    ASSERT_EQ(since.size(), 2u);
    EXPECT_EQ(since[0].data["changes"][0]["after"]["weights"]["blue"], 100);
  }
}

TEST_F(EventsTest, AReaderFromBeforeARestartIsToldThatItMissedSomething) {
  start();
  ASSERT_EQ(admin("POST", "/switch/app", "to=green").status, 200);
  const std::string before = events().back().id;
  kill_and_restart();
  ASSERT_EQ(admin("POST", "/switch/app", "to=blue").status, 200);
  const auto heard = events("since=" + before);
  ASSERT_GE(heard.size(), 2u);
  EXPECT_EQ(heard[0].event, "missed");
  EXPECT_EQ(heard[0].data["because"], "restart");
  EXPECT_EQ(heard[0].data["since"], before);
  EXPECT_EQ(heard.back().event, "shift");
  EXPECT_GT(heard.back().id, before) << "ids grow over restarts";
  EXPECT_EQ(events("since=" + heard[0].id).size(), heard.size() - 1);
}

TEST_F(EventsTest, BadCallsAreToldWhatWouldBeRight) {
  start();
  EXPECT_EQ(admin("GET", "/events?since=7").status, 400);
  EXPECT_EQ(admin("GET", "/events", {}, field("Last-Event-ID", "x")).status, 400);
  EXPECT_EQ(admin("GET", "/events?types=heath").status, 422);
  EXPECT_EQ(admin("POST", "/events").status, 405);
  const Response head = admin("HEAD", "/events");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("Content-Type"), "text/event-stream");
}

// Readers that take nothing, as many as may be, and then some: shifts and requests go on.
TEST_F(EventsTest, G9StuckReadersDelayNeitherShiftsNorRequests) {
  start();
  std::vector<std::unique_ptr<HttpClient>> stuck;
  for (int i = 0; i < 64; ++i) {
    stuck.push_back(follow("?since=1-1"));
    stuck.back()->set_receive_buffer(4096);
  }
  ASSERT_TRUE(wait_until([&] { return metric("sluice_event_streams") == 64; }));
  auto one_more = follow();
  const Response refused = one_more->read_response();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(parse_json(refused)["code"], "too_many_streams");
  EXPECT_EQ(metric("sluice_event_streams_refused_total"), 1);

  for (int i = 0; i < 300; ++i) {
    const char* to = i % 2 == 0 ? "green" : "blue";
    const auto began = std::chrono::steady_clock::now();
    ASSERT_EQ(admin("POST", "/switch/app", "to=" + std::string(to)).status, 200);
    EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(5));
    if (i % 50 == 0) {
      EXPECT_EQ(get("/").field("X-Backend"), to);
    }
  }
  // They took nothing and have lost nothing but what is forgotten, which they are told.
  for (int i = 0; i < 3; ++i) {
    std::string text;
    HttpClient::Read read{.on_body = [&](std::string_view piece) { text += piece; }};
    if (i == 0) stop();
    stuck[static_cast<std::size_t>(i)]->read_response(read);
    EXPECT_THAT(text, HasSubstr("event: missed"));
  }
}

TEST_F(EventsTest, ReadersThatLeaveMakeRoom) {
  start();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<HttpClient>> readers;
    for (int i = 0; i < 64; ++i) readers.push_back(follow());
    ASSERT_TRUE(wait_until([&] { return metric("sluice_event_streams") == 64; }));
    readers.clear();
    ASSERT_TRUE(wait_until([&] { return metric("sluice_event_streams") == 0; }));
  }
}

// --- Explain ------------------------------------------------------------------------------------

TEST_F(EventsTest, ExplainSaysWhatTheDataPlaneDoes) {
  start({.routes = "[routes.app]\nsplit = { blue = 1, green = 0 }\n"
                   "[routes.api]\npath = \"/api\"\nsplit = { blue = 0, green = 1 }\n"
                   "[routes.shop]\nhost = \"*.shop.test\"\npath = \"/api/v1\"\n"
                   "split = { blue = 1, green = 0 }\n"});
  for (const char* host : {"localhost", "a.shop.test", "A.Shop.Test:81", "shop.test"}) {
    for (const char* path : {"/", "/api", "/apis", "/api/v1/x?y", "/a/../api", "/%61pi/v1"}) {
      const Response real =
          harness::fetch(sluice_->endpoint("http"), "GET", path, {}, field("Host", host));
      ASSERT_EQ(real.status, 200) << path;
      const json answer = admin_json("/explain?host=" + std::string(host) + "&path=" +
                                     (std::string(path) == "/%61pi/v1" ? "/%2561pi/v1" : path));
      EXPECT_EQ(answer["backend"], real.field("X-Backend")) << host << path << answer.dump(1);
    }
  }
  EXPECT_EQ(admin("GET", "/explain?path=/%252e%252fx%2500").status, 422);
}

TEST_F(EventsTest, ExplainSaysWhyAServerTakesNoWork) {
  start();
  blue_.set_health(500);
  ASSERT_TRUE(wait_for_status("blue", "one", "down"));
  ASSERT_EQ(admin("POST", "/servers/green/one/drain").status, 200);
  const json answer = admin_json("/explain?path=/");
  EXPECT_THAT(answer["backends"][0]["servers"][0]["because"].get<std::string>(), HasSubstr("down"));
  EXPECT_THAT(answer["backends"][1]["servers"][0]["because"].get<std::string>(),
              HasSubstr("drained since revision"));
  EXPECT_EQ(answer["answer"]["status"], 503);
  EXPECT_EQ(get("/").status, 503);
}

}  // namespace
}  // namespace sluice::integration
