#include "admin/event_log.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "admin/json_writer.h"
#include "proxy/base/check.h"
#include "proxy/base/rfc3339.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc{} || stop != end) return {};
  return number;
}

std::uint64_t in_milliseconds(WallTime time) {
  const auto count =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

}  // namespace

EventLog::EventLog(WallTime process_start, std::string node)
    : process_(in_milliseconds(process_start)), node_(std::move(node)) {
}

const Event& EventLog::add(const Happening& happening, WallTime now) {
  Event event{.sequence = next_, .time = now, .type = happening.type, .alert = happening.alert};
  JsonWriter json(JsonWriter::Layout::one_line);
  json.begin_object();
  json.key("id").value(id_of(next_));
  json.key("time").value(to_rfc3339(now));
  json.key("node").value(node_);
  json.key("type").value(to_string(happening.type));
  happening.write(json);
  json.end_object();
  event.json = json.finish();
  while (event.json.ends_with('\n')) event.json.pop_back();
  ++next_;
  ++totals_[static_cast<std::size_t>(event.type)];
  bytes_ += event.json.size();
  events_.push_back(std::move(event));
  while (events_.size() > 1 && (events_.size() > kEventsMax || bytes_ > kBytesMax)) {
    bytes_ -= events_.front().json.size();
    events_.pop_front();
  }
  return events_.back();
}

const Event& EventLog::at(std::uint64_t sequence) const {
  SLUICE_CHECK(sequence >= begin() && sequence < end());
  return events_[sequence - begin()];
}

std::string EventLog::id_of(std::uint64_t sequence) const {
  return fmt::format("{}-{}", process_, sequence);
}

std::expected<EventStart, std::string> EventLog::after(std::string_view id) const {
  const std::size_t dash = id.find('-');
  const auto process = whole_number(id.substr(0, dash));
  const auto sequence = dash == std::string_view::npos ? std::optional<std::uint64_t>()
                                                       : whole_number(id.substr(dash + 1));
  // 0 is where the sequence begins; behind the last there is nothing yet.
  const bool ours = process == process_;
  if (!process || !sequence || (ours && *sequence >= end())) {
    return std::unexpected(
        fmt::format("{} is not the id of an event: take the last one you have seen, like {}.",
                    routing::in_quotes(id), routing::in_quotes(id_of(end() - 1))));
  }
  EventStart start{.next = begin(), .since = std::string(id)};
  if (!ours) {
    start.missed = EventStart::Missed::restart;
  } else if (*sequence + 1 < begin()) {
    start.missed = EventStart::Missed::too_old;
  } else {
    start.next = *sequence + 1;
  }
  return start;
}

}  // namespace sluice::admin
