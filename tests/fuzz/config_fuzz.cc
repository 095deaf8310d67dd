// Whatever the text, parse() answers: with a Config that keeps its promises, or with errors that
// can be printed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "conf/parser.h"
#include "proxy/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = sluice::conf::parse(text, "fuzz.toml");
  if (config) {
    SLUICE_CHECK(!config->listeners.empty() && !config->routes.empty());
    for (const auto& listener : config->listeners) {
      SLUICE_CHECK(listener.http1 || listener.http2);
      SLUICE_CHECK(listener.limits.request_line_bytes <= listener.limits.head_bytes);
    }
    for (const auto& backend : config->backends) {
      SLUICE_CHECK(!backend.servers.empty());
      SLUICE_CHECK(!backend.tls || backend.tls->verify != backend.tls->ca_file.empty());
      SLUICE_CHECK(backend.protocol == sluice::conf::HttpVersion::http1 ||
                   backend.send_proxy_protocol == sluice::conf::ProxyProtocol::off);
    }
    for (const auto& route : config->routes) SLUICE_CHECK(!route.split.empty());
    return 0;
  }
  SLUICE_CHECK(!config.error().empty());
  SLUICE_CHECK(config.error().size() <= sluice::conf::kErrorsMax + 1);
  for (const auto& error : config.error()) {
    SLUICE_CHECK(!error.message.empty());
    for (char c : error.to_string()) SLUICE_CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
  return 0;
}
