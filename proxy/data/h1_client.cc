#include "proxy/data/h1_client.h"

#include "proxy/data/h1_output.h"
#include "proxy/http/error_response.h"
#include "proxy/http/h1_writer.h"

namespace sluice::proxy {

using admin::Count;
using http::BodyLength;
using http::HeadStatus;

H1Client::H1Client(ConnectionHost& host, std::shared_ptr<const ConnectionSettings> settings,
                   Service& service)
    : host_(host),
      service_(service),
      settings_(std::move(settings)),
      transport_(host.loop(), *this),
      timer_(io::Timer::calling<&H1Client::on_timer>(this)) {
}

H1Client::~H1Client() = default;

void H1Client::accept(int fd) {
  peer_ = host_.loop().ring().peer_address(fd);
  if (peer_.family != Address::Family::unix_path) peer_ip_ = peer_.ip_to_string();
  host_.counters().listeners[settings_->listener_slot].accepted.add();
  transport_.accept(fd, settings_->tls.get());
  if (settings_->tls) {
    arm(settings_->timeouts.tls_handshake);
  } else {
    become_idle();
    // Accepted when the listener was closed already: it gets its one request, and soon.
    if (host_.draining()) arm(settings_->timeouts.request_head);
  }
}

// A handshake goes on: what follows it is an idle connection that ends.
void H1Client::drain() {
  last_request_ = true;
  if (state_ == State::idle) linger();
}

void H1Client::cut() {
  if (state_ != State::closing) close(io::Socket::Ending::reset);
}

void H1Client::arm(Duration after) {
  host_.loop().timers().arm(timer_, host_.loop().now() + after);
}

// --- From the socket ----------------------------------------------------------------------------

void H1Client::on_open() {
  auto& counters = host_.counters().listeners[settings_->listener_slot];
  counters.tls_handshakes.add();
  if (transport_.tls_info().resumed) counters.tls_resumed.add();
  become_idle();
}

void H1Client::on_data(Bytes bytes) {
  host_.counters().add(Count::client_bytes_received, bytes.size());
  if (read_ahead_) {
    keep_read_ahead(bytes);
    return;
  }
  const std::size_t used = take(bytes);
  if (used < bytes.size()) keep_read_ahead(bytes.subspan(used));
}

void H1Client::on_end(bool clean) {
  ended_ = true;
  switch (state_) {
    case State::handshaking:
      host_.counters().listeners[settings_->listener_slot].tls_failed.add();
      close(io::Socket::Ending::orderly);
      break;
    case State::lingering:
      if (transport_.buffered() == 0) close(io::Socket::Ending::orderly);
      break;
    case State::idle:
      linger();
      break;
    case State::reading:
      close(io::Socket::Ending::orderly);
      break;
    case State::exchanging:
      // A half-closed client still wants its answers; one that broke off does not.
      if (!clean || !turn_->request_done) {
        close(io::Socket::Ending::reset);
      }
      break;
    case State::closing:
      break;
  }
}

void H1Client::on_failure(Transport::Failure failure) {
  if (state_ == State::closing) return;
  if (failure == Transport::Failure::tls) {
    if (state_ == State::handshaking) {
      host_.counters().listeners[settings_->listener_slot].tls_failed.add();
    }
    linger();  // the alert goes out first
    return;
  }
  close(io::Socket::Ending::orderly);
}

void H1Client::on_writable() {
  if (state_ == State::lingering) {
    if (ended_) {
      close(io::Socket::Ending::orderly);
    } else {
      arm(kLingerTime);
    }
  } else if (state_ == State::exchanging && turn_->response_done) {
    host_.loop().defer(*this);
  } else if (state_ == State::exchanging) {
    turn_->handler->on_client_writable();
  }
}

void H1Client::on_closed() {
  host_.counters().listeners[settings_->listener_slot].closed.add();
  drop_handler();
  timer_.cancel();
  base::ListNode<ClientListTag>::unlink();
  host_.client_closed();
  host_.loop().retire(std::unique_ptr<io::Retired>(this));
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
        if (rest.empty()) return used;
        used += take_body(rest);
        break;
      case State::handshaking:
      case State::lingering:
      case State::closing:
        return input.size();
    }
  }
}

