// Listeners: which addresses the process listens on, and by which settings the connections from
// each live. A configuration's listeners are first prepared (files read, sockets bound: may block,
// may fail, changes nothing), then committed at once.
//
// A listener whose name and address stay keeps its sockets over a reload: closing one would reset
// the connections that wait in its queue. On a Unix socket all workers accept from the same one,
// and its file is removed when nobody listens there any more.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/control/worker_threads.h"
#include "proxy/data/local_service.h"
#include "proxy/data/reactor.h"
#include "proxy/io/listening_socket.h"
#include "tls/context.h"

namespace sluice::proxy {

class Listeners {
 public:
  enum class Kind : std::uint8_t { data, admin, read_only };

  // One that the configuration asks for.
  struct Wanted {
    Kind kind = Kind::data;
    std::string name;  // unique: `https`, `admin 127.0.0.1:9901`
    Address address;
    std::shared_ptr<const ConnectionSettings> settings;
    std::vector<io::FileDescriptor> sockets;  // empty: it is open already
    io::SocketFile file;                      // of these
  };
  using Prepared = std::vector<Wanted>;

  Listeners(std::size_t worker_count, std::shared_ptr<tls::TicketKeys> ticket_keys);

  // Any thread, as long as no commit() runs at the same time. The errors are sentences.
  std::expected<Prepared, std::vector<std::string>> prepare(const conf::Config& config) const;
  // Control's thread. Opens, changes and closes listeners so that they are as prepared.
  void commit(Prepared prepared, WorkerThreads& workers, Reactor& control, Service& admin,
              Service& read_only);
  // Where each listens, with the port that port 0 became.
  struct Open {
    Kind kind = Kind::data;
    Address configured;
    Address bound;
    io::SocketFile file;  // removed when it is closed for good
  };
  const std::map<std::string, Open>& open() const { return open_; }
  // By slot of WorkerCounters::listeners.
  std::vector<std::string> slot_names() const;

 private:
  std::expected<std::shared_ptr<const ConnectionSettings>, std::string> settings_for(
      const conf::Listener& listener, std::size_t slot) const;
  std::shared_ptr<const ConnectionSettings> admin_settings(const conf::Config& config) const;
  // Of the admin listeners beyond loopback; null: there are none.
  std::expected<std::shared_ptr<const ConnectionSettings>, std::string> admin_tls_settings(
      const conf::Config& config) const;
  std::expected<void, std::string> open_sockets(Wanted& wanted, const conf::Config& config) const;

  std::size_t worker_count_;
  std::shared_ptr<tls::TicketKeys> ticket_keys_;
  std::map<std::string, Open> open_;
  std::map<std::string, std::size_t> slots_;  // data listeners, by name, for the process's life
};

// The certificate, the key and the protocol of a listener, from its files. The error is a sentence.
std::expected<std::shared_ptr<const tls::ServerContext>, std::string> load_tls(
    const conf::Listener& listener, std::shared_ptr<tls::TicketKeys> ticket_keys);

// The same of the admin listeners beyond loopback, with who may have signed clients' certificates.
std::expected<std::shared_ptr<const tls::ServerContext>, std::string> load_admin_tls(
    const conf::AdminTls& tls, std::shared_ptr<tls::TicketKeys> ticket_keys);

}  // namespace sluice::proxy
