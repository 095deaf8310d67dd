// Certificates and keys from PEM, with errors for the operator. Private to this room.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/clock.h"

// BoringSSL's own types.
using X509 = struct x509_st;
using EVP_PKEY = struct evp_pkey_st;
using ASN1_TIME = struct asn1_string_st;

namespace sluice::tls {

struct CertificateDeleter {
  void operator()(X509* certificate) const;
};
struct KeyDeleter {
  void operator()(EVP_PKEY* key) const;
};
using Certificate = std::unique_ptr<X509, CertificateDeleter>;
using PrivateKey = std::unique_ptr<EVP_PKEY, KeyDeleter>;

// All certificates in `pem`, in its order: at least one, at most `count_max`. Other blocks and text
// between them are passed over. `what` opens every error: "certificate", "trust anchors".
std::expected<std::vector<Certificate>, std::string> parse_certificates(std::string_view pem,
                                                                        std::string_view what,
                                                                        int count_max);
// The first private key in `pem`, of a kind and size that can serve TLS.
std::expected<PrivateKey, std::string> parse_private_key(std::string_view pem);
// Whether they belong together: nothing, or the error. `chain` is not empty.
std::expected<void, std::string> check_pair(const std::vector<Certificate>& chain,
                                            const PrivateKey& key);

// The DNS names (lower case) and IP addresses in the certificate's subjectAltName.
std::vector<std::string> names_of(X509* certificate);

// What a client's certificate says of its holder: DNS names, IP addresses, e-mail addresses and
// URIs in the subjectAltName, then the subject's common name.
std::vector<std::string> holder_names_of(X509* certificate);

// The nearest that WallTime can say where it can't reach so far.
WallTime to_wall_time(const ASN1_TIME* time);

}  // namespace sluice::tls
