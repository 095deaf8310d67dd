#include "routing/history.h"

#include <algorithm>

#include "proxy/base/check.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

const RouteChange* change_of(const Revision& revision, std::string_view route) {
  if (only_remembers(revision)) return nullptr;
  const auto found = std::ranges::find(revision.routes, route, &RouteChange::route);
  return found == revision.routes.end() ? nullptr : &*found;
}

// A reload that only takes the file's text over changes no setting.
const RouteChange* moved(const Revision& revision, std::string_view route) {
  const RouteChange* change = change_of(revision, route);
  return change != nullptr && change->before != change->after ? change : nullptr;
}

}  // namespace

void History::add(Revision revision) {
  SLUICE_CHECK(revisions_.empty() || revision.number > revisions_.back().number);
  revisions_.push_back(std::move(revision));
  while (revisions_.size() > kept_max_) revisions_.pop_front();
}

const Revision* History::find(RevisionNumber number) const {
  const auto found = std::ranges::lower_bound(revisions_, number, {}, &Revision::number);
  return found != revisions_.end() && found->number == number ? &*found : nullptr;
}

std::vector<const Revision*> History::list(std::string_view route, RevisionNumber before,
                                           std::size_t limit) const {
  std::vector<const Revision*> listed;
  for (auto it = revisions_.rbegin(); it != revisions_.rend() && listed.size() < limit; ++it) {
    if (before != 0 && it->number >= before) continue;
    if (route.empty() || concerns(*it, route)) listed.push_back(&*it);
  }
  return listed;
}

std::expected<History::Target, PlanError> History::rollback_target(
    const State& state, std::string_view route, std::optional<RevisionNumber> to) const {
  const RouteState* now = state.route(route);
  SLUICE_CHECK(now != nullptr);
  auto target = to ? at(state, route, *to) : one_step_back(*now, route);
  if (!target) return target;
  auto setting = fitted(target->setting, now->setting, route);
  if (!setting) return std::unexpected(std::move(setting.error()));
  target->setting = std::move(*setting);
  return target;
}

bool History::concerns(const Revision& revision, std::string_view route) const {
  if (change_of(revision, route) != nullptr) return true;
  const Revision* shift = is_about_lease(revision) ? find(revision.of) : nullptr;
  return shift != nullptr && change_of(*shift, route) != nullptr;
}

// What was brought back, by a rollback or by a lease that lapsed, stands where it stood before: the
// next step goes behind that, and never forth again to what was undone.
const Revision* History::stand_of(const Revision& revision, std::string_view route) const {
  if (revision.kind == RevisionKind::rollback) return find(revision.of);
  if (revision.kind != RevisionKind::lapse_lease) return &revision;
  // Behind the leased shift, or the first of several that were leased one upon the other.
  const Revision* first = find(revision.of);
  while (first != nullptr) {
    const Revision* below = leased_below(*first, route);
    if (below == nullptr) break;
    first = below;
  }
  return first == nullptr ? nullptr : last_before(first->number, route);
}

// The leased shift of the route upon which that one was made; null: there is none.
const Revision* History::leased_below(const Revision& upper, std::string_view route) const {
  for (auto it = revisions_.rbegin(); it != revisions_.rend(); ++it) {
    if (it->number >= upper.number) continue;
    // A reload that only takes the file's text over leaves leases alone.
    const bool touched = it->kind == RevisionKind::reload ? moved(*it, route) != nullptr
                                                          : change_of(*it, route) != nullptr;
    if (!touched) continue;
    const bool ended = std::ranges::any_of(revisions_, [&](const Revision& later) {
      return later.of == it->number && later.number < upper.number && is_about_lease(later) &&
             later.kind != RevisionKind::renew_lease;
    });
    return it->lease && !ended ? &*it : nullptr;
  }
  return nullptr;
}

std::expected<History::Target, PlanError> History::one_step_back(const RouteState& now,
                                                                 std::string_view route) const {
  const Revision* revision = last_before(now.revision + 1, route);
  while (revision != nullptr) {
    const Revision* stand = stand_of(*revision, route);
    if (stand == revision) break;
    revision = stand == nullptr ? nullptr : last_before(stand->number + 1, route);
  }
  if (revision == nullptr) {
    return refuse(PlanError::Kind::nothing_before,
                  "nothing is known of what route " + in_quotes(route) +
                      " was before: its history does not reach further back");
  }
  const RouteChange* change = moved(*revision, route);
  if (change->before.split.empty()) {
    return refuse(PlanError::Kind::nothing_before,
                  "route " + in_quotes(route) + " came into being with revision " +
                      std::to_string(revision->number) + ": there is nothing before it");
  }
  const Revision* earlier = last_before(revision->number, route);
  return Target{change->before, earlier == nullptr ? 0 : earlier->number};
}

std::expected<History::Target, PlanError> History::at(const State& state, std::string_view route,
                                                      RevisionNumber number) const {
  const RevisionNumber oldest = revisions_.empty() ? state.revision() : revisions_.front().number;
  if (number > state.revision() || number < oldest) {
    return refuse(PlanError::Kind::unknown_revision,
                  "there is no revision " + std::to_string(number) + ": known are " +
                      std::to_string(oldest) + " to " + std::to_string(state.revision()));
  }
  // What was in force then is what the first change after it changed.
  const RouteState& now = *state.route(route);
  Target target{now.setting, number};
  for (const Revision& later : revisions_) {
    if (later.number <= number) continue;
    const RouteChange* change = moved(later, route);
    if (change == nullptr) continue;
    target.setting = change->before;
    break;
  }
  if (target.setting.split.empty()) {
    return refuse(
        PlanError::Kind::nothing_before,
        "route " + in_quotes(route) + " did not exist at revision " + std::to_string(number));
  }
  const Revision* own = last_before(number + 1, route);
  target.of = own == nullptr ? 0 : own->number;
  return target;
}

const Revision* History::last_before(RevisionNumber number, std::string_view route) const {
  for (auto it = revisions_.rbegin(); it != revisions_.rend(); ++it) {
    if (it->number < number && moved(*it, route) != nullptr) return &*it;
  }
  return nullptr;
}

std::expected<RouteSetting, PlanError> fitted(const RouteSetting& setting, const RouteSetting& now,
                                              std::string_view route) {
  std::vector<std::string_view> gone;
  for (const conf::WeightedBackend& share : setting.split) {
    if (share.weight.is_zero()) continue;
    const auto found = std::ranges::find(now.split, share.backend, &conf::WeightedBackend::backend);
    if (found == now.split.end()) gone.push_back(share.backend);
  }
  if (!gone.empty()) {
    return refuse(PlanError::Kind::backend_gone,
                  "route " + in_quotes(route) + " had weight on backend " + listed(gone) +
                      " then, which its split has no longer: name another revision with to=, or "
                      "state the weights");
  }
  RouteSetting fit = setting;
  fit.split = now.split;
  for (conf::WeightedBackend& share : fit.split) {
    const auto then =
        std::ranges::find(setting.split, share.backend, &conf::WeightedBackend::backend);
    const bool known = then != setting.split.end();
    share.weight = known ? then->weight : Decimal{};
    if (known) share.state = then->state;
  }
  return fit;
}

}  // namespace sluice::routing
