#include "proxy/h2/versions.h"

#include <nghttp2/nghttp2.h>

namespace sluice::h2 {

std::string library_version() {
  return std::string("nghttp2 ") + nghttp2_version(0)->version_str;
}

}  // namespace sluice::h2
