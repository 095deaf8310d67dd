#include "routing/snapshot.h"

#include <algorithm>
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

Schedule make_schedule(const Split& split) {
  std::vector<Decimal> weights;
  for (const conf::WeightedBackend& share : split) {
    weights.push_back(share.state == conf::ShareState::active ? share.weight : Decimal{});
  }
  return Schedule(to_common_units(weights));
}

}  // namespace

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
      tickets_(previous != nullptr ? previous->tickets_ : std::make_shared<TicketCounter>()) {
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

std::shared_ptr<const Snapshot> Registry::build(std::shared_ptr<const conf::Config> config,
                                                const State& state, std::uint64_t epoch,
                                                bool assume_up) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->epoch = epoch;
  snapshot->revision = state.revision();
  snapshot->config = std::move(config);
  snapshot->table = RouteTable(snapshot->config->routes);
  std::map<std::string, std::size_t, std::less<>> backends;
  for (const conf::Backend& backend : snapshot->config->backends) {
    backends.emplace(backend.name, snapshot->backends.size());
    snapshot->backends.push_back(build_backend(backend, state, assume_up));
  }
  for (const conf::Route& route : snapshot->config->routes) {
    snapshot->routes.push_back(build_route(route, state, backends));
  }
  forget_unused();
  built_before_ = true;
  return snapshot;
}

SnapshotBackend Registry::build_backend(const conf::Backend& backend, const State& state,
                                        bool assume_up) {
  SnapshotBackend built{backend.name, {}};
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
    }
    // A server that lost its health check on a reload would have nobody left to bring it up.
    if (!probed) runtime->up.store(true, std::memory_order_relaxed);
    built.servers.push_back({key, server.address, state.is_draining(key), runtime});
  }
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
  }

  std::vector<std::size_t> indices;
  for (const conf::WeightedBackend& share : split) {
    const auto found = backends.find(share.backend);
    SLUICE_CHECK(found != backends.end());
    indices.push_back(found->second);
  }
  const RouteEntry& known = entry->second;
  return {route.name,     known.split,      std::move(indices),
          known.schedule, wanted->revision, known.runtime};
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
