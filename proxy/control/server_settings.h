// What the configuration says of connections to servers, its files read and its TLS contexts made.
// For the start, `sluice check` and a reload, before anything is changed. Any thread.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "proxy/data/server_settings.h"
#include "tls/client_session.h"

namespace sluice::proxy {

// In the order of the configuration's backends. The errors are sentences, `FILE:LINE: backend
// NAME: ...`; all of them.
std::expected<ServerSettingsTable, std::vector<std::string>> load_server_settings(
    const conf::Config& config);

// One such context. `ca_file` is read where servers are verified. The error is a phrase that begins
// with the file.
std::expected<std::shared_ptr<const tls::ClientContext>, std::string> load_client_tls(
    const std::string& ca_file, bool verify, const std::string& alpn);

}  // namespace sluice::proxy
