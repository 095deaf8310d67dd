#include "proxy/base/decimal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice {
namespace {

constexpr std::uint64_t power_of_ten(int exponent) {
  std::uint64_t power = 1;
  while (exponent-- > 0) power *= 10;
  return power;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) {
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
  if (whole.empty() || whole.size() > 10 || !std::ranges::all_of(whole, is_digit)) return {};
  if (point != std::string_view::npos && fraction.empty()) return {};
  if (fraction.size() > kScaleMax || !std::ranges::all_of(fraction, is_digit)) return {};

  Decimal value;
  for (char c : whole) value.digits = value.digits * 10 + static_cast<std::uint64_t>(c - '0');
  if (value.digits > kIntegerMax) return {};
  for (char c : fraction) value.digits = value.digits * 10 + static_cast<std::uint64_t>(c - '0');
  value.scale = static_cast<int>(fraction.size());
  while (value.scale > 0 && value.digits % 10 == 0) {
    value.digits /= 10;
    --value.scale;
  }
  return value;
}

std::string Decimal::to_string() const {
  std::string text = std::to_string(digits);
  if (scale == 0) return text;
  const auto places = static_cast<std::size_t>(scale);
  if (text.size() <= places) text.insert(0, places + 1 - text.size(), '0');
  text.insert(text.size() - places, 1, '.');
  return text;
}

double Decimal::to_double() const {
  return static_cast<double>(digits) / static_cast<double>(power_of_ten(scale));
}

std::vector<std::uint64_t> to_common_units(std::span<const Decimal> values) {
  int scale = 0;
  for (const Decimal& value : values) scale = std::max(scale, value.scale);
  std::vector<std::uint64_t> units;
  units.reserve(values.size());
  std::uint64_t divisor = 0;
  for (const Decimal& value : values) {
    units.push_back(value.digits * power_of_ten(scale - value.scale));
    divisor = std::gcd(divisor, units.back());
  }
  if (divisor > 1) {
    for (std::uint64_t& unit : units) unit /= divisor;
  }
  return units;
}

}  // namespace sluice
