#include "conf/backend_keys.h"

#include <utility>
#include <vector>

#include "conf/kinds.h"

namespace sluice::conf {
namespace {

constexpr int kProbesInARowMax = 1000;

Section<BackendTls> backend_tls_section() {
  return Section(BackendTls{})
      .optional(
          "ca_file", file_path(),
          [](BackendTls& tls, std::string path) { tls.ca_file = std::move(path); },
          "Certificates, PEM, of those who may have signed the servers' own; required unless "
          "verify is false")
      .optional(
          "server_name", certificate_name(),
          [](BackendTls& tls, std::string name) { tls.server_name = std::move(name); },
          "The name that servers' certificates must be for, and that is asked for (SNI); without "
          "it the server's address")
      .value("verify", boolean(), &BackendTls::verify,
             "Check servers' certificates; `false` is for tests: anyone in between can read and "
             "change everything");
}

}  // namespace

Section<HealthDraft> health_section(const std::string& enabled_meaning) {
  using Status = StatusRange;
  const auto text = [](std::string HealthCheck::*member) {
    return std::pair([member](const HealthDraft& draft) { return draft.check.*member; },
                     [member](HealthDraft& draft, std::string value) {
                       draft.check.*member = std::move(value);
                     });
  };
  const auto time = [](Duration HealthCheck::*member) {
    return std::pair([member](const HealthDraft& draft) { return draft.check.*member; },
                     [member](HealthDraft& draft, Duration value) { draft.check.*member = value; });
  };
  const auto number = [](int HealthCheck::*member) {
    return std::pair([member](const HealthDraft& draft) { return draft.check.*member; },
                     [member](HealthDraft& draft, int value) { draft.check.*member = value; });
  };
  const auto [get_path, set_path] = text(&HealthCheck::path);
  const auto [get_host, set_host] = text(&HealthCheck::host);
  const auto [get_interval, set_interval] = time(&HealthCheck::interval);
  const auto [get_settle, set_settle] = time(&HealthCheck::settle_interval);
  const auto [get_timeout, set_timeout] = time(&HealthCheck::timeout);
  const auto [get_rise, set_rise] = number(&HealthCheck::rise);
  const auto [get_fall, set_fall] = number(&HealthCheck::fall);
  const auto get_status = [](const HealthDraft& draft) {
    return Status{draft.check.status_min, draft.check.status_max};
  };
  const auto set_status = [](HealthDraft& draft, Status status) {
    draft.check.status_min = status.min;
    draft.check.status_max = status.max;
  };
  return Section(HealthDraft{})
      .value("enabled", boolean(), &HealthDraft::enabled, enabled_meaning)
      .value_as("path", request_target(), get_path, set_path, "What a probe asks for")
      .optional("host", host_field(), set_host,
                "The Host that a probe sends; without it the server's address")
      .value_as("interval", duration(), get_interval, set_interval,
                "From one probe of a settled server to the next")
      .value_as("settle_interval", duration(), get_settle, set_settle,
                "The same after a change or a failed connect, until the server is settled")
      .value_as("timeout", duration(), get_timeout, set_timeout, "How long a probe may take")
      .value_as("rise", small_count(1, kProbesInARowMax), get_rise, set_rise,
                "Passed probes in a row that bring a server back")
      .value_as("fall", small_count(1, kProbesInARowMax), get_fall, set_fall,
                "Failed probes in a row that take a server out")
      .value_as("status", status_range(), get_status, set_status, "What passes as an answer");
}

Section<BackendDraft> backend_section() {
  return Section(BackendDraft{})
      .required(
          "servers", servers(),
          [](BackendDraft& draft, std::vector<Server> servers) {
            draft.backend.servers = std::move(servers);
          },
          "Where the backend's servers listen, IP:PORT or unix:/PATH; a table gives them names, "
          "and "
          "may give them weights")
      .value_as(
          "slow_start", duration_or_zero(),
          [](const BackendDraft& draft) { return draft.backend.slow_start; },
          [](BackendDraft& draft, Duration time) { draft.backend.slow_start = time; },
          "How long the share of a server that returns (or joins) takes to grow to all that is its "
          "own; `\"0s\"` is no time")
      .value_as(
          "protocol", http_version(),
          [](const BackendDraft& draft) { return draft.backend.protocol; },
          [](BackendDraft& draft, HttpVersion protocol) { draft.backend.protocol = protocol; },
          "What servers are spoken to in; `\"h2\"` by ALPN over TLS, by prior knowledge without")
      .value_as(
          "send_proxy_protocol",
          word_for<ProxyProtocol>(
              {{"off", ProxyProtocol::off}, {"v1", ProxyProtocol::v1}, {"v2", ProxyProtocol::v2}}),
          [](const BackendDraft& draft) { return draft.backend.send_proxy_protocol; },
          [](BackendDraft& draft, ProxyProtocol protocol) {
            draft.backend.send_proxy_protocol = protocol;
          },
          "Begin each connection to a server with a PROXY header that says who the client is; such "
          "a connection serves one client only")
      .table(
          "tls", backend_tls_section(),
          [](BackendDraft& draft, const Entry& entry) -> BackendTls& {
            BackendTls& tls = draft.backend.tls.emplace();
            tls.line = entry.at.line;
            return tls;
          },
          "Servers are spoken to over TLS 1.3 or 1.2; without this table over plain TCP")
      .table(
          "health",
          health_section("Probe this backend's servers; if not, they count as up").inherited(),
          [](BackendDraft& draft, const Entry&) -> HealthDraft& { return draft.health; },
          "How this backend's servers are probed; what is not said here is as [health] says")
      .elsewhere("timeouts", "[timeouts] or [routes.NAME.timeouts]")
      .elsewhere("limits", "[limits] or [routes.NAME.limits]");
}

}  // namespace sluice::conf
