// What comes in: each frame is judged by its header (the budget, streams that have ended), then
// goes through nghttp2, whose callbacks check messages and tell handlers.
#include <algorithm>
#include <array>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/h2/nghttp2_glue.h"
#include "proxy/h2/session_state.h"

namespace sluice::h2 {
namespace {

// SETTINGS_MAX_FRAME_SIZE, which we leave as it is (RFC 9113 §6.5.2).
constexpr std::uint32_t kFramePayloadBytesMax = 16 * 1024;

// What a DATA frame costs of late_data_allowed beside its data: a window in frames of a byte each
// is no honest one.
constexpr std::size_t kLateFrameBytes = 64;

bool ends_stream(const nghttp2_frame& frame) {
  return (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

// Of the peer's GOAWAY. Static storage.
std::string_view describe_go_away(std::uint32_t code) {
  static constexpr auto kNames = std::to_array<std::string_view>({
      "",
      "peer's GOAWAY: PROTOCOL_ERROR",
      "peer's GOAWAY: INTERNAL_ERROR",
      "peer's GOAWAY: FLOW_CONTROL_ERROR",
      "peer's GOAWAY: SETTINGS_TIMEOUT",
      "peer's GOAWAY: STREAM_CLOSED",
      "peer's GOAWAY: FRAME_SIZE_ERROR",
      "peer's GOAWAY: REFUSED_STREAM",
      "peer's GOAWAY: CANCEL",
      "peer's GOAWAY: COMPRESSION_ERROR",
      "peer's GOAWAY: CONNECT_ERROR",
      "peer's GOAWAY: ENHANCE_YOUR_CALM",
      "peer's GOAWAY: INADEQUATE_SECURITY",
      "peer's GOAWAY: HTTP_1_1_REQUIRED",
  });
  return code < kNames.size() ? kNames[code] : "peer's GOAWAY: unknown error";
}

struct Refusal {
  ErrorCode code = ErrorCode::protocol_error;
  std::string_view reason = "malformed message";
};

// Of a stream, by nghttp2's error.
Refusal refusal_of(int error) {
  switch (error) {
    case NGHTTP2_ERR_FLOW_CONTROL:
      return {ErrorCode::flow_control_error, "window overflow"};
    case NGHTTP2_ERR_STREAM_CLOSED:
      return {ErrorCode::stream_closed, "frame for a stream that has ended"};
    case NGHTTP2_ERR_REFUSED_STREAM:
      return {ErrorCode::refused_stream, "too many streams"};
    case NGHTTP2_ERR_FRAME_SIZE_ERROR:
      return {ErrorCode::frame_size_error, "frame of a wrong size"};
    default:
      return {};
  }
}

std::int64_t promised(const http::BodyLength& body) {
  switch (body.kind) {
    case http::BodyLength::Kind::none:
      return 0;
    case http::BodyLength::Kind::known:
      return static_cast<std::int64_t>(body.bytes);
    default:
      return StreamFacts::kUnknown;
  }
}

}  // namespace

void SessionState::receive(Bytes bytes) {
  bytes = receive_preface(bytes);
  while (!bytes.empty() && !failed && !lost) {
    const FrameScanner::Step step = scanner.next(bytes);
    bytes = bytes.subspan(step.consumed);
    if (step.begins) {
      if (!admit(scanner.header())) return;
      if (step.head.data() + step.head.size() == step.payload.data()) {
        feed({step.head.data(), step.head.size() + step.payload.size()});
      } else {
        feed(step.head);
        feed(step.payload);
      }
    } else {
      feed(step.payload);
    }
    if (scanner.header().kind() == FrameKind::priority) check_priority(step.payload);
    if (step.ends) on_frame_whole();
  }
}

Bytes SessionState::receive_preface(Bytes bytes) {
  const Bytes part = bytes.first(std::min(preface_left, bytes.size()));
  preface_left -= part.size();
  feed(part);
  return bytes.subspan(part.size());
}

void SessionState::feed(Bytes bytes) {
  if (bytes.empty() || failed || lost) return;
  const std::size_t queued = nghttp2_session_get_outbound_queue_size(nghttp2);
  const ssize_t taken = nghttp2_session_mem_recv(
      nghttp2, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  frames_queued |= nghttp2_session_get_outbound_queue_size(nghttp2) > queued;
  if (taken >= 0) return;
  switch (static_cast<int>(taken)) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return fail(ErrorCode::protocol_error, "not an HTTP/2 preface");
    case NGHTTP2_ERR_FLOODED:
      return fail(ErrorCode::enhance_your_calm, "acknowledgements pile up");
    default:
      return fail(ErrorCode::internal_error, "HTTP/2 session broke");
  }
}

// What can be told from a frame's header alone.
bool SessionState::admit(const FrameHeader& header) {
  frame_data_taken = 0;
  priority_bytes = 0;
  priority_parent = 0;
  in_section = header.has_fields() && !header.ends_section();
  if (header.kind() == FrameKind::headers) section_frames = section_bytes = 0;
  if (header.has_fields()) {
    ++section_frames;
    section_bytes += FrameHeader::kBytes + header.length;
  }
  if (header.length > kFramePayloadBytesMax) {
    fail(ErrorCode::frame_size_error, "frame too long");
  } else if (may_be_for(header)) {
    spend(budget.on_frame(header.kind(), FrameHeader::kBytes + header.length, header.ends_stream(),
                          now));
    frame_data_taken = take_late_data(header);
  }
  return !failed;
}

// Bytes of this frame that aren't wanted, and that its sender can't be blamed for.
std::size_t SessionState::take_late_data(const FrameHeader& header) {
  if (header.kind() != FrameKind::data || late_data_allowed == 0) return 0;
  const StreamState* const stream = stream_of(header.stream_id);
  if (stream && !stream->unwanted) return 0;
  const std::size_t allowed = std::min(late_data_allowed, header.length + kLateFrameBytes);
  late_data_allowed -= allowed;
  return std::min<std::size_t>(allowed, header.length);
}

// Frames for streams that are no more (RFC 9113 §5.1, §5.1.1): nghttp2 ignores them. Some may still
// be on their way when we reset a stream; others the peer can't mean.
bool SessionState::may_be_for(const FrameHeader& header) {
  const bool opens = header.kind() == FrameKind::headers;
  if (header.stream_id == 0 || (!opens && header.kind() != FrameKind::data)) return true;
  if (ended_streams.has(header.stream_id)) {
    fail(ErrorCode::stream_closed, "frame for a stream that has ended");
    return false;
  }
  const bool by_peer = server() == (header.stream_id % 2 == 1);
  if (!by_peer) return true;
  if (header.stream_id > highest_peer_stream) {
    if (opens) highest_peer_stream = header.stream_id;
    return true;
  }
  if (!opens || go_away_submitted || reset_streams.has(header.stream_id) ||
      nghttp2_session_find_stream(nghttp2, header.stream_id)) {
    return true;
  }
  fail(ErrorCode::protocol_error, "stream opened out of order");
  return false;
}

// nghttp2 doesn't look into these: nobody's priorities are kept (RFC 9113 §5.3.2, §6.3).
void SessionState::check_priority(Bytes payload) {
  constexpr std::size_t kParentBytes = 4;
  constexpr std::uint32_t kExclusiveBit = 0x8000'0000;
  for (const std::byte byte : payload) {
    if (priority_bytes == kParentBytes) break;
    priority_parent = priority_parent << 8 | std::to_integer<std::uint32_t>(byte);
    ++priority_bytes;
  }
  const auto stream_id = static_cast<std::uint32_t>(scanner.header().stream_id);
  const bool whole = priority_bytes == kParentBytes;
  if (stream_id == 0 || (whole && (priority_parent & ~kExclusiveBit) == stream_id)) {
    fail(ErrorCode::protocol_error, "malformed PRIORITY");
  }
}

void SessionState::on_frame_whole() {
  first_frame_whole = true;
  if (scanner.header().ends_section()) ++sections;
  if (frame_data_taken > 0) budget.on_data_taken(frame_data_taken);
  if (in_section || failed || lost || !std::exchange(frames_queued, false)) return;
  if (!is_alive()) take_last_words();
}

// nghttp2 ends a session by a GOAWAY of its own for some violations, and tells only who sends it.
// From then on it reads nothing: a frame of a type that it tells of goes unseen.
bool SessionState::is_alive() {
  static constexpr std::array<std::uint8_t, FrameHeader::kBytes> kProbe{0, 0, 0, kProbeFrameType};
  probe_seen = false;
  return nghttp2_session_mem_recv(nghttp2, kProbe.data(), kProbe.size()) >= 0 && probe_seen;
}

// nghttp2's GOAWAY, which tells the code, and what it has queued before it: bounded by the budget.
void SessionState::take_last_words() {
  const std::uint8_t* data = nullptr;
  while (true) {
    const ssize_t size = nghttp2_session_mem_send(nghttp2, &data);
    if (size <= 0) break;
    last_words.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  }
  fail(ErrorCode::protocol_error, kViolated);  // says nothing new where the GOAWAY was seen
}

// --- Field sections -----------------------------------------------------------------------------

void SessionState::on_begin_section(const nghttp2_frame& frame) {
  if (failed || lost) {
    section_stream = nullptr;
    return;
  }
  section_error = {};
  if (go_away_submitted && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    // Our GOAWAY, sent or not, says that streams up to an earlier one are served.
    section_stream = nullptr;
    nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame.hd.stream_id,
                              NGHTTP2_REFUSED_STREAM);
    return;
  }
  if (server() && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    StreamState& stream = take_stream();
    stream.stream_id = frame.hd.stream_id;
    nghttp2_session_set_stream_user_data(nghttp2, frame.hd.stream_id, &stream);
    // Streams take turns, whatever the client would have first (RFC 9218 §5 leaves that to us):
    // one that never gets its turn could not be told from one whose client is too slow.
    const nghttp2_extpri by_turns{.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    nghttp2_session_change_extpri_stream_priority(nghttp2, frame.hd.stream_id, &by_turns, 1);
    section_stream = &stream;
    reader.begin(SectionReader::Kind::request);
    return;
  }
  section_stream = stream_of(frame.hd.stream_id);
  const bool head = section_stream && !section_stream->final_head_seen;
  reader.begin(head ? SectionReader::Kind::response : SectionReader::Kind::trailers);
}

void SessionState::on_field(std::string_view name, std::string_view value, bool never_indexed) {
  if (failed || !section_stream) return;
  if (!section_error) {
    section_error = reader.add(name, value, never_indexed);
  } else {
    // HPACK must be decoded on, and nothing is kept; a bomb is not decoded to its end.
    spend(budget.on_fields_dropped(name.size() + value.size() + kFieldOverheadBytes));
  }
}

void SessionState::on_section(const nghttp2_frame& frame) {
  StreamState* const stream = std::exchange(section_stream, nullptr);
  if (!stream || stream->reset_by_us) return;
  const bool complete = ends_stream(frame);
  if (server() && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    on_request_section(*stream, complete);
  } else if (!stream->final_head_seen) {
    on_response_section(*stream, complete);
  } else {
    on_trailer_section(*stream, complete);
  }
}

void SessionState::on_head_taken(StreamState& stream) {
  stream.head_bytes = section_bytes;
  budget.on_head_taken(section_frames, section_bytes);
}

void SessionState::on_request_section(StreamState& stream, bool complete) {
  stream.final_head_seen = true;
  stream.remote_done = complete;
  http::RequestHead head;
  http::ParseError error = section_error;
  if (error) {
    reader.salvage(head);
  } else {
    error = reader.finish_request(complete, options.scheme, head);
  }
  if (error) return refuse(stream, head, error);
  const std::size_t decoded = reader.decoded_bytes();
  if (held_head_bytes > 0 && held_head_bytes + decoded > options.held_head_bytes_max) {
    stream.unwanted = true;
    budget.on_head_taken(0, section_bytes);  // it may come again
    return reset_stream(stream, ErrorCode::refused_stream);
  }
  stream.held_head_bytes = decoded;
  held_head_bytes += decoded;
  on_head_taken(stream);
  stream.body_left = promised(head.body);
  stream.asked = {
      .method = head.method, .tunnel = head.asks_for_tunnel(), .upgrade = !head.protocol.empty()};
  stream.handler_set = false;
  StreamHandler* const hears = handler.on_request(stream, std::move(head), complete);
  if (!stream.handler_set && !stream.closing) stream.handler = hears;
}

void SessionState::refuse(StreamState& stream, const http::RequestHead& head,
                          const http::ParseError& error) {
  if (error.status == kMalformed) {
    fail_stream(stream, ErrorCode::protocol_error, error.reason);
  }
  handler.on_refused_request(stream, head, error);
  if (!stream.ended && !stream.closing) reset_stream(stream, ErrorCode::cancel);
}

void SessionState::on_response_section(StreamState& stream, bool complete) {
  http::ResponseHead head;
  const http::ParseError error =
      section_error ? section_error : reader.finish_response(complete, stream.asked, head);
  if (error) return fail_stream(stream, ErrorCode::protocol_error, error.reason);
  if (head.is_interim()) {
    if (stream.handler) stream.handler->on_response_head(head, false);
    return;
  }
  stream.final_head_seen = true;
  stream.remote_done = complete;
  stream.asked.tunnel = head.body.kind == http::BodyLength::Kind::tunnel;  // and is one now
  on_head_taken(stream);
  stream.body_left = promised(head.body);
  if (complete) budget.on_request_answered();
  if (stream.handler) stream.handler->on_response_head(head, complete);
}

void SessionState::on_trailer_section(StreamState& stream, bool complete) {
  http::ParseError error = section_error;
  if (!error && stream.asked.tunnel) error = {kMalformed, "HEADERS within a tunnel"};
  if (!error && !complete) error = {kMalformed, "trailers that don't end the stream"};
  if (!error) error = reader.finish_trailers(trailers);
  if (error) return fail_stream(stream, ErrorCode::protocol_error, error.reason);
  on_remote_end(stream);
}

// --- Data ---------------------------------------------------------------------------------------

void SessionState::on_data(std::int32_t stream_id, Bytes bytes) {
  // The connection's window is for all: nobody's slowness holds it.
  nghttp2_session_consume_connection(nghttp2, bytes.size());
  StreamState* const stream = stream_of(stream_id);
  if (!stream || stream->closing || failed || lost) return;
  if (stream->body_left != StreamFacts::kUnknown) {
    if (bytes.size() > static_cast<std::size_t>(stream->body_left)) {
      return fail_stream(*stream, ErrorCode::protocol_error, "body longer than its head said");
    }
    stream->body_left -= static_cast<std::int64_t>(bytes.size());
  }
  if (stream->unwanted) return;
  if (stream->handler) {
    frame_data_taken += bytes.size();
    Bytes known = bytes;
    if (stream->body_left == 0 && !bytes.empty()) {
      stream->last_byte = bytes.back();
      known = bytes.first(bytes.size() - 1);
    }
    if (!known.empty()) stream->handler->on_data(known);
  }
  if (stream->closing) return;
  stream->unconsumed += bytes.size();
  if (!stream->paused) give_window_back(*stream);
}

// `trailers` are what came behind the data.
void SessionState::on_remote_end(StreamState& stream) {
  if (stream.closing) return;
  if (stream.body_left > 0) {
    return fail_stream(stream, ErrorCode::protocol_error, "body shorter than Content-Length");
  }
  stream.remote_done = true;
  if (!server()) budget.on_request_answered();
  if (stream.handler && stream.last_byte) stream.handler->on_data({&*stream.last_byte, 1});
  if (stream.handler && !stream.closing) stream.handler->on_end(trailers);
}

// --- Other frames -------------------------------------------------------------------------------

void SessionState::on_frame(const nghttp2_frame& frame) {
  if (failed || lost) return;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      on_section(frame);
      break;
    case NGHTTP2_DATA:
      if (!ends_stream(frame)) break;
      if (StreamState* const stream = stream_of(frame.hd.stream_id)) {
        trailers.clear();
        on_remote_end(*stream);
      }
      break;
    case NGHTTP2_RST_STREAM:
      if (StreamState* const stream = stream_of(frame.hd.stream_id)) stream->reset_by_peer = true;
      break;
    case NGHTTP2_SETTINGS:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        settings_acknowledged = true;
      } else if (!server()) {
        settings_news = true;
      }
      break;
    case NGHTTP2_GOAWAY:
      if (frame.goaway.error_code != NGHTTP2_NO_ERROR) {
        failure = describe_go_away(frame.goaway.error_code);
      }
      go_away_received = true;
      go_away_news = true;
      break;
    default:
      break;
  }
}

void SessionState::on_invalid_frame(const nghttp2_frame& frame, int error) {
  if (failed || lost) return;
  const Refusal refusal = refusal_of(error);
  if (error == NGHTTP2_ERR_REFUSED_STREAM) {
    reset_streams.add(frame.hd.stream_id);
    spend(budget.on_reset(0, now));
    return;
  }
  // Of other frames, whatever stream they name, the connection dies.
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_WINDOW_UPDATE) return;
  StreamState* const stream = stream_of(frame.hd.stream_id);
  if (!stream || stream->closing) return;
  const bool request = server() && !stream->final_head_seen;
  if (request && section_stream == stream) {
    section_stream = nullptr;
    http::RequestHead head;
    reader.salvage(head);
    const char* const reason = section_error ? section_error.reason : "malformed head";
    refuse(*stream, head, {kMalformed, reason});
    return;
  }
  const std::string_view reason =
      section_error && frame.hd.type == NGHTTP2_HEADERS ? section_error.reason : refusal.reason;
  fail_stream(*stream, refusal.code, reason);
}

}  // namespace sluice::h2
