// Publisher: hands routing snapshots to the workers and knows which of them run what (guarantee
// G1). Control's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "proxy/control/worker_threads.h"
#include "proxy/io/loop.h"
#include "routing/snapshot.h"

namespace sluice::proxy {

class Publisher {
 public:
  // The workers that are behind; empty when all have adopted.
  using OnAdopted = std::move_only_function<void(const std::vector<std::size_t>& behind)>;

  Publisher(io::Loop& loop, WorkerThreads& workers);
  ~Publisher();

  // Publishes; the workers adopt at the top of their loops. `first` was adopted at their start.
  void publish(std::shared_ptr<const routing::Snapshot> snapshot, ServerSettingsTablePtr servers);
  void started_with(std::shared_ptr<const routing::Snapshot> snapshot);
  // Calls back, never from inside, when every worker runs the snapshot that is current now, or
  // after `timeout` with those that don't.
  void when_adopted(Duration timeout, OnAdopted then);
  // A worker's acknowledgement.
  void note_adopted(std::size_t worker, std::uint64_t epoch);

  const std::shared_ptr<const routing::Snapshot>& current() const { return recent_.back(); }
  // The snapshot that this worker runs.
  const routing::Snapshot& adopted(std::size_t worker) const;
  std::uint64_t adopted_epoch(std::size_t worker) const { return adopted_[worker]; }
  bool all_adopted(std::uint64_t epoch) const;

 private:
  struct Waiting;

  std::vector<std::size_t> behind(std::uint64_t epoch) const;
  void settle();

  io::Loop& loop_;
  WorkerThreads& workers_;
  std::vector<std::uint64_t> adopted_;  // per worker: its epoch
  // The oldest that a worker still runs, to the current one.
  std::deque<std::shared_ptr<const routing::Snapshot>> recent_;
  std::list<std::unique_ptr<Waiting>> waiting_;
};

}  // namespace sluice::proxy
