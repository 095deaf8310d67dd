#include "proxy/h2/session.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/h2/nghttp2_glue.h"
#include "proxy/h2/session_state.h"

namespace sluice::h2 {
namespace {

// Streams that are kept for the next request: few, since idle connections keep them too.
constexpr std::size_t kSpareStreamsMax = 8;

constexpr std::size_t kClientPrefaceBytes = NGHTTP2_CLIENT_MAGIC_LEN;
constexpr std::int32_t kWindowBytesMax = std::numeric_limits<std::int32_t>::max();

std::uint32_t wire(ErrorCode code) {
  return static_cast<std::uint32_t>(code);
}

StreamState& inside(Stream& stream) {
  return static_cast<StreamState&>(stream);
}

const StreamState& inside(const Stream& stream) {
  return static_cast<const StreamState&>(stream);
}

std::uint32_t clamp_window(std::uint32_t bytes) {
  return std::min(bytes, static_cast<std::uint32_t>(kWindowBytesMax));
}

}  // namespace

// --- SessionState: beginning and end ------------------------------------------------------------

SessionState::SessionState(const Options& session_options, SessionHandler& session_handler)
    : options(session_options),
      handler(session_handler),
      reader(session_options.head_limits),
      budget(session_options.budget),
      preface_left(session_options.role == Options::Role::server ? kClientPrefaceBytes : 0) {
  nghttp2 = make_nghttp2_session(*this);
  start();
}

SessionState::~SessionState() {
  nghttp2_session_del(nghttp2);
  while (StreamState* stream = open.front()) delete stream;
}

void SessionState::start() {
  const auto head_bytes = static_cast<std::uint32_t>(
      std::min<std::size_t>(options.head_limits.head_bytes, http::HeadLimits::kBytesMax));
  std::array<nghttp2_settings_entry, 5> settings;
  std::size_t count = 0;
  const auto set = [&](std::int32_t id, std::uint32_t value) { settings[count++] = {id, value}; };
  if (server()) {
    set(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.streams_max);
    set(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  } else {
    set(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  }
  set(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, clamp_window(options.stream_window_bytes));
  set(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, head_bytes);
  set(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
  SLUICE_CHECK(nghttp2_submit_settings(nghttp2, NGHTTP2_FLAG_NONE, settings.data(), count) == 0);
  const auto window = static_cast<std::int32_t>(clamp_window(options.connection_window_bytes));
  SLUICE_CHECK(nghttp2_session_set_local_window_size(nghttp2, NGHTTP2_FLAG_NONE, 0, window) == 0);
}

void SessionState::fail(ErrorCode code, std::string_view reason) {
  if (failed) return;
  failed = true;
  failure_code = code;
  failure = reason;
}

void SessionState::settle_failure() {
  if (!failed || settled) return;
  settled = true;
  const Reset reset{.code = failure_code, .reason = failure};
  close_all(reset);
  // Does nothing where nghttp2 has said so by itself already.
  nghttp2_session_terminate_session(nghttp2, wire(failure_code));
}

void SessionState::spend(Exhausted exhausted) {
  if (exhausted != Exhausted::none) fail(ErrorCode::enhance_your_calm, describe(exhausted));
}

void SessionState::close_all(const Reset& reset) {
  open.for_each([&](StreamState& stream) {
    // nghttp2 outlives its streams here: it must not find them any more.
    if (stream.stream_id != 0) {
      nghttp2_session_set_stream_user_data(nghttp2, stream.stream_id, nullptr);
    }
    Reset own = reset;
    own.unprocessed = !server() && !stream.on_wire;
    stream.gone = true;
    close(stream, &own);
    note(stream);
  });
}

// --- SessionState: streams ----------------------------------------------------------------------

StreamState* SessionState::stream_of(std::int32_t stream_id) const {
  return static_cast<StreamState*>(nghttp2_session_get_stream_user_data(nghttp2, stream_id));
}

StreamState& SessionState::take_stream() {
  std::unique_ptr<StreamState> stream;
  if (spare.empty()) {
    stream = std::make_unique<StreamState>();
    stream->session = this;
  } else {
    stream = std::move(spare.back());
    spare.pop_back();
  }
  open.push_back(*stream);
  ++open_count;
  return *stream.release();
}

void SessionState::recycle(StreamState& stream) {
  static_cast<base::ListNode<OpenTag>&>(stream).unlink();
  static_cast<base::ListNode<NewsTag>&>(stream).unlink();
  static_cast<base::ListNode<TurnTag>&>(stream).unlink();
  --open_count;
  held_head_bytes -= stream.held_head_bytes;
  std::unique_ptr<StreamState> owned(&stream);
  if (spare.size() == kSpareStreamsMax) return;
  static_cast<StreamFacts&>(stream) = {};
  stream.queue.clear();
  stream.trailers.clear();
  spare.push_back(std::move(owned));
}

void SessionState::note(StreamState& stream) {
  if (!static_cast<base::ListNode<NewsTag>&>(stream).linked()) news.push_back(stream);
}

void SessionState::close(StreamState& stream, const Reset* reset) {
  if (stream.closing) return;
  stream.closing = true;
  stream.has_reset = reset != nullptr;
  if (reset) stream.reset_reason = *reset;
  note(stream);
}

void SessionState::fail_stream(StreamState& stream, ErrorCode code, std::string_view reason) {
  if (stream.closing) return;
  stream.reset_by_us = true;
  nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream.stream_id, wire(code));
  const Reset reset{.code = code, .reason = reason};
  close(stream, &reset);
  stream.queue.clear();
  count_reset(stream);
}

void SessionState::reset_stream(StreamState& stream, ErrorCode code) {
  if (stream.closing) {
    stream.handler = nullptr;
    return;
  }
  stream.closing = true;
  stream.handler = nullptr;
  stream.own_wish = true;
  stream.queue.clear();
  if (stream.stream_id == 0) {
    stream.gone = true;
    note(stream);
    return;
  }
  drop_rest(stream);
  stream.reset_by_us = true;
  nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream.stream_id, wire(code));
}

// An honest peer sends on until it hears of it: no more than the windows that it has.
void SessionState::drop_rest(StreamState& stream) {
  if (stream.unwanted || stream.remote_done) return;
  stream.unwanted = true;
  const std::int32_t window =
      nghttp2_session_get_stream_local_window_size(nghttp2, stream.stream_id);
  if (window <= 0) return;
  late_data_allowed = std::min<std::size_t>(late_data_allowed + static_cast<std::size_t>(window),
                                            options.connection_window_bytes);
}

void SessionState::give_window_back(StreamState& stream) {
  if (stream.unconsumed == 0) return;
  nghttp2_session_consume_stream(nghttp2, stream.stream_id,
                                 std::exchange(stream.unconsumed, std::size_t{0}));
}

void SessionState::count_reset(StreamState& stream) {
  if (std::exchange(stream.reset_counted, true)) return;
  spend(budget.on_reset(stream.head_bytes, now));
}

void SessionState::on_stream_gone(std::int32_t stream_id, std::uint32_t code) {
  StreamState* const found = stream_of(stream_id);
  if (!found) return;
  StreamState& stream = *found;
  stream.gone = true;
  const bool ended_by_peer = stream.remote_done || stream.reset_by_peer;
  if (ended_by_peer && !stream.reset_by_us) {
    ended_streams.add(stream_id);
  } else {
    reset_streams.add(stream_id);
  }
  const bool answered = server() ? stream.local_done : stream.remote_done;
  const bool refused = code == wire(ErrorCode::refused_stream) && !stream.final_head_seen;
  const bool unprocessed = !server() && (refused || !stream.on_wire);
  if (answered && code == wire(ErrorCode::no_error)) {
    close(stream, nullptr);
  } else {
    const Reset reset{.code = static_cast<ErrorCode>(code),
                      .by_peer = stream.reset_by_peer || (!server() && refused),
                      .unprocessed = unprocessed,
                      .reason = stream.reset_by_peer ? std::string_view{} : "malformed message"};
    close(stream, &reset);
  }
  if (!answered && !stream.own_wish && !unprocessed) count_reset(stream);
  note(stream);
}

void SessionState::drop_unsent_requests() {
  open.for_each([&](StreamState& stream) {
    if (stream.on_wire || stream.closing) return;
    const Reset reset{.code = ErrorCode::refused_stream, .by_peer = true, .unprocessed = true};
    close(stream, &reset);
    if (stream.stream_id == 0) {
      stream.gone = true;
    } else {
      nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream.stream_id,
                                wire(ErrorCode::refused_stream));
    }
  });
}

// --- SessionState: news -------------------------------------------------------------------------

void SessionState::deliver() {
  // What is noted meanwhile waits for the next time, lest two who always have news hold the turn.
  base::IntrusiveList<StreamState, NewsTag> now_due;
  now_due.splice_back(news);
  while (StreamState* stream = now_due.pop_front()) deliver(*stream);
}

void SessionState::deliver(StreamState& stream) {
  if (stream.closing) {
    if (StreamHandler* const told = std::exchange(stream.handler, nullptr)) {
      told->on_closed(stream.has_reset ? &stream.reset_reason : nullptr);
    }
    if (stream.gone) recycle(stream);
    return;
  }
  if (stream.notify && stream.queue.size() <= stream.notify_below) {
    stream.notify = false;
    if (stream.handler) stream.handler->on_writable();
  }
}

void SessionState::deliver_session_news() {
  if (std::exchange(settings_news, false)) handler.on_settings();
  if (std::exchange(go_away_news, false)) {
    if (!server()) {
      drop_unsent_requests();
      deliver();
    }
    handler.on_goaway();
  }
}

// --- Stream -------------------------------------------------------------------------------------

void Stream::send_request(const Section& section, bool end) {
  StreamState& stream = inside(*this);
  SLUICE_CHECK(!stream.head_sent);
  if (!stream.closing) stream.session->submit_request(stream, section, end);
}

void Stream::send_interim(const Section& section) {
  StreamState& stream = inside(*this);
  if (!stream.closing && !stream.head_sent) stream.session->submit_interim(stream, section);
}

void Stream::send_response(const Section& section, bool end) {
  StreamState& stream = inside(*this);
  if (stream.closing) return;
  SLUICE_CHECK(!stream.head_sent);
  stream.session->submit_head(stream, section, end);
}

void Stream::send_data(Bytes bytes) {
  StreamState& stream = inside(*this);
  if (!stream.closing && !stream.ended) stream.session->queue_data(stream, bytes);
}

void Stream::send_end(const http::Fields& trailers) {
  StreamState& stream = inside(*this);
  if (!stream.closing && !stream.ended) stream.session->queue_end(stream, trailers);
}

void Stream::reset(ErrorCode code) {
  inside(*this).session->reset_stream(inside(*this), code);
}

void Stream::pause() {
  inside(*this).paused = true;
}

void Stream::resume() {
  StreamState& stream = inside(*this);
  stream.paused = false;
  if (!stream.closing && !stream.unwanted) stream.session->give_window_back(stream);
}

void Stream::drop_rest() {
  StreamState& stream = inside(*this);
  if (!stream.closing) stream.session->drop_rest(stream);
}

std::size_t Stream::buffered() const {
  return inside(*this).queue.size();
}

void Stream::notify_when_below(std::size_t bytes) {
  StreamState& stream = inside(*this);
  if (stream.closing) return;
  stream.notify = true;
  stream.notify_below = bytes;
  if (stream.queue.size() <= bytes) stream.session->note(stream);
}

std::int32_t Stream::id() const {
  return inside(*this).stream_id;
}

void Stream::set_handler(StreamHandler* handler) {
  StreamState& stream = inside(*this);
  stream.handler = handler;
  stream.handler_set = true;
  if (!handler) resume();
}

// --- Session ------------------------------------------------------------------------------------

Session::Session(const Options& options, SessionHandler& handler)
    : state_(std::make_unique<SessionState>(options, handler)) {
}

Session::~Session() {
  SLUICE_CHECK(!state_->in_handlers);
}

bool Session::receive(Bytes bytes, TimePoint now) {
  SessionState& state = *state_;
  if (state.failed || state.lost) return false;
  SLUICE_CHECK(!state.in_handlers);
  state.in_handlers = true;
  state.now = now;
  state.receive(bytes);
  state.settle_failure();
  state.deliver();
  state.deliver_session_news();
  state.in_handlers = false;
  return !state.failed && !state.lost;
}

bool Session::failed() const {
  return state_->failed;
}

void Session::flush(Output& output) {
  SLUICE_CHECK(!state_->in_handlers);
  state_->flush(output);
}

bool Session::wants_flush() const {
  if (state_->lost) return false;
  if (!state_->last_words.empty() || !state_->turns.empty()) return true;
  return nghttp2_session_want_write(state_->nghttp2) != 0;
}

void Session::deliver() {
  SLUICE_CHECK(!state_->in_handlers);
  state_->in_handlers = true;
  state_->deliver();
  state_->deliver_session_news();
  state_->in_handlers = false;
}

bool Session::has_news() const {
  return !state_->news.empty() || state_->settings_news || state_->go_away_news;
}

void Session::on_connection_lost() {
  if (std::exchange(state_->lost, true)) return;
  state_->close_all({.code = ErrorCode::cancel, .by_peer = true, .reason = "connection lost"});
}

void Session::announce_go_away() {
  SLUICE_CHECK(state_->server());
  nghttp2_submit_shutdown_notice(state_->nghttp2);
}

void Session::go_away(ErrorCode code) {
  SessionState& state = *state_;
  state.go_away_submitted = true;
  state.go_away_code = code;
  nghttp2_submit_goaway(state.nghttp2, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(state.nghttp2), wire(code), nullptr,
                        0);
}

Stream& Session::open(StreamHandler& handler) {
  SLUICE_CHECK(streams_available() > 0);
  StreamState& stream = state_->take_stream();
  stream.handler = &handler;
  return stream;
}

std::size_t Session::streams_available() const {
  const SessionState& state = *state_;
  if (state.server() || state.failed || state.lost || state.go_away_received) return 0;
  if (!nghttp2_session_check_request_allowed(state.nghttp2)) return 0;
  const std::uint32_t allowed =
      nghttp2_session_get_remote_settings(state.nghttp2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  const std::size_t limit = std::min(allowed, state.options.streams_max);
  return limit > state.open_count ? limit - state.open_count : 0;
}

bool Session::extended_connect_allowed() const {
  return nghttp2_session_get_remote_settings(state_->nghttp2,
                                             NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool Session::head_pending() const {
  const SessionState& state = *state_;
  return !state.first_frame_whole || state.in_section ||
         (state.scanner.header().has_fields() && !state.scanner.at_boundary());
}

bool Session::settings_acknowledged() const {
  return state_->settings_acknowledged;
}

std::uint64_t Session::sections() const {
  return state_->sections;
}

std::size_t Session::streams() const {
  return state_->open_count;
}

std::string_view Session::failure() const {
  return state_->failure;
}

Exhausted Session::exhausted() const {
  return state_->budget.exhausted();
}

}  // namespace sluice::h2
