#include "proxy/control/publisher.h"

#include <algorithm>

namespace sluice::proxy {

struct Publisher::Waiting {
  Waiting(Publisher& owner, std::uint64_t wanted, OnAdopted callback)
      : publisher(owner),
        epoch(wanted),
        then(std::move(callback)),
        timer(io::Timer::calling<&Waiting::on_timeout>(this)) {}
  void on_timeout() {
    timed_out = true;
    publisher.settle();
  }

  Publisher& publisher;
  std::uint64_t epoch;
  OnAdopted then;
  io::Timer timer;
  bool timed_out = false;
};

Publisher::Publisher(io::Loop& loop, WorkerThreads& workers)
    : loop_(loop), workers_(workers), adopted_(workers.size(), 0) {
}

Publisher::~Publisher() = default;

void Publisher::started_with(std::shared_ptr<const routing::Snapshot> snapshot) {
  SLUICE_CHECK(recent_.empty());
  std::fill(adopted_.begin(), adopted_.end(), snapshot->epoch);
  recent_.push_back(std::move(snapshot));
}

void Publisher::publish(std::shared_ptr<const routing::Snapshot> snapshot,
                        ServerSettingsTablePtr servers) {
  SLUICE_CHECK(snapshot->epoch > current()->epoch);
  recent_.push_back(snapshot);
  workers_.post_all(
      [snapshot, servers](Worker& worker, Reactor&) { worker.adopt(snapshot, servers); });
}

void Publisher::when_adopted(Duration timeout, OnAdopted then) {
  auto& waiting =
      *waiting_.emplace_back(std::make_unique<Waiting>(*this, current()->epoch, std::move(then)));
  loop_.timers().arm(waiting.timer, loop_.now() + timeout);
  if (all_adopted(waiting.epoch)) loop_.post([this] { settle(); });
}

void Publisher::note_adopted(std::size_t worker, std::uint64_t epoch) {
  adopted_[worker] = std::max(adopted_[worker], epoch);
  const std::uint64_t oldest = *std::min_element(adopted_.begin(), adopted_.end());
  while (recent_.size() > 1 && recent_.front()->epoch < oldest) recent_.pop_front();
  settle();
}

bool Publisher::all_adopted(std::uint64_t epoch) const {
  return std::all_of(adopted_.begin(), adopted_.end(),
                     [epoch](std::uint64_t adopted) { return adopted >= epoch; });
}

std::vector<std::size_t> Publisher::behind(std::uint64_t epoch) const {
  std::vector<std::size_t> workers;
  for (std::size_t i = 0; i < adopted_.size(); ++i) {
    if (adopted_[i] < epoch) workers.push_back(i);
  }
  return workers;
}

void Publisher::settle() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const std::vector<std::size_t> still_behind = behind((*it)->epoch);
    if (!still_behind.empty() && !(*it)->timed_out) {
      ++it;
      continue;
    }
    const auto done = std::move(*it);
    it = waiting_.erase(it);
    done->then(still_behind);
  }
}

const routing::Snapshot& Publisher::adopted(std::size_t worker) const {
  for (const auto& snapshot : recent_) {
    if (snapshot->epoch == adopted_[worker]) return *snapshot;
  }
  return *recent_.front();
}

}  // namespace sluice::proxy
