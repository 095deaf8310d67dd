#include "bench/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace sluice::bench {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The value of Content-Length, as servers under test write it; -1 without one.
std::int64_t content_length(std::string_view head) {
  constexpr std::string_view kName = "\r\ncontent-length:";
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  auto found = std::search(head.begin(), head.end(), kName.begin(), kName.end(),
                           [&](char a, char b) { return lower(a) == b; });
  if (found == head.end()) return -1;
  auto begin = head.data() + (found - head.begin()) + kName.size();
  const char* end = head.data() + head.size();
  while (begin < end && *begin == ' ') ++begin;
  std::int64_t length = -1;
  std::from_chars(begin, end, length);
  return length;
}

}  // namespace

void die(const std::string& what) {
  fprintf(stderr, "%s\n", what.c_str());
  exit(1);
}

void must(bool good, const std::string& what) {
  if (!good) die(what + ": " + strerror(errno));
}

Options::Options(int argc, char** argv, const std::vector<std::string>& known,
                 const std::string& usage) {
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (std::ranges::find(known, name) == known.end()) die("unknown option " + name + "\n" + usage);
    bool takes_value = i + 1 < argc && std::string_view(argv[i + 1]).substr(0, 2) != "--";
    values_[name] = takes_value ? argv[++i] : "";
  }
}

std::string Options::text(const std::string& name, const std::string& otherwise) const {
  auto found = values_.find(name);
  return found == values_.end() ? otherwise : found->second;
}

std::int64_t Options::number(const std::string& name, std::int64_t otherwise) const {
  auto found = values_.find(name);
  if (found == values_.end()) return otherwise;
  const std::string& text = found->second;
  std::int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    die(name + " takes a number, not '" + text + "'");
  }
  return number;
}

int listen_on(std::uint16_t port, bool nonblocking) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
  must(fd >= 0, "socket");
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in address = loopback(port);
  must(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
       "bind to port " + std::to_string(port));
  must(listen(fd, 4096) == 0, "listen");
  return fd;
}

int connect_to(std::uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  must(fd >= 0, "socket");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address = loopback(port);
  int result = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  must(result == 0 || errno == EINPROGRESS, "connect to port " + std::to_string(port));
  return fd;
}

void pin_to_core(int core) {
  if (core < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  must(sched_setaffinity(0, sizeof set, &set) == 0, "pin to core " + std::to_string(core));
}

bssl::UniquePtr<SSL_CTX> client_context() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set1_curves_list(context.get(), "X25519");
  return context;
}

ClientConnection::ClientConnection(std::uint16_t port, SSL_CTX* tls) : fd_(connect_to(port)) {
  if (tls == nullptr) return;
  tls_.reset(SSL_new(tls));
  SSL_set_fd(tls_.get(), fd_);
  SSL_set_tlsext_host_name(tls_.get(), "localhost");
  SSL_set_connect_state(tls_.get());
}

ClientConnection::~ClientConnection() {
  close(fd_);
}

void ClientConnection::request(std::string_view target) {
  output_ = "GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  head_.clear();
  in_body_ = false;
  status_ = 0;
}

void ClientConnection::finish() {
  if (tls_) SSL_shutdown(tls_.get());
}

ClientConnection::Step ClientConnection::fail(const std::string& what) {
  error_ = what;
  return Step::failed;
}

// One read or write; `blocked` says what to wait for when it returns -1 and the connection lives.
ssize_t ClientConnection::io(bool write, void* bytes, std::size_t size, Step& blocked) {
  blocked = write ? Step::want_write : Step::want_read;
  if (!tls_) {
    ssize_t n = write ? send(fd_, bytes, size, MSG_NOSIGNAL) : recv(fd_, bytes, size, 0);
    if (n < 0 && errno == EAGAIN) return -1;
    if (n > 0) return n;
    blocked = fail(n == 0 ? "closed" : strerror(errno));
    return -1;
  }
  int n = write ? SSL_write(tls_.get(), bytes, static_cast<int>(size))
                : SSL_read(tls_.get(), bytes, static_cast<int>(size));
  if (n > 0) return n;
  switch (SSL_get_error(tls_.get(), n)) {
    case SSL_ERROR_WANT_READ:
      blocked = Step::want_read;
      return -1;
    case SSL_ERROR_WANT_WRITE:
      blocked = Step::want_write;
      return -1;
    default: {
      std::array<char, 200> text{};
      ERR_error_string_n(ERR_get_error(), text.data(), text.size());
      ERR_clear_error();
      blocked = fail(std::string("TLS: ") + text.data());
      return -1;
    }
  }
}

ClientConnection::Step ClientConnection::advance() {
  if (!connected_) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(std::string("connect: ") + strerror(error));
    connected_ = true;
  }
  Step blocked = Step::want_write;
  while (!output_.empty()) {
    ssize_t n = io(true, output_.data(), output_.size(), blocked);
    if (n < 0) return blocked;
    output_.erase(0, static_cast<std::size_t>(n));
  }
  return read_response();
}

ClientConnection::Step ClientConnection::read_response() {
  std::array<char, 64 * 1024> buffer;
  Step blocked = Step::want_read;
  while (true) {
    ssize_t n = io(false, buffer.data(), buffer.size(), blocked);
    if (n < 0) return blocked;
    std::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
    if (!in_body_) {
      head_ += bytes;
      std::size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      status_ = head_.size() > 12 ? atoi(head_.c_str() + 9) : 0;
      std::int64_t length = content_length(std::string_view(head_).substr(0, end + 2));
      if (length < 0) return fail("a response without Content-Length: " + head_.substr(0, end));
      in_body_ = true;
      body_left_ = static_cast<std::uint64_t>(length);
      bytes = std::string_view(head_).substr(end + 4);
    }
    if (bytes.size() > body_left_) return fail("more bytes than the response has");
    body_left_ -= bytes.size();
    if (body_left_ == 0) {
      head_ = {};
      return Step::response;
    }
  }
}

std::uint64_t pss_kib(const std::vector<int>& pids) {
  std::uint64_t total = 0;
  for (int pid : pids) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/smaps_rollup");
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("Pss:")) total += std::strtoull(line.c_str() + 4, nullptr, 10);
    }
  }
  return total;
}

}  // namespace sluice::bench
