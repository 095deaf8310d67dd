#include "admin/parts.h"

#include <algorithm>

#include "proxy/base/rfc3339.h"

namespace sluice::admin {

void write_split(JsonWriter& json, const routing::Split& split) {
  json.begin_object(JsonWriter::Layout::one_line);
  for (const conf::WeightedBackend& share : split) json.key(share.backend).value(share.weight);
  json.end_object();
}

namespace {

std::string_view active_word(bool draining) {
  return draining ? "draining" : "active";
}

void write_whole_setting(JsonWriter& json, const routing::RouteSetting& setting) {
  json.begin_object(JsonWriter::Layout::one_line);
  write_split(json.key("weights"), setting.split);
  write_setting(json, setting);
  json.end_object();
}

void write_membership(JsonWriter& json, const routing::Membership& membership) {
  json.begin_object(JsonWriter::Layout::one_line);
  if (membership.added) json.key("added").value(membership.added->to_string());
  if (membership.removed) json.key("removed").value(true);
  if (membership.weight) json.key("weight").value(*membership.weight);
  json.end_object();
}

}  // namespace

void write_states(JsonWriter& json, const routing::Split& split) {
  const bool all_active = std::ranges::all_of(split, [](const conf::WeightedBackend& share) {
    return share.state == conf::ShareState::active;
  });
  if (all_active) return;
  json.key("states").begin_object(JsonWriter::Layout::one_line);
  for (const conf::WeightedBackend& share : split) {
    json.key(share.backend).value(routing::to_string(share.state));
  }
  json.end_object();
}

void write_setting(JsonWriter& json, const routing::RouteSetting& setting) {
  write_states(json, setting.split);
  if (setting.maintenance) {
    json.key("maintenance").begin_object(JsonWriter::Layout::one_line);
    json.key("retry_after").value(setting.maintenance->retry_after.count());
    json.end_object();
  }
}

void write_lease(JsonWriter& json, routing::RevisionNumber number, const routing::Lease& lease) {
  json.begin_object(JsonWriter::Layout::one_line);
  json.key("revision").value(number);
  json.key("ttl").value(lease.ttl.count());
  json.key("deadline").value(to_rfc3339(lease.deadline));
  json.key("on_lapse").value(routing::to_string(lease.on_lapse));
  json.end_object();
}

void write_changes(JsonWriter& json, const routing::Revision& revision) {
  json.begin_array();
  for (const routing::RouteChange& change : revision.routes) {
    json.begin_object();
    json.key("route").value(change.route);
    write_whole_setting(json.key("before"), change.before);
    write_whole_setting(json.key("after"), change.after);
    json.end_object();
  }
  for (const routing::DrainChange& change : revision.drains) {
    json.begin_object(JsonWriter::Layout::one_line);
    json.key("server").value(change.server.to_string());
    json.key("before").value(active_word(change.before));
    json.key("after").value(active_word(change.after));
    json.end_object();
  }
  for (const routing::MembershipChange& change : revision.members) {
    json.begin_object(JsonWriter::Layout::one_line);
    json.key("server").value(change.server.to_string());
    write_membership(json.key("before"), change.before);
    write_membership(json.key("after"), change.after);
    json.end_object();
  }
  json.end_array();
}

void write_server(JsonWriter& json, const ServerView& server) {
  json.begin_object();
  json.key("name").value(server.key.server);
  json.key("address").value(server.address.to_string());
  json.key("status").value(status_word(server));
  json.key("since").value(to_rfc3339(server.since));
  json.key("weight").value(server.weight);
  json.key("takes_new_work").value(takes_new_work(server));
  json.key("draining").value(server.draining);
  json.key("safe_to_stop").value(server.safe_to_stop);
  json.key("running").value(server.running);
  json.key("requests").value(server.requests);
  json.key("failures").value(server.failures);
  if (server.last_error_at) {
    json.key("last_error").value(server.last_error);
    json.key("last_error_at").value(to_rfc3339(*server.last_error_at));
  }
  json.end_object();
}

bool is_in_force(const View& view, std::string_view route) {
  const routing::RouteState* state = view.state.route(route);
  if (state == nullptr || view.adoptions.empty()) return false;
  return std::ranges::all_of(view.adoptions, [&](const Adoption& adoption) {
    const auto found = adoption.weights.find(route);
    return found != adoption.weights.end() && found->second == state->setting.split;
  });
}

void write_in_force(JsonWriter& json, const View& view, std::string_view route) {
  const bool everywhere = is_in_force(view, route);
  json.begin_object();
  json.key("everywhere").value(everywhere);
  json.key("workers").value(view.process.workers);
  if (everywhere) {
    write_split(json.key("weights"), view.state.route(route)->setting.split);
  } else {
    json.key("by_worker").begin_array();
    for (const Adoption& adoption : view.adoptions) {
      json.begin_object();
      json.key("workers").begin_array(JsonWriter::Layout::one_line);
      for (const std::size_t worker : adoption.workers) json.value(worker);
      json.end_array();
      json.key("revision").value(adoption.revision);
      const auto found = adoption.weights.find(route);
      write_split(json.key("weights"),
                  found == adoption.weights.end() ? routing::Split{} : found->second);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
}

std::string_view status_word(const ServerView& server) {
  return server.probed ? to_string(server.status) : "unprobed";
}

bool takes_new_work(const ServerView& server) {
  return !server.draining && !server.weight.is_zero() &&
         (!server.probed || server.status == health::Status::up);
}

std::string split_text(const routing::Split& split) {
  std::string text;
  for (const conf::WeightedBackend& share : split) {
    if (!text.empty()) text += ' ';
    text += share.backend + '=' + share.weight.to_string();
  }
  return text;
}

Reply json_reply(JsonWriter& json) {
  Reply reply;
  reply.content_type = "application/json";
  reply.body = json.finish();
  return reply;
}

Reply text_reply(std::string text) {
  Reply reply;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = std::move(text);
  return reply;
}

}  // namespace sluice::admin
