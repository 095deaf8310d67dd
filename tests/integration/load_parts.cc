#include "tests/integration/load_parts.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <map>

#include "tests/harness/pattern.h"

namespace sluice::integration {

using harness::H2Client;
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

std::string run(const SerialLoad& load, const harness::Endpoint& endpoint,
                const std::atomic<bool>& running) {
  std::unique_ptr<HttpClient> client;
  while (running) {
    if (!client) {
      auto made = HttpClient::connect(
          endpoint, {.tls = load.tls ? std::optional(harness::ClientTls{}) : std::nullopt});
      if (!made) return made.error();
      client = std::move(*made);
    }
    std::size_t expected = 0;
    const harness::Response response = load.ask(*client, expected);
    if (!response.complete() || response.status != 200 || response.body_size != expected) {
      return "HTTP/1: " + response.summary();
    }
    load.on_whole();
    // After limits.requests_per_connection another connection is due.
    if (response.fields.lists("Connection", "close")) client.reset();
  }
  return {};
}

std::string run(const EchoLoad& load, const std::atomic<bool>& running) {
  auto client = load.connect();
  std::map<std::uint32_t, std::size_t> sizes;  // of the uploads under way, by stream
  while (running || !sizes.empty()) {
    // After limits.requests_per_connection a GOAWAY asks for another connection.
    if (client && sizes.empty() && (*client)->go_away()) client = load.connect();
    if (!client) return client.error();
    while (running && !(*client)->go_away() && sizes.size() < 8) {
      EchoLoad::Upload upload = load.next();
      const std::uint32_t stream = (*client)->begin(
          {.method = "POST", .target = "/echo", .fields = std::move(upload.fields), .end = false});
      (*client)->put(stream, harness::pattern(upload.size), true);
      sizes.emplace(stream, upload.size);
    }
    if (!(*client)->step(harness::Deadline(harness::milliseconds(100)))) {
      return "an HTTP/2 connection ended: " + (*client)->violation();
    }
    for (auto each = sizes.begin(); each != sizes.end();) {
      if (!(*client)->over(each->first)) {
        ++each;
        continue;
      }
      const harness::H2Response response = (*client)->finish(each->first);
      if (!response.complete() || response.status != 200 || response.body_size != each->second) {
        return load.name + ": " + response.summary();
      }
      load.on_whole();
      each = sizes.erase(each);
    }
  }
  return {};
}

}  // namespace sluice::integration
