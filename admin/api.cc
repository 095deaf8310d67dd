#include "admin/api.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>

#include "admin/access.h"
#include "admin/endpoints.h"
#include "admin/form.h"
#include "admin/json_writer.h"
#include "admin/problem.h"
#include "admin/render.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

using Answer = std::variant<Reply, Command>;

// One call on its way through: what the path named, and the query.
struct Call {
  const Request& request;
  const View& view;
  std::string_view query;
  std::vector<std::string> names;  // what the path has in the place of each name

  bool reads() const { return request.method == "GET" || request.method == "HEAD"; }
};

constexpr std::array<std::string_view, 1> kReadNames = {"format"};
constexpr std::array<std::string_view, 3> kShiftNames = {"author", "reason", "format"};
constexpr std::array<std::string_view, 4> kSwitchNames = {"to", "author", "reason", "format"};
constexpr std::array<std::string_view, 4> kDrainNames = {"wait", "author", "reason", "format"};

using NameList = std::vector<std::string_view>;

// `lacks`: "There is no route".
Reply unknown_name(std::string_view code, std::string_view lacks, std::string_view name,
                   const NameList& names) {
  return problem(
      404, code,
      fmt::format("{} {}: {}", lacks, routing::in_quotes(name), routing::suggestion(name, names)));
}

Reply unknown_route(const Call& call) {
  NameList names;
  for (const auto& [name, state] : call.view.state.routes()) names.push_back(name);
  return unknown_name("unknown_route", "There is no route", call.names[0], names);
}

Reply unknown_backend(const Call& call) {
  NameList names;
  for (const conf::Backend& backend : call.view.config.backends) names.push_back(backend.name);
  return unknown_name("unknown_backend", "There is no backend", call.names[0], names);
}

const conf::Backend* find_backend(const Call& call) {
  const auto& backends = call.view.config.backends;
  const auto found = std::ranges::find(backends, call.names[0], &conf::Backend::name);
  return found == backends.end() ? nullptr : &*found;
}

// What every write says: who asks and why, and how to answer.
std::expected<Command, Reply> begin_command(const Call& call, const Parameters& parameters) {
  Command command;
  command.origin.identity = call.request.caller.identity();
  if (const auto text = parameters.find("author")) {
    auto author = parse_remark("author", *text, kAuthorBytesMax);
    if (!author) return std::unexpected(std::move(author.error()));
    command.origin.author = std::move(*author);
  }
  if (const auto text = parameters.find("reason")) {
    auto reason = parse_remark("reason", *text, kReasonTextBytesMax);
    if (!reason) return std::unexpected(std::move(reason.error()));
    command.origin.reason = std::move(*reason);
  }
  if (const auto text = parameters.find("format")) {
    auto format = parse_format(*text);
    if (!format) return std::unexpected(std::move(format.error()));
    command.format = *format;
  }
  return command;
}

template <typename Render>
Answer answer_read(const Call& call, Render&& render) {
  auto parameters = read_parameters(call.request, call.query, {.names = kReadNames});
  if (!parameters) return std::move(parameters.error());
  auto format = parse_format(parameters->find("format").value_or("json"));
  if (!format) return std::move(format.error());
  return render(*format);
}

Answer answer_index(const Call& call) {
  return answer_read(call, [&](Format format) { return render_index(call.view, format); });
}

Answer answer_all_weights(const Call& call) {
  return answer_read(call, [&](Format format) { return render_weights(call.view, format); });
}

