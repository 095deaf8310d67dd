// The deterministic body of any length that origins send and clients check, and digests of bodies.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::harness {

// Byte `i` of every patterned body depends on `i` only, and repeats after a prime number of bytes,
// so that a piece lost, doubled or moved by any buffer size shows.
inline constexpr std::uint64_t kPatternPeriod = 65'521;
// Clients and origins make what they send ahead of the socket, up to this.
inline constexpr std::size_t kOutputHigh = 256 * 1024;

std::string pattern(std::uint64_t size, std::uint64_t offset = 0);
// At most `size` pattern bytes from `offset`, as a view that lives for ever.
std::string_view pattern_view(std::uint64_t offset, std::uint64_t size);
// True if `bytes` are what the pattern has at `offset`.
bool is_pattern(std::string_view bytes, std::uint64_t offset);

// SHA-256 over pieces.
class Digest {
 public:
  Digest() { SHA256_Init(&context_); }
  void add(std::string_view bytes) { SHA256_Update(&context_, bytes.data(), bytes.size()); }
  // Lower-case hex of what was added so far; more may follow.
  std::string hex() const;
  static std::string of(std::string_view bytes);

 private:
  SHA256_CTX context_;
};

}  // namespace sluice::harness
