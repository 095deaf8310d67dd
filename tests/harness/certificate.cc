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

// A certificate over `key` that says nothing but who it is for and how long it lives.
bssl::UniquePtr<X509> make_blank(EVP_PKEY* key, const std::string& common, long seconds_left) {
  static long serial = 0;
  bssl::UniquePtr<X509> certificate(X509_new());
  X509* raw = certificate.get();
  X509_set_version(raw, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(raw), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(raw), -3600);
  X509_gmtime_adj(X509_getm_notAfter(raw), seconds_left);
  X509_set_pubkey(raw, key);
  X509_NAME* subject = X509_get_subject_name(raw);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const std::uint8_t*>(common.data()),
                             static_cast<int>(common.size()), -1, 0);
  X509_set_issuer_name(raw, subject);
  return certificate;
}

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str()));
  SLUICE_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension.get(), -1);
}

CertificateFiles write(const std::string& directory, const std::string& name, X509* certificate,
                       EVP_PKEY* key) {
  bssl::UniquePtr<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  bssl::UniquePtr<BIO> key_pem(BIO_new(BIO_s_mem()));
  SLUICE_CHECK(PEM_write_bio_X509(certificate_pem.get(), certificate) == 1);
  SLUICE_CHECK(PEM_write_bio_PKCS8PrivateKey(key_pem.get(), key, nullptr, nullptr, 0, nullptr,
                                             nullptr) == 1);
  CertificateFiles files{directory + "/" + name + ".pem", directory + "/" + name + ".key"};
  write_file(files.certificate_file, text_of(certificate_pem.get()));
  write_file(files.key_file, text_of(key_pem.get()), 0600);
  return files;
}

bssl::UniquePtr<BIO> open_pem(const std::string& file) {
  bssl::UniquePtr<BIO> bio(BIO_new_file(file.c_str(), "r"));
  SLUICE_CHECK(bio != nullptr);
  return bio;
}

}  // namespace

CertificateFiles make_certificate(const std::string& directory, const std::string& name,
                                  const std::vector<std::string>& names) {
  bssl::UniquePtr<EVP_PKEY> key = make_key();
  bssl::UniquePtr<X509> certificate = make_blank(key.get(), names.front(), 30L * 24 * 3600);
  std::string alternatives = "IP:127.0.0.1";
  for (const std::string& dns : names) alternatives += ",DNS:" + dns;
  add_extension(certificate.get(), NID_subject_alt_name, alternatives);
  SLUICE_CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) != 0);
  return write(directory, name, certificate.get(), key.get());
}

CertificateFiles make_signed_certificate(const std::string& directory,
                                         const SignedCertificate& wanted) {
  bssl::UniquePtr<EVP_PKEY> key = make_key();
  bssl::UniquePtr<X509> certificate = make_blank(key.get(), wanted.name, wanted.seconds_left);
  if (!wanted.alternatives.empty()) {
    add_extension(certificate.get(), NID_subject_alt_name, wanted.alternatives);
  }
  if (wanted.authority) {
    add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  }
  if (!wanted.usage.empty()) add_extension(certificate.get(), NID_ext_key_usage, wanted.usage);
  bssl::UniquePtr<EVP_PKEY> issuer_key;
  if (wanted.issuer != nullptr) {
    const bssl::UniquePtr<X509> issuer(PEM_read_bio_X509(
        open_pem(wanted.issuer->certificate_file).get(), nullptr, nullptr, nullptr));
    issuer_key.reset(PEM_read_bio_PrivateKey(open_pem(wanted.issuer->key_file).get(), nullptr,
                                             nullptr, nullptr));
    SLUICE_CHECK(issuer != nullptr && issuer_key != nullptr);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  }
  EVP_PKEY* const by = issuer_key ? issuer_key.get() : key.get();
  SLUICE_CHECK(X509_sign(certificate.get(), by, EVP_sha256()) != 0);
  return write(directory, wanted.name, certificate.get(), key.get());
}

}  // namespace sluice::harness
