// DeliveryQueue: what one webhook has still to tell, and when to try again. Pure: it is told the
// time, and jitter comes from a seed; control sends (proxy/control/webhooks.h).
//
// In order, one at a time: an event waits until the one before it has been taken, refused for good,
// or given up. What fails is tried again after a pause that doubles, from kRetryMin to `retry_max`,
// less up to a half by chance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "admin/event.h"
#include "proxy/base/clock.h"

namespace sluice::admin {

struct DeliverySettings {
  std::size_t queue_max = 256;
  Duration retry_max = std::chrono::seconds(60);
  Duration give_up_after = std::chrono::hours(1);
};

struct DeliveryCounts {
  std::uint64_t delivered = 0;
  std::uint64_t failed = 0;    // attempts that are repeated
  std::uint64_t refused = 0;   // events that the receiver will not have
  std::uint64_t given_up = 0;  // events that were tried for too long
  std::uint64_t dropped = 0;   // events that there was no room for
};

class DeliveryQueue {
 public:
  static constexpr Duration kRetryMin = std::chrono::seconds(1);

  DeliveryQueue(DeliverySettings settings, std::uint64_t seed);

  // A reload: what is queued stays, but for what there is no room for any more.
  void use(DeliverySettings settings);
  // When the queue is full the oldest that is not on its way is dropped.
  void push(Event event, TimePoint now);
  // When to send the first; kNever: nothing waits, or one is on its way.
  TimePoint due() const;
  // The first is on its way. Precondition: due() is not kNever.
  const Event& begin();

  enum class Outcome : std::uint8_t { delivered, refused, failed };
  // Of the one on its way. `wait`: what the receiver asked for before the next attempt.
  void finish(Outcome outcome, TimePoint now, std::optional<Duration> wait = {});

  bool on_its_way() const { return on_its_way_; }
  std::size_t size() const { return waiting_.size(); }
  const DeliveryCounts& counts() const { return counts_; }
  // Attempts at the first in a row that failed.
  unsigned failures() const { return failures_; }

 private:
  struct Item {
    Event event;
    TimePoint since;  // when it was pushed
  };
  void make_room(std::size_t room);
  Duration pause();

  DeliverySettings settings_;
  std::deque<Item> waiting_;
  DeliveryCounts counts_;
  TimePoint due_{};
  unsigned failures_ = 0;
  bool on_its_way_ = false;
  std::uint64_t random_;
};

// What a status says of the event that was told.
DeliveryQueue::Outcome outcome_of(int status);

}  // namespace sluice::admin
