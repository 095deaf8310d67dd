// What can be wrong with [admin] as a whole. Private to this room: see conf/checks.h.
#pragma once

#include "conf/config.h"
#include "conf/document.h"
#include "conf/reader.h"

namespace sluice::conf {

void check_admin(Reader& reader, const Entry& document, const Config& config);

}  // namespace sluice::conf
