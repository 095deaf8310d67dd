// Calls that only look.
#include <fmt/core.h>

#include <array>

#include "admin/calls.h"
#include "admin/problem.h"
#include "admin/render.h"
#include "routing/wording.h"

namespace sluice::admin {

Answer answer_index(const Call& call) {
  return answer_read(call, [&](Format format) { return render_index(call.view, format); });
}

Answer answer_all_weights(const Call& call) {
  return answer_read(call, [&](Format format) { return render_weights(call.view, format); });
}

Answer answer_backends(const Call& call) {
  return answer_read(call, [&](Format format) { return render_backends(call.view, format); });
}

Answer answer_backend(const Call& call) {
  if (find_backend(call) == nullptr) return unknown_backend(call);
  return answer_read(
      call, [&](Format format) { return render_backend(call.view, call.names[0], format); });
}

// --- History ------------------------------------------------------------------------------------

namespace {

constexpr std::uint64_t kHistoryLimitDefault = 50;
constexpr std::uint64_t kHistoryLimitMax = 1000;

Answer answer_history_of(const Call& call, std::string_view route) {
  constexpr std::array<std::string_view, 3> kNames = {"format", "limit", "before"};
  auto parameters = read_parameters(call.request, call.query, {.names = kNames});
  if (!parameters) return std::move(parameters.error());
  auto format = parse_format(parameters->find("format").value_or("json"));
  if (!format) return std::move(format.error());
  routing::RevisionNumber before = 0;
  std::uint64_t limit = kHistoryLimitDefault;
  if (const auto text = parameters->find("before")) {
    auto number = parse_number("before", *text);
    if (!number) return std::move(number.error());
    before = *number;
  }
  if (const auto text = parameters->find("limit")) {
    auto number = parse_number("limit", *text);
    if (!number || *number > kHistoryLimitMax) {
      return problem(422, "bad_parameter",
                     fmt::format("limit is {}: write a number from 1 to {}.",
                                 routing::in_quotes(*text), kHistoryLimitMax));
    }
    limit = *number;
  }
  return render_history(call.view, route, before, limit, *format);
}

}  // namespace

Answer answer_history(const Call& call) {
  return answer_history_of(call, {});
}

Answer answer_route_history(const Call& call) {
  const std::string& route = call.names[0];
  // Of one that is gone, too, as long as something is known of it.
  const bool known =
      call.view.state.route(route) != nullptr || !call.view.history.list(route, 0, 1).empty();
  return known ? answer_history_of(call, route) : unknown_route(call);
}

Answer answer_revision(const Call& call) {
  auto number = parse_number("The path", call.names[0]);
  if (!number) return std::move(number.error());
  const routing::Revision* revision = call.view.history.find(*number);
  if (revision == nullptr) {
    const auto& all = call.view.history.revisions();
    return problem(404, "unknown_revision",
                   all.empty() ? fmt::format("There is no revision {}: none is kept yet.", *number)
                               : fmt::format("There is no revision {}: kept are {} to {}.", *number,
                                             all.front().number, all.back().number));
  }
  return answer_read(call, [&](Format format) { return render_revision(*revision, format); });
}

Answer answer_leases(const Call& call) {
  return answer_read(call, [&](Format format) { return render_leases(call.view, format); });
}

Answer answer_conflicts(const Call& call) {
  return answer_read(call, [&](Format format) { return render_conflicts(call.view, format); });
}

Answer answer_ledger(const Call& call) {
  auto parameters = read_parameters(call.request, call.query, {});
  if (!parameters) return std::move(parameters.error());
  Reply reply;
  reply.content_type = "text/plain; charset=utf-8";
  reply.fields.emplace_back("Content-Disposition", "attachment; filename=\"sluice.ledger\"");
  reply.body = call.view.ledger_text();
  return reply;
}

}  // namespace sluice::admin
