// The keys of times and sizes, and who has a say in each: the file for everything, a listener for
// what is decided before a request's route is known, a route for what comes after.
#pragma once

#include <cstdint>

#include "conf/config.h"
#include "conf/section.h"

namespace sluice::conf {

enum class Level : std::uint8_t { file, listener, route };

// Below the file, missing keys are as the target has them, and keys that the level has no say in
// are refused with a word on where they belong.
Section<Timeouts> timeouts_section(Level level);
Section<Limits> limits_section(Level level);

}  // namespace sluice::conf
