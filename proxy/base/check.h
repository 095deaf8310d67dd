// CHECK: a broken invariant ends the process with the place and the condition. Never for input:
// input that is wrong gets an error value.
#pragma once

namespace sluice::base {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define SLUICE_CHECK(condition)           \
  (static_cast<bool>(condition) ? void(0) \
                                : ::sluice::base::check_failed(#condition, __FILE__, __LINE__))
