// Calls that change servers: drains, and servers that come and go.
#include <fmt/core.h>

#include "admin/calls.h"
#include "admin/problem.h"
#include "admin/render.h"

namespace sluice::admin {
namespace {

std::expected<IfMatch, Reply> match_server(const Call& call, const routing::ServerKey& server) {
  return match_revision(call, call.view.state.server_revision(server),
                        "Server " + server.to_string());
}

// `server` empty: of the whole backend.
Answer answer_about_drain(const Call& call, std::expected<routing::ServerKey, Reply> server,
                          bool draining) {
  if (!server) return std::move(server.error());
  auto parameters = read_parameters(
      call.request, call.query,
      {.names = draining ? write_names({"wait", "force"}) : write_names({"wait"}), .body = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  Drain drain{.server = std::move(*server), .draining = draining, .wait = {}};
  if (drain.server.server.empty()) {
    if (auto refused = refuse_if_match(call, "If-Match is of no use for a whole backend."))
      return std::move(*refused);
  } else {
    auto if_match = match_server(call, drain.server);
    if (!if_match) return std::move(if_match.error());
    drain.if_match = *if_match;
  }
  if (const auto text = parameters->find("wait")) {
    auto wait = parse_wait(*text);
    if (!wait) return std::move(wait.error());
    drain.wait = *wait;
  }
  auto force = parse_flag(*parameters, "force");
  if (!force) return std::move(force.error());
  drain.force = *force;
  command->action = std::move(drain);
  return std::move(*command);
}

std::expected<routing::ServerKey, Reply> all_servers(const Call& call) {
  const conf::Backend* backend = find_backend(call);
  if (backend == nullptr) return std::unexpected(unknown_backend(call));
  return routing::ServerKey{backend->name, {}};
}

}  // namespace

Answer answer_drain(const Call& call) {
  return answer_about_drain(call, find_server(call), true);
}

Answer answer_resume(const Call& call) {
  return answer_about_drain(call, find_server(call), false);
}

Answer answer_drain_all(const Call& call) {
  return answer_about_drain(call, all_servers(call), true);
}

Answer answer_resume_all(const Call& call) {
  return answer_about_drain(call, all_servers(call), false);
}

Answer answer_add_server(const Call& call) {
  const conf::Backend* backend = find_backend(call);
  if (backend == nullptr) return unknown_backend(call);
  auto parameters =
      read_parameters(call.request, call.query,
                      {.names = write_names({"address", "name", "weight"}), .body = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  if (auto refused = refuse_if_match(call, "If-Match is of no use for a server that is to come."))
    return std::move(*refused);
  const auto address = parameters->find("address");
  if (!address) {
    return problem(422, "bad_server",
                   "The call does not say where the server is: -d address=10.0.0.7:8080.");
  }
  command->action = AddServer{{.backend = backend->name,
                               .address = *address,
                               .name = parameters->find("name").value_or(""),
                               .weight = parameters->find("weight").value_or("")}};
  return std::move(*command);
}

Answer answer_server(const Call& call) {
  auto server = find_server(call);
  const bool removes = call.request.method == "DELETE";
  // The one that it has removed is no longer there.
  if (!server && removes && is_repeated(call)) {
    server = routing::ServerKey{call.names[0], call.names[1]};
  }
  if (!server) return std::move(server.error());
  if (call.reads()) {
    return answer_read(call,
                       [&](Format format) { return render_server(call.view, *server, format); });
  }
  auto if_match = match_server(call, *server);
  if (!if_match) return std::move(if_match.error());
  auto parameters = read_parameters(
      call.request, call.query,
      {.names = removes ? write_names({"force"}) : write_names({"weight", "force"}), .body = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  auto force = parse_flag(*parameters, "force");
  if (!force) return std::move(force.error());
  if (removes) {
    command->action =
        RemoveServer{.server = std::move(*server), .if_match = *if_match, .force = *force};
    return std::move(*command);
  }
  const auto weight = parameters->find("weight");
  if (!weight) {
    return problem(422, "bad_server", "The call does not say what to change: -d weight=2.");
  }
  command->action = WeighServer{
      .server = std::move(*server), .if_match = *if_match, .weight = *weight, .force = *force};
  return std::move(*command);
}

}  // namespace sluice::admin
