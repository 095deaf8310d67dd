#include "admin/render.h"

#include <gtest/gtest.h>

#include "admin/endpoints.h"
#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using testing::field;
using testing::json_of;
using testing::Node;
using testing::outcome;

ObservedRoute observed_app() {
  ObservedRoute route;
  route.backends = {"blue", "green"};
  route.last_requests = {1010, {909, 101}, std::chrono::milliseconds(2500)};
  route.last_minute = {4000, {3604, 396}, std::chrono::seconds(60)};
  return route;
}

TEST(Weights, OfOneRouteShowDesiredInForceAndObserved) {
  Node node;
  node.observed["app"] = observed_app();
  const Reply reply = node.call("GET", "/weights/app");
  EXPECT_EQ(field(reply, "ETag"), "\"1\"");
  EXPECT_EQ(reply.body,
            "{\n"
            "  \"route\": \"app\",\n"
            "  \"revision\": 1,\n"
            "  \"weights\": {\"blue\": 90, \"green\": 10},\n"
            "  \"in_force\": {\n"
            "    \"everywhere\": true,\n"
            "    \"workers\": 4,\n"
            "    \"weights\": {\"blue\": 90, \"green\": 10}\n"
            "  },\n"
            "  \"observed\": [\n"
            "    {\n"
            "      \"window\": \"last 1000 requests\",\n"
            "      \"requests\": 1010,\n"
            "      \"seconds\": 2.5,\n"
            "      \"share\": {\"blue\": 0.9000, \"green\": 0.1000}\n"
            "    },\n"
            "    {\n"
            "      \"window\": \"last minute\",\n"
            "      \"requests\": 4000,\n"
            "      \"seconds\": 60.0,\n"
            "      \"share\": {\"blue\": 0.9010, \"green\": 0.0990}\n"
            "    }\n"
            "  ]\n"
            "}\n");
}

TEST(Weights, OfAllRoutesAreTheSameByName) {
  Node node;
  node.observed["app"] = observed_app();
  const nlohmann::json all = json_of(node.call("GET", "/weights"));
  EXPECT_EQ(all["revision"], 1);
  EXPECT_EQ(all["epoch"], 7);
  ASSERT_EQ(all["routes"].size(), 2u);
  for (const std::string name : {"app", "api.v2"}) {
    nlohmann::json one = json_of(node.call("GET", "/weights/" + name));
    one.erase("route");
    EXPECT_EQ(all["routes"][name], one);
  }
}

TEST(Weights, WorkersThatAreBehindAreShown) {
  Node node;
  Adoption behind{.epoch = 7, .revision = 1, .workers = {2}};
  for (const auto& [name, route] : node.state.routes()) behind.weights[name] = route.setting.split;
  node.call("PUT", "/weights/app", "blue=0&green=100");
  Adoption current{.epoch = 8, .revision = 2, .workers = {0, 1, 3}};
  for (const auto& [name, route] : node.state.routes()) current.weights[name] = route.setting.split;
  node.adoptions = {current, behind};

  const nlohmann::json in_force = json_of(node.call("GET", "/weights/app"))["in_force"];
  EXPECT_EQ(in_force["everywhere"], false);
  EXPECT_FALSE(in_force.contains("weights"));
  ASSERT_EQ(in_force["by_worker"].size(), 2u);
  EXPECT_EQ(in_force["by_worker"][0]["workers"], (nlohmann::json{0, 1, 3}));
  EXPECT_EQ(in_force["by_worker"][1]["workers"], (nlohmann::json{2}));
  EXPECT_EQ(in_force["by_worker"][1]["revision"], 1);
  EXPECT_EQ(in_force["by_worker"][1]["weights"], (nlohmann::json{{"blue", 90}, {"green", 10}}));
  // The other route did not change: it is in force with all.
  EXPECT_EQ(json_of(node.call("GET", "/weights/api.v2"))["in_force"]["everywhere"], true);

  const Reply text = node.call("GET", "/weights/app?format=text");
  EXPECT_NE(text.body.find("0,90"), std::string::npos) << text.body;
}

TEST(Weights, AreNotInForceWhereNoWorkerHasSaidSo) {
  Node node;
  node.adoptions.emplace();
  const nlohmann::json in_force = json_of(node.call("GET", "/weights/app"))["in_force"];
  EXPECT_EQ(in_force["everywhere"], false);
  EXPECT_EQ(in_force["by_worker"], nlohmann::json::array());
}

