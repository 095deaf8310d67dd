#include "proxy/cli/change.h"

#include "proxy/cli/show.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

// How long --wait alone waits: for health as long as the API does by itself, for a drain twice as
// long as Sluice gives running exchanges when it stops.
constexpr std::string_view kHealthWaitDefault = "30s";
constexpr std::string_view kWaitDefault = "60s";

// Adds --wait to the query; how long it may take.
Duration add_wait(const ChangeOptions& options, bool for_health, Query& query) {
  if (!options.wait) return Duration::zero();
  std::string wait = *options.wait;
  if (wait.empty()) wait = for_health ? kHealthWaitDefault : kWaitDefault;
  if (for_health) query.add("wait", "healthy");
  query.add(for_health ? "timeout" : "wait", wait);
  return parse_duration(wait).value_or(Duration::zero());
}

}  // namespace

int make_change(const Change& options, ChangeCall call) {
  const ChangeOptions& change = options.change;
  http::Fields fields;
  if (!call.if_match_in_body) {
    const auto if_match = if_match_of(change, "");
    if (!if_match) return fail_usage(if_match.error());
    if (*if_match) fields.append("If-Match", **if_match);
  }
  if (!change.idempotency_key.empty()) fields.append("Idempotency-Key", change.idempotency_key);
  auto client = AdminClient::make(options.client);
  if (!client) return fail(options.client, client.error());
  Query& query = call.query;
  query.add("author", author_of(change));
  if (!change.reason.empty()) query.add("reason", change.reason);
  if (change.dry_run) query.add("dry_run", "true");
  if (change.force) query.add("force", "true");
  if (!change.ttl.empty()) query.add("ttl", change.ttl);
  if (!change.on_lapse.empty()) query.add("on_lapse", change.on_lapse);
  const Duration waits = add_wait(change, call.wait_for_health, query);
  return report(options.client,
                (*client)->call({.method = std::move(call.method),
                                 .target = call.path + query.text(),
                                 .fields = std::move(fields),
                                 .content_type = call.json.empty() ? "" : "application/json",
                                 .body = std::move(call.json)},
                                waits),
                describe_change);
}

}  // namespace sluice::cli
