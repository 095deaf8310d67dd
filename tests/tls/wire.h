// A client and a server session joined by memory, for the tests of tls/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tls/client_session.h"
#include "tls/context.h"
#include "tls/session.h"

namespace sluice::tls::test {

using Status = Session::Status;

// Keeps what a session hands over. Bytes meant for the peer are taken by the wire.
struct Collector final : SessionSink {
  void on_plaintext(Bytes bytes) override { plaintext += as_text(bytes); }
  void on_ciphertext(Bytes bytes) override { ciphertext += as_text(bytes); }

  std::string plaintext;
  std::string ciphertext;
};

// One certificate for all tests of a process: `localhost`, 127.0.0.1 and ::1.
const SelfSigned& certificate();
ServerOptions server_options();
ClientOptions client_options();  // trusts certificate()
std::shared_ptr<const ServerContext> make_server(
    const ServerOptions& options, std::shared_ptr<TicketKeys> keys = make_ticket_keys());
std::shared_ptr<const ClientContext> make_client(const ClientOptions& options);

// How many of the `available` bytes the wire delivers next; at least one.
using Chunker = std::function<std::size_t(std::size_t available)>;
Chunker everything();

struct Wire {
  Wire(const ServerContext& server_context, const ClientContext& client_context,
       SavedSession saved = nullptr, std::string server_name = "localhost");

  // Carries bytes both ways until neither side has more to say.
  void run(const Chunker& to_server = everything(), const Chunker& to_client = everything());
  // Starts and runs; true if both sides shook hands.
  bool shake_hands(const Chunker& to_server = everything(),
                   const Chunker& to_client = everything());
  // Encrypted by one side, waiting on the wire.
  Status client_sends(std::string_view text);
  Status server_sends(std::string_view text);

  ClientSession client;
  Session server;
  Collector at_client;
  Collector at_server;
  Status client_status = Status::ok;
  Status server_status = Status::ok;
};

}  // namespace sluice::tls::test
