// `sluice demo`: the whole product on one machine, for a first look: the proxy with TLS and plain
// HTTP, its admin API, and two app servers behind the route `app`.
#pragma once

#include <cstdint>
#include <optional>

namespace sluice::proxy {

struct DemoOptions {
  std::uint16_t https_port = 8443;
  std::uint16_t http_port = 8080;
  std::uint16_t admin_port = 9901;
  std::uint16_t metrics_port = 9902;
  std::optional<unsigned> workers;
};

// Until it is told to stop; the exit status. Leaves nothing behind.
// Precondition: block_signals() has been called.
int run_demo(const DemoOptions& options);

}  // namespace sluice::proxy
