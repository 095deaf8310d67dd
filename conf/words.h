// The words of error messages: what a file said, made fit to print, and the known word that was
// probably meant. Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace sluice::conf {

inline constexpr std::size_t kQuotedBytesMax = 80;

// In double quotes, printable ASCII only, cut with `…` behind kQuotedBytesMax bytes: a file can't
// write to the terminal that shows its errors.
std::string in_quotes(std::string_view text);

// The nearest known word (proxy/base/nearest.h), whatever the letter case; empty if none is near.
std::string nearest_word(std::string_view word, std::span<const std::string> known);

std::string lowered(std::string_view text);

}  // namespace sluice::conf
