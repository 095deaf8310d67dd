#include "proxy/cli/connection.h"

#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <thread>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/io/sockaddr.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
// Of one name, beyond which no more are tried.
constexpr std::size_t kAddressesMax = 16;
// A peer that is silent for so long is asked whether it is still there.
constexpr int kKeepAliveSeconds = 30;

TimePoint now() {
  return std::chrono::steady_clock::now();
}

Failure timed_out(std::string what) {
  return {ExitStatus::timed_out, std::move(what)};
}

Failure unreachable(std::string what) {
  return {ExitStatus::unreachable, std::move(what)};
}

std::string error_text(int error) {
  return std::strerror(error);
}

// True once the descriptor is ready for `events` (or broken: the next call says how); false at the
// deadline.
bool wait_for(int fd, short events, TimePoint deadline) {
  while (true) {
    int wait_ms = -1;
    if (deadline != kNever) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
      wait_ms = static_cast<int>(std::clamp<decltype(left)>(left, 0, 1'000'000'000));
    }
    pollfd poller{.fd = fd, .events = events, .revents = 0};
    const int ready = poll(&poller, 1, wait_ms);
    if (ready > 0) return true;
    if (ready == 0 && deadline != kNever && now() >= deadline) return false;
    if (ready < 0 && errno != EINTR) return true;
  }
}

// getaddrinfo() knows no deadline: a thread of its own asks, and is left behind if it is too slow.
std::expected<std::vector<Address>, Failure> look_up(const Place& place, TimePoint deadline) {
  struct Found {
    int error = 0;
    std::vector<Address> addresses;
  };
  std::promise<Found> promise;
  std::future<Found> future = promise.get_future();
  std::thread([promise = std::move(promise), host = place.host, port = place.port]() mutable {
    Found found;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    found.error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    for (addrinfo* each = list; each != nullptr; each = each->ai_next) {
      sockaddr_storage storage{};
      std::memcpy(&storage, each->ai_addr, std::min<std::size_t>(each->ai_addrlen, sizeof storage));
      const Address address = io::from_sockaddr(storage, each->ai_addrlen);
      if (address.family != Address::Family::none) found.addresses.push_back(address);
    }
    if (list != nullptr) freeaddrinfo(list);
    promise.set_value(std::move(found));
  }).detach();
  if (deadline != kNever && future.wait_until(deadline) != std::future_status::ready)
    return std::unexpected(timed_out("the host's address could not be looked up in time"));
  Found found = future.get();
  if (found.error != 0) return std::unexpected(unreachable(gai_strerror(found.error)));
  if (found.addresses.empty()) return std::unexpected(unreachable("the host has no address"));
  if (found.addresses.size() > kAddressesMax) found.addresses.resize(kAddressesMax);
  return std::move(found.addresses);
}

std::expected<std::vector<Address>, Failure> addresses_of(const Place& place, TimePoint deadline) {
  if (place.scheme == Place::Scheme::unix_socket) {
    return std::vector<Address>{
        {.family = Address::Family::unix_path, .port = 0, .path = place.path}};
  }
  if (const auto address = Address::parse(place.authority())) return std::vector<Address>{*address};
  return look_up(place, deadline);
}

// A connection that waits for events for hours must learn that the other machine is gone.
void keep_alive(int fd) {
  const auto set = [fd](int level, int name, int value) {
    setsockopt(fd, level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveSeconds / 3);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

std::expected<io::FileDescriptor, Failure> connect_to(const Address& address, TimePoint deadline) {
  sockaddr_storage storage{};
  const socklen_t length = io::to_sockaddr(address, storage);
  io::FileDescriptor fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return std::unexpected(unreachable(error_text(errno)));
  while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    // A Unix socket whose queue is full says EAGAIN, and nobody tells when there is room.
    if (error == EAGAIN && now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    if (error != EINPROGRESS && error != EALREADY && error != EISCONN)
      return std::unexpected(unreachable(error_text(error)));
    if (!wait_for(fd.get(), POLLOUT, deadline))
      return std::unexpected(timed_out("the connection was not accepted in time"));
    int outcome = 0;
    socklen_t size = sizeof outcome;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &outcome, &size);
    if (outcome != 0) return std::unexpected(unreachable(error_text(outcome)));
    break;
  }
  if (address.family != Address::Family::unix_path) keep_alive(fd.get());
  return fd;
}

}  // namespace

class Connection::TlsState final : public tls::SessionSink {
 public:
  TlsState(std::shared_ptr<const tls::ClientContext> context, const std::string& name)
      : context_(std::move(context)), session_(*context_, name) {}

  void on_plaintext(Bytes bytes) override { plaintext_ += as_text(bytes); }
  void on_ciphertext(Bytes bytes) override { ciphertext_ += as_text(bytes); }

  tls::ClientSession& session() { return session_; }
  std::string take_ciphertext() { return std::exchange(ciphertext_, {}); }
  std::string take_plaintext() { return std::exchange(plaintext_, {}); }
  Failure failure() const { return unreachable(fmt::format("TLS: {}", session_.failure())); }

 private:
  std::shared_ptr<const tls::ClientContext> context_;
  tls::ClientSession session_;
  std::string plaintext_;
  std::string ciphertext_;
};

Connection::Connection(io::FileDescriptor fd) : fd_(std::move(fd)) {
  buffer_.resize(kReadBytes);
}

Connection::~Connection() = default;

std::expected<std::unique_ptr<Connection>, Failure> Connection::open(
    const Place& place, std::shared_ptr<const tls::ClientContext> tls, TimePoint deadline) {
  auto addresses = addresses_of(place, deadline);
  if (!addresses) return std::unexpected(std::move(addresses.error()));
  Failure last;
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    // Those behind it get their part of the time.
    TimePoint until = deadline;
    if (deadline != kNever) until = now() + (deadline - now()) / (addresses->size() - i);
    auto fd = connect_to((*addresses)[i], until);
    if (!fd) {
      last = std::move(fd.error());
      continue;
    }
    std::unique_ptr<Connection> connection(new Connection(std::move(*fd)));
    if (place.scheme != Place::Scheme::https) return connection;
    if (auto done = connection->start_tls(place, std::move(tls), deadline); !done)
      return std::unexpected(std::move(done.error()));
    return connection;
  }
  return std::unexpected(std::move(last));
}

