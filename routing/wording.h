// How routing's error sentences name things. Pure helpers; what they are given may come from
// anyone, what they return is printable and short.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "routing/revision.h"

namespace sluice::routing {

// How much of one name, and how many names, an error repeats.
inline constexpr std::size_t kQuotedBytesMax = 64;
inline constexpr std::size_t kListedNamesMax = 8;

// `"name"`, with anything but printable ASCII as `?`, cut at kQuotedBytesMax.
std::string in_quotes(std::string_view name);
// `"blue", "green" and 3 more`; `none` where there are none.
std::string listed(std::span<const std::string_view> names);
// `did you mean "green"?` where one is near, else `known are "blue", "green"`.
std::string suggestion(std::string_view name, std::span<const std::string_view> known);
// `blue=90, green=10`; `nothing` for an empty split.
std::string to_text(const Split& split);
std::vector<std::string_view> backend_names(const Split& split);

}  // namespace sluice::routing
