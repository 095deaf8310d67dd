// What the tests of this room say over and over: configurations, splits and requests in a line.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "routing/history.h"
#include "routing/state.h"

namespace sluice::routing {

inline conf::WeightedBackend share(std::string backend, const char* weight) {
  return {std::move(backend), *Decimal::parse(weight)};
}

inline Split blue_green(const char* blue, const char* green) {
  return {share("blue", blue), share("green", green)};
}

inline conf::Backend backend(std::string name, const std::vector<std::string>& servers) {
  conf::Backend made{std::move(name), {}, {}};
  for (const std::string& server : servers) {
    const auto port = std::to_string(8000 + made.servers.size());
    made.servers.push_back({server, *Address::parse("127.0.0.1:" + port)});
  }
  return made;
}

inline conf::Route route(std::string name, Split split) {
  return {std::move(name), {}, "/", std::move(split)};
}

// Backends blue (b1, b2) and green (g1), and the route app over both, 90 to 10.
inline conf::Config basic_config() {
  conf::Config config;
  config.backends = {backend("blue", {"b1", "b2"}), backend("green", {"g1"})};
  config.routes = {route("app", blue_green("90", "10"))};
  return config;
}

inline State state_of(const conf::Config& config) {
  State state;
  const State::ReloadPlan plan = state.plan_reload(config, {});
  if (plan.revision) state.apply(*plan.revision);
  return state;
}

// What stands in the file of basic_config() for a route's setting.
inline RouteSetting setting(Split split) {
  return {std::move(split), {}};
}

inline RouteWish put(std::string route, NamedTexts weights) {
  return {std::move(route), StatedSplit{.weights = std::move(weights)}};
}

inline RouteWish patch(std::string route, NamedTexts weights) {
  return {std::move(route), StatedSplit{.weights = std::move(weights), .whole = false}};
}

inline RouteWish switch_to(std::string route, std::string backend,
                           std::optional<RevisionNumber> if_match = {}) {
  return {std::move(route), SwitchTo{std::move(backend)}, if_match};
}

// One wish as a transaction of its own, without a guard.
inline std::expected<Revision, PlanError> plan_wish(const State& state, RouteWish wish,
                                                    Origin origin = {}, WallTime now = {},
                                                    const History& history = History()) {
  const conf::Config config = basic_config();
  const RevisionKind kind = std::holds_alternative<SwitchTo>(wish.what)   ? RevisionKind::switch_to
                            : std::holds_alternative<RollBack>(wish.what) ? RevisionKind::rollback
                                                                          : RevisionKind::shift;
  return state.plan({.kind = kind, .routes = {std::move(wish)}},
                    {.config = config, .history = history}, std::move(origin), now);
}

}  // namespace sluice::routing
