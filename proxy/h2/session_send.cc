// What goes out: operations hand heads to nghttp2 and queue data per stream; flush() has nghttp2
// make frames of it, one after the other, as long as the output has room.
#include <algorithm>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/h2/nghttp2_glue.h"
#include "proxy/h2/session_state.h"
#include "proxy/http/syntax.h"

namespace sluice::h2 {
namespace {

// Of DATA: small enough that streams take turns often.
constexpr std::size_t kDataBytesMax = 16 * 1024;

// nghttp2 reads names and values only.
std::uint8_t* readable(std::string_view text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

Asked asked_by(const Section& section) {
  Asked asked;
  for (const http::Field field : section) {
    if (!field.name.starts_with(':')) break;
    if (field.name == ":method") asked.method = http::method_from(field.value);
    if (field.name == ":protocol") asked.upgrade = true;
  }
  asked.tunnel = asked.method == http::Method::connect;
  return asked;
}

}  // namespace

void SessionState::fill_fields(const Section& section) {
  fields.clear();
  fields.reserve(section.size());
  for (const http::Field field : section) {
    fields.push_back({.name = readable(field.name),
                      .value = readable(field.value),
                      .namelen = field.name.size(),
                      .valuelen = field.value.size(),
                      .flags = static_cast<std::uint8_t>(
                          field.never_indexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  }
}

void SessionState::submit_request(StreamState& stream, const Section& section, bool end) {
  stream.head_sent = true;
  stream.ended = end;
  stream.asked = asked_by(section);
  fill_fields(section);
  const nghttp2_data_provider provider = data_provider(stream);
  const bool possible = !failed && !lost && !go_away_received;
  const std::int32_t id =
      possible ? nghttp2_submit_request(nghttp2, nullptr, fields.data(), fields.size(),
                                        end ? nullptr : &provider, &stream)
               : NGHTTP2_ERR_START_STREAM_NOT_ALLOWED;
  if (id > 0) {
    stream.stream_id = id;
    return;
  }
  const Reset reset{.code = ErrorCode::refused_stream, .unprocessed = true};
  stream.gone = true;
  close(stream, &reset);
}

void SessionState::submit_interim(StreamState& stream, const Section& section) {
  fill_fields(section);
  nghttp2_submit_headers(nghttp2, NGHTTP2_FLAG_NONE, stream.stream_id, nullptr, fields.data(),
                         fields.size(), nullptr);
}

void SessionState::submit_head(StreamState& stream, const Section& section, bool end) {
  stream.head_sent = true;
  stream.ended = end;
  fill_fields(section);
  const nghttp2_data_provider provider = data_provider(stream);
  nghttp2_submit_response(nghttp2, stream.stream_id, fields.data(), fields.size(),
                          end ? nullptr : &provider);
}

void SessionState::queue_data(StreamState& stream, Bytes bytes) {
  if (bytes.empty()) return;
  stream.queue.append(bytes);
  wake_data(stream);
}

void SessionState::queue_end(StreamState& stream, const http::Fields& section) {
  stream.ended = true;
  if (!section.empty()) write_trailer_section(stream.trailers, section);
  wake_data(stream);
}

void SessionState::wake_data(StreamState& stream) {
  if (static_cast<base::ListNode<TurnTag>&>(stream).linked()) return;
  if (!std::exchange(stream.deferred, false)) return;
  nghttp2_session_resume_data(nghttp2, stream.stream_id);
}

// Of what nghttp2 may send, all has been sent. True if some have been waiting for that.
bool SessionState::begin_round() {
  const bool begins = !turns.empty();
  ++round;
  while (StreamState* stream = turns.pop_front()) wake_data(*stream);
  return begins;
}

ssize_t SessionState::on_read_data(StreamState& stream, std::size_t room, std::uint32_t& flags) {
  const std::size_t queued = stream.queue.size();
  const std::size_t count = std::min({queued, room, kDataBytesMax});
  if (count == 0 && !stream.ended) {
    stream.deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  // To a server nghttp2 would send the oldest stream's data first, as long as there is any.
  if (!server() && count > 0 && std::exchange(stream.sent_in_round, round) == round) {
    stream.deferred = true;
    turns.push_back(stream);
    return NGHTTP2_ERR_DEFERRED;
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (count < queued || !stream.ended) return static_cast<ssize_t>(count);
  flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream.trailers.empty()) return static_cast<ssize_t>(count);
  flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  fill_fields(stream.trailers);
  nghttp2_submit_trailer(nghttp2, stream.stream_id, fields.data(), fields.size());
  return static_cast<ssize_t>(count);
}

int SessionState::on_write_data(StreamState& stream, Bytes head, std::size_t length) {
  output->write(head);
  if (length > 0) {
    for (std::size_t left = length; left > 0;) {
      const Bytes piece = stream.queue.front(left);
      output->write(piece);
      left -= piece.size();
      stream.queue.take(piece.size());
    }
    budget.on_data_sent(length);
  }
  if (stream.notify && stream.queue.size() <= stream.notify_below) note(stream);
  return output->has_room() ? 0 : NGHTTP2_ERR_PAUSE;
}

void SessionState::on_frame_sent(const nghttp2_frame& frame) {
  const bool ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
      if (!ends && (server() || frame.hd.type == NGHTTP2_DATA)) return;
      if (StreamState* const stream = stream_of(frame.hd.stream_id)) {
        stream->on_wire = true;
        if (ends) on_local_end(*stream);
      }
      break;
    case NGHTTP2_GOAWAY:
      // nghttp2's own.
      if (frame.goaway.error_code != NGHTTP2_NO_ERROR &&
          static_cast<ErrorCode>(frame.goaway.error_code) != go_away_code) {
        fail(static_cast<ErrorCode>(frame.goaway.error_code), kViolated);
      }
      break;
    default:
      break;
  }
}

void SessionState::on_local_end(StreamState& stream) {
  stream.local_done = true;
  if (!server()) return;
  budget.on_request_answered();
  if (stream.remote_done || stream.closing) return;
  // The rest of the request isn't wanted (RFC 9113 §8.1). A tunnel's end is the server's.
  drop_rest(stream);
  stream.reset_by_us = true;
  nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream.stream_id, NGHTTP2_NO_ERROR);
}

// A head that nghttp2 couldn't make a frame of, for its size: nobody waits for it in vain.
void SessionState::on_frame_not_sent(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS || failed || lost) return;
  StreamState* const stream = stream_of(frame.hd.stream_id);
  if (!stream || stream->closing || !server()) return;
  const Reset reset{.code = ErrorCode::internal_error, .reason = "head too long to send"};
  stream->own_wish = true;
  stream->reset_by_us = true;
  nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_INTERNAL_ERROR);
  close(*stream, &reset);
}

void SessionState::flush(Output& out) {
  if (lost) return;
  settle_failure();
  if (!last_words.empty()) out.write(as_bytes(std::exchange(last_words, {})));
  output = &out;
  while (out.has_room()) {
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(nghttp2, &data);
    if (size > 0) {
      out.write({reinterpret_cast<const std::byte*>(data), static_cast<std::size_t>(size)});
    } else if (size < 0) {
      fail(ErrorCode::internal_error, "HTTP/2 session broke");
    }
    // The GOAWAY of a failure that sending brought to light goes out too.
    const bool found = failed && !settled;
    if (found) settle_failure();
    // nghttp2 stops where it has nothing more, or where on_write_data() said that there is no room.
    if (size <= 0 && !found && !(out.has_room() && begin_round())) break;
  }
  output = nullptr;
}

}  // namespace sluice::h2
