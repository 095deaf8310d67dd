// From a Command to the revision that would carry it out: one place for control and the tests.
#pragma once

#include <expected>

#include "admin/api.h"
#include "routing/revision.h"
#include "routing/state.h"

namespace sluice::admin {

// The error: nothing is changed. A revision that changes nothing (State::changes_nothing()) is
// not to be applied.
std::expected<routing::Revision, routing::PlanError> plan(const Command& command,
                                                          const routing::State& state,
                                                          const routing::Facts& facts,
                                                          WallTime now);

}  // namespace sluice::admin
