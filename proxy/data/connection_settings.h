// What a listener's connections live by, fixed when each was accepted. One object per listener and
// epoch, shared by its connections on all workers, immutable.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
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
  std::vector<AddressBlock> proxy_protocol_from;  // peers that begin with a PROXY header
  std::shared_ptr<const tls::ServerContext> tls;  // null: plain
  bool http1 = true;                              // what may be spoken; not both false
  bool http2 = false;
  conf::ForwardedFields forwarded = conf::ForwardedFields::both;
  std::string health_path;  // answered here, for checkers outside; empty: none

  bool trusts(const Address& peer) const { return any_contains(trusted_proxies, peer); }
  bool begins_with_proxy_header(const Address& peer) const {
    return any_contains(proxy_protocol_from, peer);
  }
  // Whether a request for `host` (lower case, no port) may come over a connection here: with TLS,
  // one that the certificate is good for (RFC 9110 §7.4).
  bool serves(std::string_view host) const { return !tls || tls->matches(host); }

 private:
  static bool any_contains(const std::vector<AddressBlock>& blocks, const Address& address) {
    return std::ranges::any_of(blocks, [&](const auto& block) { return block.contains(address); });
  }
};

}  // namespace sluice::proxy
