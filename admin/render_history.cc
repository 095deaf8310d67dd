// What GET answers of revisions: history, one revision, leases, conflicts.
#include <fmt/core.h>

#include <algorithm>

#include "admin/json_writer.h"
#include "admin/parts.h"
#include "admin/render.h"
#include "admin/table.h"
#include "proxy/base/rfc3339.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

void write_revision(JsonWriter& json, const routing::Revision& revision) {
  json.key("revision").value(revision.number);
  json.key("parent").value(revision.parent);
  json.key("kind").value(routing::to_string(revision.kind));
  json.key("time").value(to_rfc3339(revision.time));
  json.key("identity").value(revision.origin.identity);
  json.key("author").value(revision.origin.author);
  json.key("reason").value(revision.origin.reason);
  json.key("result").value(revision.result);
  if (revision.of != 0) json.key("of").value(revision.of);
  if (revision.lease) {
    write_lease(json.key("lease"), revision.of != 0 ? revision.of : revision.number,
                *revision.lease);
  }
  if (!revision.conflicts.empty()) {
    json.key("conflicts").begin_array();
    for (const std::string& conflict : revision.conflicts) json.value(conflict);
    json.end_array();
  }
  write_changes(json.key("changes"), revision);
}

// "app: blue=90, green=10 → blue=50, green=50"
std::string changes_text(const routing::Revision& revision) {
  std::string text;
  const auto add = [&text](std::string part) { text += (text.empty() ? "" : "; ") + part; };
  for (const routing::RouteChange& change : revision.routes) {
    add(fmt::format("{}: {} → {}{}", change.route, routing::to_text(change.before.split),
                    routing::to_text(change.after.split),
                    change.after.maintenance ? ", maintenance" : ""));
  }
  for (const routing::DrainChange& change : revision.drains) {
    add(fmt::format("{}: {}", change.server.to_string(), change.after ? "draining" : "active"));
  }
  for (const routing::MembershipChange& change : revision.members) {
    const routing::Membership& after = change.after;
    const std::string what = after.added     ? "added at " + after.added->to_string()
                             : after.removed ? std::string("removed")
                             : after.weight  ? "weight " + after.weight->to_string()
                                             : std::string("as the file has it");
    add(fmt::format("{}: {}", change.server.to_string(), what));
  }
  return text;
}

Table revisions_table() {
  return Table({"REVISION", "TIME", "KIND", "BY", "AUTHOR", "CHANGES", "REASON"});
}

void add_row(Table& table, const routing::Revision& revision) {
  table.add({std::to_string(revision.number), to_rfc3339(revision.time),
             std::string(routing::to_string(revision.kind)) +
                 (revision.of != 0 ? fmt::format(" of {}", revision.of) : "") +
                 (only_remembers(revision) ? ", unchanged" : ""),
             revision.origin.identity, revision.origin.author, changes_text(revision),
             revision.origin.reason});
}

}  // namespace

Reply render_history(const View& view, std::string_view route, routing::RevisionNumber before,
                     std::size_t limit, Format format) {
  // One more tells whether there is a next page.
  auto revisions = view.history.list(route, before, limit + 1);
  const bool more = revisions.size() > limit;
  if (more) revisions.pop_back();
  if (format == Format::text) {
    Table table = revisions_table();
    for (const routing::Revision* revision : revisions) add_row(table, *revision);
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("revisions").begin_array();
  for (const routing::Revision* revision : revisions) {
    json.begin_object();
    write_revision(json, *revision);
    json.end_object();
  }
  json.end_array();
  json.key("next");
  if (more) {
    json.value(fmt::format("/v1/history{}{}?before={}&limit={}", route.empty() ? "" : "/", route,
                           revisions.back()->number, limit));
  } else {
    json.null();
  }
  json.end_object();
  return json_reply(json);
}

Reply render_revision(const routing::Revision& revision, Format format) {
  if (format == Format::text) {
    Table table = revisions_table();
    add_row(table, revision);
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  write_revision(json, revision);
  json.end_object();
  return json_reply(json);
}

Reply render_leases(const View& view, Format format) {
  if (format == Format::text) {
    Table table({"REVISION", "ROUTES", "DEADLINE", "ON LAPSE"});
    for (const auto& [number, lease] : view.state.leases()) {
      std::string routes;
      for (const std::string& route : view.state.leased_routes(number)) {
        routes += (routes.empty() ? "" : ", ") + route;
      }
      table.add({std::to_string(number), routes, to_rfc3339(lease.lease.deadline),
                 std::string(routing::to_string(lease.lease.on_lapse))});
    }
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("leases").begin_array();
  for (const auto& [number, lease] : view.state.leases()) {
    json.begin_object();
    json.key("revision").value(number);
    json.key("routes").begin_array(JsonWriter::Layout::one_line);
    for (const std::string& route : view.state.leased_routes(number)) json.value(route);
    json.end_array();
    json.key("ttl").value(lease.lease.ttl.count());
    json.key("deadline").value(to_rfc3339(lease.lease.deadline));
    json.key("on_lapse").value(routing::to_string(lease.lease.on_lapse));
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json_reply(json);
}

Reply render_conflicts(const View& view, Format format) {
  const auto& all = view.history.revisions();
  const auto last = std::find_if(all.rbegin(), all.rend(), [](const routing::Revision& revision) {
    return revision.kind == routing::RevisionKind::reload && !revision.conflicts.empty();
  });
  if (format == Format::text) {
    Table table({"REVISION", "CONFLICT"});
    if (last != all.rend()) {
      for (const std::string& conflict : last->conflicts) {
        table.add({std::to_string(last->number), conflict});
      }
    }
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("revision");
  if (last == all.rend()) {
    json.null();
  } else {
    json.value(last->number);
  }
  json.key("conflicts").begin_array();
  if (last != all.rend()) {
    for (const std::string& conflict : last->conflicts) json.value(conflict);
  }
  json.end_array();
  json.end_object();
  return json_reply(json);
}

}  // namespace sluice::admin
