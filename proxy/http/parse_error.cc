#include "proxy/http/parse_error.h"

#include <algorithm>

namespace sluice::http {

HeadLimits HeadLimits::clamped() const {
  return {.request_line_bytes = std::min(request_line_bytes, kBytesMax),
          .field_line_bytes = std::min(field_line_bytes, kBytesMax),
          .head_bytes = std::min(head_bytes, kBytesMax),
          .field_count = field_count};
}

}  // namespace sluice::http
