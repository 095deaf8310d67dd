// EventStream: server-sent events out of a body's bytes, as the WHATWG's HTML standard has them
// (section 9.2.6). Pure; the bytes may be split anywhere.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace sluice::cli {

// A longer line, or more data in one event, is an error.
inline constexpr std::size_t kEventBytesMax = 1024 * 1024;

struct Event {
  std::string id;    // the last that was said, by this event or one before
  std::string type;  // "message" where the stream says none
  std::string data;  // several data lines with a line feed between them
};

class EventStream {
 public:
  // Returns false to have no more.
  using OnEvent = std::function<bool(const Event&)>;
  explicit EventStream(OnEvent on_event) : on_event_(std::move(on_event)) {}

  // False once `on_event` wanted no more, or something was too long: failed() tells.
  bool feed(std::string_view bytes);
  bool failed() const { return failed_; }
  // Of the last event that came whole.
  const std::string& last_id() const { return last_id_; }
  // A new body of the same source: what is left of the old one's last event is forgotten.
  void restart();

 private:
  bool on_line(std::string_view line);
  bool dispatch();

  OnEvent on_event_;
  std::string line_;
  std::string id_;       // of the event that is coming
  std::string last_id_;  // of the last that came whole
  std::string type_;
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;  // a line feed now belongs to the carriage return before it
  bool failed_ = false;
};

}  // namespace sluice::cli
