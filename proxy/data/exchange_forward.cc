// Exchange, its bytes: what goes on to the server and to the client, held back where one of them
// takes no more.
#include <utility>

#include "proxy/data/exchange.h"
#include "proxy/data/worker.h"

namespace sluice::proxy {

using Kind = BackendFailure::Kind;

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
  const std::uint64_t high = client_.client().stream_buffer_bytes;
  if (backend_->buffered() > high) {
    pause_request();
    backend_unsent_ = backend_->buffered();
    backend_->notify_when_below(high / 2);
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

void Exchange::on_backend_writable() {
  last_activity_ = worker_.loop().now();
  if (response_state_ != ResponseState::done) resume_request();
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
  if (cookie_key_) {
    const conf::Route& route = snapshot_->snapshot->config->routes[route_];
    // Gone only if a reload took the file away since the choice.
    if (const StickyKeys* keys = worker_.sticky_keys(route.sticky->key_file)) {
      const std::string cookie = keys->seal(route.name, *cookie_key_, worker_.loop().wall_now());
      head.fields.append("Set-Cookie", set_cookie(route, cookie, client_.client().is_tls));
      worker_.count(admin::Count::sticky_cookies_issued);
    }
  }
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
    if (!tunnel_open_) {
      response_rate_.start(last_activity_);
      bring_timer_forward();
    }
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

}  // namespace sluice::proxy
