#include "proxy/io/socket.h"

#include <cerrno>

#include "proxy/io/sockaddr.h"

namespace sluice::io {

Socket::~Socket() {
  SLUICE_CHECK(phase_ == Phase::unopened || phase_ == Phase::closed);
  SLUICE_CHECK(in_flight_ == 0);
}

void Socket::adopt(int fd) {
  SLUICE_CHECK(phase_ == Phase::unopened);
  fd_ = fd;
  phase_ = Phase::open;
  loop_.attach();
  loop_.ring().tune_stream(fd);
}

int Socket::connect(const Address& address) {
  SLUICE_CHECK(phase_ == Phase::unopened);
  const auto fd = loop_.ring().open_socket(address);
  if (!fd) return fd.error();
  fd_ = *fd;
  loop_.ring().tune_stream(fd_);
  phase_ = Phase::connecting;
  loop_.attach();
  connect_to_ = std::make_unique<sockaddr_storage>();
  Submission submission{.code = OpCode::connect};
  submission.data = connect_to_.get();
  submission.length = to_sockaddr(address, *connect_to_);
  submit(submission, kConnect);
  return 0;
}

void Socket::resume_receiving() {
  receive_wanted_ = true;
  arm_receive();
}

void Socket::pause_receiving() {
  receive_wanted_ = false;
  if (receive_multishot_) cancel_receive();
}

void Socket::set_one_at_a_time(bool one_at_a_time) {
  one_at_a_time_ = one_at_a_time;
  if (one_at_a_time && receive_multishot_) cancel_receive();
}

void Socket::set_streaming(bool streaming) {
  streaming_ = streaming;
  if (streaming && receive_multishot_) cancel_receive();
}

void Socket::arm_receive() {
  if (receive_armed_ || !receive_wanted_ || received_end_ || phase_ != Phase::open) return;
  receive_armed_ = true;
  receive_multishot_ = !streaming_ && !one_at_a_time_;
  receive_cancelled_ = false;
  Submission submission{.code = OpCode::receive};
  submission.multishot = receive_multishot_;
  const bool large = streaming_ || (one_at_a_time_ && receive_filled_);
  submission.group = large ? BufferGroup::large : BufferGroup::small;
  submission.expect_nothing_yet = !receive_multishot_ && !receive_filled_;
  submit(submission, kReceive);
}

void Socket::cancel_receive() {
  if (!receive_armed_ || receive_cancelled_ || phase_ != Phase::open) return;
  receive_cancelled_ = true;
  Submission submission{.code = OpCode::cancel};
  submission.cancel_tag = kReceive;
  submit(submission, kCancel);
}

void Socket::write(Bytes bytes) {
  if (terminated() || bytes.empty()) return;
  SLUICE_CHECK(!shutdown_wanted_);
  output_.append(loop_.blocks(), bytes);
  if (!send_armed_) loop_.flush_at_end_of_turn(*this);
}

bool Socket::take_back(std::size_t bytes) {
  if (terminated() || shutdown_wanted_ || output_.bytes() - sending_bytes_ < bytes) return false;
  output_.take_back(loop_.blocks(), bytes);
  return true;
}

void Socket::notify_when_below(std::uint32_t low_watermark_bytes) {
  low_watermark_bytes_ = low_watermark_bytes;
  notify_writable_ = true;
}

void Socket::shutdown_when_flushed() {
  if (shutdown_wanted_ || terminated()) return;
  shutdown_wanted_ = true;
  loop_.flush_at_end_of_turn(*this);
}

void Socket::flush() {
  if (phase_ != Phase::open || send_armed_) return;
  if (!output_.empty()) {
    send_armed_ = true;
    Submission submission{.code = OpCode::send};
    sending_bytes_ = static_cast<std::uint32_t>(output_.fill(submission, loop_.ring()));
    submit(submission, kSend);
  } else if (shutdown_wanted_ && !shutdown_done_) {
    shutdown_done_ = true;
    Submission submission{.code = OpCode::shutdown};
    submission.how = SHUT_WR;
    submit(submission, kShutdown);
  }
}

void Socket::terminate(Ending ending) {
  if (phase_ == Phase::unopened || terminated()) return;
  phase_ = Phase::joining;
  if (ending == Ending::reset) loop_.ring().reset_on_close(fd_);
  if (!send_armed_) output_.clear(loop_.blocks());
  if (in_flight_ > 0) {
    Submission submission{.code = OpCode::cancel};
    submission.cancel_whole_fd = true;
    submit(submission, kCancel);
  }
  close_if_joined();
}

void Socket::close_if_joined() {
  if (phase_ != Phase::joining || in_flight_ > 0) return;
  output_.clear(loop_.blocks());
  unlink();
  submit(Submission{.code = OpCode::close}, kClose);
}

void Socket::submit(Submission submission, Tag tag) {
  submission.fd = fd_;
  submission.tag = tag;
  submission.target = this;
  ++in_flight_;
  loop_.ring().submit(submission);
}

void Socket::on_completion(const Completion& completion) {
  if (!completion.more) --in_flight_;
  switch (static_cast<Tag>(completion.tag)) {
    case kReceive:
      on_receive_completion(completion);
      break;
    case kSend:
      on_send_completion(completion);
      break;
    case kConnect:
      on_connect_completion(completion);
      break;
    case kShutdown:
    case kCancel:
      break;
    case kClose:
      phase_ = Phase::closed;
      fd_ = -1;
      loop_.detach();
      handler_.on_closed();
      return;  // *this may be gone
  }
  close_if_joined();
}

void Socket::on_receive_completion(const Completion& completion) {
  if (!completion.more) receive_armed_ = receive_multishot_ = false;
  const int result = completion.result;
  if (phase_ == Phase::open) {
    if (result > 0) {
      const auto buffer = loop_.ring().buffer(completion.buffer);
      receive_filled_ = static_cast<std::size_t>(result) == buffer.size();
      handler_.on_received(buffer.first(static_cast<std::size_t>(result)));
    } else if (result == 0) {
      received_end_ = true;
      handler_.on_received_end();
    } else if (result != -ENOBUFS && result != -ECANCELED && result != -EINTR &&
               result != -EAGAIN) {
      received_end_ = true;
      fail(-result);
    }
  }
  if (completion.has_buffer) loop_.ring().recycle(completion.buffer);
  arm_receive();
}

void Socket::on_send_completion(const Completion& completion) {
  send_armed_ = false;
  sending_bytes_ = 0;
  if (phase_ != Phase::open) return;
  if (completion.result < 0) {
    if (completion.result == -EINTR || completion.result == -EAGAIN) {
      loop_.flush_at_end_of_turn(*this);
    } else {
      fail(-completion.result);
    }
    return;
  }
  output_.consume(loop_.blocks(), static_cast<std::size_t>(completion.result));
  if (!output_.empty() || shutdown_wanted_) loop_.flush_at_end_of_turn(*this);
  if (notify_writable_ && output_.bytes() <= low_watermark_bytes_) {
    notify_writable_ = false;
    handler_.on_writable();
  }
}

void Socket::on_connect_completion(const Completion& completion) {
  connect_to_.reset();
  if (phase_ != Phase::connecting) return;
  if (completion.result < 0) {
    fail(-completion.result);
    return;
  }
  phase_ = Phase::open;
  if (!output_.empty()) loop_.flush_at_end_of_turn(*this);
  handler_.on_connected();
  arm_receive();
}

void Socket::fail(int error) {
  if (failed_) return;
  failed_ = true;
  handler_.on_error(error);
}

}  // namespace sluice::io
