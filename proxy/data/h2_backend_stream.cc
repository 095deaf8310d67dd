#include "proxy/data/h2_backend_stream.h"

#include <utility>

#include "proxy/data/h1_output.h"
#include "proxy/data/h2_backend.h"
#include "proxy/data/websocket.h"

namespace sluice::proxy {

using admin::Count;
using http::BodyLength;
using Kind = BackendFailure::Kind;

H2BackendStream::H2BackendStream(H2Backend& backend, ResponseHandler& handler, bool tunnel,
                                 bool held, TimePoint give_up_at)
    : backend_(backend), handler_(&handler), give_up_at_(give_up_at), tunnel_(tunnel) {
  if (held) held_ = std::make_unique<Held>();
}

H2BackendStream::~H2BackendStream() = default;

// --- From the exchange --------------------------------------------------------------------------

void H2BackendStream::send_head(const http::RequestHead& head,
                                const http::ForwardContext* context) {
  extended_connect_ = !head.protocol.empty();
  if (head.protocol == http::kWebSocket) {
    websocket_key_ = head.fields.find(http::FieldId::sec_websocket_key).value_or("");
  }
  // The request's end goes with its head where nothing can come between.
  ended_ = head.body.is_empty();
  h2::Section& section = backend_.section();
  h2::write_request_section(section, head, context, backend_.scheme());
  const bool refused =
      extended_connect_ && !held_ && !backend_.session().extended_connect_allowed();
  if (held_ || refused) {
    hold(section);
  } else {
    start(section);
  }
}

void H2BackendStream::hold(const h2::Section& section) {
  if (!held_) held_ = std::make_unique<Held>();
  held_->section = section;
  backend_.wake();
}

void H2BackendStream::start(const h2::Section& section) {
  heard_before_ = backend_.heard();
  after_others_ = backend_.has_served();
  began_ = backend_.host().loop().now();
  started_ = true;
  backend_.on_stream_started();
  stream_ = &backend_.session().open(*this);
  stream_->send_request(section, ended_);
  backend_.host().counters().add(Count::backend_streams);
  backend_.wake();
}

void H2BackendStream::begin() {
  const auto held = std::exchange(held_, nullptr);
  const bool with_trailers = ended_ && !held->trailers.empty();
  if (with_trailers) ended_ = false;
  start(held->section);
  if (with_trailers) send_end(held->trailers);
  handler_->on_backend_connected();
}

void H2BackendStream::send_body(Bytes bytes) {
  if (!stream_ || ended_) return;
  backend_.note_useful();
  stream_->send_data(bytes);
  backend_.wake();
}

void H2BackendStream::send_end(const http::Fields& trailers) {
  if (ended_) return;
  ended_ = true;
  if (held_) {
    held_->trailers = trailers;
  } else if (stream_) {
    stream_->send_end(trailers);
    backend_.wake();
  }
}

void H2BackendStream::cancel() {
  handler_ = nullptr;
  const bool silent = stream_ && backend_.heard() == heard_before_ &&
                      backend_.host().loop().now() >= began_ + H2Backend::kSilenceMax;
  if (stream_) reset_stream();
  leave(silent);
}

void H2BackendStream::pause_response() {
  if (!stream_ || std::exchange(paused_, true)) return;
  stream_->pause();
}

void H2BackendStream::resume_response() {
  if (!stream_ || !std::exchange(paused_, false)) return;
  stream_->resume();
  backend_.wake();
}

void H2BackendStream::notify_when_below(std::size_t bytes) {
  if (!stream_) return;
  stream_->notify_when_below(bytes);
  backend_.wake();
}

// --- From the session ---------------------------------------------------------------------------

void H2BackendStream::on_response_head(http::ResponseHead& head, bool complete) {
  if (!handler_) return;
  backend_.note_useful();
  if (head.is_interim()) {
    handler_->on_interim_response(head);
    return;
  }
  // The client of HTTP/1 is owed an answer to its key, which HTTP/2 doesn't know (RFC 8441 §5).
  if (head.status == http::kSwitchingProtocols && !websocket_key_.empty()) {
    head.fields.append("Sec-WebSocket-Accept", websocket_accept_for(websocket_key_));
  }
  if (head.body.kind == BodyLength::Kind::known) note_large_body(head.body.bytes);
  if (head.body.is_empty() && !complete) {
    held_head_ = std::make_unique<http::ResponseHead>(std::move(head));
    return;
  }
  handler_->on_response_head(head);
  if (handler_ && complete) finish_response({});
}

void H2BackendStream::on_data(Bytes bytes) {
  if (!handler_) return;
  backend_.note_useful();
  response_bytes_ += bytes.size();
  note_large_body(response_bytes_);
  handler_->on_response_body(bytes);
}

void H2BackendStream::on_end(const http::Fields& trailers) {
  if (!handler_) return;
  if (const auto head = std::move(held_head_)) handler_->on_response_head(*head);
  if (handler_) finish_response(trailers);
}

void H2BackendStream::finish_response(const http::Fields& trailers) {
  ResponseHandler* const handler = std::exchange(handler_, nullptr);
  const bool unsent = stream_->buffered() > 0;
  backend_.note_served();
  if (tunnel_ && !ended_ && !unsent) {
    // No tunnel, or one that the server has ended: nothing more will come of our half.
    ended_ = true;
    stream_->send_end({});
    backend_.wake();
  }
  if (unsent || !ended_) {
    reset_stream();
    leave();
  }
  handler->on_response_end(trailers);
}

void H2BackendStream::on_writable() {
  if (handler_) handler_->on_backend_writable();
}

void H2BackendStream::on_closed(const h2::Reset* reset) {
  stream_ = nullptr;
  ResponseHandler* const handler = std::exchange(handler_, nullptr);
  const BackendFailure failure = reset ? failure_of(*reset) : BackendFailure{};
  leave();
  if (handler) handler->on_backend_failure(failure);
}

BackendFailure H2BackendStream::failure_of(const h2::Reset& reset) const {
  BackendFailure failure;
  failure.unprocessed = reset.unprocessed;
  if (const BackendFailure* loss = backend_.loss()) {
    failure.kind = loss->kind;
    failure.detail = loss->detail;
    // Nothing was heard since, though it had served before: it may have been dead already.
    failure.stale_connection = loss->kind == Kind::closed && !reset.unprocessed && after_others_ &&
                               backend_.heard() == heard_before_;
  } else if (reset.unprocessed) {
    failure.kind = Kind::turned_away;
    backend_.host().counters().add(Count::backend_streams_reset);
  } else if (reset.by_peer) {
    backend_.host().counters().add(Count::backend_streams_reset);
    failure.detail = "The server reset the stream.";
  } else {
    failure.kind = Kind::bad_response;
    failure.detail = backend_.settings_seen() ? reset.reason : kNotHttp2;
    backend_.host().counters().add(Count::refused_responses);
  }
  return failure;
}

void H2BackendStream::fail(const BackendFailure& failure) {
  ResponseHandler* const handler = std::exchange(handler_, nullptr);
  leave();
  handler->on_backend_failure(failure);
}

// --- Ends ---------------------------------------------------------------------------------------

void H2BackendStream::reset_stream() {
  std::exchange(stream_, nullptr)->reset(h2::ErrorCode::cancel);
  backend_.wake();
}

void H2BackendStream::leave(bool silent) {
  if (std::exchange(large_, false)) backend_.large_body_ends();
  base::ListNode<H2BackendStreamTag>::unlink();
  backend_.on_stream_gone(started_, silent);
  backend_.host().loop().retire(std::unique_ptr<io::Retired>(this));
}

void H2BackendStream::note_large_body(std::uint64_t bytes) {
  if (large_ || bytes <= kStreamingBytes) return;
  large_ = true;
  backend_.large_body_begins();
}

}  // namespace sluice::proxy
