// What a listener's connections live by, fixed when each was accepted. One object per listener and
// epoch, shared by its connections on all workers, immutable.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "tls/context.h"

namespace sluice::proxy {

struct ConnectionSettings {
  std::string listener;
  std::size_t listener_slot = 0;  // of WorkerCounters::listeners
  conf::Timeouts timeouts;
  conf::Limits limits;
  std::vector<AddressBlock> trusted_proxies;
  std::shared_ptr<const tls::ServerContext> tls;  // null: plain

  bool trusts(const Address& peer) const {
    for (const AddressBlock& block : trusted_proxies) {
      if (block.contains(peer)) return true;
    }
    return false;
  }
};

}  // namespace sluice::proxy
