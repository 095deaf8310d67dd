#include "tests/tls/certificates.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <functional>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::tls::test {
namespace {

std::string written(const std::function<int(BIO*)>& write) {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  SLUICE_CHECK(write(bio.get()) == 1);
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  SLUICE_CHECK(BIO_mem_contents(bio.get(), &data, &size) == 1);
  return {reinterpret_cast<const char*>(data), size};
}

bssl::UniquePtr<X509_NAME> name(const std::string& text) {
  bssl::UniquePtr<X509_NAME> made(X509_NAME_new());
  SLUICE_CHECK(X509_NAME_add_entry_by_txt(made.get(), "CN", MBSTRING_UTF8,
                                          reinterpret_cast<const std::uint8_t*>(text.data()),
                                          static_cast<int>(text.size()), -1, 0) == 1);
  return made;
}

}  // namespace

bssl::UniquePtr<EVP_PKEY> rsa_key(int bits) {
  const bssl::UniquePtr<BIGNUM> exponent(BN_new());
  BN_set_word(exponent.get(), RSA_F4);
  const bssl::UniquePtr<RSA> rsa(RSA_new());
  SLUICE_CHECK(RSA_generate_key_ex(rsa.get(), bits, exponent.get(), nullptr) == 1);
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  SLUICE_CHECK(EVP_PKEY_set1_RSA(key.get(), rsa.get()) == 1);
  return key;
}

bssl::UniquePtr<EVP_PKEY> ec_key(int curve_nid) {
  const bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve_nid));
  SLUICE_CHECK(EC_KEY_generate_key(ec.get()) == 1);
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  SLUICE_CHECK(EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1);
  return key;
}

bssl::UniquePtr<EVP_PKEY> ed25519_key() {
  const bssl::UniquePtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
  EVP_PKEY* key = nullptr;
  SLUICE_CHECK(EVP_PKEY_keygen_init(context.get()) == 1);
  SLUICE_CHECK(EVP_PKEY_keygen(context.get(), &key) == 1);
  return bssl::UniquePtr<EVP_PKEY>(key);
}

std::string pkcs8_pem(EVP_PKEY* key) {
  return written([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string encrypted_pkcs8_pem(EVP_PKEY* key) {
  static char passphrase[] = "secret";
  return written([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), passphrase,
                                         sizeof(passphrase) - 1, nullptr, nullptr);
  });
}

std::string ec_pem(EVP_PKEY* key) {
  return written([&](BIO* bio) {
    return PEM_write_bio_ECPrivateKey(bio, EVP_PKEY_get0_EC_KEY(key), nullptr, nullptr, 0, nullptr,
                                      nullptr);
  });
}

std::string rsa_pem(EVP_PKEY* key) {
  return written([&](BIO* bio) {
    return PEM_write_bio_RSAPrivateKey(bio, EVP_PKEY_get0_RSA(key), nullptr, nullptr, 0, nullptr,
                                       nullptr);
  });
}

std::string certificate_pem(const CertificateSpec& spec) {
  const bssl::UniquePtr<X509> certificate(X509_new());
  X509* x509 = certificate.get();
  SLUICE_CHECK(X509_set_version(x509, 2) == 1);
  const bssl::UniquePtr<ASN1_INTEGER> serial(ASN1_INTEGER_new());
  ASN1_INTEGER_set(serial.get(), 7);
  X509_set_serialNumber(x509, serial.get());
  X509_set_subject_name(x509, name(spec.subject).get());
  X509_set_issuer_name(x509, name(spec.issuer).get());
  SLUICE_CHECK(ASN1_TIME_adj(X509_getm_notBefore(x509), spec.starts, 0, 0) != nullptr);
  SLUICE_CHECK(ASN1_TIME_adj(X509_getm_notAfter(x509), spec.ends, 0, 0) != nullptr);
  SLUICE_CHECK(X509_set_pubkey(x509, spec.key) == 1);

  const bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  // DER knows TRUE as 0xff only.
  constraints->ca = spec.authority ? 0xff : 0;
  X509_add1_ext_i2d(x509, NID_basic_constraints, constraints.get(), 1, X509V3_ADD_DEFAULT);
  const bssl::UniquePtr<STACK_OF(GENERAL_NAME)> names(sk_GENERAL_NAME_new_null());
  bssl::UniquePtr<GENERAL_NAME> entry(GENERAL_NAME_new());
  ASN1_IA5STRING* dns = ASN1_IA5STRING_new();
  ASN1_STRING_set(dns, "localhost", 9);
  GENERAL_NAME_set0_value(entry.get(), GEN_DNS, dns);
  SLUICE_CHECK(bssl::PushToStack(names.get(), std::move(entry)));
  if (spec.named) {
    X509_add1_ext_i2d(x509, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT);
  }

  const bool ed25519 = EVP_PKEY_id(spec.issuer_key) == EVP_PKEY_ED25519;
  SLUICE_CHECK(X509_sign(x509, spec.issuer_key, ed25519 ? nullptr : EVP_sha256()) != 0);
  return written([&](BIO* bio) { return PEM_write_bio_X509(bio, x509); });
}

}  // namespace sluice::tls::test
