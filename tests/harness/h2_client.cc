#include "tests/harness/h2_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/base/check.h"

namespace sluice::harness {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Ending ending_of(ByteStream::Io io) {
  switch (io) {
    case ByteStream::Io::ended:
      return Ending::closed;
    case ByteStream::Io::cut:
      return Ending::without_close_notify;
    case ByteStream::Io::broken:
      return Ending::reset;
    default:
      return Ending::open;
  }
}

// Without its padding and priority; nullopt if they don't fit.
std::optional<std::string_view> bare_payload(const h2::Frame& frame) {
  std::string_view payload = frame.payload;
  std::size_t padding = 0;
  if ((frame.flags & h2::kPadded) != 0) {
    if (payload.empty()) return std::nullopt;
    padding = static_cast<std::uint8_t>(payload.front());
    payload.remove_prefix(1);
  }
  const std::size_t priority =
      frame.type == h2::kHeaders && (frame.flags & h2::kHasPriority) != 0 ? 5 : 0;
  if (payload.size() < padding + priority) return std::nullopt;
  return payload.substr(priority, payload.size() - priority - padding);
}

}  // namespace

H2Client::H2Client(ByteStream transport, Options options)
    : options_(std::move(options)), transport_(std::move(transport)) {
}

std::expected<std::unique_ptr<H2Client>, std::string> H2Client::connect(const Endpoint& endpoint,
                                                                        Options options) {
  auto fd = connect_to(endpoint, Deadline(options.patience));
  if (!fd) return std::unexpected(fd.error());
  if (options.receive_buffer > 0) {
    setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof(int));
  }
  std::unique_ptr<H2Client> client;
  if (options.tls) {
    if (options.tls->alpn.empty()) options.tls->alpn = {"h2"};
    bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context.get(), options.tls->version_min);
    SSL_CTX_set_max_proto_version(context.get(), options.tls->version_max);
    ByteStream transport = ByteStream::tls_client(std::move(*fd), context.get(),
                                                  options.tls->server_name, options.tls->alpn);
    client.reset(new H2Client(std::move(transport), std::move(options)));
    client->context_ = std::move(context);
  } else {
    client.reset(new H2Client(ByteStream(std::move(*fd)), std::move(options)));
  }
  auto done = client->shake_hands();
  if (!done) return std::unexpected("TLS handshake with " + endpoint.text() + ": " + done.error());
  if (client->options_.greets) {
    client->output_ = h2::kPreface;
    h2::Settings settings = {{h2::kEnablePush, 0}};
    settings.insert(settings.end(), client->options_.settings.begin(),
                    client->options_.settings.end());
    client->output_ += h2::settings(settings);
  }
  return client;
}

std::expected<std::unique_ptr<H2Client>, std::string> H2Client::connect(const Endpoint& endpoint) {
  return connect(endpoint, Options{});
}

std::expected<std::unique_ptr<H2Client>, std::string> H2Client::connect_tls(
    const Endpoint& endpoint, ClientTls tls) {
  return connect(endpoint, Options{.tls = std::move(tls)});
}

std::expected<void, std::string> H2Client::shake_hands() {
  Deadline deadline(options_.patience);
  while (true) {
    switch (transport_.shake_hands().io) {
      case ByteStream::Io::moved:
        return {};
      case ByteStream::Io::blocked:
        break;
      default:
        return std::unexpected(transport_.error().empty() ? "cut" : transport_.error());
    }
    pollfd waiting{.fd = transport_.fd(), .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, deadline.remaining_ms()) != 1) return std::unexpected("timed out");
  }
}

bool H2Client::send(std::string_view bytes) {
  output_ += bytes;
  return wait_until([&] { return output_.empty(); });
}

bool H2Client::send_in_pieces(std::string_view bytes, std::size_t piece) {
  SLUICE_CHECK(piece > 0 && !in_pieces_);
  bool taken = send({});  // what was queued before is out
  in_pieces_ = true;
  for (; taken && !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    taken = send(bytes.substr(0, piece));
  }
  in_pieces_ = false;
  output_ += std::exchange(unsaid_, {});
  return taken;
}

