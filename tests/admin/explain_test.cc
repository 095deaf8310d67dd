// GET /explain, /events and /webhooks as far as they are decided without a socket.
#include "admin/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/event_log.h"
#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using testing::field;
using ::testing::HasSubstr;
using testing::json_of;
using testing::make_request;
using testing::Node;
using testing::outcome;

json explained(Node& node, std::string_view query) {
  return json_of(node.call("GET", "/explain?" + std::string(query)));
}

TEST(Explain, SaysWhichRouteWhyAndWhyNotTheOthers) {
  Node node;
  const json answer = explained(node, "host=app.example&path=/api/x");
  EXPECT_EQ(answer["route"], "app");
  EXPECT_THAT(answer["route_because"], ::testing::HasSubstr("app.example"));
  ASSERT_EQ(answer["routes"].size(), 2u);
  EXPECT_EQ(answer["routes"][0]["result"], "chosen");
  EXPECT_EQ(answer["routes"][1]["route"], "api.v2");
  EXPECT_EQ(answer["routes"][1]["result"], "outranked");
  EXPECT_THAT(answer["routes"][1]["because"], ::testing::HasSubstr("app comes first"));
}

TEST(Explain, ARouteOfAnotherHostOrPathIsToldApart) {
  Node node;
  const json answer = explained(node, "host=www.example&path=/cart");
  EXPECT_TRUE(answer["route"].is_null());
  EXPECT_EQ(answer["answer"]["status"], 404);
  ASSERT_EQ(answer["routes"].size(), 2u);
  EXPECT_EQ(answer["routes"][0]["route"], "api.v2");
  EXPECT_EQ(answer["routes"][0]["result"], "path");
  EXPECT_EQ(answer["routes"][1]["route"], "app");
  EXPECT_EQ(answer["routes"][1]["result"], "host");
}

TEST(Explain, HostIsTakenAsRequestsHaveIt) {
  Node node;
  EXPECT_EQ(explained(node, "host=App.Example:8443&path=/")["route"], "app");
  EXPECT_EQ(explained(node, "host=app.example.&path=/")["route"], "app");
  EXPECT_EQ(explained(node, "path=/api")["route"], "api.v2");
}

TEST(Explain, SaysWhichBackendAndWhichServersTakeWork) {
  Node node;
  node.server("blue", "web-2").status = health::Status::down;
  node.server("blue", "web-2").last_error = "connection refused";
  ASSERT_EQ(node.call("POST", "/servers/blue/web-1/drain").status, 200);
  const json answer = explained(node, "host=app.example");
  ASSERT_EQ(answer["backends"].size(), 2u);
  const json& blue = answer["backends"][0];
  EXPECT_EQ(blue["weight"], 90);
  EXPECT_DOUBLE_EQ(blue["share"], 0.9);
  EXPECT_EQ(blue["servers_taking_work"], 0);
  EXPECT_THAT(blue["servers"][0]["because"], ::testing::HasSubstr("drained since revision 2"));
  EXPECT_THAT(blue["servers"][1]["because"], ::testing::HasSubstr("connection refused"));
  EXPECT_EQ(answer["backends"][1]["servers_taking_work"], 2);
  EXPECT_EQ(answer["backends"][1]["servers"][0]["because"], "its backend has no health check");
  EXPECT_EQ(answer["backend"], "green") << "the first ticket is green's";
}

TEST(Explain, TakesNoTicketAndFollowsThoseTaken) {
  Node node;
  std::map<std::string, int> backends;
  for (int i = 0; i < 10; ++i) {
    const std::string first = explained(node, "host=app.example")["backend"];
    EXPECT_EQ(explained(node, "host=app.example")["backend"], first);
    const routing::SnapshotRoute& route = node.snapshot().routes[0];
    EXPECT_EQ(route.split[route.schedule.pick(route.runtime->take_ticket())].backend, first);
    ++backends[first];
  }
  EXPECT_EQ(backends["blue"], 9);
  EXPECT_EQ(backends["green"], 1);
}

TEST(Explain, ConnectNeedsARouteThatTakesIt) {
  Node node;
  const json answer = explained(node, "host=app.example&method=CONNECT");
  EXPECT_EQ(answer["route"], "app");
  EXPECT_EQ(answer["answer"]["status"], 405);
}

