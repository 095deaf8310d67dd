#include "tls/settings.h"

#include <fmt/format.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <span>

#include "proxy/base/check.h"
#include "tls/errors.h"

namespace sluice::tls {
namespace {

// Within brackets the client chooses: without AES instructions ChaCha20 is its better choice.
constexpr const char* kTls12Suites =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:"
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

constexpr std::size_t kProtocolNameMax = 255;

// A bundle of all public authorities has about 150.
constexpr int kTrustAnchorsMax = 1000;

void set_groups(SSL_CTX* context) {
  // X25519 before P-256: Debian's library is built without the fast P-256.
#ifdef SSL_GROUP_X25519_MLKEM768
  constexpr std::array<std::uint16_t, 3> groups{SSL_GROUP_X25519_MLKEM768, SSL_GROUP_X25519,
                                                SSL_GROUP_SECP256R1};
  SLUICE_CHECK(SSL_CTX_set1_group_ids(context, groups.data(), groups.size()) == 1);
#else
  constexpr std::array<int, 2> groups{NID_X25519, NID_X9_62_prime256v1};
  SLUICE_CHECK(SSL_CTX_set1_curves(context, groups.data(), groups.size()) == 1);
#endif
}

}  // namespace

void set_protocol(SSL_CTX* context, Versions versions) {
  SLUICE_CHECK(SSL_CTX_set_min_proto_version(
                   context, versions == Versions::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1);
  SLUICE_CHECK(SSL_CTX_set_max_proto_version(
                   context, versions == Versions::tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1);
  SLUICE_CHECK(SSL_CTX_set_strict_cipher_list(context, kTls12Suites) == 1);
  set_groups(context);
}

std::expected<std::vector<Certificate>, std::string> trust(SSL_CTX* context,
                                                           std::string_view anchors_pem,
                                                           std::string_view what) {
  auto anchors = parse_certificates(anchors_pem, what, kTrustAnchorsMax);
  if (!anchors) return anchors;
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const Certificate& anchor : *anchors) {
    if (X509_STORE_add_cert(store, anchor.get()) != 1) {
      return std::unexpected(fmt::format("{}: one can't be used ({})", what, take_error()));
    }
  }
  // An anchor need not be self-signed.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  return anchors;
}

std::expected<std::string, std::string> encode_alpn(const std::vector<std::string>& names) {
  std::string encoded;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > kProtocolNameMax) {
      return std::unexpected(fmt::format("alpn: a protocol's name has 1 to {} bytes, not {}",
                                         kProtocolNameMax, name.size()));
    }
    encoded.push_back(static_cast<char>(name.size()));
    encoded.append(name);
  }
  return encoded;
}

std::expected<void, std::string> use_identity(SSL_CTX* context,
                                              const std::vector<Certificate>& chain,
                                              const PrivateKey& key) {
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) {
    return std::unexpected(
        fmt::format("certificate: the leaf can't be used for TLS ({})", take_error()));
  }
  for (const Certificate& issuer : std::span(chain).subspan(1)) {
    SLUICE_CHECK(SSL_CTX_add1_chain_cert(context, issuer.get()) == 1);
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return std::unexpected(fmt::format("key: can't be used for TLS ({})", take_error()));
  }
  return {};
}

}  // namespace sluice::tls
