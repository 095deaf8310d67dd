#include "tests/harness/h2_origin_session.h"

#include <algorithm>
#include <cstring>

#include "proxy/base/check.h"
#include "tests/harness/h2_rules.h"

namespace sluice::harness {
namespace {

constexpr std::size_t kEchoMax = 64 * 1024 * 1024;

std::vector<nghttp2_nv> fields_to_send(const Fields& fields) {
  std::vector<nghttp2_nv> out;
  for (const auto& [name, value] : fields.lines) {
    out.push_back({.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                   .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
                   .namelen = name.size(),
                   .valuelen = value.size(),
                   .flags = NGHTTP2_NV_FLAG_NONE});
  }
  return out;
}

H2OriginSession& of(void* self) {
  return *static_cast<H2OriginSession*>(self);
}

}  // namespace

H2OriginSession::H2OriginSession(const StrictH2Origin::Options& options, std::uint64_t connection,
                                 H2OriginObserver& observer)
    : options_(options), connection_(connection), observer_(observer) {
  nghttp2_session_callbacks* callbacks = nullptr;
  SLUICE_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_field);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid);
  nghttp2_option* option = nullptr;
  SLUICE_CHECK(nghttp2_option_new(&option) == 0);
  // Fields are judged here, windows opened as bodies are taken.
  nghttp2_option_set_no_http_messaging(option, 1);
  nghttp2_option_set_no_auto_window_update(option, 1);
  SLUICE_CHECK(nghttp2_session_server_new2(&session_, callbacks, this, option) == 0);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.streams_max},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.window}};
  if (options_.extended_connect) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
  }
  SLUICE_CHECK(
      nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
}

H2OriginSession::~H2OriginSession() {
  nghttp2_session_del(session_);
}

void H2OriginSession::violation(const std::string& what) {
  observer_.on_violation(connection_, what);
}

H2OriginSession::Stream* H2OriginSession::find(std::int32_t id) {
  auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

bool H2OriginSession::receive(std::string_view bytes) {
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) {
    violation(std::string("nghttp2: ") + nghttp2_strerror(static_cast<int>(taken)));
    return false;
  }
  return true;
}

bool H2OriginSession::fill(std::string& out) {
  while (out.size() < kOutputHigh) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    SLUICE_CHECK(size >= 0);
    if (size == 0) break;
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  }
  out += raw_;
  raw_.clear();
  if (cut_) return false;
  return nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0;
}

int H2OriginSession::on_begin(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  H2OriginSession& session = of(self);
  session.section_.lines.clear();
  const std::int32_t id = frame->hd.stream_id;
  if (session.find(id) != nullptr) return 0;
  auto stream = std::make_unique<Stream>();
  stream->id = id;
  session.streams_[id] = std::move(stream);
  session.last_stream_ = id;
  session.observer_.on_stream();
  session.observer_.on_streams_at_once(session.streams_.size());
  return 0;
}

int H2OriginSession::on_field(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
                              std::size_t name_size, const std::uint8_t* value,
                              std::size_t value_size, std::uint8_t, void* self) {
  of(self).section_.add({reinterpret_cast<const char*>(name), name_size},
                        {reinterpret_cast<const char*>(value), value_size});
  return 0;
}

int H2OriginSession::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  H2OriginSession& session = of(self);
  Stream* stream = session.find(frame->hd.stream_id);
  const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      if (stream == nullptr) return 0;
      if (!stream->head_done) {
        session.head_done(*stream, end);
      } else {
        stream->request.trailers = session.section_;
        if (!end) session.violation("trailers without END_STREAM");
        if (std::string wrong = check_h2_trailers(session.section_); !wrong.empty()) {
          session.violation(wrong);
        }
      }
      break;
    case NGHTTP2_RST_STREAM:
      session.observer_.on_reset();
      return 0;
    case NGHTTP2_PUSH_PROMISE:
      session.violation("PUSH_PROMISE from a client");
      return 0;
    case NGHTTP2_DATA:
      break;
    default:
      return 0;
  }
  stream = session.find(frame->hd.stream_id);
  if (end && stream != nullptr) session.request_done(*stream);
  return 0;
}

int H2OriginSession::on_chunk(nghttp2_session*, std::uint8_t, std::int32_t id,
                              const std::uint8_t* bytes, std::size_t size, void* self) {
  H2OriginSession& session = of(self);
  nghttp2_session_consume_connection(session.session_, size);
  Stream* stream = session.find(id);
  if (stream == nullptr) return 0;
  if (stream->stalls) {
    stream->stalled_bytes += size;
  } else {
    nghttp2_session_consume_stream(session.session_, id, size);
  }
  session.take_body(*stream, {reinterpret_cast<const char*>(bytes), size});
  return 0;
}

int H2OriginSession::on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* self) {
  H2OriginSession& session = of(self);
  auto found = session.streams_.find(id);
  if (found == session.streams_.end()) return 0;
  Stream& stream = *found->second;
  if (stream.head_held || stream.body_held) session.observer_.on_held(-1);
  session.observer_.on_stream_over(stream.request_done || stream.turned_away);
  session.streams_.erase(found);
  return 0;
}

