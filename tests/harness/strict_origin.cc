#include "tests/harness/strict_origin.h"

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
#include "tests/harness/origin_answers.h"
#include "tests/harness/pattern.h"
#include "tests/harness/strict_parser.h"

namespace sluice::harness {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kOutputHigh = 256 * 1024;  // generated ahead of the socket
constexpr std::size_t kEchoMax = 64 * 1024 * 1024;
constexpr std::size_t kViolationsMax = 100;

struct Connection {
  Connection(ByteStream socket, std::uint64_t number) : stream(std::move(socket)), id(number) {}

  ByteStream stream;
  bool secured = false;
  std::uint64_t id;
  std::uint64_t requests = 0;
  StrictParser parser{StrictParser::Kind::request};
  std::string input;   // read, not yet parsed
  std::string output;  // to be sent
  std::uint32_t watching = EPOLLIN;
  bool peer_ended = false;

  // The request being read or answered.
  bool in_request = false;    // its head has come
  bool request_done = false;  // all of it has come
  RecordedRequest request;
  Behaviour behaviour;
  Digest digest;
  std::string echo_body;
  bool pipelined = false;

  std::optional<Answer> answer;
  std::uint64_t pattern_sent = 0;
  bool head_sent = false;
  bool tail_sent = false;
  bool delayed = false;
  bool held = false;
  bool stalled = false;  // reads nothing until release()

  bool answered() const { return answer && tail_sent && output.empty(); }
  bool busy() const { return parser.mid_message() || in_request || !input.empty(); }
};

enum class Life { goes_on, over };

}  // namespace

class StrictOrigin::Loop {
 public:
  explicit Loop(Options options);
  ~Loop();

  const Options options;
  std::uint16_t port() const { return port_; }
  void set_running(bool wanted);
  void release();

  // Everything below is guarded by it.
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  bool running = false;
  int health_status = 200;
  Counts counts;
  std::vector<RecordedRequest> requests;
  std::vector<std::string> violations;
  bool dropped_once = false;

 private:
  void run();
  void wake() { SLUICE_CHECK(eventfd_write(wake_.get(), 1) == 0); }
  void obey();
  void open();
  void shut();
  void accept_all();
  void on_event(int fd, std::uint32_t events);
  Life read_all(Connection& connection);
  Life advance(Connection& connection);
  Life parse(Connection& connection, bool& progress);
  void on_head(Connection& connection);
  void on_body(Connection& connection, std::string_view part);
  Life on_complete(Connection& connection);
  Life on_violation(Connection& connection, const std::string& what);
  void begin_answer(Connection& connection);
  void fill(Connection& connection);
  void hold(Connection& connection);
  Life flush(Connection& connection);
  Life answer_over(Connection& connection);
  void watch(Connection& connection, bool output);
  void close(Connection& connection, bool reset);
  void record(Connection& connection);
  void fire_timers();
  int timeout_ms() const;

  Fd epoll_;
  Fd wake_;
  Fd reservation_;  // bound for as long as we live, so that the port stays ours
  Fd listener_;
  std::uint16_t port_;
  bssl::UniquePtr<SSL_CTX> tls_;  // null: plain
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
  std::multimap<Clock::time_point, std::pair<int, std::uint64_t>> timers_;
  std::array<char, 64 * 1024> buffer_;
  bool stopping_thread_ = false;  // guarded by mutex
  bool wanted_running_ = true;    // guarded by mutex
  bool release_asked_ = false;    // guarded by mutex
  std::thread thread_;
};

StrictOrigin::Loop::Loop(Options given)
    : options(std::move(given)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reservation_(bind_loopback(options.port)),
      port_(local_port(reservation_.get())) {
  if (options.tls) tls_ = server_context(*options.tls, {"http/1.1"});
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_.get()}};
  SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
  thread_ = std::thread([this] { run(); });
  set_running(true);
}

StrictOrigin::Loop::~Loop() {
  {
    std::lock_guard lock(mutex);
    stopping_thread_ = true;
  }
  wake();
  thread_.join();
}

void StrictOrigin::Loop::set_running(bool wanted) {
  std::unique_lock lock(mutex);
  wanted_running_ = wanted;
  wake();
  changed.wait(lock, [&] { return running == wanted; });
}

