// What a file can say of sticky splits, states, what becomes of requests without a server, forced
// variants, and the weights of servers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

std::string with_split_of(std::string_view keys) {
  return std::string(kWithoutRoutes) +
         fmt::format("[routes.app]\nsplit = {{ blue = 90, green = 10 }}\n{}\n", keys);
}

Route route_of(std::string_view keys) {
  const auto config = parse(with_split_of(keys), "f");
  EXPECT_TRUE(config.has_value()) << keys << (config ? "" : config.error()[0].to_string());
  return config ? config->routes.at(0) : Route{};
}

std::string error_of(const std::string& text) {
  const auto config = parse(text, "f");
  if (config) return "none";
  EXPECT_EQ(config.error().size(), 1u) << text;
  return config.error()[0].to_string();
}

StickyPart cookie() {
  return {};
}
StickyPart client() {
  return {StickyPart::Kind::client, {}};
}
StickyPart header(std::string name) {
  return {StickyPart::Kind::header, std::move(name)};
}

TEST(StickyConfig, IsOffWithoutItsTableAndByCookieWithIt) {
  EXPECT_FALSE(route_of("").sticky);
  EXPECT_FALSE(route_of("").force);
  const Route route = route_of("[routes.app.sticky]");
  ASSERT_TRUE(route.sticky);
  EXPECT_EQ(route.sticky->by, (std::vector<std::vector<StickyPart>>{{cookie()}}));
  EXPECT_EQ(route.sticky->cookie_name, "");
  EXPECT_EQ(route.sticky->cookie_max_age, Duration::zero());
  EXPECT_EQ(route.sticky->cookie_secure, SecureCookie::automatic);
  EXPECT_EQ(route.sticky->cookie_same_site, "Lax");
  EXPECT_TRUE(route.sticky->cookie_http_only);
  EXPECT_EQ(route.sticky->key_file, "");
}

TEST(StickyConfig, ReadsEveryKey) {
  const Route route = route_of(R"(
states = { blue = "sticky_only" }
on_unhealthy = "fallback"
fallback = "green"
require_if_match = true
[routes.app.sticky]
by = ["header:X-User+client", "cookie", "client"]
cookie_name = "v"
cookie_max_age = "24h"
cookie_secure = "always"
cookie_same_site = "None"
cookie_http_only = false
key_file = "/etc/k"
[routes.app.force]
header = "X-To"
cookie = "to"
allow_from = ["10.0.0.0/8", "unix"])");
  EXPECT_EQ(route.sticky->by, (std::vector<std::vector<StickyPart>>{
                                  {header("x-user"), client()}, {cookie()}, {client()}}));
  EXPECT_EQ(route.sticky->cookie_name, "v");
  EXPECT_EQ(route.sticky->cookie_max_age, hours(24));
  EXPECT_EQ(route.sticky->cookie_secure, SecureCookie::always);
  EXPECT_EQ(route.sticky->cookie_same_site, "None");
  EXPECT_FALSE(route.sticky->cookie_http_only);
  EXPECT_EQ(route.sticky->key_file, "/etc/k");
  EXPECT_EQ(route.force->header, "X-To");
  EXPECT_EQ(route.force->cookie, "to");
  EXPECT_EQ(route.force->allow_from.size(), 2u);
  EXPECT_EQ(route.on_unhealthy, OnUnhealthy::fallback);
  EXPECT_EQ(route.fallback, "green");
  EXPECT_TRUE(route.require_if_match);
  EXPECT_EQ(route.split[0].state, ShareState::sticky_only);
  EXPECT_EQ(route.split[1].state, ShareState::active);
}

