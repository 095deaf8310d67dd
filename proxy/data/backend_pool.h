// BackendPool: where exchanges get their streams to one server, whatever protocol it speaks.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/data/stream.h"

namespace sluice::proxy {

class BackendPool {
 public:
  struct Lease {
    BackendStream* stream = nullptr;  // null: refused
    bool connected = false;           // false: on_backend_connected() will tell
    std::string_view refusal;         // why there is no stream; static storage
  };

  // fresh: not a connection that has been idle. Where one of them turned out to be dead, the
  // others are as likely to be.
  enum class Reuse : std::uint8_t { allowed, fresh };

  virtual ~BackendPool() = default;
  // A stream for one exchange. It is the handler's until a last event or cancel().
  virtual Lease lease(ResponseHandler& handler, Reuse reuse) = 0;
  // False: idle connections are closed, now and when leases end. For servers that drain or have
  // left the configuration.
  virtual void keep_idle(bool keep) = 0;
};

}  // namespace sluice::proxy
