// State: what the ledger's revisions add up to: the setting of every route, which servers are
// draining, which came or went at run time, which leases run. Pure: plan_*() turn a wish into the
// Revision that would carry it out, or into an error and nothing else; apply() folds a revision in,
// whether it was just planned or read back from the ledger. The control thread owns the only live
// State.
#pragma once

#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "conf/config.h"
#include "routing/revision.h"
#include "routing/schedule.h"

namespace sluice::routing {

class History;

struct RouteState {
  RouteSetting setting;
  Split file_split;             // the split's own text in the file when it was last taken over
  RevisionNumber revision = 0;  // the last one that changed this route: its ETag
  bool operator==(const RouteState&) const = default;
};

struct DrainState {
  bool draining = false;
  RevisionNumber revision = 0;  // the last that changed it
  bool operator==(const DrainState&) const = default;
};

struct MemberState {
  Membership membership;
  RevisionNumber revision = 0;  // the last that changed it
  bool operator==(const MemberState&) const = default;
};

// A lease that runs. It is void for a route that a later revision has changed, and gone when it is
// void for all.
struct LeaseState {
  Lease lease;
  std::vector<RouteChange> routes;  // of the shift that it is for
  bool operator==(const LeaseState&) const = default;
};

struct KnownKey {
  IdempotencyKey key;
  RevisionNumber revision = 0;  // what the call made
  bool operator==(const KnownKey&) const = default;
};

// All that a State is: what a checkpoint of the ledger holds.
struct StateImage {
  RevisionNumber revision = 0;
  std::map<std::string, RouteState, std::less<>> routes;
  std::map<ServerKey, DrainState> drains;
  std::map<ServerKey, MemberState> members;
  std::map<RevisionNumber, LeaseState> leases;
  std::deque<KnownKey> keys;  // oldest first, at most State::kKeysMax
  bool operator==(const StateImage&) const = default;
};

struct PlanError {
  enum class Kind : std::uint8_t {
    unknown_route,      // 404
    unknown_backend,    // 404 for a path, 422 for a weight
    unknown_server,     // 404
    unknown_revision,   // 404
    unknown_lease,      // 404: none such, or lapsed, or superseded
    bad_split,          // 422
    bad_server,         // 422: a server's name, address or weight
    stale,              // 412: `if_match` is not the route's revision
    if_match_required,  // 428
    backend_gone,       // 409: what is to be restored needs a backend that is no more
    nothing_before,     // 409: there is nothing to roll back to
    no_healthy_server,  // 409: the guard
    not_drained,        // 409
    last_server,        // 409
    server_exists,      // 409
    key_reused,         // 422: the Idempotency-Key stands for another call
  };
  Kind kind = Kind::bad_split;
  std::string message;     // a sentence: what, where, what would be right
  std::string route = {};  // of `stale` and `if_match_required`
};
inline std::unexpected<PlanError> refuse(PlanError::Kind kind, std::string message,
                                         std::string route = {}) {
  return std::unexpected(PlanError{kind, std::move(message), std::move(route)});
}

// --- What a caller may wish of a route, unchecked ---------------------------------------------

using NamedTexts = std::vector<std::pair<std::string, std::string>>;

struct StatedSplit {
  NamedTexts weights;      // backend, number as text; in the caller's order
  bool whole = true;       // PUT: every backend must be stated; PATCH: the others stay
  NamedTexts states = {};  // backend, word
  bool whole_states = false;
};
struct SwitchTo {
  std::string backend;
};
struct SetMaintenance {
  std::optional<Maintenance> maintenance;  // nullopt: ends
};
struct RollBack {
  std::optional<RevisionNumber> to;  // nullopt: one step further back
};

struct RouteWish {
  std::string route;
  std::variant<StatedSplit, SwitchTo, SetMaintenance, RollBack> what;
  std::optional<RevisionNumber> if_match = {};
};

struct LeaseWish {
  std::chrono::seconds ttl{0};
  Lease::OnLapse on_lapse = Lease::OnLapse::revert;
};

// All or nothing.
struct Transaction {
  RevisionKind kind = RevisionKind::shift;
  std::vector<RouteWish> routes;
  std::optional<LeaseWish> lease = {};
  bool force = false;  // passes the guard
};

struct NewServer {
  std::string backend;
  std::string address;
  std::string name;    // empty: the address
  std::string weight;  // empty: 1
};

// What planning may ask of the world as it is now. `config`: with_members() of the file's.
struct Facts {
  const conf::Config& config;
  const History& history;
  // This server takes new work and has a weight. Not set: nothing is guarded.
  std::function<bool(const ServerKey&)> takes_requests = {};
  std::function<bool(const ServerKey&)> is_safe_to_stop = {};
};

// A server of this backend takes requests; true where nothing is guarded.
bool can_serve(const Facts& facts, std::string_view backend);

// Why no schedule can carry this split out, as a clause; nullopt: it can. For what a caller states
// and for what a file says.
std::optional<std::string> why_unfit(const Split& split);

class State {
 public:
  // Idempotency keys that are remembered.
  static constexpr std::size_t kKeysMax = 1000;
  static constexpr std::size_t kLeasesMax = 1000;
  // Servers that were added at run time, removed or weighed, all backends together.
  static constexpr std::size_t kMembersMax = 4096;
  static constexpr std::size_t kServersMax = 1024;  // of one backend

