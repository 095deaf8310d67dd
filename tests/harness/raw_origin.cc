#include "tests/harness/raw_origin.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "proxy/base/check.h"

namespace sluice::harness {
namespace {

Fd bind_unix(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  SLUICE_CHECK(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  SLUICE_CHECK(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

}  // namespace

std::string RawConnection::read_some() {
  if (!received_.empty()) return std::exchange(received_, {});
  std::array<char, 16 * 1024> buffer;
  std::array<pollfd, 2> waiting = {{{.fd = fd_.get(), .events = POLLIN, .revents = 0},
                                    {.fd = stop_, .events = POLLIN, .revents = 0}}};
  poll(waiting.data(), waiting.size(), Deadline{}.remaining_ms());
  if (waiting[0].revents == 0) return "";
  const ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), 0);
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : "";
}

std::string RawConnection::read_until(std::string_view end) {
  std::string text;
  std::size_t at;
  while ((at = text.find(end)) == std::string::npos) {
    const std::string more = read_some();
    if (more.empty()) return text;
    text += more;
  }
  received_ = text.substr(at + end.size());
  return text.substr(0, at + end.size());
}

std::string RawConnection::read_bytes(std::size_t size) {
  std::string text;
  while (text.size() < size) {
    const std::string more = read_some();
    if (more.empty()) return text;
    text += more;
  }
  received_ = text.substr(size);
  return text.substr(0, size);
}

std::string RawConnection::read_to_end() {
  std::string text;
  for (std::string more; !(more = read_some()).empty();) text += more;
  return text;
}

bool RawConnection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void RawConnection::finish_sending() {
  shutdown(fd_.get(), SHUT_WR);
}

void RawConnection::reset() {
  linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.close();
}

RawOrigin::RawOrigin(Script script)
    : script_(std::move(script)),
      listener_(bind_loopback(0)),
      stop_(eventfd(0, EFD_CLOEXEC)),
      address_(Endpoint::tcp(local_port(listener_.get())).text()) {
  SLUICE_CHECK(listen(listener_.get(), 1024) == 0);
  thread_ = std::thread([this] { run(); });
}

RawOrigin::RawOrigin(Script script, const std::string& unix_path)
    : script_(std::move(script)),
      listener_(bind_unix(unix_path)),
      stop_(eventfd(0, EFD_CLOEXEC)),
      address_("unix:" + unix_path) {
  SLUICE_CHECK(listen(listener_.get(), 1024) == 0);
  thread_ = std::thread([this] { run(); });
}

RawOrigin::~RawOrigin() {
  SLUICE_CHECK(eventfd_write(stop_.get(), 1) == 0);
  thread_.join();
  for (std::thread& script : scripts_) script.join();
}

void RawOrigin::run() {
  while (true) {
    std::array<pollfd, 2> waiting = {{{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                                      {.fd = stop_.get(), .events = POLLIN, .revents = 0}}};
    if (poll(waiting.data(), waiting.size(), -1) < 0) continue;
    if (waiting[1].revents != 0) return;
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    std::lock_guard lock(mutex_);
    scripts_.emplace_back([this, raw = fd.release()] { serve(Fd(raw)); });
  }
}

void RawOrigin::serve(Fd fd) {
  constexpr std::string_view kProbe = "GET /health ";
  std::array<char, kProbe.size()> first{};
  std::array<pollfd, 2> waiting = {{{.fd = fd.get(), .events = POLLIN, .revents = 0},
                                    {.fd = stop_.get(), .events = POLLIN, .revents = 0}}};
  poll(waiting.data(), waiting.size(), -1);
  if (waiting[0].revents == 0) return;
  const ssize_t n = recv(fd.get(), first.data(), first.size(), MSG_PEEK);
  if (n <= 0) return;
  RawConnection connection(std::move(fd), stop_.get());
  if (std::string_view(first.data(), static_cast<std::size_t>(n)) == kProbe) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  ++connections_;
  script_(connection);
}

}  // namespace sluice::harness
