// IMF-fixdate, the form of Date (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/clock.h"

namespace sluice::http {

std::string http_date(WallTime time);

// One per worker: formats once a second however often it is asked.
class DateCache {
 public:
  // Good until the next call.
  std::string_view text(WallTime now);

 private:
  std::int64_t second_ = -1;
  std::string text_;
};

}  // namespace sluice::http
