#include "proxy/data/exchange.h"

#include <algorithm>

#include "proxy/data/worker.h"
#include "proxy/http/error_response.h"
#include "proxy/http/grpc.h"

namespace sluice::proxy {

using admin::Count;

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
    answer_refusal();
  }
}

bool Exchange::route_request() {
  snapshot_ = worker_.snapshot();
  const std::string_view health_path = client_.client().health_path;
  if (!health_path.empty() && head_.path() == health_path) {
    answer_health();
    return false;
  }
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

void Exchange::on_client_gone() {
  if (response_state_ == ResponseState::done) return;
  drop_attempt();
  finish("client_gone");
}

void Exchange::on_request_failure(int status, std::string_view reason) {
  if (response_state_ == ResponseState::done) return;
  drop_attempt();
  answer_or_cut(status, "http_request_error", reason);
}

// The client is told by an answer of our own, if none of the server's has left yet.
void Exchange::answer_or_cut(int status, std::string_view error, std::string_view explanation) {
  if (response_state_ == ResponseState::waiting || take_back_response()) {
    answer(status, error, explanation);
  } else {
    cut(error);
  }
}

bool Exchange::take_back_response() {
  if (!client_.take_back_response()) return false;
  response_state_ = ResponseState::waiting;
  response_bytes_ = 0;
  return true;
}

// The response's head is out already.
void Exchange::cut(std::string_view error) {
  error_ = error;
  client_.abort();
  finish("aborted");
}

void Exchange::refuse_large_body() {
  worker_.count(Count::limit_body_bytes);
  worker_.count(Count::refused_413);
  answer_or_cut(413, "http_request_error", "The request's body is larger than this proxy allows.");
}

// One of the proxy's own answers, whole. The client connection ends after it if there may be
// request bytes left that nobody reads.
void Exchange::answer(int status, std::string_view error, std::string_view explanation,
                      std::optional<std::chrono::seconds> retry_after) {
  http::ErrorResponse response = http::is_grpc(head_.fields)
                                     ? http::grpc_error_response(status, explanation, error)
                                     : http::error_response(status, explanation, error);
  if (request_state_ == RequestState::receiving) response.head.keep_alive = false;
  if (retry_after) {
    response.head.fields.append("Retry-After", std::to_string(retry_after->count()));
  }
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

void Exchange::answer_refusal() {
  answer(refusal_.status, refusal_.error, refusal_.explanation, refusal_.retry_after);
}

// For checkers outside (conf::Listener::health_path): of this process, whatever the routes.
void Exchange::answer_health() {
  if (head_.method != http::Method::get && head_.method != http::Method::head) {
    answer(405, "http_request_denied", "The health path takes GET and HEAD only.");
    return;
  }
  const bool ready = worker_.ready();
  const std::string_view body = ready ? "ready\n" : "not ready\n";
  http::ResponseHead head;
  head.status = status_ = ready ? 200 : 503;
  head.keep_alive = request_state_ == RequestState::complete;
  head.body = {http::BodyLength::Kind::known, body.size()};
  head.fields.append("Content-Type", "text/plain; charset=utf-8");
  head.fields.append("Cache-Control", "no-store");
  head.fields.append("Content-Length", std::to_string(body.size()));
  response_began_ = worker_.loop().now();
  client_.send_head(head, ClientStream::Author::proxy);
  if (head_.method != http::Method::head) {
    response_bytes_ = body.size();
    client_.send_body(as_bytes(body));
  }
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
      record.chosen_by = routing::to_string(choice_.by);
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

}  // namespace sluice::proxy
