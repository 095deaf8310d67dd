// BackendPool: where exchanges get their streams to one server, whatever protocol it speaks.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/base/clock.h"
#include "proxy/data/server_settings.h"
#include "proxy/data/stream.h"
#include "proxy/data/waiting_room.h"

namespace sluice::proxy {

class ConnectionHost;

class BackendPool {
 public:
  struct Lease {
    BackendStream* stream = nullptr;  // null: refused
    bool connected = false;           // false: on_backend_connected() will tell
    bool full = false;                // refused because all connections are taken: wait()
    std::string_view refusal;         // why there is no stream; static storage
  };

  // fresh: not a connection that has been idle. Where one of them turned out to be dead, the
  // others are as likely to be.
  enum class Reuse : std::uint8_t { allowed, fresh };

  struct Wish {
    Reuse reuse = Reuse::allowed;
    Duration connect_timeout = std::chrono::seconds(3);
    const ClientInfo* client = nullptr;  // for the PROXY header; null: a request of the proxy's own
    bool tunnel = false;                 // the stream will carry one
  };

  virtual ~BackendPool() = default;
  // A stream for one exchange. It is the handler's until a last event or cancel().
  virtual Lease lease(ResponseHandler& handler, const Wish& wish) = 0;
  // For exchanges whose lease was refused as full: on_turn() comes when it is worth another try.
  // False: too many are waiting already. The caller keeps the pool alive while it waits.
  virtual bool wait(Waiter& waiter) = 0;
  // For connections from now on. Precondition: the same protocol.
  virtual void use_settings(std::shared_ptr<const ServerSettings> settings) = 0;
  // False: idle connections are closed, now and when leases end. For servers that drain or have
  // left the configuration.
  virtual void keep_idle(bool keep) = 0;
};

// The pool for what the settings say the server speaks.
std::shared_ptr<BackendPool> make_pool(ConnectionHost& host, const Address& server,
                                       std::shared_ptr<const ServerSettings> settings);

}  // namespace sluice::proxy
