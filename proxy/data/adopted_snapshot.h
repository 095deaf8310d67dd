// A worker's own hold on a snapshot: pinned per attempt with a count that no other core touches,
// and the worker's pools lined up with the snapshot's servers.
#pragma once

#include <memory>
#include <vector>

#include "routing/snapshot.h"

namespace sluice::proxy {

class BackendPool;

struct AdoptedSnapshot {
  std::shared_ptr<const routing::Snapshot> snapshot;
  std::vector<std::vector<std::shared_ptr<BackendPool>>> pools;  // [backend][server]
};
using AdoptedSnapshotPtr = std::shared_ptr<const AdoptedSnapshot>;

}  // namespace sluice::proxy
