#include "proxy/control/lease_keeper.h"

#include <algorithm>

#include "proxy/control/event_log.h"

namespace sluice::proxy {

// How long a lapse waits for every worker. What is late is late for nobody.
constexpr Duration kAdoptTime = std::chrono::seconds(2);

LeaseKeeper::LeaseKeeper(io::Loop& loop, const routing::Book& book, ChangeQueue& changes)
    : loop_(loop),
      book_(book),
      changes_(changes),
      timer_(io::Timer::calling<&LeaseKeeper::look>(this)) {
}

void LeaseKeeper::stop() {
  stopped_ = true;
  timer_.cancel();
}

void LeaseKeeper::look() {
  if (stopped_ || lapsing_) return;
  const WallTime now = loop_.wall_now();
  Duration next = kLookTime;
  for (const auto& [number, lease] : book_.state.leases()) {
    if (lease.lease.deadline <= now) {
      lapse(number);
      return;
    }
    next = std::min(next, Duration(lease.lease.deadline - now));
  }
  if (book_.state.leases().empty()) {
    timer_.cancel();
  } else {
    loop_.timers().arm(timer_, loop_.now() + next);
  }
}

void LeaseKeeper::lapse(routing::RevisionNumber lease) {
  lapsing_ = true;
  changes_.submit(
      [this, lease](const routing::State& state)
          -> std::expected<std::optional<routing::Revision>, routing::PlanError> {
        const auto running = state.leases().find(lease);
        // Renewed, confirmed or superseded while this was waiting for its turn.
        if (running == state.leases().end() || running->second.lease.deadline > loop_.wall_now()) {
          return std::nullopt;
        }
        return plan_lapse(state, lease, loop_.wall_now());
      },
      [this, lease](const ChangeQueue::Outcome& outcome) {
        lapsing_ = false;
        if (!outcome.ledger_error.empty()) {
          if (stats_.failures++ == 0) log_not_lapsed(lease, outcome.ledger_error);
          if (!stopped_) loop_.timers().arm(timer_, loop_.now() + kLookTime);
          return;
        }
        if (outcome.revision) {
          const bool reverted = !outcome.revision->routes.empty();
          ++(reverted ? stats_.reverted : stats_.frozen);
          log_lapse(*outcome.revision);
        }
        look();
      },
      kAdoptTime);
}

std::expected<routing::Revision, routing::PlanError> plan_lapse(const routing::State& state,
                                                                routing::RevisionNumber lease,
                                                                WallTime now) {
  return state.plan_lease(routing::RevisionKind::lapse_lease, lease, {},
                          {.identity = "lease", .author = {}, .reason = {}}, now);
}

void log_lapse(const routing::Revision& lapse) {
  std::string routes;
  for (const routing::RouteChange& change : lapse.routes) {
    routes += (routes.empty() ? "" : ", ") + change.route;
  }
  log_event(Level::warning, "lease_lapsed",
            {{"lease", std::to_string(lapse.of)},
             {"revision", std::to_string(lapse.number)},
             {"reverted", routes}});
  for (const std::string& conflict : lapse.conflicts) {
    log_event(Level::error, "lease_not_reverted", {{"reason", conflict}});
  }
}

void log_not_lapsed(routing::RevisionNumber lease, const std::string& reason) {
  log_event(Level::error, "lease_not_lapsed",
            {{"lease", std::to_string(lease)}, {"reason", reason}});
}

}  // namespace sluice::proxy
