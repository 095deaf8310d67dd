#include "health/probe.h"

#include <fmt/core.h>

namespace sluice::health {

ProbeRequest make_probe_request(const conf::HealthCheck& check, const Address& server) {
  if (!check.host.empty()) return {check.path, check.host};
  if (server.family == Address::Family::unix_path) return {check.path, "localhost"};
  return {check.path, server.to_string()};
}

std::expected<void, std::string> verdict(const conf::HealthCheck& check, int status) {
  if (status >= check.status_min && status <= check.status_max) return {};
  if (check.status_min == check.status_max)
    return std::unexpected(fmt::format("status {}, expected {}", status, check.status_min));
  return std::unexpected(
      fmt::format("status {}, expected {} to {}", status, check.status_min, check.status_max));
}

}  // namespace sluice::health
