// Calls that change routes, alone or several at once.
#include <fmt/core.h>

#include "admin/calls.h"
#include "admin/problem.h"
#include "admin/render.h"
#include "admin/shifts_body.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

using routing::RevisionKind;
using routing::RouteWish;

// A call about the one route that its path names: everything but what is wished of it.
struct Begun {
  Command command;
  Change change;
  std::optional<routing::RevisionNumber> if_match;
  Parameters parameters;

  Answer finish(const Call& call, RevisionKind kind, decltype(RouteWish::what) what) && {
    change.transaction.kind = kind;
    change.transaction.routes = {{call.names[0], std::move(what), if_match}};
    command.action = std::move(change);
    return std::move(command);
  }
};

std::expected<Begun, Reply> begin(const Call& call, const Accepted& accepted) {
  const routing::RouteState* route = call.view.state.route(call.names[0]);
  if (route == nullptr) return std::unexpected(unknown_route(call));
  auto parameters = read_parameters(call.request, call.query, accepted);
  if (!parameters) return std::unexpected(std::move(parameters.error()));
  auto command = begin_command(call, *parameters);
  if (!command) return std::unexpected(std::move(command.error()));
  auto change = begin_change(*parameters);
  if (!change) return std::unexpected(std::move(change.error()));
  auto if_match = match_revision(call, route->revision, "Route " + call.names[0]);
  if (!if_match) return std::unexpected(std::move(if_match.error()));
  return Begun{std::move(*command), std::move(*change), *if_match, std::move(*parameters)};
}

Answer answer_shift(const Call& call) {
  auto begun = begin(call, {.names = shift_names({}), .body = true, .weights = true});
  if (!begun) return std::move(begun.error());
  routing::StatedSplit stated{.weights = std::move(begun->parameters.weights),
                              .whole = call.request.method == "PUT"};
  return std::move(*begun).finish(call, RevisionKind::shift, std::move(stated));
}

}  // namespace

Answer answer_route(const Call& call) {
  if (!call.reads()) return answer_shift(call);
  if (call.view.state.route(call.names[0]) == nullptr) return unknown_route(call);
  return answer_read(call,
                     [&](Format format) { return render_route(call.view, call.names[0], format); });
}

Answer answer_switch(const Call& call) {
  auto begun = begin(call, {.names = shift_names({"to"}), .body = true});
  if (!begun) return std::move(begun.error());
  const std::optional<std::string> to = begun->parameters.find("to");
  if (!to) {
    return problem(422, "no_target",
                   "The call does not say which backend to switch to: -d to=NAME.");
  }
  return std::move(*begun).finish(call, RevisionKind::switch_to, routing::SwitchTo{*to});
}

Answer answer_states(const Call& call) {
  auto begun =
      begin(call, {.names = shift_names({}), .body = true, .weights = true, .words = true});
  if (!begun) return std::move(begun.error());
  routing::StatedSplit stated{.weights = {},
                              .whole = false,
                              .states = std::move(begun->parameters.weights),
                              .whole_states = call.request.method == "PUT"};
  return std::move(*begun).finish(call, RevisionKind::shift, std::move(stated));
}

Answer answer_maintenance(const Call& call) {
  const bool begins = call.request.method == "POST";
  auto begun = begin(call, {.names = shift_names({"retry_after"}), .body = true});
  if (!begun) return std::move(begun.error());
  routing::SetMaintenance set;
  if (begins) set.maintenance = routing::Maintenance{};
  if (const auto text = begun->parameters.find("retry_after")) {
    auto span = parse_span("retry_after", *text, std::chrono::seconds(1), kRetryAfterMax);
    if (!span) return std::move(span.error());
    if (!begins) return problem(422, "bad_parameter", "retry_after is of no use here.");
    set.maintenance->retry_after = std::chrono::duration_cast<std::chrono::seconds>(*span);
  }
  return std::move(*begun).finish(call, RevisionKind::maintenance, set);
}

Answer answer_rollback(const Call& call) {
  auto begun = begin(call, {.names = shift_names({"to"}), .body = true});
  if (!begun) return std::move(begun.error());
  routing::RollBack back;
  if (const auto text = begun->parameters.find("to")) {
    auto number = parse_number("to", *text);
    if (!number) return std::move(number.error());
    back.to = *number;
  }
  return std::move(*begun).finish(call, RevisionKind::rollback, back);
}

Answer answer_shifts(const Call& call) {
  auto stated = read_shifts(call.request, call.query, shift_names({}));
  if (!stated) return std::move(stated.error());
  auto command = begin_command(call, stated->parameters);
  if (!command) return std::move(command.error());
  auto change = begin_change(stated->parameters);
  if (!change) return std::move(change.error());
  if (auto refused = refuse_if_match(call,
                                     "If-Match can't name the revisions of several routes: say "
                                     "\"if_match\" in each route's object instead.")) {
    return std::move(*refused);
  }
  change->transaction.kind = RevisionKind::shift;
  change->transaction.routes = std::move(stated->routes);
  change->several = true;
  command->action = std::move(*change);
  return std::move(*command);
}

// --- Leases -------------------------------------------------------------------------------------

namespace {

Answer answer_about_lease(const Call& call, RevisionKind kind) {
  auto number = parse_number("The path", call.names[0]);
  if (!number) return std::move(number.error());
  auto parameters =
      read_parameters(call.request, call.query, {.names = write_names({"ttl"}), .body = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  if (auto refused =
          refuse_if_match(call, "If-Match is of no use here: the path has the revision."))
    return std::move(*refused);
  LeaseAction action{.kind = kind, .lease = *number, .ttl = {}};
  if (const auto text = parameters->find("ttl")) {
    auto ttl = parse_span("ttl", *text, kLeaseMin, kLeaseMax);
    if (!ttl) return std::move(ttl.error());
    if (kind != RevisionKind::renew_lease) {
      return problem(422, "bad_parameter", "ttl is of no use here: the shift stays for good.");
    }
    action.ttl = std::chrono::duration_cast<std::chrono::seconds>(*ttl);
  }
  command->action = action;
  return std::move(*command);
}

}  // namespace

Answer answer_lease(const Call& call) {
  return answer_about_lease(call, RevisionKind::confirm_lease);
}

Answer answer_renewal(const Call& call) {
  return answer_about_lease(call, RevisionKind::renew_lease);
}

Answer answer_reload(const Call& call) {
  constexpr std::array<std::string_view, 3> kNames = {"format", "author", "reason"};
  auto parameters = read_parameters(call.request, call.query, {.names = kNames, .body = true});
  if (!parameters) return std::move(parameters.error());
  auto command = begin_command(call, *parameters);
  if (!command) return std::move(command.error());
  if (auto refused = refuse_if_match(call, "If-Match is of no use for the file."))
    return std::move(*refused);
  command->action = ReloadFile{};
  return std::move(*command);
}

}  // namespace sluice::admin
