#include "admin/metrics.h"

#include <fmt/format.h>

#include <chrono>
#include <initializer_list>
#include <iterator>
#include <span>

#include "admin/json_writer.h"

namespace sluice::admin {
namespace {

// One label's name and value.
struct Label {
  std::string_view name;
  std::string_view value;
};
using Labels = std::initializer_list<Label>;

// Writes the samples of one metric.
class Samples {
 public:
  Samples(std::string& text, std::string_view name) : text_(text), name_(name) {}

  void add(Labels labels, std::uint64_t value) { add("", labels, fmt::format_int(value).str()); }
  void add(Labels labels, double value) { add("", labels, fmt::format("{}", value)); }
  void add_suffixed(std::string_view suffix, Labels labels, std::string value) {
    add(suffix, labels, std::move(value));
  }

 private:
  void add(std::string_view suffix, Labels labels, const std::string& value) {
    text_ += name_;
    text_ += suffix;
    if (labels.size() > 0) {
      char before = '{';
      for (const Label& label : labels) {
        text_ += before;
        text_ += label.name;
        text_ += "=\"";
        append_escaped(label.value);
        text_ += '"';
        before = ',';
      }
      text_ += '}';
    }
    text_ += ' ';
    text_ += value;
    text_ += '\n';
  }
  void append_escaped(std::string_view value) {
    for (const char c : to_valid_utf8(value)) {
      if (c == '\\' || c == '"') text_ += '\\';
      if (c == '\n') {
        text_ += "\\n";
      } else {
        text_ += c;
      }
    }
  }

