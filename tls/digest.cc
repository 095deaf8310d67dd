#include "tls/digest.h"

#include <fmt/format.h>
#include <openssl/base64.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

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

std::string sha256_hex(std::string_view bytes) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), digest.data());
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

bool equal_in_constant_time(std::string_view one, std::string_view other) {
  return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

std::string random_base64(std::size_t bytes) {
  std::vector<std::uint8_t> random(bytes);
  RAND_bytes(random.data(), random.size());
  return base64(random);
}

}  // namespace sluice::tls
