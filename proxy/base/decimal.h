// Exact non-negative decimals for weights: what a user typed is what is kept, compared and printed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// value = digits / 10^scale, normalised (no trailing zero behind the point), so == is equality of
// value.
struct Decimal {
  // Bounds that keep every sum of a split inside 64 bits: at most kScaleMax digits behind the
  // point and at most kIntegerMax before it.
  static constexpr int kScaleMax = 6;
  static constexpr std::uint64_t kIntegerMax = 1'000'000'000;

  std::uint64_t digits = 0;
  int scale = 0;

  // Takes `90`, `0.5`, `33.333`. nullopt for anything else: signs, exponents, spaces, `.5`, `5.`,
  // more than kScaleMax digits behind the point, more than kIntegerMax.
  static std::optional<Decimal> parse(std::string_view text);
  std::string to_string() const;
  bool is_zero() const { return digits == 0; }
  double to_double() const;
  bool operator==(const Decimal&) const = default;
};

// The same ratios as integers: all values times one power of ten, divided by their common divisor.
// All zero stays all zero.
std::vector<std::uint64_t> to_common_units(std::span<const Decimal> values);

}  // namespace sluice