int H2OriginSession::on_invalid(nghttp2_session*, const nghttp2_frame* frame, int code,
                                void* self) {
  if (code == NGHTTP2_ERR_REFUSED_STREAM) {
    // It came before our SETTINGS were acknowledged.
    of(self).observer_.on_turned_away();
    return 0;
  }
  of(self).violation("frame of type " + std::to_string(frame->hd.type) + " on stream " +
                     std::to_string(frame->hd.stream_id) + ": " + nghttp2_strerror(code));
  return 0;
}

void H2OriginSession::head_done(Stream& stream, bool end_stream) {
  stream.head_done = true;
  if (std::string wrong = check_h2_request(section_, end_stream); !wrong.empty()) {
    violation(wrong);
    stream.turned_away = true;
    return reset_stream(stream, h2::kProtocolError);
  }
  RecordedRequest& request = stream.request;
  request = {.connection = connection_,
             .index = count_++,
             .method = *section_.get(":method"),
             .target = section_.get(":path").value_or(""),
             .version = "HTTP/2",
             .fields = section_};
  request.body_is_pattern = true;
  stream.behaviour = behaviour_of(request.target, section_);
  std::string& name = stream.behaviour.name;
  const bool once = name.ends_with("-once");
  if (once) {
    name = observer_.take_once() ? name.substr(0, name.size() - 5) : "";
    if (name == "refused") name = "refuse";
    if (name == "goaway") {
      // As if this one had never come.
      went_away_ = true;
      stream.turned_away = true;
      observer_.on_turned_away();
      nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_served_, NGHTTP2_NO_ERROR, nullptr,
                            0);
      return;
    }
  }
  if (went_away_) return;
  last_served_ = std::max(last_served_, stream.id);
  if (name == "refuse") {
    stream.turned_away = true;
    observer_.on_turned_away();
    return reset_stream(stream, h2::kRefusedStream);
  }
  stream.stalls = name == "stall";
  stream.is_tunnel = request.method == "CONNECT";
  if (section_.has("expect")) {
    Fields interim;
    interim.add(":status", "100");
    submit_interim(stream, interim);
  }
  if (stream.is_tunnel || stream.behaviour.early()) begin_answer(stream);
}

void H2OriginSession::take_body(Stream& stream, std::string_view bytes) {
  observer_.on_body(bytes.size());
  RecordedRequest& request = stream.request;
  if (stream.is_tunnel) {
    stream.tunnel += bytes;
    nghttp2_session_resume_data(session_, stream.id);
    return;
  }
  if (!is_pattern(bytes, request.body_size)) request.body_is_pattern = false;
  request.body_size += bytes.size();
  stream.digest.add(bytes);
  if (request.body.size() < options_.body_keep_max) {
    request.body += bytes.substr(0, options_.body_keep_max - request.body.size());
  }
  const bool echoes = stream.behaviour.name == "echo" || stream.behaviour.name == "continue";
  if (echoes && stream.echo_body.size() < kEchoMax) stream.echo_body += bytes;
}

void H2OriginSession::request_done(Stream& stream) {
  if (stream.request_done || stream.turned_away) return;
  stream.request_done = true;
  RecordedRequest& request = stream.request;
  const auto length = h2_content_length(request.fields);
  if (length && *length != request.body_size && !stream.is_tunnel) {
    violation("content-length " + std::to_string(*length) + " over " +
              std::to_string(request.body_size) + " bytes of DATA");
  }
  if (request.body_size != 0) request.body_sha256 = stream.digest.hex();
  if (went_away_ && !stream.answered && stream.id > last_served_) return;
  observer_.on_request(request, stream.behaviour.name == "health");
  if (!stream.answered) begin_answer(stream);
  if (stream.is_tunnel) nghttp2_session_resume_data(session_, stream.id);
}

void H2OriginSession::begin_answer(Stream& stream) {
  stream.answered = true;
  const RecordedRequest& request = stream.request;
  const Behaviour& behaviour = stream.behaviour;
  if (behaviour.name == "garbage") {
    // Behind what nghttp2 has to say.
    raw_ += h2_garbage(behaviour.value, static_cast<std::uint32_t>(stream.id));
    return;
  }
  stream.answer =
      h2_answer_to(behaviour, {.backend = options_.name,
                               .method = request.method,
                               .body = stream.echo_body,
                               .content_type = request.fields.get("content-type").value_or(""),
                               .health_status = observer_.health_status()});
  if (stream.is_tunnel && behaviour.name == "tunnel") {
    stream.answer.head.lines.resize(2);  // :status, x-backend
    stream.answer.tail.clear();
  } else if (stream.is_tunnel) {
    stream.is_tunnel = false;
    stream.answer = {};
    stream.answer.head.add(":status", "403");
  }
  if (stream.answer.delay.count() > 0) {
    observer_.arm(connection_, stream.id, stream.answer.delay);
  } else {
    submit_answer(stream);
  }
}

void H2OriginSession::on_timer(std::int32_t id) {
  Stream* stream = find(id);
  if (stream != nullptr && !stream->submitted) submit_answer(*stream);
}

