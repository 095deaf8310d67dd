#include "proxy/data/h1_client.h"

#include "proxy/data/h1_output.h"
#include "proxy/data/refusals.h"
#include "proxy/http/error_response.h"
#include "proxy/http/h1_writer.h"

namespace sluice::proxy {

using admin::Count;
using http::BodyLength;
using http::HeadStatus;

// Where a drain has begun already, there is one request to come, and soon.
H1Client::H1Client(ClientConnection& connection)
    : connection_(connection), last_request_(connection.draining()) {
  connection_.transport().note_idle();
  connection_.set_idle(true);
  connection_.arm(last_request_ ? settings().timeouts.request_head : settings().timeouts.idle);
}

H1Client::~H1Client() = default;

void H1Client::drain() {
  last_request_ = true;
  if (state_ == State::idle) connection_.linger();
}

void H1Client::on_detached() {
  state_ = State::done;
  if (!turn_ || !turn_->handler || turn_->response_done) return;
  turn_->response_done = true;
  turn_->handler->on_client_gone();
}

// --- From the connection ------------------------------------------------------------------------

void H1Client::on_data(Bytes bytes) {
  if (read_ahead_) {
    keep_read_ahead(bytes);
    return;
  }
  const std::size_t used = take(bytes);
  if (used < bytes.size()) keep_read_ahead(bytes.subspan(used));
}

void H1Client::on_end(bool clean) {
  switch (state_) {
    case State::idle:
      connection_.linger();
      break;
    case State::reading:
      connection_.close(io::Socket::Ending::orderly);
      break;
    case State::exchanging:
      // A half-closed client still wants its answers; one that broke off does not.
      if (clean && turn_->head.asks_for_tunnel()) {
        host().loop().defer(*this);
      } else if (!clean || !turn_->request_done) {
        connection_.close(io::Socket::Ending::reset);
      } else if (!turn_->response_done) {
        turn_->handler->on_client_ended();
      }
      break;
    case State::done:
      break;
  }
}

void H1Client::on_writable() {
  if (state_ != State::exchanging) return;
  if (turn_->response_done) {
    host().loop().defer(*this);
  } else {
    turn_->handler->on_client_writable();
  }
}

void H1Client::on_timer() {
  switch (state_) {
    case State::idle:
      connection_.linger();
      break;
    case State::reading:
      host().counters().add(Count::timeout_request_head);
      answer_and_linger(408, "the request's head did not come in time");
      break;
    case State::exchanging:  // after the response; until then the handler has timers of its own
      if (!turn_->request_done) {
        connection_.linger();
      } else if (!connection_.output_moves()) {
        host().counters().add(Count::timeout_stream);
        connection_.close(io::Socket::Ending::reset);
      }
      break;
    case State::done:
      break;
  }
}

// --- Requests -----------------------------------------------------------------------------------

std::size_t H1Client::take(Bytes input) {
  std::size_t used = 0;
  for (;;) {
    const Bytes rest = input.subspan(used);
    switch (state_) {
      case State::idle:
        if (rest.empty()) return used;
        // An empty line too many behind a body (RFC 9112 §2.2) begins no request.
        if (requests_ > 0 && as_text(rest) == "\r\n") return input.size();
        begin_turn();
        break;
      case State::reading:
        if (rest.empty()) return used;
        used += take_head(rest);
        break;
      case State::exchanging:
        if (turn_->request_done) return used;
        if (turn_->head.asks_for_tunnel() && !turn_->tunnel_open) return used;
        if (rest.empty()) return used;
        used += take_body(rest);
        break;
      case State::done:
        return input.size();
    }
  }
}

void H1Client::begin_turn() {
  state_ = State::reading;
  connection_.set_idle(false);
  turn_ = std::make_unique<Turn>(head_limits(settings().limits));
  turn_->parser.reset();
  turn_->head.scheme = connection_.transport().is_tls() ? "https" : "http";
  connection_.arm(settings().timeouts.request_head);
}

std::size_t H1Client::take_head(Bytes input) {
  const http::HeadResult result = turn_->parser.consume(input, turn_->head);
  if (result.status == HeadStatus::error) {
    refuse(result.error);
    return input.size();
  }
  if (result.status == HeadStatus::done) begin_exchange();
  return result.consumed;
}

void H1Client::begin_exchange() {
  state_ = State::exchanging;
  connection_.disarm();
  Turn& turn = *turn_;
  turn.client = connection_.client_info();
  if (!turn.head.keep_alive) last_request_ = true;
  if (++requests_ >= settings().limits.requests_per_connection) {
    host().counters().add(Count::limit_requests_per_connection);
    last_request_ = true;
  }
  turn.request_done = turn.head.body.is_empty();
  if (!turn.request_done) {
    turn.body.begin(turn.head.body);
    if (turn.head.body.kind == BodyLength::Kind::known && turn.head.body.bytes > kStreamingBytes) {
      turn.streaming = true;
      connection_.transport().set_streaming(true);
    }
  }
  turn.handler = connection_.service().on_request(turn.head, turn.request_done, *this);
}

std::size_t H1Client::take_body(Bytes input) {
  Turn& turn = *turn_;
  const auto result = turn.body.consume(input);
  switch (result.status) {
    case http::H1BodyDecoder::Status::need_more:
      break;
    case http::H1BodyDecoder::Status::data:
      if (!turn.streaming && turn.body.data_bytes() > kStreamingBytes) {
        turn.streaming = true;
        connection_.transport().set_streaming(true);
      }
      if (turn.response_done) {
        discard(result.data.size());
      } else {
        turn.handler->on_request_body(result.data);
      }
      // A body ends where its data ended, even if no byte follows.
      if (result.consumed == input.size() && state_ == State::exchanging) {
        if (turn.body.consume({}).status == http::H1BodyDecoder::Status::done) end_request();
      }
      break;
    case http::H1BodyDecoder::Status::done:
      end_request();
      break;
    case http::H1BodyDecoder::Status::error:
      note_refusal(result.error);
      turn.request_done = true;
      last_request_ = true;
      if (turn.response_done) {
        host().loop().defer(*this);
      } else {
        turn.handler->on_request_failure(result.error.status, result.error.reason);
      }
      return input.size();
  }
  return result.consumed;
}

void H1Client::end_request() {
  turn_->request_done = true;
  if (turn_->response_done) {
    host().loop().defer(*this);
  } else {
    turn_->handler->on_request_end(turn_->body.trailers());
  }
}

void H1Client::discard(std::uint64_t bytes) {
  turn_->discarded_bytes += bytes;
  if (turn_->discarded_bytes <= kDiscardBytesMax) return;
  last_request_ = true;
  host().loop().defer(*this);
}

void H1Client::note_refusal(const http::ParseError& error) {
  count_refusal(host().counters(), error);
}

void H1Client::refuse(const http::ParseError& error) {
  note_refusal(error);
  answer_and_linger(error.status, error.reason);
}

// An answer to what never became a request.
void H1Client::answer_and_linger(int status, std::string_view reason) {
  http::ErrorResponse response = http::error_response(status, reason);
  http::ClientFraming framing{.body = response.head.body, .keep_alive = false};
  framing.date = host().http_date();
  std::string& out = host().scratch();
  out.clear();
  http::write_own_response(out, response.head, framing);
  out.append(response.body);
  connection_.write(as_bytes(out));
  turn_->client = connection_.client_info();
  connection_.service().on_refused(turn_->head, turn_->client, status, reason);
  connection_.linger();
}

void H1Client::keep_read_ahead(Bytes bytes) {
  if (state_ == State::done) return;
  if (!read_ahead_) read_ahead_ = std::make_unique<ReadAhead>();
  read_ahead_->bytes.append(as_text(bytes));
  if (read_ahead_->left() > kReadAheadBytesMax) connection_.transport().pause();
}

// --- Responses ----------------------------------------------------------------------------------

void H1Client::send_interim(const http::ResponseHead& head) {
  if (turn_->head.version == http::Version::http_1_0) return;
  std::string& out = host().scratch();
  out.clear();
  http::write_forwarded_response(out, head, http::ClientFraming{});
  connection_.write(as_bytes(out));
}

void H1Client::send_head(const http::ResponseHead& head, Author author) {
  Turn& turn = *turn_;
  SLUICE_CHECK(!turn.head_sent);
  turn.head_sent = true;
  if (turn.head.asks_for_tunnel()) settle_tunnel(head);
  // An error that comes before the request is whole ends the connection: the rest isn't wanted.
  const bool rest_unwanted = !turn.request_done && head.status >= 400;
  const bool wanted = !last_request_ && !host().draining() && !rest_unwanted &&
                      (author == Author::server || head.keep_alive);
  turn.framing = http::frame_for_client(turn.head, head, wanted, host().http_date());
  if (!turn.framing.keep_alive) last_request_ = true;
  std::string& out = host().scratch();
  out.clear();
  if (author == Author::server) {
    http::write_forwarded_response(out, head, turn.framing);
  } else {
    http::write_own_response(out, head, turn.framing);
  }
  write(as_bytes(out));
}

void H1Client::write(Bytes bytes) {
  turn_->written_bytes += bytes.size();
  connection_.write(bytes);
}

void H1Client::settle_tunnel(const http::ResponseHead& head) {
  if (head.body.kind == BodyLength::Kind::tunnel) {
    turn_->tunnel_open = true;
    host().loop().defer(*this);
  } else {
    turn_->request_done = true;
    if (read_ahead_ || turn_->head.method == http::Method::connect) last_request_ = true;
  }
}

// With what came before it was open, and with the client's end.
void H1Client::go_on_with_tunnel() {
  if (read_ahead_) take_read_ahead();
  if (state_ != State::exchanging || turn_->response_done) return;
  if (!turn_->paused) connection_.transport().resume();
  if (connection_.client_ended() && !turn_->request_done) end_request();
}

void H1Client::send_body(Bytes bytes) {
  write_body_piece(bytes, turn_->framing.body.kind, host().scratch(),
                   [this](Bytes part) { write(part); });
}

void H1Client::send_end(const http::Fields& trailers) {
  write_body_end(trailers, turn_->framing.body.kind, host().scratch(),
                 [this](Bytes part) { write(part); });
  turn_->response_done = true;
  host().loop().defer(*this);
}

bool H1Client::take_back_response() {
  if (turn_->tunnel_open || !connection_.take_back(turn_->written_bytes)) return false;
  turn_->head_sent = false;
  turn_->written_bytes = 0;
  return true;
}

// The cut must not pass for the end: where only the connection's end marks it, a reset does.
void H1Client::abort() {
  turn_->response_done = true;
  const BodyLength::Kind kind = turn_->framing.body.kind;
  const bool end_would_look_complete =
      (kind == BodyLength::Kind::until_close || kind == BodyLength::Kind::tunnel) &&
      !connection_.transport().is_tls();
  connection_.close(end_would_look_complete ? io::Socket::Ending::reset
                                            : io::Socket::Ending::orderly);
}

void H1Client::pause_request() {
  if (turn_->paused || turn_->request_done) return;
  turn_->paused = true;
  connection_.transport().pause();
}

void H1Client::resume_request() {
  if (!turn_->paused) return;
  turn_->paused = false;
  connection_.transport().resume();
}

void H1Client::notify_when_writable() {
  connection_.transport().notify_when_below(
      static_cast<std::uint32_t>(settings().limits.stream_buffer_bytes / 2));
}

void H1Client::run_deferred() {
  if (state_ != State::exchanging) return;
  if (!turn_->response_done) {
    if (turn_->tunnel_open) go_on_with_tunnel();
    return;
  }
  if (last_request_ || (connection_.client_ended() && !read_ahead_)) {
    connection_.linger();
  } else if (!turn_->request_done) {
    // Answered early: the rest is read and dropped, within bounds.
    resume_request();
    connection_.arm(settings().timeouts.stream);
  } else if (connection_.transport().buffered() > settings().limits.stream_buffer_bytes) {
    // No further request before the client has taken most of its answers.
    connection_.transport().pause();
    notify_when_writable();
    connection_.wait_for_output();
  } else {
    end_turn();
  }
}

void H1Client::end_turn() {
  become_idle();
  if (read_ahead_) take_read_ahead();
  if (state_ == State::idle && connection_.client_ended()) connection_.linger();
  // Nothing more is read before what was read has been used.
  const bool paused = turn_ && turn_->paused;
  if (!read_ahead_ && !paused) connection_.transport().resume();
}

void H1Client::take_read_ahead() {
  auto ahead = std::move(read_ahead_);
  ahead->used += take(as_bytes(ahead->bytes).subspan(ahead->used));
  if (ahead->left() > 0 && state_ != State::done) read_ahead_ = std::move(ahead);
}

// --- Between and after requests -----------------------------------------------------------------

void H1Client::become_idle() {
  if (turn_ && turn_->streaming) connection_.transport().set_streaming(false);
  turn_.reset();
  state_ = State::idle;
  connection_.set_idle(true);
  connection_.transport().note_idle();
  if (!read_ahead_) connection_.transport().resume();
  if (last_request_) {
    connection_.linger();
    return;
  }
  connection_.arm(settings().timeouts.idle);
}

}  // namespace sluice::proxy
