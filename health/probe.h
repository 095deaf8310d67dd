// What a probe asks, and what its answer means. The prober (proxy/) turns a ProbeRequest into
// bytes with the ordinary HTTP writer and reads the answer with the ordinary codec.
#pragma once

#include <expected>
#include <string>

#include "conf/config.h"
#include "proxy/base/address.h"

namespace sluice::health {

// A `GET path` with this Host, `Connection: close`.
struct ProbeRequest {
  std::string path;
  std::string host;
};

// The Host is the check's, or the server's address (`localhost` for a Unix socket).
ProbeRequest make_probe_request(const conf::HealthCheck& check, const Address& server);

// The verdict on a final status. The error is a short phrase: what came, what was expected.
std::expected<void, std::string> verdict(const conf::HealthCheck& check, int status);

}  // namespace sluice::health
