#include "admin/alerts.h"

#include <fmt/format.h>

#include "admin/json_writer.h"
#include "proxy/base/rfc3339.h"

namespace sluice::admin {
namespace {

// What Alertmanager tells alerts apart by, but for the node.
std::string key_of(const Alert& alert) {
  std::string key = alert.name;
  for (const auto& [name, value] : alert.labels) key += fmt::format("\n{}={}", name, value);
  return key;
}

WallTime end_of(const TimedAlert& timed, WallTime now) {
  switch (timed.alert.state) {
    case Alert::State::firing:
      return now + kAlertHoldTime;
    case Alert::State::resolved:
      return now;
    case Alert::State::note:
      return timed.since + kAlertNoteTime;
  }
  return now;
}

void write_alert(JsonWriter& json, const TimedAlert& timed, std::string_view node, WallTime now) {
  json.begin_object();
  json.key("labels").begin_object();
  json.key("alertname").value(timed.alert.name);
  json.key("severity").value(timed.alert.severity);
  json.key("node").value(node);
  for (const auto& [name, value] : timed.alert.labels) json.key(name).value(value);
  json.end_object();
  json.key("annotations").begin_object();
  json.key("summary").value(timed.alert.summary);
  json.end_object();
  json.key("startsAt").value(to_rfc3339(timed.since));
  json.key("endsAt").value(to_rfc3339(end_of(timed, now)));
  json.end_object();
}

}  // namespace

std::string render_alerts(std::span<const TimedAlert> alerts, std::string_view node, WallTime now) {
  JsonWriter json(JsonWriter::Layout::one_line);
  json.begin_array();
  for (const TimedAlert& timed : alerts) write_alert(json, timed, node, now);
  json.end_array();
  return json.finish();
}

std::optional<TimedAlert> AlertBook::note(const Event& event) {
  TimedAlert timed{event.alert, event.time};
  if (event.alert.state == Alert::State::note) return timed;
  const auto known = firing_.find(key_of(event.alert));
  if (known != firing_.end()) timed.since = known->second.since;
  if (event.alert.state == Alert::State::firing) {
    if (known != firing_.end()) {
      known->second = timed;
    } else if (firing_.size() < kAlertsMax) {
      firing_.emplace(key_of(event.alert), timed);
    }
    return timed;
  }
  if (known == firing_.end()) return {};
  firing_.erase(known);
  return timed;
}

std::vector<TimedAlert> AlertBook::firing() const {
  std::vector<TimedAlert> all;
  for (const auto& [key, timed] : firing_) all.push_back(timed);
  return all;
}

}  // namespace sluice::admin
