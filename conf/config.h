// Config: everything a configuration file can say, checked and with its defaults filled in.
//
// Plain values: a Config is made by parse() (conf/parser.h), never changed afterwards, and read by
// every room. Times are nanoseconds, sizes bytes. docs/configuration.md is the user's side of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/clock.h"
#include "proxy/base/decimal.h"

namespace sluice::conf {

using std::chrono::seconds;

struct Timeouts {
  Duration connect = seconds(3);         // to a server, TLS handshake included
  Duration tls_handshake = seconds(10);  // from accept to a finished handshake
  Duration request_head = seconds(10);   // first byte of a request to the end of its head
  Duration response_head = seconds(60);  // request sent whole to the response's head
  Duration idle = seconds(75);           // a kept-alive client connection between requests
  Duration backend_idle = seconds(60);   // a pooled backend connection
  Duration stream = seconds(60);         // no byte moved either way within an exchange
  Duration exchange = Duration::zero();  // whole exchange; zero: no limit
};

enum class HttpVersion : std::uint8_t { http1, http2 };
// Sent before the first byte of a connection to a server, to say who the client is.
enum class ProxyProtocol : std::uint8_t { off, v1, v2 };
// How the client's address is told to servers.
enum class ForwardedFields : std::uint8_t { both, x_forwarded, forwarded };

struct Limits {
  std::uint64_t request_line_bytes = 8 * 1024;
  std::uint64_t field_line_bytes = 8 * 1024;
  std::uint64_t head_bytes = 32 * 1024;
  std::uint64_t field_count = 100;
  std::uint64_t body_bytes = 0;                    // of a request; 0: no limit
  std::uint64_t stream_buffer_bytes = 128 * 1024;  // high watermark per direction of an exchange
  std::uint64_t client_connections = 16'000;       // all workers together
  std::uint64_t requests_per_connection = 100'000;
  std::uint64_t backend_idle_connections = 64;  // per server and worker
  std::uint64_t backend_connections = 1024;     // per server and worker
  std::uint64_t backend_waiting = 10'000;       // requests that wait for one; likewise
  std::uint64_t client_streams = 100;           // at a time on one HTTP/2 client connection
  std::uint64_t backend_streams = 100;          // at a time on one HTTP/2 connection to a server
  // Bytes a second, over the time in which we wait for them, after a grace of 10 s; 0: no limit.
  std::uint64_t request_rate_min = 240;        // of a request's body; not of gRPC and tunnels
  std::uint64_t response_rate_min = 240;       // that a client takes of a response
  std::uint64_t retry_body_bytes = 64 * 1024;  // of a request's body, kept for another attempt
};

struct TlsListener {
  std::string certificate_file;
  std::string key_file;
  bool allow_tls12 = false;
  int line = 0;  // of its table in Config::file, for messages; 0: made without a file
};

struct Listener {
  std::string name;
  Address address;
  std::optional<TlsListener> tls;
  std::vector<AddressBlock> trusted_proxies;  // peers whose X-Forwarded-* are believed
  // What clients may speak: by ALPN with TLS, HTTP/2 by prior knowledge without. Not both false.
  bool http1 = true;
  bool http2 = false;  // default: true with TLS
  // Peers that begin with a PROXY header, v1 or v2, and must; from others it is refused.
  std::vector<AddressBlock> proxy_protocol_from;
  ForwardedFields forwarded = ForwardedFields::both;
  std::string health_path;  // answered here, for checkers outside; empty: none
  Timeouts timeouts;        // the file's, with what the listener says in their place
  Limits limits;            // likewise
  int line = 0;             // of its table in Config::file, for messages; 0: made without a file
};

struct HealthCheck {
  std::string path = "/health";
  std::string host;  // Host of the probe; empty: the server's address
  Duration interval = seconds(30);
  Duration settle_interval = seconds(1);  // after a change or a failed connect, until settled
  Duration timeout = seconds(2);
  int rise = 2;
  int fall = 3;
  int status_min = 200;
  int status_max = 299;
  bool operator==(const HealthCheck&) const = default;
};

struct Server {
  std::string name;  // as given, or the address's text
  Address address;
  Decimal weight{1, 0};  // against the others of its backend
  bool operator==(const Server&) const = default;
};

// Connections to servers speak TLS 1.3 or 1.2.
struct BackendTls {
  std::string ca_file;      // PEM; required unless `verify` is false
  std::string server_name;  // that certificates must be good for; empty: the server's address
  bool verify = true;
  int line = 0;  // of its table in Config::file, for messages; 0: made without a file
  bool operator==(const BackendTls&) const = default;
};

struct Backend {
  std::string name;
  std::vector<Server> servers;
  std::optional<HealthCheck> health;  // nullopt: not probed, taken as up
  HttpVersion protocol = HttpVersion::http1;
  std::optional<BackendTls> tls;  // nullopt: plain; HTTP/2 by prior knowledge
  ProxyProtocol send_proxy_protocol = ProxyProtocol::off;  // not with HTTP/2
  // How long a server that returns takes to get its whole share; zero: no time.
  Duration slow_start = Duration::zero();
};

// What a backend of a split is for: all requests, those whose key it has already, or none.
enum class ShareState : std::uint8_t { active, sticky_only, off };

struct WeightedBackend {
  std::string backend;
  Decimal weight;
  ShareState state = ShareState::active;
  bool operator==(const WeightedBackend&) const = default;
};

// One part of what binds a request to a backend.
struct StickyPart {
  enum class Kind : std::uint8_t { cookie, header, client };
  Kind kind = Kind::cookie;
  std::string header;  // lower case; of Kind::header
  bool operator==(const StickyPart&) const = default;
};

// One way to make a key: of all these together.
using StickyWay = std::vector<StickyPart>;
// As the file has it: `header:x-user+client`.
std::string to_string(const StickyWay& way);

enum class SecureCookie : std::uint8_t { automatic, always, never };

// Requests of one key go to one backend, as long as the split lets them.
struct Sticky {
  // Tried in order; the first whose parts a request has all is its key. A cookie stands alone.
  std::vector<StickyWay> by = {{StickyPart{}}};
  std::string cookie_name;                               // empty: "sluice_" and the route's name
  Duration cookie_max_age = Duration::zero();            // zero: for the browser's session
  SecureCookie cookie_secure = SecureCookie::automatic;  // where the client's connection is TLS
  std::string cookie_same_site = "Lax";                  // or "Strict", "None"
  bool cookie_http_only = true;
  std::string key_file;  // empty: sticky.key in runtime.state_directory, made when missing
  int line = 0;          // of its table in Config::file, for messages; 0: made without a file
  bool operator==(const Sticky&) const = default;
};

// Testers may name the backend that serves them, whatever its weight.
struct Force {
  std::string header = "X-Sluice-Backend";
  std::string cookie = "sluice_backend";
  std::vector<AddressBlock> allow_from;
  bool operator==(const Force&) const = default;
};

// What becomes of a request whose backend has no server that takes work.
enum class OnUnhealthy : std::uint8_t { fail, redistribute, fallback };

struct Route {
  std::string name;
  std::vector<std::string> hosts;  // exact or `*.suffix`, lower case; empty: any host
  std::string path_prefix = "/";   // matches whole path segments
  std::vector<WeightedBackend> split;
  std::vector<std::string> upgrades = {"websocket"};  // protocols that clients may switch to
  bool allow_connect = false;                         // CONNECT, forwarded to the backend's server
  bool require_if_match = false;                      // a change of its split must state If-Match
  std::optional<Sticky> sticky;                       // nullopt: every request by its ticket
  std::optional<Force> force;                         // nullopt: nobody may
  OnUnhealthy on_unhealthy = OnUnhealthy::fail;
  std::string fallback;  // a backend, of the split or not; not empty with OnUnhealthy::fallback
  Timeouts timeouts;     // the file's, with what the route says in their place
  Limits limits;         // likewise; a route has no say in what is decided before it is known
};

// What a caller of the admin interface may do. Each may do what those before it may.
enum class Role : std::uint8_t {
  viewer,     // read
  operator_,  // move traffic: shifts, switches, rollbacks, drains, resumes, leases
  admin,      // all else: servers, reloads, export and import, what must be forced
};

struct Grant {
  Role role = Role::viewer;
  // What an operator may change, by name; `*` stands for all. Both empty: everything.
  std::vector<std::string> routes;
  std::vector<std::string> backends;

