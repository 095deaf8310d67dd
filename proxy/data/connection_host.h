// ConnectionHost: what connections need of the thread that they live on. Workers are hosts, and so
// is control.
#pragma once

#include <string>
#include <string_view>

#include "admin/worker_counters.h"
#include "conf/config.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

class ClientConnection;
struct IdleClientTag;

class ConnectionHost {
 public:
  virtual io::Loop& loop() = 0;
  virtual admin::WorkerCounters& counters() = 0;
  // Of the configuration in force.
  virtual const conf::Timeouts& timeouts() const = 0;
  virtual const conf::Limits& limits() const = 0;
  // This second, as Date has it; good until the next turn.
  virtual std::string_view http_date() = 0;
  // A client connection is gone.
  virtual void client_closed() = 0;
  // Client connections that may give way to a new one: those that wait for their client's end, then
  // those on which nothing runs, longest idle first.
  virtual base::IntrusiveList<ClientConnection, IdleClientTag>& idle_clients() = 0;
  // True once the process is on its way out: connections end after the response at hand.
  virtual bool draining() const = 0;
  // Memory to compose a head in; whoever takes it clears it, and is done with it on return.
  virtual std::string& scratch() = 0;

 protected:
  ~ConnectionHost() = default;
};

}  // namespace sluice::proxy