  State() = default;
  explicit State(StateImage image) : image_(std::move(image)) {}
  const StateImage& image() const { return image_; }

  RevisionNumber revision() const { return image_.revision; }
  const std::map<std::string, RouteState, std::less<>>& routes() const { return image_.routes; }
  const RouteState* route(std::string_view name) const;
  bool is_draining(const ServerKey& server) const;
  // The revision that last changed this server's drain; 0 if none did.
  RevisionNumber drain_revision(const ServerKey& server) const;
  // The same of anything that is said of it at run time: its drain, its weight, that it is there.
  RevisionNumber server_revision(const ServerKey& server) const;
  Membership membership(const ServerKey& server) const;
  const std::map<RevisionNumber, LeaseState>& leases() const { return image_.leases; }
  // The lease that holds for this route now; 0: none.
  RevisionNumber lease_of(std::string_view route) const;
  // Routes that the lease still holds for.
  std::vector<std::string> leased_routes(RevisionNumber lease) const;
  const KnownKey* known_key(std::string_view text) const;

  // The revision would write down what is so already, and end no lease.
  bool changes_nothing(const Revision& revision) const;
  // The revision that remembers the key of a planned one that changes nothing (only_remembers()).
  Revision remembering(Revision planned) const;

  std::expected<Revision, PlanError> plan(const Transaction& transaction, const Facts& facts,
                                          Origin origin, WallTime now) const;
  // `servers`: one, or none for all of the backend that would change.
  std::expected<Revision, PlanError> plan_drain(const conf::Config& config, const ServerKey& server,
                                                bool draining, Origin origin, WallTime now) const;
  std::expected<Revision, PlanError> plan_drain_all(const conf::Config& config,
                                                    std::string_view backend, bool draining,
                                                    Origin origin, WallTime now) const;
  std::expected<Revision, PlanError> plan_add(const conf::Config& config, const NewServer& server,
                                              Origin origin, WallTime now) const;
  std::expected<Revision, PlanError> plan_remove(const Facts& facts, const ServerKey& server,
                                                 bool force, Origin origin, WallTime now) const;
  std::expected<Revision, PlanError> plan_weigh(const conf::Config& config, const ServerKey& server,
                                                std::string_view weight, Origin origin,
                                                WallTime now) const;
  // The guard of servers: why this revision must not be made unless it is forced, which is that it
  // would leave a backend that routes send to without the last server that takes requests.
  std::optional<PlanError> unserved(const Revision& revision, const Facts& facts) const;
  // `kind`: renew_lease (with `ttl`), confirm_lease or lapse_lease.
  std::expected<Revision, PlanError> plan_lease(RevisionKind kind, RevisionNumber lease,
                                                std::optional<std::chrono::seconds> ttl,
                                                Origin origin, WallTime now) const;

  // Takes a configuration over (start or SIGHUP) by the conflict rule: a split set through the
  // API stays unless that split's own text in the file has changed since it was last taken over
  // or its set of backends no longer fits; the file wins then, and the loss is reported.
  // Routes that left the file are forgotten, and so are drains of servers that left it, and what
  // was said of servers at run time where the file now says otherwise.
  struct ReloadPlan {
    std::optional<Revision> revision;    // nullopt: nothing changes; conflicts are in it, too
    std::vector<std::string> conflicts;  // one sentence each, naming route and both splits
    // Not empty: splits of the file that can't be carried out, one sentence each; the file must
    // not be taken over, and revision is nullopt.
    std::vector<std::string> errors;
  };
  ReloadPlan plan_reload(const conf::Config& config, WallTime now) const;

  // Precondition: revision.number > this->revision().
  void apply(const Revision& revision);

 private:
  // An empty revision that would follow the last one.
  Revision next(RevisionKind kind, Origin origin, WallTime now) const;
  std::expected<RouteChange, PlanError> plan_route(const RouteWish& wish, const Facts& facts,
                                                   RevisionNumber& of) const;
  void reload_members(const conf::Config& config, Revision& revision,
                      std::vector<std::string>& conflicts) const;
  void apply_routes(const Revision& revision);
  void apply_servers(const Revision& revision);
  void apply_lease(const Revision& revision);

  StateImage image_;
};

// The file's configuration with what was said of servers at run time.
conf::Config with_members(const conf::Config& file, const State& state);
// By its name or its address.
const conf::Server* find_server(const conf::Backend& backend, std::string_view name);

}  // namespace sluice::routing
