// OriginLoop: what an origin server of the tests stands on, whatever it speaks: a port of its own,
// a thread with its epoll set, connections (plain or TLS) and timers. StrictOrigin and
// StrictH2Origin derive from it.
//
// Who derives calls begin() at the end of its constructor and end() at the start of its destructor;
// the virtual functions are called in between, on the thread. set_running() and ask() may be called
// from any thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tests/harness/byte_stream.h"
#include "tests/harness/certificate.h"
#include "tests/harness/deadline.h"
#include "tests/harness/net.h"

namespace sluice::harness {

class OriginLoop {
 public:
  struct Connection {
    Connection(ByteStream socket, std::uint64_t number) : stream(std::move(socket)), id(number) {}
    virtual ~Connection() = default;

    ByteStream stream;
    std::uint64_t id;    // counted from 1
    std::string output;  // to be sent
    std::uint32_t watching = EPOLLIN;
    bool secured = false;
  };

  std::uint16_t port() const { return port_; }
  // False: the listener and every connection are closed, as if the server were killed. Waits until
  // it is so.
  void set_running(bool wanted);
  bool running() const;

  // Guards everything that other threads look at, here and in who derives.
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::uint64_t connections_total = 0;
  std::uint64_t connections_open = 0;

 protected:
  using Connections = std::unordered_map<int, std::unique_ptr<Connection>>;

  OriginLoop(std::uint16_t port, const std::optional<CertificateFiles>& tls,
             const std::vector<std::string>& alpn);
  virtual ~OriginLoop();
  void begin();
  void end();
  // Sets a flag that on_asked() looks at. `flag` is guarded by `mutex`.
  void ask(bool& flag);

  virtual std::unique_ptr<Connection> make_connection(ByteStream stream, std::uint64_t id) = 0;
  // The handshake is done, and the socket is ready for something. False: the connection is over.
  virtual bool on_ready(Connection& connection, std::uint32_t events) = 0;
  virtual bool on_timer(Connection& connection, std::int64_t tag) = 0;
  // Its last call; the socket is still open.
  virtual void on_over(Connection& connection) = 0;
  virtual void on_asked() = 0;
  // All connections are about to be cut.
  virtual void on_stop() = 0;

  // Sends what the socket takes; false: it is broken.
  bool send_output(Connection& connection);
  void watch(Connection& connection, std::uint32_t events);
  // on_timer(), if the connection is still there by then.
  void arm(std::uint64_t connection, std::int64_t tag, milliseconds after);
  void drop(int fd);
  Connections& connections() { return connections_; }
  std::array<char, 64 * 1024>& buffer() { return buffer_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Timer {
    std::uint64_t connection;
    std::int64_t tag;
  };

  void run();
  void wake();
  void obey();
  void open();
  void shut();
  void accept_all();
  void on_event(int fd, std::uint32_t events);
  // False: it is over. True, and not secured: there is more to come.
  static bool secure(Connection& connection);
  void fire_timers();
  int timeout_ms() const;

  Fd epoll_;
  Fd wake_;
  Fd reservation_;  // bound for as long as we live, so that the port stays ours
  Fd listener_;
  std::uint16_t port_;
  bssl::UniquePtr<SSL_CTX> tls_;  // null: plain
  Connections connections_;
  std::multimap<Clock::time_point, Timer> timers_;
  std::array<char, 64 * 1024> buffer_;
  bool running_ = false;          // guarded by mutex
  bool wanted_running_ = true;    // guarded by mutex
  bool stopping_thread_ = false;  // guarded by mutex
  std::thread thread_;
};

}  // namespace sluice::harness
