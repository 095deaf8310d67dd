#include "admin/api.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>

#include "admin/access.h"
#include "admin/calls.h"
#include "admin/endpoints.h"
#include "admin/problem.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

// Same order as endpoints().
constexpr std::array<Answer (*)(const Call&), kEndpointCount> kAnswers = {
    answer_index,    answer_all_weights, answer_route,      answer_switch,     answer_shifts,
    answer_states,   answer_maintenance, answer_rollback,   answer_history,    answer_route_history,
    answer_revision, answer_leases,      answer_lease,      answer_renewal,    answer_backends,
    answer_backend,  answer_drain_all,   answer_resume_all, answer_add_server, answer_server,
    answer_drain,    answer_resume,      answer_conflicts,  answer_reload,     answer_ledger,
    answer_events,   answer_explain,     answer_webhooks};

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

// The names that the path has where the pattern says {NAME}; nullopt: it is another path. A server
// that is named by the path of its Unix socket stands over several segments: an encoded slash is
// refused long before (docs/paths.md).
std::optional<std::vector<std::string>> match(std::string_view pattern,
                                              const std::vector<std::string>& segments) {
  const auto pieces = static_cast<std::size_t>(std::ranges::count(pattern, '/'));
  const std::size_t extra = segments.size() - std::min(segments.size(), pieces);
  std::vector<std::string> names;
  std::size_t index = 0;
  while (pattern.size() > 1) {
    pattern.remove_prefix(1);
    const std::size_t end = std::min(pattern.find('/'), pattern.size());
    const std::string_view piece = pattern.substr(0, end);
    if (index == segments.size()) return {};
    if (piece.starts_with('{')) {
      names.push_back(segments[index]);
      if (piece == "{SERVER}" && segments[index] == "unix:") {
        for (std::size_t i = 0; i < extra; ++i) names.back() += '/' + segments[++index];
      }
    } else if (piece != segments[index]) {
      return {};
    }
    ++index;
    pattern.remove_prefix(end);
  }
  if (index != segments.size()) return {};
  return names;
}

struct Found {
  std::size_t endpoint;
  std::vector<std::string> names;
};

// Of several patterns that fit, the most detailed.
std::optional<Found> find_endpoint(const std::vector<std::string>& segments) {
  std::optional<Found> best;
  std::ptrdiff_t most = 0;
  for (std::size_t i = 0; i < endpoints().size(); ++i) {
    auto names = match(endpoints()[i].pattern, segments);
    const auto pieces = std::ranges::count(endpoints()[i].pattern, '/');
    if (!names || (best && pieces <= most)) continue;
    most = pieces;
    best = Found{i, std::move(*names)};
  }
  return best;
}

Reply unknown_path(std::string_view path, const std::vector<std::string>& segments) {
  constexpr std::array<std::string_view, 17> kFirst = {
      "weights", "switch",    "shifts", "states",   "maintenance", "rollback",
      "history", "revisions", "leases", "backends", "servers",     "conflicts",
      "reload",  "ledger",    "events", "explain",  "webhooks"};
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

// What the path names is what the call touches.
std::optional<Reply> refuse_role(const Call& call, const Endpoint& endpoint) {
  std::vector<std::string> routes;
  std::vector<std::string> backends;
  std::string_view rest = endpoint.pattern;
  for (const std::string& name : call.names) {
    rest.remove_prefix(rest.find('{'));
    if (rest.starts_with("{ROUTE}")) routes.push_back(name);
    if (rest.starts_with("{BACKEND}")) backends.push_back(name);
    rest.remove_prefix(1);
  }
  return authorize(call.request.identity, call.reads() ? endpoint.read_role : endpoint.write_role,
                   routes, backends);
}

// What the call says beside its path may touch more, or need more.
std::optional<Reply> refuse_command(const Call& call, const Command& command) {
  std::vector<std::string> routes;
  if (const auto* change = std::get_if<Change>(&command.action)) {
    // Against the advice of a guard.
    if (change->transaction.force) return authorize(call.request.identity, conf::Role::admin);
    for (const routing::RouteWish& wish : change->transaction.routes) routes.push_back(wish.route);
  } else if (const auto* drain = std::get_if<Drain>(&command.action)) {
    if (drain->force) return authorize(call.request.identity, conf::Role::admin);
  } else if (const auto* about = std::get_if<LeaseAction>(&command.action)) {
    const auto lease = call.view.state.leases().find(about->lease);
    if (lease == call.view.state.leases().end()) return {};
    for (const routing::RouteChange& one : lease->second.routes) routes.push_back(one.route);
  }
  if (routes.empty()) return {};
  return authorize(call.request.identity, conf::Role::operator_, routes);
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

const ServerView* View::server(const routing::ServerKey& key) const {
  const auto found = std::ranges::find(servers, key, &ServerView::key);
  return found == servers.end() ? nullptr : &*found;
}

namespace {

struct Admitted {
  std::size_t endpoint;
  Call call;
};

// All that the head decides.
std::expected<Admitted, Reply> admit(const Request& request, const View& view) {
  if (auto refusal = refuse_access(request, view)) return std::unexpected(std::move(*refusal));
  const std::string_view target = request.target;
  const std::size_t mark = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = target.substr(std::min(mark + 1, target.size()));
  const auto segments = path_segments(path);
  if (!segments) return std::unexpected(segments.error());
  auto found = find_endpoint(*segments);
  if (!found) return std::unexpected(unknown_path(path, *segments));
  const Endpoint& endpoint = endpoints()[found->endpoint];
  if (!is_allowed(request.method, endpoint.allow)) {
    return std::unexpected(method_not_allowed(request, endpoint));
  }
  Call call{request, view, query, std::move(found->names)};
  if (auto refusal = refuse_role(call, endpoint)) return std::unexpected(std::move(*refusal));
  return Admitted{found->endpoint, std::move(call)};
}

}  // namespace

std::optional<Reply> refuse_head(const Request& request, const View& view) {
  auto admitted = admit(request, view);
  if (admitted) return {};
  return std::move(admitted.error());
}

Handled handle(const Request& request, const View& view) {
  const auto admitted = admit(request, view);
  if (!admitted) return admitted.error();
  const Call& call = admitted->call;
  Answer answer = kAnswers[admitted->endpoint](call);
  if (const Command* command = std::get_if<Command>(&answer)) {
    if (auto refusal = refuse_command(call, *command)) return std::move(*refusal);
  }
  return answer;
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
