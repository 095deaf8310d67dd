#include "tests/integration/load_parts.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>

namespace sluice::integration {

using harness::HttpClient;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::expected<std::unique_ptr<HttpClient>, std::string> open_tunnel(
    const harness::Endpoint& endpoint, const std::string& host) {
  auto client = HttpClient::connect(endpoint);
  if (!client) return client;
  (*client)->send("GET /tunnel HTTP/1.1\r\nHost: " + host +
                  "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Version: 13\r\n\r\n");
  const harness::Response opened = (*client)->read_response({.interim_too = true});
  if (opened.status != 101) return std::unexpected("WebSocket: " + opened.summary());
  return client;
}

std::string carry(HttpClient& tunnel, const std::string& message) {
  tunnel.send(message);
  std::string echoed(message.size(), '\0');
  for (std::size_t got = 0; got < echoed.size();) {
    pollfd readable{.fd = tunnel.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, 30'000) != 1) return "a WebSocket is stuck";
    const ssize_t n = ::recv(tunnel.fd(), echoed.data() + got, echoed.size() - got, 0);
    if (n <= 0) return "a WebSocket was cut";
    got += static_cast<std::size_t>(n);
  }
  return echoed == message ? "" : "a WebSocket brought back something else";
}

}  // namespace sluice::integration