TEST(Explain, ARouteInMaintenanceAnswersByItself) {
  Node node;
  ASSERT_EQ(node.call("POST", "/maintenance/app", "retry_after=90s").status, 200);
  const json answer = explained(node, "host=app.example");
  EXPECT_EQ(answer["answer"]["status"], 503);
  EXPECT_THAT(answer["answer"]["because"], ::testing::HasSubstr("Retry-After: 90"));
}

TEST(Explain, RefusesWhatItDoesNotUnderstand) {
  Node node;
  EXPECT_EQ(outcome(node.call("GET", "/explain?hots=a")), "400 unknown_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?host=a&host=b")), "400 repeated_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?header=a")), "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?header=a:1&header=b:2")), "200");
  EXPECT_EQ(outcome(node.call("GET", "/explain?header=a%20b:1")), "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?method=G%20T")), "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?client=10.0.0.0/8")), "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?client=somebody")), "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?client=10.0.0.1&cookie=a=b")), "200");
  EXPECT_EQ(outcome(node.call("GET", "/explain?path=nothing")), "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/explain?format=xml")), "422 bad_format");
  EXPECT_EQ(outcome(node.call("POST", "/explain")), "405 method_not_allowed");
}

TEST(Explain, TextIsForPeople) {
  Node node;
  const Reply reply = node.call("GET", "/explain?host=app.example&format=text");
  EXPECT_EQ(reply.content_type, "text/plain; charset=utf-8");
  EXPECT_THAT(reply.body, ::testing::HasSubstr("BECAUSE"));
  EXPECT_THAT(reply.body, ::testing::HasSubstr("Backend green: "));
  EXPECT_THAT(node.call("GET", "/explain?host=x&format=text").body,
              ::testing::HasSubstr("No route fits: 404."));
}

TEST(Explain, SaysByWhichRightARequestGetsItsBackend) {
  Node node;
  DescribedRequest seen;
  DescribedWish wish;
  node.read_wish = [&](const DescribedRequest& request) {
    seen = request;
    return wish;
  };
  const std::string query =
      "host=app.example&header=X-User:ann&cookie=a%3Db&client=10.0.0.9&path=/cart";
  wish.wish.forced = 0;
  json answer = explained(node, query);
  EXPECT_EQ(answer["backend"], "blue");
  EXPECT_EQ(answer["backend_because"], "the request names it, and its client may");
  EXPECT_EQ(seen.target, "/cart");
  EXPECT_THAT(seen.headers, ElementsAre(::testing::Pair("X-User", "ann")));
  EXPECT_EQ(seen.cookie, "a=b");
  EXPECT_EQ(seen.client->ip_to_string(), "10.0.0.9");
  wish = {};
  wish.cookie_refused = true;
  EXPECT_THAT(explained(node, query)["backend_because"].get<std::string>(),
              HasSubstr("cookie is not good; of the route's 2 backends"));
  wish.refusal = "X-Sluice-Backend names \"gren\"";
  answer = explained(node, query);
  EXPECT_EQ(answer["answer"]["status"], 400);
  EXPECT_EQ(answer["answer"]["because"], wish.refusal);
}

TEST(Explain, FollowsAKeyAndWhatStandsInForItsBackend) {
  Node node;
  node.config.routes[0].sticky.emplace();
  node.config.routes[0].split[1].weight = *Decimal::parse("90");
  node.take_config_over();
  const conf::StickyWay way = {{conf::StickyPart::Kind::header, "x-user"}};
  node.read_wish = [&](const DescribedRequest&) {
    DescribedWish wish;
    wish.wish.key = 0xffffffff;
    wish.bound_by = &way;
    return wish;
  };
  json answer = explained(node, "host=app.example");
  EXPECT_EQ(answer["backend"], "green");
  EXPECT_THAT(answer["backend_because"].get<std::string>(), HasSubstr("bound by header:x-user"));
  node.config.routes[0].split[1].state = conf::ShareState::off;
  node.take_config_over();
  answer = explained(node, "host=app.example");
  EXPECT_EQ(answer["backend"], "blue");
  EXPECT_THAT(answer["backend_because"].get<std::string>(),
              HasSubstr("green is off, and this one stands in for it"));
}