bool H2Client::wait_until(const std::function<bool()>& condition) {
  return wait_until(condition, Deadline(options_.patience));
}

bool H2Client::wait_until(const std::function<bool()>& condition, Deadline deadline) {
  while (!condition()) {
    if (deadline.over()) return false;
    if (!step(deadline)) return condition();
  }
  return true;
}

bool H2Client::step(Deadline deadline) {
  if (ending_ != Ending::open) return false;
  if (!in_pieces_) queue_bodies();
  if (!output_.empty()) {
    const auto moved = transport_.write(std::string_view(output_).substr(output_sent_));
    output_sent_ += moved.bytes;
    bytes_sent_ += moved.bytes;
    if (output_sent_ == output_.size()) {
      output_.clear();
      output_sent_ = 0;
    }
    if (moved.io != ByteStream::Io::moved && moved.io != ByteStream::Io::blocked) {
      // What the peer said before it broke is still worth hearing.
      while (read_some()) {
      }
      if (ending_ == Ending::open) ending_ = Ending::reset;
      return false;
    }
    // Nobody waits while there is room.
    if (moved.io == ByteStream::Io::moved) {
      read_some();
      return true;
    }
  }
  if (read_some()) return true;
  if (ending_ != Ending::open) return false;
  pollfd waiting{.fd = transport_.fd(),
                 .events = static_cast<short>(output_.empty() ? POLLIN : POLLIN | POLLOUT),
                 .revents = 0};
  poll(&waiting, 1, deadline.remaining_ms());
  return true;
}

// True if something came.
bool H2Client::read_some() {
  if (ending_ != Ending::open) return false;
  std::array<char, 64 * 1024> buffer;
  const auto moved = transport_.read(buffer);
  if (moved.io == ByteStream::Io::blocked) return false;
  if (moved.io != ByteStream::Io::moved) {
    ending_ = ending_of(moved.io);
    return false;
  }
  bytes_received_ += moved.bytes;
  reader_.add({buffer.data(), moved.bytes});
  while (auto frame = reader_.next()) on_frame(*frame);
  return true;
}

void H2Client::fail(const std::string& why) {
  if (violation_.empty()) violation_ = why;
}

