#include "proxy/control/server_settings.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace sluice::proxy {
namespace {

std::expected<std::string, std::string> read_trust_anchors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return std::unexpected(fmt::format("ca_file {}: {}", path, std::strerror(errno)));
  }
  std::string text(tls::kPemBytesMax + 1, '\0');  // one more tells that it is too large
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) {
    return std::unexpected(fmt::format("ca_file {}: {}", path, std::strerror(errno)));
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

std::expected<std::shared_ptr<const tls::ClientContext>, std::string> load_client_tls(
    const std::string& ca_file, bool verify, const std::string& alpn) {
  tls::ClientOptions options;
  options.versions = tls::Versions::tls12_or_tls13;
  options.insecure = !verify;
  options.alpn = {alpn};
  if (verify) {
    auto anchors = read_trust_anchors(ca_file);
    if (!anchors) return std::unexpected(std::move(anchors.error()));
    options.trust_anchors_pem = std::move(*anchors);
  }
  auto context = tls::ClientContext::make(options);
  if (!context) return std::unexpected(fmt::format("ca_file {}: {}", ca_file, context.error()));
  return context;
}

std::expected<ServerSettingsTable, std::vector<std::string>> load_server_settings(
    const conf::Config& config) {
  ServerSettingsTable table;
  std::vector<std::string> errors;
  for (const conf::Backend& backend : config.backends) {
    ServerSettings settings = settings_without_tls(backend);
    if (backend.tls) {
      const bool http2 = backend.protocol == conf::HttpVersion::http2;
      auto context =
          load_client_tls(backend.tls->ca_file, backend.tls->verify, http2 ? "h2" : "http/1.1");
      if (context) {
        settings.tls = std::move(*context);
      } else {
        errors.push_back(fmt::format("{}:{}: backend {}: {}", config.file, backend.tls->line,
                                     backend.name, context.error()));
      }
    }
    table.push_back(std::make_shared<const ServerSettings>(std::move(settings)));
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return table;
}

}  // namespace sluice::proxy
