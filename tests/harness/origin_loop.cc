#include "tests/harness/origin_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "proxy/base/check.h"

namespace sluice::harness {

OriginLoop::OriginLoop(std::uint16_t port, const std::optional<CertificateFiles>& tls,
                       const std::vector<std::string>& alpn)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reservation_(bind_loopback(port)),
      port_(local_port(reservation_.get())) {
  if (tls) tls_ = server_context(*tls, alpn);
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_.get()}};
  SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
}

OriginLoop::~OriginLoop() {
  SLUICE_CHECK(!thread_.joinable());
}

void OriginLoop::begin() {
  thread_ = std::thread([this] { run(); });
  set_running(true);
}

void OriginLoop::end() {
  {
    std::lock_guard lock(mutex);
    stopping_thread_ = true;
  }
  wake();
  thread_.join();
  connections_.clear();  // which look at who derives from us
}

void OriginLoop::set_running(bool wanted) {
  std::unique_lock lock(mutex);
  wanted_running_ = wanted;
  wake();
  changed.wait(lock, [&] { return running_ == wanted; });
}

bool OriginLoop::running() const {
  std::lock_guard lock(mutex);
  return running_;
}

void OriginLoop::ask(bool& flag) {
  std::lock_guard lock(mutex);
  flag = true;
  wake();
}

void OriginLoop::wake() {
  SLUICE_CHECK(eventfd_write(wake_.get(), 1) == 0);
}

void OriginLoop::run() {
  std::array<epoll_event, 256> events;
  while (true) {
    const int n = epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms());
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd != wake_.get()) on_event(events[i].data.fd, events[i].events);
    }
    fire_timers();
    obey();
    std::lock_guard lock(mutex);
    if (stopping_thread_) break;
  }
}

int OriginLoop::timeout_ms() const {
  if (timers_.empty()) return -1;
  auto left = std::chrono::ceil<milliseconds>(timers_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

// Does what other threads have asked for.
void OriginLoop::obey() {
  eventfd_t ignored;
  eventfd_read(wake_.get(), &ignored);
  on_asked();
  bool wanted;
  {
    std::lock_guard lock(mutex);
    wanted = wanted_running_;
  }
  if (wanted == static_cast<bool>(listener_)) return;
  wanted ? open() : shut();
  std::lock_guard lock(mutex);
  running_ = wanted;
  changed.notify_all();
}

void OriginLoop::open() {
  listener_ = bind_loopback(port_);
  SLUICE_CHECK(listen(listener_.get(), 4096) == 0);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_.get()}};
  SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) == 0);
}

void OriginLoop::shut() {
  accept_all();
  listener_.close();
  on_stop();
  connections_.clear();
  timers_.clear();
  std::lock_guard lock(mutex);
  connections_open = 0;
}

void OriginLoop::accept_all() {
  while (true) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd.get()}};
    SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0);
    std::uint64_t id;
    {
      std::lock_guard lock(mutex);
      ++connections_open;
      id = ++connections_total;
    }
    const int key = fd.get();
    connections_[key] = make_connection(
        tls_ ? ByteStream::tls_server(std::move(fd), tls_.get()) : ByteStream(std::move(fd)), id);
  }
}

void OriginLoop::on_event(int fd, std::uint32_t events) {
  if (fd == listener_.get()) return accept_all();
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  const bool goes_on = secure(connection) && (!connection.secured || on_ready(connection, events));
  if (!goes_on) drop(fd);
}

bool OriginLoop::secure(Connection& connection) {
  if (connection.secured) return true;
  const auto moved = connection.stream.shake_hands();
  connection.secured = moved.io == ByteStream::Io::moved;
  return connection.secured || moved.io == ByteStream::Io::blocked;
}

bool OriginLoop::send_output(Connection& connection) {
  std::size_t sent = 0;
  while (sent < connection.output.size()) {
    const auto moved = connection.stream.write(std::string_view(connection.output).substr(sent));
    if (moved.io == ByteStream::Io::blocked) break;
    if (moved.io != ByteStream::Io::moved) return false;
    sent += moved.bytes;
  }
  connection.output.erase(0, sent);
  return true;
}

void OriginLoop::watch(Connection& connection, std::uint32_t events) {
  if (events == connection.watching) return;
  connection.watching = events;
  epoll_event event{.events = events, .data = {.fd = connection.stream.fd()}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.stream.fd(), &event);
}

void OriginLoop::drop(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  on_over(*found->second);
  connections_.erase(found);
  std::lock_guard lock(mutex);
  --connections_open;
  changed.notify_all();
}

void OriginLoop::arm(std::uint64_t connection, std::int64_t tag, milliseconds after) {
  timers_.emplace(Clock::now() + after, Timer{connection, tag});
}

void OriginLoop::fire_timers() {
  const Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const Timer timer = timers_.begin()->second;
    timers_.erase(timers_.begin());
    const auto found = std::ranges::find_if(
        connections_, [&](const auto& each) { return each.second->id == timer.connection; });
    if (found == connections_.end()) continue;
    if (!on_timer(*found->second, timer.tag)) drop(found->first);
  }
}

}  // namespace sluice::harness
