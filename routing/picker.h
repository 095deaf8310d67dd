// Picker: chooses a backend and a server for a request. One per worker; round robin is the
// worker's own, tickets are everybody's.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/snapshot.h"

namespace sluice::routing {

struct Choice {
  std::size_t share = 0;    // of the route's split
  std::size_t backend = 0;  // Snapshot::backends
  // nullopt: the backend has no server that takes new work.
  std::optional<std::size_t> server;  // SnapshotBackend::servers
};

class Picker {
 public:
  // `worker`: which cell of the runtimes to count in.
  explicit Picker(std::size_t worker) : worker_(worker) {}
  // Must precede pick() on that snapshot. Round robin goes on where it was, by backend name.
  void adopt(const Snapshot& snapshot);
  // Takes a ticket and counts it. `route`: index into Snapshot::routes.
  Choice pick(const Snapshot& snapshot, std::size_t route);
  // Another server for a request that reached none: within the same backend as long as this
  // snapshot gives it weight (then nothing is counted again), else by a new ticket. `tried` are
  // servers not to take again.
  Choice pick_again(const Snapshot& snapshot, std::size_t route, std::string_view backend,
                    const std::vector<const ServerRuntime*>& tried);

 private:
  std::optional<std::size_t> next_server(const Snapshot& snapshot, std::size_t backend,
                                         const std::vector<const ServerRuntime*>& tried);
  std::size_t worker_;
  std::vector<std::size_t> next_;           // per backend of the adopted snapshot
  std::vector<std::string> backend_names_;  // of the adopted snapshot
};

}  // namespace sluice::routing
