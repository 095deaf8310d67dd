// State: what the ledger's revisions add up to: the weights of every route and which servers are
// draining. Pure: plan_*() turn a wish into the Revision that would carry it out, or into an
// error and nothing else; apply() folds a revision in, whether it was just planned or read back
// from the ledger. The control thread owns the only live State.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "routing/revision.h"
#include "routing/schedule.h"

namespace sluice::routing {

struct RouteState {
  Split weights;                // every backend of the split, in the file's order
  Split file_split;             // the split's own text in the file when it was last taken over
  RevisionNumber revision = 0;  // the last one that changed this route: its ETag
};

struct PlanError {
  enum class Kind : std::uint8_t {
    unknown_route,    // 404
    unknown_backend,  // 404 for a path, 422 for a weight
    unknown_server,   // 404
    bad_split,        // 422
    stale,            // 412: `if_match` is not the route's revision
  };
  Kind kind = Kind::bad_split;
  std::string message;  // a sentence: what, where, what would be right
};

// One route's new weights as a caller states them, in the caller's order, unchecked.
struct SplitRequest {
  std::string route;
  std::vector<std::pair<std::string, std::string>> weights;  // backend, number as text
  bool whole = true;  // PUT: every backend must be stated; PATCH: the others stay
  std::optional<RevisionNumber> if_match;
};

// Why no schedule can carry this split out, as a clause; nullopt: it can. For what a caller states
// and for what a file says.
std::optional<std::string> why_unfit(const Split& split);

class State {
 public:
  RevisionNumber revision() const { return revision_; }
  const std::map<std::string, RouteState, std::less<>>& routes() const { return routes_; }
  const RouteState* route(std::string_view name) const;
  bool is_draining(const ServerKey& server) const;
  // The revision that last changed this server's drain; 0 if none did.
  RevisionNumber drain_revision(const ServerKey& server) const;

  std::expected<Revision, PlanError> plan_shift(const SplitRequest& request, Origin origin,
                                                WallTime now) const;
  std::expected<Revision, PlanError> plan_switch(std::string_view route, std::string_view to,
                                                 std::optional<RevisionNumber> if_match,
                                                 Origin origin, WallTime now) const;
  // `config` says which servers exist.
  std::expected<Revision, PlanError> plan_drain(const conf::Config& config, const ServerKey& server,
                                                bool draining, Origin origin, WallTime now) const;

  // Takes a configuration over (start or SIGHUP) by the conflict rule: a split set through the
  // API stays unless that split's own text in the file has changed since it was last taken over
  // or its set of backends no longer fits; the file wins then, and the loss is reported.
  // Routes that left the file are forgotten, and so are drains of servers that left it.
  struct ReloadPlan {
    std::optional<Revision> revision;    // nullopt: nothing changes
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

  RevisionNumber revision_ = 0;
  std::map<std::string, RouteState, std::less<>> routes_;
  std::map<ServerKey, std::pair<bool, RevisionNumber>> drains_;
};

}  // namespace sluice::routing
