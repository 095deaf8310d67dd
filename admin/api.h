// The admin API: (request, view) → reply or command. No socket, no thread, no file.
//
// Control calls handle() for each request of the admin listener. A Reply is the answer. A Command
// is a change that is allowed and well-formed: control plans it (routing/state.h), writes the
// ledger, publishes, waits for the workers, and asks render.h for the answer. Paths are canonical
// below /v1/ and the same without it; docs/admin-api.md is the user's side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "admin/event.h"
#include "admin/event_log.h"
#include "admin/identity.h"
#include "admin/view.h"
#include "conf/tokens.h"
#include "proxy/base/clock.h"
#include "routing/revision.h"
#include "routing/state.h"

namespace sluice::admin {

// Bounds of what a caller may send. The listener enforces the body's while reading; handle() again.
inline constexpr std::size_t kBodyBytesMax = 64 * 1024;
inline constexpr std::size_t kFormFieldsMax = 128;
inline constexpr std::size_t kAuthorBytesMax = 128;
inline constexpr std::size_t kReasonTextBytesMax = 512;
inline constexpr Duration kWaitMax = std::chrono::minutes(10);
inline constexpr Duration kHealthyWaitDefault = std::chrono::seconds(30);  // of wait=healthy
inline constexpr Duration kLeaseMin = std::chrono::seconds(1);
inline constexpr Duration kLeaseMax = std::chrono::hours(7 * 24);
inline constexpr Duration kRetryAfterMax = std::chrono::hours(24);
inline constexpr std::size_t kIdempotencyKeyBytesMax = 128;

// Who is at the other end, as the connection and the request's Authorization tell it. What
// Authorization said is not in here: nobody can log it.
struct Caller {
  enum class Transport : std::uint8_t {
    unix_socket,
    loopback_tcp,
    tls,    // whatever the address
    other,  // from elsewhere, without TLS
  };
  // That there was an Authorization field.
  struct Credentials {
    bool bearer = false;               // of the scheme Bearer
    std::optional<conf::Token> token;  // which of the tokens file's it was; nullopt: none
  };
  struct Certificate {
    std::vector<std::string> names;  // subjectAltNames, then the common name
    WallTime expires;
  };
  Transport transport = Transport::other;
  std::optional<std::uint32_t> uid;  // nullopt: could not be found out
  std::string address;               // "127.0.0.1:50122" or "unix"
  std::optional<Credentials> credentials;
  std::optional<Certificate> certificate;  // verified
};

struct Request {
  std::string method;
  std::string target;              // path and query, as it came
  std::string host;                // authority, port kept
  bool host_is_certified = false;  // over TLS: our certificate is for it
  Caller caller;
  Identity identity;  // what identify() says of the caller, before handle() is called
  std::optional<std::string> content_type;
  std::optional<std::string> if_match;  // all its field lines, joined with ", "
  std::optional<std::string> idempotency_key;
  std::optional<std::string> origin;
  std::optional<std::string> sec_fetch_site;
  std::optional<std::string> last_event_id;
  std::string body;
};

struct Reply {
  int status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> fields;  // ETag, Allow, Retry-After, ...
  std::string body;  // for HEAD too: the listener sends its length and leaves it out
  std::string note;  // a few words for the audit log; not sent
};

enum class Format : std::uint8_t { json, text };

// The revision that what is to be changed must still be at; nullopt: whichever.
using IfMatch = std::optional<routing::RevisionNumber>;

// Of routes. What can't be right is found when it is planned.
struct Change {
  routing::Transaction transaction;
  // Where the guard would refuse it: wait so long until it would not; nullopt: refuse.
  std::optional<Duration> wait_healthy = {};
  bool several = false;  // asked for as a transaction of several routes, and answered so
};
struct Drain {
  routing::ServerKey server;  // exists; without a server: all of the backend
  bool draining = true;       // false: resume
  IfMatch if_match = {};
  // Answer when the server is safe to stop, or (resume) takes new work; nullopt: when in force.
  std::optional<Duration> wait;
  bool force = false;  // passes the guard
};
struct AddServer {
  routing::NewServer server;
};
struct RemoveServer {
  routing::ServerKey server;  // exists
  IfMatch if_match = {};
  bool force = false;  // even if something may be running on it
};
struct WeighServer {
  routing::ServerKey server;  // exists
  IfMatch if_match = {};
  std::string weight;
  bool force = false;  // passes the guard
};
struct LeaseAction {
  routing::RevisionKind kind = routing::RevisionKind::renew_lease;  // or confirm_lease
  routing::RevisionNumber lease = 0;
  std::optional<std::chrono::seconds> ttl;
};
struct ReloadFile {};  // as SIGHUP does

struct Command {
  std::variant<Change, Drain, AddServer, RemoveServer, WeighServer, LeaseAction, ReloadFile> action;
  routing::Origin origin;
  Format format = Format::json;
  bool dry_run = false;  // say what it would do, and do nothing
  std::optional<routing::IdempotencyKey> key = {};
};

// Wants the stream of events.
struct Follow {
  EventStart start;
  EventTypes types;
  bool follow = true;  // false: what is there, and the end
};

// `If-Match` has been compared with view.state; it is handed on so that the plan compares again.
using Handled = std::variant<Reply, Command, Follow>;
Handled handle(const Request& request, const View& view);

// What handle() would refuse whatever the body says: who calls, from where, for what. Of `view`
// only what is known of callers is looked at. For before a body is read; handle() judges again.
std::optional<Reply> refuse_head(const Request& request, const View& view);

// The read-only listener: GET and HEAD of /metrics, /livez, /readyz, whoever asks.
Reply handle_read_only(const Request& request, const View& view);

}  // namespace sluice::admin
