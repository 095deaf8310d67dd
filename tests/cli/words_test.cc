#include "proxy/cli/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Words, ADurationIsAWholeNumberAndItsUnit) {
  EXPECT_EQ(parse_duration("500ms"), std::chrono::milliseconds(500));
  EXPECT_EQ(parse_duration("30s"), std::chrono::seconds(30));
  EXPECT_EQ(parse_duration("5m"), std::chrono::minutes(5));
  EXPECT_EQ(parse_duration("2h"), std::chrono::hours(2));
  EXPECT_EQ(parse_duration("7d"), std::chrono::hours(7 * 24));
  EXPECT_EQ(parse_duration("0s"), Duration::zero());
  for (const char* bad : {"", "s", "30", "-1s", "+1s", " 1s", "1 s", "1.5s", "1S", "1sec", "367d",
                          "99999999999999999999s", "9223372036854775807d"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(Words, OnlyUnreservedCharactersStayAsTheyAre) {
  EXPECT_EQ(percent_encode("a-Z0._~"), "a-Z0._~");
  EXPECT_EQ(percent_encode("unix:/run/a b&c=\xff"), "unix%3A%2Frun%2Fa%20b%26c%3D%FF");
}

std::string shown(const std::expected<std::vector<RouteWords>, std::string>& routes) {
  if (!routes) return "error: " + routes.error();
  std::string text;
  for (const RouteWords& route : *routes) {
    text += '[' + route.route;
    for (const Assignment& share : route.shares) text += ' ' + share.name + '=' + share.value;
    text += ']';
  }
  return text;
}

TEST(Words, AShiftNamesARouteAndItsWeightsOrSeveral) {
  EXPECT_EQ(shown(parse_route_words({"app", "blue=90", "green=10"})), "[app blue=90 green=10]");
  EXPECT_EQ(shown(parse_route_words({"app", "blue=90,green=10"})), "[app blue=90 green=10]");
  EXPECT_EQ(shown(parse_route_words({"app:blue=90,green=10", "api:blue=0,green=100"})),
            "[app blue=90 green=10][api blue=0 green=100]");
  EXPECT_EQ(shown(parse_route_words({"app", "blue=1", "api", "blue=2", "green=3"})),
            "[app blue=1][api blue=2 green=3]");
}

TEST(Words, AShiftThatSaysTooLittleOrTooMuchIsNamed) {
  EXPECT_THAT(shown(parse_route_words({"app"})), HasSubstr("\"app\" gets no weights"));
  EXPECT_THAT(shown(parse_route_words({"blue=90"})), HasSubstr("before any route"));
  EXPECT_THAT(shown(parse_route_words({"app", "blue="})), HasSubstr("\"blue=\""));
  EXPECT_THAT(shown(parse_route_words({"app:blue"})), HasSubstr("\"blue\""));
  EXPECT_THAT(shown(parse_route_words({"app:blue=1,"})), HasSubstr("\"\""));
  EXPECT_THAT(shown(parse_route_words({":blue=1"})), HasSubstr("no name"));
  EXPECT_THAT(shown(parse_route_words({"app:blue=1", "app:green=1"})), HasSubstr("twice"));
}

TEST(Words, AServerIsNamedWithItsBackend) {
  const auto parsed = [](const std::vector<std::string>& words) {
    const auto server = parse_server_words(words);
    return server ? server->backend + '|' + server->server : "error: " + server.error();
  };
  EXPECT_EQ(parsed({"blue/web-1"}), "blue|web-1");
  EXPECT_EQ(parsed({"blue", "web-1"}), "blue|web-1");
  EXPECT_EQ(parsed({"blue/unix:/run/app.sock"}), "blue|unix:/run/app.sock");
  EXPECT_EQ(parsed({"blue", "unix:/run/app.sock"}), "blue|unix:/run/app.sock");
  EXPECT_EQ(parsed({"blue/10.0.0.7:8080"}), "blue|10.0.0.7:8080");
  EXPECT_EQ(parsed({"blue"}), "blue|");
  EXPECT_THAT(parsed({"blue/"}), HasSubstr("error"));
  EXPECT_THAT(parsed({"/web-1"}), HasSubstr("error"));
  EXPECT_THAT(parsed({"blue", ""}), HasSubstr("error"));
  EXPECT_THAT(parsed({"a", "b", "c"}), HasSubstr("\"c\""));
  EXPECT_THAT(parsed({"blue/web-1", "green/g-1"}), HasSubstr("one server already"));
}

TEST(Words, WaitTakesTheNextWordOnlyIfItIsADuration) {
  EXPECT_THAT(with_optional_values({"drain", "--wait", "blue/web-1"}),
              ElementsAre("drain", "--wait=usual", "blue/web-1"));
  EXPECT_THAT(with_optional_values({"drain", "--wait", "60s", "blue"}),
              ElementsAre("drain", "--wait=60s", "blue"));
  EXPECT_THAT(with_optional_values({"drain", "blue", "--wait"}),
              ElementsAre("drain", "blue", "--wait=usual"));
  EXPECT_THAT(with_optional_values({"drain", "--wait=5s"}), ElementsAre("drain", "--wait=5s"));
  EXPECT_THAT(with_optional_values({"--", "--wait"}), ElementsAre("--", "--wait"));
}

}  // namespace
}  // namespace sluice::cli
