// Bytes from a stranger, into every place of tls/ that takes them. The first byte of the input says
// which place, the second how the rest is cut: 0 for all at once, otherwise into pieces of so many
// bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/bytes.h"
#include "proxy/base/check.h"
#include "tls/client_session.h"
#include "tls/context.h"
#include "tls/session.h"
#include "tls/ticket_keys.h"

namespace {

using namespace sluice;
using namespace sluice::tls;

struct Collector final : SessionSink {
  void on_plaintext(Bytes bytes) override { plaintext += as_text(bytes); }
  void on_ciphertext(Bytes bytes) override { ciphertext += as_text(bytes); }
  std::string plaintext;
  std::string ciphertext;
};

std::shared_ptr<const ServerContext> make_server(bool allow_tls12) {
  static const SelfSigned certificate = make_self_signed({"localhost"}, 30);
  auto made = ServerContext::make({.certificate_pem = certificate.certificate_pem,
                                   .key_pem = certificate.key_pem,
                                   .allow_tls12 = allow_tls12,
                                   .alpn = {"h2", "http/1.1"},
                                   .name = "fuzz"},
                                  make_ticket_keys());
  SLUICE_CHECK(made.has_value());
  return *made;
}

const ClientContext& client_context() {
  static const auto context = *ClientContext::make(
      {.insecure = true, .versions = Versions::tls12_or_tls13, .alpn = {"http/1.1"}});
  return *context;
}

// Whatever comes, the session says so in order: nothing after `failed` but `failed`, with a reason,
// and no plaintext that no peer with the keys has sent.
template <typename AnySession>
void feed(AnySession& session, std::string_view input, std::size_t piece) {
  Collector sink;
  auto last = Session::Status::ok;
  while (!input.empty()) {
    const std::string_view now = input.substr(0, piece == 0 ? input.size() : piece);
    input.remove_prefix(now.size());
    const auto status = session.receive(as_bytes(now), sink);
    SLUICE_CHECK(last == Session::Status::ok || status == last);
    SLUICE_CHECK((status == Session::Status::failed) == !session.failure().empty());
    last = status;
  }
  SLUICE_CHECK(sink.plaintext.empty());
  session.close(sink);
}

void into_server(bool allow_tls12, std::string_view input, std::size_t piece) {
  static const std::shared_ptr<const ServerContext> contexts[] = {make_server(false),
                                                                  make_server(true)};
  Session session(*contexts[allow_tls12 ? 1 : 0]);
  feed(session, input, piece);
  SLUICE_CHECK(!session.handshake_done());
}

void into_client(std::string_view input, std::size_t piece) {
  ClientSession session(client_context(), "localhost");
  Collector sink;
  SLUICE_CHECK(session.start(sink) == Session::Status::ok);
  feed(session, input, piece);
}

// After the handshake: only the peer has the keys, so nothing but an error comes of it.
void into_established(std::string_view input, std::size_t piece) {
  static const auto context = make_server(true);
  Session server(*context);
  ClientSession client(client_context(), "localhost");
  Collector at_client;
  Collector at_server;
  client.start(at_client);
  while (!at_client.ciphertext.empty() || !at_server.ciphertext.empty()) {
    server.receive(as_bytes(std::exchange(at_client.ciphertext, {})), at_server);
    client.receive(as_bytes(std::exchange(at_server.ciphertext, {})), at_client);
  }
  SLUICE_CHECK(server.handshake_done());
  feed(server, input, piece);
}

void into_pem(std::string_view input) {
  const std::string text(input);
  static const auto keys = make_ticket_keys();
  const auto made =
      ServerContext::make({.certificate_pem = text, .key_pem = text, .name = "fuzz"}, keys);
  if (!made) SLUICE_CHECK(!made.error().empty());
  static const SelfSigned good = make_self_signed({"localhost"}, 30);
  const auto key_only = ServerContext::make(
      {.certificate_pem = good.certificate_pem, .key_pem = text, .name = "fuzz"}, keys);
  SLUICE_CHECK(!key_only && key_only.error().starts_with("key: "));
}

void into_ticket(std::string_view input) {
  static const auto keys = make_ticket_keys();
  std::vector<std::uint8_t> out(input.size());
  SLUICE_CHECK(
      !keys->open({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()}, out));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t piece = data[1];
  switch (data[0]) {
    case 'S':
      into_server(false, input, piece);
      break;
    case 'T':
      into_server(true, input, piece);
      break;
    case 'C':
      into_client(input, piece);
      break;
    case 'E':
      into_established(input, piece);
      break;
    case 'P':
      into_pem(input);
      break;
    case 'K':
      into_ticket(input);
      break;
    default:
      break;
  }
  return 0;
}
