// Snapshot: everything a worker needs to route, immutable but for the counters it points to.
// Control builds one per epoch and publishes it; workers adopt it and acknowledge; an exchange
// pins the worker's current one for each attempt.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "routing/partition.h"
#include "routing/revision.h"
#include "routing/route_table.h"
#include "routing/schedule.h"
#include "routing/state.h"

namespace sluice::routing {

// How a request came to its backend.
enum class ChosenBy : std::uint8_t { ticket, sticky, forced, redistributed, fallback };
inline constexpr std::size_t kChosenByCount = 5;
std::string_view to_string(ChosenBy by);

inline constexpr TimePoint kNeverReturned = TimePoint::min();

// What outlives snapshots of one server: its health as all workers see it, and what runs on it,
// counted by each worker in a cell of its own.
class ServerRuntime {
 public:
  explicit ServerRuntime(std::size_t worker_count) : cells_(worker_count) {}

  // False: takes no new work until a probe has passed. Written by control, and by a worker whose
  // connect failed; unprobed servers stay true.
  std::atomic<bool> up{true};

  // Up again, from now on: its slow start begins, unless this is the first word on a server that
  // was there when its backend began. Control's thread only.
  void bring_up(TimePoint now);
  // It takes new work again since then, or joined. Control's thread only.
  void note_return(TimePoint now) { returned_at_.store(now, std::memory_order_relaxed); }
  TimePoint returned_at() const { return returned_at_.load(std::memory_order_relaxed); }
  // From here on bring_up() is a return: it serves, or joins servers that serve already. Control's
  // thread only.
  void note_begun() { begun_ = true; }
  bool was_draining = false;  // in the last snapshot; the Registry's

  // Written by one worker only, read by control.
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> running{0};  // exchanges that have chosen this server, unfinished
    std::atomic<std::uint64_t> requests_total{0};
    std::atomic<std::uint64_t> failures_total{0};  // connect failed, or no complete response
  };
  Cell& cell(std::size_t worker) { return cells_[worker]; }
  std::uint64_t running() const;
  std::uint64_t requests_total() const;
  std::uint64_t failures_total() const;

 private:
  std::vector<Cell> cells_;
  std::atomic<TimePoint> returned_at_{kNeverReturned};
  bool begun_ = false;  // note_begun(); control's
};

// What outlives snapshots of one route: its tickets, and how many requests went to each share,
// counted by each worker in a cell of its own.
class RouteRuntime {
 public:
  // `backends`: the names of the shares, in order. `previous`, if not null, is the runtime that
  // this one follows after the set of backends has changed: the ticket counter is the same one,
  // and so are the counts of backends that stayed.
  RouteRuntime(std::size_t worker_count, std::vector<std::string> backends,
               const RouteRuntime* previous = nullptr);

  Ticket take_ticket() { return tickets_->take(); }
  Ticket tickets_taken() const { return tickets_->next.load(std::memory_order_relaxed); }
  void count(std::size_t worker, std::size_t share);  // from that worker only
  std::uint64_t total(std::size_t share) const;
  // Requests that no ticket sent on their way, by how they were chosen; likewise.
  void count_by(std::size_t worker, ChosenBy by);
  std::uint64_t total_by(ChosenBy by) const;
  std::size_t share_count() const { return backends_.size(); }
  const std::vector<std::string>& backends() const { return backends_; }

 private:
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> requests{0};
  };
  struct alignas(64) ByCell {
    std::array<std::atomic<std::uint64_t>, kChosenByCount> requests{};
  };
  std::vector<std::string> backends_;
  std::shared_ptr<TicketCounter> tickets_;
  std::vector<std::shared_ptr<std::vector<Cell>>> shares_;  // of each share, a cell per worker
  std::shared_ptr<std::vector<ByCell>> by_;                 // a cell per worker
};

struct SnapshotServer {
  ServerKey key;
  Address address;
  bool draining = false;
  std::shared_ptr<ServerRuntime> runtime;
  std::uint64_t units = 1;  // its weight as an integer, in proportion to the others' of its backend
  bool takes_new_work() const { return !draining && runtime->up.load(std::memory_order_relaxed); }
};

struct SnapshotBackend {
  std::string name;
  std::vector<SnapshotServer> servers;
  Duration slow_start = Duration::zero();
  bool weighted = false;  // by smooth weighted round robin: weights differ, or slow_start is on
};

struct SnapshotRoute {
  std::string name;
  Split split;
  std::vector<std::size_t> backends;  // index into Snapshot::backends, one per share of `split`
  Schedule schedule;                  // of the active ones
  RevisionNumber revision = 0;
  std::shared_ptr<RouteRuntime> runtime;
  std::shared_ptr<const KeyMap> keys;  // null: not sticky
  std::optional<Maintenance> maintenance;
  conf::OnUnhealthy on_unhealthy = conf::OnUnhealthy::fail;
  std::optional<std::size_t> fallback;  // of Snapshot::backends; there with OnUnhealthy::fallback
};

struct Snapshot {
  std::uint64_t epoch = 0;
  RevisionNumber revision = 0;
  std::shared_ptr<const conf::Config> config;
  RouteTable table;
  std::vector<SnapshotRoute> routes;      // same order as config->routes
  std::vector<SnapshotBackend> backends;  // same order as config->backends
};

// Keeps the runtimes over epochs: a server keeps its health and counts as long as its key and
// address stay, a route its tickets and counts as long as its name stays (G2, G8). Owned by
// control; forgets what no snapshot uses any more.
class Registry {
 public:
  explicit Registry(std::size_t worker_count) : worker_count_(worker_count) {}
  // At first a server with a health check is down until its first probe passes, unless `assume_up`;
  // one without a check is up. Later a new server is down until then too, unless its address was
  // known as up under another name, or no server of its backend is known at all. Precondition:
  // `state` has taken `config` over, that is plan_reload() found no error and its revision, if any,
  // has been applied.
  std::shared_ptr<const Snapshot> build(std::shared_ptr<const conf::Config> config,
                                        const State& state, std::uint64_t epoch,
                                        bool assume_up = false, TimePoint now = TimePoint());

 private:
  // Of one route: its runtime, and the schedule of its last split, which need not be made again
  // while that split stands.
  struct RouteEntry {
    std::shared_ptr<RouteRuntime> runtime;
    Split split;
    Schedule schedule;
    Partition partition = {};
    std::shared_ptr<const KeyMap> keys = {};  // of the partition and the split
  };
  SnapshotBackend build_backend(const conf::Backend& backend, const State& state, bool assume_up,
                                TimePoint now);
  SnapshotRoute build_route(const conf::Route& route, const State& state,
                            const std::map<std::string, std::size_t, std::less<>>& backends);
  bool known_up(const Address& address) const;
  void forget_unused();

  std::size_t worker_count_;
  bool built_before_ = false;
  std::map<std::pair<ServerKey, Address>, std::shared_ptr<ServerRuntime>> servers_;
  std::map<std::string, RouteEntry> routes_;
};

}  // namespace sluice::routing
