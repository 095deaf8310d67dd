// Calls that watch, and ask why.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <expected>
#include <string>
#include <vector>

#include "admin/calls.h"
#include "admin/explain.h"
#include "admin/form.h"
#include "admin/problem.h"
#include "admin/render.h"
#include "admin/webhook.h"
#include "proxy/base/check.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"since", "types", "follow"};

std::expected<EventTypes, Reply> read_types(std::string_view text) {
  EventTypes types;
  std::vector<std::string_view> known;
  for (const EventType type : kEventTypes) known.push_back(to_string(type));
  for (;;) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view name = text.substr(0, end);
    const auto type = parse_event_type(name);
    if (!type) {
      return std::unexpected(problem(422, "unknown_type",
                                     fmt::format("types says {}: {}", routing::in_quotes(name),
                                                 routing::suggestion(name, known))));
    }
    types.add(*type);
    if (end == text.size()) return types;
    text.remove_prefix(end + 1);
  }
}

std::expected<EventStart, Reply> read_start(const Request& request, const Parameters& parameters,
                                            const EventLog& log, bool follow) {
  // A client that comes back says in its head where it was, whatever its address says.
  const std::string since =
      request.last_event_id.value_or(parameters.find("since").value_or(std::string()));
  if (since.empty()) return follow ? log.now() : log.oldest();
  auto start = log.after(since);
  if (!start) return std::unexpected(problem(400, "bad_event_id", std::move(start.error())));
  return std::move(*start);
}

}  // namespace

Answer answer_events(const Call& call) {
  SLUICE_CHECK(call.view.events != nullptr);
  const auto parameters = read_parameters(call.request, call.query, {.names = kNames});
  if (!parameters) return parameters.error();
  Follow follow{.types = EventTypes::all()};
  if (const auto text = parameters->find("follow")) {
    if (*text != "true" && *text != "false") {
      return problem(422, "bad_parameter",
                     fmt::format("follow is {}: write true or false.", routing::in_quotes(*text)));
    }
    follow.follow = *text == "true";
  }
  if (const auto text = parameters->find("types")) {
    const auto types = read_types(*text);
    if (!types) return types.error();
    follow.types = *types;
  }
  auto start = read_start(call.request, *parameters, *call.view.events, follow.follow);
  if (!start) return std::move(start.error());
  follow.start = std::move(*start);
  return follow;
}

Answer answer_explain(const Call& call) {
  return explain(call.request, call.query, call.view);
}

Answer answer_webhooks(const Call& call) {
  return answer_read(call, [&](Format format) { return render_webhooks(call.view, format); });
}

Reply render_too_many_streams(std::size_t streams_max) {
  Reply reply = problem(503, "too_many_streams",
                        fmt::format("{} clients follow the events already, and no more may: come "
                                    "again later, or ask with follow=false.",
                                    streams_max));
  reply.fields.emplace_back("Retry-After", "15");
  return reply;
}

}  // namespace sluice::admin
