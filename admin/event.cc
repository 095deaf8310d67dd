#include "admin/event.h"

#include <fmt/format.h>

#include <algorithm>

#include "admin/json_writer.h"
#include "admin/parts.h"

namespace sluice::admin {
namespace {

using routing::Revision;
using routing::RevisionKind;

// As many as may be listed, and how many there are besides.
void write_texts(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts,
                 std::size_t max) {
  json.key(name).begin_array();
  for (std::size_t i = 0; i < std::min(texts.size(), max); ++i) json.value(texts[i]);
  json.end_array();
  if (texts.size() > max) json.key(fmt::format("{}_left_off", name)).value(texts.size() - max);
}

void write_head(JsonWriter& json, const Revision& revision) {
  json.key("revision").value(revision.number);
  json.key("kind").value(routing::to_string(revision.kind));
  json.key("identity").value(revision.origin.identity);
  if (!revision.origin.author.empty()) json.key("author").value(revision.origin.author);
  if (!revision.origin.reason.empty()) json.key("reason").value(revision.origin.reason);
  if (revision.of != 0) json.key("of").value(revision.of);
}

// What a shift changed. Drains are events of their own.
void write_shift(JsonWriter& json, const Revision& revision) {
  Revision listed = revision;
  listed.drains.clear();
  listed.routes.resize(std::min(revision.routes.size(), kChangesListedMax));
  listed.members.resize(std::min(revision.members.size(), kChangesListedMax));
  write_changes(json.key("changes"), listed);
  const std::size_t left_off = revision.routes.size() - listed.routes.size() +
                               revision.members.size() - listed.members.size();
  if (left_off > 0) json.key("changes_left_off").value(left_off);
  if (revision.lease) {
    write_lease(json.key("lease"), revision.of != 0 ? revision.of : revision.number,
                *revision.lease);
  }
  if (!revision.conflicts.empty())
    write_texts(json, "conflicts", revision.conflicts, kErrorsListedMax);
}

// "uid:0 (ci): release 1.4"
std::string by_whom(const routing::Origin& origin) {
  std::string text = origin.identity;
  if (!origin.author.empty()) text += fmt::format(" ({})", origin.author);
  if (!origin.reason.empty()) text += fmt::format(": {}", origin.reason);
  return text;
}

std::string routes_of(const Revision& revision) {
  std::string text;
  for (std::size_t i = 0; i < revision.routes.size(); ++i) {
    if (i == kChangesListedMax) return text + ", …";
    text += (i > 0 ? ", " : "") + revision.routes[i].route;
  }
  return text.empty() ? "no route" : text;
}

Happening shift_of(const Revision& revision) {
  return {.type = EventType::shift,
          .write =
              [revision](JsonWriter& json) {
                write_head(json, revision);
                write_shift(json, revision);
              },
          .alert = {.name = "SluiceShift",
                    .labels = {{"revision", std::to_string(revision.number)},
                               {"kind", std::string(routing::to_string(revision.kind))}},
                    .severity = "info",
                    .summary = fmt::format("Revision {} ({}) of {} by {}.", revision.number,
                                           routing::to_string(revision.kind), routes_of(revision),
                                           by_whom(revision.origin))}};
}

Alert drain_alert(const routing::ServerKey& server, routing::RevisionNumber revision,
                  std::string_view phase, std::string_view what) {
  return {.name = "SluiceDrain",
          .labels = {{"backend", server.backend},
                     {"server", server.server},
                     {"phase", std::string(phase)},
                     {"revision", std::to_string(revision)}},
          .severity = "info",
          .summary = fmt::format("Server {} {}.", server.to_string(), what)};
}

void write_key(JsonWriter& json, const routing::ServerKey& server) {
  json.key("backend").value(server.backend);
  json.key("server").value(server.server);
}

Happening drain_of(const Revision& revision, const routing::DrainChange& change) {
  const char* const phase = change.after ? "begun" : "resumed";
  return {.type = EventType::drain,
          .write =
              [revision, server = change.server, phase](JsonWriter& json) {
                json.key("phase").value(phase);
                write_key(json, server);
                write_head(json, revision);
              },
          .alert = drain_alert(change.server, revision.number, phase,
                               change.after ? "is drained: it takes no new work"
                                            : "resumes: it takes new work once a probe passed")};
}

std::string_view lease_phase(RevisionKind kind) {
  switch (kind) {
    case RevisionKind::renew_lease:
      return "renewed";
    case RevisionKind::confirm_lease:
      return "confirmed";
    case RevisionKind::lapse_lease:
      return "lapsed";
    default:
      return "";
  }
}

Happening lease_of(const Revision& revision) {
  const std::string phase(lease_phase(revision.kind));
  const bool lapsed = revision.kind == RevisionKind::lapse_lease;
  return {.type = EventType::lease,
          .write =
              [revision, phase](JsonWriter& json) {
                json.key("phase").value(phase);
                write_head(json, revision);
                write_shift(json, revision);
              },
          .alert = {.name = "SluiceLease",
                    .labels = {{"revision", std::to_string(revision.of)}, {"phase", phase}},
                    .severity = lapsed ? "warning" : "info",
                    .summary =
                        fmt::format("The lease of revision {} {} ({}).", revision.of,
                                    lapsed ? "lapsed" : "was " + phase, by_whom(revision.origin))}};
}

}  // namespace

std::string_view to_string(EventType type) {
  switch (type) {
    case EventType::shift:
      return "shift";
    case EventType::health:
      return "health";
    case EventType::reload:
      return "reload";
    case EventType::drain:
      return "drain";
    case EventType::lease:
      return "lease";
    case EventType::alarm:
      return "alarm";
  }
  return "";
}

std::optional<EventType> parse_event_type(std::string_view text) {
  for (const EventType type : kEventTypes) {
    if (text == to_string(type)) return type;
  }
  return {};
}

EventTypes EventTypes::all() {
  return of(kEventTypes);
}

EventTypes EventTypes::of(std::span<const EventType> types) {
  EventTypes made;
  for (const EventType type : types) made.add(type);
  return made;
}

std::vector<Happening> happenings_of(const Revision& revision) {
  std::vector<Happening> made;
  if (only_remembers(revision)) return made;
  if (!revision.routes.empty() || !revision.members.empty()) made.push_back(shift_of(revision));
  for (const routing::DrainChange& change : revision.drains) {
    if (change.before != change.after) made.push_back(drain_of(revision, change));
  }
  if (!lease_phase(revision.kind).empty()) made.push_back(lease_of(revision));
  return made;
}

Happening happening_of(const HealthChange& change) {
  const bool down = !change.gone && change.after == health::Status::down;
  const std::string status = change.gone ? "gone" : std::string(health::to_string(change.after));
  return {
      .type = EventType::health,
      .write =
          [change, status](JsonWriter& json) {
            write_key(json, change.server);
            json.key("address").value(change.address.to_string());
            json.key("before").value(health::to_string(change.before));
            json.key("status").value(status);
            if (!change.reason.empty()) json.key("reason").value(change.reason);
          },
      .alert = {
          .state = down && !change.drained ? Alert::State::firing : Alert::State::resolved,
          .name = "SluiceServerDown",
          .labels = {{"backend", change.server.backend}, {"server", change.server.server}},
          .severity = "critical",
          .summary = down ? fmt::format("Server {} ({}) is down: {}.", change.server.to_string(),
                                        change.address.to_string(), change.reason)
                          : fmt::format("Server {} ({}) is {}.", change.server.to_string(),
                                        change.address.to_string(), status)}};
}

Happening reload_accepted(routing::RevisionNumber revision,
                          const std::vector<std::string>& conflicts) {
  return {.type = EventType::reload,
          .write =
              [revision, conflicts](JsonWriter& json) {
                json.key("result").value("accepted");
                json.key("revision").value(revision);
                if (!conflicts.empty()) write_texts(json, "conflicts", conflicts, kErrorsListedMax);
              },
          .alert = {.state = Alert::State::resolved,
                    .name = "SluiceReloadRefused",
                    .severity = "warning",
                    .summary = "The configuration file was taken over."}};
}

Happening reload_refused(const std::vector<std::string>& errors) {
  return {
      .type = EventType::reload,
      .write =
          [errors](JsonWriter& json) {
            json.key("result").value("refused");
            write_texts(json, "errors", errors, kErrorsListedMax);
          },
      .alert = {.state = Alert::State::firing,
                .name = "SluiceReloadRefused",
                .severity = "warning",
                .summary = fmt::format("The configuration file was refused, the old one stays: {}",
                                       errors.empty() ? "on the way out" : errors.front())}};
}

Happening safe_to_stop(const routing::ServerKey& server, routing::RevisionNumber revision) {
  return {.type = EventType::drain,
          .write =
              [server, revision](JsonWriter& json) {
                json.key("phase").value("safe_to_stop");
                write_key(json, server);
                json.key("revision").value(revision);
              },
          .alert = drain_alert(server, revision, "safe_to_stop", "is safe to stop")};
}

Happening alarm(std::string_view name, std::string_view reason) {
  const bool raised = !reason.empty();
  return {.type = EventType::alarm,
          .write =
              [name = std::string(name), reason = std::string(reason), raised](JsonWriter& json) {
                json.key("alarm").value(name);
                json.key("state").value(raised ? "raised" : "cleared");
                if (raised) json.key("reason").value(reason);
              },
          .alert = {.state = raised ? Alert::State::firing : Alert::State::resolved,
                    .name = "SluiceAlarm",
                    .labels = {{"alarm", std::string(name)}},
                    .severity = "critical",
                    .summary = raised ? fmt::format("{}: {}.", name, reason)
                                      : fmt::format("{} is over.", name)}};
}

}  // namespace sluice::admin
