#include "admin/plan.h"

#include <fmt/core.h>

#include "proxy/base/check.h"

namespace sluice::admin {
namespace {

using Planned = std::expected<routing::Revision, routing::PlanError>;

// What the caller looked at has changed since; nullopt: it has not.
std::optional<routing::PlanError> stale(const routing::State& state,
                                        const routing::ServerKey& server, const IfMatch& wanted) {
  const routing::RevisionNumber present = state.server_revision(server);
  if (!wanted || *wanted == present) return {};
  return routing::PlanError{
      routing::PlanError::Kind::stale,
      fmt::format("server {} is at revision {}, not {}: look at it again and state that revision",
                  server.to_string(), present, *wanted)};
}

// What each kind of action plans.
struct Planner {
  const Command& command;
  const routing::State& state;
  const routing::Facts& facts;
  WallTime now;

  Planned operator()(const Change& change) const {
    return state.plan(change.transaction, facts, command.origin, now);
  }
  Planned operator()(const Drain& drain) const {
    if (auto error = stale(state, drain.server, drain.if_match)) return std::unexpected(*error);
    if (drain.server.server.empty()) {
      return guarded(state.plan_drain_all(facts.config, drain.server.backend, drain.draining,
                                          command.origin, now),
                     drain.force);
    }
    return guarded(
        state.plan_drain(facts.config, drain.server, drain.draining, command.origin, now),
        drain.force);
  }
  Planned operator()(const AddServer& add) const {
    return state.plan_add(facts.config, add.server, command.origin, now);
  }
  Planned operator()(const RemoveServer& remove) const {
    if (auto error = stale(state, remove.server, remove.if_match)) return std::unexpected(*error);
    return state.plan_remove(facts, remove.server, remove.force, command.origin, now);
  }
  Planned operator()(const WeighServer& weigh) const {
    if (auto error = stale(state, weigh.server, weigh.if_match)) return std::unexpected(*error);
    return guarded(state.plan_weigh(facts.config, weigh.server, weigh.weight, command.origin, now),
                   weigh.force);
  }
  Planned operator()(const LeaseAction& action) const {
    return state.plan_lease(action.kind, action.lease, action.ttl, command.origin, now);
  }
  Planned operator()(const ReloadFile&) const {
    SLUICE_CHECK(false && "a reload is planned with its file");
    return std::unexpected(routing::PlanError{});
  }

  Planned guarded(Planned planned, bool force) const {
    if (!planned || force) return planned;
    if (auto error = state.unserved(*planned, facts)) return std::unexpected(std::move(*error));
    return planned;
  }
};

}  // namespace

Planned plan(const Command& command, const routing::State& state, const routing::Facts& facts,
             WallTime now) {
  auto planned = std::visit(Planner{command, state, facts, now}, command.action);
  if (planned) planned->key = command.key;
  return planned;
}

}  // namespace sluice::admin