Answer answer_shift(const Call& call, const routing::RouteState& route) {
  auto parameters = read_parameters(call.request, call.query,
                                    {.names = kShiftNames, .body = true, .weights = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  auto if_match = check_if_match(call.request, route.revision, "Route " + call.names[0]);
  if (!if_match) return std::move(if_match.error());
  routing::StatedSplit stated{.weights = std::move(parameters->weights),
                              .whole = call.request.method == "PUT"};
  command->action = Change{{.kind = routing::RevisionKind::shift,
                            .routes = {{call.names[0], std::move(stated), *if_match}}}};
  return std::move(*command);
}

Answer answer_route(const Call& call) {
  const routing::RouteState* route = call.view.state.route(call.names[0]);
  if (route == nullptr) return unknown_route(call);
  if (!call.reads()) return answer_shift(call, *route);
  return answer_read(call,
                     [&](Format format) { return render_route(call.view, call.names[0], format); });
}

Answer answer_switch(const Call& call) {
  const routing::RouteState* route = call.view.state.route(call.names[0]);
  if (route == nullptr) return unknown_route(call);
  auto parameters =
      read_parameters(call.request, call.query, {.names = kSwitchNames, .body = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  const std::optional<std::string> to = parameters->find("to");
  if (!to) {
    return problem(422, "no_target",
                   "The call does not say which backend to switch to: -d to=NAME.");
  }
  auto if_match = check_if_match(call.request, route->revision, "Route " + call.names[0]);
  if (!if_match) return std::move(if_match.error());
  command->action = Change{{.kind = routing::RevisionKind::switch_to,
                            .routes = {{call.names[0], routing::SwitchTo{*to}, *if_match}}}};
  return std::move(*command);
}

Answer answer_backends(const Call& call) {
  return answer_read(call, [&](Format format) { return render_backends(call.view, format); });
}

Answer answer_backend(const Call& call) {
  if (find_backend(call) == nullptr) return unknown_backend(call);
  return answer_read(
      call, [&](Format format) { return render_backend(call.view, call.names[0], format); });
}

// A server by its name or by its address, whichever the path has.
std::expected<routing::ServerKey, Reply> find_server(const Call& call) {
  const conf::Backend* backend = find_backend(call);
  if (backend == nullptr) return std::unexpected(unknown_backend(call));
  const std::optional<Address> address = Address::parse(call.names[1]);
  const conf::Server* by_address = nullptr;
  NameList names;
  for (const conf::Server& server : backend->servers) {
    if (server.name == call.names[1]) return routing::ServerKey{backend->name, server.name};
    if (address && server.address == *address) by_address = &server;
    names.push_back(server.name);
  }
  if (by_address != nullptr) return routing::ServerKey{backend->name, by_address->name};
  return std::unexpected(unknown_name(
      "unknown_server", "Backend " + backend->name + " has no server", call.names[1], names));
}

Answer answer_drain_or_resume(const Call& call, bool draining) {
  auto server = find_server(call);
  if (!server) return std::move(server.error());
  auto parameters = read_parameters(call.request, call.query, {.names = kDrainNames, .body = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  auto if_match = check_if_match(call.request, call.view.state.drain_revision(*server),
                                 "Server " + server->to_string());
  if (!if_match) return std::move(if_match.error());
  Drain drain{.server = std::move(*server), .draining = draining, .wait = {}};
  if (const auto text = parameters->find("wait")) {
    auto wait = parse_wait(*text);
    if (!wait) return std::move(wait.error());
    drain.wait = *wait;
  }
  command->action = std::move(drain);
  return std::move(*command);
}

Answer answer_drain(const Call& call) {
  return answer_drain_or_resume(call, true);
}

Answer answer_resume(const Call& call) {
  return answer_drain_or_resume(call, false);
}

// Same order as endpoints().
constexpr std::array<Answer (*)(const Call&), 8> kAnswers = {
    answer_index,    answer_all_weights, answer_route, answer_switch,
    answer_backends, answer_backend,     answer_drain, answer_resume};

std::expected<std::vector<std::string>, Reply> path_segments(std::string_view path) {
  std::vector<std::string> segments;
  if (!path.starts_with('/')) {
    return std::unexpected(problem(
        400, "bad_path", fmt::format("Path {} has no / in front.", routing::in_quotes(path))));
  }
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    auto segment = percent_decode(path.substr(0, end));
    if (!segment) {
      return std::unexpected(
          problem(400, "bad_path",
                  fmt::format("Path piece {} has a % without two hex digits behind it.",
                              routing::in_quotes(path.substr(0, end)))));
    }
    segments.push_back(std::move(*segment));
    path.remove_prefix(end);
  }
  if (segments.back().empty()) segments.pop_back();  // "/" and a slash at the end
  if (!segments.empty() && segments.front() == "v1") segments.erase(segments.begin());
  return segments;
}

// The names that the path has where the pattern says {NAME}; nullopt: it is another path.
std::optional<std::vector<std::string>> match(std::string_view pattern,
                                              const std::vector<std::string>& segments) {
  std::vector<std::string> names;
  std::size_t index = 0;
  while (pattern.size() > 1) {
    pattern.remove_prefix(1);
    const std::size_t end = std::min(pattern.find('/'), pattern.size());
    const std::string_view piece = pattern.substr(0, end);
    if (index == segments.size()) return {};
    if (piece.starts_with('{')) {
      names.push_back(segments[index]);
    } else if (piece != segments[index]) {
      return {};
    }
    ++index;
    pattern.remove_prefix(end);
  }
  if (index != segments.size()) return {};
  return names;
}

Reply unknown_path(std::string_view path, const std::vector<std::string>& segments) {
  constexpr std::array<std::string_view, 4> kFirst = {"weights", "switch", "backends", "servers"};
  const std::string_view first = segments.empty() ? "" : std::string_view(segments.front());
  const bool known = std::ranges::find(kFirst, first) != kFirst.end();
  return problem(
      404, "unknown_path",
      fmt::format("There is nothing at {}: {}GET / lists what there is.", routing::in_quotes(path),
                  known ? "" : routing::suggestion(first, kFirst) + " "));
}

Reply method_not_allowed(const Request& request, const Endpoint& endpoint) {
  Reply reply = problem(
      405, "method_not_allowed",
      fmt::format("{} does not take {}: it takes {}. For example: curl {}", endpoint.pattern,
                  routing::in_quotes(request.method), endpoint.allow, endpoint.example));
  reply.fields.emplace_back("Allow", std::string(endpoint.allow));
  return reply;
}

bool is_allowed(std::string_view method, std::string_view allow) {
  while (!allow.empty()) {
    const std::size_t end = std::min(allow.find(", "), allow.size());
    if (allow.substr(0, end) == method) return true;
    allow.remove_prefix(std::min(end + 2, allow.size()));
  }
  return false;
}

}  // namespace

std::string Caller::identity() const {
  return uid ? fmt::format("uid:{}", *uid) : std::string("unknown");
}

const ServerView* View::server(const routing::ServerKey& key) const {
  const auto found = std::ranges::find(servers, key, &ServerView::key);
  return found == servers.end() ? nullptr : &*found;
}

std::variant<Reply, Command> handle(const Request& request, const View& view) {
  if (auto refusal = refuse_access(request, view)) return std::move(*refusal);
  const std::string_view target = request.target;
  const std::size_t mark = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = target.substr(std::min(mark + 1, target.size()));
  const auto segments = path_segments(path);
  if (!segments) return segments.error();
  const std::span<const Endpoint> all = endpoints();
  static_assert(std::size(kAnswers) == kEndpointCount);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto names = match(all[i].pattern, *segments);
    if (!names) continue;
    if (!is_allowed(request.method, all[i].allow)) return method_not_allowed(request, all[i]);
    return kAnswers[i]({request, view, query, std::move(*names)});
  }
  return unknown_path(path, *segments);
}

Reply handle_read_only(const Request& request, const View& view) {
  const std::string_view path =
      std::string_view(request.target).substr(0, request.target.find('?'));
  if (path != "/metrics" && path != "/livez" && path != "/readyz") {
    return problem(404, "unknown_path",
                   fmt::format("There is nothing at {}. This listener has /metrics, /livez and "
                               "/readyz.",
                               routing::in_quotes(path)));
  }
  if (request.method != "GET" && request.method != "HEAD") {
    Reply reply = problem(405, "method_not_allowed", "This listener can only be read: GET, HEAD.");
    reply.fields.emplace_back("Allow", "GET, HEAD");
    return reply;
  }
  Reply reply;
  if (path == "/metrics") {
    reply.content_type = kMetricsContentType;
    reply.body = render_metrics(view.collect_metrics());
    return reply;
  }
  const Verdict& verdict = path == "/livez" ? view.alive : view.ready;
  reply.status = verdict.ok ? 200 : 503;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = verdict.sentence + "\n";
  reply.note = verdict.sentence;
  return reply;
}

}  // namespace sluice::admin
