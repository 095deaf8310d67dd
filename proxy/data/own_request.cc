#include "proxy/data/own_request.h"

#include <charconv>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::proxy {
namespace {

std::string describe(const BackendFailure& failure) {
  switch (failure.kind) {
    case BackendFailure::Kind::connect_refused:
      return "connection refused";
    case BackendFailure::Kind::connect_failed:
      return "connect failed";
    case BackendFailure::Kind::connect_timeout:
      return "connect timed out";
    case BackendFailure::Kind::turned_away:
      return "turned away: " + std::string(failure.detail);
    case BackendFailure::Kind::certificate_refused:
      return "certificate refused: " + std::string(failure.detail);
    case BackendFailure::Kind::tls_failed:
      return "TLS failed: " + std::string(failure.detail);
    case BackendFailure::Kind::bad_response:
      return "malformed response: " + std::string(failure.detail);
    case BackendFailure::Kind::no_socket:
      return "no socket: " + std::string(failure.detail);
    default:
      return "closed without an answer";
  }
}

// Of its two forms the one in seconds (RFC 9110 §10.2.3).
std::optional<std::chrono::seconds> retry_after(const http::Fields& fields) {
  for (const http::Field field : fields) {
    if (!http::equals_ignoring_case(field.name, "Retry-After")) continue;
    std::uint32_t seconds = 0;
    const char* const end = field.value.data() + field.value.size();
    const auto [stop, error] = std::from_chars(field.value.data(), end, seconds);
    if (error == std::errc{} && stop == end) return std::chrono::seconds(seconds);
  }
  return {};
}

}  // namespace

OwnRequest::OwnRequest(ConnectionHost& host)
    : host_(host), timeout_(io::Timer::calling<&OwnRequest::on_timeout>(this)) {
}

OwnRequest::~OwnRequest() {
  cancel();
}

void OwnRequest::cancel() {
  then_ = nullptr;
  timeout_.cancel();
  if (BackendStream* const stream = std::exchange(stream_, nullptr)) stream->cancel();
}

void OwnRequest::start(BackendPool& pool, Call call, Then then) {
  SLUICE_CHECK(!running());
  call_ = std::move(call);
  response_ = {};
  then_ = std::move(then);
  const BackendPool::Lease lease =
      pool.lease(*this, {.reuse = BackendPool::Reuse::fresh, .connect_timeout = host_.timeouts().connect});
  if (!lease.stream) {
    finish(std::unexpected(Failure{.ours = true, .reason = std::string(lease.refusal)}));
    return;
  }
  stream_ = lease.stream;
  host_.loop().timers().arm(timeout_, host_.loop().now() + call_.timeout);
  call_.head.body = {};
  if (!call_.body.empty()) {
    call_.head.body = {.kind = http::BodyLength::Kind::known, .bytes = call_.body.size()};
  }
  stream_->send_head(call_.head, nullptr);
  if (call_.body.empty() || lease.connected) send_body();
}

void OwnRequest::on_backend_connected() {
  if (!call_.body.empty()) send_body();
}

void OwnRequest::send_body() {
  if (!call_.body.empty()) stream_->send_body(as_bytes(call_.body));
  stream_->send_end({});
}

void OwnRequest::on_response_head(http::ResponseHead& head) {
  response_.status = head.status;
  response_.retry_after = retry_after(head.fields);
  if (call_.answer_bytes_max == 0) finish(std::move(response_));
}

void OwnRequest::on_response_body(Bytes bytes) {
  const std::size_t room = call_.answer_bytes_max - response_.body.size();
  response_.body.append(as_text(bytes).substr(0, room));
  if (bytes.size() > room) finish(std::move(response_));
}

void OwnRequest::on_response_end(const http::Fields&) {
  stream_ = nullptr;
  finish(std::move(response_));
}

void OwnRequest::on_backend_failure(const BackendFailure& failure) {
  stream_ = nullptr;
  const bool ours = failure.kind == BackendFailure::Kind::no_socket;
  const bool cut = response_.status != 0 && failure.kind == BackendFailure::Kind::closed;
  finish(std::unexpected(Failure{ours, cut ? "the answer was cut" : describe(failure)}));
}

void OwnRequest::on_timeout() {
  finish(std::unexpected(Failure{.reason = "no answer in time"}));
}

void OwnRequest::finish(Result result) {
  Then then = std::exchange(then_, nullptr);
  cancel();
  then(std::move(result));
}

}  // namespace sluice::proxy
