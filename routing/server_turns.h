// ServerTurns: whose turn it is among a backend's servers, for one worker. Plain round robin where
// all weigh the same; otherwise smooth weighted round robin: each server gets exactly its weight's
// share, evenly mixed. A server that has returned begins with next to nothing and grows to its
// whole weight in the backend's slow_start.
//
// Owned by the worker's Picker, one per backend. A turn costs a look at the servers up to the first
// that takes work; where weights or slow_start are in play, at all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "routing/snapshot.h"

namespace sluice::routing {

using TriedServers = std::vector<const ServerRuntime*>;

// Takes new work, has a weight, and is not among those tried.
bool may_serve(const SnapshotServer& server, const TriedServers& tried);
bool any_may_serve(const SnapshotBackend& backend, const TriedServers& tried);

class ServerTurns {
 public:
  // `first`: which server begins.
  explicit ServerTurns(std::size_t first) : next_(first) {}

  // Must precede next() on that backend. Who stays keeps its place.
  void adopt(const SnapshotBackend& backend);
  // An index into backend.servers; nullopt: none may serve. `now` is the worker's clock.
  std::optional<std::size_t> next(const SnapshotBackend& backend, const TriedServers& tried,
                                  TimePoint now);

 private:
  __extension__ using Credit = __int128;
  struct Place {
    const ServerRuntime* server = nullptr;
    Credit credit = 0;  // grows by the server's weight each turn; who has most is next
  };
  std::optional<std::size_t> next_plain(const SnapshotBackend& backend, const TriedServers& tried);
  std::optional<std::size_t> next_weighted(const SnapshotBackend& backend,
                                           const TriedServers& tried, TimePoint now);

  std::size_t next_ = 0;
  std::vector<Place> places_;  // one per server, where weights or slow_start are in play
};

}  // namespace sluice::routing
