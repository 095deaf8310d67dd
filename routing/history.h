// History: the revisions that can be looked at and rolled back to, in order, and what a rollback
// of a route restores. Pure. Owned by control beside the State; a revision is added to both.
#pragma once

#include <deque>
#include <expected>
#include <optional>
#include <string_view>
#include <vector>

#include "routing/revision.h"
#include "routing/state.h"

namespace sluice::routing {

class History {
 public:
  static constexpr std::size_t kKeptDefault = 10'000;

  explicit History(std::size_t kept_max = kKeptDefault) : kept_max_(kept_max) {}

  // Precondition: its number is higher than the last one's.
  void add(Revision revision);
  const std::deque<Revision>& revisions() const { return revisions_; }  // oldest first
  const Revision* find(RevisionNumber number) const;

  // At most `limit` of those older than `before` (0: of all), newest first; where `route` is not
  // empty, those that changed it or are about a lease of its shifts.
  std::vector<const Revision*> list(std::string_view route, RevisionNumber before,
                                    std::size_t limit) const;

  // What a rollback of a route would restore, in terms of the split that it has now.
  struct Target {
    RouteSetting setting;
    RevisionNumber of = 0;  // whose setting it is; 0: of one that is no longer kept
  };
  std::expected<Target, PlanError> rollback_target(const State& state, std::string_view route,
                                                   std::optional<RevisionNumber> to) const;

 private:
  std::expected<Target, PlanError> one_step_back(const RouteState& now,
                                                 std::string_view route) const;
  std::expected<Target, PlanError> at(const State& state, std::string_view route,
                                      RevisionNumber number) const;
  // It changed the route, or is about a lease of a shift that did.
  bool concerns(const Revision& revision, std::string_view route) const;
  // The revision whose setting that one left the route in; null: it is no longer kept.
  const Revision* stand_of(const Revision& revision, std::string_view route) const;
  const Revision* leased_below(const Revision& upper, std::string_view route) const;
  // The last revision below `number` that changed the route's setting; null: none that is kept.
  const Revision* last_before(RevisionNumber number, std::string_view route) const;

  std::size_t kept_max_;
  std::deque<Revision> revisions_;
};

// What the ledger's revisions add up to.
struct Book {
  State state;
  History history;
  void add(const Revision& revision) {
    state.apply(revision);
    history.add(revision);
  }
};

// `setting` in terms of the backends that `now` has; an error that names those which are gone and
// had weight.
std::expected<RouteSetting, PlanError> fitted(const RouteSetting& setting, const RouteSetting& now,
                                              std::string_view route);

}  // namespace sluice::routing
