// The keys of one listener.
#pragma once

#include "conf/config.h"
#include "conf/section.h"

namespace sluice::conf {

// Its times and sizes must hold the file's own before it is read.
Section<Listener> listener_section();

}  // namespace sluice::conf
