#include "routing/snapshot.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/base/single_writer.h"

namespace sluice::routing {
namespace {

std::vector<std::string> names(const Split& split) {
  std::vector<std::string> backends;
  for (const conf::WeightedBackend& share : split) backends.push_back(share.backend);
  return backends;
}

// Of those that get new requests.
Schedule make_schedule(const Split& split) {
  std::vector<Decimal> weights;
  for (const conf::WeightedBackend& share : split) {
    const bool active = share.state == conf::ShareState::active;
    weights.push_back(active ? share.weight : Decimal{});
  }
  return Schedule(to_common_units(weights));
}

void weigh(SnapshotBackend& backend, const std::vector<Decimal>& weights) {
  const std::vector<std::uint64_t> units = to_common_units(weights);
  for (std::size_t i = 0; i < units.size(); ++i) backend.servers[i].units = units[i];
  const bool differ = std::ranges::adjacent_find(units, std::not_equal_to()) != units.end();
  backend.weighted = differ || backend.slow_start > Duration::zero();
}

}  // namespace

std::string_view to_string(ChosenBy by) {
  switch (by) {
    case ChosenBy::sticky:
      return "sticky";
    case ChosenBy::forced:
      return "forced";
    case ChosenBy::redistributed:
      return "redistributed";
    case ChosenBy::fallback:
      return "fallback";
    case ChosenBy::ticket:
      break;
  }
  return "ticket";
}

void ServerRuntime::bring_up(TimePoint now) {
  const bool was_down = !up.load(std::memory_order_relaxed);
  if (was_down && begun_) note_return(now);
  begun_ = true;
  up.store(true, std::memory_order_relaxed);
}

std::uint64_t ServerRuntime::running() const {
  std::uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.running.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t ServerRuntime::requests_total() const {
  std::uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.requests_total.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t ServerRuntime::failures_total() const {
  std::uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.failures_total.load(std::memory_order_relaxed);
  return sum;
}

RouteRuntime::RouteRuntime(std::size_t worker_count, std::vector<std::string> backends,
                           const RouteRuntime* previous)
    : backends_(std::move(backends)),
      tickets_(previous != nullptr ? previous->tickets_ : std::make_shared<TicketCounter>()),
      by_(previous != nullptr ? previous->by_
                              : std::make_shared<std::vector<ByCell>>(worker_count)) {
  for (const std::string& backend : backends_) {
    std::shared_ptr<std::vector<Cell>> cells;
    if (previous != nullptr) {
      const auto found = std::ranges::find(previous->backends_, backend);
      const auto share = static_cast<std::size_t>(found - previous->backends_.begin());
      if (found != previous->backends_.end()) cells = previous->shares_[share];
    }
    if (!cells) cells = std::make_shared<std::vector<Cell>>(worker_count);
    shares_.push_back(std::move(cells));
  }
}

void RouteRuntime::count(std::size_t worker, std::size_t share) {
  base::add_as_single_writer((*shares_[share])[worker].requests, 1);
}

std::uint64_t RouteRuntime::total(std::size_t share) const {
  std::uint64_t sum = 0;
  for (const Cell& cell : *shares_[share]) sum += cell.requests.load(std::memory_order_relaxed);
  return sum;
}

void RouteRuntime::count_by(std::size_t worker, ChosenBy by) {
  base::add_as_single_writer((*by_)[worker].requests[static_cast<std::size_t>(by)], 1);
}

std::uint64_t RouteRuntime::total_by(ChosenBy by) const {
  std::uint64_t sum = 0;
  for (const ByCell& cell : *by_) {
    sum += cell.requests[static_cast<std::size_t>(by)].load(std::memory_order_relaxed);
  }
  return sum;
}

std::shared_ptr<const Snapshot> Registry::build(std::shared_ptr<const conf::Config> config,
                                                const State& state, std::uint64_t epoch,
                                                bool assume_up, TimePoint now) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->epoch = epoch;
  snapshot->revision = state.revision();
  snapshot->config = std::move(config);
  snapshot->table = RouteTable(snapshot->config->routes);
  std::map<std::string, std::size_t, std::less<>> backends;
  for (const conf::Backend& backend : snapshot->config->backends) {
    backends.emplace(backend.name, snapshot->backends.size());
    snapshot->backends.push_back(build_backend(backend, state, assume_up, now));
  }
  for (const conf::Route& route : snapshot->config->routes) {
    snapshot->routes.push_back(build_route(route, state, backends));
  }
  forget_unused();
  built_before_ = true;
  return snapshot;
}

SnapshotBackend Registry::build_backend(const conf::Backend& backend, const State& state,
                                        bool assume_up, TimePoint now) {
  SnapshotBackend built{backend.name, {}, backend.slow_start};
  std::vector<Decimal> weights;
  // A backend that a reload brings is trusted until its first probes say otherwise (a connect that
  // fails does too): the reload was asked for to send requests there.
  const bool all_new =
      built_before_ && std::ranges::none_of(backend.servers, [&](const conf::Server& server) {
        return servers_.contains({{backend.name, server.name}, server.address});
      });
  for (const conf::Server& server : backend.servers) {
    const ServerKey key{backend.name, server.name};
    const bool probed = backend.health.has_value();
    std::shared_ptr<ServerRuntime>& runtime = servers_[{key, server.address}];
    if (!runtime) {
      const bool up = !probed || assume_up || known_up(server.address) || all_new;
      runtime = std::make_shared<ServerRuntime>(worker_count_);
      runtime->up.store(up, std::memory_order_relaxed);
      const bool joins = built_before_ && !all_new;
      if (joins || up) runtime->note_begun();
      if (joins && up) runtime->note_return(now);
    }
    // A server that lost its health check on a reload would have nobody left to bring it up.
    if (!probed) runtime->up.store(true, std::memory_order_relaxed);
    const bool draining = state.is_draining(key);
    if (runtime->was_draining && !draining) runtime->note_return(now);
    runtime->was_draining = draining;
    built.servers.push_back({key, server.address, draining, runtime});
    weights.push_back(server.weight);
  }
  weigh(built, weights);
  return built;
}

SnapshotRoute Registry::build_route(
    const conf::Route& route, const State& state,
    const std::map<std::string, std::size_t, std::less<>>& backends) {
  const RouteState* wanted = state.route(route.name);
  SLUICE_CHECK(wanted != nullptr);  // the state has taken this configuration over
  const Split& split = wanted->setting.split;

  auto entry = routes_.find(route.name);
  if (entry == routes_.end()) {
    auto runtime = std::make_shared<RouteRuntime>(worker_count_, names(split));
    entry = routes_.emplace(route.name, RouteEntry{std::move(runtime), split, make_schedule(split)})
                .first;
  } else if (entry->second.split != split) {
    RouteEntry& known = entry->second;
    if (known.runtime->backends() != names(split)) {
      known.runtime =
          std::make_shared<RouteRuntime>(worker_count_, names(split), known.runtime.get());
    }
    known.split = split;
    known.schedule = make_schedule(split);
    known.keys.reset();
  }

  std::vector<std::size_t> indices;
  for (const conf::WeightedBackend& share : split) {
    const auto found = backends.find(share.backend);
    SLUICE_CHECK(found != backends.end());
    indices.push_back(found->second);
  }
  RouteEntry& known = entry->second;
  SnapshotRoute built{route.name,     known.split,      std::move(indices),
                      known.schedule, wanted->revision, known.runtime};
  const Partition& partition = wanted->setting.partition;
  if (route.sticky && !partition.empty()) {
    if (!known.keys || known.partition != partition) {
      known.keys = std::make_shared<const KeyMap>(partition, known.split);
      known.partition = partition;
    }
    built.keys = known.keys;
  }
  built.maintenance = wanted->setting.maintenance;
  built.on_unhealthy = route.on_unhealthy;
  if (route.on_unhealthy == conf::OnUnhealthy::fallback) {
    const auto found = backends.find(route.fallback);
    SLUICE_CHECK(found != backends.end());
    built.fallback = found->second;
  }
  return built;
}

// A server that was only given another name is as healthy as it was.
bool Registry::known_up(const Address& address) const {
  return std::ranges::any_of(servers_, [&](const auto& entry) {
    return entry.first.second == address && entry.second &&
           entry.second->up.load(std::memory_order_relaxed);
  });
}

void Registry::forget_unused() {
  // What the newest snapshot uses is held twice, here and there; what an older one that a worker
  // or an exchange still pins uses, too. Only a snapshot can hand out more holders, so a count of
  // one stays one.
  std::erase_if(servers_, [](const auto& entry) { return entry.second.use_count() == 1; });
  std::erase_if(routes_, [](const auto& entry) { return entry.second.runtime.use_count() == 1; });
}

}  // namespace sluice::routing
