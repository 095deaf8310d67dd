// The library behind this room, for `sluice version`.
#pragma once

#include <string>

namespace sluice::h2 {

// "nghttp2 1.52.0".
std::string library_version();

}  // namespace sluice::h2
