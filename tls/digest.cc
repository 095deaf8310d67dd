#include "tls/digest.h"

#include <fmt/format.h>
#include <openssl/base64.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "proxy/base/check.h"

namespace sluice::tls {
namespace {

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // with the NUL that is written behind it
  auto* const to = reinterpret_cast<std::uint8_t*>(text.data());
  text.resize(EVP_EncodeBlock(to, bytes.data(), bytes.size()));
  return text;
}

}  // namespace

std::string sha1_base64(std::string_view bytes) {
  std::array<std::uint8_t, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), digest.data());
  return base64(digest);
}

std::string random_base64url(std::size_t bytes) {
  std::string text = random_base64(bytes);
  std::erase(text, '=');
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

Sha256 sha256(std::string_view bytes) {
  Sha256 digest;
  SHA256(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

std::string sha256_hex(std::string_view bytes) {
  return fmt::format("{:02x}", fmt::join(sha256(bytes), ""));
}

Sha256 hmac_sha256(std::string_view secret, std::string_view bytes) {
  Sha256 digest;
  unsigned length = 0;
  const auto* made = HMAC(EVP_sha256(), secret.data(), secret.size(),
                          reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                          digest.data(), &length);
  SLUICE_CHECK(made != nullptr && length == digest.size());
  return digest;
}

bool equal_in_constant_time(std::string_view one, std::string_view other) {
  const auto bytes = [](std::string_view text) {
    return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  return one.size() == other.size() && equal_in_constant_time(bytes(one), bytes(other));
}

bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  SLUICE_CHECK(a.size() == b.size());
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void fill_with_random(std::span<std::uint8_t> bytes) {
  SLUICE_CHECK(RAND_bytes(bytes.data(), bytes.size()) == 1);
}

std::string random_base64(std::size_t bytes) {
  std::vector<std::uint8_t> random(bytes);
  RAND_bytes(random.data(), random.size());
  return base64(random);
}

}  // namespace sluice::tls
