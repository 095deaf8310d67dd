// Writes the seeds of the fuzz target `tls`: what real sessions say. Usage: tls_fuzz_seeds FOLDER
#include <openssl/nid.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/tls/certificates.h"
#include "tests/tls/wire.h"

namespace {

using namespace sluice;
using namespace sluice::tls;
using namespace sluice::tls::test;

void write(const std::filesystem::path& folder, const char* name, char place, char piece,
           const std::string& bytes) {
  std::ofstream file(folder / name, std::ios::binary);
  file << place << piece << bytes;
}

std::string hello(const ClientContext& client, SavedSession saved = nullptr) {
  ClientSession session(client, "localhost", std::move(saved));
  Collector sink;
  session.start(sink);
  return sink.ciphertext;
}

std::string first_flight(const ServerContext& server, const ClientContext& client) {
  Session session(server);
  Collector sink;
  session.receive(as_bytes(hello(client)), sink);
  return sink.ciphertext;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);

  ServerOptions server_side = server_options();
  server_side.allow_tls12 = true;
  const auto server = make_server(server_side);
  ClientOptions client_side = client_options();
  const auto tls13 = make_client(client_side);
  client_side.versions = Versions::tls12;
  const auto tls12 = make_client(client_side);

  Wire wire(*server, *tls13);
  wire.shake_hands();
  wire.server_sends("an answer");
  wire.run();
  const std::string resuming = hello(*tls13, wire.client.take_saved_session());

  write(folder, "hello_tls13", 'S', 0, hello(*tls13));
  write(folder, "hello_tls13_in_pieces", 'S', 7, hello(*tls13));
  write(folder, "hello_resuming", 'S', 0, resuming);
  write(folder, "hello_tls12", 'T', 0, hello(*tls12));
  write(folder, "hello_tls12_where_refused", 'S', 0, hello(*tls12));
  write(folder, "plain_http", 'S', 0, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  write(folder, "alert", 'S', 0, std::string("\x15\x03\x03\x00\x02\x02\x28", 7));
  write(folder, "server_flight_tls13", 'C', 0, first_flight(*server, *tls13));
  write(folder, "server_flight_tls12", 'C', 0, first_flight(*server, *tls12));
  write(folder, "record_after_handshake", 'E', 0,
        std::string("\x17\x03\x03\x00\x14", 5) + std::string(20, 'r'));
  write(folder, "close_notify_in_the_clear", 'E', 0,
        std::string("\x15\x03\x03\x00\x02\x01\x00", 7));
  write(folder, "pem_chain_and_key", 'P', 0, certificate().certificate_pem + certificate().key_pem);
  write(folder, "pem_ec_key", 'P', 0, ec_pem(ec_key(NID_X9_62_prime256v1).get()));
  write(folder, "ticket", 'K', 0, std::string(100, 't'));
  return 0;
}
