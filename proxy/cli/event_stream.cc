#include "proxy/cli/event_stream.h"

#include <utility>

namespace sluice::cli {

bool EventStream::feed(std::string_view bytes) {
  if (failed_) return false;
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > kEventBytesMax) {
      failed_ = true;
      return false;
    }
    line_ += piece;
    if (end == std::string_view::npos) return true;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(line_, {});
    if (!on_line(line)) return false;
  }
  return true;
}

void EventStream::restart() {
  line_.clear();
  id_ = last_id_;
  type_.clear();
  data_.clear();
  has_data_ = false;
  after_cr_ = false;
}

bool EventStream::on_line(std::string_view line) {
  if (line.empty()) return dispatch();
  const std::size_t colon = line.find(':');
  if (colon == 0) return true;  // a comment
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "id" && value.find('\0') == std::string_view::npos) id_ = value;
  if (name == "event") type_ = value;
  if (name == "data") {
    if (data_.size() + value.size() + 1 > kEventBytesMax) {
      failed_ = true;
      return false;
    }
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  }
  return true;
}

bool EventStream::dispatch() {
  last_id_ = id_;
  Event event{.id = last_id_, .type = std::exchange(type_, {}), .data = std::exchange(data_, {})};
  if (!std::exchange(has_data_, false)) return true;
  if (event.type.empty()) event.type = "message";
  return on_event_(event);
}

}  // namespace sluice::cli
