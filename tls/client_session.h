// ClientSession: a Session's other side: one TLS connection to a server, without its socket.
// For connections to servers over TLS, the load tools and the tests.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tls/session.h"

// BoringSSL's own type.
using SSL_SESSION = struct ssl_session_st;

namespace sluice::tls {

struct ClientOptions {
  std::string trust_anchors_pem;  // a server's chain must end in one of them, or be one itself
  // Any certificate will do, for tests and load tools: then no anchors and no name are needed.
  bool insecure = false;
  Versions versions = Versions::tls13;
  std::vector<std::string> alpn;  // in order of preference
  // Shown to a server that asks for one; both empty: none is. Chain, leaf first; PKCS#8, EC or RSA.
  std::string certificate_pem;
  std::string key_pem;

  bool operator==(const ClientOptions&) const = default;
};

// What all sessions towards one kind of server share. Immutable once made, thread-safe.
class ClientContext : public std::enable_shared_from_this<ClientContext> {
 public:
  // The error is a sentence for the operator.
  static std::expected<std::shared_ptr<const ClientContext>, std::string> make(
      const ClientOptions& options);
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  bool insecure() const { return options_.insecure; }
  // What it was made of.
  const ClientOptions& options() const { return options_; }
  SSL_CTX* handle() const { return handle_; }

 private:
  ClientContext(SSL_CTX* handle, const ClientOptions& options)
      : handle_(handle), options_(options) {}
  SSL_CTX* handle_;  // one reference
  const ClientOptions options_;
};

// What resumes a session with the same server through the same context. Under TLS 1.3 to be used
// once (RFC 8446 appendix C.4). Null: there is none.
using SavedSession = std::shared_ptr<SSL_SESSION>;

class ClientSession final : public Session {
 public:
  // `server_name` is what the certificate must be good for: a DNS name, which is also sent as SNI
  // (RFC 6066 section 3), or an IP address, which isn't. May be empty with an insecure context
  // only; a name that no certificate could carry fails the session.
  ClientSession(const ClientContext& context, const std::string& server_name,
                SavedSession saved = nullptr);

  // Sends the ClientHello. Once, before anything else.
  Status start(SessionSink& sink);
  // The newest that the server has given, which is given out once. Under TLS 1.3 it comes with the
  // server's first bytes after the handshake.
  SavedSession take_saved_session();
};

}  // namespace sluice::tls
