#include "tests/harness/strict_h2_origin.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "proxy/base/check.h"
#include "tests/harness/byte_stream.h"
#include "tests/harness/h2_origin_session.h"

namespace sluice::harness {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kViolationsMax = 100;

}  // namespace

class StrictH2Origin::Loop final : public H2OriginObserver {
 public:
  explicit Loop(Options options);
  ~Loop();

  const Options options;
  std::uint16_t port() const { return port_; }
  void set_running(bool wanted);
  void ask(bool Loop::*what);

  // Everything below is guarded by it.
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  bool running = false;
  int health = 200;
  Counts counts;
  std::vector<RecordedRequest> requests;
  std::vector<std::string> violations;
  bool once_taken = false;
  bool release_asked = false;
  bool go_away_asked = false;

 private:
  struct Connection {
    explicit Connection(ByteStream socket) : stream(std::move(socket)) {}
    ByteStream stream;
    std::uint64_t id = 0;
    std::unique_ptr<H2OriginSession> session;
    bool secured = false;
    std::string output;
    std::uint32_t watching = EPOLLIN;
  };

  void run();
  void wake() { SLUICE_CHECK(eventfd_write(wake_.get(), 1) == 0); }
  void obey();
  void open();
  void shut();
  void accept_all();
  void on_event(int fd);
  // False: the connection is over.
  bool serve(Connection& connection);
  bool secure(Connection& connection);
  bool read_all(Connection& connection);
  bool flush(Connection& connection);
  void watch(Connection& connection, std::uint32_t events);
  void close(int fd);
  void fire_timers();
  int timeout_ms() const;

  // H2OriginObserver
  void on_violation(std::uint64_t connection, const std::string& what) override;
  void on_stream() override;
  void on_stream_over(bool complete) override;
  void on_streams_at_once(std::size_t n) override;
  void on_request(RecordedRequest request, bool probe) override;
  void on_turned_away() override;
  void on_reset() override;
  void on_body(std::size_t bytes) override;
  void on_held(int change) override;
  bool take_once() override;
  int health_status() override;
  void arm(std::uint64_t connection, std::int32_t stream, milliseconds after) override;

  Fd epoll_;
  Fd wake_;
  Fd reservation_;  // bound for as long as we live, so that the port stays ours
  Fd listener_;
  std::uint16_t port_;
  bssl::UniquePtr<SSL_CTX> tls_;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
  std::multimap<Clock::time_point, std::pair<std::uint64_t, std::int32_t>> timers_;
  std::array<char, 64 * 1024> buffer_;
  bool stopping_thread_ = false;  // guarded by mutex
  bool wanted_running_ = true;    // guarded by mutex
  std::thread thread_;
};

StrictH2Origin::Loop::Loop(Options given)
    : options(std::move(given)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reservation_(bind_loopback(options.port)),
      port_(local_port(reservation_.get())) {
  if (options.tls) tls_ = server_context(*options.tls, options.alpn);
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_.get()}};
  SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
  thread_ = std::thread([this] { run(); });
  set_running(true);
}

StrictH2Origin::Loop::~Loop() {
  {
    std::lock_guard lock(mutex);
    stopping_thread_ = true;
  }
  wake();
  thread_.join();
}

void StrictH2Origin::Loop::set_running(bool wanted) {
  std::unique_lock lock(mutex);
  wanted_running_ = wanted;
  wake();
  changed.wait(lock, [&] { return running == wanted; });
}

void StrictH2Origin::Loop::ask(bool Loop::*what) {
  std::lock_guard lock(mutex);
  this->*what = true;
  wake();
}

void StrictH2Origin::Loop::run() {
  std::array<epoll_event, 256> events;
  while (true) {
    const int n = epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms());
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd != wake_.get()) on_event(events[i].data.fd);
    }
    fire_timers();
    obey();
    std::lock_guard lock(mutex);
    if (stopping_thread_) break;
  }
}

int StrictH2Origin::Loop::timeout_ms() const {
  if (timers_.empty()) return -1;
  auto left = std::chrono::ceil<milliseconds>(timers_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

// Does what other threads have asked for.
void StrictH2Origin::Loop::obey() {
  eventfd_t ignored;
  eventfd_read(wake_.get(), &ignored);
  bool wanted;
  bool let_go;
  bool leave;
  {
    std::lock_guard lock(mutex);
    wanted = wanted_running_;
    let_go = std::exchange(release_asked, false);
    leave = std::exchange(go_away_asked, false);
  }
  if (let_go || leave) {
    std::vector<int> over;
    for (auto& [fd, connection] : connections_) {
      if (let_go) connection->session->release();
      if (leave) connection->session->go_away();
      if (!serve(*connection)) over.push_back(fd);
    }
    for (int fd : over) close(fd);
  }
  if (wanted != static_cast<bool>(listener_)) {
    wanted ? open() : shut();
    std::lock_guard lock(mutex);
    running = wanted;
    changed.notify_all();
  }
}

void StrictH2Origin::Loop::open() {
  listener_ = bind_loopback(port_);
  SLUICE_CHECK(listen(listener_.get(), 4096) == 0);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_.get()}};
  SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) == 0);
}

