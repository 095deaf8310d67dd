#include "admin/api.h"

#include <gtest/gtest.h>

#include "admin/endpoints.h"
#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using testing::field;
using testing::json_of;
using testing::make_request;
using testing::Node;
using testing::outcome;

// What handle() makes of a call: the outcome of its reply, or its command in words.
std::string handled(const Request& request) {
  const Node node;
  const auto answer = handle(request, node.view());
  if (const auto* reply = std::get_if<Reply>(&answer)) return outcome(*reply);
  const Command& command = std::get<Command>(answer);
  std::string text;
  if (const auto* change = std::get_if<Change>(&command.action)) {
    const routing::RouteWish& wish = change->transaction.routes.front();
    if (const auto* stated = std::get_if<routing::StatedSplit>(&wish.what)) {
      text = "shift " + wish.route + (stated->whole ? " whole" : " part");
      for (const auto& [backend, weight] : stated->weights) text += " " + backend + "=" + weight;
    } else {
      text = "switch " + wish.route + " to " + std::get<routing::SwitchTo>(wish.what).backend;
    }
    if (wish.if_match) text += " if " + std::to_string(*wish.if_match);
  } else {
    const Drain& drain = std::get<Drain>(command.action);
    text = (drain.draining ? "drain " : "resume ") + drain.server.to_string();
    if (drain.wait) text += " wait " + std::to_string(drain.wait->count() / 1'000'000) + "ms";
  }
  if (command.format == Format::text) text += " as text";
  if (!command.origin.author.empty()) text += " by " + command.origin.author;
  if (!command.origin.reason.empty()) text += " because " + command.origin.reason;
  return text;
}

std::string handled(std::string_view method, std::string_view target, std::string_view body = "") {
  return handled(make_request(method, target, body));
}

TEST(Paths, AreTheSameBelowV1AndWithoutIt) {
  for (const std::string prefix : {"", "/v1"}) {
    EXPECT_EQ(handled("GET", prefix + "/"), "200");
    EXPECT_EQ(handled("GET", prefix + "/weights"), "200");
    EXPECT_EQ(handled("HEAD", prefix + "/weights"), "200");
    EXPECT_EQ(handled("GET", prefix + "/weights/app"), "200");
    EXPECT_EQ(handled("GET", prefix + "/weights/api.v2"), "200");
    EXPECT_EQ(handled("GET", prefix + "/backends"), "200");
    EXPECT_EQ(handled("GET", prefix + "/backends/green"), "200");
    EXPECT_EQ(handled("PUT", prefix + "/weights/app", "blue=1&green=2"),
              "shift app whole blue=1 green=2");
    EXPECT_EQ(handled("PATCH", prefix + "/weights/app", "green=2"), "shift app part green=2");
    EXPECT_EQ(handled("POST", prefix + "/switch/app", "to=green"), "switch app to green");
    EXPECT_EQ(handled("POST", prefix + "/servers/blue/web-1/drain"), "drain blue/web-1");
    EXPECT_EQ(handled("POST", prefix + "/servers/blue/web-1/resume"), "resume blue/web-1");
  }
  EXPECT_EQ(handled("GET", "/v1"), "200");
}

TEST(Paths, MayEndInASlashAndBePercentEncoded) {
  EXPECT_EQ(handled("GET", "/weights/"), "200");
  EXPECT_EQ(handled("GET", "/weights/%61pp"), "200");
  EXPECT_EQ(handled("GET", "/weights/api%2ev2"), "200");
}

TEST(Paths, WhatIsNotThereIs404) {
  for (const char* target :
       {"/nothing", "/v2/weights", "/v1/v1/weights", "/weights/app/x", "/switch", "/servers",
        "/servers/blue/web-1/stop", "/leases/1/x", "/revisions", "//weights", "/weights//app",
        "/WEIGHTS", "/weights%2Fapp", "/servers//web-1/drain"}) {
    EXPECT_EQ(handled("POST", target).substr(0, 3), "404") << target;
  }
  const Node node;
  const Reply reply = std::get<Reply>(handle(make_request("GET", "/wieghts"), node.view()));
  EXPECT_EQ(json_of(reply)["detail"],
            "There is nothing at \"/wieghts\": did you mean \"weights\"? GET / lists what there "
            "is.");
}

TEST(Paths, MalformedOnesAre400) {
  for (const char* target : {"", "weights", "*", "/%", "/weights/%zz", "/weights/a%4", "?x=y"})
    EXPECT_EQ(handled("GET", target), "400 bad_path") << target;
}

