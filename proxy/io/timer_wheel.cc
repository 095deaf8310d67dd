#include "proxy/io/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sluice::io {

// A timer whose tick differs from the current one first in the L-th group of six bits (counted
// from the most significant) lies in that level, in the slot that its own group names. So level 0
// holds the ticks of the current block of 64, level 1 the other blocks of the current 4,096, and
// so on; a slot of a higher level is dealt out anew when its first tick comes.

std::uint64_t TimerWheel::tick_at_or_after(TimePoint time) const {
  if (time <= start_) return 0;
  const auto since = static_cast<std::uint64_t>((time - start_).count());
  return (since + static_cast<std::uint64_t>(kTick.count()) - 1) >> kTickBits;
}

void TimerWheel::arm(Timer& timer, TimePoint deadline) {
  if (deadline == kNever) {
    timer.cancel();
    return;
  }
  timer.deadline_ = deadline;
  if (timer.linked()) {
    if (tick_at_or_after(deadline) >= timer.placed_tick_) return;
    timer.unlink();
  }
  place(timer);
}

void TimerWheel::place(Timer& timer) {
  const std::uint64_t tick = std::max(tick_at_or_after(timer.deadline_), current_tick_);
  const std::uint64_t differing = (tick ^ current_tick_) | 1;
  const auto highest_bit = static_cast<std::size_t>(std::bit_width(differing) - 1);
  const std::size_t level = highest_bit / kSlotBits;
  SLUICE_CHECK(level < kLevels);
  const std::size_t slot = (tick >> (level * kSlotBits)) & kSlotMask;
  timer.placed_tick_ = tick;
  levels_[level].maybe_occupied |= std::uint64_t{1} << slot;
  levels_[level].slots[slot].push_back(timer);
}

bool TimerWheel::find_next(Expiry& expiry) {
  for (std::size_t level = 0; level < kLevels; ++level) {
    Level& candidates = levels_[level];
    while (candidates.maybe_occupied != 0) {
      // Nothing lies behind the current tick, so the lowest slot is the first in time.
      const auto slot = static_cast<std::size_t>(std::countr_zero(candidates.maybe_occupied));
      if (candidates.slots[slot].empty()) {
        candidates.maybe_occupied &= candidates.maybe_occupied - 1;
        continue;
      }
      const std::size_t shift = level * kSlotBits;
      const std::uint64_t block = (current_tick_ >> shift >> kSlotBits) << kSlotBits;
      expiry = {.tick = (block | slot) << shift, .level = level, .slot = slot};
      return true;
    }
  }
  return false;
}

TimePoint TimerWheel::next_deadline() {
  Expiry expiry;
  if (!find_next(expiry)) return kNever;
  constexpr std::uint64_t kTicksMax =
      static_cast<std::uint64_t>(Duration::max().count()) >> kTickBits;
  if (expiry.tick >= kTicksMax) return kNever;
  const Duration since{static_cast<std::int64_t>(expiry.tick << kTickBits)};
  return since < kNever - start_ ? start_ + since : kNever;
}

void TimerWheel::advance(TimePoint now) {
  const std::uint64_t now_tick =
      now <= start_ ? 0 : static_cast<std::uint64_t>((now - start_).count()) >> kTickBits;
  SLUICE_CHECK(now_tick >= current_tick_);
  List due;
  Expiry expiry;
  while (find_next(expiry) && expiry.tick <= now_tick) {
    current_tick_ = expiry.tick;
    List& slot = levels_[expiry.level].slots[expiry.slot];
    levels_[expiry.level].maybe_occupied &= ~(std::uint64_t{1} << expiry.slot);
    due.splice_back(slot);
  }
  current_tick_ = now_tick;
  while (Timer* timer = due.pop_front()) {
    if (tick_at_or_after(timer->deadline_) > now_tick) {
      place(*timer);  // moved later, since it was placed or by a callback just now
    } else {
      timer->callback_(timer->context_);
    }
  }
}

}  // namespace sluice::io
