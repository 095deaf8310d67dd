#include "proxy/control/admin_endpoint.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "admin/access.h"
#include "admin/audit.h"
#include "admin/render.h"
#include "proxy/control/caller.h"
#include "proxy/control/change_events.h"
#include "proxy/control/version.h"
#include "proxy/data/request_wish.h"
#include "proxy/http/path.h"

namespace sluice::proxy {

using routing::Revision;

namespace {

std::string joined(const http::Fields& fields, std::string_view name, bool& found) {
  std::string all;
  for (const http::Field field : fields) {
    if (!http::equals_ignoring_case(field.name, name)) continue;
    if (found) all += ", ";
    found = true;
    all += field.value;
  }
  return all;
}

std::optional<std::string> field(const http::Fields& fields, std::string_view name) {
  bool found = false;
  std::string all = joined(fields, name, found);
  return found ? std::optional(std::move(all)) : std::nullopt;
}

std::expected<std::string, std::string> normalized_target(std::string_view method,
                                                          std::string_view target) {
  // Only its own methods matter to the form of a target (RFC 9112 §3.2); CONNECT has none.
  if (method == "CONNECT") return "/";
  std::string normalized(target);
  const auto kind = method == "OPTIONS" ? http::Method::options : http::Method::get;
  if (const char* const why = http::normalize_target(kind, normalized)) {
    return std::unexpected(why);
  }
  return normalized;
}

admin::DescribedWish read_described(const routing::Snapshot& snapshot, std::size_t route,
                                    const admin::DescribedRequest& request,
                                    const StickyKeyRing& keys) {
  http::RequestHead head;
  head.target = request.target;
  for (const auto& [name, value] : request.headers) head.fields.append(name, value);
  if (!request.cookie.empty()) head.fields.append("Cookie", request.cookie);
  ClientInfo client;
  std::string peer_ip;
  if (request.client) {
    client.peer = *request.client;
    peer_ip = request.client->ip_to_string();
    client.peer_ip = peer_ip;
  }
  const conf::Route& config = snapshot.config->routes[route];
  const StickyKeys* of_route = config.sticky ? keys_of(keys, config.sticky->key_file) : nullptr;
  RequestWish read = read_wish(config, snapshot.routes[route], head, client, of_route,
                               std::chrono::system_clock::now());
  return {.wish = read.wish,
          .refusal = std::move(read.refusal).value_or(""),
          .bound_by = read.bound_by,
          .cookie_refused = read.cookie_refused};
}

}  // namespace

AdminEndpoint::AdminEndpoint(ControlParts parts)
    : parts_(parts),
      streams_(parts.reactor.loop(), parts.events),
      admin_(
          parts.reactor.loop(), admin::kBodyBytesMax,
          [this](LocalRequest request, Answer answer) {
            on_admin(std::move(request), std::move(answer));
          },
          [this](const LocalService::Refusal& refusal) { return on_admin_refusal(refusal); },
          [this](const http::RequestHead& head, const ClientInfo& client) {
            return refuse_head(head, client);
          }),
      read_only_(parts.reactor.loop(), admin::kBodyBytesMax,
                 [this](LocalRequest request, Answer answer) {
                   on_read_only(std::move(request), std::move(answer));
                 }),
      commands_(
          {.changes = parts.changes,
           .publisher = parts.publisher,
           .health = parts.health,
           .loop = parts.reactor.loop(),
           .config = parts.config,
           .book = parts.book,
           .view = [this] { return view(); },
           .reply = [this](const admin::Request& request, const admin::Reply& made,
                           const Answer& answer,
                           const Revision* revision) { reply(request, made, answer, revision); },
           .reload = parts.reload}),
      observe_timer_(io::Timer::calling<&AdminEndpoint::observe>(this)),
      drain_timer_(io::Timer::calling<&AdminEndpoint::watch_drains>(this)) {
  observe();
}

AdminEndpoint::~AdminEndpoint() = default;

void AdminEndpoint::stop() {
  observe_timer_.cancel();
  drain_timer_.cancel();
  commands_.stop();
  streams_.stop();
}

void AdminEndpoint::observe() {
  const TimePoint now = parts_.reactor.loop().now();
  for (const routing::SnapshotRoute& route : parts_.publisher.current()->routes) {
    std::vector<std::uint64_t> totals;
    for (std::size_t share = 0; share < route.runtime->share_count(); ++share) {
      totals.push_back(route.runtime->total(share));
    }
    observed_[route.name].add(now, route.runtime->backends(), totals);
  }
  parts_.reactor.loop().timers().arm(observe_timer_, now + kObserveTime);
  if (parts_.publisher.all_adopted(parts_.publisher.current()->epoch)) {
    parts_.events.set_alarm(kWorkersAlarm, {});
  }
  parts_.events.set_alarm(kLedgerCopyAlarm, parts_.changes.stats().alarm);
  watch_drains();
}

void AdminEndpoint::watch_drains() {
  bool waiting = false;
  const routing::Snapshot& snapshot = *parts_.publisher.current();
  for (std::size_t b = 0; b < snapshot.backends.size(); ++b) {
    for (std::size_t s = 0; s < snapshot.backends[b].servers.size(); ++s) {
      const routing::SnapshotServer& server = snapshot.backends[b].servers[s];
      if (!server.draining) {
        told_safe_.erase(server.key);
      } else if (told_safe_.contains(server.key)) {
        continue;
      } else if (is_safe_to_stop(b, s)) {
        told_safe_.insert(server.key);
        parts_.events.publish(
            admin::safe_to_stop(server.key, parts_.book.state.drain_revision(server.key)));
      } else {
        waiting = true;
      }
    }
  }
  io::Loop& loop = parts_.reactor.loop();
  if (waiting) loop.timers().arm(drain_timer_, loop.now() + kDrainWatchTime);
}

// --- Requests ---------------------------------------------------------------------------------

// Who asks for what, as far as the head says it.
admin::Request AdminEndpoint::make_request_line(const http::RequestHead& head,
                                                const ClientInfo& client) const {
  admin::Request made;
  made.method = head.method_text;
  made.target = head.target;
  made.host = head.authority;
  const tls::ServerContext* const tls = client.tls_context;
  made.host_is_certified =
      tls && !tls->names().empty() && tls->matches(admin::host_name(made.host));
  made.caller = identify_caller(client);
  if (const auto shown = field(head.fields, "Authorization")) {
    made.caller.credentials = parts_.access.credentials(*shown);
  }
  return made;
}

// All but the body.
admin::Request AdminEndpoint::make_request(const http::RequestHead& head,
                                           const ClientInfo& client) const {
  admin::Request made = make_request_line(head, client);
  made.content_type = field(head.fields, "Content-Type");
  made.if_match = field(head.fields, "If-Match");
  made.idempotency_key = field(head.fields, "Idempotency-Key");
  made.origin = field(head.fields, "Origin");
  made.sec_fetch_site = field(head.fields, "Sec-Fetch-Site");
  made.last_event_id = field(head.fields, "Last-Event-ID");
  return made;
}

// Before its body is read, so that who may not call can't make us keep anything.
std::optional<LocalReply> AdminEndpoint::refuse_head(const http::RequestHead& head,
                                                     const ClientInfo& client) {
  admin::Request made = make_request(head, client);
  const admin::View seen = view_of_callers();
  made.identity = admin::identify(made, seen);
  const std::optional<admin::Reply> refused = admin::refuse_head(made, seen);
  if (!refused) return {};
  audit(made, *refused, nullptr);
  calls_.count(refused->status, made.identity.failure);
  return LocalReply{refused->status, refused->content_type, refused->fields, refused->body};
}

void AdminEndpoint::on_admin(LocalRequest request, Answer answer) {
  auto made = std::make_shared<admin::Request>(make_request(request.head, request.client));
  made->body = std::move(request.body);
  const admin::View seen = view();
  made->identity = admin::identify(*made, seen);
  auto handled = admin::handle(*made, seen);
  if (const auto* ready = std::get_if<admin::Reply>(&handled)) {
    reply(*made, *ready, answer, nullptr);
  } else if (const auto* follow = std::get_if<admin::Follow>(&handled)) {
    open_stream(*made, *follow, answer);
  } else {
    commands_.run(std::move(made), std::get<admin::Command>(std::move(handled)), std::move(answer));
  }
}

void AdminEndpoint::open_stream(const admin::Request& request, const admin::Follow& follow,
                                const Answer& answer) {
  // What ends by itself needs no place.
  if (follow.follow && !streams_.has_room()) {
    streams_.count_refusal();
    reply(request, admin::render_too_many_streams(EventStreams::kStreamsMax), answer, nullptr);
  } else {
    streams_.open(follow, answer);
  }
}

void AdminEndpoint::on_read_only(LocalRequest request, Answer answer) {
  const admin::Request made = make_request(request.head, request.client);
  admin::Reply made_reply = admin::handle_read_only(made, view());
  answer({made_reply.status, std::move(made_reply.content_type), std::move(made_reply.fields),
          std::move(made_reply.body)});
}

void AdminEndpoint::reply(const admin::Request& request, const admin::Reply& reply,
                          const Answer& answer, const Revision* revision) {
  audit(request, reply, revision);
  calls_.count(reply.status, request.identity.failure);
  answer({reply.status, reply.content_type, reply.fields, reply.body});
}

void AdminEndpoint::audit(const admin::Request& request, const admin::Reply& reply,
                          const Revision* revision) {
  if (!admin::is_audited(request, reply)) return;
  const io::Loop& loop = parts_.reactor.loop();
  parts_.audit.write(admin::audit_line(request, reply, revision, loop.wall_now()),
                     !request.identity.known(), loop.now());
}

// What never became a call: its caller is told, as far as the connection still can, and it is
// written down like one.
LocalReply AdminEndpoint::on_admin_refusal(const LocalService::Refusal& refusal) {
  admin::Request request = make_request_line(refusal.head, refusal.client);
  request.identity = admin::identify(request, view_of_callers());
  const admin::Reply made = admin::render_unread(refusal.status, refusal.reason);
  audit(request, made, nullptr);
  calls_.count_unread(made.status);
  return {made.status, made.content_type, made.fields, made.body};
}

// --- What admin/ may see ----------------------------------------------------------------------

admin::View AdminEndpoint::view_of_callers() const {
  admin::View view{.config = *parts_.config,
                   .state = parts_.book.state,
                   .history = parts_.book.history,
                   .access = parts_.access.facts()};
  view.now = parts_.reactor.loop().wall_now();
  view.process = {.version = SLUICE_VERSION,
                  .pid = ::getpid(),
                  .uid = ::geteuid(),
                  .started = parts_.started,
                  .workers = parts_.workers.size()};
  return view;
}

admin::View AdminEndpoint::view() const {
  admin::View view = view_of_callers();
  view.epoch = parts_.publisher.current()->epoch;
  view.adoptions = adoptions();
  view.servers = servers();
  for (const routing::SnapshotRoute& route : parts_.publisher.current()->routes) {
    const auto found = observed_.find(route.name);
    if (found == observed_.end()) continue;
    admin::ObservedRoute& observed = view.observed[route.name];
    observed.backends = route.runtime->backends();
    observed.last_requests = found->second.last_requests();
    observed.last_minute = found->second.last_minute();
  }
  view.webhooks = parts_.webhooks.views();
  view.events = &parts_.events.log();
  view.snapshot = parts_.publisher.current().get();
  view.normalize_target = normalized_target;
  view.read_wish = [this](std::size_t route, const admin::DescribedRequest& request) {
    return read_described(*parts_.publisher.current(), route, request, *parts_.sticky_keys);
  };
  view.alive = {true, "alive"};
  view.ready = ready_;
  view.ledger = {.good_copies = parts_.changes.stats().good_copies,
                 .alarm = parts_.changes.stats().alarm};
  view.alarms = parts_.events.alarms();
  view.ledger_text = [this] { return parts_.ledger.text(); };
  view.collect_metrics = [this] { return collect_metrics(); };
  return view;
}

std::vector<admin::Adoption> AdminEndpoint::adoptions() const {
  std::map<std::uint64_t, admin::Adoption, std::greater<>> by_epoch;
  for (std::size_t worker = 0; worker < parts_.workers.size(); ++worker) {
    const routing::Snapshot& snapshot = parts_.publisher.adopted(worker);
    admin::Adoption& adoption = by_epoch[snapshot.epoch];
    adoption.workers.push_back(worker);
    if (adoption.epoch == snapshot.epoch) continue;
    adoption.epoch = snapshot.epoch;
    adoption.revision = snapshot.revision;
    for (const routing::SnapshotRoute& route : snapshot.routes) {
      adoption.weights[route.name] = route.split;
    }
  }
  std::vector<admin::Adoption> adoptions;
  for (auto& [epoch, adoption] : by_epoch) adoptions.push_back(std::move(adoption));
  return adoptions;
}

bool AdminEndpoint::drained_everywhere(std::size_t backend, std::size_t server) const {
  const routing::ServerKey& key = parts_.publisher.current()->backends[backend].servers[server].key;
  for (std::size_t worker = 0; worker < parts_.workers.size(); ++worker) {
    for (const auto& other : parts_.publisher.adopted(worker).backends) {
      if (other.name != key.backend) continue;
      for (const auto& candidate : other.servers) {
        if (candidate.key == key && !candidate.draining) return false;
      }
    }
  }
  return true;
}

// The workers are asked before the count: once all have adopted, nothing new can begin.
bool AdminEndpoint::is_safe_to_stop(std::size_t backend, std::size_t server) const {
  return drained_everywhere(backend, server) &&
         parts_.publisher.current()->backends[backend].servers[server].runtime->running() == 0;
}

std::vector<admin::ServerView> AdminEndpoint::servers() const {
  std::vector<admin::ServerView> servers;
  const routing::Snapshot& snapshot = *parts_.publisher.current();
  for (std::size_t b = 0; b < snapshot.backends.size(); ++b) {
    for (std::size_t s = 0; s < snapshot.backends[b].servers.size(); ++s) {
      const routing::SnapshotServer& server = snapshot.backends[b].servers[s];
      admin::ServerView view;
      view.key = server.key;
      view.address = server.address;
      const auto known = parts_.health.known(server.key);
      view.probed = known.has_value();
      view.status = known ? known->status : health::Status::up;
      view.since = known ? known->since : parts_.started;
      if (known) {
        view.last_error = known->last_error;
        view.last_error_at = known->last_error_at;
      }
      view.draining = server.draining;
      view.weight = parts_.config->backends[b].servers[s].weight;
      view.revision = parts_.book.state.server_revision(server.key);
      view.drain_revision = parts_.book.state.drain_revision(server.key);
      view.safe_to_stop = server.draining && is_safe_to_stop(b, s);
      view.running = server.runtime->running();
      view.requests = server.runtime->requests_total();
      view.failures = server.runtime->failures_total();
      servers.push_back(std::move(view));
    }
  }
  return servers;
}

admin::MetricsInput AdminEndpoint::collect_metrics() const {
  admin::MetricsInput input;
  input.version = SLUICE_VERSION;
  input.started = parts_.started;
  input.epoch = parts_.publisher.current()->epoch;
  input.ready = ready_.ok;
  input.reloads_accepted = reloads_accepted_;
  input.reloads_refused = reloads_refused_;
  input.admin_calls = calls_;
  input.audit_log = parts_.audit.counts();
  input.admin_tokens = {.count = parts_.access.tokens().count(),
                        .reads_taken = parts_.access.tokens().reads_taken(),
                        .reads_refused = parts_.access.tokens().reads_refused()};
  for (const std::string& name : parts_.listeners.slot_names()) {
    input.listeners.emplace_back().name = name;
  }
  for (std::size_t worker = 0; worker < parts_.workers.size(); ++worker) {
    input.add(parts_.workers.counters(worker), parts_.publisher.adopted_epoch(worker));
  }
  for (std::size_t i = 0; i < input.listeners.size(); ++i) {
    const admin::ListenerCounters& own = parts_.own_counters.listeners[i];
    input.listeners[i].accepted += own.accepted.get();
    input.listeners[i].closed += own.closed.get();
    input.listeners[i].tls_handshakes += own.tls_handshakes.get();
    input.listeners[i].tls_failed += own.tls_failed.get();
  }
  for (const admin::ServerView& server : servers()) {
    admin::MetricsInput::Server& made = input.servers.emplace_back();
    made.key = server.key;
    made.up = server.status == health::Status::up;
    made.draining = server.draining;
    made.running = server.running;
    made.requests = server.requests;
    made.failures = server.failures;
    if (const auto known = parts_.health.known(server.key)) {
      made.probes_passed = known->probes_passed;
      made.probes_failed = known->probes_failed;
    }
  }
  for (const routing::SnapshotRoute& route : parts_.publisher.current()->routes) {
    using enum routing::ChosenBy;
    input.routes.push_back({.name = route.name,
                            .sticky = route.runtime->total_by(sticky),
                            .forced = route.runtime->total_by(forced),
                            .redistributed = route.runtime->total_by(redistributed),
                            .fallback = route.runtime->total_by(fallback),
                            .fragments = route.keys ? route.keys->fragment_count() : 0});
    for (std::size_t share = 0; share < route.split.size(); ++share) {
      input.shares.push_back({route.name, route.split[share].backend,
                              route.split[share].weight.to_double(), route.runtime->total(share)});
    }
  }
  for (const admin::EventType type : admin::kEventTypes) {
    input.events.totals[static_cast<std::size_t>(type)] = parts_.events.log().total(type);
  }
  input.events.streams = streams_.size();
  input.events.streams_refused = streams_.counts().refused;
  input.events.streams_cut = streams_.counts().cut;
  input.events.missed = streams_.counts().missed;
  for (const admin::WebhookView& hook : parts_.webhooks.views()) {
    input.webhooks.push_back({hook.name, hook.counts, hook.queue_length});
  }
  const LedgerStats& ledger = parts_.changes.stats();
  input.ledger = {.revision = parts_.book.state.revision(),
                  .bytes = ledger.bytes,
                  .writes = ledger.writes,
                  .write_time = ledger.write_time,
                  .write_failures = ledger.failures,
                  .good_copies = ledger.good_copies,
                  .copies_written = parts_.backup.stats().written,
                  .copies_failed = parts_.backup.stats().failures};
  input.leases = {.running = parts_.book.state.leases().size(),
                  .reverted = parts_.leases.stats().reverted,
                  .frozen = parts_.leases.stats().frozen};
  return input;
}

}  // namespace sluice::proxy
