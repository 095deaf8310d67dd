// Events: what happens to this node, for those who watch it by GET /events (event_log.h,
// event_reader.h) or are called by webhooks. Value types, and what makes them of facts.
//
// Control makes a Happening where something happens; EventLog::add() gives it its id and its text.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "health/tracker.h"
#include "proxy/base/clock.h"
#include "routing/revision.h"

namespace sluice::admin {

class JsonWriter;

using conf::EventType;
inline constexpr std::array<EventType, conf::kEventTypeCount> kEventTypes = {
    EventType::shift, EventType::health, EventType::reload,
    EventType::drain, EventType::lease,  EventType::alarm};
std::string_view to_string(EventType type);
std::optional<EventType> parse_event_type(std::string_view text);

// Which types somebody wants; none: nothing.
class EventTypes {
 public:
  static EventTypes all();
  static EventTypes of(std::span<const EventType> types);
  void add(EventType type) { bits_ |= bit(type); }
  bool has(EventType type) const { return (bits_ & bit(type)) != 0; }
  bool operator==(const EventTypes&) const = default;

 private:
  static std::uint32_t bit(EventType type) { return 1U << static_cast<unsigned>(type); }
  std::uint32_t bits_ = 0;
};

// What an event means to those who are paged: alerts of one name and the same labels are one.
struct Alert {
  enum class State : std::uint8_t {
    firing,    // until it is resolved
    resolved,  // was so, perhaps
    note,      // is over as soon as it is told
  };
  State state = State::note;
  std::string name;  // SluiceServerDown
  std::vector<std::pair<std::string, std::string>> labels;
  std::string severity;  // critical, warning, info
  std::string summary;   // a sentence
};

struct Happening {
  EventType type = EventType::shift;
  std::function<void(JsonWriter&)> write;  // the event's members
  Alert alert;
};

struct Event {
  std::uint64_t sequence = 0;  // of this process: 1, 2, …
  WallTime time;
  EventType type = EventType::shift;
  // The whole event on one line: {"id": …, "time": …, "node": …, "type": …, its own members}.
  std::string json;
  Alert alert;
};

// --- What happens ---------------------------------------------------------------------------

// Changes of more routes or servers in one revision are counted in its event, not listed.
inline constexpr std::size_t kChangesListedMax = 16;
inline constexpr std::size_t kErrorsListedMax = 16;

// A revision that is in force: `shift` if it changed routes or which servers there are, `drain`
// for each server that it drained or resumed, `lease` if it is about one.
std::vector<Happening> happenings_of(const routing::Revision& revision);

struct HealthChange {
  routing::ServerKey server;
  Address address;
  health::Status before = health::Status::unknown;
  health::Status after = health::Status::unknown;
  bool gone = false;     // it left the configuration; `after` says nothing
  bool drained = false;  // it is out of traffic anyway: that it is down wakes nobody
  std::string reason;
};
Happening happening_of(const HealthChange& change);

Happening reload_accepted(routing::RevisionNumber revision,
                          const std::vector<std::string>& conflicts);
Happening reload_refused(const std::vector<std::string>& errors);
Happening safe_to_stop(const routing::ServerKey& server, routing::RevisionNumber revision);
// `name`: one word, `ledger_write_failed`. `reason`: empty when it is over.
Happening alarm(std::string_view name, std::string_view reason);

}  // namespace sluice::admin
