// RateGuard: whether a peer moves enough bytes while it is its turn. Time in which we make it wait
// doesn't count, and neither does the first while.
#pragma once

#include <cstdint>

#include "proxy/base/clock.h"

namespace sluice::proxy {

class RateGuard {
 public:
  // A peer may take this long before its rate counts.
  static constexpr Duration kGrace = std::chrono::seconds(10);

  // It is the peer's turn from now on, until stop(). Both idempotent.
  void start(TimePoint now) {
    if (since_ == kNever) since_ = now;
  }
  void stop(TimePoint now) {
    if (since_ == kNever) return;
    spent_ += now - since_;
    since_ = kNever;
  }
  // When the peer will have been too slow if it moves no more than `bytes`; kNever while it isn't
  // its turn, and without a rate (bytes a second; 0: none).
  TimePoint too_slow_at(std::uint64_t bytes, std::uint64_t rate) const {
    if (since_ == kNever || rate == 0) return kNever;
    // In two steps, since bytes in nanoseconds would overflow.
    const Duration earned =
        std::chrono::seconds(bytes / rate) + Duration(bytes % rate * 1'000'000'000 / rate);
    return since_ + (kGrace + earned - spent_);
  }

 private:
  TimePoint since_ = kNever;  // the peer's turn began
  Duration spent_{};          // of earlier turns
};

}  // namespace sluice::proxy
