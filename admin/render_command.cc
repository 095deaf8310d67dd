// What becomes of a command. What GET answers is in render.cc.
#include <fmt/format.h>

#include "admin/form.h"
#include "admin/json_writer.h"
#include "admin/parts.h"
#include "admin/problem.h"
#include "admin/render.h"
#include "proxy/base/check.h"

namespace sluice::admin {
namespace {

const Drain& drain_of(const Command& command) {
  const auto* drain = std::get_if<Drain>(&command.action);
  SLUICE_CHECK(drain != nullptr);
  return *drain;
}

// A reload can take away what a call waits for.
Reply gone(std::string_view code, std::string_view what) {
  return problem(404, code,
                 fmt::format("{} left the configuration while the call was waiting.", what));
}

std::string_view code_of(routing::PlanError::Kind kind) {
  using Kind = routing::PlanError::Kind;
  switch (kind) {
    case Kind::unknown_route:
      return "unknown_route";
    case Kind::unknown_backend:
      return "unknown_backend";
    case Kind::unknown_server:
      return "unknown_server";
    case Kind::bad_split:
      return "bad_split";
    case Kind::unknown_revision:
      return "unknown_revision";
    case Kind::unknown_lease:
      return "unknown_lease";
    case Kind::bad_server:
      return "bad_server";
    case Kind::stale:
      return "stale";
    case Kind::if_match_required:
      return "if_match_required";
    case Kind::backend_gone:
      return "backend_gone";
    case Kind::nothing_before:
      return "nothing_before";
    case Kind::no_healthy_server:
      return "no_healthy_server";
    case Kind::not_drained:
      return "not_drained";
    case Kind::last_server:
      return "last_server";
    case Kind::server_exists:
      return "server_exists";
    case Kind::key_reused:
      return "idempotency_key_reused";
  }
  return "bad_split";
}

int status_of(const Command& command, routing::PlanError::Kind kind) {
  using Kind = routing::PlanError::Kind;
  switch (kind) {
    case Kind::unknown_route:
    case Kind::unknown_server:
    case Kind::unknown_revision:
    case Kind::unknown_lease:
      return 404;
    case Kind::unknown_backend:  // a drain's is in the path, a split's in the body
      return std::holds_alternative<Change>(command.action) ? 422 : 404;
    case Kind::bad_split:
    case Kind::bad_server:
    case Kind::key_reused:
      return 422;
    case Kind::stale:
      return 412;
    case Kind::if_match_required:
      return 428;
    case Kind::backend_gone:
    case Kind::nothing_before:
    case Kind::no_healthy_server:
    case Kind::not_drained:
    case Kind::last_server:
    case Kind::server_exists:
      return 409;
  }
  return 422;
}

std::string drain_state(const ServerView& server) {
  if (server.draining) {
    return server.safe_to_stop ? "drained, safe to stop"
                               : fmt::format("draining, {} running", server.running);
  }
  if (takes_new_work(server)) return "takes new work";
  return server.last_error.empty()
             ? fmt::format("resumed, {}", status_word(server))
             : fmt::format("resumed, {} ({})", status_word(server), server.last_error);
}

void write_drain(JsonWriter& json, const ServerView& server) {
  json.key("backend").value(server.key.backend);
  json.key("revision").value(server.revision);
  write_server(json.key("server"), server);
}

// Of all of a backend's servers.
Reply render_backend_drain(const View& view, const Command& command, bool changed) {
  const std::string& backend = drain_of(command).server.backend;
  bool all_safe = true;
  std::string text;
  for (const ServerView& server : view.servers) {
    if (server.key.backend != backend) continue;
    all_safe = all_safe && server.safe_to_stop;
    text += fmt::format("{}: {}\n", server.key.to_string(), drain_state(server));
  }
  Reply reply;
  if (command.format == Format::text) {
    reply = text_reply(std::move(text));
  } else {
    JsonWriter json;
    json.begin_object();
    json.key("changed").value(changed);
    json.key("safe_to_stop").value(all_safe);
    json.key("backend").value(backend);
    json.key("servers").begin_array();
    for (const ServerView& server : view.servers) {
      if (server.key.backend == backend) write_server(json, server);
    }
    json.end_array();
    json.end_object();
    reply = json_reply(json);
  }
  reply.note = fmt::format("{}: {}{}", backend, drain_of(command).draining ? "drain" : "resume",
                           changed ? "" : " (unchanged)");
  return reply;
}

}  // namespace

Reply render_plan_error(const View& view, const Command& command, const routing::PlanError& error) {
  const int status = status_of(command, error.kind);
  const routing::RouteState* route = view.state.route(error.route);
  if (route == nullptr) return problem(status, code_of(error.kind), error.message);
  Reply reply = problem(status, code_of(error.kind), error.message, [&](JsonWriter& json) {
    json.key("route").value(error.route);
    json.key("revision").value(route->revision);
  });
  reply.fields.emplace_back("ETag", etag(route->revision));
  return reply;
}

Reply render_drain(const View& view, const Command& command, bool changed) {
  const Drain& drain = drain_of(command);
  if (drain.server.server.empty()) return render_backend_drain(view, command, changed);
  const ServerView* server = view.server(drain.server);
  if (server == nullptr) return gone("unknown_server", "Server " + drain.server.to_string());
  const std::string now = fmt::format("{}: {}", drain.server.to_string(), drain_state(*server));
  Reply reply;
  if (command.format == Format::text) {
    reply = text_reply(
        fmt::format("{}, revision {}{}\n", now, server->revision, changed ? "" : ", unchanged"));
  } else {
    JsonWriter json;
    json.begin_object();
    json.key("changed").value(changed);
    json.key("safe_to_stop").value(server->safe_to_stop);
    write_drain(json, *server);
    json.end_object();
    reply = json_reply(json);
  }
  reply.fields.emplace_back("ETag", etag(server->revision));
  reply.note = changed ? now : now + " (unchanged)";
  return reply;
}

Reply render_wait_lapsed(const View& view, const Command& command) {
  const Drain& drain = drain_of(command);
  SLUICE_CHECK(drain.wait);
  if (drain.server.server.empty()) {
    const double waited = std::chrono::duration<double>(*drain.wait).count();
    return problem(
        504, "wait_lapsed",
        fmt::format("After {} s not every server of backend {} is {}. What was asked for "
                    "stays so; call again to wait on.",
                    waited, drain.server.backend,
                    drain.draining ? "safe to stop" : "taking new work"));
  }
  const ServerView* server = view.server(drain.server);
  if (server == nullptr) return gone("unknown_server", "Server " + drain.server.to_string());
  const double seconds = std::chrono::duration<double>(*drain.wait).count();
  const std::string detail =
      drain.draining ? fmt::format(
                           "After {} s server {} is not safe to stop: {} exchanges are running. It "
                           "stays draining; call again to wait on.",
                           seconds, drain.server.to_string(), server->running)
                     : fmt::format(
                           "After {} s server {} takes no new work: its status is {}{}. It stays "
                           "resumed and gets work when a probe passes.",
                           seconds, drain.server.to_string(), status_word(*server),
                           server->last_error.empty() ? "" : ", last error: " + server->last_error);
  return problem(504, "wait_lapsed", detail, [&](JsonWriter& json) {
    json.key("safe_to_stop").value(server->safe_to_stop);
    write_drain(json, *server);
  });
}

Reply render_not_adopted(const View& view, routing::RevisionNumber revision,
                         std::span<const std::size_t> workers) {
  const bool one = workers.size() == 1;
  const std::string who = fmt::format("{} {} still {}", one ? "worker" : "workers",
                                      fmt::join(workers, ", "), one ? "runs" : "run");
  const double seconds = std::chrono::duration<double>(view.config.runtime.adopt_timeout).count();
  return problem(504, "not_adopted",
                 fmt::format("Revision {} is durable, but after {} s {} an older one. It comes "
                             "into force there when they go on; GET /weights shows it.",
                             revision, seconds, who),
                 [&](JsonWriter& json) {
                   json.key("revision").value(revision);
                   json.key("workers").begin_array(JsonWriter::Layout::one_line);
                   for (const std::size_t worker : workers) json.value(worker);
                   json.end_array();
                 });
}

Reply render_ledger_failed(std::string_view why) {
  return problem(503, "ledger_failed",
                 fmt::format("Nothing was changed: the ledger could not be written. {}", why));
}

Reply render_unread(int status, std::string_view why) {
  const std::string_view code = status == 413   ? "body_too_large"
                                : status == 408 ? "request_too_slow"
                                                : "bad_request";
  std::string detail = fmt::format("{}.", why);
  if (status == 413) {
    detail =
        fmt::format("The body is larger than the {} bytes that a call may send.", kBodyBytesMax);
  }
  return problem(status, code, std::move(detail));
}

}  // namespace sluice::admin
