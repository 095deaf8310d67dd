#include "routing/picker.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::routing {
namespace {

bool is_in(const std::vector<const ServerRuntime*>& tried, const ServerRuntime* server) {
  return std::ranges::find(tried, server) != tried.end();
}

}  // namespace

void Picker::adopt(const Snapshot& snapshot) {
  const std::size_t count = snapshot.backends.size();
  const bool same =
      std::ranges::equal(backend_names_, snapshot.backends, {}, {}, &SnapshotBackend::name);
  if (same) return;
  std::unordered_map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < backend_names_.size(); ++i) {
    known.emplace(std::move(backend_names_[i]), next_[i]);
  }
  backend_names_.clear();
  next_.clear();
  backend_names_.reserve(count);
  next_.reserve(count);
  for (const SnapshotBackend& backend : snapshot.backends) {
    const auto found = known.find(backend.name);
    // Each worker begins elsewhere, so that together they don't all begin with the first server.
    next_.push_back(found != known.end() ? found->second : worker_);
    backend_names_.push_back(backend.name);
  }
}

Choice Picker::pick(const Snapshot& snapshot, std::size_t route) {
  const SnapshotRoute& chosen = snapshot.routes[route];
  Choice choice;
  choice.share = chosen.schedule.pick(chosen.runtime->take_ticket());
  chosen.runtime->count(worker_, choice.share);
  choice.backend = chosen.backends[choice.share];
  choice.server = next_server(snapshot, choice.backend, {});
  return choice;
}

Choice Picker::pick_again(const Snapshot& snapshot, std::size_t route, std::string_view backend,
                          const std::vector<const ServerRuntime*>& tried) {
  const SnapshotRoute& chosen = snapshot.routes[route];
  const auto share = std::ranges::find(chosen.split, backend, &conf::WeightedBackend::backend);
  Choice choice;
  if (share != chosen.split.end() && !share->weight.is_zero()) {
    choice.share = static_cast<std::size_t>(share - chosen.split.begin());
  } else {
    choice.share = chosen.schedule.pick(chosen.runtime->take_ticket());
    chosen.runtime->count(worker_, choice.share);
  }
  choice.backend = chosen.backends[choice.share];
  choice.server = next_server(snapshot, choice.backend, tried);
  return choice;
}

std::optional<std::size_t> Picker::next_server(const Snapshot& snapshot, std::size_t backend,
                                               const std::vector<const ServerRuntime*>& tried) {
  SLUICE_CHECK(next_.size() == snapshot.backends.size());  // the snapshot has been adopted
  const std::vector<SnapshotServer>& servers = snapshot.backends[backend].servers;
  for (std::size_t step = 0; step < servers.size(); ++step) {
    const std::size_t index = (next_[backend] + step) % servers.size();
    const SnapshotServer& server = servers[index];
    if (!server.takes_new_work() || is_in(tried, server.runtime.get())) continue;
    next_[backend] = index + 1;
    return index;
  }
  return {};
}

}  // namespace sluice::routing
