// The calls of the admin API, one function for each endpoint (endpoints.h has their table, api.cc
// finds the one that a request is for). Each reads what its call says and answers it, or makes a
// Command of it. Internal to the room.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "admin/api.h"
#include "admin/form.h"

namespace sluice::admin {

using Answer = Handled;

// One call on its way through: what the path named, and the query.
struct Call {
  const Request& request;
  const View& view;
  std::string_view query;
  std::vector<std::string> names;  // what the path has in the place of each name

  bool reads() const { return request.method == "GET" || request.method == "HEAD"; }
};

// --- What can be seen: read_calls.cc ------------------------------------------------------------
Answer answer_index(const Call& call);
Answer answer_all_weights(const Call& call);
Answer answer_backends(const Call& call);
Answer answer_backend(const Call& call);
Answer answer_history(const Call& call);
Answer answer_route_history(const Call& call);
Answer answer_revision(const Call& call);
Answer answer_leases(const Call& call);
Answer answer_conflicts(const Call& call);
Answer answer_ledger(const Call& call);

// --- What happens, and why: watch_calls.cc ------------------------------------------------------
Answer answer_events(const Call& call);
Answer answer_explain(const Call& call);
Answer answer_webhooks(const Call& call);

// --- What changes routes: shift_calls.cc --------------------------------------------------------
Answer answer_route(const Call& call);  // GET, too
Answer answer_switch(const Call& call);
Answer answer_shifts(const Call& call);
Answer answer_states(const Call& call);
Answer answer_maintenance(const Call& call);
Answer answer_rollback(const Call& call);
Answer answer_lease(const Call& call);
Answer answer_renewal(const Call& call);
Answer answer_reload(const Call& call);

// --- What changes servers: server_calls.cc ------------------------------------------------------
Answer answer_add_server(const Call& call);
Answer answer_server(const Call& call);  // GET, too
Answer answer_drain(const Call& call);
Answer answer_resume(const Call& call);
Answer answer_drain_all(const Call& call);
Answer answer_resume_all(const Call& call);

// --- What they share: call_parts.cc -------------------------------------------------------------

// `lacks`: "There is no route".
Reply unknown_name(std::string_view code, std::string_view lacks, std::string_view name,
                   const std::vector<std::string_view>& names);
Reply unknown_route(const Call& call);
Reply unknown_backend(const Call& call);
const conf::Backend* find_backend(const Call& call);
// A server by its name or by its address, whichever the path has.
std::expected<routing::ServerKey, Reply> find_server(const Call& call);
std::expected<routing::RevisionNumber, Reply> parse_number(std::string_view what,
                                                           std::string_view text);

// Its Idempotency-Key is known: it was made before, and is not made again, so that what it says of
// the present is no matter.
bool is_repeated(const Call& call);
// check_if_match(), but for a call that is_repeated().
std::expected<IfMatch, Reply> match_revision(const Call& call, routing::RevisionNumber current,
                                             std::string_view what);
// If-Match where there is no one revision that it could name; `why` is a sentence.
std::optional<Reply> refuse_if_match(const Call& call, std::string_view why);

// What a write may say beside what is its own: author, reason, format, dry_run.
std::vector<std::string_view> write_names(std::initializer_list<std::string_view> own);
// The same for what changes routes: ttl, on_lapse, force, wait, timeout, too.
std::vector<std::string_view> shift_names(std::initializer_list<std::string_view> own);
// Who asks and why, how to answer, whether it is only a try, the Idempotency-Key.
std::expected<Command, Reply> begin_command(const Call& call, const Parameters& parameters);
// ttl, on_lapse, force, wait, timeout.
std::expected<Change, Reply> begin_change(const Parameters& parameters);
std::expected<bool, Reply> parse_flag(const Parameters& parameters, std::string_view name);

template <typename Render>
Answer answer_read(const Call& call, Render&& render) {
  constexpr std::array<std::string_view, 1> kNames = {"format"};
  auto parameters = read_parameters(call.request, call.query, {.names = kNames});
  if (!parameters) return std::move(parameters.error());
  auto format = parse_format(parameters->find("format").value_or("json"));
  if (!format) return std::move(format.error());
  return render(*format);
}

}  // namespace sluice::admin
