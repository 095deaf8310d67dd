#include "proxy/data/h2_backend.h"

#include <algorithm>
#include <utility>

#include "proxy/data/h1_output.h"
#include "proxy/data/h2_pool.h"

namespace sluice::proxy {

using admin::Count;
using Kind = BackendFailure::Kind;

H2Backend::H2Backend(std::shared_ptr<H2Pool> pool)
    : pool_(std::move(pool)),
      host_(pool_->host()),
      transport_(host_.loop(), *this),
      timer_(io::Timer::calling<&H2Backend::on_timer>(this)),
      settings_timer_(io::Timer::calling<&H2Backend::on_settings_timer>(this)) {
}

H2Backend::~H2Backend() = default;

Transport::Failure H2Backend::connect(const Address& address,
                                      std::shared_ptr<const ServerSettings> settings) {
  const conf::Limits& limits = host_.limits();
  settings_ = std::move(settings);
  scheme_ = settings_->tls ? "https" : "http";
  h2::Options options;
  options.role = h2::Options::Role::client;
  options.scheme = scheme_;
  options.head_limits = head_limits(limits);
  options.streams_max = static_cast<std::uint32_t>(limits.backend_streams);
  options.stream_window_bytes = static_cast<std::uint32_t>(limits.stream_buffer_bytes);
  session_ = std::make_unique<h2::Session>(options, static_cast<h2::SessionHandler&>(*this));
  began_ = host_.loop().now();
  return transport_.connect(address, connect_options(address, *settings_, pool_->saved_sessions()));
}

// --- From the pool ------------------------------------------------------------------------------

bool H2Backend::can_lease() const {
  if (going_away_ || suspect_ || outdated()) return false;
  if (state_ != State::connecting && state_ != State::open) return false;
  if (settings_seen_) return session_->streams_available() > waiting_count_;
  return stream_count_ <
         std::min<std::size_t>(host_.limits().backend_streams, pool_->streams_expected());
}

bool H2Backend::outdated() const {
  return pool_->settings() != settings_;
}

BackendPool::Lease H2Backend::lease(ResponseHandler& handler, bool tunnel, Duration timeout) {
  SLUICE_CHECK(can_lease());
  const TimePoint give_up_at = host_.loop().now() + timeout;
  auto stream =
      std::make_unique<H2BackendStream>(*this, handler, tunnel, !settings_seen_, give_up_at);
  ++stream_count_;
  ++waiting_count_;
  streams_.push_back(*stream);
  if (settings_seen_) {
    timer_.cancel();
  } else {
    set_up_by_ = std::max(set_up_by_, began_ + timeout);
    if (!timer_.armed() || give_up_at < give_up_next_) arm_set_up_timer(give_up_at);
  }
  return {.stream = &stream.release()->stream(), .connected = settings_seen_, .refusal = {}};
}

void H2Backend::end_if_idle() {
  if (!streams_.empty()) return;
  if (state_ == State::connecting) {
    terminate();
  } else if (state_ == State::open) {
    end();
  }
}

// --- From the socket ----------------------------------------------------------------------------

void H2Backend::on_open() {
  if (state_ != State::connecting) return;
  if (transport_.is_tls()) {
    const tls::SessionInfo info = transport_.tls_info();
    host_.counters().add(info.resumed ? Count::backend_tls_resumed : Count::backend_tls_full);
    if (info.alpn != "h2") {
      fail_connect(Kind::tls_failed, "The server did not choose HTTP/2 (ALPN h2).");
      return;
    }
  }
  state_ = State::open;
  host_.loop().timers().arm(settings_timer_, host_.loop().now() + h2::kSettingsAcknowledgeTime);
  host_.loop().flush_at_end_of_turn(*this);
  host_.loop().defer(*this);
}

void H2Backend::on_data(Bytes bytes) {
  host_.counters().add(Count::backend_bytes_received, bytes.size());
  if (state_ != State::open) return;
  heard_ += bytes.size();
  suspect_ = false;
  const auto read = meter_.receive(*session_, bytes, host_.loop().now(), host_.counters());
  if (read == H2Meter::Read::good) {
    wake();
  } else {
    fail_session(read);
  }
}

void H2Backend::on_end(bool) {
  on_gone(Kind::connect_failed, "The server closed the connection before it was set up.");
}

void H2Backend::on_failure(Transport::Failure failure) {
  on_gone(connect_failure_kind(failure, transport_.tls_failure()), transport_.tls_failure());
}

// Nothing more comes from the server. `kind` and `detail`: what that is while connecting.
void H2Backend::on_gone(Kind kind, std::string_view detail) {
  switch (state_) {
    case State::connecting:
      fail_connect(kind, detail);
      break;
    case State::open:
      lose(Kind::closed, {});
      break;
    case State::ending:
      terminate();
      break;
    case State::closing:
      break;
  }
}

void H2Backend::on_writable() {
  if (state_ == State::ending) {
    if (transport_.buffered() == 0) terminate();
  } else {
    wake();
  }
}

void H2Backend::on_timer() {
  switch (state_) {
    case State::connecting:
    case State::open:
      if (settings_seen_) {
        end();
      } else {
        give_up_late();
      }
      break;
    case State::ending:
      terminate();
      break;
    case State::closing:
      break;
  }
}

// Those that have waited for as long as they may, or all.
void H2Backend::give_up_late() {
  const TimePoint now = host_.loop().now();
  if (now >= set_up_by_) {
    host_.counters().add(Count::timeout_connect);
    fail_connect(Kind::connect_timeout, {});
    return;
  }
  Streams late;
  TimePoint next = set_up_by_;
  streams_.for_each([&](H2BackendStream& stream) {
    if (stream.give_up_at() > now) {
      next = std::min(next, stream.give_up_at());
      return;
    }
    stream.base::ListNode<H2BackendStreamTag>::unlink();
    late.push_back(stream);
  });
  arm_set_up_timer(next);
  if (!late.empty()) host_.counters().add(Count::timeout_connect);
  while (H2BackendStream* stream = late.pop_front()) {
    stream->fail({.kind = Kind::connect_timeout,
                  .unprocessed = true,
                  .stale_connection = false,
                  .still_connecting = true,
                  .detail = {}});
  }
}

void H2Backend::arm_set_up_timer(TimePoint when) {
  give_up_next_ = std::min(when, set_up_by_);
  host_.loop().timers().arm(timer_, give_up_next_);
}

void H2Backend::on_closed() {
  pool_->on_closed(*this);
  host_.loop().retire(std::unique_ptr<io::Retired>(this));
}

// --- From the session ---------------------------------------------------------------------------

h2::StreamHandler* H2Backend::on_request(h2::Stream&, http::RequestHead&&, bool) {
  SLUICE_CHECK(false);  // of the server's role
  return nullptr;
}

void H2Backend::on_refused_request(h2::Stream&, const http::RequestHead&, const http::ParseError&) {
  SLUICE_CHECK(false);
}

void H2Backend::on_goaway() {
  if (!std::exchange(going_away_, true)) host_.counters().add(Count::backend_goaways);
}

void H2Backend::on_settings() {
  if (std::exchange(settings_seen_, true)) return;
  timer_.cancel();
  if (const std::size_t allowed = session_->streams_available(); allowed > 0) {
    pool_->note_streams_allowed(allowed);
  }
}

void H2Backend::write(Bytes bytes) {
  host_.counters().add(Count::backend_bytes_sent, bytes.size());
  transport_.write(bytes);
}

// --- The turn -----------------------------------------------------------------------------------

void H2Backend::wake() {
  if (state_ != State::open) return;
  host_.loop().flush_at_end_of_turn(*this);
  host_.loop().defer(*this);
}

void H2Backend::flush() {
  if (state_ != State::open) return;
  session_->flush(*this);
  if (session_->failed() || session_->has_news()) host_.loop().defer(*this);
  if (session_->wants_flush() && !has_room()) transport_.notify_when_below(kOutputBytesMax / 2);
}

void H2Backend::run_deferred() {
  if (state_ == State::open) {
    if (session_->has_news()) {
      session_->deliver();
      host_.loop().flush_at_end_of_turn(*this);
    }
    if (session_->failed()) {
      fail_session(H2Meter::count_failure(*session_, host_.counters()));
      return;
    }
    begin_held();
  }
  settle();
}

// Those that wait for what is known by now.
void H2Backend::begin_held() {
  if (waiting_count_ == 0 || !settings_seen_) return;
  Streams held;
  streams_.for_each([&](H2BackendStream& stream) {
    if (!stream.held()) return;
    stream.base::ListNode<H2BackendStreamTag>::unlink();
    held.push_back(stream);
  });
  while (H2BackendStream* stream = held.pop_front()) {
    streams_.push_back(*stream);
    if (state_ == State::open) begin_or_fail(*stream);
  }
}

void H2Backend::begin_or_fail(H2BackendStream& stream) {
  if (going_away_ || session_->streams_available() == 0) {
    stream.fail({.kind = Kind::turned_away,
                 .unprocessed = true,
                 .stale_connection = false,
                 .detail = "The server takes no more streams on this connection."});
  } else if (stream.needs_extended_connect() && !session_->extended_connect_allowed()) {
    stream.fail({.kind = Kind::upgrade_refused,
                 .unprocessed = true,
                 .stale_connection = false,
                 .detail = "The server does not take extended CONNECT (RFC 8441)."});
  } else {
    stream.begin();
  }
}

void H2Backend::on_stream_gone(bool started, bool silent) {
  --stream_count_;
  if (!started) --waiting_count_;
  if (silent) suspect_ = true;
  pool_->update(*this);
  host_.loop().defer(*this);
}

void H2Backend::settle() {
  pool_->update(*this);
  if (!streams_.empty()) return;
  if (state_ == State::open && wanted()) {
    rest();
  } else if (state_ == State::connecting && wanted()) {
    return;  // for whoever comes next
  } else {
    end_if_idle();
  }
}

bool H2Backend::wanted() const {
  return !going_away_ && !suspect_ && !outdated() && pool_->keeps_idle() && !host_.draining();
}

void H2Backend::rest() {
  if (timer_.armed()) return;
  has_been_idle_ = true;
  keep_saved_session();
  transport_.note_idle();
  host_.loop().timers().arm(timer_, host_.loop().now() + host_.timeouts().backend_idle);
}

void H2Backend::keep_saved_session() {
  if (transport_.is_tls()) pool_->keep_session(settings_, transport_.take_saved_session());
}

void H2Backend::large_body_begins() {
  if (large_bodies_++ == 0) transport_.set_streaming(true);
}

void H2Backend::large_body_ends() {
  if (--large_bodies_ == 0) transport_.set_streaming(false);
}

// --- Ends ---------------------------------------------------------------------------------------

// The session can't go on: it says so to the server, and its streams are lost.
void H2Backend::fail_session(H2Meter::Read why) {
  if (!settings_seen_) {
    loss_ = {.kind = Kind::bad_response, .detail = kNotHttp2};
  } else if (why == H2Meter::Read::exhausted && session_->failure().empty()) {
    loss_ = {.kind = Kind::bad_response, .detail = "The server kept us busy to no use."};
  } else {
    loss_ = {.kind = Kind::bad_response, .detail = session_->failure()};
  }
  host_.counters().add(Count::refused_responses);
  going_away_ = true;
  pool_->update(*this);
  session_->flush(*this);
  session_->deliver();
  fail_held({.kind = settings_seen_ ? Kind::turned_away : loss_->kind,
             .unprocessed = true,
             .stale_connection = false,
             .detail = loss_->detail});
  end();
}

// Nothing that our SETTINGS say binds the server yet, and it has had its time.
void H2Backend::on_settings_timer() {
  if (state_ != State::open || session_->settings_acknowledged()) return;
  host_.counters().add(Count::timeout_h2_settings);
  loss_ = {.kind = Kind::bad_response, .detail = "The server did not acknowledge our SETTINGS."};
  going_away_ = true;
  pool_->update(*this);
  session_->go_away(h2::ErrorCode::settings_timeout);
  session_->flush(*this);
  session_->on_connection_lost();
  session_->deliver();
  BackendFailure failure = *loss_;
  failure.unprocessed = true;
  fail_held(failure);
  end();
}

void H2Backend::fail_connect(Kind kind, std::string_view detail) {
  connect_failed_ = true;
  if (kind == Kind::tls_failed || kind == Kind::certificate_refused) {
    host_.counters().add(Count::backend_tls_failed);
  }
  host_.counters().add(Count::backend_connects_failed);
  lose(kind, detail);
}

void H2Backend::lose(Kind kind, std::string_view detail) {
  const bool was_connecting = state_ == State::connecting;
  loss_ = {
      .kind = kind, .unprocessed = was_connecting, .stale_connection = false, .detail = detail};
  terminate();
  session_->on_connection_lost();
  session_->deliver();
  BackendFailure failure = *loss_;
  failure.unprocessed = true;
  fail_held(failure);
}

void H2Backend::fail_held(const BackendFailure& failure) {
  while (H2BackendStream* stream = streams_.pop_front()) stream->fail(failure);
}

void H2Backend::end() {
  SLUICE_CHECK(streams_.empty());
  session_->go_away();
  session_->flush(*this);
  keep_saved_session();
  state_ = State::ending;
  pool_->update(*this);
  transport_.finish();
  if (transport_.buffered() == 0 && !transport_.is_tls()) {
    terminate();
    return;
  }
  transport_.notify_when_below(0);
  host_.loop().timers().arm(timer_, host_.loop().now() + kEndTime);
}

void H2Backend::terminate() {
  if (state_ == State::closing) return;
  state_ = State::closing;
  timer_.cancel();
  settings_timer_.cancel();
  pool_->update(*this);
  transport_.terminate();
}

}  // namespace sluice::proxy
