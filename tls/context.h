// ServerContext: what all TLS sessions of a listener share: certificate, key, protocol versions,
// ALPN, ticket keys. Immutable once made, used from every worker at once; a new certificate is a
// new context. Sessions keep it alive: the owner may let go of it before they end.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/clock.h"

// BoringSSL's own type; <openssl/…> stays inside tls/.
using SSL_CTX = struct ssl_ctx_st;

namespace sluice::tls {

// The keys that session tickets are sealed with (RFC 8446 section 4.6.1), shared by all contexts
// and workers of a process so that any worker resumes what another began. Rotates by itself;
// thread-safe. See tls/ticket_keys.h.
class TicketKeys;
std::shared_ptr<TicketKeys> make_ticket_keys();

// More certificates than this in one chain, leaf included, are refused.
inline constexpr int kChainLengthMax = 10;
// More authorities for clients' certificates are refused: each is named in every handshake.
inline constexpr int kClientCasMax = 100;
// Longer PEM texts are refused.
inline constexpr std::size_t kPemBytesMax = 4 * 1024 * 1024;
// Shorter RSA keys are refused: clients refuse them too.
inline constexpr int kRsaBitsMin = 2048;
// Session tickets sent after a full or resumed handshake under TLS 1.3.
inline constexpr int kTicketsPerHandshake = 2;

enum class Versions { tls12, tls12_or_tls13, tls13 };

struct ServerOptions {
  std::string certificate_pem;  // chain, leaf first
  std::string key_pem;          // PKCS#8, EC or RSA; EC, RSA or Ed25519; not encrypted
  bool allow_tls12 = false;
  // In order of preference, e.g. {"http/1.1"}. Empty: what the client offers is ignored.
  // Otherwise a client that offers protocols, none of them here, is refused with the alert
  // no_application_protocol (RFC 7301 section 3.2).
  std::vector<std::string> alpn;
  std::string name;  // of the listener: binds tickets to it, and to the leaf certificate
  // Who may have signed clients' certificates, PEM; empty: clients are not asked for one. A
  // certificate that is shown must be good: signed by one of these, within its dates, and for
  // client authentication where it says what it is for. Tickets are bound to this as well.
  std::string client_ca_pem;
  bool client_certificate_required = false;  // refuse clients that show none
  // Whether later connections may go on from earlier ones. What was verified of a client's
  // certificate then holds for as long as tickets live.
  bool resumption = true;
};

class ServerContext : public std::enable_shared_from_this<ServerContext> {
 public:
  // The error is a sentence for the operator: which part is wrong and why (no key material).
  // Dates are not judged: see validity_warning().
  static std::expected<std::shared_ptr<const ServerContext>, std::string> make(
      const ServerOptions& options, std::shared_ptr<TicketKeys> ticket_keys);
  ~ServerContext();
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  // For tests and `check`: when the leaf certificate ends.
  WallTime expires() const { return expires_; }
  // A sentence for the operator where `now` is outside the leaf certificate's dates; else empty.
  std::string validity_warning(WallTime now) const;
  // What the leaf certificate is good for: DNS names in lower case, `*.` and all, and IP addresses
  // as Address writes them. Empty: it names none.
  const std::vector<std::string>& names() const { return names_; }
  // Whether it is good for `host` (lower case, no port; IPv6 in brackets), as RFC 9525
  // section 6.3 has it: `*` stands for one whole label, the first. One that names none may be
  // meant for anything.
  bool matches(std::string_view host) const;
  SSL_CTX* handle() const { return handle_; }

 private:
  struct Shared;  // what BoringSSL's callbacks need
  ServerContext(SSL_CTX* handle, std::unique_ptr<Shared> shared);

  SSL_CTX* handle_;  // one reference
  std::unique_ptr<Shared> shared_;
  std::vector<std::string> names_;
  WallTime starts_;
  WallTime expires_;
};

// A self-signed ECDSA P-256 certificate and key (PKCS#8) in PEM, for the demo and the tests. It is
// no CA, and clients can take it as their trust anchor (`curl --cacert`). At least one name.
struct SelfSigned {
  std::string certificate_pem;
  std::string key_pem;
};
SelfSigned make_self_signed(const std::vector<std::string>& dns_names_and_ips, int days);

}  // namespace sluice::tls
