// Picker: chooses a backend and a server for a request. One per worker; whose turn it is within a
// backend is the worker's own, tickets are everybody's.
//
// In this order: who may force a backend gets it; who has a key goes where the partition says;
// everybody else takes a ticket, which is what the exact ratio is about (guarantee G2). Where that
// backend has no server that takes work, the route's on_unhealthy decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/server_turns.h"
#include "routing/snapshot.h"

namespace sluice::routing {

// What a request says of where it wants to go, and what is to be heeded besides.
struct Wish {
  TimePoint now{};                         // the worker's clock
  std::optional<StickyKey> key = {};       // that it is bound by
  std::optional<std::size_t> forced = {};  // a share of the route's split, not `off`
  bool same_backend_only = false;          // pick_again(): its servers are only busy
};

struct Choice {
  static constexpr std::size_t kNoShare = ~std::size_t{0};  // a fallback outside the split

  std::size_t share = 0;    // of the route's split
  std::size_t backend = 0;  // Snapshot::backends
  ChosenBy by = ChosenBy::ticket;
  // nullopt: the backend has no server that takes new work, and nobody else is to.
  std::optional<std::size_t> server = {};  // SnapshotBackend::servers
};

// What becomes of a request, foretold.
struct Forecast {
  Choice own;           // what its own right gives it
  Choice choice;        // what it gets as things are; Choice::server stays nullopt
  bool served = false;  // some server of the chosen backend takes new work
};
// What pick() would choose next for such a request. Takes no ticket and no turn, counts nothing.
Forecast forecast(const Snapshot& snapshot, std::size_t route, const Wish& wish);

class Picker {
 public:
  // `worker`: which cell of the runtimes to count in.
  explicit Picker(std::size_t worker) : worker_(worker) {}
  // Must precede pick() on that snapshot. Turns go on where they were, by backend name.
  void adopt(const Snapshot& snapshot);
  // Counts: a ticket for its share, others by how they were chosen. `route`: index into
  // Snapshot::routes.
  Choice pick(const Snapshot& snapshot, std::size_t route, const Wish& wish = {});
  // Another server for a request that reached none, or left a queue. By its ticket it stays with
  // its backend as long as this snapshot gives that new requests (then nothing is counted again),
  // else it takes a new one; by a key or by force it is chosen anew. `tried` are servers not to
  // take again; `backend` and `by` how it was chosen before.
  Choice pick_again(const Snapshot& snapshot, std::size_t route, std::string_view backend,
                    ChosenBy by, const TriedServers& tried, const Wish& wish = {});

 private:
  struct Before {
    std::string_view backend;
    ChosenBy by = ChosenBy::ticket;
  };
  Choice choose(const Snapshot& snapshot, const SnapshotRoute& route, const Wish& wish,
                const Before* before, const TriedServers& tried);
  // The share that the request's own right gives it. `spread`: a number of its own, for what is
  // done with it if that can't serve.
  Choice own_share(const SnapshotRoute& route, const Wish& wish, const Before* before,
                   std::uint64_t& spread, bool& ticket_taken);
  void serve(const Snapshot& snapshot, Choice& choice, const TriedServers& tried, TimePoint now);

  std::size_t worker_;
  std::vector<ServerTurns> turns_;          // per backend of the adopted snapshot
  std::vector<std::string> backend_names_;  // likewise
};

}  // namespace sluice::routing
