#include "proxy/control/worker_threads.h"

#include <pthread.h>

#include <future>

#include "proxy/io/uring_ring.h"

namespace sluice::proxy {

WorkerThreads::WorkerThreads(std::size_t count, ConnectionCount& connections,
                             WorkerObserver& observer)
    : connections_(connections), observer_(observer), threads_(count) {
  for (std::size_t i = 0; i < count; ++i) {
    counters_.push_back(std::make_unique<admin::WorkerCounters>());
  }
}

WorkerThreads::~WorkerThreads() = default;

std::expected<void, std::string> WorkerThreads::start(
    std::shared_ptr<const routing::Snapshot> snapshot, ServerSettingsTablePtr servers,
    std::shared_ptr<AccessLog> access_log) {
  std::expected<void, std::string> outcome;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    std::promise<std::expected<void, std::string>> started;
    auto result = started.get_future();
    // Moved on, so that the thread holds neither for longer than its worker does.
    threads_[i].thread = std::thread([&, i, first = snapshot, servers, log = access_log]() mutable {
      serve(i, std::move(first), std::move(servers), std::move(log),
            [&started](auto value) { started.set_value(value); });
    });
    outcome = result.get();
    if (!outcome) {
      threads_[i].thread.join();
      threads_.resize(i);
      stop();
      return outcome;
    }
  }
  return outcome;
}

void WorkerThreads::serve(std::size_t index, std::shared_ptr<const routing::Snapshot> snapshot,
                          ServerSettingsTablePtr servers, std::shared_ptr<AccessLog> access_log,
                          std::function<void(std::expected<void, std::string>)> started) {
  pthread_setname_np(pthread_self(), ("worker-" + std::to_string(index)).c_str());
  auto ring = io::make_uring_ring();
  if (!ring) {
    started(std::unexpected(ring.error()));
    return;
  }
  Reactor reactor(std::move(*ring), *counters_[index], connections_, snapshot->config);
  {
    Worker worker(index, reactor, std::move(access_log), observer_);
    worker.adopt(std::move(snapshot), std::move(servers));
    Thread& self = threads_[index];
    self.loop = &reactor.loop();
    self.worker = &worker;
    self.reactor = &reactor;
    started({});
    reactor.run();
    reactor.drain();
    reactor.cut_clients();
    worker.close_pools();
    reactor.join();
  }
}

void WorkerThreads::post(std::size_t worker, Task task) {
  if (worker >= threads_.size()) return;
  Thread& thread = threads_[worker];
  thread.loop->post(
      [&thread, task = std::move(task)]() mutable { task(*thread.worker, *thread.reactor); });
}

void WorkerThreads::post_all(const std::function<void(Worker&, Reactor&)>& task) {
  for (std::size_t i = 0; i < threads_.size(); ++i) post(i, task);
}

void WorkerThreads::leave() {
  for (Thread& thread : threads_) thread.worker->leave();
}

void WorkerThreads::stop() {
  for (Thread& thread : threads_) {
    if (thread.thread.joinable()) thread.loop->post([&thread] { thread.loop->stop(); });
  }
  for (Thread& thread : threads_) {
    if (thread.thread.joinable()) thread.thread.join();
  }
  threads_.clear();
}

}  // namespace sluice::proxy
