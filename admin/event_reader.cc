#include "admin/event_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "admin/json_writer.h"

namespace sluice::admin {

EventReader::EventReader(const EventLog& log, EventStart start, EventTypes types)
    : log_(log), start_(std::move(start)), types_(types), next_(start_.next), told_(next_) {
}

bool EventReader::take(std::string& text, std::size_t bytes_max) {
  const std::size_t full = text.size() + bytes_max;
  if (!std::exchange(begun_, true)) {
    const auto retry = std::chrono::duration_cast<std::chrono::milliseconds>(kRetryTime).count();
    fmt::format_to(std::back_inserter(text), "retry: {}\n\n", retry);
    if (start_.missed == EventStart::Missed::restart) write_missed(text, "restart");
    if (start_.missed == EventStart::Missed::too_old) write_missed(text, "too_old");
  }
  if (next_ < log_.begin()) {
    missed_ += log_.begin() - next_;
    next_ = log_.begin();
    write_missed(text, "too_slow");
  }
  for (; next_ < log_.end() && text.size() < full; ++next_) {
    const Event& event = log_.at(next_);
    if (!types_.has(event.type)) continue;
    fmt::format_to(std::back_inserter(text), "id: {}\nevent: {}\ndata: {}\n\n", log_.id_of(next_),
                   to_string(event.type), event.json);
    told_ = next_ + 1;
  }
  return next_ < log_.end();
}

void EventReader::beat(std::string& text) {
  text += ":\n\n";
  if (told_ == next_) return;
  told_ = next_;
  // An event without data is none, but its id counts.
  fmt::format_to(std::back_inserter(text), "id: {}\n\n", log_.id_of(next_ - 1));
}

// Its id is that of the event before those to come: whoever resumes by it misses nothing again.
void EventReader::write_missed(std::string& text, std::string_view because) {
  const std::string id = log_.id_of(next_ - 1);
  JsonWriter json(JsonWriter::Layout::one_line);
  json.begin_object();
  json.key("id").value(id);
  json.key("type").value("missed");
  json.key("because").value(because);
  if (!start_.since.empty()) json.key("since").value(start_.since);
  json.end_object();
  // finish() ends with a line feed, which ends the data's line.
  fmt::format_to(std::back_inserter(text), "id: {}\nevent: missed\ndata: {}\n", id, json.finish());
  told_ = next_;
}

}  // namespace sluice::admin
