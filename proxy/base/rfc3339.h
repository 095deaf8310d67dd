// Wall-clock time as text (RFC 3339), in the one form that Sluice writes: UTC, nanoseconds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/clock.h"

namespace sluice {

// `2026-11-21T05:02:03.123456789Z`: always 30 characters.
std::string to_rfc3339(WallTime time);

// Takes exactly that form. nullopt for any other, for dates that don't exist, and for times that
// WallTime can't hold (it spans 1677-09-21 to 2262-04-11).
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace sluice
