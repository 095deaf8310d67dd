// From the bytes of a target to a route: what is normalised has nothing left to normalise, is never
// longer than it came, and is matched as the rules of routing/route_table.h read when each route is
// tried in turn. Input: a host, a line feed, a target.
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "proxy/base/check.h"
#include "proxy/http/path.h"
#include "routing/route_table.h"

namespace sluice {
namespace {

const std::vector<conf::Route>& routes() {
  static const std::vector<conf::Route> all = [] {
    const auto route = [](std::vector<std::string> hosts, std::string path_prefix) {
      conf::Route made;
      made.hosts = std::move(hosts);
      made.path_prefix = std::move(path_prefix);
      return made;
    };
    return std::vector{route({}, "/"),
                       route({}, "/secret"),
                       route({}, "/secret/more"),
                       route({"a.b"}, "/"),
                       route({"a.b", "*.c"}, "/x"),
                       route({"*.b"}, "/x/y"),
                       route({"*.a.b"}, "/secret"),
                       route({"only.host"}, "/a;b"),
                       route({"only.host"}, "/%20")};
  }();
  return all;
}

// How well a route serves a host: 0, not at all; exact hosts before wildcards, longer ones first.
std::size_t host_rank(const conf::Route& route, std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  std::size_t best = route.hosts.empty() ? 1 : 0;
  for (const std::string_view pattern : route.hosts) {
    const bool wildcard = pattern.starts_with("*.");
    const std::string_view suffix = wildcard ? pattern.substr(1) : pattern;
    if (!wildcard && host == pattern) best = 100'000;
    if (wildcard && host.size() > suffix.size() && host.ends_with(suffix)) {
      best = std::max(best, 1 + suffix.size());
    }
  }
  return best;
}

bool serves_path(const conf::Route& route, std::string_view path) {
  const std::string_view prefix = route.path_prefix;
  if (prefix == "/") return path.starts_with('/') || path == "*";
  return path == prefix || path.starts_with(std::string(prefix) + "/");
}

std::optional<std::size_t> match_by_trying(std::string_view host, std::string_view path) {
  std::optional<std::size_t> best;
  std::tuple<std::size_t, std::size_t> best_rank{0, 0};
  for (std::size_t index = 0; index < routes().size(); ++index) {
    const conf::Route& route = routes()[index];
    const std::tuple rank{host_rank(route, host), route.path_prefix.size()};
    if (std::get<0>(rank) == 0 || !serves_path(route, path) || rank <= best_rank) continue;
    best = index;
    best_rank = rank;
  }
  return best;
}

void check_normal_form(const std::string& target, http::Method method) {
  std::string again = target;
  SLUICE_CHECK(http::normalize_target(method, again) == nullptr && again == target);
  if (target == "*") return;
  const std::string path = target.substr(0, target.find('?')) + "/";
  SLUICE_CHECK(path.starts_with('/'));
  for (const std::string_view never : {"/./", "/../", "/.;", "/..;", "\\", "#", "%00", "%2F", "%2f",
                                       "%5C", "%5c", "%2E", "%2e", "%41"}) {
    SLUICE_CHECK(path.find(never) == std::string::npos);
  }
  SLUICE_CHECK(path.find("//") >= path.size() - 2);  // the slash added above
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  static const routing::RouteTable table(routes());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  const std::string_view host = text.substr(0, line_end);
  const std::string came(text.substr(std::min(line_end + 1, text.size())));
  for (const http::Method method : {http::Method::get, http::Method::options}) {
    std::string target = came;
    if (http::normalize_target(method, target) != nullptr) {
      SLUICE_CHECK(target == came);
      continue;
    }
    SLUICE_CHECK(target.size() <= came.size());
    check_normal_form(target, method);
    const std::string_view path = std::string_view(target).substr(0, target.find('?'));
    SLUICE_CHECK(table.match(host, path) == match_by_trying(host, path));
  }
  return 0;
}
