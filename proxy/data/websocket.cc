#include "proxy/data/websocket.h"

#include "tls/digest.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kKeyBytes = 16;
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

}  // namespace

std::string make_websocket_key() {
  return tls::random_base64(kKeyBytes);
}

std::string websocket_accept_for(std::string_view key) {
  return tls::sha1_base64(std::string(key).append(kGuid));
}

}  // namespace sluice::proxy
