#include "proxy/cli/words.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace sluice::cli {
namespace {

constexpr Duration kDurationMax = std::chrono::hours(24 * 366);

struct Unit {
  std::string_view name;
  Duration length;
};
constexpr std::array<Unit, 5> kUnits = {{{"ms", std::chrono::milliseconds(1)},
                                         {"s", std::chrono::seconds(1)},
                                         {"m", std::chrono::minutes(1)},
                                         {"h", std::chrono::hours(1)},
                                         {"d", std::chrono::hours(24)}}};

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string in_quotes(std::string_view text) {
  return '"' + printable(text) + '"';
}

std::expected<std::vector<Assignment>, std::string> parse_shares(std::string_view list) {
  std::vector<Assignment> shares;
  while (true) {
    const std::size_t comma = list.find(',');
    auto share = parse_assignment(list.substr(0, comma));
    if (!share) return std::unexpected(std::move(share.error()));
    shares.push_back(std::move(*share));
    if (comma == std::string_view::npos) return shares;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || text.starts_with('-')) return {};
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const auto unit = std::ranges::find(kUnits, name, &Unit::name);
  if (unit == kUnits.end() || number > kDurationMax / unit->length) return {};
  return number * unit->length;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return encoded;
}

std::expected<Assignment, std::string> parse_assignment(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == word.size()) {
    return std::unexpected(fmt::format("{} is not BACKEND=VALUE, as in blue=90", in_quotes(word)));
  }
  return Assignment{.name = std::string(word.substr(0, equals)),
                    .value = std::string(word.substr(equals + 1))};
}

std::expected<std::vector<RouteWords>, std::string> parse_route_words(
    const std::vector<std::string>& words) {
  std::vector<RouteWords> routes;
  for (const std::string& word : words) {
    const std::size_t colon = word.find(':');
    const bool names_route = word.find('=') == std::string::npos ||
                             (colon != std::string::npos && colon < word.find('='));
    if (!names_route) {
      if (routes.empty()) {
        return std::unexpected(fmt::format(
            "{} stands before any route: sluice shift app blue=90 green=10", in_quotes(word)));
      }
      auto shares = parse_shares(word);
      if (!shares) return std::unexpected(std::move(shares.error()));
      for (Assignment& share : *shares) routes.back().shares.push_back(std::move(share));
      continue;
    }
    RouteWords& route = routes.emplace_back();
    route.route = word.substr(0, colon);
    if (colon == std::string::npos) continue;
    auto shares = parse_shares(std::string_view(word).substr(colon + 1));
    if (!shares) return std::unexpected(std::move(shares.error()));
    route.shares = std::move(*shares);
  }
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const RouteWords& route = routes[i];
    if (route.route.empty()) return std::unexpected("A route has no name in front of its colon");
    if (route.shares.empty()) {
      return std::unexpected(fmt::format("Route {} gets no weights: {}:blue=90,green=10",
                                         in_quotes(route.route), printable(route.route)));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (routes[j].route == route.route)
        return std::unexpected(fmt::format("Route {} is named twice", in_quotes(route.route)));
    }
  }
  return routes;
}

std::expected<ServerWords, std::string> parse_server_words(const std::vector<std::string>& words) {
  if (words.empty()) return std::unexpected("No server is named: BACKEND/SERVER, or BACKEND");
  if (words.size() > 2)
    return std::unexpected(fmt::format("{} is one word too many", in_quotes(words[2])));
  if (words.size() == 2 && words[0].contains('/')) {
    return std::unexpected(fmt::format(
        "{} is one server already: one call is about one server, or about all of a backend",
        in_quotes(words[0])));
  }
  ServerWords found;
  // Names of backends have no slash; addresses of servers may.
  const std::size_t slash = words.size() == 1 ? words[0].find('/') : std::string::npos;
  found.backend = words[0].substr(0, slash);
  if (words.size() == 2) found.server = words[1];
  if (slash != std::string::npos) found.server = words[0].substr(slash + 1);
  if (found.backend.empty() || (found.server.empty() && words[0] != found.backend) ||
      (words.size() == 2 && words[1].empty())) {
    return std::unexpected(
        fmt::format("{} is not BACKEND/SERVER, as in blue/web-1", in_quotes(words.back())));
  }
  return found;
}

std::vector<std::string> with_optional_values(const std::vector<std::string>& words) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") {
      result.insert(result.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      return result;
    }
    if (words[i] != "--wait") {
      result.push_back(words[i]);
      continue;
    }
    const bool has_value = i + 1 < words.size() && parse_duration(words[i + 1]);
    result.push_back(has_value ? "--wait=" + words[++i] : fmt::format("--wait={}", kWaitUsual));
  }
  return result;
}

}  // namespace sluice::cli