void StrictOrigin::Loop::release() {
  std::lock_guard lock(mutex);
  release_asked_ = true;
  wake();
}

void StrictOrigin::Loop::run() {
  std::array<epoll_event, 256> events;
  while (true) {
    int n = epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms());
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd != wake_.get()) on_event(events[i].data.fd, events[i].events);
    }
    fire_timers();
    obey();
    std::lock_guard lock(mutex);
    if (stopping_thread_) break;
  }
}

int StrictOrigin::Loop::timeout_ms() const {
  if (timers_.empty()) return -1;
  auto left = std::chrono::ceil<milliseconds>(timers_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

// Does what other threads have asked for.
void StrictOrigin::Loop::obey() {
  eventfd_t ignored;
  eventfd_read(wake_.get(), &ignored);
  bool wanted;
  bool let_go;
  {
    std::lock_guard lock(mutex);
    wanted = wanted_running_;
    let_go = std::exchange(release_asked_, false);
  }
  if (let_go) {
    std::vector<Connection*> held;
    for (auto& [fd, connection] : connections_) {
      if (connection->held) held.push_back(connection.get());
      if (std::exchange(connection->stalled, false))
        watch(*connection, !connection->output.empty());
    }
    for (Connection* connection : held) {
      connection->held = false;
      connection->answer->hold_head = false;
      connection->answer->hold_at.reset();
      {
        std::lock_guard lock(mutex);
        --counts.held;
      }
      if (advance(*connection) == Life::over) connections_.erase(connection->stream.fd());
    }
  }
  if (wanted != static_cast<bool>(listener_)) {
    wanted ? open() : shut();
    std::lock_guard lock(mutex);
    running = wanted;
    changed.notify_all();
  }
}

void StrictOrigin::Loop::open() {
  listener_ = bind_loopback(port_);
  SLUICE_CHECK(listen(listener_.get(), 4096) == 0);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_.get()}};
  SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) == 0);
}

// A killed server. What has arrived by now is looked at once more, to say how many it cut.
void StrictOrigin::Loop::shut() {
  accept_all();
  listener_.close();
  std::uint64_t cut = 0;
  for (auto& [fd, connection] : connections_) {
    ssize_t n = recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    // A health probe goes to drained servers too, and is nobody's request.
    const bool probe =
        !connection->busy() && n > 0 &&
        std::string_view(buffer_.data(), static_cast<std::size_t>(n)).starts_with("GET /health ");
    if (!probe && (connection->busy() || n > 0)) ++cut;
  }
  connections_.clear();
  timers_.clear();
  std::lock_guard lock(mutex);
  counts.cut_by_stop += cut;
  counts.open_connections = 0;
  counts.held = 0;
}

void StrictOrigin::Loop::accept_all() {
  while (true) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd.get()}};
    SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0);
    std::lock_guard lock(mutex);
    ++counts.open_connections;
    int key = fd.get();
    connections_[key] = std::make_unique<Connection>(
        tls_ ? ByteStream::tls_server(std::move(fd), tls_.get()) : ByteStream(std::move(fd)),
        ++counts.connections);
  }
}

void StrictOrigin::Loop::on_event(int fd, std::uint32_t events) {
  if (fd == listener_.get()) return accept_all();
  auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if (!connection.secured) {
    const auto moved = connection.stream.shake_hands();
    if (moved.io == ByteStream::Io::blocked) return;
    connection.secured = moved.io == ByteStream::Io::moved;
    if (!connection.secured) {
      close(connection, false);
      connections_.erase(found);
      return;
    }
  }
  Life life = Life::goes_on;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) life = read_all(connection);
  if (life == Life::goes_on) life = advance(connection);
  if (life == Life::over) connections_.erase(fd);
}

Life StrictOrigin::Loop::read_all(Connection& connection) {
  if (connection.stalled) return Life::goes_on;
  const auto moved = connection.stream.read(buffer_);
  if (moved.io == ByteStream::Io::blocked) return Life::goes_on;
  if (moved.io == ByteStream::Io::moved) {
    connection.input.append(buffer_.data(), moved.bytes);
    return Life::goes_on;
  }
  const bool orderly = moved.io == ByteStream::Io::ended;
  connection.peer_ended = true;
  // Nobody waits for an answer that has not begun, and one being sent is finished first.
  bool sending = connection.answer && !connection.held && !connection.delayed;
  if (orderly && sending) {
    watch(connection, true);
    return Life::goes_on;
  }
  if (connection.busy() && !connection.request_done) {
    std::lock_guard lock(mutex);
    ++counts.incomplete_requests;
  }
  close(connection, false);
  return Life::over;
}

