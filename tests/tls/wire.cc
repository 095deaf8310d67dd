#include "tests/tls/wire.h"

#include <algorithm>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::tls::test {

const SelfSigned& certificate() {
  static const SelfSigned made = make_self_signed({"localhost", "127.0.0.1", "::1"}, 30);
  return made;
}

ServerOptions server_options() {
  return {.certificate_pem = certificate().certificate_pem,
          .key_pem = certificate().key_pem,
          .alpn = {"http/1.1"},
          .name = "public"};
}

ClientOptions client_options() {
  return {.trust_anchors_pem = certificate().certificate_pem, .alpn = {"http/1.1"}};
}

std::shared_ptr<const ServerContext> make_server(const ServerOptions& options,
                                                 std::shared_ptr<TicketKeys> keys) {
  auto made = ServerContext::make(options, std::move(keys));
  SLUICE_CHECK(made.has_value());
  return *made;
}

std::shared_ptr<const ClientContext> make_client(const ClientOptions& options) {
  auto made = ClientContext::make(options);
  SLUICE_CHECK(made.has_value());
  return *made;
}

Chunker everything() {
  return [](std::size_t available) { return available; };
}

Wire::Wire(const ServerContext& server_context, const ClientContext& client_context,
           SavedSession saved, std::string server_name)
    : client(client_context, server_name, std::move(saved)), server(server_context) {
}

void Wire::run(const Chunker& to_server, const Chunker& to_client) {
  const auto deliver = [](std::string& stream, const Chunker& chunker, auto& session,
                          Collector& sink) {
    const std::string chunk = stream.substr(0, chunker(stream.size()));
    stream.erase(0, chunk.size());
    return session.receive(as_bytes(chunk), sink);
  };
  while (!at_client.ciphertext.empty() || !at_server.ciphertext.empty()) {
    if (!at_client.ciphertext.empty()) {
      server_status = deliver(at_client.ciphertext, to_server, server, at_server);
    }
    if (!at_server.ciphertext.empty()) {
      client_status = deliver(at_server.ciphertext, to_client, client, at_client);
    }
  }
}

bool Wire::shake_hands(const Chunker& to_server, const Chunker& to_client) {
  client_status = client.start(at_client);
  run(to_server, to_client);
  return client.handshake_done() && server.handshake_done() && client_status == Status::ok &&
         server_status == Status::ok;
}

Status Wire::client_sends(std::string_view text) {
  return client.send(as_bytes(text), at_client);
}
Status Wire::server_sends(std::string_view text) {
  return server.send(as_bytes(text), at_server);
}

}  // namespace sluice::tls::test
