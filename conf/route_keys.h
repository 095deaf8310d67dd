// The keys of one route.
#pragma once

#include "conf/config.h"
#include "conf/section.h"

namespace sluice::conf {

// Its timeouts and limits must hold what the file says before it is read.
Section<Route> route_section();

}  // namespace sluice::conf
