// State::plan_reload(): what a configuration file changes, and what it must not (guarantee G8).
#include <algorithm>
#include <set>

#include "routing/state.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

bool same_weights(const Split& a, const Split& b) {
  return a.size() == b.size() && std::ranges::is_permutation(a, b);
}

bool same_backends(const Split& a, const Split& b) {
  return a.size() == b.size() &&
         std::ranges::is_permutation(a, b, {}, &conf::WeightedBackend::backend,
                                     &conf::WeightedBackend::backend);
}

// Precondition: same_backends(split, order).
Split in_order_of(const Split& order, const Split& split) {
  Split ordered;
  for (const conf::WeightedBackend& share : order) {
    ordered.push_back(*std::ranges::find(split, share.backend, &conf::WeightedBackend::backend));
  }
  return ordered;
}

// Everything about the file's split that routing can't carry out.
std::optional<std::string> why_refused(const conf::Route& route,
                                       const std::vector<std::string_view>& backends) {
  const std::string who = "the split of route " + in_quotes(route.name) + " is refused: ";
  std::set<std::string_view> seen;
  for (const conf::WeightedBackend& share : route.split) {
    if (!std::ranges::binary_search(backends, share.backend)) {
      return who + "no backend is named " + in_quotes(share.backend) + ", " +
             suggestion(share.backend, backends);
    }
    if (!seen.insert(share.backend).second) {
      return who + "backend " + in_quotes(share.backend) + " is stated more than once";
    }
  }
  const std::optional<std::string> misfit = why_unfit(route.split);
  if (!misfit) return {};
  return who + *misfit;
}

std::string set_by(const RouteState& route) {
  return to_text(route.setting.split) + ", set by revision " + std::to_string(route.revision);
}

// What the file does to one route that is known already.
struct RouteReload {
  std::optional<RouteChange> change;
  std::optional<std::string> conflict;
};

RouteReload reload_route(const conf::Route& route, const RouteState& known) {
  RouteReload reload;
  const bool text_changed = !same_weights(route.split, known.file_split);
  const bool fits =
      same_backends(route.split, known.setting.split) && !why_unfit(known.setting.split);
  const bool file_wins = text_changed || !fits;
  const bool set_through_api = !same_weights(known.setting.split, known.file_split);

  if (file_wins && set_through_api && !same_weights(route.split, known.setting.split)) {
    const std::string why = text_changed
                                ? "its split in the file changed from " +
                                      to_text(known.file_split) + " to " + to_text(route.split)
                                : "its split no longer fits the file's, " + to_text(route.split);
    reload.conflict =
        "route " + in_quotes(route.name) + ": " + why + ", which replaces " + set_by(known);
  }
  Split after = file_wins ? route.split : in_order_of(route.split, known.setting.split);
  RouteSetting setting = known.setting;
  setting.split = std::move(after);
  // A split that is refused has no shares.
  if (!why_unfit(setting.split)) settle_partition(setting, {}, route.sticky.has_value());
  if (setting != known.setting || route.split != known.file_split) {
    reload.change = {route.name, known.setting, std::move(setting), route.split};
  }
  return reload;
}

std::set<ServerKey> servers_of(const conf::Config& config) {
  std::set<ServerKey> servers;
  for (const conf::Backend& backend : config.backends) {
    for (const conf::Server& server : backend.servers) servers.insert({backend.name, server.name});
  }
  return servers;
}

}  // namespace

State::ReloadPlan State::plan_reload(const conf::Config& config, WallTime now) const {
  ReloadPlan plan;
  std::vector<std::string_view> backends;
  for (const conf::Backend& backend : config.backends) backends.push_back(backend.name);
  std::ranges::sort(backends);

  Revision revision = next(RevisionKind::reload, {.identity = "file"}, now);
  std::set<std::string_view> in_file;
  for (const conf::Route& route : config.routes) {
    if (auto refused = why_refused(route, backends)) plan.errors.push_back(std::move(*refused));
    if (!in_file.insert(route.name).second) {
      plan.errors.push_back("route " + in_quotes(route.name) +
                            " is stated more than once: a route's name must be its own");
      continue;
    }
    const RouteState* known = this->route(route.name);
    if (known == nullptr) {
      if (why_unfit(route.split)) continue;  // refused already
      RouteSetting setting{route.split};
      settle_partition(setting, {}, route.sticky.has_value());
      revision.routes.push_back({route.name, {}, std::move(setting), route.split});
      continue;
    }
    RouteReload reload = reload_route(route, *known);
    if (reload.change) revision.routes.push_back(std::move(*reload.change));
    if (reload.conflict) plan.conflicts.push_back(std::move(*reload.conflict));
  }
  for (const auto& [name, known] : image_.routes) {
    if (in_file.contains(name)) continue;
    revision.routes.push_back({name, known.setting, {}, {}});
    if (!same_weights(known.setting.split, known.file_split)) {
      plan.conflicts.push_back("route " + in_quotes(name) +
                               ": it is no longer in the file (where it was " +
                               to_text(known.file_split) + "), which forgets " + set_by(known));
    }
  }
  const std::set<ServerKey> servers = servers_of(config);
  reload_members(config, revision, plan.conflicts);
  for (const auto& [server, drain] : image_.drains) {
    const auto changed = std::ranges::find(revision.members, server, &MembershipChange::server);
    const bool added = membership(server).added && changed == revision.members.end();
    if (drain.draining && !added && !servers.contains(server)) {
      revision.drains.push_back({server, true, false});
    }
  }

  if (!plan.errors.empty()) {
    plan.conflicts.clear();
  } else if (!revision.routes.empty() || !revision.drains.empty() || !revision.members.empty()) {
    revision.conflicts = plan.conflicts;
    plan.revision = std::move(revision);
  }
  return plan;
}

}  // namespace sluice::routing
