#include "proxy/data/transport.h"

#include <cerrno>

namespace sluice::proxy {

void Transport::accept(int fd, const tls::ServerContext* tls) {
  socket_.adopt(fd);
  if (tls) {
    tls_ = std::make_unique<tls::Session>(*tls);
  } else {
    opened_ = true;
  }
  socket_.resume_receiving();
}

void Transport::start_tls(const tls::ServerContext& tls, Bytes first) {
  SLUICE_CHECK(!tls_ && !ours_);
  tls_ = std::make_unique<tls::Session>(tls);
  opened_ = false;
  if (!first.empty()) on_received(first);
}

namespace {

Transport::Failure connect_failure(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:  // a Unix socket that isn't there
      return Transport::Failure::refused;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
      return Transport::Failure::local;
    default:
      return Transport::Failure::unreachable;
  }
}

}  // namespace

Transport::Failure Transport::connect(const Address& address, const Connect& how) {
  const int error = socket_.connect(address);
  if (error != 0) return connect_failure(error);
  ours_ = connecting_ = true;
  if (how.tls) {
    tls_ = std::make_unique<tls::ClientSession>(*how.tls, how.server_name, how.session);
  }
  socket_.write(as_bytes(how.preamble));
  socket_.resume_receiving();
  return Failure::none;
}

tls::SavedSession Transport::take_saved_session() {
  if (!tls_ || !ours_) return nullptr;
  return static_cast<tls::ClientSession&>(*tls_).take_saved_session();
}

std::string_view Transport::tls_failure() const {
  if (!own_failure_.empty() || !tls_) return own_failure_;
  return tls_->failure();
}

void Transport::write(Bytes bytes) {
  if (socket_.terminated() || finished_) return;
  if (!tls_) {
    socket_.write(bytes);
    return;
  }
  plain_.append(loop().blocks(), bytes);
  loop().flush_at_end_of_turn(*this);
}

bool Transport::take_back(std::size_t bytes) {
  if (!tls_) return socket_.take_back(bytes);
  if (finished_ || socket_.terminated() || plain_.bytes() < bytes) return false;
  plain_.take_back(loop().blocks(), bytes);
  return true;
}

void Transport::flush() {
  if (!tls_ || socket_.terminated()) return;
  while (opened_ && !plain_.empty()) {
    const Bytes part = plain_.front();
    const tls::Session::Status status = tls_->send(part, *this);
    plain_.consume(loop().blocks(), part.size());
    if (status == tls::Session::Status::failed) {
      // The session is beyond use. An alert that it left goes out; the peer sees a truncation.
      plain_.clear(loop().blocks());
      finished_ = true;
    }
  }
  if (!finished_ || ended_sending_) return;
  if (opened_ && tls_->failure().empty()) tls_->close(*this);
  ended_sending_ = true;
  socket_.shutdown_when_flushed();
}

void Transport::note_idle() {
  if (tls_) tls_->note_idle();
}

void Transport::finish() {
  if (finished_ || socket_.terminated()) return;
  finished_ = true;
  if (tls_) {
    loop().flush_at_end_of_turn(*this);
  } else {
    socket_.shutdown_when_flushed();
  }
}

void Transport::terminate(io::Socket::Ending ending) {
  plain_.clear(loop().blocks());
  socket_.terminate(ending);
}

void Transport::on_connected() {
  connecting_ = false;
  if (!tls_) {
    opened_ = true;
    handler_.on_open();
    return;
  }
  const auto status = static_cast<tls::ClientSession&>(*tls_).start(*this);
  if (status == tls::Session::Status::failed) fail_tls({});
}

void Transport::fail_tls(std::string_view why) {
  own_failure_ = why;
  ended_ = true;
  handler_.on_failure(Failure::tls);
}

void Transport::open_tls() {
  opened_ = true;
  if (!plain_.empty()) loop().flush_at_end_of_turn(*this);
  handler_.on_open();
}

void Transport::on_received(Bytes bytes) {
  if (ended_ || (finished_ && !opened_)) return;
  if (!tls_) {
    handler_.on_data(bytes);
    return;
  }
  const tls::Session::Status status = tls_->receive(bytes, *this);
  if (socket_.terminated()) return;
  if (!opened_ && tls_->handshake_done()) open_tls();
  if (socket_.terminated()) return;
  if (status == tls::Session::Status::closed) {
    if (ours_ && !opened_) return fail_tls("closed during the handshake");
    ended_ = true;
    handler_.on_end(true);
  } else if (status == tls::Session::Status::failed) {
    fail_tls({});
  } else if (!opened_) {
    handshake_bytes_ += static_cast<std::uint32_t>(bytes.size());
    if (handshake_bytes_ > kHandshakeBytesMax) fail_tls("handshake too long");
  }
}

void Transport::on_plaintext(Bytes plaintext) {
  if (socket_.terminated()) return;
  if (!opened_) {
    open_tls();
    if (socket_.terminated()) return;
  }
  handler_.on_data(plaintext);
}

void Transport::on_received_end() {
  if (ended_) return;
  if (ours_ && !opened_) return fail_tls("closed during the handshake");
  ended_ = true;
  handler_.on_end(tls_ == nullptr);
}

void Transport::on_error(int error) {
  handler_.on_failure(connecting_ ? connect_failure(error) : Failure::broken);
}

}  // namespace sluice::proxy
