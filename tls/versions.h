// The library behind this room, for `sluice version`.
#pragma once

#include <string>

namespace sluice::tls {

// "BoringSSL (API 17)".
std::string library_version();

}  // namespace sluice::tls
