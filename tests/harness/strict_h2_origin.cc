#include "tests/harness/strict_h2_origin.h"

#include <utility>

#include "tests/harness/h2_origin_session.h"
#include "tests/harness/origin_loop.h"

namespace sluice::harness {

class StrictH2Origin::Loop final : public OriginLoop, public H2OriginObserver {
 public:
  explicit Loop(Options given)
      : OriginLoop(given.port, given.tls, given.alpn), options(std::move(given)) {
    begin();
  }
  ~Loop() override { end(); }

  const Options options;
  void release() { ask(release_asked_); }
  void go_away() { ask(go_away_asked_); }

  // Everything below is guarded by `mutex`.
  int health = 200;
  Counts counts;  // but for its connections
  std::vector<RecordedRequest> requests;
  std::vector<std::string> violations;
  bool once_taken = false;

 private:
  struct Connection : OriginLoop::Connection {
    using OriginLoop::Connection::Connection;
    std::unique_ptr<H2OriginSession> session;
  };
  static Connection& mine(OriginLoop::Connection& connection) {
    return static_cast<Connection&>(connection);
  }

  // OriginLoop
  std::unique_ptr<OriginLoop::Connection> make_connection(ByteStream stream,
                                                          std::uint64_t id) override;
  bool on_ready(OriginLoop::Connection& connection, std::uint32_t events) override;
  bool on_timer(OriginLoop::Connection& connection, std::int64_t stream) override;
  void on_over(OriginLoop::Connection& connection) override { mine(connection).session->end(); }
  void on_asked() override;
  void on_stop() override;

  // False: the connection is over.
  bool read_all(Connection& connection);
  bool serve(Connection& connection);

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
  void arm(std::uint64_t connection, std::int32_t stream, milliseconds after) override {
    OriginLoop::arm(connection, stream, after);
  }

  bool release_asked_ = false;  // guarded by mutex
  bool go_away_asked_ = false;  // guarded by mutex
};

std::unique_ptr<OriginLoop::Connection> StrictH2Origin::Loop::make_connection(ByteStream stream,
                                                                              std::uint64_t id) {
  auto connection = std::make_unique<Connection>(std::move(stream), id);
  connection->session = std::make_unique<H2OriginSession>(options, id, *this);
  return connection;
}

void StrictH2Origin::Loop::on_asked() {
  bool let_go;
  bool leave;
  {
    std::lock_guard lock(mutex);
    let_go = std::exchange(release_asked_, false);
    leave = std::exchange(go_away_asked_, false);
  }
  if (!let_go && !leave) return;
  std::vector<int> over;
  for (auto& [fd, connection] : connections()) {
    if (let_go) mine(*connection).session->release();
    if (leave) mine(*connection).session->go_away();
    if (!serve(mine(*connection))) over.push_back(fd);
  }
  for (const int fd : over) drop(fd);
}

// A killed server. What has arrived by now is looked at once more, to say how many it cut.
void StrictH2Origin::Loop::on_stop() {
  std::uint64_t cut = 0;
  for (auto& [fd, each] : connections()) {
    Connection& connection = mine(*each);
    while (connection.secured) {
      const auto moved = connection.stream.read(buffer());
      if (moved.io != ByteStream::Io::moved) break;
      if (!connection.session->receive({buffer().data(), moved.bytes})) break;
    }
    cut += connection.session->unfinished();
    connection.session->end();
  }
  std::lock_guard lock(mutex);
  counts.cut_by_stop += cut;
}

bool StrictH2Origin::Loop::on_ready(OriginLoop::Connection& connection, std::uint32_t) {
  return read_all(mine(connection)) && serve(mine(connection));
}

bool StrictH2Origin::Loop::on_timer(OriginLoop::Connection& connection, std::int64_t stream) {
  mine(connection).session->on_timer(static_cast<std::int32_t>(stream));
  return serve(mine(connection));
}

bool StrictH2Origin::Loop::read_all(Connection& connection) {
  // TLS may hold more than one record for us, of which epoll knows nothing.
  while (true) {
    const auto moved = connection.stream.read(buffer());
    if (moved.io == ByteStream::Io::blocked) return true;
    if (moved.io != ByteStream::Io::moved) return false;
    if (!connection.session->receive({buffer().data(), moved.bytes})) return false;
    if (!connection.stream.is_tls()) return true;
  }
}

bool StrictH2Origin::Loop::serve(Connection& connection) {
  if (!connection.secured) return true;
  while (true) {
    const bool goes_on = connection.session->fill(connection.output);
    const bool had_output = !connection.output.empty();
    if (!send_output(connection)) return false;
    watch(connection, connection.output.empty() ? +EPOLLIN : EPOLLIN | EPOLLOUT);
    if (!goes_on && connection.output.empty()) return false;
    if (!had_output || !connection.output.empty()) return true;
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
  loop_->release();
}

void StrictH2Origin::go_away() {
  loop_->go_away();
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
  Counts counts = loop_->counts;
  counts.connections = loop_->connections_total;
  counts.open_connections = loop_->connections_open;
  return counts;
}

void StrictH2Origin::forget() {
  std::lock_guard lock(loop_->mutex);
  loop_->requests.clear();
  loop_->violations.clear();
  loop_->once_taken = false;
  const Counts old = loop_->counts;
  loop_->counts = {.open_streams = old.open_streams, .held = old.held};
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
