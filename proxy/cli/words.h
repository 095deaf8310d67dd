// Words of a command line and of its output, one by one: durations, weights, URL pieces, and text
// that is safe to show. Pure.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/printable.h"
#include "proxy/base/clock.h"
#include "proxy/base/decimal.h"

namespace sluice::cli {

// `500ms`, `30s`, `5m`, `2h`, `7d`: a whole number and its unit. nullopt for anything else, and for
// more than 366 days.
std::optional<Duration> parse_duration(std::string_view text);

// Everything but unreserved characters (RFC 3986 section 2.3) as %XX.
std::string percent_encode(std::string_view text);

// A backend's word in a split: `blue=90`, `blue=sticky_only`.
struct Assignment {
  std::string name;
  std::string value;
};
// The error is a sentence.
std::expected<Assignment, std::string> parse_assignment(std::string_view word);

// One route of a shift and its words: `app:blue=90,green=10` (`app` and then `blue=90 green=10`).
struct RouteWords {
  std::string route;
  std::vector<Assignment> shares;
};
// From the words behind `sluice shift`: `app blue=90 green=10`, or one word for each route. The
// error is a sentence.
std::expected<std::vector<RouteWords>, std::string> parse_route_words(
    const std::vector<std::string>& words);

// `blue/web-1`, or `blue` and `web-1`. The server's name is empty where the whole backend is meant.
struct ServerWords {
  std::string backend;
  std::string server;
};
std::expected<ServerWords, std::string> parse_server_words(const std::vector<std::string>& words);

using admin::printable;

// CLI11 takes the word behind an option with an optional value for that value, whatever it is.
// `--wait` takes one only behind `=`, or where the next word is a duration: `--wait 30s` becomes
// `--wait=30s`, and `--wait` alone `--wait=usual`, since CLI11 takes no empty value.
inline constexpr std::string_view kWaitUsual = "usual";
std::vector<std::string> with_optional_values(const std::vector<std::string>& words);

}  // namespace sluice::cli