TEST(Methods, OthersThanAllowedAre405WithAllowAndAnExample) {
  const struct {
    const char* target;
    const char* allow;
  } cases[] = {
      {"/", "GET, HEAD"},
      {"/weights", "GET, HEAD"},
      {"/weights/app", "GET, HEAD, PUT, PATCH"},
      {"/switch/app", "POST"},
      {"/backends", "GET, HEAD"},
      {"/backends/blue", "GET, HEAD"},
      {"/servers/blue/web-1/drain", "POST"},
      {"/servers/blue/web-1/resume", "POST"},
  };
  for (const auto& test : cases) {
    for (const std::string method :
         {"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "get", "GET,", "", "\xff"}) {
      const std::string allow = std::string(", ") + test.allow + ",";
      if (allow.find(" " + method + ",") != std::string::npos) continue;
      const Node node;
      const Reply reply = std::get<Reply>(handle(make_request(method, test.target), node.view()));
      EXPECT_EQ(outcome(reply), "405 method_not_allowed") << method << " " << test.target;
      EXPECT_EQ(field(reply, "Allow"), test.allow);
      EXPECT_NE(json_of(reply)["detail"].get<std::string>().find("curl"), std::string::npos);
    }
  }
}

TEST(Names, UnknownOnesAre404WithTheNearest) {
  const struct {
    const char* method;
    const char* target;
    const char* body;
    const char* expected;
    const char* detail;
  } cases[] = {
      {"GET", "/weights/ap", "", "404 unknown_route",
       "There is no route \"ap\": did you mean \"app\"?"},
      {"PUT", "/weights/ap", "blue=1", "404 unknown_route",
       "There is no route \"ap\": did you mean \"app\"?"},
      {"POST", "/switch/shop", "to=green", "404 unknown_route",
       "There is no route \"shop\": known are \"api.v2\", \"app\""},
      {"GET", "/weights/%ff%0a", "", "404 unknown_route",
       "There is no route \"??\": known are \"api.v2\", \"app\""},
      {"GET", "/backends/gren", "", "404 unknown_backend",
       "There is no backend \"gren\": did you mean \"green\"?"},
      {"POST", "/servers/blu/web-1/drain", "", "404 unknown_backend",
       "There is no backend \"blu\": did you mean \"blue\"?"},
      {"POST", "/servers/blue/web-3/drain", "", "404 unknown_server",
       "Backend blue has no server \"web-3\": did you mean \"web-1\"?"},
      {"POST", "/servers/blue/127.0.0.1:9101/drain", "", "404 unknown_server",
       "Backend blue has no server \"127.0.0.1:9101\": known are \"web-1\", \"web-2\""},
  };
  for (const auto& test : cases) {
    const Node node;
    const auto answer = handle(make_request(test.method, test.target, test.body), node.view());
    const Reply& reply = std::get<Reply>(answer);
    EXPECT_EQ(outcome(reply), test.expected) << test.target;
    EXPECT_EQ(json_of(reply)["detail"], test.detail);
  }
}

TEST(Servers, MayBeNamedByAddress) {
  EXPECT_EQ(handled("POST", "/servers/blue/127.0.0.1:9002/drain"), "drain blue/web-2");
  EXPECT_EQ(handled("POST", "/servers/blue/localhost:9002/drain"), "drain blue/web-2");
  EXPECT_EQ(handled("POST", "/servers/blue/127.0.0.1%3A9002/drain"), "drain blue/web-2");
  EXPECT_EQ(handled("POST", "/servers/green/unix:%2Frun%2Fgreen.sock/resume"), "resume green/sock");
  // As it comes over the wire, where an encoded slash is refused.
  EXPECT_EQ(handled("POST", "/servers/green/unix:/run/green.sock/resume"), "resume green/sock");
  EXPECT_EQ(handled("POST", "/v1/servers/green/unix:/run/green.sock/drain"), "drain green/sock");
  EXPECT_EQ(handled("GET", "/servers/green/unix:/run/green.sock"), "200");
  EXPECT_EQ(handled("GET", "/servers/green/unix:/run/blue.sock"), "404 unknown_server");
  EXPECT_EQ(handled("GET", "/weights/unix:/run/green.sock"), "404 unknown_path");
}

TEST(Drains, TakeAWaitWithinItsBound) {
  const std::string target = "/servers/blue/web-1/drain";
  EXPECT_EQ(handled("POST", target + "?wait=60s"), "drain blue/web-1 wait 60000ms");
  EXPECT_EQ(handled("POST", target, "wait=500ms"), "drain blue/web-1 wait 500ms");
  EXPECT_EQ(handled("POST", target + "?wait=0s"), "drain blue/web-1 wait 0ms");
  EXPECT_EQ(handled("POST", target + "?wait=11m"), "422 bad_wait");
  EXPECT_EQ(handled("POST", target + "?wait=60"), "422 bad_wait");
  EXPECT_EQ(handled("POST", target + "?wait"), "400 bad_form");
  EXPECT_EQ(handled("POST", target + "?wiat=60s"), "400 unknown_parameter");
  EXPECT_EQ(handled("POST", target + "?wait=1s", "wait=2s"), "400 repeated_parameter");
  EXPECT_EQ(handled("POST", "/servers/blue/web-1/resume?wait=2m"),
            "resume blue/web-1 wait 120000ms");
}

TEST(Writes, SayWhoAndWhy) {
  EXPECT_EQ(handled("PUT", "/weights/app", "blue=1&author=ci+bot&green=2&reason=release%201.2"),
            "shift app whole blue=1 green=2 by ci bot because release 1.2");
  EXPECT_EQ(handled("PUT", "/weights/app?author=ci&reason=x&format=text", "blue=1"),
            "shift app whole blue=1 as text by ci because x");
  EXPECT_EQ(handled(make_request("PATCH", "/weights/app",
                                 R"({"weights": {"author": 5}, "author": "ci", "reason": "x"})",
                                 "application/json")),
            "shift app part author=5 by ci because x");
  EXPECT_EQ(handled("POST", "/servers/blue/web-1/drain", "author=ci&reason=x"),
            "drain blue/web-1 by ci because x");
  EXPECT_EQ(handled("POST", "/switch/app?to=green&author=ci"), "switch app to green by ci");
  EXPECT_EQ(
      handled("PUT", "/weights/app", "blue=1&author=" + std::string(kAuthorBytesMax + 1, 'x')),
      "422 bad_remark");
  EXPECT_EQ(handled("PUT", "/weights/app", "blue=1&reason=a%0ab"), "422 bad_remark");
  EXPECT_EQ(handled("PUT", "/weights/app", "blue=1&reason=%ff"), "422 bad_remark");
  EXPECT_EQ(handled("PUT", "/weights/app?format=xml", "blue=1"), "422 bad_format");
}

TEST(Writes, RecordTheAuthenticatedIdentity) {
  const Node node;
  Request request = make_request("PUT", "/weights/app", "blue=1&author=root");
  request.caller.uid = 1000;
  request.identity = identify(request, node.view());
  const auto answer = handle(request, node.view());
  EXPECT_EQ(std::get<Command>(answer).origin.identity, "uid:1000");
  EXPECT_EQ(std::get<Command>(answer).origin.author, "root");
}

TEST(Reads, TakeNoBodyAndNoUnknownParameter) {
  EXPECT_EQ(handled("GET", "/weights", "blue=1"), "400 unexpected_body");
  EXPECT_EQ(handled("GET", "/weights/app", "blue=1"), "400 unexpected_body");
  EXPECT_EQ(handled("GET", "/weights?format=text"), "200");
  EXPECT_EQ(handled("GET", "/weights?format=xml"), "422 bad_format");
  EXPECT_EQ(handled("GET", "/weights?x=1"), "400 unknown_parameter");
  EXPECT_EQ(handled("GET", "/weights?format=text&format=text"), "400 repeated_parameter");
  EXPECT_EQ(handled("GET", "/weights?%zz=1"), "400 bad_form");
  EXPECT_EQ(handled("GET", "/weights?"), "200");
}

TEST(Switches, NeedATarget) {
  EXPECT_EQ(handled("POST", "/switch/app"), "422 no_target");
  EXPECT_EQ(handled("POST", "/switch/app", "To=green"), "400 unknown_parameter");
  EXPECT_EQ(handled(make_request("POST", "/switch/app", R"({"to": "green"})", "application/json")),
            "switch app to green");
  EXPECT_EQ(handled(make_request("POST", "/switch/app", R"({"to": 5})", "application/json")),
            "400 unknown_parameter");
}

TEST(Conditions, AreComparedAndHandedOn) {
  const auto with = [](std::string_view target, std::string_view body, const char* if_match) {
    Request request = make_request(target.starts_with("/weights") ? "PUT" : "POST", target, body);
    request.if_match = if_match;
    return handled(request);
  };
  EXPECT_EQ(with("/weights/app", "blue=1", "\"1\""), "shift app whole blue=1 if 1");
  EXPECT_EQ(with("/weights/app", "blue=1", "*"), "shift app whole blue=1");
  EXPECT_EQ(with("/weights/app", "blue=1", "\"2\""), "412 stale");
  EXPECT_EQ(with("/weights/app", "blue=1", "W/\"1\""), "412 stale");
  EXPECT_EQ(with("/switch/app", "to=green", "\"1\""), "switch app to green if 1");
  EXPECT_EQ(with("/switch/app", "to=green", "\"0\""), "412 stale");
  EXPECT_EQ(with("/servers/blue/web-1/drain", "", "\"0\""), "drain blue/web-1");
  EXPECT_EQ(with("/servers/blue/web-1/drain", "", "\"1\""), "412 stale");
}

TEST(Endpoints, EveryExampleIsOne) {
  for (const Endpoint& endpoint : endpoints()) {
    std::string example(endpoint.example);
    EXPECT_NE(example.find("admin/"), std::string::npos) << example;
    EXPECT_FALSE(endpoint.summary.empty());
  }
}

}  // namespace
}  // namespace sluice::admin
