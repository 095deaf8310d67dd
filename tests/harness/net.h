// Small things about sockets and files that the harness shares.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "tests/harness/deadline.h"

namespace sluice::harness {

// Owns one file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { close(); }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

// Where a client connects to: loopback TCP, or a Unix socket where `unix_path` is set.
struct Endpoint {
  std::uint16_t port = 0;
  std::string unix_path;
  std::string host = "127.0.0.1";

  static Endpoint tcp(std::uint16_t port) { return {.port = port, .unix_path = {}}; }
  static Endpoint unix_socket(std::string path) {
    return {.port = 0, .unix_path = std::move(path)};
  }
  // `127.0.0.1:PORT`, `[::1]:PORT` or `unix:PATH`.
  static Endpoint parse(std::string_view address);
  std::string text() const;
};

// A blocking, connected socket, or what went wrong.
std::expected<Fd, std::string> connect_to(const Endpoint& endpoint, Deadline deadline = Deadline{});
// A socket bound to 127.0.0.1:`port` (0: any) that does not listen yet; a second such socket may
// be bound to the same port as long as neither listens.
Fd bind_loopback(std::uint16_t port);
std::uint16_t local_port(int fd);
std::string errno_text(int error);

// A directory of its own below $TMPDIR, removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

void write_file(const std::string& path, std::string_view text, unsigned mode = 0644);
std::string read_file(const std::string& path);

}  // namespace sluice::harness
