// What can be wrong with a configuration although each of its values is right: elements that name
// each other, or get in each other's way.
#pragma once

#include "conf/config.h"
#include "conf/document.h"
#include "conf/reader.h"

namespace sluice::conf {

// `document`: what `config` was read from, to say where things stand. Values that were reported as
// wrong before stand in `config` at their default and are passed over.
void check_together(Reader& reader, const Entry& document, const Config& config);

}  // namespace sluice::conf
