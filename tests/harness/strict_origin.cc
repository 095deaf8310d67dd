#include "tests/harness/strict_origin.h"

#include <sys/socket.h>

#include <array>
#include <utility>

#include "tests/harness/origin_answers.h"
#include "tests/harness/origin_loop.h"
#include "tests/harness/pattern.h"
#include "tests/harness/strict_parser.h"

namespace sluice::harness {
namespace {

constexpr std::size_t kEchoMax = 64 * 1024 * 1024;

struct Connection final : OriginLoop::Connection {
  using OriginLoop::Connection::Connection;

  std::uint64_t requests = 0;
  StrictParser parser{StrictParser::Kind::request};
  std::string input;  // read, not yet parsed
  bool peer_ended = false;
  bool ends_by_reset = false;

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

Connection& mine(OriginLoop::Connection& connection) {
  return static_cast<Connection&>(connection);
}

}  // namespace

class StrictOrigin::Loop final : public OriginLoop {
 public:
  explicit Loop(Options given)
      : OriginLoop(given.port, given.tls, {"http/1.1"}), options(std::move(given)) {
    begin();
  }
  ~Loop() override { end(); }

  const Options options;
  void release() { ask(release_asked_); }

  // Everything below is guarded by `mutex`.
  int health_status = 200;
  Counts counts;  // but for its connections
  std::vector<RecordedRequest> requests;
  std::vector<std::string> violations;
  bool dropped_once = false;

 private:
  using Connection = harness::Connection;

  // OriginLoop
  std::unique_ptr<OriginLoop::Connection> make_connection(ByteStream stream,
                                                          std::uint64_t id) override {
    return std::make_unique<Connection>(std::move(stream), id);
  }
  bool on_ready(OriginLoop::Connection& connection, std::uint32_t events) override;
  bool on_timer(OriginLoop::Connection& connection, std::int64_t) override;
  void on_over(OriginLoop::Connection& connection) override;
  void on_asked() override;
  void on_stop() override;

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
  void record(Connection& connection);

  bool release_asked_ = false;  // guarded by mutex
};

void StrictOrigin::Loop::on_asked() {
  {
    std::lock_guard lock(mutex);
    if (!std::exchange(release_asked_, false)) return;
  }
  std::vector<Connection*> held;
  for (auto& [fd, each] : connections()) {
    Connection& connection = mine(*each);
    if (connection.held) held.push_back(&connection);
    if (std::exchange(connection.stalled, false)) watch(connection, !connection.output.empty());
  }
  for (Connection* connection : held) {
    connection->held = false;
    connection->answer->hold_head = false;
    connection->answer->hold_at.reset();
    {
      std::lock_guard lock(mutex);
      --counts.held;
    }
    if (advance(*connection) == Life::over) drop(connection->stream.fd());
  }
}

// A killed server. What has arrived by now is looked at once more, to say how many it cut.
void StrictOrigin::Loop::on_stop() {
  std::uint64_t cut = 0;
  for (auto& [fd, connection] : connections()) {
    const bool busy = mine(*connection).busy();
    const ssize_t n = recv(fd, buffer().data(), buffer().size(), MSG_DONTWAIT);
    // A health probe goes to drained servers too, and is nobody's request.
    const bool probe =
        !busy && n > 0 &&
        std::string_view(buffer().data(), static_cast<std::size_t>(n)).starts_with("GET /health ");
    if (!probe && (busy || n > 0)) ++cut;
  }
  std::lock_guard lock(mutex);
  counts.cut_by_stop += cut;
  counts.held = 0;
}

bool StrictOrigin::Loop::on_ready(OriginLoop::Connection& each, std::uint32_t events) {
  Connection& connection = mine(each);
  Life life = Life::goes_on;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) life = read_all(connection);
  return life == Life::goes_on && advance(connection) == Life::goes_on;
}

bool StrictOrigin::Loop::on_timer(OriginLoop::Connection& each, std::int64_t) {
  mine(each).delayed = false;
  return advance(mine(each)) == Life::goes_on;
}

void StrictOrigin::Loop::on_over(OriginLoop::Connection& each) {
  Connection& connection = mine(each);
  if (connection.ends_by_reset) {
    linger abort{.l_onoff = 1, .l_linger = 0};
    setsockopt(connection.stream.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  } else if (connection.stream.is_tls() && connection.secured) {
    connection.stream.finish();  // close_notify, without which no end is one
  }
  if (!connection.held) return;
  std::lock_guard lock(mutex);
  --counts.held;
}

Life StrictOrigin::Loop::read_all(Connection& connection) {
  if (connection.stalled) return Life::goes_on;
  const auto moved = connection.stream.read(buffer());
  if (moved.io == ByteStream::Io::blocked) return Life::goes_on;
  if (moved.io == ByteStream::Io::moved) {
    connection.input.append(buffer().data(), moved.bytes);
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
        connection.ends_by_reset = connection.answer->then == Answer::Then::reset;
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
    arm(connection.id, 0, connection.answer->delay);
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
  if (!send_output(connection)) return Life::over;
  watch(connection, !connection.output.empty());
  return Life::goes_on;
}

// The request is whole and so is its answer.
Life StrictOrigin::Loop::answer_over(Connection& connection) {
  bool last = connection.parser.says_close() || connection.peer_ended;
  connection.answer.reset();
  connection.in_request = connection.request_done = false;
  return last ? Life::over : Life::goes_on;
}

void StrictOrigin::Loop::watch(Connection& connection, bool output) {
  // After the peer's end, level-triggered input would never stop being ready.
  std::uint32_t wanted = connection.peer_ended || connection.stalled ? 0u : +EPOLLIN;
  if (output) wanted |= EPOLLOUT;
  OriginLoop::watch(connection, wanted);
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
  return loop_->running();
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
  Counts counts = loop_->counts;
  counts.connections = loop_->connections_total;
  counts.open_connections = loop_->connections_open;
  return counts;
}

void StrictOrigin::forget() {
  std::lock_guard lock(loop_->mutex);
  loop_->requests.clear();
  loop_->violations.clear();
  loop_->dropped_once = false;
  // Connections are numbered for as long as the origin lives.
  loop_->counts = {.held = loop_->counts.held};
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