void H2OriginSession::submit_answer(Stream& stream) {
  H2Answer& answer = stream.answer;
  if (answer.hold_head && !stream.head_held) {
    stream.head_held = true;
    observer_.on_held(1);
    return;
  }
  stream.submitted = true;
  for (const Fields& interim : answer.interim) submit_interim(stream, interim);
  if (answer.head.lines.empty()) {
    if (answer.then == H2Answer::Then::cut) {
      cut_ = true;
      return;
    }
    return reset_stream(stream, answer.code);
  }
  const bool has_body = answer.pattern_size > 0 || !answer.tail.empty() ||
                        !answer.trailers.lines.empty() || stream.is_tunnel ||
                        answer.then != H2Answer::Then::end;
  const auto fields = fields_to_send(answer.head);
  nghttp2_data_provider provider{.source = {.ptr = nullptr}, .read_callback = read_body};
  nghttp2_submit_response(session_, stream.id, fields.data(), fields.size(),
                          has_body ? &provider : nullptr);
  if (stream.behaviour.name == "goaway") go_away();
}

void H2OriginSession::submit_interim(Stream& stream, const Fields& head) {
  const auto fields = fields_to_send(head);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, fields.data(),
                         fields.size(), nullptr);
}

void H2OriginSession::reset_stream(Stream& stream, std::uint32_t code) {
  stream.answered = true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
}

ssize_t H2OriginSession::read_body(nghttp2_session*, std::int32_t id, std::uint8_t* out,
                                   std::size_t room, std::uint32_t* flags, nghttp2_data_source*,
                                   void* self) {
  Stream* stream = of(self).find(id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  return of(self).produce(*stream, out, room, flags);
}

ssize_t H2OriginSession::produce(Stream& stream, std::uint8_t* out, std::size_t room,
                                 std::uint32_t* flags) {
  auto give = [&](std::string_view bytes) {
    std::memcpy(out, bytes.data(), bytes.size());
    return static_cast<ssize_t>(bytes.size());
  };
  if (stream.is_tunnel) {
    if (stream.tunnel.empty()) {
      if (!stream.request_done) return NGHTTP2_ERR_DEFERRED;
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      return 0;
    }
    const ssize_t size = give(std::string_view(stream.tunnel).substr(0, room));
    stream.tunnel.erase(0, static_cast<std::size_t>(size));
    return size;
  }
  H2Answer& answer = stream.answer;
  const std::uint64_t until = answer.hold_at.value_or(answer.pattern_size);
  if (stream.pattern_sent < until) {
    const std::uint64_t left = std::min<std::uint64_t>(room, until - stream.pattern_sent);
    const std::string_view piece = pattern_view(stream.pattern_sent, left);
    stream.pattern_sent += piece.size();
    return give(piece);
  }
  if (answer.hold_at) {
    if (!stream.body_held) observer_.on_held(1);
    stream.body_held = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (stream.tail_sent < answer.tail.size()) {
    const ssize_t size = give(std::string_view(answer.tail).substr(stream.tail_sent, room));
    stream.tail_sent += static_cast<std::size_t>(size);
    if (stream.tail_sent < answer.tail.size() || answer.then != H2Answer::Then::end) return size;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream.behaviour.name == "early-close" && !stream.request_done) {
      reset_stream(stream, h2::kNoError);
    }
    return size;
  }
  if (answer.then == H2Answer::Then::cut) {
    cut_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  // nghttp2 makes that RST_STREAM with INTERNAL_ERROR.
  if (answer.then == H2Answer::Then::reset) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (!answer.trailers.lines.empty()) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const auto fields = fields_to_send(answer.trailers);
    nghttp2_submit_trailer(session_, stream.id, fields.data(), fields.size());
  }
  return 0;
}

void H2OriginSession::release() {
  for (auto& [id, stream] : streams_) {
    if (stream->stalls) {
      stream->stalls = false;
      nghttp2_session_consume_stream(session_, id, std::exchange(stream->stalled_bytes, 0));
    }
    if (stream->head_held) {
      observer_.on_held(-1);
      submit_answer(*stream);
      stream->head_held = false;
    }
    if (stream->body_held) {
      observer_.on_held(-1);
      stream->body_held = false;
      stream->answer.hold_at.reset();
      nghttp2_session_resume_data(session_, id);
    }
  }
}

void H2OriginSession::go_away() {
  went_away_ = true;
  last_served_ = last_stream_;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_stream_, NGHTTP2_NO_ERROR, nullptr, 0);
}

std::size_t H2OriginSession::unfinished() const {
  return static_cast<std::size_t>(std::ranges::count_if(streams_, [](const auto& each) {
    return each.second->behaviour.name != "health" && !each.second->turned_away;
  }));
}

void H2OriginSession::end() {
  for (auto& [id, stream] : streams_) {
    if (stream->head_held || stream->body_held) observer_.on_held(-1);
    observer_.on_stream_over(stream->request_done || stream->turned_away);
  }
  streams_.clear();
}

}  // namespace sluice::harness
