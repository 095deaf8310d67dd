#include "routing/server_turns.h"

#include <algorithm>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::routing {
namespace {

// Weights grow in so many steps during a slow start.
constexpr std::int64_t kWhole = 1024;

// How much of its weight a server has by now: from 1, so that it is not left out altogether where
// nobody else may serve, to kWhole.
std::int64_t grown(const ServerRuntime& server, Duration slow_start, TimePoint now) {
  const TimePoint returned = server.returned_at();
  if (slow_start <= Duration::zero() || returned == kNeverReturned) return kWhole;
  const Duration since = std::max(now - returned, Duration::zero());
  if (since >= slow_start) return kWhole;
  return std::max<std::int64_t>(1, since.count() * kWhole / slow_start.count());
}

}  // namespace

bool may_serve(const SnapshotServer& server, const TriedServers& tried) {
  return server.takes_new_work() && server.units > 0 &&
         std::ranges::find(tried, server.runtime.get()) == tried.end();
}

bool any_may_serve(const SnapshotBackend& backend, const TriedServers& tried) {
  return std::ranges::any_of(
      backend.servers, [&](const SnapshotServer& server) { return may_serve(server, tried); });
}

void ServerTurns::adopt(const SnapshotBackend& backend) {
  if (!backend.weighted) {
    places_.clear();
    return;
  }
  const bool same = std::ranges::equal(places_, backend.servers, {}, &Place::server,
                                       [](const SnapshotServer& s) { return s.runtime.get(); });
  if (same) return;
  std::vector<Place> places;
  places.reserve(backend.servers.size());
  for (const SnapshotServer& server : backend.servers) {
    const auto before = std::ranges::find(places_, server.runtime.get(), &Place::server);
    places.push_back({server.runtime.get(), before != places_.end() ? before->credit : 0});
  }
  places_ = std::move(places);
}

std::optional<std::size_t> ServerTurns::next(const SnapshotBackend& backend,
                                             const TriedServers& tried, TimePoint now) {
  return backend.weighted ? next_weighted(backend, tried, now) : next_plain(backend, tried);
}

std::optional<std::size_t> ServerTurns::next_plain(const SnapshotBackend& backend,
                                                   const TriedServers& tried) {
  const std::size_t count = backend.servers.size();
  for (std::size_t step = 0; step < count; ++step) {
    const std::size_t index = (next_ + step) % count;
    if (!may_serve(backend.servers[index], tried)) continue;
    next_ = index + 1;
    return index;
  }
  return {};
}

std::optional<std::size_t> ServerTurns::next_weighted(const SnapshotBackend& backend,
                                                      const TriedServers& tried, TimePoint now) {
  const std::size_t count = backend.servers.size();
  SLUICE_CHECK(places_.size() == count);  // the backend has been adopted
  std::optional<std::size_t> best;
  Credit given = 0;
  for (std::size_t step = 0; step < count; ++step) {
    // Where credits are equal, each worker begins elsewhere.
    const std::size_t index = (next_ + step) % count;
    const SnapshotServer& server = backend.servers[index];
    if (!may_serve(server, tried)) continue;
    const Credit weight = Credit{server.units} * grown(*server.runtime, backend.slow_start, now);
    places_[index].credit += weight;
    given += weight;
    if (!best || places_[index].credit > places_[*best].credit) best = index;
  }
  if (best) places_[*best].credit -= given;
  return best;
}

}  // namespace sluice::routing
