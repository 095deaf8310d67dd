#include "proxy/data/backend_pool.h"

#include "proxy/data/h1_pool.h"
#include "proxy/data/h2_pool.h"

namespace sluice::proxy {

std::shared_ptr<BackendPool> make_pool(ConnectionHost& host, const Address& server,
                                       std::shared_ptr<const ServerSettings> settings) {
  if (settings->protocol == conf::HttpVersion::http2) {
    return std::make_shared<H2Pool>(host, server, std::move(settings));
  }
  return std::make_shared<H1Pool>(host, server, std::move(settings));
}

}  // namespace sluice::proxy
