// Revision: the durable, numbered result of a shift, a drain or a reload, and its record in the
// ledger. Value types: made by State (state.h), written by the control thread, read by admin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "proxy/base/clock.h"

namespace sluice::routing {

using RevisionNumber = std::uint64_t;  // 1 is the first; 0 means none
using Split = std::vector<conf::WeightedBackend>;

// Names a server across revisions, reloads and processes.
struct ServerKey {
  std::string backend;
  std::string server;
  auto operator<=>(const ServerKey&) const = default;
  std::string to_string() const { return backend + "/" + server; }
};

enum class RevisionKind : std::uint8_t { shift, switch_to, drain, resume, reload };
std::string_view to_string(RevisionKind kind);

// Who asked, and what they said about it.
struct Origin {
  std::string identity;  // as authenticated: "uid:0", "file" for a reload
  std::string author;    // as claimed
  std::string reason;
  bool operator==(const Origin&) const = default;
};

struct WeightChange {
  std::string route;
  Split before;  // empty: the route is new
  Split after;   // empty: the route is gone (reloads only)
  // Reloads only: what the file says of this split from now on (State::file_split).
  Split file;
  bool operator==(const WeightChange&) const = default;
};

struct DrainChange {
  ServerKey server;
  bool before = false;  // true: draining
  bool after = false;
  bool operator==(const DrainChange&) const = default;
};

struct Revision {
  RevisionNumber number = 0;
  RevisionNumber parent = 0;
  RevisionKind kind = RevisionKind::shift;
  WallTime time;
  Origin origin;
  std::vector<WeightChange> weights;
  std::vector<DrainChange> drains;
  std::string result = "applied";
  bool operator==(const Revision&) const = default;
};

}  // namespace sluice::routing
