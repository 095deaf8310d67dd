#include "tls/versions.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

namespace sluice::tls {

std::string library_version() {
  return fmt::format("{} (API {})", OpenSSL_version(OPENSSL_VERSION), BORINGSSL_API_VERSION);
}

}  // namespace sluice::tls
