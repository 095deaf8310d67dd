#include "proxy/data/h2_client.h"

#include <algorithm>
#include <utility>

#include "proxy/data/h1_output.h"
#include "proxy/data/refusals.h"
#include "proxy/http/error_response.h"

namespace sluice::proxy {

using admin::Count;
using h2::ErrorCode;

namespace {

// Windows below this would cost a frame for every few bytes.
constexpr std::uint64_t kWindowBytesMin = 1024;
constexpr std::uint64_t kWindowBytesMax = 0x7fff'ffff;  // RFC 9113 §6.9.1

// Heads as large as they may be, of requests at a time, whatever the session says.
constexpr std::size_t kHeldHeadsMin = 8;

h2::Options session_options(ClientConnection& connection) {
  const conf::Limits& limits = connection.settings().limits;
  h2::Options options;
  options.role = h2::Options::Role::server;
  options.scheme = connection.transport().is_tls() ? "https" : "http";
  options.head_limits = head_limits(limits);
  options.held_head_bytes_max =
      std::max(options.held_head_bytes_max, kHeldHeadsMin * options.head_limits.head_bytes);
  options.streams_max =
      static_cast<std::uint32_t>(std::min(limits.client_streams, kWindowBytesMax));
  options.stream_window_bytes = static_cast<std::uint32_t>(
      std::clamp(limits.stream_buffer_bytes, kWindowBytesMin, kWindowBytesMax));
  return options;
}

Count reason_for(H2Meter::Read read) {
  return read == H2Meter::Read::exhausted ? Count::h2_goaways_exhausted
                                          : Count::h2_goaways_protocol_error;
}

}  // namespace

H2Client::H2Client(ClientConnection& connection)
    : connection_(connection),
      session_(session_options(connection), *this),
      info_(connection.client_info()) {
  host().counters().add(Count::h2_connections);
  connection_.set_idle(true);
  watch_head();
  idle_due_ = host().loop().now() + settings().timeouts.idle;
  if (connection_.draining()) announce_end();
  wake();  // our SETTINGS
}

H2Client::~H2Client() {
  while (H2ClientStream* stream = streams_.pop_front()) delete stream;
}

// --- From the connection ------------------------------------------------------------------------

void H2Client::on_data(Bytes bytes) {
  const auto read = meter_.receive(session_, bytes, host().loop().now(), host().counters());
  if (read != H2Meter::Read::good) return fail(reason_for(read));
  watch_head();
  wake();
}

void H2Client::on_end(bool) {
  connection_.close(io::Socket::Ending::orderly);
}

void H2Client::on_writable() {
  wake();
}

void H2Client::drain() {
  if (state_ == State::serving) announce_end();
}

void H2Client::on_giving_way() {
  host().counters().add(Count::h2_goaways_idle);
  session_.go_away();
  session_.flush(*this);
}

void H2Client::on_detached() {
  state_ = State::done;
  base::ListNode<io::FlushTag>::unlink();
  base::ListNode<io::DeferTag>::unlink();
  streams_.for_each([](H2ClientStream& stream) { stream.on_connection_lost(); });
}

// --- Requests -----------------------------------------------------------------------------------

h2::StreamHandler* H2Client::on_request(h2::Stream& stream, http::RequestHead&& head,
                                        bool complete) {
  if (misdirected(head)) {
    on_refused_request(stream, head, {421, "this connection's certificate is not for this host"});
    return nullptr;
  }
  idle_due_ = kNever;
  connection_.set_idle(false);
  host().counters().add(Count::h2_streams);
  new_streams_ = true;
  auto* const made = new H2ClientStream(*this, stream, std::move(head), complete);
  streams_.push_back(*made);
  if (++requests_ == settings().limits.requests_per_connection) {
    host().counters().add(Count::limit_requests_per_connection);
    if (state_ == State::serving) announce_end();
  }
  return made;
}

// Clients may send requests for other hosts over a connection that they have, and are told where
// that is a mistake (RFC 9110 §15.5.20). In HTTP/1 nobody does; what CONNECT names isn't us. Who
// asked for the very name in the handshake, or for none, has taken the certificate as it is.
bool H2Client::misdirected(const http::RequestHead& head) {
  if (head.method == http::Method::connect || connection_.settings().serves(head.host())) {
    return false;
  }
  const std::string_view asked = connection_.transport().tls_info().server_name;
  return !asked.empty() && !http::equals_ignoring_case(asked, head.host());
}

void H2Client::on_refused_request(h2::Stream& stream, const http::RequestHead& head,
                                  const http::ParseError& error) {
  host().counters().add(Count::h2_streams);
  const bool malformed = error.status == h2::kMalformed;
  const int status = malformed ? 400 : error.status;
  count_refusal(host().counters(), {status, error.reason, error.bound});
  if (malformed) {
    host().counters().add(Count::h2_resets_sent);
  } else {
    answer_refused(stream, head, error);
  }
  connection_.service().on_refused(head, info_, status, error.reason);
}

void H2Client::answer_refused(h2::Stream& stream, const http::RequestHead& head,
                              const http::ParseError& error) {
  const http::ErrorResponse response = http::error_response(error.status, error.reason);
  const auto framing = http::frame_for_client(head, response.head, true, host().http_date());
  const bool bodiless = head.method == http::Method::head || response.body.empty();
  h2::write_own_response_section(section_, response.head, framing);
  stream.send_response(section_, bodiless);
  if (!bodiless) {
    stream.send_data(as_bytes(response.body));
    stream.send_end({});
  }
  streams_.push_back(*new H2ClientStream(*this, stream));
}

// The client leaves: what it has asked is answered, and that was it.
void H2Client::on_goaway() {
  if (state_ != State::last) end();
}

void H2Client::large_body_begins() {
  if (large_bodies_++ == 0) connection_.transport().set_streaming(true);
}

void H2Client::large_body_ends() {
  if (--large_bodies_ == 0 && state_ != State::done) connection_.transport().set_streaming(false);
}

// --- The end of a turn --------------------------------------------------------------------------

void H2Client::wake() {
  if (state_ != State::done) host().loop().flush_at_end_of_turn(*this);
}

void H2Client::changed(H2ClientStream& stream) {
  if (!stream.base::ListNode<H2ChangeTag>::linked()) changed_.push_back(stream);
  if (state_ == State::done) return;
  host().loop().defer(*this);
  host().loop().flush_at_end_of_turn(*this);
}

void H2Client::write(Bytes bytes) {
  written_ += bytes.size();
  connection_.write(bytes);
}

bool H2Client::has_room() const {
  return connection_.transport().buffered() < kOutputBytesMax || session_.failed();
}

void H2Client::flush() {
  Transport& transport = connection_.transport();
  if (session_.wants_flush()) {
    session_.flush(*this);
    if (!has_room()) transport.notify_when_below(kOutputBytesMax / 2);
  }
  if (session_.has_news() || session_.failed() || state_ == State::last) {
    host().loop().defer(*this);
  }
  if (transport.buffered() > 0) watch_output();
  schedule();
}

void H2Client::run_deferred() {
  // First: who has been reset need not begin. Of some resets it is known once they are written.
  if (std::exchange(new_streams_, false) && session_.wants_flush()) session_.flush(*this);
  session_.deliver();
  settle_streams();
  if (session_.failed()) {
    fail(reason_for(H2Meter::count_failure(session_, host().counters())));
  } else if (session_.streams() > 0 || !streams_.empty()) {
    schedule();
  } else if (state_ == State::last && !session_.wants_flush()) {
    connection_.linger();
  } else if (idle_due_ == kNever) {
    connection_.transport().note_idle();
    section_ = {};
    connection_.set_idle(true);
    idle_due_ = host().loop().now() + settings().timeouts.idle;
    schedule();
  }
}

void H2Client::settle_streams() {
  while (H2ClientStream* stream = changed_.pop_front()) {
    if (!stream->settle()) {
      delete stream;
    } else if (stream->parted()) {
      watch_output();
    }
  }
}

// --- Ends and times -----------------------------------------------------------------------------

void H2Client::announce_end() {
  state_ = State::announced;
  host().counters().add(Count::h2_goaways_shutdown);
  session_.announce_go_away();
  last_due_ = host().loop().now() + kAnnounceTime;
  wake();
}

// No further streams; ends when there are none left.
void H2Client::end() {
  state_ = State::last;
  last_due_ = kNever;
  session_.go_away();
  wake();
}

// Ends now; the session has a GOAWAY to send that says why.
void H2Client::fail(Count why) {
  host().counters().add(why);
  session_.flush(*this);
  connection_.linger();
}

void H2Client::watch_head() {
  const std::uint64_t before = std::exchange(sections_, session_.sections());
  if (!session_.head_pending()) {
    head_due_ = kNever;
    if (settings_due_ == kNever && !session_.settings_acknowledged()) {
      settings_due_ = host().loop().now() + h2::kSettingsAcknowledgeTime;
    }
  } else if (head_due_ == kNever || sections_ > before) {
    head_due_ = host().loop().now() + settings().timeouts.request_head;
  }
}

// The timer is left alone while it comes too early: it is cheaper to look again than to move it
// with every request.
void H2Client::schedule() {
  if (session_.settings_acknowledged()) settings_due_ = kNever;
  const TimePoint due = std::min({head_due_, settings_due_, idle_due_, last_due_, output_due_});
  if (due >= armed_for_) return;
  armed_for_ = due;
  connection_.arm(due - host().loop().now());
}

void H2Client::on_timer() {
  armed_for_ = kNever;
  const TimePoint now = host().loop().now();
  if (now >= head_due_) {
    host().counters().add(Count::timeout_request_head);
    session_.go_away(ErrorCode::enhance_your_calm);
    fail(Count::h2_goaways_slow_head);
    return;
  }
  if (now >= settings_due_ && !session_.settings_acknowledged()) {
    host().counters().add(Count::timeout_h2_settings);
    session_.go_away(ErrorCode::settings_timeout);
    fail(Count::h2_goaways_settings_timeout);
    return;
  }
  if (now >= last_due_) end();
  if (now >= idle_due_) {
    idle_due_ = kNever;
    if (state_ == State::serving) host().counters().add(Count::h2_goaways_idle);
    if (state_ != State::last) end();
  }
  if (now >= output_due_) {
    check_output();
    if (state_ == State::done) return;
  }
  schedule();
}

std::uint64_t H2Client::taken() const {
  const std::uint64_t waiting = connection_.transport().buffered();
  return written_ - std::min(written_, waiting);
}

void H2Client::watch_output() {
  if (output_due_ != kNever) return;
  taken_ = taken();
  output_waits_ = connection_.transport().buffered() > 0;
  output_due_ = host().loop().now() + settings().timeouts.stream;
}

// Responses that are whole, but for their client to take them, are nobody else's to watch.
void H2Client::check_output() {
  const Duration period = settings().timeouts.stream;
  const bool waiting = connection_.transport().buffered() > 0;
  if (waiting && output_waits_ && taken() <= taken_) {
    host().counters().add(Count::timeout_stream);
    connection_.close(io::Socket::Ending::reset);
    return;
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(period).count();
  const std::uint64_t bytes_min = std::max<std::uint64_t>(
      1, settings().limits.response_rate_min * static_cast<std::uint64_t>(seconds));
  bool watching = waiting;
  streams_.for_each([&](H2ClientStream& stream) {
    if (!stream.parted()) return;
    watching = true;
    if (stream.output_moves(bytes_min)) return;
    host().counters().add(Count::timeout_stream);
    host().counters().add(Count::h2_resets_sent);
    stream.reset(ErrorCode::cancel);
  });
  output_due_ = kNever;
  if (watching) watch_output();
}

}  // namespace sluice::proxy
