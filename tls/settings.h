// What both sides set on an SSL_CTX in the same way. Private to this room.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "tls/context.h"
#include "tls/pem.h"

namespace sluice::tls {

// Protocol versions, cipher suites (for TLS 1.2: ECDHE with an AEAD, RFC 9325 section 4.2; those of
// TLS 1.3 can't be chosen) and key exchange groups.
void set_protocol(SSL_CTX* context, Versions versions);

// Takes the peer's certificate by these, PEM, and gives them back. `what` opens every error.
std::expected<std::vector<Certificate>, std::string> trust(SSL_CTX* context,
                                                           std::string_view anchors_pem,
                                                           std::string_view what);

// The names as RFC 7301 section 3.1 wants them, or the error for the operator.
std::expected<std::string, std::string> encode_alpn(const std::vector<std::string>& names);

// Who we are to the other side. `chain` is not empty and belongs to `key` (check_pair()).
std::expected<void, std::string> use_identity(SSL_CTX* context,
                                              const std::vector<Certificate>& chain,
                                              const PrivateKey& key);

}  // namespace sluice::tls