TEST(Weights, ObservedFiguresAreNoPartOfTheETag) {
  Node node;
  const std::string before = field(node.call("GET", "/weights/app"), "ETag");
  node.observed["app"] = observed_app();
  EXPECT_EQ(field(node.call("GET", "/weights/app"), "ETag"), before);
}

TEST(Weights, AsTextAreATable) {
  Node node;
  node.observed["app"] = observed_app();
  const Reply reply = node.call("GET", "/weights?format=text");
  EXPECT_EQ(reply.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(reply.body,
            "ROUTE   BACKEND  WEIGHT  IN FORCE  LAST 1000  LAST MINUTE  REVISION\n"
            "api.v2  blue     1       1         -          -            1\n"
            "api.v2  green    0       0         -          -            1\n"
            "app     blue     90      90        90.00%     90.10%       1\n"
            "app     green    10      10        10.00%     9.90%        1\n");
  EXPECT_EQ(field(node.call("GET", "/weights/app?format=text"), "ETag"), "\"1\"");
}

TEST(Backends, ShowEveryServer) {
  Node node;
  ServerView& server = node.server("blue", "web-2");
  server.status = health::Status::down;
  server.last_error = "status 503, expected 200 to 299";
  server.last_error_at = node.now;
  server.running = 4;
  server.requests = 100;
  server.failures = 7;
  node.call("POST", "/servers/green/sock/drain");

  const nlohmann::json all = json_of(node.call("GET", "/backends"))["backends"];
  EXPECT_EQ(all["blue"]["servers"][1], (nlohmann::json{
                                           {"name", "web-2"},
                                           {"address", "127.0.0.1:9002"},
                                           {"status", "down"},
                                           {"since", "2026-11-18T11:06:40.000000000Z"},
                                           {"weight", 1},
                                           {"takes_new_work", false},
                                           {"draining", false},
                                           {"safe_to_stop", false},
                                           {"running", 4},
                                           {"requests", 100},
                                           {"failures", 7},
                                           {"last_error", "status 503, expected 200 to 299"},
                                           {"last_error_at", "2026-11-18T11:06:40.000000000Z"},
                                       }));
  EXPECT_EQ(all["blue"]["servers"][0]["takes_new_work"], true);
  EXPECT_FALSE(all["blue"]["servers"][0].contains("last_error"));
  EXPECT_EQ(all["green"]["servers"][0]["status"], "unprobed");
  EXPECT_EQ(all["green"]["servers"][0]["takes_new_work"], true);
  EXPECT_EQ(all["green"]["servers"][1]["takes_new_work"], false);
  EXPECT_EQ(all["green"]["servers"][1]["safe_to_stop"], true);

  const nlohmann::json one = json_of(node.call("GET", "/backends/green"));
  EXPECT_EQ(one["backend"], "green");
  EXPECT_EQ(one["servers"], all["green"]["servers"]);
}

TEST(Backends, AsTextAreATable) {
  Node node;
  node.server("blue", "web-1").last_error = "bad\x1b[2Jbytes";
  const std::string text = node.call("GET", "/backends/blue?format=text").body;
  EXPECT_TRUE(text.starts_with("BACKEND  SERVER  ADDRESS         WEIGHT  STATUS  SINCE")) << text;
  EXPECT_NE(text.find("blue     web-1   127.0.0.1:9001  1       up      2026-"), std::string::npos)
      << text;
  EXPECT_NE(text.find("bad?[2Jbytes"), std::string::npos) << text;
  EXPECT_EQ(text.find("green"), std::string::npos);
  EXPECT_NE(node.call("GET", "/backends?format=text").body.find("unix:/run/green.sock"),
            std::string::npos);
}

TEST(Index, SaysWhatThereIs) {
  Node node;
  const nlohmann::json json = json_of(node.call("GET", "/"));
  EXPECT_EQ(json["version"], "0.1.0");
  EXPECT_EQ(json["pid"], 4242);
  EXPECT_EQ(json["config"], "/etc/sluice/sluice.toml");
  EXPECT_EQ(json["ready"], true);
  ASSERT_EQ(json["paths"].size(), kEndpointCount);
  EXPECT_EQ(json["paths"][2]["path"], "/weights/{ROUTE}");
  EXPECT_EQ(json["paths"][2]["methods"], "GET, HEAD, PUT, PATCH");
  EXPECT_NE(node.call("GET", "/?format=text").body.find("/switch/{ROUTE}"), std::string::npos);
}

}  // namespace
}  // namespace sluice::admin
