// WorkerCounters: what one worker counts of its own work. The worker writes, control reads; every
// counter has one writer, so an increment is a plain load and store, without a bus lock, on cache
// lines that no other worker touches. Counters only grow; they live as long as the process, so
// that no reload sets one back.
//
// What belongs to a server or a route is counted in routing/snapshot.h.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/base/single_writer.h"

namespace sluice::admin {

// What is counted; metrics.cc says under which metric and label each is shown.
enum class Count : std::uint8_t {
  // Exchanges by the class of the final status that the client was sent.
  responses_1xx,  // 101: upgraded
  responses_2xx,
  responses_3xx,
  responses_4xx,
  responses_5xx,
  responses_none,  // the client left, or was cut off, before a final status
  client_bytes_received,
  client_bytes_sent,
  backend_bytes_received,
  backend_bytes_sent,
  retries,
  sticky_cookies_issued,
  sticky_cookies_refused,  // forged, altered, expired, or of another route; taken as none
  backend_connects,
  backend_connects_failed,
  backend_connections_closed,
  backend_tls_full,  // handshakes with servers
  backend_tls_resumed,
  backend_tls_failed,
  backend_streams,  // requests on HTTP/2 connections to servers
  backend_streams_reset,
  backend_goaways,
  // Requests that were refused as malformed or too large, by the status they were answered.
  refused_400,
  refused_413,
  refused_414,
  refused_417,
  refused_431,
  refused_501,
  refused_505,
  refused_other,
  refused_proxy_headers,        // missing, malformed or late; the connection was closed
  client_connections_gave_way,  // idle ones, closed for new ones at limits.client_connections
  refused_responses,            // responses of servers that were refused (and answered with 502)
  // Limits hit, by the name that they have in the configuration.
  limit_request_line_bytes,
  limit_field_line_bytes,
  limit_head_bytes,
  limit_field_count,
  limit_body_bytes,
  limit_client_connections,
  limit_requests_per_connection,
  limit_backend_connections,
  limit_backend_waiting,
  limit_request_rate_min,
  limit_response_rate_min,
  // Timeouts that ended something, likewise. (`idle` and `backend_idle` end nothing in use.)
  timeout_connect,
  timeout_tls_handshake,
  timeout_request_head,
  timeout_response_head,
  timeout_stream,
  timeout_exchange,
  timeout_h2_settings,  // not configurable
  // HTTP/2 connections of clients, their streams, and how these ended out of order.
  h2_connections,
  h2_streams,
  h2_resets_received,
  h2_resets_sent,
  // GOAWAYs to clients, by reason; two of one shutdown are one.
  h2_goaways_shutdown,
  h2_goaways_idle,
  h2_goaways_slow_head,
  h2_goaways_protocol_error,
  h2_goaways_exhausted,
  h2_goaways_settings_timeout,
  // Budgets that ran out (h2/budget.h).
  h2_exhausted_resets,
  h2_exhausted_empty_data,
  h2_exhausted_control_frames,
  h2_exhausted_window_updates,
  h2_exhausted_continuations,
  h2_exhausted_useless_bytes,
  h2_exhausted_useless_frames,
  h2_exhausted_cpu_time,
  access_log_written,
  access_log_dropped,
  loop_turns,
  count_,  // how many there are
};
inline constexpr std::size_t kCountCount = static_cast<std::size_t>(Count::count_);

// A listener keeps its slot, given by control to its name, for the life of the process.
inline constexpr std::size_t kListenerSlotsMax = 32;

// Upper bounds of the request duration histogram; a last bucket takes what is longer.
inline constexpr std::array<Duration, 13> kDurationBounds = {
    std::chrono::milliseconds(1),   std::chrono::milliseconds(2),   std::chrono::milliseconds(5),
    std::chrono::milliseconds(10),  std::chrono::milliseconds(20),  std::chrono::milliseconds(50),
    std::chrono::milliseconds(100), std::chrono::milliseconds(200), std::chrono::milliseconds(500),
    std::chrono::seconds(1),        std::chrono::seconds(2),        std::chrono::seconds(5),
    std::chrono::seconds(10)};

// The counter that a final status belongs to.
constexpr Count count_for_status(int status) {
  SLUICE_CHECK(status >= 100 && status <= 599);
  return static_cast<Count>(static_cast<int>(Count::responses_1xx) + status / 100 - 1);
}

// The counter that a request refused with this status belongs to.
constexpr Count count_for_refusal(int status) {
  switch (status) {
    case 400:
      return Count::refused_400;
    case 413:
      return Count::refused_413;
    case 414:
      return Count::refused_414;
    case 417:
      return Count::refused_417;
    case 431:
      return Count::refused_431;
    case 501:
      return Count::refused_501;
    case 505:
      return Count::refused_505;
    default:
      return Count::refused_other;
  }
}

// One writer.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    base::add_as_single_writer(value_, static_cast<std::int64_t>(n));
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// One writer. From a request's first byte to its response's last.
class DurationHistogram {
 public:
  void observe(Duration duration) {
    std::size_t bucket = 0;
    while (bucket < kDurationBounds.size() && duration > kDurationBounds[bucket]) ++bucket;
    buckets_[bucket].add();
    nanoseconds_.add(duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0);
  }
  // Not cumulative; the last one has no bound.
  std::uint64_t bucket(std::size_t index) const { return buckets_[index].get(); }
  std::uint64_t nanoseconds() const { return nanoseconds_.get(); }

 private:
  std::array<Counter, kDurationBounds.size() + 1> buckets_;
  Counter nanoseconds_;
};

struct ListenerCounters {
  Counter accepted;
  Counter closed;
  Counter tls_handshakes;  // finished
  Counter tls_resumed;     // of these, resumed
  Counter tls_failed;
};

struct alignas(64) WorkerCounters {
  void add(Count what, std::uint64_t n = 1) { counts[static_cast<std::size_t>(what)].add(n); }
  std::uint64_t get(Count what) const { return counts[static_cast<std::size_t>(what)].get(); }

  std::array<Counter, kCountCount> counts;
  DurationHistogram durations;
  std::array<ListenerCounters, kListenerSlotsMax> listeners;
};

}  // namespace sluice::admin
