#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>

#include "proxy/base/check.h"
#include "tls/context.h"

namespace sluice::tls {
namespace {

// Peers whose clock is a little behind ours can use the certificate at once.
constexpr long kStartsBeforeSeconds = 60 * 60;
// RFC 5280, upper bound of a common name.
constexpr std::size_t kCommonNameMax = 64;

bssl::UniquePtr<EVP_PKEY> make_key() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  SLUICE_CHECK(EC_KEY_generate_key(ec.get()) == 1);
  SLUICE_CHECK(EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1);
  return key;
}

void set_serial(X509* certificate) {
  std::array<std::uint8_t, 16> bytes;
  RAND_bytes(bytes.data(), bytes.size());
  // Positive, and of one length (RFC 5280 section 4.1.2.2).
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x3f) | 0x40);
  const bssl::UniquePtr<BIGNUM> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  const bssl::UniquePtr<ASN1_INTEGER> serial(BN_to_ASN1_INTEGER(number.get(), nullptr));
  SLUICE_CHECK(X509_set_serialNumber(certificate, serial.get()) == 1);
}

void set_name(X509* certificate, const std::string& first_name) {
  const std::string text = first_name.size() <= kCommonNameMax ? first_name : "sluice";
  const bssl::UniquePtr<X509_NAME> name(X509_NAME_new());
  SLUICE_CHECK(X509_NAME_add_entry_by_txt(name.get(), "CN", MBSTRING_UTF8,
                                          reinterpret_cast<const std::uint8_t*>(text.data()),
                                          static_cast<int>(text.size()), -1, 0) == 1);
  SLUICE_CHECK(X509_set_subject_name(certificate, name.get()) == 1);
  SLUICE_CHECK(X509_set_issuer_name(certificate, name.get()) == 1);
}

void add_extension(X509* certificate, int nid, void* value, bool critical) {
  SLUICE_CHECK(X509_add1_ext_i2d(certificate, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) ==
               1);
}

void add_alternative_names(X509* certificate, const std::vector<std::string>& names) {
  const bssl::UniquePtr<STACK_OF(GENERAL_NAME)> list(sk_GENERAL_NAME_new_null());
  for (const std::string& name : names) {
    bssl::UniquePtr<GENERAL_NAME> entry(GENERAL_NAME_new());
    if (ASN1_OCTET_STRING* ip = a2i_IPADDRESS(name.c_str()); ip != nullptr) {
      GENERAL_NAME_set0_value(entry.get(), GEN_IPADD, ip);
    } else {
      ASN1_IA5STRING* dns = ASN1_IA5STRING_new();
      SLUICE_CHECK(ASN1_STRING_set(dns, name.data(), static_cast<int>(name.size())) == 1);
      GENERAL_NAME_set0_value(entry.get(), GEN_DNS, dns);
    }
    SLUICE_CHECK(bssl::PushToStack(list.get(), std::move(entry)));
  }
  add_extension(certificate, NID_subject_alt_name, list.get(), false);
}

// What makes it a server's certificate and nobody's authority.
void add_usage(X509* certificate) {
  const bssl::UniquePtr<BASIC_CONSTRAINTS> no_ca(BASIC_CONSTRAINTS_new());
  add_extension(certificate, NID_basic_constraints, no_ca.get(), true);

  constexpr int kDigitalSignature = 0;  // RFC 5280 section 4.2.1.3
  const bssl::UniquePtr<ASN1_BIT_STRING> usage(ASN1_BIT_STRING_new());
  SLUICE_CHECK(ASN1_BIT_STRING_set_bit(usage.get(), kDigitalSignature, 1) == 1);
  add_extension(certificate, NID_key_usage, usage.get(), true);

  const bssl::UniquePtr<STACK_OF(ASN1_OBJECT)> purposes(sk_ASN1_OBJECT_new_null());
  SLUICE_CHECK(bssl::PushToStack(
      purposes.get(), bssl::UniquePtr<ASN1_OBJECT>(OBJ_dup(OBJ_nid2obj(NID_server_auth)))));
  add_extension(certificate, NID_ext_key_usage, purposes.get(), false);
}

std::string contents(BIO* bio) {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  SLUICE_CHECK(BIO_mem_contents(bio, &data, &size) == 1);
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

SelfSigned make_self_signed(const std::vector<std::string>& dns_names_and_ips, int days) {
  SLUICE_CHECK(!dns_names_and_ips.empty());
  const bssl::UniquePtr<EVP_PKEY> key = make_key();
  const bssl::UniquePtr<X509> certificate(X509_new());
  SLUICE_CHECK(X509_set_version(certificate.get(), 2) == 1);  // which is v3
  set_serial(certificate.get());
  set_name(certificate.get(), dns_names_and_ips.front());
  const std::time_t now = std::time(nullptr);
  SLUICE_CHECK(ASN1_TIME_adj(X509_getm_notBefore(certificate.get()), now, 0,
                             -kStartsBeforeSeconds) != nullptr);
  SLUICE_CHECK(ASN1_TIME_adj(X509_getm_notAfter(certificate.get()), now, days, 0) != nullptr);
  add_alternative_names(certificate.get(), dns_names_and_ips);
  add_usage(certificate.get());
  SLUICE_CHECK(X509_set_pubkey(certificate.get(), key.get()) == 1);
  SLUICE_CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) != 0);

  const bssl::UniquePtr<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  SLUICE_CHECK(PEM_write_bio_X509(certificate_pem.get(), certificate.get()) == 1);
  const bssl::UniquePtr<BIO> key_pem(BIO_new(BIO_s_mem()));
  SLUICE_CHECK(PEM_write_bio_PKCS8PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                             nullptr) == 1);
  return {.certificate_pem = contents(certificate_pem.get()), .key_pem = contents(key_pem.get())};
}

}  // namespace sluice::tls