  bool limited() const { return !routes.empty() || !backends.empty(); }
  bool operator==(const Grant&) const = default;
};

// What somebody is granted: a user of this machine (`deploy`, `1000`), or a certificate's name.
struct NamedGrant {
  std::string name;
  Grant grant;
  bool operator==(const NamedGrant&) const = default;
};

// Of the admin listeners beyond loopback. TLS 1.3.
struct AdminTls {
  std::string certificate_file;
  std::string key_file;
  std::string
      client_ca_file;  // who may have signed clients' certificates; empty: none are asked for
  int line = 0;        // of its table in Config::file, for messages; 0: made without a file
};

// Whether other processes' loopback is ours, so that a uid seen there vouches for nobody.
enum class Container : std::uint8_t { automatic, yes, no };

struct Admin {
  std::vector<Address> listen;  // beyond loopback only with `tls`, and somebody who may call
  std::vector<Address> read_only_listen;  // /metrics, /livez, /readyz
  std::vector<std::string> hosts;         // allowed Host names beside loopback ones
  std::vector<std::uint32_t> uids;        // admins beside root and Sluice's own uid
  std::vector<NamedGrant> users;          // none of them in `uids`
  std::string tokens_file;                // see conf/tokens.h; empty: none
  std::optional<AdminTls> tls;
  std::vector<NamedGrant>
      certificates;  // by common name or subjectAltName; only with client_ca_file
  Container container = Container::automatic;
  unsigned unix_socket_mode = 0660;
};

// What an event is about: GET /events and webhooks pick by it.
enum class EventType : std::uint8_t {
  shift,   // a revision that changed routes or servers
  health,  // a server went up or down
  reload,  // of the file: accepted, refused
  drain,   // of a server: begun, safe to stop, resumed
  lease,   // renewed, confirmed, lapsed
  alarm,   // something of Sluice's own is wrong, or right again
};
inline constexpr std::size_t kEventTypeCount = 6;

// Where a webhook's calls go. Names are not looked up: an IP address or `localhost`.
struct WebhookUrl {
  std::string text;  // as written
  bool tls = false;
  Address address;
  std::string authority;  // for Host
  std::string target;     // path and query
};

// Somebody who is called when something happens.
struct Webhook {
  enum class Format : std::uint8_t { json, alertmanager };
  std::string name;
  WebhookUrl url;
  Format format = Format::json;
  std::vector<EventType> events = {EventType::shift, EventType::health, EventType::reload,
                                   EventType::drain, EventType::lease,  EventType::alarm};
  Duration timeout = seconds(5);     // for one call, from connect to the answer's head
  Duration retry_max = seconds(60);  // the longest pause between attempts
  Duration give_up_after = std::chrono::hours(1);  // on one event; then it is dropped
  std::uint64_t queue = 256;  // events that wait; beyond them the oldest is dropped
  std::string ca_file;        // PEM; required with https
  std::string server_name;    // that its certificate must be good for; empty: the address
  std::string token_file;     // sent as `Authorization: Bearer`; empty: none
  std::vector<std::pair<std::string, std::string>> headers;
  int line = 0;  // of its table in Config::file, for messages; 0: made without a file
};

struct AccessLog {
  bool enabled = false;
  std::string path = "stdout";  // or "stderr", or a file
};

struct AuditLog {
  std::string path = "stderr";  // or "stdout", or a file
};

struct Runtime {
  std::optional<unsigned> workers;                  // nullopt: one per core we are really given
  std::string state_directory = "/var/lib/sluice";  // the ledger lives here
  Duration drain_timeout = seconds(30);             // SIGTERM: running exchanges may take this long
  Duration adopt_timeout = seconds(2);              // how long a shift waits for every worker
  Duration ready_timeout = seconds(10);  // readiness waits this long for the first probes
};

struct Ledger {
  std::string second_directory;    // of the ledger's second copy; empty: state_directory
  std::string copy_to;             // a file that gets a copy after each change; empty: none
  std::uint64_t history = 10'000;  // revisions that are kept at least
};

struct Config {
  std::string file;  // where it came from, for messages
  Runtime runtime;
  Ledger ledger;
  Timeouts timeouts;
  Limits limits;
  std::vector<Listener> listeners;
  std::vector<Backend> backends;
  std::vector<Route> routes;
  Admin admin;
  AccessLog access_log;
  AuditLog audit_log;
  std::vector<Webhook> webhooks;
};

}  // namespace sluice::conf