Life StrictOrigin::Loop::advance(Connection& connection) {
  bool progress = true;
  while (progress) {
    progress = false;
    if (parse(connection, progress) == Life::over) return Life::over;
    fill(connection);
    if (flush(connection) == Life::over) return Life::over;
    if (connection.answered()) {
      bool last = connection.answer->then != Answer::Then::keep;
      if (last && !connection.request_done) {
        // Closing with input unread would reset the connection and could take the answer with it.
        connection.stream.finish();
      }
      if ((last && connection.request_done) || connection.peer_ended) {
        close(connection, connection.answer->then == Answer::Then::reset);
        return Life::over;
      }
      if (connection.request_done) {
        if (answer_over(connection) == Life::over) return Life::over;
        progress = true;
      }
    } else if (connection.answer && connection.output.empty() && !connection.held &&
               !connection.delayed) {
      progress = true;  // more pattern to generate
    }
  }
  return Life::goes_on;
}

Life StrictOrigin::Loop::parse(Connection& connection, bool& progress) {
  std::string_view rest = connection.input;
  Life life = Life::goes_on;
  while (life == Life::goes_on && !connection.request_done) {
    StrictParser::Event event = connection.parser.next(rest);
    if (event == StrictParser::Event::need_more) break;
    progress = true;
    switch (event) {
      case StrictParser::Event::head:
        on_head(connection);
        break;
      case StrictParser::Event::body:
        on_body(connection, connection.parser.body_part());
        break;
      case StrictParser::Event::complete:
        life = on_complete(connection);
        break;
      default:
        life = on_violation(connection, connection.parser.error());
        break;
    }
  }
  if (life == Life::over) return life;
  connection.input.erase(0, connection.input.size() - rest.size());
  if (connection.request_done && !connection.input.empty()) {
    if (connection.parser.says_close()) {
      return on_violation(connection, "bytes after a request that said it would be the last");
    }
    connection.pipelined = true;
  }
  return Life::goes_on;
}

void StrictOrigin::Loop::on_head(Connection& connection) {
  const StrictParser::Head& head = connection.parser.head();
  RecordedRequest& request = connection.request;
  request = {.connection = connection.id,
             .index = connection.requests++,
             .method = head.method,
             .target = head.target,
             .version = head.version,
             .fields = head.fields};
  request.chunked = connection.parser.framing() == StrictParser::Framing::chunked;
  request.body_is_pattern = true;
  connection.in_request = true;
  connection.digest = Digest();
  connection.echo_body.clear();
  connection.behaviour = behaviour_of(head.target, head.fields);
  if (connection.pipelined) {
    connection.pipelined = false;
    std::lock_guard lock(mutex);
    ++counts.pipelined_requests;
  }
  if (connection.behaviour.name == "stall") {
    connection.stalled = true;
    watch(connection, false);
  }
  connection.output += interim_for(connection.behaviour, head.fields.has("Expect"));
  if (connection.behaviour.early()) begin_answer(connection);
}

void StrictOrigin::Loop::on_body(Connection& connection, std::string_view part) {
  RecordedRequest& request = connection.request;
  if (!is_pattern(part, request.body_size)) request.body_is_pattern = false;
  request.body_size += part.size();
  connection.digest.add(part);
  if (request.body.size() < options.body_keep_max) {
    request.body += part.substr(0, options.body_keep_max - request.body.size());
  }
  const std::string& name = connection.behaviour.name;
  bool echoes = name == "echo" || name == "continue" || name == "raw";
  if (echoes && connection.echo_body.size() < kEchoMax) connection.echo_body += part;
}

Life StrictOrigin::Loop::on_complete(Connection& connection) {
  connection.request_done = true;
  record(connection);
  if (!connection.answer) begin_answer(connection);
  return Life::goes_on;
}

