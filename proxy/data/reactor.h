// Reactor: what every thread with a loop has: the loop, its listening sockets, the client
// connections that came in through them, and the memory that they share. A worker is a Reactor
// that forwards; control is one that answers by itself.
//
// Made and used on its own thread; post() alone may be called from others.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "proxy/data/client_connection.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/connection_settings.h"
#include "proxy/http/http_date.h"
#include "proxy/io/file_descriptor.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

// How many client connections the process has, all threads together.
struct ConnectionCount {
  std::atomic<std::uint64_t> open{0};
};

// Accepts on one listening socket. Frees itself once close() has been joined.
class Acceptor final : public io::Retired, private io::CompletionTarget {
 public:
  // False: the connection is not wanted, and is closed.
  using OnAccepted = std::function<bool(int fd, const std::shared_ptr<const ConnectionSettings>&)>;
  // After an accept that failed for want of descriptors or memory.
  static constexpr Duration kRetryTime = std::chrono::milliseconds(100);

  Acceptor(io::Loop& loop, io::FileDescriptor listening,
           std::shared_ptr<const ConnectionSettings> settings, OnAccepted on_accepted);
  void start() { arm(); }
  // For connections from now on.
  void set_settings(std::shared_ptr<const ConnectionSettings> settings) {
    settings_ = std::move(settings);
  }
  // Stops accepting and closes the listening socket; `*this` is gone some turns later.
  void close();

 private:
  enum Tag : std::uint8_t { kAccept, kCancel, kCloseUnwanted, kClose };

  void arm();
  void submit(io::OpCode code, int fd, Tag tag);
  void on_completion(const io::Completion& completion) override;

  io::Loop& loop_;
  int listening_;
  std::shared_ptr<const ConnectionSettings> settings_;
  OnAccepted on_accepted_;
  io::Timer retry_;
  int in_flight_ = 0;
  bool closing_ = false;
};

class Reactor final : public ConnectionHost {
 public:
  // `counters` outlive the reactor: they are read for metrics until the process ends.
  Reactor(std::unique_ptr<io::Ring> ring, admin::WorkerCounters& counters,
          ConnectionCount& connections, std::shared_ptr<const conf::Config> config);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // ConnectionHost
  io::Loop& loop() override { return loop_; }
  admin::WorkerCounters& counters() override { return counters_; }
  const conf::Timeouts& timeouts() const override { return config_->timeouts; }
  const conf::Limits& limits() const override { return config_->limits; }
  std::string_view http_date() override { return date_.text(loop_.wall_now()); }
  void client_closed() override;
  base::IntrusiveList<ClientConnection, IdleClientTag>& idle_clients() override { return idle_; }
  bool draining() const override { return draining_; }
  std::string& scratch() override { return scratch_; }

  void use_config(std::shared_ptr<const conf::Config> config) { config_ = std::move(config); }

  // Turns until the loop is stopped, and counts.
  void run();

  // `listener` names it among this reactor's.
  void listen(const std::string& listener, io::FileDescriptor listening,
              std::shared_ptr<const ConnectionSettings> settings, Service& service);
  void update_listener(const std::string& listener,
                       std::shared_ptr<const ConnectionSettings> settings);
  void stop_listening(const std::string& listener);

  // On the way out: stops listening, ends idle client connections, and the others after the
  // response at hand.
  void drain();
  // Ends what still runs.
  void cut_clients();
  std::size_t client_connections() const { return client_count_; }
  // Turns until nothing is attached to the loop. Precondition: everything has been told to end.
  void join();

 private:
  // Room for one more client connection, if need be by ending the one that has been idle longest.
  bool make_room();
  bool accepted(int fd, const std::shared_ptr<const ConnectionSettings>& settings,
                Service& service);

  ConnectionCount& connections_;
  io::Loop loop_;
  admin::WorkerCounters& counters_;
  std::shared_ptr<const conf::Config> config_;
  http::DateCache date_;
  std::string scratch_;
  std::map<std::string, Acceptor*> acceptors_;
  base::IntrusiveList<ClientConnection, ClientListTag> clients_;
  base::IntrusiveList<ClientConnection, IdleClientTag> idle_;
  std::size_t client_count_ = 0;
  bool draining_ = false;
  bool cut_ = false;  // nobody is let in any more
};

}  // namespace sluice::proxy
