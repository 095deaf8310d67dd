#include "tests/harness/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "proxy/base/check.h"
#include "tests/harness/net.h"

namespace sluice::harness {
namespace {

bssl::UniquePtr<EVP_PKEY> make_key() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  SLUICE_CHECK(EC_KEY_generate_key(ec.get()) == 1);
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  SLUICE_CHECK(EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1);
  return key;
}

std::string text_of(BIO* bio) {
  const std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  SLUICE_CHECK(BIO_mem_contents(bio, &bytes, &size) == 1);
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

CertificateFiles make_certificate(const std::string& directory, const std::string& name,
                                  const std::vector<std::string>& names) {
  bssl::UniquePtr<EVP_PKEY> key = make_key();
  bssl::UniquePtr<X509> certificate(X509_new());
  X509* raw = certificate.get();
  X509_set_version(raw, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(raw), 1);
  X509_gmtime_adj(X509_getm_notBefore(raw), -3600);
  X509_gmtime_adj(X509_getm_notAfter(raw), 30 * 24 * 3600);
  X509_set_pubkey(raw, key.get());
  X509_NAME* subject = X509_get_subject_name(raw);
  const std::string& common = names.front();
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const std::uint8_t*>(common.data()),
                             static_cast<int>(common.size()), -1, 0);
  X509_set_issuer_name(raw, subject);

  std::string alternatives = "IP:127.0.0.1";
  for (const std::string& dns : names) alternatives += ",DNS:" + dns;
  X509V3_CTX context;
  X509V3_set_ctx(&context, raw, raw, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, NID_subject_alt_name, alternatives.c_str()));
  SLUICE_CHECK(extension != nullptr);
  X509_add_ext(raw, extension.get(), -1);
  SLUICE_CHECK(X509_sign(raw, key.get(), EVP_sha256()) != 0);

  bssl::UniquePtr<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  bssl::UniquePtr<BIO> key_pem(BIO_new(BIO_s_mem()));
  SLUICE_CHECK(PEM_write_bio_X509(certificate_pem.get(), raw) == 1);
  SLUICE_CHECK(PEM_write_bio_PKCS8PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                             nullptr) == 1);
  CertificateFiles files{directory + "/" + name + ".pem", directory + "/" + name + ".key"};
  write_file(files.certificate_file, text_of(certificate_pem.get()));
  write_file(files.key_file, text_of(key_pem.get()), 0600);
  return files;
}

}  // namespace sluice::harness
