// Certificates and keys that make_self_signed() doesn't make: other kinds, dates and chains.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <string>

namespace sluice::tls::test {

bssl::UniquePtr<EVP_PKEY> rsa_key(int bits);
bssl::UniquePtr<EVP_PKEY> ec_key(int curve_nid);
bssl::UniquePtr<EVP_PKEY> ed25519_key();

std::string pkcs8_pem(EVP_PKEY* key);
std::string encrypted_pkcs8_pem(EVP_PKEY* key);
std::string ec_pem(EVP_PKEY* key);
std::string rsa_pem(EVP_PKEY* key);

// A certificate over `key` by `issuer_key` for localhost. Times in seconds since 1970.
struct CertificateSpec {
  EVP_PKEY* key = nullptr;
  EVP_PKEY* issuer_key = nullptr;
  std::string subject = "leaf";
  std::string issuer = "root";
  bool authority = false;
  bool named = true;  // has a subjectAltName
  std::int64_t starts = 1'700'000'000;
  std::int64_t ends = 4'000'000'000;
};
std::string certificate_pem(const CertificateSpec& spec);

}  // namespace sluice::tls::test
