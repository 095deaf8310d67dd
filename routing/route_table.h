// RouteTable: (host, path) → the route that serves it. Immutable once built.
//
// Precedence: an exact host beats a wildcard, a longer wildcard a shorter one, any wildcard a
// route without hosts; among routes of equal host, the longest path prefix wins. A prefix matches
// whole segments: `/api` matches `/api` and `/api/x`, not `/apis`. If the better host has no
// matching path, the search goes on with the next worse host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conf/config.h"

namespace sluice::routing {

class RouteTable {
 public:
  // Index into the vector that build() was given.
  using RouteIndex = std::size_t;

  RouteTable() = default;
  explicit RouteTable(const std::vector<conf::Route>& routes);

  // `host`: lower case, without port; a trailing dot doesn't matter. `path`: without query,
  // beginning with '/', or "*", which only the prefix "/" matches.
  std::optional<RouteIndex> match(std::string_view host, std::string_view path) const;

  // What match() weighs for a request, in the order of precedence: every route whose host fits, by
  // that host. The first that fits altogether is the one that match() returns.
  struct Candidate {
    RouteIndex route = 0;
    std::string host;  // as the file has it, `app.example`, `*.example`; empty: any
    std::string path;  // its prefix
    bool fits = false;
  };
  std::vector<Candidate> explain(std::string_view host, std::string_view path) const;

 private:
  struct Prefix {
    std::string path;
    RouteIndex route;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using PrefixList = std::vector<Prefix>;  // longest first
  static std::optional<RouteIndex> longest_match(const PrefixList& prefixes, std::string_view path);
  // Calls `look(prefixes, kind, host)` for the lists of what fits the host, in the order of
  // precedence, until it returns true.
  enum class HostKind : std::uint8_t { exact, wildcard, any };
  template <typename Look>
  void for_each_list(std::string_view host, Look&& look) const;

  std::unordered_map<std::string, PrefixList, TextHash, std::equal_to<>> exact_;
  std::unordered_map<std::string, PrefixList, TextHash, std::equal_to<>> wildcard_;  // by ".suffix"
  std::size_t wildcard_bytes_max_ = 0;  // the longest ".suffix"
  PrefixList any_host_;
};

}  // namespace sluice::routing