  std::string& text_;
  std::string_view name_;
};

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
double seconds_of_nanoseconds(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}
// Counters of several workers are read one after the other: a connection that moves between the
// readings must not make a gauge wrap.
std::uint64_t difference(std::uint64_t more, std::uint64_t less) {
  return more > less ? more - less : 0;
}

struct Kind {
  Count count;
  std::string_view label;
};
constexpr Kind kStatusClasses[] = {
    {Count::responses_1xx, "1xx"}, {Count::responses_2xx, "2xx"}, {Count::responses_3xx, "3xx"},
    {Count::responses_4xx, "4xx"}, {Count::responses_5xx, "5xx"}, {Count::responses_none, "none"},
};
constexpr Kind kReceived[] = {{Count::client_bytes_received, "client"},
                              {Count::backend_bytes_received, "backend"}};
constexpr Kind kSent[] = {{Count::client_bytes_sent, "client"},
                          {Count::backend_bytes_sent, "backend"}};
constexpr Kind kRefused[] = {
    {Count::refused_400, "400"}, {Count::refused_413, "413"},     {Count::refused_414, "414"},
    {Count::refused_417, "417"}, {Count::refused_431, "431"},     {Count::refused_501, "501"},
    {Count::refused_505, "505"}, {Count::refused_other, "other"},
};
constexpr Kind kLimits[] = {
    {Count::limit_request_line_bytes, "request_line_bytes"},
    {Count::limit_field_line_bytes, "field_line_bytes"},
    {Count::limit_head_bytes, "head_bytes"},
    {Count::limit_field_count, "field_count"},
    {Count::limit_body_bytes, "body_bytes"},
    {Count::limit_client_connections, "client_connections"},
    {Count::limit_requests_per_connection, "requests_per_connection"},
    {Count::limit_backend_connections, "backend_connections"},
    {Count::limit_backend_waiting, "backend_waiting"},
    {Count::limit_request_rate_min, "request_rate_min"},
    {Count::limit_response_rate_min, "response_rate_min"},
};
constexpr Kind kTimeouts[] = {
    {Count::timeout_connect, "connect"},
    {Count::timeout_tls_handshake, "tls_handshake"},
    {Count::timeout_request_head, "request_head"},
    {Count::timeout_response_head, "response_head"},
    {Count::timeout_stream, "stream"},
    {Count::timeout_exchange, "exchange"},
    {Count::timeout_h2_settings, "h2_settings"},
};
constexpr Kind kBackendHandshakes[] = {{Count::backend_tls_full, "full"},
                                       {Count::backend_tls_resumed, "resumed"},
                                       {Count::backend_tls_failed, "failed"}};
constexpr Kind kH2Resets[] = {{Count::h2_resets_received, "client"},
                              {Count::h2_resets_sent, "proxy"}};
constexpr Kind kH2Goaways[] = {
    {Count::h2_goaways_shutdown, "shutdown"},
    {Count::h2_goaways_idle, "idle"},
    {Count::h2_goaways_slow_head, "slow_head"},
    {Count::h2_goaways_protocol_error, "protocol_error"},
    {Count::h2_goaways_exhausted, "exhausted"},
    {Count::h2_goaways_settings_timeout, "settings_timeout"},
};
constexpr Kind kH2Exhausted[] = {
    {Count::h2_exhausted_resets, "resets"},
    {Count::h2_exhausted_empty_data, "empty_data"},
    {Count::h2_exhausted_control_frames, "control_frames"},
    {Count::h2_exhausted_window_updates, "window_updates"},
    {Count::h2_exhausted_continuations, "continuations"},
    {Count::h2_exhausted_useless_bytes, "useless_bytes"},
    {Count::h2_exhausted_useless_frames, "useless_frames"},
    {Count::h2_exhausted_cpu_time, "cpu_time"},
};

void add_kinds(const MetricsInput& in, Samples& out, std::string_view label,
               std::span<const Kind> kinds) {
  for (const Kind& kind : kinds) out.add({{label, kind.label}}, in.totals.get(kind.count));
}

template <Count count>
void add_count(const MetricsInput& in, Samples& out) {
  out.add({}, in.totals.get(count));
}

void add_durations(const MetricsInput& in, Samples& out) {
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < kDurationBounds.size(); ++i) {
    cumulative += in.totals.duration_buckets[i];
    out.add_suffixed("_bucket", {{"le", fmt::format("{}", seconds(kDurationBounds[i]))}},
                     fmt::format_int(cumulative).str());
  }
  cumulative += in.totals.duration_buckets.back();
  out.add_suffixed("_bucket", {{"le", "+Inf"}}, fmt::format_int(cumulative).str());
  out.add_suffixed("_sum", {},
                   fmt::format("{}", seconds_of_nanoseconds(in.totals.duration_nanoseconds)));
  out.add_suffixed("_count", {}, fmt::format_int(cumulative).str());
}

void add_handshakes(const MetricsInput& in, Samples& out) {
  for (const auto& listener : in.listeners) {
    out.add({{"listener", listener.name}, {"result", "full"}},
            difference(listener.tls_handshakes, listener.tls_resumed));
    out.add({{"listener", listener.name}, {"result", "resumed"}}, listener.tls_resumed);
    out.add({{"listener", listener.name}, {"result", "failed"}}, listener.tls_failed);
  }
}

template <auto member>
void add_per_listener(const MetricsInput& in, Samples& out) {
  for (const auto& listener : in.listeners)
    out.add({{"listener", listener.name}}, listener.*member);
}

template <auto member>
void add_per_server(const MetricsInput& in, Samples& out) {
  for (const auto& server : in.servers) {
    out.add({{"backend", server.key.backend}, {"server", server.key.server}},
            std::uint64_t{server.*member});
  }
}

void add_probes(const MetricsInput& in, Samples& out) {
  for (const auto& server : in.servers) {
    const Label backend{"backend", server.key.backend};
    const Label name{"server", server.key.server};
    out.add({backend, name, {"result", "passed"}}, server.probes_passed);
    out.add({backend, name, {"result", "failed"}}, server.probes_failed);
  }
}

template <auto member>
void add_per_share(const MetricsInput& in, Samples& out) {
  for (const auto& share : in.shares)
    out.add({{"route", share.route}, {"backend", share.backend}}, share.*member);
}

template <auto member>
void add_per_route(const MetricsInput& in, Samples& out) {
  for (const auto& route : in.routes) out.add({{"route", route.name}}, route.*member);
}

template <auto member>
void add_per_worker(const MetricsInput& in, Samples& out) {
  for (std::size_t i = 0; i < in.workers.size(); ++i)
    out.add({{"worker", fmt::format_int(i).str()}}, in.workers[i].*member);
}

void add_deliveries(const MetricsInput& in, Samples& out) {
  for (const auto& hook : in.webhooks) {
    const Label name{"webhook", hook.name};
    out.add({name, {"result", "delivered"}}, hook.counts.delivered);
    out.add({name, {"result", "failed"}}, hook.counts.failed);
    out.add({name, {"result", "refused"}}, hook.counts.refused);
    out.add({name, {"result", "given_up"}}, hook.counts.given_up);
    out.add({name, {"result", "dropped"}}, hook.counts.dropped);
  }
}

struct Metric {
  MetricDefinition definition;
  void (*add_samples)(const MetricsInput& in, Samples& out);
};

using enum MetricType;
constexpr Metric kMetrics[] = {
    // The process.
    {{"sluice_build_info", gauge, "version", "1, with the version of this build."},
     [](const MetricsInput& in, Samples& out) {
       out.add({{"version", in.version}}, std::uint64_t{1});
     }},
    {{"sluice_start_time_seconds", gauge, "", "When the process started, in Unix time."},
     [](const MetricsInput& in, Samples& out) {
       out.add({}, seconds(in.started.time_since_epoch()));
     }},
    {{"sluice_ready", gauge, "", "1 when /readyz answers 200."},
     [](const MetricsInput& in, Samples& out) { out.add({}, std::uint64_t{in.ready}); }},
    {{"sluice_workers", gauge, "", "Event loops, one per core."},
     [](const MetricsInput& in, Samples& out) { out.add({}, std::uint64_t{in.workers.size()}); }},
    {{"sluice_worker_loop_turns_total", counter, "worker", "Turns of each worker's loop."},
     add_per_worker<&MetricsInput::Worker::loop_turns>},
    {{"sluice_reloads_total", counter, "result", "Reloads of the configuration file."},
     [](const MetricsInput& in, Samples& out) {
       out.add({{"result", "accepted"}}, in.reloads_accepted);
       out.add({{"result", "refused"}}, in.reloads_refused);
     }},
    // Admin calls.
    {{"sluice_admin_requests_total", counter, "result",
      "Admin calls: done, refused to their caller, invalid, failed, and what was no HTTP request."},
     [](const MetricsInput& in, Samples& out) {
       out.add({{"result", "done"}}, in.admin_calls.done);
       out.add({{"result", "refused"}}, in.admin_calls.refused);
       out.add({{"result", "invalid"}}, in.admin_calls.invalid);
       out.add({{"result", "failed"}}, in.admin_calls.failed);
       out.add({{"result", "malformed"}}, in.admin_calls.malformed);
     }},
    {{"sluice_admin_auth_failures_total", counter, "reason",
      "Admin calls whose caller could not be told or is granted nothing."},
     [](const MetricsInput& in, Samples& out) {
       for (std::size_t i = 1; i < kAuthFailureCount; ++i) {
         out.add({{"reason", std::string(word_for(static_cast<AuthFailure>(i)))}},
                 in.admin_calls.auth_failures[i]);
       }
     }},
    {{"sluice_admin_tokens", gauge, "", "Tokens in admin.tokens_file, expired ones too."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.admin_tokens.count); }},
    {{"sluice_admin_tokens_file_reads_total", counter, "result",
      "Readings of admin.tokens_file after it changed; a refused one leaves the tokens as they "
      "were."},
     [](const MetricsInput& in, Samples& out) {
       out.add({{"result", "accepted"}}, in.admin_tokens.reads_taken);
       out.add({{"result", "refused"}}, in.admin_tokens.reads_refused);
     }},
    {{"sluice_audit_lines_total", counter, "", "Lines handed to the audit log's sink."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.audit_log.lines); }},
    {{"sluice_audit_lines_dropped_total", counter, "reason",
      "Lines dropped because the audit log's sink was stuck, or unknown callers were too many."},
     [](const MetricsInput& in, Samples& out) {
       out.add({{"reason", "sink"}}, in.audit_log.dropped_sink);
       out.add({{"reason", "flood"}}, in.audit_log.dropped_flood);
     }},
    // Revisions.
    {{"sluice_revision", gauge, "", "The last durable revision."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.ledger.revision); }},
    {{"sluice_epoch", gauge, "", "The routing snapshot that is published."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.epoch); }},
    {{"sluice_worker_epoch", gauge, "worker", "The routing snapshot that each worker runs."},
     add_per_worker<&MetricsInput::Worker::epoch>},
    {{"sluice_ledger_bytes", gauge, "", "The length of the ledger file."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.ledger.bytes); }},
    {{"sluice_ledger_writes_total", counter, "", "Records written and synced to disk."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.ledger.writes); }},
    {{"sluice_ledger_write_seconds_total", counter, "", "Time that these writes and syncs took."},
     [](const MetricsInput& in, Samples& out) { out.add({}, seconds(in.ledger.write_time)); }},
    {{"sluice_ledger_write_failures_total", counter, "", "Records that could not be written."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.ledger.write_failures); }},
    {{"sluice_ledger_good_copies", gauge, "",
      "Copies of the ledger that take records: 2 when all is well."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.ledger.good_copies); }},
    {{"sluice_ledger_copies_total", counter, "result", "Copies to `ledger.copy_to`."},
     [](const MetricsInput& in, Samples& out) {
       out.add({{"result", "written"}}, in.ledger.copies_written);
       out.add({{"result", "failed"}}, in.ledger.copies_failed);
     }},
    {{"sluice_leases", gauge, "", "Shifts that lapse unless they are renewed."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.leases.running); }},
    {{"sluice_leases_lapsed_total", counter, "what", "Leases that nobody renewed in time."},
     [](const MetricsInput& in, Samples& out) {
       out.add({{"what", "reverted"}}, in.leases.reverted);
       out.add({{"what", "frozen"}}, in.leases.frozen);
     }},
    // Those who watch.
    {{"sluice_events_total", counter, "type", "Events of GET /events and of webhooks."},
     [](const MetricsInput& in, Samples& out) {
       for (const EventType type : kEventTypes) {
         out.add({{"type", to_string(type)}}, in.events.totals[static_cast<std::size_t>(type)]);
       }
     }},
    {{"sluice_event_streams", gauge, "", "Clients that follow GET /events."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.events.streams); }},
    {{"sluice_event_streams_refused_total", counter, "",
      "Clients that were turned away because 64 follow already."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.events.streams_refused); }},
    {{"sluice_event_streams_cut_total", counter, "",
      "Clients that were cut because they took nothing for a minute."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.events.streams_cut); }},
    {{"sluice_events_missed_total", counter, "",
      "Events that were forgotten before a slow client took them."},
     [](const MetricsInput& in, Samples& out) { out.add({}, in.events.missed); }},
    {{"sluice_webhook_deliveries_total", counter, "webhook,result",
      "Events told to a webhook: delivered, refused, given_up, dropped; and attempts that failed "
      "and are repeated."},
     add_deliveries},
    {{"sluice_webhook_queue_length", gauge, "webhook", "Events that a webhook has still to take."},
     [](const MetricsInput& in, Samples& out) {
       for (const auto& hook : in.webhooks) out.add({{"webhook", hook.name}}, hook.queue_length);
     }},
    // Clients.
    {{"sluice_client_connections_accepted_total", counter, "listener", "Connections from clients."},
     add_per_listener<&MetricsInput::Listener::accepted>},
    {{"sluice_client_connections", gauge, "listener", "Connections from clients that are open."},
     [](const MetricsInput& in, Samples& out) {
       for (const auto& listener : in.listeners)
         out.add({{"listener", listener.name}}, difference(listener.accepted, listener.closed));
     }},
    {{"sluice_client_connections_gave_way_total", counter, "",
      "Idle connections of clients that were closed for new ones, at limits.client_connections."},
     add_count<Count::client_connections_gave_way>},
    {{"sluice_proxy_headers_refused_total", counter, "",
      "Connections closed because their PROXY header was missing, malformed or late."},
     add_count<Count::refused_proxy_headers>},
    {{"sluice_tls_handshakes_total", counter, "listener,result",
      "TLS handshakes with clients: full, resumed, failed."},
     add_handshakes},
    {{"sluice_requests_total", counter, "status",
      "Requests by the class of their final status; none: the client left before it."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "status", kStatusClasses); }},
    {{"sluice_request_duration_seconds", histogram, "",
      "From a request's first byte to its response's last."},
     add_durations},
    {{"sluice_requests_refused_total", counter, "status",
      "Requests refused as malformed or too large, by the status they were answered."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "status", kRefused); }},
    {{"sluice_responses_refused_total", counter, "",
      "Responses of servers refused as malformed or cut short."},
     add_count<Count::refused_responses>},
    {{"sluice_h2_connections_total", counter, "", "Connections from clients that spoke HTTP/2."},
     add_count<Count::h2_connections>},
    {{"sluice_h2_streams_total", counter, "", "Requests on these."}, add_count<Count::h2_streams>},
    {{"sluice_h2_streams_reset_total", counter, "by",
      "Of these, reset before their response was whole."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "by", kH2Resets); }},
    {{"sluice_h2_goaways_total", counter, "reason", "HTTP/2 connections of clients that we ended."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "reason", kH2Goaways); }},
    {{"sluice_h2_budget_exhausted_total", counter, "budget",
      "HTTP/2 connections, of clients or to servers, whose other side caused too much work to no "
      "use, by what it did."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "budget", kH2Exhausted); }},
    {{"sluice_limits_hit_total", counter, "limit",
      "What a limit of the configuration has refused, by its name there."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "limit", kLimits); }},
    {{"sluice_timeouts_total", counter, "timeout",
      "What a timeout of the configuration has ended, by its name there."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "timeout", kTimeouts); }},
    {{"sluice_received_bytes_total", counter, "peer",
      "Bytes of messages from clients and from backends, without TLS."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "peer", kReceived); }},
    {{"sluice_sent_bytes_total", counter, "peer",
      "Bytes of messages to clients and to backends, without TLS."},
     [](const MetricsInput& in, Samples& out) { add_kinds(in, out, "peer", kSent); }},
    // Routes, backends, servers.
    {{"sluice_route_requests_total", counter, "route,backend",
      "Requests of a route that its split gave to a backend."},
     add_per_share<&MetricsInput::Share::requests>},
    {{"sluice_route_weight", gauge, "route,backend", "The weight of a backend in a route's split."},
     add_per_share<&MetricsInput::Share::weight>},
    {{"sluice_route_sticky_total", counter, "route",
      "Requests of a route that went where their key is bound."},
     add_per_route<&MetricsInput::Route::sticky>},
    {{"sluice_route_forced_total", counter, "route",
      "Requests of a route that named their backend themselves."},
     add_per_route<&MetricsInput::Route::forced>},
    {{"sluice_route_redistributed_total", counter, "route",
      "Requests of a route whose own backend could not serve, given to another of its split."},
     add_per_route<&MetricsInput::Route::redistributed>},
    {{"sluice_route_fallback_total", counter, "route", "The same, given to the route's fallback."},
     add_per_route<&MetricsInput::Route::fallback>},
    {{"sluice_route_fragments", gauge, "route",
      "Fragments of a sticky route's key space; 0 where it is not sticky."},
     add_per_route<&MetricsInput::Route::fragments>},
    {{"sluice_sticky_cookies_issued_total", counter, "", "Sticky cookies that clients were given."},
     add_count<Count::sticky_cookies_issued>},
    {{"sluice_sticky_cookies_refused_total", counter, "",
      "Sticky cookies that were forged, altered, expired or another route's, and taken as none."},
     add_count<Count::sticky_cookies_refused>},
    {{"sluice_server_up", gauge, "backend,server", "1 when a server is up, or not probed."},
     add_per_server<&MetricsInput::Server::up>},
    {{"sluice_server_draining", gauge, "backend,server", "1 while a server is drained."},
     add_per_server<&MetricsInput::Server::draining>},
    {{"sluice_server_running", gauge, "backend,server", "Exchanges running on a server."},
     add_per_server<&MetricsInput::Server::running>},
    {{"sluice_server_requests_total", counter, "backend,server", "Exchanges given to a server."},
     add_per_server<&MetricsInput::Server::requests>},
    {{"sluice_server_failures_total", counter, "backend,server",
      "Exchanges that a server failed: no connection, or no complete response."},
     add_per_server<&MetricsInput::Server::failures>},
    {{"sluice_server_probes_total", counter, "backend,server,result",
      "Health probes: passed, failed."},
     add_probes},
    {{"sluice_retries_total", counter, "",
      "Requests that were given to another server after the first."},
     add_count<Count::retries>},
    {{"sluice_backend_connects_total", counter, "", "Connects to servers that were begun."},
     add_count<Count::backend_connects>},
    {{"sluice_backend_connect_failures_total", counter, "",
      "Connects to servers that were refused or timed out."},
     add_count<Count::backend_connects_failed>},
    {{"sluice_backend_connections", gauge, "",
      "Connections to servers that are open or being opened."},
     [](const MetricsInput& in, Samples& out) {
       out.add({}, difference(in.totals.get(Count::backend_connects),
                              in.totals.get(Count::backend_connects_failed) +
                                  in.totals.get(Count::backend_connections_closed)));
     }},
    {{"sluice_backend_tls_handshakes_total", counter, "result",
      "TLS handshakes with servers: full, resumed, failed."},
     [](const MetricsInput& in, Samples& out) {
       add_kinds(in, out, "result", kBackendHandshakes);
     }},
    {{"sluice_backend_streams_total", counter, "",
      "Requests sent on HTTP/2 connections to servers."},
     add_count<Count::backend_streams>},
    {{"sluice_backend_streams_reset_total", counter, "",
      "Of these, reset by the server before its response was whole, or refused by it."},
     add_count<Count::backend_streams_reset>},
    {{"sluice_backend_goaways_total", counter, "",
      "HTTP/2 connections on which a server said that it takes no more requests."},
     add_count<Count::backend_goaways>},
    // The access log.
    {{"sluice_access_log_lines_total", counter, "", "Lines handed to the access log's sink."},
     add_count<Count::access_log_written>},
    {{"sluice_access_log_dropped_total", counter, "",
      "Lines dropped because the access log's sink was stuck."},
     add_count<Count::access_log_dropped>},
};

}  // namespace

