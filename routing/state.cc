#include "routing/state.h"

#include <algorithm>

#include "proxy/base/check.h"
#include "routing/wording.h"

namespace sluice::routing {

std::optional<std::string> why_unfit(const Split& split) {
  std::vector<Decimal> weights;
  std::size_t non_zero = 0;
  bool any_active = false;
  for (const conf::WeightedBackend& share : split) {
    weights.push_back(share.weight);
    if (share.weight.is_zero()) continue;
    ++non_zero;
    any_active = any_active || share.state == conf::ShareState::active;
  }
  if (non_zero == 0) return "its weights are all zero: at least one must be more";
  if (!any_active) return "no backend with weight is active: at least one must be";
  if (split.size() > Schedule::kSharesMax) {
    return "it has " + std::to_string(split.size()) + " backends: at most " +
           std::to_string(Schedule::kSharesMax) + " are possible";
  }
  const std::vector<std::uint64_t> units = to_common_units(weights);
  if (Schedule::fits(units)) return {};
  std::uint64_t period = 0;
  for (std::uint64_t unit : units) period += unit;
  return "the exact order of these " + std::to_string(non_zero) + " weights repeats only after " +
         std::to_string(period) + " requests, and with more than " +
         std::to_string(Schedule::kStatelessSharesMax) + " backends above zero it must within " +
         std::to_string(Schedule::kTablePeriodMax) +
         ": use weights with fewer digits, or whole numbers that sum to at most that";
}

const RouteState* State::route(std::string_view name) const {
  const auto found = image_.routes.find(name);
  return found == image_.routes.end() ? nullptr : &found->second;
}

bool State::is_draining(const ServerKey& server) const {
  const auto found = image_.drains.find(server);
  return found != image_.drains.end() && found->second.draining;
}

RevisionNumber State::drain_revision(const ServerKey& server) const {
  const auto found = image_.drains.find(server);
  return found == image_.drains.end() ? 0 : found->second.revision;
}

RevisionNumber State::server_revision(const ServerKey& server) const {
  const auto found = image_.members.find(server);
  const RevisionNumber member = found == image_.members.end() ? 0 : found->second.revision;
  return std::max(drain_revision(server), member);
}

Membership State::membership(const ServerKey& server) const {
  const auto found = image_.members.find(server);
  return found == image_.members.end() ? Membership{} : found->second.membership;
}

RevisionNumber State::lease_of(std::string_view name) const {
  const RouteState* found = route(name);
  return found != nullptr && image_.leases.contains(found->revision) ? found->revision : 0;
}

std::vector<std::string> State::leased_routes(RevisionNumber lease) const {
  std::vector<std::string> names;
  const auto found = image_.leases.find(lease);
  if (found == image_.leases.end()) return names;
  for (const RouteChange& change : found->second.routes) {
    const RouteState* now = route(change.route);
    if (now != nullptr && now->revision == lease) names.push_back(change.route);
  }
  return names;
}

const KnownKey* State::known_key(std::string_view text) const {
  const auto found = std::ranges::find_if(
      image_.keys, [text](const KnownKey& known) { return known.key.text == text; });
  return found == image_.keys.end() ? nullptr : &*found;
}

Revision State::next(RevisionKind kind, Origin origin, WallTime now) const {
  Revision revision;
  revision.number = image_.revision + 1;
  revision.parent = image_.revision;
  revision.kind = kind;
  revision.time = now;
  revision.origin = std::move(origin);
  return revision;
}

// --- What a revision does -----------------------------------------------------------------------

namespace {

// What comes back when a lease of this shift lapses: what there was before it or, where a lease
// held for that as well, what was to come back of that one. A pipeline that shifts step by step and
// dies leaves nothing behind that nobody kept.
std::vector<RouteChange> under_lease(const State& state, const Revision& shift) {
  std::vector<RouteChange> routes = shift.routes;
  for (RouteChange& change : routes) {
    const auto held = state.leases().find(state.lease_of(change.route));
    if (held == state.leases().end()) continue;
    const auto found = std::ranges::find(held->second.routes, change.route, &RouteChange::route);
    if (found != held->second.routes.end()) change.before = found->before;
  }
  return routes;
}

}  // namespace

bool State::changes_nothing(const Revision& revision) const {
  return routing::changes_nothing(revision) &&
         std::ranges::none_of(revision.routes, [this](const RouteChange& change) {
           return lease_of(change.route) != 0;
         });
}

Revision State::remembering(Revision planned) const {
  SLUICE_CHECK(planned.key && changes_nothing(planned));
  planned.result = kUnchanged;
  planned.of = planned.routes.empty() ? revision() : 0;
  for (const RouteChange& change : planned.routes) {
    planned.of = std::max(planned.of, route(change.route)->revision);
  }
  return planned;
}

void State::apply(const Revision& revision) {
  SLUICE_CHECK(revision.number > image_.revision);
  if (revision.key) {
    image_.keys.push_back({*revision.key, revision.number});
    if (image_.keys.size() > kKeysMax) image_.keys.pop_front();
  }
  if (only_remembers(revision)) {
    image_.revision = revision.number;
    return;
  }
  // Which lease holds for a route is told by the revision that it leaves now.
  std::vector<RouteChange> leased = under_lease(*this, revision);
  image_.revision = revision.number;
  apply_routes(revision);
  apply_servers(revision);
  apply_lease(revision);
  if (const auto lease = image_.leases.find(revision.number); lease != image_.leases.end())
    lease->second.routes = std::move(leased);
}

void State::apply_routes(const Revision& revision) {
  for (const RouteChange& change : revision.routes) {
    if (change.after.split.empty()) {
      image_.routes.erase(change.route);
      continue;
    }
    RouteState& route = image_.routes[change.route];
    // A reload that only takes the file's text over leaves the route's ETag alone.
    const bool moved = revision.kind != RevisionKind::reload ||
                       !std::ranges::is_permutation(change.before.split, change.after.split) ||
                       change.before.maintenance != change.after.maintenance ||
                       change.before.partition != change.after.partition;
    if (moved) route.revision = revision.number;
    route.setting = change.after;
    if (!change.file.empty()) route.file_split = change.file;
  }
}

void State::apply_servers(const Revision& revision) {
  for (const DrainChange& change : revision.drains) {
    if (revision.kind == RevisionKind::reload) {
      image_.drains.erase(change.server);
    } else if (change.before != change.after || !image_.drains.contains(change.server)) {
      image_.drains[change.server] = {change.after, revision.number};
    }
  }
  for (const MembershipChange& change : revision.members) {
    if (change.after.is_plain()) {
      image_.members.erase(change.server);
    } else {
      image_.members[change.server] = {change.after, revision.number};
    }
  }
}

void State::apply_lease(const Revision& revision) {
  switch (revision.kind) {
    case RevisionKind::renew_lease:
      if (const auto found = image_.leases.find(revision.of);
          found != image_.leases.end() && revision.lease) {
        found->second.lease = *revision.lease;
      }
      break;
    case RevisionKind::confirm_lease:
    case RevisionKind::lapse_lease:
      image_.leases.erase(revision.of);
      break;
    default:
      if (revision.lease) image_.leases[revision.number] = {*revision.lease, revision.routes};
      break;
  }
  std::erase_if(image_.leases,
                [this](const auto& entry) { return leased_routes(entry.first).empty(); });
}

}  // namespace sluice::routing