void StrictH2Origin::Loop::shut() {
  listener_.close();
  std::uint64_t cut = 0;
  {
    std::lock_guard lock(mutex);
    cut = counts.open_streams;
  }
  while (!connections_.empty()) close(connections_.begin()->first);
  timers_.clear();
  std::lock_guard lock(mutex);
  counts.cut_by_stop += cut;
}

void StrictH2Origin::Loop::accept_all() {
  while (true) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd.get()}};
    SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0);
    const int key = fd.get();
    auto connection = std::make_unique<Connection>(
        tls_ ? ByteStream::tls_server(std::move(fd), tls_.get()) : ByteStream(std::move(fd)));
    {
      std::lock_guard lock(mutex);
      ++counts.open_connections;
      connection->id = ++counts.connections;
    }
    connection->session = std::make_unique<H2OriginSession>(options, connection->id, *this);
    connections_[key] = std::move(connection);
  }
}

void StrictH2Origin::Loop::on_event(int fd) {
  if (fd == listener_.get()) return accept_all();
  auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if (!secure(connection) || (connection.secured && !(read_all(connection) && serve(connection)))) {
    close(fd);
  }
}

bool StrictH2Origin::Loop::secure(Connection& connection) {
  if (connection.secured) return true;
  const auto moved = connection.stream.shake_hands();
  connection.secured = moved.io == ByteStream::Io::moved;
  return connection.secured || moved.io == ByteStream::Io::blocked;
}

bool StrictH2Origin::Loop::read_all(Connection& connection) {
  // TLS may hold more than one record for us, of which epoll knows nothing.
  while (true) {
    const auto moved = connection.stream.read(buffer_);
    if (moved.io == ByteStream::Io::blocked) return true;
    if (moved.io != ByteStream::Io::moved) return false;
    if (!connection.session->receive({buffer_.data(), moved.bytes})) return false;
    if (!connection.stream.is_tls()) return true;
  }
}

bool StrictH2Origin::Loop::serve(Connection& connection) {
  if (!connection.secured) return true;
  while (true) {
    const bool goes_on = connection.session->fill(connection.output);
    const bool had_output = !connection.output.empty();
    if (!flush(connection)) return false;
    if (!goes_on && connection.output.empty()) return false;
    if (!had_output || !connection.output.empty()) return true;
  }
}

bool StrictH2Origin::Loop::flush(Connection& connection) {
  std::size_t sent = 0;
  while (sent < connection.output.size()) {
    const auto moved = connection.stream.write(std::string_view(connection.output).substr(sent));
    if (moved.io == ByteStream::Io::blocked) break;
    if (moved.io != ByteStream::Io::moved) return false;
    sent += moved.bytes;
  }
  connection.output.erase(0, sent);
  watch(connection, connection.output.empty() ? +EPOLLIN : EPOLLIN | EPOLLOUT);
  return true;
}

void StrictH2Origin::Loop::watch(Connection& connection, std::uint32_t events) {
  if (events == connection.watching) return;
  connection.watching = events;
  epoll_event event{.events = events, .data = {.fd = connection.stream.fd()}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.stream.fd(), &event);
}

void StrictH2Origin::Loop::close(int fd) {
  auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  found->second->session->end();
  connections_.erase(found);
  std::lock_guard lock(mutex);
  --counts.open_connections;
  changed.notify_all();
}

void StrictH2Origin::Loop::fire_timers() {
  const Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto [id, stream] = timers_.begin()->second;
    timers_.erase(timers_.begin());
    for (auto& [fd, connection] : connections_) {
      if (connection->id != id) continue;
      connection->session->on_timer(stream);
      if (!serve(*connection)) close(fd);
      break;
    }
  }
}

void StrictH2Origin::Loop::on_violation(std::uint64_t connection, const std::string& what) {
  std::lock_guard lock(mutex);
  if (violations.size() < kViolationsMax) {
    violations.push_back("connection " + std::to_string(connection) + ": " + what);
  }
  changed.notify_all();
}

