#include "routing/route_table.h"

#include <algorithm>

namespace sluice::routing {
namespace {

bool prefix_matches(std::string_view prefix, std::string_view path) {
  if (!path.starts_with(prefix)) return prefix == "/" && path == "*";
  return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

}  // namespace

RouteTable::RouteTable(const std::vector<conf::Route>& routes) {
  for (RouteIndex index = 0; index < routes.size(); ++index) {
    const conf::Route& route = routes[index];
    if (route.hosts.empty()) any_host_.push_back({route.path_prefix, index});
    for (std::string_view host : route.hosts) {
      const bool wildcard = host.starts_with("*.");
      if (wildcard) {
        host.remove_prefix(1);
        wildcard_bytes_max_ = std::max(wildcard_bytes_max_, host.size());
      }
      (wildcard ? wildcard_ : exact_)[std::string(host)].push_back({route.path_prefix, index});
    }
  }
  // Of two equal prefixes the route that stands first in the file wins.
  const auto longest_first = [](PrefixList& prefixes) {
    std::ranges::sort(prefixes, [](const Prefix& a, const Prefix& b) {
      return a.path.size() != b.path.size() ? a.path.size() > b.path.size() : a.route < b.route;
    });
  };
  longest_first(any_host_);
  for (auto& [host, prefixes] : exact_) longest_first(prefixes);
  for (auto& [host, prefixes] : wildcard_) longest_first(prefixes);
}

std::optional<RouteTable::RouteIndex> RouteTable::longest_match(const PrefixList& prefixes,
                                                                std::string_view path) {
  for (const Prefix& prefix : prefixes) {
    if (prefix_matches(prefix.path, path)) return prefix.route;
  }
  return {};
}

template <typename Look>
void RouteTable::for_each_list(std::string_view host, Look&& look) const {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (const auto found = exact_.find(host); found != exact_.end()) {
    if (look(found->second, HostKind::exact, found->first)) return;
  }
  // Suffixes that begin with a dot, longest first; none that leaves nothing for the star, and
  // none longer than any that is known, so that a host of a thousand dots costs nothing.
  std::size_t dot = host.size() > wildcard_bytes_max_ ? host.size() - wildcard_bytes_max_ : 1;
  while (!wildcard_.empty() && (dot = host.find('.', dot)) != std::string_view::npos) {
    if (const auto found = wildcard_.find(host.substr(dot)); found != wildcard_.end()) {
      if (look(found->second, HostKind::wildcard, found->first)) return;
    }
    ++dot;
  }
  static const std::string kAny;
  look(any_host_, HostKind::any, kAny);
}

std::optional<RouteTable::RouteIndex> RouteTable::match(std::string_view host,
                                                        std::string_view path) const {
  std::optional<RouteIndex> route;
  for_each_list(host, [&](const PrefixList& prefixes, HostKind, const std::string&) {
    route = longest_match(prefixes, path);
    return route.has_value();
  });
  return route;
}

std::vector<RouteTable::Candidate> RouteTable::explain(std::string_view host,
                                                       std::string_view path) const {
  std::vector<Candidate> candidates;
  for_each_list(host, [&](const PrefixList& prefixes, HostKind kind, const std::string& name) {
    for (const Prefix& prefix : prefixes) {
      candidates.push_back({prefix.route, (kind == HostKind::wildcard ? "*" : "") + name,
                            prefix.path, prefix_matches(prefix.path, path)});
    }
    return false;
  });
  return candidates;
}

}  // namespace sluice::routing
