// Exchange, its times: when it has waited long enough, and for whom.
#include <algorithm>

#include "proxy/data/exchange.h"
#include "proxy/data/worker.h"
#include "proxy/http/grpc.h"

namespace sluice::proxy {

using admin::Count;
using Kind = BackendFailure::Kind;

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

// It is the client's turn, unless it waits for leave to send (RFC 9110 §10.1.1).
void Exchange::start_request_rate() {
  const bool may_send = !head_.expects_continue || continue_sent_ || request_bytes_ > 0;
  if (request_state_ == RequestState::receiving && !head_.asks_for_tunnel() && may_send) {
    request_rate_.start(worker_.loop().now());
    bring_timer_forward();
  }
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

// A peer's turn has begun: its time may be over before what the timer was armed for.
void Exchange::bring_timer_forward() {
  const TimePoint when = deadline();
  if (!timer_.armed() || when < timer_.deadline()) worker_.loop().timers().arm(timer_, when);
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
    if (over) {
      answer(504, "http_response_timeout", "No connection to the server was free in time.");
    } else {
      answer(503, "connection_limit_reached", "All connections to the server were taken for long.");
    }
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