TEST(Explain, ListsTheChosenRouteHoweverManyThereAre) {
  Node node;
  conf::Route route = node.config.routes[0];
  for (int i = 0; i < 200; ++i) {
    route.name = "r" + std::to_string(i);
    route.hosts = {};
    route.path_prefix = "/deep/" + std::string(300 - i, 'x');
    node.config.routes.push_back(route);
  }
  node.take_config_over();
  const json answer = explained(node, "host=none.example&path=/deep/" + std::string(110, 'x'));
  EXPECT_EQ(answer["route"], "r190");
  EXPECT_EQ(answer["routes"].size(), kExplainedRoutesMax + 1);
  EXPECT_EQ(answer["routes"].back()["result"], "chosen");
  EXPECT_EQ(answer["routes_left_off"], 202 - kExplainedRoutesMax - 1);
}

// --- Events -------------------------------------------------------------------------------------

Follow followed(Node& node, std::string_view query, std::optional<std::string> last_id = {}) {
  Request request = make_request("GET", "/events?" + std::string(query));
  request.last_event_id = std::move(last_id);
  const Handled handled = handle(request, node.view());
  if (const auto* follow = std::get_if<Follow>(&handled)) return *follow;
  ADD_FAILURE() << std::get<Reply>(handled).body;
  return {};
}

TEST(WatchEvents, BeginsNowOrWithAllThatIsKept) {
  Node node;
  node.events.add(alarm("a", "b"), node.now);
  node.events.add(alarm("a", ""), node.now);
  EXPECT_EQ(followed(node, "").start.next, 3u);
  EXPECT_TRUE(followed(node, "").follow);
  EXPECT_EQ(followed(node, "follow=false").start.next, 1u);
  EXPECT_FALSE(followed(node, "follow=false").follow);
  EXPECT_EQ(followed(node, "since=" + node.events.id_of(1)).start.next, 2u);
  EXPECT_EQ(followed(node, "since=" + node.events.id_of(1), node.events.id_of(2)).start.next, 3u)
      << "a client that comes back knows better than its address";
  EXPECT_EQ(followed(node, "since=1-1").start.missed, EventStart::Missed::restart);
}

TEST(WatchEvents, PicksTypes) {
  Node node;
  const EventTypes types = followed(node, "types=shift,health").types;
  EXPECT_TRUE(types.has(EventType::shift));
  EXPECT_TRUE(types.has(EventType::health));
  EXPECT_FALSE(types.has(EventType::drain));
  EXPECT_EQ(followed(node, "").types, EventTypes::all());
}

TEST(WatchEvents, RefusesWhatItDoesNotUnderstand) {
  Node node;
  EXPECT_EQ(outcome(node.call("GET", "/events?types=shift,heath")), "422 unknown_type");
  EXPECT_THAT(node.call("GET", "/events?types=heath").body, ::testing::HasSubstr("health"));
  EXPECT_EQ(outcome(node.call("GET", "/events?types=")), "422 unknown_type");
  EXPECT_EQ(outcome(node.call("GET", "/events?follow=yes")), "422 bad_parameter");
  EXPECT_EQ(outcome(node.call("GET", "/events?since=7")), "400 bad_event_id");
  EXPECT_EQ(outcome(node.call("GET", "/events?from=7")), "400 unknown_parameter");
}

TEST(ShowWebhooks, SaysHowItGoesAndNoSecret) {
  Node node;
  WebhookView hook{.name = "pager",
                   .url = "http://127.0.0.1:9093/api/v2/alerts",
                   .format = conf::Webhook::Format::alertmanager,
                   .events = EventTypes::of(std::vector{EventType::health, EventType::alarm}),
                   .queue_length = 3,
                   .queue_max = 256,
                   .firing = 1};
  hook.counts.dropped = 9;
  hook.last_error = "connection refused";
  hook.last_error_at = node.now;
  node.webhooks = {hook};
  const json shown = json_of(node.call("GET", "/webhooks"))["webhooks"][0];
  EXPECT_EQ(shown["name"], "pager");
  EXPECT_EQ(shown["format"], "alertmanager");
  EXPECT_EQ(shown["events"], json::parse(R"(["health", "alarm"])"));
  EXPECT_EQ(shown["queue_length"], 3);
  EXPECT_EQ(shown["dropped"], 9);
  EXPECT_EQ(shown["last_error"], "connection refused");
  EXPECT_FALSE(shown.contains("last_success_at"));
  EXPECT_THAT(node.call("GET", "/webhooks?format=text").body, ::testing::HasSubstr("pager"));
}

}  // namespace
}  // namespace sluice::admin
