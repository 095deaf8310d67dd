#include "tests/io/world.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "proxy/io/file_descriptor.h"
#include "proxy/io/listening_socket.h"
#include "proxy/io/sockaddr.h"
#include "proxy/io/uring_ring.h"
#include "tests/io/fake_ring.h"

namespace sluice::io {
namespace {

Address loopback() {
  return *Address::parse("127.0.0.1:0");
}

class KernelEnd final : public RemoteEnd {
 public:
  explicit KernelEnd(FileDescriptor fd) : fd_(std::move(fd)) {}

  void write(std::string_view bytes) override {
    const ssize_t taken = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    SLUICE_CHECK(taken == static_cast<ssize_t>(bytes.size()));
  }
  const std::string& received() override {
    char part[65536];
    while (reading_ && !saw_end_ && !saw_reset_) {
      const ssize_t count = ::recv(fd_.get(), part, sizeof part, MSG_DONTWAIT);
      if (count > 0) received_.append(part, static_cast<std::size_t>(count));
      if (count == 0) saw_end_ = true;
      if (count < 0 && errno == ECONNRESET) saw_reset_ = true;
      if (count < 0) break;
    }
    return received_;
  }
  void stop_reading() override { reading_ = false; }
  void resume_reading() override { reading_ = true; }
  bool saw_end() override { return received(), saw_end_; }
  bool saw_reset() override { return received(), saw_reset_; }
  void finish() override { ::shutdown(fd_.get(), SHUT_WR); }
  void reset() override {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    fd_.reset();
  }

 private:
  FileDescriptor fd_;
  std::string received_;
  bool reading_ = true;
  bool saw_end_ = false;
  bool saw_reset_ = false;
};

class KernelWorld final : public World {
 public:
  explicit KernelWorld(const RingOptions& options) {
    auto ring = make_uring_ring(options);
    if (!ring) throw std::runtime_error(ring.error());
    ring_ = std::move(*ring);
  }

  Ring& ring() override { return *ring_; }
  int listen(Address& address) override {
    auto socket = open_listening_socket(loopback());
    SLUICE_CHECK(socket.has_value());
    address = bound_address(socket->get());
    return socket->release();
  }
  std::unique_ptr<RemoteEnd> connect(const Address& address) override {
    FileDescriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage;
    const socklen_t length = to_sockaddr(address, storage);
    SLUICE_CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0);
    return std::make_unique<KernelEnd>(std::move(fd));
  }
  Address listen_remotely() override {
    auto socket = open_listening_socket(loopback());
    SLUICE_CHECK(socket.has_value());
    remote_listener_ = std::move(*socket);
    return bound_address(remote_listener_.get());
  }
  std::unique_ptr<RemoteEnd> accept() override {
    FileDescriptor fd(::accept4(remote_listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    return fd ? std::make_unique<KernelEnd>(std::move(fd)) : nullptr;
  }
  // A port that was free a moment ago, held by a socket that doesn't listen.
  Address address_without_listener() override {
    holder_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage;
    const socklen_t length = to_sockaddr(loopback(), storage);
    SLUICE_CHECK(::bind(holder_.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0);
    return bound_address(holder_.get());
  }
  int open_event() override { return ::eventfd(0, EFD_CLOEXEC); }
  void signal(int event_fd) override {
    const std::uint64_t one = 1;
    SLUICE_CHECK(::write(event_fd, &one, sizeof one) == sizeof one);
  }
  std::string check_clean() override { return ""; }
  bool faulty() const override { return false; }

 private:
  std::unique_ptr<Ring> ring_;
  FileDescriptor remote_listener_;
  FileDescriptor holder_;
};

class FakeEnd final : public RemoteEnd {
 public:
  explicit FakeEnd(Peer peer) : peer_(peer) {}
  void write(std::string_view bytes) override { peer_.write(bytes); }
  const std::string& received() override { return peer_.received(); }
  void stop_reading() override { peer_.stop_reading(); }
  void resume_reading() override { peer_.resume_reading(); }
  bool saw_end() override { return peer_.saw_end(); }
  bool saw_reset() override { return peer_.saw_reset(); }
  void finish() override { peer_.finish(); }
  void reset() override { peer_.reset(); }

 private:
  Peer peer_;
};

class FakeWorld final : public World {
 public:
  FakeWorld(const FaultPlan& plan, const RingOptions& options)
      : network_(plan), ring_(network_, options) {}

  Ring& ring() override { return ring_; }
  int listen(Address& address) override {
    address = next_address();
    return network_.listen(address);
  }
  std::unique_ptr<RemoteEnd> connect(const Address& address) override {
    return std::make_unique<FakeEnd>(network_.connect(address));
  }
  Address listen_remotely() override {
    remote_ = next_address();
    network_.listen_scripted(remote_);
    return remote_;
  }
  std::unique_ptr<RemoteEnd> accept() override {
    const auto peer = network_.accept(remote_);
    return peer ? std::make_unique<FakeEnd>(*peer) : nullptr;
  }
  Address address_without_listener() override { return next_address(); }
  int open_event() override { return network_.open_event(); }
  void signal(int event_fd) override {
    network_.signal(event_fd, std::string_view("\x01\0\0\0\0\0\0\0", 8));
  }
  std::string check_clean() override { return network_.check_clean(); }
  bool faulty() const override { return network_.plan().late > 0; }

 private:
  Address next_address() {
    Address address = loopback();
    address.port = next_port_++;
    return address;
  }

  FakeNetwork network_;
  FakeRing ring_;
  Address remote_;
  std::uint16_t next_port_ = 8000;
};

}  // namespace

std::unique_ptr<World> make_kernel_world(const RingOptions& options) {
  return std::make_unique<KernelWorld>(options);
}

std::unique_ptr<World> make_fake_world(const FaultPlan& plan, const RingOptions& options) {
  return std::make_unique<FakeWorld>(plan, options);
}

}  // namespace sluice::io