void StrictOrigin::Loop::record(Connection& connection) {
  RecordedRequest& request = connection.request;
  std::lock_guard lock(mutex);
  if (connection.behaviour.name == "health") {
    ++counts.health_probes;
  } else {
    ++counts.requests;
    if (requests.size() < options.record_max) {
      if (request.body_size != 0) request.body_sha256 = connection.digest.hex();
      request.trailers = connection.parser.trailers();
      requests.push_back(std::move(request));
    }
  }
  changed.notify_all();
}

// Written down, answered 400, and the connection is over.
Life StrictOrigin::Loop::on_violation(Connection& connection, const std::string& what) {
  {
    std::lock_guard lock(mutex);
    if (violations.size() < kViolationsMax) {
      violations.push_back("connection " + std::to_string(connection.id) + ", request " +
                           std::to_string(connection.requests) + ": " + what);
    }
    changed.notify_all();
  }
  std::string text = "HTTP/1.1 400 Bad Request\r\nX-Backend: " + options.name +
                     "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  connection.stream.write(text);
  close(connection, false);
  return Life::over;
}

void StrictOrigin::Loop::begin_answer(Connection& connection) {
  Behaviour behaviour = connection.behaviour;
  int health;
  {
    std::lock_guard lock(mutex);
    health = health_status;
    if (behaviour.name == "drop-once" && !std::exchange(dropped_once, true)) {
      behaviour.name = "drop";
    }
  }
  const StrictParser::Head& head = connection.parser.head();
  std::string content_type = head.fields.get("Content-Type").value_or("");
  connection.answer = answer_to(behaviour, {.backend = options.name,
                                            .method = head.method,
                                            .body = connection.echo_body,
                                            .content_type = content_type,
                                            .health_status = health});
  connection.pattern_sent = 0;
  connection.head_sent = connection.tail_sent = false;
  if (connection.answer->delay.count() > 0) {
    connection.delayed = true;
    timers_.emplace(Clock::now() + connection.answer->delay,
                    std::pair(connection.stream.fd(), connection.id));
  }
}

void StrictOrigin::Loop::hold(Connection& connection) {
  connection.held = true;
  std::lock_guard lock(mutex);
  ++counts.held;
  changed.notify_all();
}

// Moves the answer into the output, as far as that may grow.
void StrictOrigin::Loop::fill(Connection& connection) {
  if (!connection.answer || connection.delayed || connection.held) return;
  const Answer& answer = *connection.answer;
  if (answer.hold_head) return hold(connection);
  if (!connection.head_sent) connection.output += answer.head;
  connection.head_sent = true;
  std::uint64_t until = answer.hold_at.value_or(answer.pattern_size);
  while (connection.pattern_sent < until && connection.output.size() < kOutputHigh) {
    std::string_view piece = pattern_view(connection.pattern_sent, until - connection.pattern_sent);
    if (answer.chunked) {
      std::array<char, 20> size;
      int n = snprintf(size.data(), size.size(), "%zx\r\n", piece.size());
      connection.output.append(size.data(), static_cast<std::size_t>(n));
    }
    connection.output += piece;
    if (answer.chunked) connection.output += "\r\n";
    connection.pattern_sent += piece.size();
  }
  if (connection.pattern_sent < until) return;
  if (answer.hold_at) return hold(connection);
  if (!connection.tail_sent) connection.output += answer.tail;
  connection.tail_sent = true;
}

Life StrictOrigin::Loop::flush(Connection& connection) {
  std::size_t sent = 0;
  while (sent < connection.output.size()) {
    const auto moved = connection.stream.write(std::string_view(connection.output).substr(sent));
    if (moved.io == ByteStream::Io::blocked) break;
    if (moved.io != ByteStream::Io::moved) {
      close(connection, false);
      return Life::over;
    }
    sent += moved.bytes;
  }
  connection.output.erase(0, sent);
  watch(connection, !connection.output.empty());
  return Life::goes_on;
}

// The request is whole and so is its answer.
Life StrictOrigin::Loop::answer_over(Connection& connection) {
  bool last = connection.parser.says_close() || connection.peer_ended;
  connection.answer.reset();
  connection.in_request = connection.request_done = false;
  if (!last) return Life::goes_on;
  close(connection, false);
  return Life::over;
}

