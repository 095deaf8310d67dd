// EventLog: the last events of this process, each with an id by which a reader can go on where it
// was. A ring: what is older than its bounds is forgotten.
//
// An id is `PROCESS-SEQUENCE`: when the process started, in ms of Unix time, and the event's
// number in it. So ids grow over restarts too, and one from before a restart is known for what it
// is. Owned by control; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <expected>
#include <string>
#include <string_view>

#include "admin/event.h"
#include "proxy/base/clock.h"

namespace sluice::admin {

// Where a reader begins.
struct EventStart {
  // What the reader asked for and can't have.
  enum class Missed : std::uint8_t {
    nothing,
    restart,  // its last event was of another process
    too_old,  // what followed its last event is forgotten
  };
  std::uint64_t next = 1;  // sequence of the first event to read
  Missed missed = Missed::nothing;
  std::string since;  // as it was asked for
};

class EventLog {
 public:
  // What is kept at most; always the last event, however large.
  static constexpr std::size_t kEventsMax = 1024;
  static constexpr std::size_t kBytesMax = 4 * 1024 * 1024;
  // Of an id that anybody can have been given.
  static constexpr std::size_t kIdBytesMax = 41;

  // `node`: this machine's name, said in each event.
  EventLog(WallTime process_start, std::string node);

  const Event& add(const Happening& happening, WallTime now);

  // The oldest that is kept; end() when there is none.
  std::uint64_t begin() const { return next_ - events_.size(); }
  std::uint64_t end() const { return next_; }
  // Precondition: begin() <= sequence < end().
  const Event& at(std::uint64_t sequence) const;
  std::string id_of(std::uint64_t sequence) const;
  const std::string& node() const { return node_; }

  // Behind the event of this id. The error is a sentence: it is no id of ours.
  std::expected<EventStart, std::string> after(std::string_view id) const;
  EventStart oldest() const { return {.next = begin()}; }
  EventStart now() const { return {.next = end()}; }

  // How many there have been.
  std::uint64_t total(EventType type) const { return totals_[static_cast<std::size_t>(type)]; }

 private:
  std::uint64_t process_;
  std::string node_;
  std::uint64_t next_ = 1;
  std::deque<Event> events_;
  std::size_t bytes_ = 0;
  std::array<std::uint64_t, conf::kEventTypeCount> totals_{};
};

}  // namespace sluice::admin
