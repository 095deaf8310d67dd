// View: everything that admin handlers may read, filled by control for one call. References and
// values only: making one costs no lock, and nothing in it changes while the call is answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/delivery.h"
#include "admin/event.h"
#include "admin/metrics.h"
#include "conf/config.h"
#include "health/tracker.h"
#include "proxy/base/clock.h"
#include "routing/history.h"
#include "routing/observed.h"
#include "routing/picker.h"
#include "routing/revision.h"
#include "routing/snapshot.h"
#include "routing/state.h"

namespace sluice::admin {

class EventLog;

// One server of the configuration.
struct ServerView {
  routing::ServerKey key;
  Address address;
  bool probed = true;  // false: no health check, taken as up
  health::Status status = health::Status::unknown;
  WallTime since;  // when the status became what it is
  std::string last_error;
  std::optional<WallTime> last_error_at;
  bool draining = false;
  Decimal weight{1, 0};                        // within its backend
  routing::RevisionNumber revision = 0;        // the last that said something of it at run time
  routing::RevisionNumber drain_revision = 0;  // the last that changed `draining`
  std::uint64_t running = 0;                   // exchanges, all workers
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;
  bool safe_to_stop = false;  // drained everywhere, and nothing on it (guarantee G5)
};

// Workers that run the same epoch, and what is in force with them.
struct Adoption {
  std::uint64_t epoch = 0;
  routing::RevisionNumber revision = 0;
  std::vector<std::size_t> workers;
  std::map<std::string, routing::Split, std::less<>> weights;  // by route
};

// Where a route's requests really went of late.
struct ObservedRoute {
  std::vector<std::string> backends;  // names of the windows' counts
  routing::ObservedWindow last_requests;
  routing::ObservedWindow last_minute;
};

struct ProcessInfo {
  std::string version;
  std::int64_t pid = 0;
  std::uint32_t uid = 0;  // Sluice's own
  WallTime started;
  std::size_t workers = 0;
};

// One of [webhooks.NAME].
struct WebhookView {
  std::string name;
  std::string url;  // without its query, which may be a secret
  conf::Webhook::Format format = conf::Webhook::Format::json;
  EventTypes events;
  std::size_t queue_length = 0;
  std::size_t queue_max = 0;
  std::size_t firing = 0;  // alerts, of Alertmanager's format
  DeliveryCounts counts;
  unsigned failures_in_a_row = 0;
  std::optional<WallTime> last_success_at;
  std::string last_error;
  std::optional<WallTime> last_error_at;
};

// A yes or no, and the sentence that says why.
struct Verdict {
  bool ok = false;
  std::string sentence;
};

// How the ledger's two copies are.
struct LedgerView {
  std::size_t good_copies = 2;
  std::string alarm;  // what is wrong with a copy; empty: nothing
};

// A request as somebody describes it who asks what would become of it.
struct DescribedRequest {
  std::string target;  // as it is routed
  std::vector<std::pair<std::string, std::string>> headers;
  std::string cookie;
  std::optional<Address> client;
};

// What such a request says of the backend that it wants or is bound to.
struct DescribedWish {
  routing::Wish wish;
  std::string refusal;                        // not empty: it gets a 400, and this is why
  const conf::StickyWay* bound_by = nullptr;  // by what its key was made; the snapshot's own
  bool cookie_refused = false;                // it brought one that is not good
};

// What control found out for [admin] that the file alone doesn't say.
struct AccessFacts {
  std::map<std::uint32_t, conf::Grant> users;  // admin.users, by number
  // What shows that other containers may share our loopback; empty: nothing does.
  std::string container;
};

struct View {
  const conf::Config& config;  // with the servers that came or went at run time
  const routing::State& state;
  const routing::History& history;
  const AccessFacts& access;
  WallTime now;
  std::uint64_t epoch = 0;          // published
  std::vector<Adoption> adoptions;  // newest first; one entry when all workers run the same epoch
  std::vector<ServerView> servers;  // in the configuration's order
  std::map<std::string, ObservedRoute, std::less<>>
      observed;  // by route; none: nothing observed yet
  ProcessInfo process;
  Verdict alive;
  Verdict ready;
  LedgerView ledger;
  std::map<std::string, std::string, std::less<>> alarms;  // those that are raised, and why
  // Called for GET /ledger only: all of it, as it is on the disk.
  std::function<std::string()> ledger_text;
  std::vector<WebhookView> webhooks;            // in the configuration's order
  const EventLog* events = nullptr;             // for /events
  const routing::Snapshot* snapshot = nullptr;  // for /explain: the one that is published
  // For /explain: a request's target in the form in which it is routed, or why it is refused.
  std::function<std::expected<std::string, std::string>(std::string_view method,
                                                        std::string_view target)>
      normalize_target;
  // For /explain: as the workers read such a request of that route of the snapshot.
  std::function<DescribedWish(std::size_t route, const DescribedRequest&)> read_wish;
  // Called for /metrics only.
  std::function<MetricsInput()> collect_metrics;

  const ServerView* server(const routing::ServerKey& key) const;
};

}  // namespace sluice::admin