void StrictOrigin::Loop::watch(Connection& connection, bool output) {
  // After the peer's end, level-triggered input would never stop being ready.
  std::uint32_t wanted = connection.peer_ended || connection.stalled ? 0u : +EPOLLIN;
  if (output) wanted |= EPOLLOUT;
  if (wanted == connection.watching) return;
  connection.watching = wanted;
  epoll_event event{.events = wanted, .data = {.fd = connection.stream.fd()}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.stream.fd(), &event);
}

// The caller erases the connection, which closes it.
void StrictOrigin::Loop::close(Connection& connection, bool reset) {
  if (reset) {
    linger abort{.l_onoff = 1, .l_linger = 0};
    setsockopt(connection.stream.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  } else if (connection.stream.is_tls() && connection.secured) {
    connection.stream.finish();  // close_notify, without which no end is one
  }
  std::lock_guard lock(mutex);
  --counts.open_connections;
  if (connection.held) --counts.held;
  changed.notify_all();
}

void StrictOrigin::Loop::fire_timers() {
  Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    auto [fd, id] = timers_.begin()->second;
    timers_.erase(timers_.begin());
    auto found = connections_.find(fd);
    if (found == connections_.end() || found->second->id != id) continue;
    found->second->delayed = false;
    if (advance(*found->second) == Life::over) connections_.erase(found);
  }
}

StrictOrigin::StrictOrigin(std::string name) : StrictOrigin(Options{.name = std::move(name)}) {
}

StrictOrigin::StrictOrigin(Options options) : loop_(std::make_unique<Loop>(std::move(options))) {
}

StrictOrigin::~StrictOrigin() = default;

const std::string& StrictOrigin::name() const {
  return loop_->options.name;
}

std::uint16_t StrictOrigin::port() const {
  return loop_->port();
}

std::string StrictOrigin::address() const {
  return endpoint().text();
}

Endpoint StrictOrigin::endpoint() const {
  return Endpoint::tcp(port());
}

void StrictOrigin::stop() {
  loop_->set_running(false);
}

void StrictOrigin::start() {
  loop_->set_running(true);
}

bool StrictOrigin::running() const {
  std::lock_guard lock(loop_->mutex);
  return loop_->running;
}

void StrictOrigin::set_health(int status) {
  std::lock_guard lock(loop_->mutex);
  loop_->health_status = status;
}

void StrictOrigin::release() {
  loop_->release();
}

std::vector<RecordedRequest> StrictOrigin::requests() const {
  std::lock_guard lock(loop_->mutex);
  return loop_->requests;
}

std::vector<std::string> StrictOrigin::violations() const {
  std::lock_guard lock(loop_->mutex);
  return loop_->violations;
}

StrictOrigin::Counts StrictOrigin::counts() const {
  std::lock_guard lock(loop_->mutex);
  return loop_->counts;
}

void StrictOrigin::forget() {
  std::lock_guard lock(loop_->mutex);
  loop_->requests.clear();
  loop_->violations.clear();
  loop_->dropped_once = false;
  // Connections are numbered for as long as the origin lives.
  loop_->counts = {.connections = loop_->counts.connections,
                   .open_connections = loop_->counts.open_connections,
                   .held = loop_->counts.held};
}

bool StrictOrigin::wait_for_requests(std::uint64_t n, Deadline deadline) const {
  std::unique_lock lock(loop_->mutex);
  return loop_->changed.wait_until(lock, deadline.at(),
                                   [&] { return loop_->counts.requests >= n; });
}

bool StrictOrigin::wait_for_held(std::uint64_t n, Deadline deadline) const {
  std::unique_lock lock(loop_->mutex);
  return loop_->changed.wait_until(lock, deadline.at(), [&] { return loop_->counts.held >= n; });
}

bool StrictOrigin::wait_for_health_probes(std::uint64_t n, Deadline deadline) const {
  std::unique_lock lock(loop_->mutex);
  return loop_->changed.wait_until(lock, deadline.at(),
                                   [&] { return loop_->counts.health_probes >= n; });
}

const std::vector<std::string>& StrictOrigin::garbage_kinds() {
  return harness::garbage_kinds();
}

}  // namespace sluice::harness
