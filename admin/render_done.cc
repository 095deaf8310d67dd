// What became of a command that was carried out, or would be.
#include <fmt/format.h>

#include "admin/effect.h"
#include "admin/form.h"
#include "admin/json_writer.h"
#include "admin/parts.h"
#include "admin/problem.h"
#include "admin/render.h"
#include "proxy/base/check.h"
#include "proxy/base/rfc3339.h"

namespace sluice::admin {
namespace {

constexpr int kShareDigits = 6;
constexpr int kRateDigits = 1;

// "app: blue=90 green=10, maintenance"
std::string route_text(std::string_view route, const routing::RouteSetting& setting) {
  return fmt::format("{}: {}{}", route, split_text(setting.split),
                     setting.maintenance ? ", maintenance" : "");
}

void write_in_force_everywhere(JsonWriter& json, const View& view) {
  json.key("in_force").begin_object(JsonWriter::Layout::one_line);
  json.key("everywhere").value(true);
  json.key("workers").value(view.process.workers);
  json.end_object();
}

// A route as it is now, and as it was where it was changed.
void write_route(JsonWriter& json, std::string_view route, const routing::RouteSetting& now,
                 const routing::RouteSetting* before) {
  json.key("route").value(route);
  write_split(json.key("weights"), now.split);
  write_setting(json, now);
  if (before == nullptr) return;
  write_split(json.key("before"), before->split);
}

struct RouteOutcome {
  std::string_view route;
  const routing::RouteSetting* now = nullptr;
  const routing::RouteSetting* before = nullptr;  // null: unchanged
};

// `revision`: what the call made, or the one that these routes have.
Reply render_routes(const View& view, const Command& command,
                    const std::vector<RouteOutcome>& routes, routing::RevisionNumber number,
                    const routing::Revision* revision) {
  const auto& change = std::get<Change>(command.action);
  std::string text;
  for (const RouteOutcome& outcome : routes) {
    text += (text.empty() ? "" : "; ") + route_text(outcome.route, *outcome.now);
  }
  Reply reply;
  if (command.format == Format::text) {
    std::string line = fmt::format("{}, revision {}", text, number);
    if (revision == nullptr) line += ", unchanged";
    if (routes.size() == 1 && routes[0].before != nullptr) {
      line += ", was " + split_text(routes[0].before->split);
    }
    reply = text_reply(line + "\n");
  } else {
    JsonWriter json;
    json.begin_object();
    if (!change.several) json.key("route").value(routes[0].route);
    json.key("revision").value(number);
    json.key("changed").value(revision != nullptr);
    if (change.several) {
      json.key("routes").begin_array();
      for (const RouteOutcome& outcome : routes) {
        json.begin_object();
        write_route(json, outcome.route, *outcome.now, outcome.before);
        json.end_object();
      }
      json.end_array();
    } else {
      const RouteOutcome& only = routes[0];
      write_split(json.key("weights"), only.now->split);
      write_setting(json, *only.now);
      if (only.before != nullptr) write_split(json.key("before"), only.before->split);
    }
    if (revision != nullptr && revision->kind == routing::RevisionKind::rollback) {
      json.key("of").value(revision->of);
    }
    if (revision != nullptr && revision->lease) {
      write_lease(json.key("lease"), number, *revision->lease);
    }
    write_in_force_everywhere(json, view);
    json.end_object();
    reply = json_reply(json);
  }
  if (change.several) {
    reply.fields.emplace_back("Location", fmt::format("/v1/revisions/{}", number));
  } else {
    reply.fields.emplace_back("ETag", etag(number));
  }
  reply.note = revision != nullptr ? text : text + " (unchanged)";
  return reply;
}

// A call about a server or a lease.
Reply render_plain(const View& view, const Command& command, const routing::Revision& revision,
                   bool changed) {
  std::string text(routing::to_string(revision.kind));
  for (const routing::MembershipChange& change : revision.members) {
    text += ' ' + change.server.to_string();
  }
  if (revision.of != 0) text += fmt::format(" of revision {}", revision.of);
  Reply reply;
  if (command.format == Format::text) {
    reply = text_reply(
        fmt::format("{}, revision {}{}\n", text, revision.number, changed ? "" : ", unchanged"));
  } else {
    JsonWriter json;
    json.begin_object();
    json.key("revision").value(revision.number);
    json.key("changed").value(changed);
    json.key("kind").value(routing::to_string(revision.kind));
    if (revision.of != 0) json.key("of").value(revision.of);
    if (revision.lease) write_lease(json.key("lease"), revision.of, *revision.lease);
    write_changes(json.key("changes"), revision);
    write_in_force_everywhere(json, view);
    json.end_object();
    reply = json_reply(json);
  }
  if (const auto* add = std::get_if<AddServer>(&command.action); add != nullptr && changed) {
    reply.status = 201;
    reply.fields.emplace_back("Location", fmt::format("/v1/servers/{}/{}", add->server.backend,
                                                      revision.members.front().server.server));
  }
  reply.note = changed ? text : text + " (unchanged)";
  return reply;
}

}  // namespace

Reply render_done(const View& view, const Command& command, const routing::Revision& revision,
                  bool replayed) {
  const bool changed = !only_remembers(revision);
  Reply reply;
  if (std::holds_alternative<Drain>(command.action)) {
    reply = render_drain(view, command, changed);
  } else if (std::holds_alternative<Change>(command.action)) {
    std::vector<RouteOutcome> routes;
    for (const routing::RouteChange& change : revision.routes) {
      routes.push_back({change.route, &change.after, changed ? &change.before : nullptr});
    }
    SLUICE_CHECK(!routes.empty());
    reply = changed ? render_routes(view, command, routes, revision.number, &revision)
                    : render_routes(view, command, routes, revision.of, nullptr);
  } else if (changed) {
    reply = render_plain(view, command, revision, true);
  } else {
    routing::Revision nothing;
    nothing.number = revision.of;
    nothing.kind = revision.kind;
    reply = render_plain(view, command, nothing, false);
  }
  if (replayed) {
    reply.fields.emplace_back("Idempotent-Replayed", "true");
    reply.note += " (by an earlier call of the same key)";
  }
  return reply;
}

Reply render_made_before(const Command& command, routing::RevisionNumber number) {
  const std::string detail = fmt::format(
      "This call was made before and is revision {}, which the history no longer has", number);
  Reply reply;
  if (command.format == Format::text) {
    reply = text_reply(detail + "\n");
  } else {
    JsonWriter json;
    json.begin_object();
    json.key("revision").value(number);
    json.key("detail").value(detail + ".");
    json.end_object();
    reply = json_reply(json);
  }
  reply.fields.emplace_back("Idempotent-Replayed", "true");
  reply.note = "made by an earlier call of the same key";
  return reply;
}

Reply render_noop(const View& view, const Command& command) {
  if (std::holds_alternative<Drain>(command.action)) return render_drain(view, command, false);
  const auto* change = std::get_if<Change>(&command.action);
  if (change == nullptr) {
    routing::Revision nothing;
    nothing.number = view.state.revision();
    nothing.kind = std::holds_alternative<WeighServer>(command.action)
                       ? routing::RevisionKind::weigh_server
                       : routing::RevisionKind::remove_server;
    return render_plain(view, command, nothing, false);
  }
  std::vector<RouteOutcome> routes;
  routing::RevisionNumber number = 0;
  for (const routing::RouteWish& wish : change->transaction.routes) {
    const routing::RouteState* route = view.state.route(wish.route);
    if (route == nullptr) {
      return problem(
          404, "unknown_route",
          fmt::format("Route {} left the configuration while the call was waiting.", wish.route));
    }
    routes.push_back({wish.route, &route->setting, nullptr});
    number = std::max(number, route->revision);
  }
  return render_routes(view, command, routes, number, nullptr);
}

Reply render_dry_run(const View& view, const Command& command, const routing::Revision& revision) {
  const Effect effect = effect_of(view, revision);
  if (command.format == Format::text) {
    std::string text = "dry run: nothing was changed\n";
    for (const routing::RouteChange& change : revision.routes) {
      text += fmt::format("{}, was {}\n", route_text(change.route, change.after),
                          split_text(change.before.split));
    }
    for (const std::string& warning : effect.warnings) text += "warning: " + warning + "\n";
    return text_reply(text);
  }
  JsonWriter json;
  json.begin_object();
  json.key("dry_run").value(true);
  json.key("changed").value(!view.state.changes_nothing(revision));
  json.key("kind").value(routing::to_string(revision.kind));
  if (revision.of != 0) json.key("of").value(revision.of);
  write_changes(json.key("changes"), revision);
  json.key("effect").begin_object();
  json.key("routes").begin_array();
  for (const Effect::Route& route : effect.routes) {
    json.begin_object(JsonWriter::Layout::one_line);
    json.key("route").value(route.route);
    json.key("moved_share").value(route.moved_share, kShareDigits);
    json.end_object();
  }
  json.end_array();
  json.key("backends").begin_array();
  for (const Effect::Backend& backend : effect.backends) {
    json.begin_object(JsonWriter::Layout::one_line);
    json.key("backend").value(backend.backend);
    json.key("servers").value(backend.servers);
    json.key("servers_up").value(backend.servers_up);
    json.key("running").value(backend.running);
    json.key("requests_per_second_now").value(backend.requests_per_second_now, kRateDigits);
    json.key("requests_per_second_then").value(backend.requests_per_second_then, kRateDigits);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.key("warnings").begin_array();
  for (const std::string& warning : effect.warnings) json.value(warning);
  json.end_array();
  json.end_object();
  Reply reply = json_reply(json);
  reply.note = "dry run";
  return reply;
}

Reply render_reload(const Command& command, const std::vector<std::string>& errors,
                    const std::vector<std::string>& conflicts, routing::RevisionNumber revision) {
  const auto write_list = [](JsonWriter& json, const std::vector<std::string>& sentences) {
    json.begin_array();
    for (const std::string& sentence : sentences) json.value(sentence);
    json.end_array();
  };
  if (!errors.empty()) {
    return problem(422, "reload_refused",
                   "The file was not taken over, and everything goes on as before: " +
                       errors.front() + (errors.size() > 1 ? " (and more, see errors)" : ""),
                   [&](JsonWriter& json) { write_list(json.key("errors"), errors); });
  }
  Reply reply;
  if (command.format == Format::text) {
    std::string text = fmt::format("reloaded, revision {}\n", revision);
    for (const std::string& conflict : conflicts) text += "conflict: " + conflict + "\n";
    reply = text_reply(text);
  } else {
    JsonWriter json;
    json.begin_object();
    json.key("reloaded").value(true);
    json.key("revision").value(revision);
    write_list(json.key("conflicts"), conflicts);
    json.end_object();
    reply = json_reply(json);
  }
  reply.note = fmt::format("reloaded, revision {}, {} conflicts", revision, conflicts.size());
  return reply;
}

Reply render_not_healthy(const routing::PlanError& error, Duration waited) {
  return problem(504, "not_healthy",
                 fmt::format("After {} s nothing was changed: {}.",
                             std::chrono::duration<double>(waited).count(), error.message));
}

}  // namespace sluice::admin