void StrictH2Origin::Loop::on_stream() {
  std::lock_guard lock(mutex);
  ++counts.streams;
  ++counts.open_streams;
  changed.notify_all();
}

void StrictH2Origin::Loop::on_stream_over(bool complete) {
  std::lock_guard lock(mutex);
  --counts.open_streams;
  if (!complete) ++counts.incomplete_requests;
  changed.notify_all();
}

void StrictH2Origin::Loop::on_streams_at_once(std::size_t n) {
  std::lock_guard lock(mutex);
  counts.streams_at_once = std::max<std::uint64_t>(counts.streams_at_once, n);
}

void StrictH2Origin::Loop::on_request(RecordedRequest request, bool probe) {
  std::lock_guard lock(mutex);
  if (probe) {
    ++counts.health_probes;
  } else {
    ++counts.requests;
    if (requests.size() < options.record_max) requests.push_back(std::move(request));
  }
  changed.notify_all();
}

void StrictH2Origin::Loop::on_turned_away() {
  std::lock_guard lock(mutex);
  ++counts.turned_away;
}

void StrictH2Origin::Loop::on_reset() {
  std::lock_guard lock(mutex);
  ++counts.resets;
}

void StrictH2Origin::Loop::on_body(std::size_t bytes) {
  std::lock_guard lock(mutex);
  counts.body_bytes += bytes;
}

void StrictH2Origin::Loop::on_held(int change) {
  std::lock_guard lock(mutex);
  counts.held += static_cast<std::uint64_t>(change);
  changed.notify_all();
}

bool StrictH2Origin::Loop::take_once() {
  std::lock_guard lock(mutex);
  return !std::exchange(once_taken, true);
}

int StrictH2Origin::Loop::health_status() {
  std::lock_guard lock(mutex);
  return health;
}

void StrictH2Origin::Loop::arm(std::uint64_t connection, std::int32_t stream, milliseconds after) {
  timers_.emplace(Clock::now() + after, std::pair(connection, stream));
}

StrictH2Origin::StrictH2Origin(std::string name)
    : StrictH2Origin(Options{.name = std::move(name), .tls = {}}) {
}

StrictH2Origin::StrictH2Origin(Options options)
    : loop_(std::make_unique<Loop>(std::move(options))) {
}

StrictH2Origin::~StrictH2Origin() = default;

const std::string& StrictH2Origin::name() const {
  return loop_->options.name;
}

std::uint16_t StrictH2Origin::port() const {
  return loop_->port();
}

std::string StrictH2Origin::address() const {
  return Endpoint::tcp(port()).text();
}

void StrictH2Origin::stop() {
  loop_->set_running(false);
}

void StrictH2Origin::start() {
  loop_->set_running(true);
}

void StrictH2Origin::set_health(int status) {
  std::lock_guard lock(loop_->mutex);
  loop_->health = status;
}

void StrictH2Origin::release() {
  loop_->ask(&Loop::release_asked);
}

void StrictH2Origin::go_away() {
  loop_->ask(&Loop::go_away_asked);
}

std::vector<RecordedRequest> StrictH2Origin::requests() const {
  std::lock_guard lock(loop_->mutex);
  return loop_->requests;
}

std::vector<std::string> StrictH2Origin::violations() const {
  std::lock_guard lock(loop_->mutex);
  return loop_->violations;
}

StrictH2Origin::Counts StrictH2Origin::counts() const {
  std::lock_guard lock(loop_->mutex);
  return loop_->counts;
}

void StrictH2Origin::forget() {
  std::lock_guard lock(loop_->mutex);
  loop_->requests.clear();
  loop_->violations.clear();
  loop_->once_taken = false;
  const Counts old = loop_->counts;
  loop_->counts = {.connections = old.connections,
                   .open_connections = old.open_connections,
                   .open_streams = old.open_streams,
                   .held = old.held};
}

bool StrictH2Origin::wait_for_requests(std::uint64_t n, Deadline deadline) const {
  std::unique_lock lock(loop_->mutex);
  return loop_->changed.wait_until(lock, deadline.at(),
                                   [&] { return loop_->counts.requests >= n; });
}

bool StrictH2Origin::wait_for_held(std::uint64_t n, Deadline deadline) const {
  std::unique_lock lock(loop_->mutex);
  return loop_->changed.wait_until(lock, deadline.at(), [&] { return loop_->counts.held >= n; });
}

bool StrictH2Origin::wait_for_streams(std::uint64_t n, Deadline deadline) const {
  std::unique_lock lock(loop_->mutex);
  return loop_->changed.wait_until(lock, deadline.at(), [&] { return loop_->counts.streams >= n; });
}

}  // namespace sluice::harness
