#include "conf/keys.h"

#include <limits>
#include <utility>

#include "conf/kinds.h"

namespace sluice::conf {
namespace {

constexpr std::uint64_t kKiB = 1 << 10;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{1} << 50;
constexpr std::size_t kListenersMax = 64;
constexpr std::size_t kBackendsMax = 4096;
constexpr std::size_t kRoutesMax = 16'384;
constexpr int kProbesInARowMax = 1000;

Section<Runtime> runtime_section() {
  return Section(Runtime{})
      .value("workers", worker_count(), &Runtime::workers,
             "Event loops; `auto` is one for each core that affinity and CPU quota really give")
      .value("state_directory", file_path(), &Runtime::state_directory,
             "Where the ledger of revisions is kept")
      .value("drain_timeout", duration(), &Runtime::drain_timeout,
             "How long running exchanges may take to finish after SIGTERM")
      .value("adopt_timeout", duration(), &Runtime::adopt_timeout,
             "How long a shift waits for every worker before it answers 504")
      .value("ready_timeout", duration(), &Runtime::ready_timeout,
             "How long readiness waits for the first round of probes");
}

Section<Timeouts> timeouts_section() {
  return Section(Timeouts{})
      .value("connect", duration(), &Timeouts::connect, "TCP connect to a server")
      .value("tls_handshake", duration(), &Timeouts::tls_handshake,
             "From accepting a client to a finished TLS handshake")
      .value("request_head", duration(), &Timeouts::request_head,
             "From the first byte of a request to the end of its head")
      .value("response_head", duration(), &Timeouts::response_head,
             "From the request sent whole to the head of its response")
      .value("idle", duration(), &Timeouts::idle, "A kept-alive client connection between requests")
      .value("backend_idle", duration(), &Timeouts::backend_idle,
             "A pooled connection to a server between requests")
      .value("stream", duration(), &Timeouts::stream, "No byte moved either way within an exchange")
      .value("exchange", duration_or_zero(), &Timeouts::exchange,
             "A whole exchange; `\"0s\"` is no limit");
}

Section<Limits> limits_section() {
  constexpr std::uint64_t kCountMax = 1'000'000'000;
  return Section(Limits{})
      .value("request_line_bytes", size(kKiB, kMiB), &Limits::request_line_bytes,
             "A request line; longer ones get 414")
      .value("field_line_bytes", size(kKiB, kMiB), &Limits::field_line_bytes,
             "One header or trailer line; longer ones get 431")
      .value("head_bytes", size(4 * kKiB, 4 * kMiB), &Limits::head_bytes,
             "The head of a request or response; larger requests get 431")
      .value("field_count", count(8, 10'000), &Limits::field_count,
             "Header lines of one head; more get 431")
      .value("body_bytes", size_or_zero(kBodyBytesMax), &Limits::body_bytes,
             "The body of a request; larger ones get 413; 0 is no limit")
      .value("stream_buffer_bytes", size(16 * kKiB, 64 * kMiB), &Limits::stream_buffer_bytes,
             "What is held in each direction of an exchange before its sender must wait")
      .value("client_connections", count(1, 10'000'000), &Limits::client_connections,
             "Client connections, all workers together")
      .value("requests_per_connection", count(1, kCountMax), &Limits::requests_per_connection,
             "Requests on one client connection before it is closed")
      .value("backend_idle_connections", count(1, 100'000), &Limits::backend_idle_connections,
             "Pooled connections to one server, for each worker")
      .value("backend_connections", count(1, 1'000'000), &Limits::backend_connections,
             "All connections to one server, for each worker");
}

Section<HealthDraft> health_section(const std::string& enabled_meaning) {
  using Status = StatusRange;
  const auto text = [](std::string HealthCheck::*member) {
    return std::pair([member](const HealthDraft& draft) { return draft.check.*member; },
                     [member](HealthDraft& draft, std::string value) {
                       draft.check.*member = std::move(value);
                     });
  };
  const auto time = [](Duration HealthCheck::*member) {
    return std::pair([member](const HealthDraft& draft) { return draft.check.*member; },
                     [member](HealthDraft& draft, Duration value) { draft.check.*member = value; });
  };
  const auto number = [](int HealthCheck::*member) {
    return std::pair([member](const HealthDraft& draft) { return draft.check.*member; },
                     [member](HealthDraft& draft, int value) { draft.check.*member = value; });
  };
  const auto [get_path, set_path] = text(&HealthCheck::path);
  const auto [get_host, set_host] = text(&HealthCheck::host);
  const auto [get_interval, set_interval] = time(&HealthCheck::interval);
  const auto [get_settle, set_settle] = time(&HealthCheck::settle_interval);
  const auto [get_timeout, set_timeout] = time(&HealthCheck::timeout);
  const auto [get_rise, set_rise] = number(&HealthCheck::rise);
  const auto [get_fall, set_fall] = number(&HealthCheck::fall);
  const auto get_status = [](const HealthDraft& draft) {
    return Status{draft.check.status_min, draft.check.status_max};
  };
  const auto set_status = [](HealthDraft& draft, Status status) {
    draft.check.status_min = status.min;
    draft.check.status_max = status.max;
  };
  return Section(HealthDraft{})
      .value("enabled", boolean(), &HealthDraft::enabled, enabled_meaning)
      .value_as("path", request_target(), get_path, set_path, "What a probe asks for")
      .optional("host", host_field(), set_host,
                "The Host that a probe sends; without it the server's address")
      .value_as("interval", duration(), get_interval, set_interval,
                "From one probe of a settled server to the next")
      .value_as("settle_interval", duration(), get_settle, set_settle,
                "The same after a change or a failed connect, until the server is settled")
      .value_as("timeout", duration(), get_timeout, set_timeout, "How long a probe may take")
      .value_as("rise", small_count(1, kProbesInARowMax), get_rise, set_rise,
                "Passed probes in a row that bring a server back")
      .value_as("fall", small_count(1, kProbesInARowMax), get_fall, set_fall,
                "Failed probes in a row that take a server out")
      .value_as("status", status_range(), get_status, set_status, "What passes as an answer");
}

Section<TlsListener> tls_section() {
  return Section(TlsListener{})
      .required(
          "certificate_file", file_path(),
          [](TlsListener& tls, std::string path) { tls.certificate_file = std::move(path); },
          "The certificate chain, PEM, the listener's own certificate first")
      .required(
          "key_file", file_path(),
          [](TlsListener& tls, std::string path) { tls.key_file = std::move(path); },
          "The private key of the first certificate, PEM")
      .value_as(
          "min_version", choice({"1.3", "1.2"}),
          [](const TlsListener& tls) { return std::string(tls.allow_tls12 ? "1.2" : "1.3"); },
          [](TlsListener& tls, const std::string& version) { tls.allow_tls12 = version == "1.2"; },
          "The oldest TLS version that clients may use");
}

Section<Listener> listener_section() {
  return Section(Listener{})
      .required(
          "address", address(AddressUse::data_listener),
          [](Listener& listener, const Address& address) { listener.address = address; },
          "Where clients connect; `*:PORT` is all IPv4 addresses, `[::]:PORT` all IPv6 ones")
      .value("trusted_proxies", block_list(), &Listener::trusted_proxies,
             "Peers whose X-Forwarded-For, -Proto and -Host are believed")
      .table(
          "tls", tls_section(),
          [](Listener& listener, const Entry& entry) -> TlsListener& {
            TlsListener& tls = listener.tls.emplace();
            tls.line = entry.at.line;
            return tls;
          },
          "Clients of this listener speak TLS; without this table plain HTTP");
}

Section<BackendDraft> backend_section() {
  return Section(BackendDraft{})
      .required(
          "servers", servers(),
          [](BackendDraft& draft, std::vector<Server> servers) {
            draft.backend.servers = std::move(servers);
          },
          "Where the backend's servers listen, IP:PORT; a table gives them names")
      .table(
          "health",
          health_section("Probe this backend's servers; if not, they count as up").inherited(),
          [](BackendDraft& draft, const Entry&) -> HealthDraft& { return draft.health; },
          "How this backend's servers are probed; what is not said here is as [health] says");
}

Section<Route> route_section() {
  return Section(Route{})
      .optional(
          "host", host_name(true),
          [](Route& route, std::string host) { route.hosts.push_back(std::move(host)); },
          "The host it is for, exact or `*.suffix`; without host and hosts any")
      .optional(
          "hosts", host_name_list(true),
          [](Route& route, std::vector<std::string> hosts) { route.hosts = std::move(hosts); },
          "The same for several hosts")
      .value("path", path_prefix(), &Route::path_prefix,
             "The path it is for, with all that is below it, segment by segment")
      .required(
          "split", split(),
          [](Route& route, std::vector<WeightedBackend> split) { route.split = std::move(split); },
          "The weight of each backend: not negative, any sum, at most six digits behind the point");
}

Admin default_admin() {
  Admin admin;
  admin.listen.push_back(Address::parse("127.0.0.1:9901").value());
  admin.read_only_listen.push_back(Address::parse("127.0.0.1:9902").value());
  return admin;
}

Section<Admin> admin_section() {
  return Section(default_admin())
      .value("listen", address_list(AddressUse::admin_listener), &Admin::listen,
             "Where the admin interface listens: Unix sockets (`unix:/PATH`) and loopback "
             "addresses; an empty list turns it off")
      .value("read_only_listen", address_list(AddressUse::read_only_listener),
             &Admin::read_only_listen,
             "Where metrics and readiness can be read and nothing else be done; an empty list "
             "turns it off")
      .value("hosts", host_name_list(false), &Admin::hosts,
             "Host names under which the admin interface may be called, beside loopback ones")
      .value("uids", uid_list(), &Admin::uids,
             "Users who may call it, beside root and the one Sluice runs as")
      .value("unix_socket_mode", file_mode(), &Admin::unix_socket_mode,
             "File mode of the Unix sockets");
}

Section<AccessLog> access_log_section() {
  return Section(AccessLog{.enabled = true})
      .value("enabled", boolean(), &AccessLog::enabled,
             "Whether exchanges are logged; on where the table stands, off where it is missing")
      .value("path", log_sink(), &AccessLog::path, "Where to, one JSON object a line");
}

Section<Draft> make_file_section() {
  return Section(Draft{})
      .table(
          "runtime", runtime_section(),
          [](Draft& draft, const Entry&) -> Runtime& { return draft.config.runtime; },
          "The process itself")
      .table(
          "timeouts", timeouts_section(),
          [](Draft& draft, const Entry&) -> Timeouts& { return draft.config.timeouts; },
          "How long each part of an exchange may take")
      .table(
          "limits", limits_section(),
          [](Draft& draft, const Entry&) -> Limits& { return draft.config.limits; },
          "How much memory, how many connections and requests")
      .named_tables(
          "listeners", listener_section(),
          [](Draft& draft, const Entry& entry) -> Listener& {
            Listener& listener = draft.config.listeners.emplace_back();
            listener.name = entry.key;
            listener.line = entry.at.line;
            return listener;
          },
          kListenersMax, "Where clients connect")
      .table(
          "health", health_section("Probe servers; those that are not probed count as up"),
          [](Draft& draft, const Entry&) -> HealthDraft& { return draft.health; },
          "How servers are probed, for all backends that don't say otherwise")
      .named_tables(
          "backends", backend_section(),
          [](Draft& draft, const Entry& entry) -> BackendDraft& {
            BackendDraft& backend = draft.backends.emplace_back();
            backend.backend.name = entry.key;
            backend.health = draft.health;
            return backend;
          },
          kBackendsMax, "Named sets of interchangeable servers")
      .named_tables(
          "routes", route_section(),
          [](Draft& draft, const Entry& entry) -> Route& {
            Route& route = draft.config.routes.emplace_back();
            route.name = entry.key;
            return route;
          },
          kRoutesMax, "Which requests go to which backends, by host and path")
      .table(
          "admin", admin_section(),
          [](Draft& draft, const Entry&) -> Admin& { return draft.config.admin; },
          "The interface that shows and shifts traffic, and the one that only shows")
      .table(
          "access_log", access_log_section(),
          [](Draft& draft, const Entry&) -> AccessLog& {
            draft.config.access_log.enabled = true;
            return draft.config.access_log;
          },
          "A line for every exchange");
}

}  // namespace

Draft::Draft() {
  config.admin = default_admin();
}

Config Draft::finish() && {
  for (BackendDraft& draft : backends) {
    if (draft.health.enabled) draft.backend.health = std::move(draft.health.check);
    config.backends.push_back(std::move(draft.backend));
  }
  return std::move(config);
}

const Section<Draft>& file_section() {
  static const Section<Draft> kSection = make_file_section();
  return kSection;
}

}  // namespace sluice::conf
