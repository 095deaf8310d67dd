#include "tls/pem.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>

#include "proxy/base/address.h"
#include "proxy/base/check.h"
#include "tls/context.h"
#include "tls/errors.h"

namespace sluice::tls {
namespace {

bssl::UniquePtr<BIO> reader(std::string_view pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  SLUICE_CHECK(bio != nullptr);
  return bio;
}

bool last_error_is(int reason) {
  const std::uint32_t error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == reason;
}

// Never asks a terminal for a passphrase; 0 would be an empty one.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

std::expected<void, std::string> check_kind(const EVP_PKEY* key) {
  switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_RSA:
      if (EVP_PKEY_bits(key) < kRsaBitsMin) {
        return std::unexpected(
            fmt::format("key: RSA with {} bits is too short for clients to accept; at least {}",
                        EVP_PKEY_bits(key), kRsaBitsMin));
      }
      return {};
    case EVP_PKEY_ED25519:
      return {};
    case EVP_PKEY_EC: {
      const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
      if (curve == NID_X9_62_prime256v1 || curve == NID_secp384r1 || curve == NID_secp521r1) {
        return {};
      }
      return std::unexpected("key: its elliptic curve is none that TLS uses; P-256 would be right");
    }
    default:
      return std::unexpected(
          "key: of a kind that can't serve TLS; EC (P-256) or RSA would be right");
  }
}

}  // namespace

void CertificateDeleter::operator()(X509* certificate) const {
  X509_free(certificate);
}
void KeyDeleter::operator()(EVP_PKEY* key) const {
  EVP_PKEY_free(key);
}

std::expected<std::vector<Certificate>, std::string> parse_certificates(std::string_view pem,
                                                                        std::string_view what,
                                                                        int count_max) {
  ERR_clear_error();
  if (pem.size() > kPemBytesMax) {
    return std::unexpected(
        fmt::format("{}: {} bytes are too many, at most {}", what, pem.size(), kPemBytesMax));
  }
  std::vector<Certificate> certificates;
  const bssl::UniquePtr<BIO> bio = reader(pem);
  for (;;) {
    Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (certificate == nullptr) break;
    certificates.push_back(std::move(certificate));
    if (certificates.size() > static_cast<std::size_t>(count_max)) {
      return std::unexpected(fmt::format("{}: more than {} certificates", what, count_max));
    }
  }
  const bool ended = last_error_is(PEM_R_NO_START_LINE);
  const std::string why = take_error();
  if (!ended) {
    return std::unexpected(fmt::format("{}: number {} in the PEM text can't be read ({})", what,
                                       certificates.size() + 1, why));
  }
  if (pem.empty()) return std::unexpected(fmt::format("{}: empty", what));
  if (certificates.empty()) {
    return std::unexpected(
        fmt::format("{}: no PEM block `-----BEGIN CERTIFICATE-----` in it", what));
  }
  return certificates;
}

std::expected<PrivateKey, std::string> parse_private_key(std::string_view pem) {
  ERR_clear_error();
  if (pem.empty()) return std::unexpected("key: empty");
  if (pem.size() > kPemBytesMax) {
    return std::unexpected(
        fmt::format("key: {} bytes are too many, at most {}", pem.size(), kPemBytesMax));
  }
  PrivateKey key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) {
    const bool none = last_error_is(PEM_R_NO_START_LINE);
    const bool encrypted = last_error_is(PEM_R_BAD_PASSWORD_READ);
    const std::string why = take_error();
    if (none) {
      return std::unexpected(
          "key: no PEM block `-----BEGIN PRIVATE KEY-----` in it (nor EC or RSA PRIVATE KEY)");
    }
    if (encrypted) {
      return std::unexpected(
          "key: encrypted with a passphrase, which nobody can type here; decrypt it");
    }
    return std::unexpected(fmt::format("key: the PEM block can't be read ({})", why));
  }
  ERR_clear_error();
  if (auto kind = check_kind(key.get()); !kind) return std::unexpected(std::move(kind.error()));
  return key;
}

std::expected<void, std::string> check_pair(const std::vector<Certificate>& chain,
                                            const PrivateKey& key) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const bool belongs = X509_check_private_key(chain[i].get(), key.get()) == 1;
    ERR_clear_error();
    if (belongs && i == 0) return {};
    if (belongs) {
      return std::unexpected(fmt::format(
          "certificate: number {} of the chain is the one that the key belongs to; put it first",
          i + 1));
    }
  }
  return std::unexpected("key: does not belong to the certificate");
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  const bssl::UniquePtr<GENERAL_NAMES> list(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  if (!list) return names;
  for (const GENERAL_NAME* entry : list.get()) {
    if (entry->type != GEN_DNS && entry->type != GEN_IPADD) continue;
    const ASN1_STRING* value = entry->type == GEN_DNS ? entry->d.dNSName : entry->d.iPAddress;
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
    const auto* data = ASN1_STRING_get0_data(value);
    if (entry->type == GEN_DNS) {
      std::string name(reinterpret_cast<const char*>(data), size);
      std::ranges::transform(name, name.begin(), [](char c) {
        return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
      names.push_back(std::move(name));
    } else if (size == 4 || size == 16) {
      Address address{.family = size == 4 ? Address::Family::ipv4 : Address::Family::ipv6};
      std::copy_n(data, size, address.ip.begin());
      names.push_back(address.ip_to_string());
    }
  }
  return names;
}

std::vector<std::string> holder_names_of(X509* certificate) {
  std::vector<std::string> names = names_of(certificate);
  const bssl::UniquePtr<GENERAL_NAMES> list(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (list) {
    for (const GENERAL_NAME* entry : list.get()) {
      if (entry->type != GEN_EMAIL && entry->type != GEN_URI) continue;
      const ASN1_STRING* value =
          entry->type == GEN_EMAIL ? entry->d.rfc822Name : entry->d.uniformResourceIdentifier;
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                         static_cast<std::size_t>(ASN1_STRING_length(value)));
    }
  }
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) {
    std::uint8_t* text = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size >= 0) {
      names.emplace_back(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
      OPENSSL_free(text);
    }
  }
  ERR_clear_error();
  return names;
}

WallTime to_wall_time(const ASN1_TIME* time) {
  using std::chrono::days;
  using std::chrono::seconds;
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int day_count = 0;
  int second_count = 0;
  if (ASN1_TIME_diff(&day_count, &second_count, epoch.get(), time) != 1) {
    ERR_clear_error();
    return WallTime{};
  }
  const auto since_epoch = days(day_count) + seconds(second_count);
  constexpr auto kLimit = std::chrono::duration_cast<seconds>(Duration::max()) - seconds(1);
  if (since_epoch > kLimit) return WallTime::max();
  if (since_epoch < -kLimit) return WallTime::min();
  return WallTime(since_epoch);
}

}  // namespace sluice::tls