void H2Client::on_frame(const h2::Frame& frame) {
  ++frames_[frame.type];
  if (!settings_seen_ && frame.type != h2::kSettings) fail("the first frame is no SETTINGS");
  settings_seen_ = true;
  if (section_start_ &&
      (frame.type != h2::kContinuation || frame.stream != section_start_->stream)) {
    fail("another frame within a field section");
  }
  switch (frame.type) {
    case h2::kData:
      return on_data(frame);
    case h2::kHeaders:
    case h2::kContinuation: {
      const auto payload = bare_payload(frame);
      if (!payload) return fail("padding beyond the frame");
      if (frame.type == h2::kHeaders) {
        section_start_ = frame;
        section_.clear();
      } else if (!section_start_) {
        return fail("CONTINUATION out of place");
      }
      section_ += *payload;
      if ((frame.flags & h2::kEndHeaders) == 0) return;
      const h2::Frame start = *std::exchange(section_start_, std::nullopt);
      return on_section(start.stream, section_, (start.flags & h2::kEndStream) != 0);
    }
    case h2::kResetStream: {
      auto found = streams_.find(frame.stream);
      if (found == streams_.end() || found->second.closed) return;
      const std::uint32_t code = h2::number_at(frame.payload);
      found->second.response.reset_code = code;
      found->second.response.error = "RST_STREAM " + h2::code_name(code);
      found->second.response.outcome = Outcome::reset;
      // RFC 9113 section 8.1: the response stands, only the rest of the request is not wanted.
      if (found->second.response.ended) {
        found->second.response.outcome = Outcome::complete;
        if (code != h2::kNoError) fail("RST_STREAM " + h2::code_name(code) + " behind END_STREAM");
      }
      found->second.unsent.clear();
      found->second.closed = true;
      return;
    }
    case h2::kSettings:
      return on_settings(frame);
    case h2::kPushPromise:
      return fail("PUSH_PROMISE, which was disabled");
    case h2::kPing:
      if ((frame.flags & h2::kAck) == 0 && options_.answers) {
        say(h2::frame(h2::kPing, h2::kAck, 0, frame.payload));
      }
      return;
    case h2::kGoAway:
      go_away_ =
          GoAway{.last_stream = h2::number_at(frame.payload) & 0x7fff'ffff,
                 .code = h2::number_at(frame.payload, 4),
                 .text = frame.payload.substr(std::min<std::size_t>(8, frame.payload.size()))};
      return;
    case h2::kWindowUpdate: {
      const std::uint32_t bytes = h2::number_at(frame.payload) & 0x7fff'ffff;
      if (bytes == 0) fail("WINDOW_UPDATE of nothing");
      std::int64_t* window = &connection_window_;
      if (frame.stream != 0) {
        auto found = streams_.find(frame.stream);
        if (found == streams_.end()) return;
        window = &found->second.window;
      }
      *window += bytes;
      if (*window > 0x7fff'ffff) fail("a window beyond 2^31-1");
      return;
    }
    default:
      return;
  }
}

void H2Client::on_settings(const h2::Frame& frame) {
  if ((frame.flags & h2::kAck) != 0) return;
  if (frame.payload.size() % 6 != 0) return fail("SETTINGS of a wrong size");
  for (std::size_t at = 0; at < frame.payload.size(); at += 6) {
    const auto name = static_cast<std::uint16_t>(h2::number_at(frame.payload, at) >> 16);
    const std::uint32_t value = h2::number_at(frame.payload, at + 2);
    peer_settings_[name] = value;
    if (name == h2::kInitialWindowSize) {
      const std::int64_t change = std::int64_t{value} - initial_window_;
      for (auto& [id, stream] : streams_) stream.window += change;
      initial_window_ = value;
    }
    if (name == h2::kMaxFrameSize) frame_max_ = value;
  }
  if (options_.answers) say(h2::frame(h2::kSettings, h2::kAck, 0));
}

void H2Client::on_section(std::uint32_t id, const std::string& section, bool end) {
  auto fields = decoder_.decode(section);
  if (!fields) return fail("HPACK: " + fields.error());
  auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  if (stream.closed) return;
  H2Response& response = stream.response;
  if (stream.final_head) {
    if (!end) fail("trailers without END_STREAM");
    for (const auto& [name, value] : fields->lines) {
      if (name.starts_with(':')) fail("a pseudo-header field in trailers");
    }
    response.trailers = std::move(*fields);
    return on_end(stream);
  }
  int status = 0;
  const std::string text = fields->get(":status").value_or("");
  std::from_chars(text.data(), text.data() + text.size(), status);
  if (text.size() != 3 || status < 100 || fields->lines.front().first != ":status" ||
      fields->count(":status") != 1) {
    fail("no proper :status");
  }
  for (const auto& [name, value] : fields->lines) {
    if (name != lower(name)) fail("a field name in upper case: " + name);
    for (const char* hop :
         {"connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection"}) {
      if (name == hop) fail("a connection-specific field: " + name);
    }
  }
  if (status == 101) fail("101 over HTTP/2");
  fields->lines.erase(fields->lines.begin());
  response.status = status;
  response.version = "HTTP/2";
  response.fields = std::move(*fields);
  if (status < 200) {
    if (end) fail("END_STREAM on an interim response");
    std::vector<Response> interim = std::exchange(response.interim, {});
    Response one = std::exchange(response, H2Response{});
    one.outcome = Outcome::complete;
    interim.push_back(std::move(one));
    response.interim = std::move(interim);
    response.body_is_pattern = true;
    return;
  }
  stream.final_head = true;
  if (end) on_end(stream);
}

void H2Client::on_data(const h2::Frame& frame) {
  if (options_.opens_windows && !frame.payload.empty()) {
    const auto bytes = static_cast<std::uint32_t>(frame.payload.size());
    say(h2::window_update(0, bytes));
    auto found = streams_.find(frame.stream);
    if (found != streams_.end() && !found->second.closed && !found->second.window_held &&
        (frame.flags & h2::kEndStream) == 0) {
      say(h2::window_update(frame.stream, bytes));
    }
  }
  auto found = streams_.find(frame.stream);
  if (found == streams_.end() || found->second.closed) return;
  Stream& stream = found->second;
  if (!stream.final_head) return fail("DATA before the response's head");
  if (stream.response.ended) return fail("DATA behind END_STREAM");
  const auto bytes = bare_payload(frame);
  if (!bytes) return fail("padding beyond the frame");
  H2Response& response = stream.response;
  if (!is_pattern(*bytes, response.body_size)) response.body_is_pattern = false;
  response.body_size += bytes->size();
  stream.digest.add(*bytes);
  if (options_.keeps_bodies) response.body += *bytes;
  if ((frame.flags & h2::kEndStream) != 0) on_end(stream);
}

void H2Client::on_end(Stream& stream) {
  H2Response& response = stream.response;
  response.ended = true;
  response.outcome = Outcome::complete;
  const auto length = response.fields.get("content-length");
  // A response to HEAD, or 304, may say what it would have been.
  if (length && response.body_size != 0 && *length != std::to_string(response.body_size)) {
    response.outcome = Outcome::malformed;
    response.error = "content-length " + *length + " over " + std::to_string(response.body_size) +
                     " bytes of DATA";
  }
  if (response.body_size > 0) response.body_sha256 = stream.digest.hex();
  if (stream.end_sent) stream.closed = true;
}

H2Client::Stream& H2Client::stream(std::uint32_t id) {
  auto found = streams_.find(id);
  SLUICE_CHECK(found != streams_.end());
  return found->second;
}

std::uint32_t H2Client::take_stream() {
  const std::uint32_t id = next_stream_;
  next_stream_ += 2;
  Stream& stream = streams_[id];
  stream.window = initial_window_;
  stream.response.body_is_pattern = true;
  return id;
}

Fields H2Client::request_fields(const Ask& ask) {
  Fields fields;
  fields.add(":method", ask.method);
  if (ask.method != "CONNECT" || ask.fields.has(":protocol")) {
    fields.add(":scheme", ask.fields.get(":scheme").value_or("http"));
    fields.add(":path", ask.target);
  }
  fields.add(":authority", ask.fields.get("Host").value_or("localhost"));
  if (auto protocol = ask.fields.get(":protocol")) fields.add(":protocol", *protocol);
  for (const auto& [name, value] : ask.fields.lines) {
    if (name.starts_with(':') || lower(name) == "host") continue;
    fields.add(lower(name), value);
  }
  return fields;
}

std::uint32_t H2Client::begin(const Ask& ask) {
  const std::uint32_t id = take_stream();
  Ask mine = ask;
  if (options_.tls && !mine.fields.has(":scheme")) mine.fields.add(":scheme", "https");
  output_ += h2::headers(id, request_fields(mine), ask.end);
  stream(id).end_sent = stream(id).end_queued = ask.end;
  return id;
}

void H2Client::put(std::uint32_t id, std::string_view bytes, bool end) {
  if (stream(id).closed) return;
  stream(id).unsent += bytes;
  stream(id).end_queued = end;
}

void H2Client::put_trailers(std::uint32_t id, const Fields& trailers) {
  stream(id).trailers = trailers;
  stream(id).end_queued = true;
}

void H2Client::queue_bodies() {
  for (auto& [id, stream] : streams_) {
    if (!stream.end_sent && !stream.closed) queue_body(id, stream);
  }
}

void H2Client::queue_body(std::uint32_t id, Stream& stream) {
  std::size_t taken = 0;
  while (output_.size() < kOutputHigh && taken < stream.unsent.size()) {
    const std::int64_t room = std::min({stream.window, connection_window_, std::int64_t{frame_max_},
                                        static_cast<std::int64_t>(stream.unsent.size() - taken)});
    if (room <= 0) break;
    const auto size = static_cast<std::size_t>(room);
    const bool last = taken + size == stream.unsent.size() && stream.end_queued && !stream.trailers;
    output_ += h2::data(id, std::string_view(stream.unsent).substr(taken, size), last);
    if (last) stream.end_sent = true;
    taken += size;
    stream.window -= room;
    connection_window_ -= room;
  }
  stream.unsent.erase(0, taken);
  if (stream.end_queued && stream.unsent.empty() && !stream.end_sent) {
    output_ += stream.trailers ? h2::headers(id, *stream.trailers, true) : h2::data(id, "", true);
    stream.end_sent = true;
  }
  if (stream.end_sent && stream.response.ended) stream.closed = true;
}

bool H2Client::sent(std::uint32_t id) {
  return wait_until([&] {
    const Stream& stream = this->stream(id);
    const bool end_is_out = !stream.end_queued || stream.end_sent || stream.closed;
    return stream.unsent.empty() && end_is_out && output_.empty();
  });
}

std::size_t H2Client::unsent(std::uint32_t id) const {
  return streams_.at(id).unsent.size();
}

std::int64_t H2Client::window(std::uint32_t id) const {
  return std::min(streams_.at(id).window, connection_window_);
}

void H2Client::cancel(std::uint32_t id, std::uint32_t code) {
  output_ += h2::reset(id, code);
  streams_.erase(id);
}

bool H2Client::wait_for_head(std::uint32_t id) {
  return wait_until([&] { return stream(id).final_head || stream(id).closed; }) &&
         stream(id).final_head;
}

bool H2Client::over(std::uint32_t id) const {
  const Stream& stream = streams_.at(id);
  return stream.closed || stream.response.ended || ending_ != Ending::open;
}

H2Response H2Client::finish(std::uint32_t id) {
  // A peer that goes on moving bytes is not late.
  std::uint64_t before;
  do {
    before = bytes_received_ + bytes_sent_;
  } while (!wait_until([&] { return over(id); }) && before != bytes_received_ + bytes_sent_);
  Stream& stream = this->stream(id);
  H2Response response = std::move(stream.response);
  if (!response.ended && !response.reset_code) {
    response.outcome = ending_ == Ending::open    ? Outcome::timed_out
                       : ending_ == Ending::reset ? Outcome::reset
                                                  : Outcome::truncated;
    if (response.error.empty() && go_away_) {
      response.error = "GOAWAY " + h2::code_name(go_away_->code) + " " + go_away_->text;
    }
  }
  response.ending = ending_;
  if (!violation_.empty()) {
    response.outcome = Outcome::malformed;
    response.error = violation_;
  }
  if (!stream.end_sent && !stream.closed && ending_ == Ending::open) {
    output_ += h2::reset(id, h2::kCancel);
  }
  streams_.erase(id);
  return response;
}

H2Response H2Client::request(std::string_view method, std::string_view target,
                             std::string_view body, const Fields& fields) {
  Ask ask{.method = std::string(method), .target = std::string(target), .fields = fields};
  const bool may_have_body = method != "GET" && method != "HEAD" && method != "DELETE";
  if (may_have_body && !fields.has("Content-Length")) {
    ask.fields.add("content-length", std::to_string(body.size()));
  }
  ask.end = body.empty();
  const std::uint32_t id = begin(ask);
  if (!body.empty()) put(id, body, true);
  return finish(id);
}

std::optional<std::uint32_t> H2Client::setting(std::uint16_t name) const {
  auto found = peer_settings_.find(name);
  return found == peer_settings_.end() ? std::nullopt : std::optional(found->second);
}

std::uint64_t H2Client::frames(std::uint8_t type) const {
  auto found = frames_.find(type);
  return found == frames_.end() ? 0 : found->second;
}

void H2Client::reset() {
  transport_.abort();
  ending_ = Ending::reset;
}

}  // namespace sluice::harness