TEST(StickyConfig, SaysWhatIsWrongAndWhatWouldBeRight) {
  const struct {
    std::string keys;
    std::string_view error;
  } kCases[] = {
      {"sticky = { by = [] }", "routes.app.sticky.by has 0 items; it has 1 to 8"},
      {"sticky = { by = [\"cooky\"] }",
       "is none of \"cookie\", \"client\" and \"header:NAME\" (did you mean \"cookie\"?)"},
      {"sticky = { by = [\"header:\"] }", "\"header:\" is none of"},
      {"sticky = { by = [\"header:X User\"] }", "\"header:X User\" is none of"},
      {"sticky = { by = [\"cookie+client\"] }", "a cookie is a key of its own"},
      {"sticky = { by = [\"client+client\"] }", "\"client\" is stated more than once"},
      {"sticky = { by = [\"client\", \"client\"] }", "names \"client\" twice"},
      {"sticky = { by = \"cookie\" }", "must be a list of keys, in brackets, not a string"},
      {"sticky = { cookie_name = \"a b\" }", "\"a b\" is not a cookie name"},
      {"sticky = { cookie_same_site = \"lax\" }", "did you mean \"Lax\"?"},
      {"sticky = { cookie_same_site = \"None\", cookie_secure = \"never\" }",
       "browsers drop such a cookie"},
      {"force = {}", "the key routes.app.force.allow_from is missing"},
      {"states = { bleu = \"off\" }",
       "routes.app.states: there is no backend \"bleu\" in the split (did you mean \"blue\"?)"},
      {"states = { blue = \"of\" }", "did you mean \"off\"?"},
      {"states = { blue = \"off\", green = \"sticky_only\" }",
       "routes.app.states leaves no active backend with a weight above zero"},
      {"on_unhealthy = \"fallback\"", "the key routes.app.fallback is missing"},
      {"on_unhealthy = \"fallback\"\nfallback = \"gren\"",
       "routes.app.fallback: there is no backend \"gren\" (did you mean \"green\"?)"},
      {"fallback = \"green\"", "is of no use without on_unhealthy = \"fallback\""},
  };
  for (const auto& [keys, error] : kCases) {
    const std::string got = error_of(with_split_of(keys));
    EXPECT_TRUE(got.contains(error)) << keys << "\n" << got;
  }
}

TEST(ServerWeights, StandBesideAddresses) {
  const auto config = parse(before_sound(R"([backends.x]
slow_start = "30s"
servers = { a = "127.0.0.1:1", b = { address = "127.0.0.1:2", weight = 2.5 }, c = { address = "127.0.0.1:3" }, d = { weight = "0", address = "127.0.0.1:4" } }
)"),
                            "f");
  ASSERT_TRUE(config.has_value()) << config.error()[0].to_string();
  const auto backend = std::ranges::find(config->backends, "x", &Backend::name);
  EXPECT_EQ(backend->slow_start, seconds(30));
  std::string weights;
  for (const Server& server : backend->servers) {
    weights += server.name + "=" + server.weight.to_string() + " ";
  }
  EXPECT_EQ(weights, "a=1 b=2.5 c=1 d=0 ");
}

TEST(ServerWeights, AreCheckedLikeThoseOfASplit) {
  const struct {
    std::string servers;
    std::string_view error;
  } kCases[] = {
      {"{ a = { address = \"127.0.0.1:1\", weight = -1 } }", "backends.x.servers.a.weight is -1"},
      {"{ a = { weight = 1 } }", "the key backends.x.servers.a.address is missing"},
      {"{ a = { address = \"127.0.0.1:1\", wait = 1 } }", "backends.x.servers.a.wait is unknown"},
      {"{ a = { address = \"127.0.0.1:1\", weight = 0 } }", "all weights are zero"},
      {"{ a = { address = \"127.0.0.1:1\" }, b = \"127.0.0.1:1\" }", "127.0.0.1:1"},
  };
  for (const auto& [servers, error] : kCases) {
    const std::string got =
        error_of(before_sound(fmt::format("[backends.x]\nservers = {}\n", servers)));
    EXPECT_TRUE(got.contains(error)) << servers << "\n" << got;
  }
}

TEST(ListenerHealthPath, IsAPathInItsOneForm) {
  const auto with = [](std::string_view path) {
    return fmt::format("[listeners.x]\naddress = \"127.0.0.1:0\"\nhealth_path = {}\n{}", path,
                       kSound);
  };
  const auto config = parse(with("\"/up\""), "f");
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->listeners[0].health_path, "/up");
  EXPECT_EQ(config->listeners[1].health_path, "");
  EXPECT_TRUE(error_of(with("\"up\"")).contains("listeners.x.health_path"));
  EXPECT_TRUE(error_of(with("\"/up?x\"")).contains("listeners.x.health_path"));
}

}  // namespace
}  // namespace sluice::conf