void H1Client::begin_turn() {
  state_ = State::reading;
  turn_ = std::make_unique<Turn>(head_limits(settings_->limits));
  turn_->parser.reset();
  turn_->head.scheme = settings_->tls ? "https" : "http";
  arm(settings_->timeouts.request_head);
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
  timer_.cancel();
  Turn& turn = *turn_;
  turn.client = client_info();
  if (!turn.head.keep_alive) last_request_ = true;
  if (++requests_ >= settings_->limits.requests_per_connection) {
    host_.counters().add(Count::limit_requests_per_connection);
    last_request_ = true;
  }
  turn.request_done = turn.head.body.kind == BodyLength::Kind::none ||
                      (turn.head.body.kind == BodyLength::Kind::known && turn.head.body.bytes == 0);
  if (!turn.request_done) {
    turn.body.begin(turn.head.body);
    if (turn.head.body.kind == BodyLength::Kind::known && turn.head.body.bytes > kStreamingBytes) {
      turn.streaming = true;
      transport_.set_streaming(true);
    }
  }
  turn.handler = service_.on_request(turn.head, turn.request_done, *this);
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
        transport_.set_streaming(true);
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
      if (!turn.response_done) {
        turn.handler->on_request_failure(result.error.status, result.error.reason);
      }
      return input.size();
  }
  return result.consumed;
}

void H1Client::end_request() {
  turn_->request_done = true;
  if (turn_->response_done) {
    host_.loop().defer(*this);
  } else {
    turn_->handler->on_request_end(turn_->body.trailers());
  }
}

void H1Client::discard(std::uint64_t bytes) {
  turn_->discarded_bytes += bytes;
  if (turn_->discarded_bytes <= kDiscardBytesMax) return;
  last_request_ = true;
  host_.loop().defer(*this);
}

void H1Client::note_refusal(const http::ParseError& error) {
  host_.counters().add(admin::count_for_refusal(error.status));
}

void H1Client::refuse(const http::ParseError& error) {
  note_refusal(error);
  answer_and_linger(error.status, error.reason);
}

ClientInfo H1Client::client_info() const {
  const tls::SessionInfo tls = transport_.tls_info();
  return {.peer = peer_,
          .peer_ip = peer_ip_,
          .listener = settings_->listener,
          .is_tls = transport_.is_tls(),
          .trusted = settings_->trusts(peer_),
          .tls_version = tls.version,
          .tls_cipher = tls.cipher,
          .fd = transport_.fd()};
}

// An answer to what never became a request.
void H1Client::answer_and_linger(int status, std::string_view reason) {
  http::ErrorResponse response = http::error_response(status, reason);
  http::ClientFraming framing{.body = response.head.body, .keep_alive = false};
  framing.date = host_.http_date();
  std::string& out = host_.scratch();
  out.clear();
  http::write_own_response(out, response.head, framing);
  out.append(response.body);
  write(as_bytes(out));
  turn_->client = client_info();
  service_.on_refused(turn_->head, turn_->client, status, reason);
  linger();
}

void H1Client::keep_read_ahead(Bytes bytes) {
  if (state_ == State::lingering || state_ == State::closing) return;
  if (!read_ahead_) read_ahead_ = std::make_unique<ReadAhead>();
  read_ahead_->bytes.append(as_text(bytes));
  if (read_ahead_->left() > kReadAheadBytesMax) transport_.pause();
}

// --- Responses ----------------------------------------------------------------------------------

void H1Client::send_interim(const http::ResponseHead& head) {
  if (turn_->head.version == http::Version::http_1_0) return;
  std::string& out = host_.scratch();
  out.clear();
  http::write_forwarded_response(out, head, http::ClientFraming{});
  write(as_bytes(out));
}

void H1Client::send_head(const http::ResponseHead& head, Author author) {
  Turn& turn = *turn_;
  SLUICE_CHECK(!turn.head_sent);
  turn.head_sent = true;
  // An error that comes before the request is whole ends the connection: the rest isn't wanted.
  const bool rest_unwanted = !turn.request_done && head.status >= 400;
  const bool wanted = !last_request_ && !host_.draining() && !rest_unwanted &&
                      (author == Author::server || head.keep_alive);
  turn.framing = http::frame_for_client(turn.head, head, wanted, host_.http_date());
  if (!turn.framing.keep_alive) last_request_ = true;
  std::string& out = host_.scratch();
  out.clear();
  if (author == Author::server) {
    http::write_forwarded_response(out, head, turn.framing);
  } else {
    http::write_own_response(out, head, turn.framing);
  }
  write(as_bytes(out));
}

void H1Client::send_body(Bytes bytes) {
  write_body_piece(bytes, turn_->framing.body.kind, host_.scratch(),
                   [this](Bytes part) { write(part); });
}

void H1Client::send_end(const http::Fields& trailers) {
  write_body_end(trailers, turn_->framing.body.kind, host_.scratch(),
                 [this](Bytes part) { write(part); });
  turn_->response_done = true;
  host_.loop().defer(*this);
}

