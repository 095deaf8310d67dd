// EventReader: one reader's way through the event log, as the text of a stream of server-sent
// events (WHATWG HTML §9.2). It keeps no text: what a slow reader has not taken yet stays in the
// log, and what is forgotten there before it is read is told as one event `missed`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "admin/event.h"
#include "admin/event_log.h"
#include "proxy/base/clock.h"

namespace sluice::admin {

class EventReader {
 public:
  // How long a client waits before it connects again (the stream's `retry`).
  static constexpr Duration kRetryTime = std::chrono::seconds(2);

  EventReader(const EventLog& log, EventStart start, EventTypes types);

  // Appends what there is, whole events, until that is all or `bytes_max` are passed. False: that
  // was all that there is now.
  bool take(std::string& text, std::size_t bytes_max);
  // Appends a sign of life: a comment, and where the reader is if events that it does not want
  // have brought it further.
  void beat(std::string& text);
  // Events that were forgotten before they could be read.
  std::uint64_t missed() const { return missed_; }

 private:
  void write_missed(std::string& text, std::string_view because);

  const EventLog& log_;
  EventStart start_;
  EventTypes types_;
  std::uint64_t next_;  // sequence
  std::uint64_t told_;  // the sequence behind the last id that the stream has said
  std::uint64_t missed_ = 0;
  bool begun_ = false;
};

}  // namespace sluice::admin
