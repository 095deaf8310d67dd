#include "proxy/data/h1_backend.h"

#include <utility>

#include "proxy/data/h1_output.h"
#include "proxy/data/h1_pool.h"
#include "proxy/data/server_connect.h"
#include "proxy/data/websocket.h"
#include "proxy/http/h1_writer.h"

namespace sluice::proxy {

using admin::Count;
using http::BodyLength;
using http::HeadStatus;
using Kind = BackendFailure::Kind;

namespace {

constexpr std::string_view kBytesBehind = "bytes behind the end of the response";

}  // namespace

H1Backend::H1Backend(std::shared_ptr<H1Pool> pool)
    : pool_(std::move(pool)),
      host_(pool_->host()),
      transport_(host_.loop(), *this),
      timer_(io::Timer::calling<&H1Backend::on_timer>(this)) {
}

H1Backend::~H1Backend() = default;

bool H1Backend::connect(const Address& address, std::shared_ptr<const ServerSettings> settings,
                        const Transport::Connect& how, Duration timeout, ResponseHandler& handler) {
  if (transport_.connect(address, how) != Transport::Failure::none) return false;
  settings_ = std::move(settings);
  for_one_client_ = !how.preamble.empty();
  begin_turn(handler);
  host_.loop().timers().arm(timer_, host_.loop().now() + timeout);
  return true;
}

void H1Backend::lease(ResponseHandler& handler) {
  SLUICE_CHECK(state_ == State::idle);
  state_ = State::leased;
  timer_.cancel();
  begin_turn(handler);
}

void H1Backend::begin_turn(ResponseHandler& handler) {
  handler_ = &handler;
  turn_ = std::make_unique<Turn>(head_limits(host_.limits()));
}

void H1Backend::close() {
  if (state_ != State::ending && state_ != State::closing) end();
}

// With TLS the server is told that this is an end and no cut.
void H1Backend::end() {
  keep_saved_session();
  transport_.finish();
  if (!transport_.is_tls()) {
    terminate();
    return;
  }
  state_ = State::ending;
  handler_ = nullptr;
  base::ListNode<IdleListTag>::unlink();
  transport_.notify_when_below(0);
  host_.loop().timers().arm(timer_, host_.loop().now() + kEndTime);
}

void H1Backend::keep_saved_session() {
  if (transport_.is_tls()) pool_->keep_session(settings_, transport_.take_saved_session());
}

void H1Backend::terminate(io::Socket::Ending ending) {
  state_ = State::closing;
  handler_ = nullptr;
  timer_.cancel();
  base::ListNode<IdleListTag>::unlink();
  transport_.terminate(ending);
}

// --- From the socket ----------------------------------------------------------------------------

void H1Backend::on_open() {
  if (transport_.is_tls()) {
    host_.counters().add(transport_.tls_info().resumed ? Count::backend_tls_resumed
                                                       : Count::backend_tls_full);
  }
  state_ = State::leased;
  timer_.cancel();
  handler_->on_backend_connected();
}

void H1Backend::on_data(Bytes bytes) {
  host_.counters().add(Count::backend_bytes_received, bytes.size());
  if (state_ == State::ending || state_ == State::closing) return;
  if (state_ == State::idle) {
    // Nobody asked: whatever this is, it must not pass for the next answer.
    host_.counters().add(Count::refused_responses);
    pool_->forget_idle(*this);
    terminate();
    return;
  }
  turn_->any_byte = true;
  while (!bytes.empty() && handler_) {
    const std::size_t used = turn_->head_done ? take_body(bytes) : take_head(bytes);
    bytes = bytes.subspan(used);
    if (handler_ && turn_->head_done && turn_->body.done()) return finish_response();
  }
}

std::size_t H1Backend::take_head(Bytes input) {
  Turn& turn = *turn_;
  const http::HeadResult result = turn.parser.consume(input, turn.head);
  if (result.status == HeadStatus::error) return refuse(input, result.error.reason);
  if (result.status == HeadStatus::need_more) return result.consumed;
  if (turn.head.is_interim()) {
    handler_->on_interim_response(turn.head);
    turn.head.clear();
    turn.parser.reset(turn.method, turn.upgrade);
    return result.consumed;
  }
  if (!answers_websocket_key()) {
    return refuse(input, "The server's Sec-WebSocket-Accept does not answer the key.");
  }
  turn.head_done = true;
  turn.keep_alive = turn.head.keep_alive;
  turn.body.begin(turn.head.body);
  if (turn.body.done() && result.consumed < input.size()) return refuse(input, kBytesBehind);
  if (turn.head.body.kind == BodyLength::Kind::known) note_body(turn.head.body.bytes);
  handler_->on_response_head(turn.head);
  return result.consumed;
}

// A 101 to a key that we made must answer it (RFC 6455 §4.1); the client never sees either.
bool H1Backend::answers_websocket_key() const {
  const Turn& turn = *turn_;
  if (turn.websocket_key.empty() || turn.head.status != http::kSwitchingProtocols) return true;
  return turn.head.fields.count(http::FieldId::sec_websocket_accept) == 1 &&
         turn.head.fields.find(http::FieldId::sec_websocket_accept) ==
             websocket_accept_for(turn.websocket_key);
}

std::size_t H1Backend::take_body(Bytes input) {
  Turn& turn = *turn_;
  const auto result = turn.body.consume(input);
  if (result.status == http::H1BodyDecoder::Status::error) {
    return refuse(input, result.error.reason);
  }
  // Its last bytes are kept from the client, to whom it would look whole.
  if (turn.body.done() && result.consumed < input.size()) return refuse(input, kBytesBehind);
  if (result.status == http::H1BodyDecoder::Status::data) {
    note_body(turn.body.data_bytes());
    handler_->on_response_body(result.data);
    // A body of known length ends with its data, even if no byte follows.
    if (handler_ && result.consumed == input.size()) (void)turn.body.consume({});
  }
  return result.consumed;
}

// Once a large body has come, the kernel's buffer for this connection has grown, for good: with an
// armed receive the next large one could overrun the first pause by as much.
void H1Backend::note_body(std::uint64_t bytes) {
  if (turn_->streaming || bytes <= kStreamingBytes) return;
  turn_->streaming = true;
  transport_.set_streaming(true);
  transport_.set_one_at_a_time(true);
}

// What came is not HTTP, or more than was asked for.
std::size_t H1Backend::refuse(Bytes input, std::string_view reason) {
  host_.counters().add(Count::refused_responses);
  fail(Kind::bad_response, reason);
  return input.size();
}

void H1Backend::finish_response() {
  const auto turn = std::move(turn_);
  ResponseHandler* handler = std::exchange(handler_, nullptr);
  if (turn->keep_alive && turn->request_done && !for_one_client_ &&
      turn->head.body.kind != BodyLength::Kind::until_close &&
      turn->head.body.kind != BodyLength::Kind::tunnel && transport_.buffered() == 0) {
    state_ = State::idle;
    served_before_ = true;
    if (turn->streaming) transport_.set_streaming(false);
    transport_.note_idle();
    transport_.resume();
    keep_saved_session();
    host_.loop().timers().arm(timer_, host_.loop().now() + host_.timeouts().backend_idle);
    pool_->on_idle(*this);
  } else {
    end();
  }
  handler->on_response_end(turn->body.trailers());
}

void H1Backend::on_end(bool clean) {
  switch (state_) {
    case State::connecting:
      fail_connect(Kind::connect_failed);
      break;
    case State::closing:
      break;
    case State::ending:
      terminate();
      break;
    case State::idle:
      pool_->forget_idle(*this);
      terminate();
      break;
    case State::leased:
      if (turn_->head_done && clean && turn_->body.finish()) {
        finish_response();
      } else {
        fail(Kind::closed);
      }
      break;
  }
}

void H1Backend::on_failure(Transport::Failure failure) {
  switch (state_) {
    case State::connecting:
      fail_connect(connect_failure_kind(failure, transport_.tls_failure()));
      break;
    case State::leased:
      fail(Kind::closed, transport_.tls_failure());
      break;
    case State::ending:
      terminate();
      break;
    case State::idle:
      pool_->forget_idle(*this);
      terminate();
      break;
    case State::closing:
      break;
  }
}

void H1Backend::fail_connect(Kind kind) {
  connect_failed_ = true;
  host_.counters().add(Count::backend_connects_failed);
  if (kind == Kind::tls_failed || kind == Kind::certificate_refused) {
    host_.counters().add(Count::backend_tls_failed);
  }
  fail(kind, transport_.tls_failure());
}

void H1Backend::fail(Kind kind, std::string_view detail) {
  const BackendFailure failure{
      .kind = kind,
      .unprocessed = state_ == State::connecting,
      .stale_connection = kind == Kind::closed && served_before_ && !turn_->any_byte,
      .detail = detail};
  ResponseHandler* handler = handler_;
  terminate();
  handler->on_backend_failure(failure);
}

void H1Backend::on_timer() {
  if (state_ == State::connecting) {
    host_.counters().add(Count::timeout_connect);
    fail_connect(Kind::connect_timeout);
  } else if (state_ == State::idle) {
    pool_->forget_idle(*this);
    close();
  } else if (state_ == State::ending) {
    terminate();
  }
}

void H1Backend::on_writable() {
  if (handler_) handler_->on_backend_writable();
  if (state_ == State::ending && transport_.buffered() == 0) terminate();
}

void H1Backend::on_closed() {
  pool_->on_closed(*this);
  host_.loop().retire(std::unique_ptr<io::Retired>(this));
}

// --- From the exchange --------------------------------------------------------------------------

void H1Backend::send_head(const http::RequestHead& head, const http::ForwardContext* context) {
  Turn& turn = *turn_;
  turn.method = head.method;
  turn.request_framing = head.body.kind;
  turn.upgrade = !head.protocol.empty();
  // Until a tunnel is open, its request is its head.
  turn.request_done = head.asks_for_tunnel();
  turn.parser.reset(head.method, turn.upgrade);
  std::string& out = host_.scratch();
  out.clear();
  if (context) {
    http::ForwardContext forward = *context;
    if (for_one_client_ && !head.asks_for_tunnel()) forward.keep_server_connection = false;
    if (head.protocol == http::kWebSocket && !head.fields.has(http::FieldId::sec_websocket_key)) {
      turn.websocket_key = make_websocket_key();
      forward.websocket_key = turn.websocket_key;
    }
    http::write_forwarded_request(out, head, forward, head.body);
  } else {
    http::write_request_head(out, head);
  }
  write(as_bytes(out));
}

void H1Backend::send_body(Bytes bytes) {
  write_body_piece(bytes, turn_->request_framing, host_.scratch(),
                   [this](Bytes part) { write(part); });
}

void H1Backend::send_end(const http::Fields& trailers) {
  turn_->request_done = true;
  if (turn_->request_framing == BodyLength::Kind::tunnel) {
    transport_.finish();
    return;
  }
  write_body_end(trailers, turn_->request_framing, host_.scratch(),
                 [this](Bytes part) { write(part); });
}

void H1Backend::write(Bytes bytes) {
  host_.counters().add(Count::backend_bytes_sent, bytes.size());
  transport_.write(bytes);
}

// A tunnel's cut must not pass for its end (RFC 9113 §8.5).
void H1Backend::cancel() {
  const bool in_tunnel = turn_->head_done && turn_->head.body.kind == BodyLength::Kind::tunnel;
  terminate(in_tunnel ? io::Socket::Ending::reset : io::Socket::Ending::orderly);
}

void H1Backend::pause_response() {
  if (turn_->paused) return;
  turn_->paused = true;
  transport_.pause();
}

void H1Backend::resume_response() {
  if (!turn_ || !turn_->paused) return;
  turn_->paused = false;
  transport_.resume();
}

void H1Backend::notify_when_below(std::size_t bytes) {
  transport_.notify_when_below(static_cast<std::uint32_t>(bytes));
}

}  // namespace sluice::proxy
