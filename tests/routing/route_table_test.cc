#include "routing/route_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace sluice::routing {
namespace {

conf::Route route(std::string name, std::vector<std::string> hosts, std::string prefix) {
  return {std::move(name), std::move(hosts), std::move(prefix), {}};
}

const std::vector<conf::Route>& routes() {
  static const std::vector<conf::Route> kRoutes{
      route("any", {}, "/"),
      route("any-api", {}, "/api"),
      route("exact", {"www.example.com"}, "/"),
      route("exact-api", {"www.example.com"}, "/api"),
      route("exact-api-v1", {"www.example.com"}, "/api/v1"),
      route("wild", {"*.example.com"}, "/"),
      route("wild-long", {"*.eu.example.com"}, "/shop"),
      route("only-deep", {"deep.example.org"}, "/a/b/"),
      route("two-hosts", {"one.test", "*.two.test"}, "/"),
      route("late-twin", {"www.example.com"}, "/api"),
  };
  return kRoutes;
}

std::string match(std::string_view host, std::string_view path) {
  static const RouteTable kTable(routes());
  const auto index = kTable.match(host, path);
  return index ? routes()[*index].name : "none";
}

TEST(RouteTable, PrefersTheBetterHostThenTheLongerPrefix) {
  const struct {
    const char* host;
    const char* path;
    const char* expected;
  } cases[] = {
      {"www.example.com", "/", "exact"},
      {"www.example.com", "/x/api", "exact"},
      {"www.example.com", "/api", "exact-api"},
      {"www.example.com", "/api/", "exact-api"},
      {"www.example.com", "/api/v1/users", "exact-api-v1"},
      {"www.example.com", "/api/v10", "exact-api"},
      {"cdn.example.com", "/api", "wild"},
      {"a.b.example.com", "/", "wild"},
      {"de.eu.example.com", "/shop/1", "wild-long"},
      {"de.eu.example.com", "/", "wild"},
      {"eu.example.com", "/shop", "wild"},
      {"example.com", "/", "any"},
      {"notexample.com", "/api/x", "any-api"},
      {"one.test", "/", "two-hosts"},
      {"x.two.test", "/", "two-hosts"},
      {"two.test", "/", "any"},
      {"", "/", "any"},
  };
  for (const auto& c : cases) EXPECT_EQ(match(c.host, c.path), c.expected) << c.host << c.path;
}

TEST(RouteTable, PrefixesMatchWholeSegments) {
  EXPECT_EQ(match("h", "/api"), "any-api");
  EXPECT_EQ(match("h", "/api/x"), "any-api");
  EXPECT_EQ(match("h", "/apis"), "any");
  EXPECT_EQ(match("h", "/ap"), "any");
  EXPECT_EQ(match("deep.example.org", "/a/b/"), "only-deep");
  EXPECT_EQ(match("deep.example.org", "/a/b/c"), "only-deep");
}

TEST(RouteTable, FallsToTheNextWorseHostWherePathsDoNotMatch) {
  EXPECT_EQ(match("deep.example.org", "/a/b"), "any");
  EXPECT_EQ(match("deep.example.org", "/api"), "any-api");
}

TEST(RouteTable, AnAsteriskBelongsToTheRootPrefix) {
  EXPECT_EQ(match("www.example.com", "*"), "exact");
  EXPECT_EQ(match("deep.example.org", "*"), "any");
}

TEST(RouteTable, ATrailingDotOfTheHostDoesNotMatter) {
  EXPECT_EQ(match("www.example.com.", "/"), "exact");
  EXPECT_EQ(match("cdn.example.com.", "/"), "wild");
}

TEST(RouteTable, AStarStandsForAtLeastOneByte) {
  EXPECT_EQ(match(".example.com", "/"), "any");
  EXPECT_EQ(match(".", "/"), "any");
  EXPECT_EQ(match("..example.com", "/"), "wild");
}

TEST(RouteTable, OfTwoEqualRoutesTheFirstWins) {
  EXPECT_EQ(match("www.example.com", "/api/x"), "exact-api");
}

TEST(RouteTable, WithoutAnyRouteNothingMatches) {
  EXPECT_EQ(RouteTable().match("h", "/"), std::nullopt);
  const RouteTable only({route("r", {"a.test"}, "/x")});
  EXPECT_EQ(only.match("a.test", "/"), std::nullopt);
  EXPECT_EQ(only.match("b.test", "/x"), std::nullopt);
  EXPECT_EQ(only.match("a.test", "/x"), 0u);
}

TEST(RouteTable, HostsOfManyDotsFindTheLongestWildcardOnly) {
  std::string host;
  for (int i = 0; i < 1000; ++i) host += "a.";
  EXPECT_EQ(match(host + "eu.example.com", "/shop"), "wild-long");
  EXPECT_EQ(match(host, "/"), "any");
}

// One walk serves both, so that what is explained is what is done.
TEST(RouteTable, ExplainsWhatItMatches) {
  const std::vector<std::string> labels{"a", "b", "www", "*", "example"};
  const std::vector<std::string> segments{"/", "/a", "/a/b", "/ab", "/a/b/c", "/b/"};
  std::mt19937 random(4711);
  const auto one_of = [&](const std::vector<std::string>& from) {
    return from[random() % from.size()];
  };
  const auto random_host = [&](bool pattern) {
    std::string host = one_of(labels);
    while (host == "*" && !pattern) host = one_of(labels);
    for (unsigned i = random() % 3; i > 0; --i) {
      std::string label = one_of(labels);
      while (label == "*") label = one_of(labels);
      host += "." + label;
    }
    return host == "*" ? "a" : host;
  };
  int matched = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<conf::Route> made;
    for (unsigned i = 0; i < 1 + random() % 12; ++i) {
      std::vector<std::string> hosts;
      for (unsigned h = random() % 3; h > 0; --h) hosts.push_back(random_host(true));
      std::ranges::sort(hosts);
      hosts.erase(std::ranges::unique(hosts).begin(), hosts.end());
      made.push_back(route("r" + std::to_string(i), hosts, one_of(segments)));
    }
    const RouteTable table(made);
    for (int ask = 0; ask < 50; ++ask) {
      const std::string host = random_host(false);
      const std::string path = ask % 10 == 0 ? "*" : one_of(segments);
      const auto route = table.match(host, path);
      const auto candidates = table.explain(host, path);
      const auto first = std::ranges::find(candidates, true, &RouteTable::Candidate::fits);
      ASSERT_EQ(route.has_value(), first != candidates.end()) << host << path;
      if (route) {
        ASSERT_EQ(first->route, *route) << host << path;
        ++matched;
      }
      // Every route without hosts, and every one whose host fits, is weighed.
      for (std::size_t i = 0; i < made.size(); ++i) {
        const bool listed = std::ranges::count(candidates, i, &RouteTable::Candidate::route) > 0;
        const bool fits = made[i].hosts.empty() ||
                          std::ranges::any_of(made[i].hosts, [&](const std::string& pattern) {
                            return pattern == host ||
                                   (pattern.starts_with("*.") && host.size() >= pattern.size() &&
                                    host.ends_with(pattern.substr(1)));
                          });
        ASSERT_EQ(listed, fits) << host << " " << made[i].name;
      }
    }
  }
  EXPECT_GT(matched, 3000);
}

}  // namespace
}  // namespace sluice::routing
