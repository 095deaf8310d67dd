#include "tests/harness/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "proxy/base/check.h"

namespace sluice::harness {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress address;
  if (!endpoint.unix_path.empty()) {
    auto* unix_address = reinterpret_cast<sockaddr_un*>(&address.storage);
    SLUICE_CHECK(endpoint.unix_path.size() < sizeof unix_address->sun_path);
    unix_address->sun_family = AF_UNIX;
    memcpy(unix_address->sun_path, endpoint.unix_path.c_str(), endpoint.unix_path.size() + 1);
    address.size = sizeof *unix_address;
  } else if (endpoint.host.find(':') != std::string::npos) {
    auto* ip = reinterpret_cast<sockaddr_in6*>(&address.storage);
    ip->sin6_family = AF_INET6;
    ip->sin6_port = htons(endpoint.port);
    SLUICE_CHECK(inet_pton(AF_INET6, endpoint.host.c_str(), &ip->sin6_addr) == 1);
    address.size = sizeof *ip;
  } else {
    auto* ip = reinterpret_cast<sockaddr_in*>(&address.storage);
    ip->sin_family = AF_INET;
    ip->sin_port = htons(endpoint.port);
    SLUICE_CHECK(inet_pton(AF_INET, endpoint.host.c_str(), &ip->sin_addr) == 1);
    address.size = sizeof *ip;
  }
  return address;
}

}  // namespace

void Fd::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::string errno_text(int error) {
  return strerror(error);
}

Endpoint Endpoint::parse(std::string_view address) {
  if (address.starts_with("unix:")) return unix_socket(std::string(address.substr(5)));
  Endpoint endpoint;
  std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return endpoint;
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  endpoint.host = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : std::string(host);
  std::string_view port = address.substr(colon + 1);
  std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  return endpoint;
}

std::string Endpoint::text() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::expected<Fd, std::string> connect_to(const Endpoint& endpoint, Deadline deadline) {
  SocketAddress address = socket_address(endpoint);
  Fd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  SLUICE_CHECK(fd.get() >= 0);
  if (::connect(fd.get(), address.get(), address.size) != 0) {
    if (errno != EINPROGRESS) {
      return std::unexpected("connect to " + endpoint.text() + ": " + errno_text(errno));
    }
    pollfd poll_fd{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    if (poll(&poll_fd, 1, deadline.remaining_ms()) != 1) {
      return std::unexpected("connect to " + endpoint.text() + ": timed out");
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      return std::unexpected("connect to " + endpoint.text() + ": " + errno_text(error));
    }
  }
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  int on = 1;
  if (endpoint.unix_path.empty()) {
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

Fd bind_loopback(std::uint16_t port) {
  SocketAddress address = socket_address(Endpoint::tcp(port));
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  SLUICE_CHECK(bind(fd.get(), address.get(), address.size) == 0);
  return fd;
}

std::uint16_t local_port(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  SLUICE_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

TempDir::TempDir() {
  const char* base = getenv("TMPDIR");
  path_ = std::string(base != nullptr ? base : "/tmp") + "/sluice-test-XXXXXX";
  SLUICE_CHECK(mkdtemp(path_.data()) != nullptr);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, std::string_view text, unsigned mode) {
  Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  SLUICE_CHECK(fd.get() >= 0);
  SLUICE_CHECK(fchmod(fd.get(), mode) == 0);
  while (!text.empty()) {
    ssize_t written = write(fd.get(), text.data(), text.size());
    SLUICE_CHECK(written > 0);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace sluice::harness
