#include "proxy/base/rfc3339.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace sluice {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::system_clock;

constexpr std::string_view kForm = "0000-00-00T00:00:00.000000000Z";

// Precondition: digits only.
std::int64_t number(std::string_view text, std::size_t from, std::size_t count) {
  std::int64_t value = 0;
  for (char c : text.substr(from, count)) value = value * 10 + (c - '0');
  return value;
}

bool has_the_form(std::string_view text) {
  if (text.size() != kForm.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return false;
  }
  return true;
}

}  // namespace

std::string to_rfc3339(WallTime time) {
  // By remainders, not differences: the second that WallTime's first instant falls into begins
  // before WallTime does.
  constexpr std::int64_t kPerSecond = 1'000'000'000;
  const std::int64_t count = time.time_since_epoch().count();
  const std::int64_t nanoseconds = (count % kPerSecond + kPerSecond) % kPerSecond;
  const std::chrono::sys_seconds second = floor<seconds>(time);
  const auto day = floor<days>(second);
  const std::chrono::year_month_day date(day);
  const std::int64_t of_day = (second - day).count();
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%09dZ",
                                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                                 static_cast<unsigned>(date.day()), static_cast<int>(of_day / 3600),
                                 static_cast<int>(of_day / 60 % 60), static_cast<int>(of_day % 60),
                                 static_cast<int>(nanoseconds));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  if (!has_the_form(text)) return {};
  const std::chrono::year_month_day date(
      std::chrono::year(static_cast<int>(number(text, 0, 4))),
      std::chrono::month(static_cast<unsigned>(number(text, 5, 2))),
      std::chrono::day(static_cast<unsigned>(number(text, 8, 2))));
  const std::int64_t hour = number(text, 11, 2);
  const std::int64_t minute = number(text, 14, 2);
  const std::int64_t second = number(text, 17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return {};

  const seconds whole =
      sys_days(date).time_since_epoch() + seconds(hour * 3600 + minute * 60 + second);
  // One second inside WallTime's ends, so that the nanoseconds can't carry it out.
  constexpr auto kEarliest = std::chrono::ceil<seconds>(WallTime::min().time_since_epoch());
  constexpr auto kLatest = floor<seconds>(WallTime::max().time_since_epoch()) - seconds(1);
  if (whole < kEarliest || whole > kLatest) return {};
  return WallTime(Duration(whole) + Duration(number(text, 20, 9)));
}

}  // namespace sluice
