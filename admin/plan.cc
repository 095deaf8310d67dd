#include "admin/plan.h"

namespace sluice::admin {
namespace {

using Planned = std::expected<routing::Revision, routing::PlanError>;

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
    return state.plan_drain(facts.config, drain.server, drain.draining, command.origin, now);
  }
};

}  // namespace

Planned plan(const Command& command, const routing::State& state, const routing::Facts& facts,
             WallTime now) {
  return std::visit(Planner{command, state, facts, now}, command.action);
}

}  // namespace sluice::admin
