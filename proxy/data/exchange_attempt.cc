// Exchange, its attempts: which server, a stream to it, and whether another one is tried.
#include <utility>

#include "proxy/base/single_writer.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/exchange.h"
#include "proxy/data/failure_answer.h"
#include "proxy/data/worker.h"

namespace sluice::proxy {

using admin::Count;
using Kind = BackendFailure::Kind;

const routing::SnapshotServer& Exchange::server() const {
  return snapshot_->snapshot->backends[choice_.backend].servers[*choice_.server];
}

// Chooses by the revision that is in force now, whatever an earlier attempt was made by.
bool Exchange::choose(bool busy) {
  refusal_ = {503, "destination_unavailable",
              "No server of the chosen backend takes requests now."};
  const AdoptedSnapshotPtr current = worker_.snapshot();
  const routing::Snapshot& snapshot = *current->snapshot;
  const auto match = chosen_before_ ? match_in(*current) : std::optional(route_);
  if (!match) return false;
  const conf::Route& config = snapshot.config->routes[*match];
  if (chosen_before_ && head_.asks_for_tunnel() && !allows_tunnel(config)) return false;
  const routing::SnapshotRoute& route = snapshot.routes[*match];
  if (route.maintenance) {
    refusal_ = {503, "destination_unavailable", "This route is under maintenance.",
                route.maintenance->retry_after};
    return false;
  }
  const StickyKeys* keys = config.sticky ? worker_.sticky_keys(config.sticky->key_file) : nullptr;
  RequestWish asked = read_wish(config, route, head_, client_.client(), keys, began_wall_);
  if (asked.refusal) {
    refusal_ = {400, "http_request_error", std::move(*asked.refusal)};
    return false;
  }
  asked.wish.now = worker_.loop().now();
  asked.wish.same_backend_only = busy;
  if (!std::exchange(chosen_before_, true)) {
    choice_ = worker_.picker().pick(snapshot, *match, asked.wish);
    if (asked.cookie_refused) worker_.count(Count::sticky_cookies_refused);
  } else {
    const std::string backend = snapshot_->snapshot->backends[choice_.backend].name;
    const routing::Choice next =
        worker_.picker().pick_again(snapshot, *match, backend, choice_.by, tried_, asked.wish);
    if (!next.server) return false;
    snapshot_ = current;
    route_ = *match;
    choice_ = next;
  }
  decide_cookie(asked);
  return choice_.server.has_value();
}

// A new client gets a key of the backend that it was given, so that it comes back there; one that
// it got in an earlier attempt stays if it is as good now.
void Exchange::decide_cookie(const RequestWish& asked) {
  const routing::SnapshotRoute& route = snapshot_->snapshot->routes[route_];
  if (asked.renew_cookie) {
    cookie_key_ = asked.wish.key;
  } else if (!asked.wants_cookie || choice_.by == routing::ChosenBy::fallback) {
    cookie_key_.reset();
  } else if (!cookie_key_ || route.keys->share_of(*cookie_key_) != choice_.share) {
    cookie_key_ = route.keys->key_in(choice_.share, worker_.random());
  }
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
  } while (lease.full && full < kFullServersMax && choose(true));
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
      answer_refusal();
      return;
    }
  }
  begin_attempt();
}

void Exchange::on_backend_connected() {
  attempt_ = AttemptState::forwarding;
  last_activity_ = worker_.loop().now();
  advance();
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
  answer_or_cut(reply.status, reply.error,
                failure.detail.empty() ? reply.explanation : failure.detail);
}

void Exchange::drop_attempt() {
  leave();
  if (attempt_ != AttemptState::none) backend_->cancel();
  end_attempt(false);
}

void Exchange::end_attempt(bool failed) {
  if (attempt_ == AttemptState::none) return;
  attempt_ = AttemptState::none;
  backend_ = nullptr;
  auto& cell = server().runtime->cell(worker_.index());
  base::add_as_single_writer(cell.running, -1, std::memory_order_release);
  if (failed) base::add_as_single_writer(cell.failures_total, 1);
}

}  // namespace sluice::proxy
