// WorkerThreads: the workers, each on a thread of its own, and the only way for control to reach
// them.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/data/worker.h"

namespace sluice::proxy {

class WorkerThreads {
 public:
  using Task = std::move_only_function<void(Worker&, Reactor&)>;

  // `observer` and `connections` outlive this.
  WorkerThreads(std::size_t count, ConnectionCount& connections, WorkerObserver& observer);
  // Precondition: stop() has been called, or start() failed or was not called.
  ~WorkerThreads();

  // Starts all threads and waits until each has its ring. `snapshot` is adopted before anything
  // else. The error is a sentence.
  std::expected<void, std::string> start(std::shared_ptr<const routing::Snapshot> snapshot,
                                         ServerSettingsTablePtr servers,
                                         std::shared_ptr<AccessLog> access_log);
  std::size_t size() const { return counters_.size(); }
  // Runs `task` on that worker's thread; dropped once the worker has left.
  void post(std::size_t worker, Task task);
  // Runs a copy of `task` on every worker's thread.
  void post_all(const std::function<void(Worker&, Reactor&)>& task);
  // No worker's health path says that it is ready from here on.
  void leave();
  // The last calls: ends what still runs, and waits for the threads.
  void stop();

  const admin::WorkerCounters& counters(std::size_t worker) const { return *counters_[worker]; }

 private:
  struct Thread {
    std::thread thread;
    // Set by the thread before start() returns, cleared never; the loop is gone after stop().
    io::Loop* loop = nullptr;
    Worker* worker = nullptr;
    Reactor* reactor = nullptr;
  };
  void serve(std::size_t index, std::shared_ptr<const routing::Snapshot> snapshot,
             ServerSettingsTablePtr servers, std::shared_ptr<AccessLog> access_log,
             std::function<void(std::expected<void, std::string>)> started);

  ConnectionCount& connections_;
  WorkerObserver& observer_;
  std::vector<std::unique_ptr<admin::WorkerCounters>> counters_;
  std::vector<Thread> threads_;
};

// How many workers fit the cores that this process is really given: the smaller of its affinity
// mask and its cgroup's CPU quota (v2 or v1), at least 1. `root` stands before /proc and /sys, for
// tests.
std::size_t available_cores(const std::string& root = {});

}  // namespace sluice::proxy
