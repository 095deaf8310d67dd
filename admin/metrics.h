// Metrics: what /metrics shows, in Prometheus' text format 0.0.4. Every metric is defined in one
// table (kMetrics), which docs/metrics.md repeats for people; a test holds the two together.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "admin/identity.h"
#include "admin/delivery.h"
#include "admin/worker_counters.h"
#include "health/tracker.h"
#include "proxy/base/clock.h"
#include "routing/revision.h"

namespace sluice::admin {

// What control sums up for one scrape. Plain values; nothing here is shared.
struct MetricsInput {
  // All workers' counters together.
  struct Totals {
    std::array<std::uint64_t, kCountCount> counts{};
    std::array<std::uint64_t, kDurationBounds.size() + 1> duration_buckets{};
    std::uint64_t duration_nanoseconds = 0;
    std::uint64_t get(Count what) const { return counts[static_cast<std::size_t>(what)]; }
  };
  struct Listener {
    std::string name;
    std::uint64_t accepted = 0;
    std::uint64_t closed = 0;
    std::uint64_t tls_handshakes = 0;
    std::uint64_t tls_resumed = 0;
    std::uint64_t tls_failed = 0;
  };
  struct Server {
    routing::ServerKey key;
    bool up = false;  // or unprobed
    bool draining = false;
    std::uint64_t running = 0;
    std::uint64_t requests = 0;
    std::uint64_t failures = 0;
    std::uint64_t probes_passed = 0;
    std::uint64_t probes_failed = 0;
  };
  struct Share {
    std::string route;
    std::string backend;
    double weight = 0;
    std::uint64_t requests = 0;
  };
  // Requests of a route that no ticket sent on their way.
  struct Route {
    std::string name;
    std::uint64_t sticky = 0;
    std::uint64_t forced = 0;
    std::uint64_t redistributed = 0;
    std::uint64_t fallback = 0;
    std::uint64_t fragments = 0;  // of its key space
  };
  struct Worker {
    std::uint64_t loop_turns = 0;
    std::uint64_t epoch = 0;  // the one it has adopted
  };
  struct Ledger {
    routing::RevisionNumber revision = 0;
    std::uint64_t bytes = 0;
    std::uint64_t writes = 0;  // each with its fsync
    Duration write_time = Duration::zero();
    std::uint64_t write_failures = 0;
    std::uint64_t good_copies = 0;
    std::uint64_t copies_written = 0;  // to the place that the user names
    std::uint64_t copies_failed = 0;
  };
  struct Leases {
    std::uint64_t running = 0;
    std::uint64_t reverted = 0;
    std::uint64_t frozen = 0;
  };

  // Calls of the admin listeners.
  struct AdminCalls {
    std::uint64_t done = 0;
    std::uint64_t refused = 0;  // the caller may not
    std::uint64_t invalid = 0;  // can't be read, or not be done
    std::uint64_t failed = 0;
    std::uint64_t malformed = 0;  // no request as HTTP has it
    std::array<std::uint64_t, kAuthFailureCount> auth_failures{};

    void count(int status, AuthFailure failure);
    // A call that was answered before it was one.
    void count_unread(int status);
  };
  struct AdminTokens {
    std::uint64_t count = 0;
    std::uint64_t reads_taken = 0;
    std::uint64_t reads_refused = 0;
  };

  struct AuditLog {
    std::uint64_t lines = 0;
    std::uint64_t dropped_sink = 0;   // stuck
    std::uint64_t dropped_flood = 0;  // too many of strangers
  };
  struct Webhook {
    std::string name;
    DeliveryCounts counts;
    std::uint64_t queue_length = 0;
  };
  struct Events {
    std::array<std::uint64_t, conf::kEventTypeCount> totals{};
    std::uint64_t streams = 0;
    std::uint64_t streams_refused = 0;
    std::uint64_t streams_cut = 0;
    std::uint64_t missed = 0;
  };

  std::string version;
  WallTime started;
  std::uint64_t epoch = 0;  // published
  bool ready = false;
  std::uint64_t reloads_accepted = 0;
  std::uint64_t reloads_refused = 0;
  AdminCalls admin_calls;
  AdminTokens admin_tokens;
  AuditLog audit_log;
  Totals totals;
  std::vector<Worker> workers;
  std::vector<Listener> listeners;
  std::vector<Server> servers;
  std::vector<Share> shares;
  std::vector<Route> routes;
  Ledger ledger;
  Leases leases;
  Events events;
  std::vector<Webhook> webhooks;

  // Adds one worker: its counters to `totals` and to those of `listeners`, whose index is its
  // slot, and itself to `workers`.
  void add(const WorkerCounters& counters, std::uint64_t adopted_epoch);
};

enum class MetricType : std::uint8_t { counter, gauge, histogram };
std::string_view to_string(MetricType type);

struct MetricDefinition {
  std::string_view name;
  MetricType type;
  std::string_view labels;  // comma-separated names; `le` of histograms left out
  std::string_view help;
};
// In the order in which they are shown.
std::vector<MetricDefinition> metric_definitions();

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";
std::string render_metrics(const MetricsInput& input);

}  // namespace sluice::admin
