// Time as the event loops see it: one reading per loop turn, handed down, so that tests can drive
// it.
#pragma once

#include <chrono>

namespace sluice {

using Duration = std::chrono::nanoseconds;
// Monotonic. For timers and durations; its epoch means nothing.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// UTC. For log lines, revisions and certificates.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

inline constexpr TimePoint kNever = TimePoint::max();

}  // namespace sluice
