// Timers of one loop: many armed, nearly all moved or cancelled before they fire.
//
// A Timer lives in the object that it serves and links itself into the wheel, so arming never
// allocates. Arming and cancelling are O(1); moving an armed timer later only stores the new
// deadline, and the wheel looks again when the old one comes up. A timer never fires early and at
// most one kTick late (plus however late advance() is called).
//
// One thread, no locks. The wheel outlives no timer and no timer the wheel: either may go first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/base/clock.h"
#include "proxy/base/intrusive_list.h"

namespace sluice::io {

struct TimerTag;

class Timer : private base::ListNode<TimerTag> {
 public:
  using Callback = void (*)(void* context);

  Timer(Callback callback, void* context) : callback_(callback), context_(context) {}
  // Timer idle_ = Timer::calling<&Connection::on_idle>(this);
  template <auto Method, typename Owner>
  static Timer calling(Owner* owner) {
    return Timer([](void* context) { (static_cast<Owner*>(context)->*Method)(); }, owner);
  }

  bool armed() const { return linked(); }
  // Of an armed timer.
  TimePoint deadline() const { return deadline_; }
  void cancel() { unlink(); }

 private:
  friend class TimerWheel;
  friend class base::IntrusiveList<Timer, TimerTag>;

  Callback callback_;
  void* context_;
  TimePoint deadline_{};
  std::uint64_t placed_tick_ = 0;  // of the slot it is linked in, at or before its deadline
};
static_assert(sizeof(Timer) <= 48);

class TimerWheel {
 public:
  // 2^22 ns, about 4.2 ms: a shift instead of a division.
  static constexpr int kTickBits = 22;
  static constexpr Duration kTick{std::int64_t{1} << kTickBits};

  explicit TimerWheel(TimePoint start) : start_(start) {}
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms, or moves an armed timer. A deadline in the past fires at the next advance(); kNever
  // cancels.
  void arm(Timer& timer, TimePoint deadline);

  // When advance() has something to do: at or after the first deadline's tick at the latest, and
  // sometimes earlier, to move far timers nearer. kNever when nothing is armed.
  TimePoint next_deadline();

  // Fires every timer whose deadline is at least a tick boundary ago, each disarmed before its
  // callback runs. Callbacks may arm, cancel and destroy any timer, their own included; what
  // they arm fires at the next advance() at the earliest, unless it was due anyway. `now` never
  // goes back. Not reentrant.
  void advance(TimePoint now);

 private:
  static constexpr int kSlotBits = 6;
  static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;
  static constexpr std::uint64_t kSlotMask = kSlots - 1;
  // Seven levels of 64 slots span every TimePoint there is.
  static constexpr std::size_t kLevels = 7;
  static_assert(kTickBits + kLevels * kSlotBits >= 63);

  using List = base::IntrusiveList<Timer, TimerTag>;
  struct Level {
    std::uint64_t maybe_occupied = 0;  // a clear bit is an empty slot; a set one may be empty too
    std::array<List, kSlots> slots;
  };
  struct Expiry {
    std::uint64_t tick;
    std::size_t level;
    std::size_t slot;
  };

  std::uint64_t tick_at_or_after(TimePoint time) const;
  void place(Timer& timer);
  // The first occupied slot in time, false when there is none.
  bool find_next(Expiry& expiry);

  TimePoint start_;
  std::uint64_t current_tick_ = 0;
  std::array<Level, kLevels> levels_;
};

}  // namespace sluice::io
