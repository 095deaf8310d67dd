#include "tests/proxy/h2_peer.h"

#include <algorithm>

namespace sluice::proxy {
namespace {

constexpr std::size_t kFramePayloadMax = 16 * 1024;

}  // namespace

H2Peer::H2Peer(io::Peer peer, Options options) : peer_(peer), options_(std::move(options)) {
  if (options_.is_server) {
    preface_left_ = wire::kPreface.size();
  } else {
    send(wire::kPreface);
  }
  send(wire::settings(options_.settings));
}

WireFields H2Peer::get(std::string_view target, std::string_view method) {
  WireFields head;
  head.add(":method", method);
  head.add(":scheme", "http");
  head.add(":authority", "app");
  head.add(":path", target);
  return head;
}

std::uint32_t H2Peer::ask(const WireFields& head, bool ends) {
  const std::uint32_t id = next_stream_;
  next_stream_ += 2;
  streams_[id].window = initial_window_;
  send(wire::headers(id, head, ends));
  return id;
}

void H2Peer::head(std::uint32_t id, const WireFields& fields, bool ends) {
  if (!streams_[id].reset) send(wire::headers(id, fields, ends));
}

void H2Peer::data(std::uint32_t id, std::string_view bytes, bool ends) {
  Stream& stream = streams_[id];
  stream.unsent += bytes;
  stream.ends = ends;
  send_some(id, stream);
}

void H2Peer::send_some(std::uint32_t id, Stream& stream) {
  if (stream.reset) return;
  while (!stream.unsent.empty()) {
    const std::int64_t room = std::min({stream.window, window_, std::int64_t{kFramePayloadMax}});
    if (room <= 0) return;
    const std::size_t count = std::min(stream.unsent.size(), static_cast<std::size_t>(room));
    const bool last = stream.ends && count == stream.unsent.size();
    send(wire::data(id, std::string_view(stream.unsent).substr(0, count), last));
    stream.unsent.erase(0, count);
    stream.window -= static_cast<std::int64_t>(count);
    window_ -= static_cast<std::int64_t>(count);
    if (last) stream.ends = false;
  }
  if (std::exchange(stream.ends, false)) send(wire::data(id, "", true));
}

void H2Peer::reset(std::uint32_t id, std::uint32_t code) {
  send(wire::reset(id, code));
  streams_[id].unsent.clear();
  streams_[id].ends = false;
  streams_[id].reset = code;
}

void H2Peer::complain(std::string what) {
  if (complaint_.empty()) complaint_ = std::move(what);
}

void H2Peer::step() {
  std::string news = peer_.take();
  if (preface_left_ > 0) {
    const std::size_t part = std::min(preface_left_, news.size());
    const auto wanted = wire::kPreface.substr(wire::kPreface.size() - preface_left_, part);
    if (news.compare(0, part, wanted) != 0) complain("another preface");
    preface_left_ -= part;
    news.erase(0, part);
  }
  reader_.add(news);
  while (const auto frame = reader_.next()) take(*frame);
}

void H2Peer::take(const wire::Frame& frame) {
  switch (frame.type) {
    case wire::kHeaders:
    case wire::kContinuation:
      take_headers(frame);
      break;
    case wire::kData:
      take_data(frame);
      break;
    case wire::kResetStream:
      if (!streams_.contains(frame.stream)) complain("RST_STREAM of an idle stream");
      streams_[frame.stream].reset = wire::number_at(frame.payload);
      streams_[frame.stream].unsent.clear();
      streams_[frame.stream].ends = false;
      break;
    case wire::kSettings:
      take_settings(frame);
      break;
    case wire::kPing:
      if ((frame.flags & wire::kAck) != 0) {
        ++pings_answered_;
      } else {
        send(wire::frame(wire::kPing, wire::kAck, 0, frame.payload));
      }
      break;
    case wire::kGoAway:
      goaways_.push_back({wire::number_at(frame.payload), wire::number_at(frame.payload, 4)});
      break;
    case wire::kWindowUpdate: {
      const std::uint32_t bytes = wire::number_at(frame.payload);
      (frame.stream == 0 ? window_ : streams_[frame.stream].window) += bytes;
      for (auto& [id, stream] : streams_) send_some(id, stream);
      break;
    }
    default:
      complain("a frame of type " + std::to_string(frame.type));
  }
}

void H2Peer::take_headers(const wire::Frame& frame) {
  if (frame.type == wire::kHeaders) section_ends_ = (frame.flags & wire::kEndStream) != 0;
  section_ += frame.payload;
  if ((frame.flags & wire::kEndHeaders) == 0) return;
  const auto fields = decoder_->decode(std::exchange(section_, {}));
  if (!fields) return complain("a field section that can't be decoded");
  if (!streams_.contains(frame.stream)) {
    if (!options_.is_server) return complain("HEADERS of an idle stream");
    streams_[frame.stream].window = initial_window_;
  }
  Stream& stream = streams_[frame.stream];
  if (stream.ended) return complain("HEADERS behind the end");
  if (stream.has_head) {
    stream.trailers = *fields;
    if (!section_ends_) complain("trailers that don't end the stream");
  } else if (fields->get(":status").value_or("").starts_with('1')) {
    stream.interim.push_back(*fields);
    if (section_ends_) complain("an interim response that ends the stream");
  } else {
    stream.head = *fields;
    stream.has_head = true;
  }
  if (section_ends_) stream.ended = true;
}

void H2Peer::take_data(const wire::Frame& frame) {
  Stream& stream = streams_[frame.stream];
  if (!stream.has_head || stream.ended) return complain("DATA out of place");
  stream.body += frame.payload;
  data_received_ += frame.payload.size();
  stream.ended = (frame.flags & wire::kEndStream) != 0;
  const auto bytes = static_cast<std::uint32_t>(frame.payload.size());
  if (!options_.opens_windows || bytes == 0) return;
  send(wire::window_update(0, bytes));
  if (!stream.over()) send(wire::window_update(frame.stream, bytes));
}

void H2Peer::take_settings(const wire::Frame& frame) {
  if ((frame.flags & wire::kAck) != 0) return;
  for (std::size_t at = 0; at + 6 <= frame.payload.size(); at += 6) {
    const auto id = static_cast<std::uint16_t>(static_cast<unsigned char>(frame.payload[at]) << 8 |
                                               static_cast<unsigned char>(frame.payload[at + 1]));
    settings_[id] = wire::number_at(frame.payload, at + 2);
    if (id != wire::kInitialWindowSize) continue;
    const std::int64_t change = std::int64_t{settings_[id]} - initial_window_;
    initial_window_ = settings_[id];
    for (auto& [stream_id, stream] : streams_) stream.window += change;
  }
  if (options_.acknowledges) send(wire::frame(wire::kSettings, wire::kAck, 0));
  for (auto& [id, stream] : streams_) send_some(id, stream);
}

}  // namespace sluice::proxy
