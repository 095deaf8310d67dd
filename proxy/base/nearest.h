// The word someone probably meant: for error messages that name what is known.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace sluice {

// Words longer than this are not compared.
inline constexpr std::size_t kNearestBytesMax = 64;

// The first of `known` that is the fewest insertions, deletions, changes and swaps of neighbours
// away from `word`; nullopt where none is nearer than a third of the longer word (but one is
// always near enough).
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known);

}  // namespace sluice
