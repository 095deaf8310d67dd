// Alerts: what happens, in the words of Alertmanager's API v2 (POST /api/v2/alerts). Pure.
//
// Alertmanager forgets an alert that nobody repeats. So an AlertBook keeps those that fire, and
// they are told again until they are resolved; each time with an end a little later than the next
// telling, so that none outlives a Sluice that is gone for long.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "admin/event.h"
#include "proxy/base/clock.h"

namespace sluice::admin {

// How often alerts that fire are told again, and how long each telling holds.
inline constexpr Duration kAlertRepeatTime = std::chrono::minutes(1);
inline constexpr Duration kAlertHoldTime = std::chrono::minutes(4);
// How long a note is shown.
inline constexpr Duration kAlertNoteTime = std::chrono::minutes(5);

struct TimedAlert {
  Alert alert;
  WallTime since;
};

// A JSON array for `POST /api/v2/alerts`. `node`: a label that tells this machine from others.
std::string render_alerts(std::span<const TimedAlert> alerts, std::string_view node, WallTime now);

// The alerts that fire. Bounded by what can: servers, and a few of our own.
class AlertBook {
 public:
  // More are told once, and not repeated.
  static constexpr std::size_t kAlertsMax = 4096;

  // Takes the event's alert in. As it is to be told: `since` is of the first of a firing alert, and
  // of a resolved one too. nullopt: it says that something is over which never fired.
  std::optional<TimedAlert> note(const Event& event);
  std::vector<TimedAlert> firing() const;
  bool empty() const { return firing_.empty(); }

 private:
  std::map<std::string, TimedAlert> firing_;  // by name and labels
};

}  // namespace sluice::admin
