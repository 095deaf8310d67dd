// What GET answers. What becomes of a command is in render_command.cc.
#include "admin/render.h"

#include <fmt/core.h>

#include <algorithm>

#include "admin/endpoints.h"
#include "admin/form.h"
#include "admin/json_writer.h"
#include "admin/parts.h"
#include "admin/table.h"
#include "proxy/base/check.h"
#include "proxy/base/rfc3339.h"

namespace sluice::admin {
namespace {

constexpr int kShareDigits = 4;
constexpr int kSecondsDigits = 1;

std::string window_name() {
  return fmt::format("last {} requests", routing::ObservedShare::kRequests);
}

void write_window(JsonWriter& json, std::string_view name, const ObservedRoute& observed,
                  const routing::ObservedWindow& window) {
  json.begin_object();
  json.key("window").value(name);
  json.key("requests").value(window.requests);
  json.key("seconds").value(std::chrono::duration<double>(window.span).count(), kSecondsDigits);
  json.key("share").begin_object(JsonWriter::Layout::one_line);
  for (std::size_t i = 0; i < window.counts.size() && i < observed.backends.size(); ++i)
    json.key(observed.backends[i]).value(window.share(i), kShareDigits);
  json.end_object();
  json.end_object();
}

void write_observed(JsonWriter& json, const View& view, std::string_view route) {
  json.begin_array();
  if (const auto found = view.observed.find(route); found != view.observed.end()) {
    write_window(json, window_name(), found->second, found->second.last_requests);
    write_window(json, "last minute", found->second, found->second.last_minute);
  }
  json.end_array();
}

// Of a sticky route: by what, and in how many fragments its keys are.
void write_sticky(JsonWriter& json, const View& view, std::string_view name,
                  const routing::RouteState& route) {
  const auto configured = std::ranges::find(view.config.routes, name, &conf::Route::name);
  if (configured == view.config.routes.end() || !configured->sticky) return;
  json.key("sticky").begin_object(JsonWriter::Layout::one_line);
  json.key("by").begin_array(JsonWriter::Layout::one_line);
  for (const auto& way : configured->sticky->by) json.value(conf::to_string(way));
  json.end_array();
  json.key("fragments").value(std::uint64_t{route.setting.partition.fragment_count()});
  json.end_object();
}

void write_route(JsonWriter& json, const View& view, std::string_view name,
                 const routing::RouteState& route) {
  json.key("revision").value(route.revision);
  write_split(json.key("weights"), route.setting.split);
  write_setting(json, route.setting);
  write_sticky(json, view, name, route);
  if (const auto number = view.state.lease_of(name); number != 0) {
    write_lease(json.key("lease"), number, view.state.leases().at(number).lease);
  }
  write_in_force(json.key("in_force"), view, name);
  write_observed(json.key("observed"), view, name);
}

// A backend's share of a window in per cent, "-" when the window saw nothing.
std::string percent(const View& view, std::string_view route, std::string_view backend,
                    routing::ObservedWindow ObservedRoute::*window) {
  const auto found = view.observed.find(route);
  if (found == view.observed.end() || (found->second.*window).requests == 0) return "-";
  const std::vector<std::string>& names = found->second.backends;
  for (std::size_t i = 0; i < names.size() && i < (found->second.*window).counts.size(); ++i) {
    if (names[i] == backend) return fmt::format("{:.2f}%", 100 * (found->second.*window).share(i));
  }
  return "-";
}

// "90", or what each group of workers has: "90,50".
std::string in_force_text(const View& view, std::string_view route, std::string_view backend) {
  std::string text;
  for (const Adoption& adoption : view.adoptions) {
    std::string weight = "-";
    if (const auto found = adoption.weights.find(route); found != adoption.weights.end()) {
      for (const conf::WeightedBackend& share : found->second) {
        if (share.backend == backend) weight = share.weight.to_string();
      }
    }
    if (text == weight) continue;
    if (!text.empty()) text += ',';
    text += weight;
  }
  return text;
}

void add_rows(Table& table, const View& view, const std::string& name,
              const routing::RouteState& route) {
  for (const conf::WeightedBackend& share : route.setting.split) {
    table.add({name, share.backend, share.weight.to_string(),
               in_force_text(view, name, share.backend),
               percent(view, name, share.backend, &ObservedRoute::last_requests),
               percent(view, name, share.backend, &ObservedRoute::last_minute),
               std::to_string(route.revision)});
  }
}

Table weights_table() {
  return Table({"ROUTE", "BACKEND", "WEIGHT", "IN FORCE",
                fmt::format("LAST {}", routing::ObservedShare::kRequests), "LAST MINUTE",
                "REVISION"});
}

Table servers_table() {
  return Table({"BACKEND", "SERVER", "ADDRESS", "WEIGHT", "STATUS", "SINCE", "RUNNING", "REQUESTS",
                "FAILURES", "DRAINING", "SAFE TO STOP", "LAST ERROR"});
}

void add_row(Table& table, const ServerView& server) {
  table.add({server.key.backend, server.key.server, server.address.to_string(),
             server.weight.to_string(), std::string(status_word(server)), to_rfc3339(server.since),
             std::to_string(server.running), std::to_string(server.requests),
             std::to_string(server.failures), server.draining ? "yes" : "no",
             server.safe_to_stop ? "yes" : "no", server.last_error});
}

void add_rows(Table& table, const View& view, std::string_view backend) {
  for (const ServerView& server : view.servers) {
    if (server.key.backend == backend) add_row(table, server);
  }
}

void write_servers(JsonWriter& json, const View& view, std::string_view backend) {
  json.key("servers").begin_array();
  for (const ServerView& server : view.servers) {
    if (server.key.backend == backend) write_server(json, server);
  }
  json.end_array();
}

}  // namespace

Reply render_index(const View& view, Format format) {
  if (format == Format::text) {
    Table table({"PATH", "METHODS", "WHAT", "EXAMPLE"});
    for (const Endpoint& endpoint : endpoints()) {
      table.add({std::string(endpoint.pattern), std::string(endpoint.allow),
                 std::string(endpoint.summary), "curl " + std::string(endpoint.example)});
    }
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("name").value("sluice");
  json.key("version").value(view.process.version);
  json.key("pid").value(view.process.pid);
  json.key("started").value(to_rfc3339(view.process.started));
  json.key("workers").value(view.process.workers);
  json.key("config").value(view.config.file);
  json.key("revision").value(view.state.revision());
  json.key("epoch").value(view.epoch);
  json.key("ready").value(view.ready.ok);
  json.key("ready_because").value(view.ready.sentence);
  json.key("ledger").begin_object(JsonWriter::Layout::one_line);
  json.key("good_copies").value(view.ledger.good_copies);
  json.key("alarm").value(view.ledger.alarm);
  json.end_object();
  json.key("alarms").begin_array();
  for (const auto& [name, reason] : view.alarms) {
    json.begin_object(JsonWriter::Layout::one_line);
    json.key("alarm").value(name);
    json.key("reason").value(reason);
    json.end_object();
  }
  json.end_array();
  json.key("paths").begin_array();
  for (const Endpoint& endpoint : endpoints()) {
    json.begin_object();
    json.key("path").value(endpoint.pattern);
    json.key("methods").value(endpoint.allow);
    json.key("what").value(endpoint.summary);
    json.key("example").value("curl " + std::string(endpoint.example));
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json_reply(json);
}

Reply render_weights(const View& view, Format format) {
  if (format == Format::text) {
    Table table = weights_table();
    for (const auto& [name, route] : view.state.routes()) add_rows(table, view, name, route);
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("revision").value(view.state.revision());
  json.key("epoch").value(view.epoch);
  json.key("routes").begin_object();
  for (const auto& [name, route] : view.state.routes()) {
    json.key(name).begin_object();
    write_route(json, view, name, route);
    json.end_object();
  }
  json.end_object();
  json.end_object();
  return json_reply(json);
}

Reply render_route(const View& view, std::string_view route, Format format) {
  const routing::RouteState* state = view.state.route(route);
  SLUICE_CHECK(state != nullptr);
  Reply reply;
  if (format == Format::text) {
    Table table = weights_table();
    add_rows(table, view, std::string(route), *state);
    reply = text_reply(table.finish());
  } else {
    JsonWriter json;
    json.begin_object();
    json.key("route").value(route);
    write_route(json, view, route, *state);
    json.end_object();
    reply = json_reply(json);
  }
  reply.fields.emplace_back("ETag", etag(state->revision));
  return reply;
}

Reply render_backends(const View& view, Format format) {
  if (format == Format::text) {
    Table table = servers_table();
    for (const conf::Backend& backend : view.config.backends) add_rows(table, view, backend.name);
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("backends").begin_object();
  for (const conf::Backend& backend : view.config.backends) {
    json.key(backend.name).begin_object();
    write_servers(json, view, backend.name);
    json.end_object();
  }
  json.end_object();
  json.end_object();
  return json_reply(json);
}

Reply render_server(const View& view, const routing::ServerKey& key, Format format) {
  const ServerView* server = view.server(key);
  SLUICE_CHECK(server != nullptr);
  Reply reply;
  if (format == Format::text) {
    Table table = servers_table();
    add_row(table, *server);
    reply = text_reply(table.finish());
  } else {
    JsonWriter json;
    json.begin_object();
    json.key("backend").value(key.backend);
    write_server(json.key("server"), *server);
    json.end_object();
    reply = json_reply(json);
  }
  reply.fields.emplace_back("ETag", etag(server->revision));
  return reply;
}

Reply render_backend(const View& view, std::string_view backend, Format format) {
  if (format == Format::text) {
    Table table = servers_table();
    add_rows(table, view, backend);
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("backend").value(backend);
  write_servers(json, view, backend);
  json.end_object();
  return json_reply(json);
}

}  // namespace sluice::admin