// The cut must not pass for the end: where only the connection's end marks it, a reset does.
void H1Client::abort() {
  turn_->response_done = true;
  const bool end_would_look_complete =
      turn_->framing.body.kind == BodyLength::Kind::until_close && !transport_.is_tls();
  close(end_would_look_complete ? io::Socket::Ending::reset : io::Socket::Ending::orderly);
}

void H1Client::write(Bytes bytes) {
  host_.counters().add(Count::client_bytes_sent, bytes.size());
  transport_.write(bytes);
}

void H1Client::pause_request() {
  if (turn_->paused || turn_->request_done) return;
  turn_->paused = true;
  transport_.pause();
}

void H1Client::resume_request() {
  if (!turn_->paused) return;
  turn_->paused = false;
  transport_.resume();
}

void H1Client::notify_when_writable() {
  transport_.notify_when_below(
      static_cast<std::uint32_t>(settings_->limits.stream_buffer_bytes / 2));
}

void H1Client::run_deferred() {
  if (state_ != State::exchanging || !turn_->response_done) return;
  if (last_request_ || (ended_ && !read_ahead_)) {
    linger();
  } else if (!turn_->request_done) {
    // Answered early: the rest is read and dropped, within bounds.
    resume_request();
    arm(settings_->timeouts.stream);
  } else if (transport_.buffered() > settings_->limits.stream_buffer_bytes) {
    // No further request before the client has taken most of its answers.
    transport_.pause();
    notify_when_writable();
    wait_for_output();
  } else {
    end_turn();
  }
}

void H1Client::end_turn() {
  become_idle();
  if (read_ahead_) take_read_ahead();
  if (state_ == State::idle && ended_) linger();
  // Nothing more is read before what was read has been used.
  const bool paused = turn_ && turn_->paused;
  if (!read_ahead_ && !paused) transport_.resume();
}

void H1Client::take_read_ahead() {
  auto ahead = std::move(read_ahead_);
  ahead->used += take(as_bytes(ahead->bytes).subspan(ahead->used));
  const bool goes_on = state_ != State::lingering && state_ != State::closing;
  if (ahead->left() > 0 && goes_on) read_ahead_ = std::move(ahead);
}

// --- Between and after requests -----------------------------------------------------------------

void H1Client::become_idle() {
  if (turn_ && turn_->streaming) transport_.set_streaming(false);
  turn_.reset();
  state_ = State::idle;
  transport_.note_idle();
  if (!read_ahead_) transport_.resume();
  if (last_request_) {
    linger();
    return;
  }
  arm(settings_->timeouts.idle);
}

void H1Client::linger() {
  if (state_ == State::lingering || state_ == State::closing) return;
  drop_handler();
  state_ = State::lingering;
  turn_.reset();
  read_ahead_.reset();
  transport_.finish();
  transport_.resume();
  transport_.notify_when_below(0);
  if (transport_.buffered() > 0) {
    wait_for_output();
  } else if (ended_ && !transport_.is_tls()) {
    close(io::Socket::Ending::orderly);
  } else {
    arm(kLingerTime);  // a close_notify may still be on its way
  }
}

// The client has timeouts.stream to take some of what is unsent, again and again.
void H1Client::wait_for_output() {
  unsent_ = transport_.buffered();
  arm(settings_->timeouts.stream);
}

bool H1Client::output_moves() {
  if (transport_.buffered() >= unsent_) return false;
  wait_for_output();
  return true;
}

void H1Client::close(io::Socket::Ending ending) {
  if (state_ == State::closing) return;
  drop_handler();
  state_ = State::closing;
  timer_.cancel();
  transport_.terminate(ending);
}

void H1Client::drop_handler() {
  if (!turn_ || !turn_->handler || turn_->response_done) return;
  turn_->response_done = true;
  turn_->handler->on_client_gone();
}

void H1Client::on_timer() {
  switch (state_) {
    case State::handshaking:
      host_.counters().add(Count::timeout_tls_handshake);
      host_.counters().listeners[settings_->listener_slot].tls_failed.add();
      close(io::Socket::Ending::orderly);
      break;
    case State::idle:
      linger();
      break;
    case State::reading:
      host_.counters().add(Count::timeout_request_head);
      answer_and_linger(408, "the request's head did not come in time");
      break;
    case State::lingering:
      if (transport_.buffered() == 0) {
        close(io::Socket::Ending::orderly);
      } else if (!output_moves()) {
        host_.counters().add(Count::timeout_stream);
        close(io::Socket::Ending::reset);
      }
      break;
    case State::exchanging:  // after the response; until then the handler has timers of its own
      if (!turn_->request_done) {
        linger();
      } else if (!output_moves()) {
        host_.counters().add(Count::timeout_stream);
        close(io::Socket::Ending::reset);
      }
      break;
    case State::closing:
      break;
  }
}

}  // namespace sluice::proxy
