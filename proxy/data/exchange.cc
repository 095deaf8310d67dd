#include "proxy/data/exchange.h"

#include <algorithm>

#include "proxy/base/single_writer.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/failure_answer.h"
#include "proxy/data/worker.h"
#include "proxy/http/error_response.h"
#include "proxy/http/grpc.h"

namespace sluice::proxy {

using admin::Count;
using Kind = BackendFailure::Kind;

Exchange::Exchange(Worker& worker, http::RequestHead& head, bool complete, ClientStream& stream)
    : worker_(worker),
      timer_(io::Timer::calling<&Exchange::on_timer>(this)),
      head_(head),
      client_(stream),
      began_(worker.loop().now()),
      began_wall_(worker.loop().wall_now()),
      last_activity_(began_),
      request_state_(complete ? RequestState::complete : RequestState::receiving) {
}

Exchange::~Exchange() {
  SLUICE_CHECK(attempt_ == AttemptState::none);
}

void Exchange::start() {
  request_id_ = worker_.request_id_for(head_, client_.client());
  if (!route_request()) return;
  start_request_rate();
  rearm_timer();
  if (choose()) {
    begin_attempt();
  } else {
    answer(503, "destination_unavailable", "No server of the chosen backend takes requests now.");
  }
}

bool Exchange::route_request() {
  snapshot_ = worker_.snapshot();
  if (const auto status = http::answered_here(head_)) {
    if (*status == 204) {
      answer_options();
    } else {
      answer(*status, "http_request_denied", "This proxy does not forward such a request.");
    }
    return false;
  }
  const auto match = match_in(*snapshot_);
  if (!match) {
    answer(404, "destination_not_found", "No route matches this host and path.");
    return false;
  }
  route_ = *match;
  routed_ = true;
  const std::uint64_t body_max = limits().body_bytes;
  if (body_max > 0 && head_.body.kind == http::BodyLength::Kind::known &&
      head_.body.bytes > body_max) {
    refuse_large_body();
    return false;
  }
  return !head_.asks_for_tunnel() || tunnel_allowed();
}

// CONNECT has no path: it goes where `/` of its host goes.
std::optional<std::size_t> Exchange::match_in(const AdoptedSnapshot& snapshot) const {
  const std::string_view path = head_.method == http::Method::connect ? "/" : head_.path();
  return snapshot.snapshot->table.match(head_.host(), path);
}

bool Exchange::tunnel_allowed() {
  if (allows_tunnel(snapshot_->snapshot->config->routes[route_])) return true;
  if (head_.method == http::Method::connect) {
    answer(405, "http_request_denied", "This route does not allow CONNECT.");
  } else {
    answer(403, "http_request_denied", "This route does not allow switching to another protocol.");
  }
  return false;
}

bool Exchange::allows_tunnel(const conf::Route& route) const {
  if (head_.method == http::Method::connect) return route.allow_connect;
  return std::ranges::find(route.upgrades, head_.protocol) != route.upgrades.end();
}

const conf::Timeouts& Exchange::timeouts() const {
  const conf::Config& config = *snapshot_->snapshot->config;
  return routed_ ? config.routes[route_].timeouts : config.timeouts;
}

const conf::Limits& Exchange::limits() const {
  const conf::Config& config = *snapshot_->snapshot->config;
  return routed_ ? config.routes[route_].limits : config.limits;
}

const routing::SnapshotServer& Exchange::server() const {
  return snapshot_->snapshot->backends[choice_.backend].servers[*choice_.server];
}

// Chooses by the revision that is in force now, whatever an earlier attempt was made by.
bool Exchange::choose() {
  if (!std::exchange(ticket_taken_, true)) {
    choice_ = worker_.picker().pick(*snapshot_->snapshot, route_);
    return choice_.server.has_value();
  }
  const AdoptedSnapshotPtr current = worker_.snapshot();
  const auto match = match_in(*current);
  if (!match) return false;
  if (head_.asks_for_tunnel() && !allows_tunnel(current->snapshot->config->routes[*match])) {
    return false;
  }
  const std::string backend = snapshot_->snapshot->backends[choice_.backend].name;
  const routing::Choice next =
      worker_.picker().pick_again(*current->snapshot, *match, backend, tried_);
  if (!next.server) return false;
  snapshot_ = current;
  route_ = *match;
  choice_ = next;
  return true;
}

// A stream to the chosen server or, while its connections are all taken, to another of its
// backend that has room. Precondition: choose() was true.
BackendPool::Lease Exchange::lease_stream() {
  const BackendPool::Wish wish{
      .reuse = stale_before_ ? BackendPool::Reuse::fresh : BackendPool::Reuse::allowed,
      .connect_timeout = timeouts().connect,
      .client = &client_.client(),
      .tunnel = head_.asks_for_tunnel()};
  std::size_t full = 0;
  BackendPool::Lease lease;
  do {
    tried_.push_back(server().runtime.get());
    lease = snapshot_->pools[choice_.backend][*choice_.server]->lease(*this, wish);
    full += lease.full ? 1 : 0;
  } while (lease.full && full < kFullServersMax && choose());
  // Those that were full have not been asked.
  const auto end_of_full = tried_.end() - (lease.full ? 0 : 1);
  tried_.erase(end_of_full - static_cast<std::ptrdiff_t>(full), end_of_full);
  return lease;
}

void Exchange::begin_attempt() {
  request_forwarded_ = false;
  held_forwarded_ = false;
  const BackendPool::Lease lease = lease_stream();
  if (lease.full) {
    wait_for_turn();
    return;
  }
  if (!lease.stream) {
    answer(503, "connection_limit_reached", lease.refusal);
    return;
  }
  backend_ = lease.stream;
  const routing::SnapshotServer& chosen = server();
  auto& cell = chosen.runtime->cell(worker_.index());
  base::add_as_single_writer(cell.running, 1);
  base::add_as_single_writer(cell.requests_total, 1);
  attempt_ = lease.connected ? AttemptState::forwarding : AttemptState::connecting;
  const http::ForwardContext context =
      worker_.forward_context(head_, client_.client(), chosen.address, request_id_);
  backend_->send_head(head_, &context);
  if (head_.asks_for_tunnel()) {
    request_forwarded_ = true;  // nothing more goes out before the answer
    rearm_timer();
  } else if (attempt_ == AttemptState::connecting && request_state_ == RequestState::receiving) {
    pause_request();
  }
  advance();
}

// It has not been offered to the server: another may be chosen when it leaves.
void Exchange::wait_for_turn() {
  if (!snapshot_->pools[choice_.backend][*choice_.server]->wait(*this)) {
    worker_.count(Count::limit_backend_waiting);
    answer(503, "connection_limit_reached", "Too many requests wait for the server.");
    return;
  }
  worker_.count(Count::limit_backend_connections);
  last_activity_ = worker_.loop().now();
  if (request_state_ == RequestState::receiving && !head_.asks_for_tunnel()) pause_request();
  rearm_timer();
}

void Exchange::on_turn() {
  last_activity_ = worker_.loop().now();
  if (worker_.snapshot() != snapshot_ || !server().takes_new_work()) {
    if (!choose()) {
      answer(503, "destination_unavailable", "No server of the chosen backend takes requests now.");
      return;
    }
  }
  begin_attempt();
}

void Exchange::end_attempt(bool failed) {
  if (attempt_ == AttemptState::none) return;
  attempt_ = AttemptState::none;
  backend_ = nullptr;
  auto& cell = server().runtime->cell(worker_.index());
  base::add_as_single_writer(cell.running, -1, std::memory_order_release);
  if (failed) base::add_as_single_writer(cell.failures_total, 1);
}

void Exchange::advance() {
  if (response_state_ == ResponseState::done) return;
  if (failure_) {
    after_failure();
    return;
  }
  // A request without a body needs no connection to be sent; one with a body is held until then.
  const bool may_send = attempt_ == AttemptState::forwarding ||
                        (attempt_ == AttemptState::connecting && request_bytes_ == 0 &&
                         request_state_ == RequestState::complete);
  if (may_send && !request_forwarded_) {
    forward_held_body();
    if (request_state_ == RequestState::complete) {
      request_rate_.stop(worker_.loop().now());
      request_forwarded_ = true;
      last_activity_ = worker_.loop().now();
      backend_->send_end(request_trailers_);
      rearm_timer();
    } else {
      resume_request();
    }
  }
}

// Once for each attempt.
void Exchange::forward_held_body() {
  if (std::exchange(held_forwarded_, true) || held_body_.empty()) return;
  backend_->send_body(as_bytes(held_body_));
  if (held_body_.size() > limits().retry_body_bytes) let_go_of_held_body();
}

// From here on the body can't be sent a second time.
void Exchange::let_go_of_held_body() {
  held_body_ = {};
  body_at_hand_ = false;
}

void Exchange::on_request_body(Bytes bytes) {
  if (response_state_ == ResponseState::done) return;
  request_bytes_ += bytes.size();
  last_activity_ = worker_.loop().now();
  if (limits().body_bytes > 0 && request_bytes_ > limits().body_bytes && !tunnel_open_) {
    drop_attempt();
    refuse_large_body();
    return;
  }
  hold_body(bytes);
  if (!held_forwarded_ && !tunnel_open_) return;
  backend_->send_body(bytes);
  if (backend_->buffered() > client_.client().stream_buffer_bytes) {
    pause_request();
    backend_unsent_ = backend_->buffered();
    backend_->notify_when_writable();
  }
}

// For a server that isn't connected yet, and for another attempt.
void Exchange::hold_body(Bytes bytes) {
  if (!body_at_hand_ || response_state_ != ResponseState::waiting) return;
  if (held_forwarded_ && held_body_.size() + bytes.size() > limits().retry_body_bytes) {
    let_go_of_held_body();
  } else {
    held_body_.append(as_text(bytes));
  }
}

void Exchange::on_request_end(const http::Fields& trailers) {
  if (response_state_ == ResponseState::done) return;
  request_state_ = RequestState::complete;
  if (tunnel_open_) {
    backend_->send_end({});
    return;
  }
  request_trailers_ = trailers;
  advance();
}

void Exchange::on_backend_writable() {
  last_activity_ = worker_.loop().now();
  if (response_state_ != ResponseState::done) resume_request();
}

// It is the client's turn, unless it waits for leave to send (RFC 9110 §10.1.1).
void Exchange::start_request_rate() {
  const bool may_send = !head_.expects_continue || continue_sent_ || request_bytes_ > 0;
  if (request_state_ == RequestState::receiving && !head_.asks_for_tunnel() && may_send) {
    request_rate_.start(worker_.loop().now());
  }
}

void Exchange::pause_request() {
  request_paused_ = true;
  request_rate_.stop(worker_.loop().now());
  client_.pause_request();
}

void Exchange::resume_request() {
  if (!std::exchange(request_paused_, false)) return;
  start_request_rate();
  client_.resume_request();
}

void Exchange::on_backend_connected() {
  attempt_ = AttemptState::forwarding;
  last_activity_ = worker_.loop().now();
  advance();
}

void Exchange::on_interim_response(http::ResponseHead& head) {
  last_activity_ = worker_.loop().now();
  if (++interim_count_ > kInterimMax) {
    give_up(Kind::bad_response, "too many interim responses");
    return;
  }
  if (head.status == 100) {
    continue_sent_ = true;
    if (!request_paused_) start_request_rate();
  }
  client_.send_interim(head);
}

void Exchange::on_response_head(http::ResponseHead& head) {
  last_activity_ = response_began_ = worker_.loop().now();
  status_ = head.status;
  response_state_ = ResponseState::streaming;
  let_go_of_held_body();
  if (head_.asks_for_tunnel()) {
    tunnel_open_ = head.body.kind == http::BodyLength::Kind::tunnel;
    if (!tunnel_open_) request_state_ = RequestState::complete;
  }
  rearm_timer();
  client_.send_head(head, ClientStream::Author::server);
}

void Exchange::on_response_body(Bytes bytes) {
  if (response_state_ == ResponseState::done) return;
  response_bytes_ += bytes.size();
  last_activity_ = worker_.loop().now();
  client_.send_body(bytes);
  if (client_.buffered() > client_.client().stream_buffer_bytes) {
    response_paused_ = true;
    client_unsent_ = client_.buffered();
    if (!tunnel_open_) response_rate_.start(last_activity_);
    backend_->pause_response();
    client_.notify_when_writable();
  }
}

void Exchange::on_client_writable() {
  last_activity_ = worker_.loop().now();
  response_paused_ = false;
  response_rate_.stop(last_activity_);
  if (attempt_ == AttemptState::forwarding) backend_->resume_response();
}

void Exchange::on_response_end(const http::Fields& trailers) {
  last_activity_ = worker_.loop().now();
  end_attempt(false);
  client_.send_end(trailers);
  finish("complete");
}

void Exchange::on_backend_failure(const BackendFailure& failure) {
  failure_ = failure;
  advance();
}

// The server has had its chance, by our own judgement.
void Exchange::give_up(Kind kind, std::string_view detail) {
  if (attempt_ != AttemptState::none) backend_->cancel();
  failure_ = BackendFailure{
      .kind = kind, .unprocessed = false, .stale_connection = false, .detail = detail};
  advance();
}

bool Exchange::may_try_another() const {
  if (tried_.size() >= kAttemptsMax || response_state_ != ResponseState::waiting) return false;
  if (turned_away_ >= kTurnedAwayMax) return false;
  if (failure_->kind == Kind::no_socket) return false;  // it would be no better elsewhere
  if (!body_at_hand_) return false;
  if (failure_->unprocessed) return true;
  // Nothing tells whether the server acted on it, so only what may be done twice is done again.
  return failure_->stale_connection && http::is_idempotent(head_.method) &&
         !head_.asks_for_tunnel();
}

void Exchange::after_failure() {
  const BackendFailure failure = *failure_;
  const bool again = may_try_another();
  failure_.reset();
  if (is_connect_failure(failure.kind) && !failure.still_connecting) {
    worker_.report_connect_failed(*snapshot_, choice_);
  }
  end_attempt(failure.kind != Kind::no_socket && failure.kind != Kind::turned_away);
  // A server that merely closed an idle connection, or is about to, is as good as before.
  const bool stale = failure.stale_connection && !failure.unprocessed;
  if (failure.kind == Kind::turned_away) {
    tried_.pop_back();
    ++turned_away_;
  } else if (stale) {
    tried_.back() = nullptr;
    stale_before_ = true;
  }
  if (again && choose()) {
    worker_.count(Count::retries);
    begin_attempt();
    return;
  }
  const FailureAnswer reply = answer_for(failure.kind);
  if (response_state_ == ResponseState::waiting) {
    answer(reply.status, reply.error, failure.detail.empty() ? reply.explanation : failure.detail);
    return;
  }
  cut(reply.error);
}

// The response's head is out already.
void Exchange::cut(std::string_view error) {
  error_ = error;
  client_.abort();
  finish("aborted");
}

void Exchange::refuse_large_body() {
  worker_.count(Count::limit_body_bytes);
  if (response_state_ == ResponseState::waiting) {
    answer(413, "http_request_error", "The request's body is larger than this proxy allows.");
  } else {
    cut("http_request_error");
  }
}

void Exchange::drop_attempt() {
  leave();
  if (attempt_ != AttemptState::none) backend_->cancel();
  end_attempt(false);
}

void Exchange::on_client_gone() {
  if (response_state_ == ResponseState::done) return;
  drop_attempt();
  finish("client_gone");
}

void Exchange::on_request_failure(int status, std::string_view reason) {
  if (response_state_ == ResponseState::done) return;
  drop_attempt();
  if (response_state_ == ResponseState::waiting) {
    answer(status, "http_request_error", reason);
  } else {
    cut("http_request_error");
  }
}

// One of the proxy's own answers, whole. The client connection ends after it if there may be
// request bytes left that nobody reads.
void Exchange::answer(int status, std::string_view error, std::string_view explanation) {
  http::ErrorResponse response = http::is_grpc(head_.fields)
                                     ? http::grpc_error_response(status, explanation, error)
                                     : http::error_response(status, explanation, error);
  if (request_state_ == RequestState::receiving) response.head.keep_alive = false;
  status_ = status;
  error_ = error;
  response_began_ = worker_.loop().now();
  client_.send_head(response.head, ClientStream::Author::proxy);
  if (head_.method != http::Method::head) {
    response_bytes_ = response.body.size();
    client_.send_body(as_bytes(response.body));
  }
  client_.send_end({});
  finish("complete");
}

// OPTIONS that was to go no further than here (RFC 9110 §7.6.2).
void Exchange::answer_options() {
  http::ResponseHead head;
  head.status = status_ = 204;
  response_began_ = worker_.loop().now();
  client_.send_head(head, ClientStream::Author::proxy);
  client_.send_end({});
  finish("complete");
}

void Exchange::finish(std::string_view outcome) {
  response_state_ = ResponseState::done;
  timer_.cancel();
  AccessRecord record;
  record.time = began_wall_;
  record.client = &client_.client();
  record.request_id = request_id_;
  record.method = head_.method_text;
  record.host = head_.authority;
  record.target = head_.target;
  if (routed_) {
    const routing::Snapshot& snapshot = *snapshot_->snapshot;
    record.route = snapshot.routes[route_].name;
    record.revision = snapshot.revision;
    if (tried_.size() + turned_away_ > 0) {
      record.backend = snapshot.backends[choice_.backend].name;
      if (choice_.server) record.server = server().key.server;
    }
  }
  record.status = status_;
  record.outcome = outcome;
  record.error = error_;
  record.request_bytes = request_bytes_;
  record.response_bytes = response_bytes_;
  const TimePoint now = worker_.loop().now();
  record.duration = now - began_;
  record.until_response = response_began_ == kNever ? Duration(-1) : response_began_ - began_;
  record.attempts = tried_.size() + turned_away_;
  worker_.finish_exchange(record);
}

TimePoint Exchange::deadline() const {
  const conf::Timeouts& times = timeouts();
  TimePoint when = last_activity_ + times.stream;
  if (request_forwarded_ && response_state_ == ResponseState::waiting) {
    when = last_activity_ + times.response_head;
  }
  if (waiting()) when = last_activity_ + times.connect;
  if (times.exchange > Duration::zero()) when = std::min(when, began_ + times.exchange);
  return std::min({when, request_too_slow_at(), response_too_slow_at()});
}

// A stream of gRPC messages may rest as long as it likes.
TimePoint Exchange::request_too_slow_at() const {
  const bool grpc = head_.version == http::Version::http_2 && http::is_grpc(head_.fields);
  if (request_state_ == RequestState::complete || grpc) return kNever;
  return request_rate_.too_slow_at(request_bytes_, limits().request_rate_min);
}

TimePoint Exchange::response_too_slow_at() const {
  const std::uint64_t unsent = client_.buffered();
  const std::uint64_t taken = response_bytes_ - std::min(response_bytes_, unsent);
  return response_rate_.too_slow_at(taken, limits().response_rate_min);
}

void Exchange::rearm_timer() {
  client_unsent_ = client_.buffered();
  backend_unsent_ = backend_ ? backend_->buffered() : 0;
  worker_.loop().timers().arm(timer_, deadline());
}

bool Exchange::output_moves() const {
  return client_.buffered() < client_unsent_ ||
         (backend_ && backend_->buffered() < backend_unsent_);
}

void Exchange::on_timer() {
  const TimePoint now = worker_.loop().now();
  const Duration limit = timeouts().exchange;
  const bool over = limit > Duration::zero() && now >= began_ + limit;
  const bool slow_request = now >= request_too_slow_at();
  const bool below_rate = slow_request || now >= response_too_slow_at();
  if (!over && now >= deadline() && output_moves()) last_activity_ = now;
  if (!over && !below_rate && now < deadline()) {
    rearm_timer();
    return;
  }
  if (waiting()) {
    leave();
    worker_.count(over ? Count::timeout_exchange : Count::timeout_connect);
    answer(503, "connection_limit_reached", "All connections to the server were taken for long.");
    return;
  }
  const bool unanswered = response_state_ == ResponseState::waiting;
  worker_.count(over                               ? Count::timeout_exchange
                : slow_request                     ? Count::limit_request_rate_min
                : below_rate                       ? Count::limit_response_rate_min
                : request_forwarded_ && unanswered ? Count::timeout_response_head
                                                   : Count::timeout_stream);
  // Who is it that nothing comes from, or that takes nothing?
  const bool client_is_slow =
      below_rate || (unanswered ? request_state_ == RequestState::receiving && !request_paused_ &&
                                      !request_forwarded_
                                : response_paused_);
  if (client_is_slow) {
    drop_attempt();
    if (unanswered) {
      answer(408, "http_request_timeout", "The request's body did not come in time.");
    } else {
      cut("client_too_slow");
    }
    return;
  }
  give_up(Kind::response_timeout, {});
}

}  // namespace sluice::proxy
