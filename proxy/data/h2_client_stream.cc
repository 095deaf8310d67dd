#include "proxy/data/h2_client_stream.h"

#include "proxy/data/h1_output.h"
#include "proxy/data/h2_client.h"

namespace sluice::proxy {

using admin::Count;
using http::BodyLength;

H2ClientStream::H2ClientStream(H2Client& client, h2::Stream& stream, http::RequestHead&& head,
                               bool complete)
    : client_(client), stream_(&stream), head_(std::move(head)), request_done_(complete) {
  client_.changed(*this);
}

H2ClientStream::H2ClientStream(H2Client& client, h2::Stream& stream)
    : client_(client), stream_(&stream), begun_(true) {
  stream.set_handler(this);
  part();
}

H2ClientStream::~H2ClientStream() {
  if (large_) client_.large_body_ends();
}

void H2ClientStream::begin() {
  begun_ = true;
  if (head_.asks_for_tunnel()) {
    held_ = std::make_unique<Held>();
    stream_->pause();
  }
  handler_ = client_.service().on_request(head_, request_done_, *this);
}

// --- The request --------------------------------------------------------------------------------

void H2ClientStream::on_data(Bytes bytes) {
  if (request_done_ || parted_) return;
  if (!begun_) begin();
  if (parted_) return;
  client_.note_useful();
  if (held_) {
    held_->bytes.append(as_text(bytes));
  } else {
    take(bytes);
  }
}

void H2ClientStream::take(Bytes bytes) {
  request_bytes_ += bytes.size();
  if (!large_ && request_bytes_ > kStreamingBytes) {
    large_ = true;
    client_.large_body_begins();
  }
  handler_->on_request_body(bytes);
}

void H2ClientStream::on_end(const http::Fields& trailers) {
  if (request_done_ || parted_) return;
  if (!begun_) begin();
  if (parted_) return;
  if (held_) {
    held_->ended = true;
    return;
  }
  request_done_ = true;
  handler_->on_request_end(trailers);
}

// What came into a tunnel before it was open.
void H2ClientStream::hand_on_held() {
  const auto held = std::move(held_);
  if (!held->bytes.empty()) take(as_bytes(held->bytes));
  if (parted_) return;
  if (held->ended) {
    request_done_ = true;
    handler_->on_request_end({});
  } else if (!paused_) {
    resume_request();
  }
}

void H2ClientStream::pause_request() {
  paused_ = true;
  if (stream_) stream_->pause();
}

void H2ClientStream::resume_request() {
  paused_ = false;
  if (held_ || !stream_) return;  // hand_on_held() will
  stream_->resume();
  client_.wake();
}

// --- The response -------------------------------------------------------------------------------

void H2ClientStream::send_interim(const http::ResponseHead& head) {
  if (!stream_) return;
  h2::Section& section = client_.section();
  http::ClientFraming framing;
  framing.client_version = head_.version;
  h2::write_response_section(section, head, framing);
  stream_->send_interim(section);
  client_.wake();
}

void H2ClientStream::send_head(const http::ResponseHead& head, Author author) {
  SLUICE_CHECK(!head_sent_);
  head_sent_ = true;
  if (!stream_) return;
  const auto framing = http::frame_for_client(head_, head, true, client_.host().http_date());
  const bool opens_tunnel = framing.body.kind == BodyLength::Kind::tunnel;
  if (head_.asks_for_tunnel()) {
    if (opens_tunnel) {
      held_->opened = true;
      client_.changed(*this);
    } else {
      held_.reset();
      request_done_ = true;
      stream_->drop_rest();
    }
  }
  end_sent_ = framing.body.is_empty();
  h2::Section& section = client_.section();
  if (author == Author::server) {
    h2::write_response_section(section, head, framing);
  } else {
    h2::write_own_response_section(section, head, framing);
  }
  stream_->send_response(section, end_sent_);
  client_.wake();
}

void H2ClientStream::send_body(Bytes bytes) {
  if (!stream_ || end_sent_ || bytes.empty()) return;
  client_.note_useful();
  stream_->send_data(bytes);
  client_.wake();
}

void H2ClientStream::send_end(const http::Fields& trailers) {
  if (stream_ && !end_sent_) stream_->send_end(trailers);
  end_sent_ = true;
  part();
}

void H2ClientStream::abort() {
  if (stream_) client_.host().counters().add(Count::h2_resets_sent);
  reset(abort_code());
  part();
}

// A tunnel that broke says so in its own words (RFC 9113 §8.5; RFC 8441 §5).
h2::ErrorCode H2ClientStream::abort_code() const {
  if (!head_sent_ || !head_.asks_for_tunnel()) return h2::ErrorCode::internal_error;
  return head_.protocol.empty() ? h2::ErrorCode::connect_error : h2::ErrorCode::cancel;
}

void H2ClientStream::reset(h2::ErrorCode code) {
  if (h2::Stream* const stream = std::exchange(stream_, nullptr)) stream->reset(code);
  client_.changed(*this);
}

void H2ClientStream::notify_when_writable() {
  if (stream_) stream_->notify_when_below(client_.settings().limits.stream_buffer_bytes / 2);
}

void H2ClientStream::on_writable() {
  if (!parted_) handler_->on_client_writable();
}

const ClientInfo& H2ClientStream::client() const {
  return client_.info();
}

// --- Ends ---------------------------------------------------------------------------------------

// The handler may be on the stack: settle() lets go of it.
void H2ClientStream::part() {
  parted_ = true;
  if (stream_) stream_->drop_rest();
  client_.changed(*this);
}

void H2ClientStream::on_closed(const h2::Reset* reset) {
  if (reset) {
    client_.host().counters().add(reset->by_peer ? Count::h2_resets_received
                                                 : Count::h2_resets_sent);
    on_connection_lost();
    return;
  }
  // A response that ended with its head may be out before the handler says that it has ended.
  stream_ = nullptr;
  if (head_sent_) client_.note_useful();
  if (parted_) client_.changed(*this);
}

void H2ClientStream::on_connection_lost() {
  stream_ = nullptr;
  if (!parted_) {
    part();
    if (handler_) handler_->on_client_gone();
  }
  client_.changed(*this);
}

bool H2ClientStream::settle() {
  if (!begun_ && !parted_) begin();
  if (parted_) {
    handler_.reset();
    held_.reset();
    head_ = {};
    if (std::exchange(large_, false)) client_.large_body_ends();
  } else if (held_ && held_->opened) {
    hand_on_held();
  }
  return stream_ != nullptr || !parted_;
}

bool H2ClientStream::output_moves(std::uint64_t bytes_min) {
  const std::size_t before = std::exchange(unsent_, buffered());
  if (!std::exchange(watched_, true) || unsent_ == 0) return true;
  return before >= unsent_ + bytes_min;
}

}  // namespace sluice::proxy
