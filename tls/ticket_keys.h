// TicketKeys: the secrets that session tickets are sealed with.
//
// One for the process, shared by every ServerContext and used from every worker: a ticket that one
// worker gave is resumed by another, and by the context of a later configuration. Two keys live at
// a time: the current one seals, both open. After kRotation the current becomes the previous and
// the previous is erased, so a ticket is good for at least kRotation and its secret gone after
// twice that: recorded traffic of TLS 1.2 can't be opened later than that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "proxy/base/clock.h"

namespace sluice::tls {

class TicketKeys {
 public:
  static constexpr Duration kRotation = std::chrono::hours(12);
  // Bytes by which a sealed ticket is longer than what is in it: tag, nonce, key name.
  static constexpr std::size_t kOverhead = 16 + 12 + 16;

  // `now` is asked at every seal and open, on the calling thread.
  explicit TicketKeys(std::function<TimePoint()> now);
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // Rotates now, whatever the age: twice, and no ticket given so far will be resumed.
  void rotate();

  // All of these are thread-safe; the lock is held only while a pointer is copied (or, twice a
  // day, a key made). The two spans may
  // begin at the same byte, but not overlap otherwise. Answers how many bytes were written to
  // `out`; nothing where `out` is too short, the ticket was not sealed by a living key, or was
  // altered.
  std::optional<std::size_t> seal(std::span<const std::uint8_t> session,
                                  std::span<std::uint8_t> out);
  std::optional<std::size_t> open(std::span<const std::uint8_t> ticket,
                                  std::span<std::uint8_t> out);

 private:
  struct Key;
  struct Pair {
    std::shared_ptr<const Key> current;
    std::shared_ptr<const Key> previous;  // null until the first rotation
  };
  Pair keys();
  void rotate_locked(TimePoint now);

  std::function<TimePoint()> now_;
  std::mutex mutex_;
  Pair pair_;
  TimePoint rotated_;
};

}  // namespace sluice::tls