void MetricsInput::AdminCalls::count(int status, AuthFailure failure) {
  ++auth_failures[static_cast<std::size_t>(failure)];
  if (status < 400) {
    ++done;
  } else if (status == 401 || status == 403 || status == 421) {
    ++refused;
  } else {
    ++(status < 500 ? invalid : failed);
  }
}

void MetricsInput::AdminCalls::count_unread(int status) {
  ++(status == 408 || status == 413 ? invalid : malformed);
}

void MetricsInput::add(const WorkerCounters& counters, std::uint64_t adopted_epoch) {
  for (std::size_t i = 0; i < kCountCount; ++i) totals.counts[i] += counters.counts[i].get();
  for (std::size_t i = 0; i < totals.duration_buckets.size(); ++i)
    totals.duration_buckets[i] += counters.durations.bucket(i);
  totals.duration_nanoseconds += counters.durations.nanoseconds();
  for (std::size_t i = 0; i < listeners.size() && i < kListenerSlotsMax; ++i) {
    const ListenerCounters& from = counters.listeners[i];
    // Closed before accepted: a connection counted as closed is then counted as accepted too.
    listeners[i].closed += from.closed.get();
    listeners[i].accepted += from.accepted.get();
    listeners[i].tls_resumed += from.tls_resumed.get();
    listeners[i].tls_handshakes += from.tls_handshakes.get();
    listeners[i].tls_failed += from.tls_failed.get();
  }
  workers.push_back({counters.get(Count::loop_turns), adopted_epoch});
}

std::string_view to_string(MetricType type) {
  switch (type) {
    case counter:
      return "counter";
    case gauge:
      return "gauge";
    case histogram:
      return "histogram";
  }
  return "untyped";
}

std::vector<MetricDefinition> metric_definitions() {
  std::vector<MetricDefinition> definitions;
  for (const Metric& metric : kMetrics) definitions.push_back(metric.definition);
  return definitions;
}

std::string render_metrics(const MetricsInput& input) {
  std::string text;
  for (const Metric& metric : kMetrics) {
    const MetricDefinition& definition = metric.definition;
    fmt::format_to(std::back_inserter(text), "# HELP {} {}\n# TYPE {} {}\n", definition.name,
                   definition.help, definition.name, to_string(definition.type));
    Samples samples(text, definition.name);
    metric.add_samples(input, samples);
  }
  return text;
}

}  // namespace sluice::admin