std::expected<void, Failure> Connection::start_tls(const Place& place,
                                                   std::shared_ptr<const tls::ClientContext> tls,
                                                   TimePoint deadline) {
  auto state = std::make_unique<TlsState>(std::move(tls), place.host);
  tls::Session::Status status = state->session().start(*state);
  while (true) {
    const std::string out = state->take_ciphertext();
    // What went wrong is worth more than that the alert about it can't be sent.
    auto sent = send_raw(out, deadline);
    if (status != tls::Session::Status::ok) return std::unexpected(state->failure());
    if (!sent) return sent;
    if (state->session().handshake_done()) break;
    auto got = receive_raw(deadline);
    if (!got) {
      if (got.error().status == ExitStatus::timed_out)
        return std::unexpected(timed_out("the TLS handshake was not finished in time"));
      return std::unexpected(std::move(got.error()));
    }
    if (got->empty()) return std::unexpected(unreachable("it hung up during the TLS handshake"));
    status = state->session().receive(as_bytes(*got), *state);
  }
  tls_ = std::move(state);
  return {};
}

std::expected<void, Failure> Connection::send(std::string_view bytes, TimePoint deadline) {
  if (!tls_) return send_raw(bytes, deadline);
  if (tls_->session().send(as_bytes(bytes), *tls_) == tls::Session::Status::failed)
    return std::unexpected(tls_->failure());
  return send_raw(tls_->take_ciphertext(), deadline);
}

std::expected<std::string_view, Failure> Connection::receive(TimePoint deadline) {
  if (!tls_) return receive_raw(deadline);
  while (true) {
    if (std::string plaintext = tls_->take_plaintext(); !plaintext.empty()) {
      buffer_ = std::move(plaintext);
      return buffer_;
    }
    buffer_.resize(kReadBytes);
    auto got = receive_raw(deadline);
    if (!got) return got;
    // A server's close_notify is what makes an end orderly; without it the end is a cut.
    if (got->empty()) return std::unexpected(unreachable("the TLS connection was cut"));
    const auto status = tls_->session().receive(as_bytes(*got), *tls_);
    if (const std::string out = tls_->take_ciphertext(); !out.empty()) {
      if (auto sent = send_raw(out, deadline); !sent)
        return std::unexpected(std::move(sent.error()));
    }
    if (std::string plaintext = tls_->take_plaintext(); !plaintext.empty()) {
      buffer_ = std::move(plaintext);
      return buffer_;
    }
    if (status == tls::Session::Status::closed) return std::string_view{};
    if (status == tls::Session::Status::failed) return std::unexpected(tls_->failure());
  }
}

std::expected<void, Failure> Connection::send_raw(std::string_view bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return std::unexpected(unreachable(error_text(errno)));
    if (!wait_for(fd_.get(), POLLOUT, deadline))
      return std::unexpected(timed_out("the request was not taken in time"));
  }
  return {};
}

std::expected<std::string_view, Failure> Connection::receive_raw(TimePoint deadline) {
  while (true) {
    const ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (got >= 0) return std::string_view(buffer_).substr(0, static_cast<std::size_t>(got));
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return std::unexpected(unreachable(error_text(errno)));
    if (!wait_for(fd_.get(), POLLIN, deadline))
      return std::unexpected(timed_out("no answer came in time"));
  }
}

}  // namespace sluice::cli
