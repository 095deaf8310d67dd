// ServerContext: what all TLS sessions of a listener share: certificate, key, protocol versions,
// ALPN, ticket keys. Immutable once made, used from every worker at once; a new certificate is a
// new context.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "proxy/base/clock.h"

using SSL_CTX = struct ssl_ctx_st;

namespace sluice::tls {

// The keys that session tickets are sealed with, shared by all contexts and workers of a process
// so that any worker resumes what another began. Rotates by itself; thread-safe.
class TicketKeys;
std::shared_ptr<TicketKeys> make_ticket_keys();

struct ServerOptions {
  std::string certificate_pem;  // chain, leaf first
  std::string key_pem;
  bool allow_tls12 = false;
  std::vector<std::string> alpn;  // in order of preference, e.g. {"http/1.1"}
  std::string name;  // of the listener: binds tickets to it
};

class ServerContext {
 public:
  // The error is a sentence for the operator: which part is wrong and why (no key material).
  static std::expected<std::shared_ptr<const ServerContext>, std::string> make(
      const ServerOptions& options, std::shared_ptr<TicketKeys> ticket_keys);
  ~ServerContext();
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  // For tests and `check`: when the leaf certificate ends.
  WallTime expires() const;
  SSL_CTX* handle() const { return handle_; }

 private:
  explicit ServerContext(SSL_CTX* handle) : handle_(handle) {}
  SSL_CTX* handle_;
  std::shared_ptr<TicketKeys> ticket_keys_;
};

// A self-signed ECDSA P-256 certificate and key in PEM, for the demo and the tests.
struct SelfSigned {
  std::string certificate_pem;
  std::string key_pem;
};
SelfSigned make_self_signed(const std::vector<std::string>& dns_names_and_ips, int days);

}  // namespace sluice::tls
