// Revision: the durable, numbered result of a shift, a drain, a reload and the like, and its record
// in the ledger. Value types: made by State (state.h), written by the control thread, read by
// admin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "proxy/base/clock.h"
#include "routing/partition.h"

namespace sluice::routing {

using RevisionNumber = std::uint64_t;  // 1 is the first; 0 means none

// Names a server across revisions, reloads and processes.
struct ServerKey {
  std::string backend;
  std::string server;
  auto operator<=>(const ServerKey&) const = default;
  std::string to_string() const { return backend + "/" + server; }
};

enum class RevisionKind : std::uint8_t {
  shift,          // weights or states were stated
  switch_to,      // all to one backend
  rollback,       // an earlier setting again; `of` says whose
  maintenance,    // begun or ended
  drain,          // of servers
  resume,         // likewise
  add_server,     // at run time
  remove_server,  // likewise
  weigh_server,   // its weight within its backend
  reload,         // what the file changed
  renew_lease,    // of revision `of`
  confirm_lease,  // likewise: its shift stays
  lapse_lease,    // likewise: nobody renewed it
};
std::string_view to_string(RevisionKind kind);
std::string_view to_string(conf::ShareState state);
std::optional<conf::ShareState> parse_share_state(std::string_view text);

// Who asked, and what they said about it.
struct Origin {
  // As authenticated: "uid:0"; "file" for a reload that no call asked for, "lease" for a lapse.
  std::string identity;
  std::string author;  // as claimed
  std::string reason;
  bool operator==(const Origin&) const = default;
};

// The route answers 503 and says when to come again.
struct Maintenance {
  std::chrono::seconds retry_after{60};
  bool operator==(const Maintenance&) const = default;
};

// All that a revision says of a route. It changes, and is rolled back, as one.
struct RouteSetting {
  Split split;  // every backend, in the file's order; empty: there is no such route
  std::optional<Maintenance> maintenance = {};
  Partition partition = {};  // of the key space; empty: the route is not sticky
  bool operator==(const RouteSetting&) const = default;
};
// Gives the setting the partition that its split asks for with the fewest keys moved: from its own,
// or from `before` where it has none. Not sticky: takes it away.
void settle_partition(RouteSetting& setting, const Partition& before, bool sticky);

struct RouteChange {
  std::string route;
  RouteSetting before;  // of no backends: the route is new (reloads only)
  RouteSetting after;   // of no backends: the route is gone (reloads only)
  // Reloads only: what the file says of this split from now on (State::file_split).
  Split file;
  bool operator==(const RouteChange&) const = default;
};

struct DrainChange {
  ServerKey server;
  bool before = false;  // true: draining
  bool after = false;
  bool operator==(const DrainChange&) const = default;
};

// What was said of a server at run time, beside what the file says of it.
struct Membership {
  std::optional<Address> added;   // by a call, not by the file
  bool removed = false;           // the file's does not count; both: `added` is in its place
  std::optional<Decimal> weight;  // instead of the file's, or 1
  // The weight that the file gave it when that was last compared with what was set at run time.
  std::optional<Decimal> file_weight = {};
  bool is_plain() const { return !added && !removed && !weight && !file_weight; }
  bool operator==(const Membership&) const = default;
};

struct MembershipChange {
  ServerKey server;
  Membership before;
  Membership after;
  bool operator==(const MembershipChange&) const = default;
};

// A shift that holds only while somebody renews it.
struct Lease {
  enum class OnLapse : std::uint8_t { revert, freeze };
  std::chrono::seconds ttl{0};
  WallTime deadline;
  OnLapse on_lapse = OnLapse::revert;  // the setting before again; or nothing but a record of it
  bool operator==(const Lease&) const = default;
};
std::string_view to_string(Lease::OnLapse on_lapse);
std::optional<Lease::OnLapse> parse_on_lapse(std::string_view text);

// The caller's name for a call, and what the call was, so that a second one is known for the same.
struct IdempotencyKey {
  std::string text;
  std::string digest;  // of method, path and what was stated
  bool operator==(const IdempotencyKey&) const = default;
};

// Revision::result.
inline constexpr std::string_view kApplied = "applied";
inline constexpr std::string_view kUnchanged = "unchanged";

struct Revision {
  RevisionNumber number = 0;
  RevisionNumber parent = 0;
  RevisionKind kind = RevisionKind::shift;
  WallTime time;
  Origin origin;
  std::vector<RouteChange> routes;
  std::vector<DrainChange> drains;
  std::vector<MembershipChange> members;
  std::optional<Lease> lease;  // of a shift; of a renewal: the new one
  RevisionNumber of = 0;       // see RevisionKind
  std::optional<IdempotencyKey> key;
  // Reloads and lapses: what could not be kept or brought back, a sentence each.
  std::vector<std::string> conflicts;
  std::string result = std::string(kApplied);
  bool operator==(const Revision&) const = default;
};

// It changes nothing and is there for its key alone, so that a repeated call is answered as the
// first was. `of` is the revision that had made things so.
bool only_remembers(const Revision& revision);

// It renews, confirms or lapses the lease of revision `of`.
bool is_about_lease(const Revision& revision);
// Takes requests away from this server: by a drain, by its removal, by a weight of 0.
bool takes_away(const Revision& revision, const ServerKey& server);
// Requests come to this backend of the split: new ones, or those that belong to it.
bool sends_to(const RouteSetting& setting, std::string_view backend);
// True for one that would write down what is so already. That it ends a lease, it can't tell:
// State::changes_nothing().
bool changes_nothing(const Revision& revision);

}  // namespace sluice::routing
