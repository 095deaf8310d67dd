// How connections to a backend's servers are made. One object per backend and epoch, shared by all
// workers and the prober, immutable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "tls/client_session.h"

namespace sluice::proxy {

struct ServerSettings {
  conf::HttpVersion protocol = conf::HttpVersion::http1;
  std::shared_ptr<const tls::ClientContext> tls;  // null: plain
  // What a server's certificate must be good for, and SNI; empty: its address.
  std::string server_name;
  // With one, connections carry a single client's requests, and are not kept for others.
  conf::ProxyProtocol send_proxy_protocol = conf::ProxyProtocol::off;
};

// Whether connections made by the one are as good as those made by the other. A reload makes every
// TLS context anew, most of them of what the last one was made of.
inline bool same_connections(const ServerSettings& a, const ServerSettings& b) {
  const bool same_tls = a.tls == b.tls || (a.tls && b.tls && a.tls->options() == b.tls->options());
  return same_tls && a.protocol == b.protocol && a.server_name == b.server_name &&
         a.send_proxy_protocol == b.send_proxy_protocol;
}

// By index of the configuration's backends.
using ServerSettingsTable = std::vector<std::shared_ptr<const ServerSettings>>;
using ServerSettingsTablePtr = std::shared_ptr<const ServerSettingsTable>;

// What the configuration says but for TLS, whose files this doesn't read.
inline ServerSettings settings_without_tls(const conf::Backend& backend) {
  ServerSettings settings;
  settings.protocol = backend.protocol;
  settings.send_proxy_protocol = backend.send_proxy_protocol;
  if (backend.tls) settings.server_name = backend.tls->server_name;
  return settings;
}

}  // namespace sluice::proxy
