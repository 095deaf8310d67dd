// State::plan(): what a caller wishes of routes becomes one revision, whole, or an error.
#include <algorithm>
#include <set>

#include "routing/history.h"
#include "routing/split_reader.h"
#include "routing/state.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

std::unexpected<PlanError> unknown_route(
    std::string_view name, const std::map<std::string, RouteState, std::less<>>& routes) {
  std::vector<std::string_view> names;
  for (const auto& [known, state] : routes) names.push_back(known);
  return refuse(PlanError::Kind::unknown_route,
                "no route is named " + in_quotes(name) + ": " + suggestion(name, names));
}

std::expected<Split, PlanError> switched(const Split& before, const SwitchTo& to,
                                         std::string_view route) {
  Split after = before;
  bool found = false;
  for (conf::WeightedBackend& share : after) {
    const bool chosen = share.backend == to.backend;
    share.weight = chosen ? Decimal{100, 0} : Decimal{};
    if (chosen) share.state = conf::ShareState::active;
    found = found || chosen;
  }
  if (found) return after;
  return refuse(PlanError::Kind::unknown_backend,
                "route " + in_quotes(route) + " can't switch to backend " + in_quotes(to.backend) +
                    ", which is not in its split: " + suggestion(to.backend, backend_names(after)));
}

// Its part of what is given out by weight.
double part(const RouteSetting& setting, std::size_t index) {
  if (setting.maintenance) return 0;
  const auto active = [](const conf::WeightedBackend& share) {
    return share.state == conf::ShareState::active ? share.weight.to_double() : 0;
  };
  double sum = 0;
  for (const conf::WeightedBackend& share : setting.split) sum += active(share);
  return sum > 0 ? active(setting.split[index]) / sum : 0;
}

// The backends that would get more than before, or those who belong to them back, and have no
// server to take it.
std::vector<std::string_view> unable(const RouteChange& change, const Facts& facts) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < change.after.split.size(); ++i) {
    const std::string& backend = change.after.split[i].backend;
    const bool reopens = sends_to(change.after, backend) && !sends_to(change.before, backend);
    const bool grows = part(change.after, i) > part(change.before, i);
    if ((grows || reopens) && !can_serve(facts, backend)) names.push_back(backend);
  }
  return names;
}

}  // namespace

std::expected<Revision, PlanError> State::plan(const Transaction& transaction, const Facts& facts,
                                               Origin origin, WallTime now) const {
  Revision revision = next(transaction.kind, std::move(origin), now);
  std::set<std::string_view> seen;
  for (const RouteWish& wish : transaction.routes) {
    if (!seen.insert(wish.route).second) {
      return refuse(PlanError::Kind::bad_split,
                    "route " + in_quotes(wish.route) + " is stated more than once");
    }
    auto change = plan_route(wish, facts, revision.of);
    if (!change) return std::unexpected(std::move(change.error()));
    revision.routes.push_back(std::move(*change));
  }
  if (revision.routes.empty()) {
    return refuse(PlanError::Kind::bad_split, "no route is stated: state at least one");
  }
  if (!transaction.force) {
    for (const RouteChange& change : revision.routes) {
      const auto names = unable(change, facts);
      if (names.empty()) continue;
      return refuse(PlanError::Kind::no_healthy_server,
                    "route " + in_quotes(change.route) + " would send more to backend " +
                        listed(names) +
                        ", which has no server that takes requests: bring one up first, wait for "
                        "one with wait=healthy, or say force=true",
                    change.route);
    }
  }
  if (transaction.lease) {
    if (image_.leases.size() >= kLeasesMax) {
      return refuse(PlanError::Kind::bad_split, "there are " + std::to_string(kLeasesMax) +
                                                    " leases already: confirm some of them");
    }
    revision.lease =
        Lease{transaction.lease->ttl, now + transaction.lease->ttl, transaction.lease->on_lapse};
  }
  return revision;
}

std::expected<RouteChange, PlanError> State::plan_route(const RouteWish& wish, const Facts& facts,
                                                        RevisionNumber& of) const {
  const RouteState* current = route(wish.route);
  if (current == nullptr) return unknown_route(wish.route, image_.routes);
  if (wish.if_match && *wish.if_match != current->revision) {
    return refuse(PlanError::Kind::stale,
                  "route " + in_quotes(wish.route) + " is at revision " +
                      std::to_string(current->revision) + ", not " +
                      std::to_string(*wish.if_match) + ": look at it again and state that revision",
                  wish.route);
  }
  const auto configured = std::ranges::find(facts.config.routes, wish.route, &conf::Route::name);
  if (!wish.if_match && configured != facts.config.routes.end() && configured->require_if_match) {
    return refuse(PlanError::Kind::if_match_required,
                  "route " + in_quotes(wish.route) +
                      " takes changes with If-Match only, and is at revision " +
                      std::to_string(current->revision),
                  wish.route);
  }
  RouteChange change{wish.route, current->setting, current->setting, {}};
  if (const auto* stated = std::get_if<StatedSplit>(&wish.what)) {
    SplitReader reader(current->setting.split);
    reader.read(*stated);
    auto after = reader.result(wish.route);
    if (!after) return std::unexpected(std::move(after.error()));
    change.after.split = std::move(*after);
  } else if (const auto* to = std::get_if<SwitchTo>(&wish.what)) {
    auto after = switched(current->setting.split, *to, wish.route);
    if (!after) return std::unexpected(std::move(after.error()));
    change.after.split = std::move(*after);
  } else if (const auto* set = std::get_if<SetMaintenance>(&wish.what)) {
    change.after.maintenance = set->maintenance;
  } else {
    auto target =
        facts.history.rollback_target(*this, wish.route, std::get<RollBack>(wish.what).to);
    if (!target) return std::unexpected(std::move(target.error()));
    change.after = std::move(target->setting);
    of = target->of;
  }
  const bool sticky = configured != facts.config.routes.end() && configured->sticky.has_value();
  settle_partition(change.after, current->setting.partition, sticky);
  return change;
}

std::expected<Revision, PlanError> State::plan_lease(RevisionKind kind, RevisionNumber lease,
                                                     std::optional<std::chrono::seconds> ttl,
                                                     Origin origin, WallTime now) const {
  const auto found = image_.leases.find(lease);
  if (found == image_.leases.end()) {
    return refuse(PlanError::Kind::unknown_lease,
                  "no lease of revision " + std::to_string(lease) +
                      " runs: it has lapsed, was confirmed, or a later revision took its place");
  }
  Revision revision = next(kind, std::move(origin), now);
  revision.of = lease;
  if (kind == RevisionKind::renew_lease) {
    revision.lease = found->second.lease;
    if (ttl) revision.lease->ttl = *ttl;
    revision.lease->deadline = now + revision.lease->ttl;
    return revision;
  }
  if (kind != RevisionKind::lapse_lease || found->second.lease.on_lapse == Lease::OnLapse::freeze) {
    return revision;
  }
  for (const std::string& name : leased_routes(lease)) {
    const RouteChange& shift = *std::ranges::find(found->second.routes, name, &RouteChange::route);
    const RouteSetting& present = route(name)->setting;
    auto before = fitted(shift.before, present, name);
    if (!before) {
      revision.conflicts.push_back(before.error().message);
      continue;
    }
    settle_partition(*before, present.partition, !present.partition.empty());
    revision.routes.push_back({name, present, std::move(*before), {}});
  }
  return revision;
}

}  // namespace sluice::routing
