#include "tests/harness/pattern.h"

#include <algorithm>

namespace sluice::harness {
namespace {

// Two periods, so that a view of up to one period may start anywhere.
const std::string& table() {
  static const std::string bytes = [] {
    std::string one(kPatternPeriod, '\0');
    std::uint32_t state = 0x9e3779b9;
    for (char& c : one) {
      state = state * 1664525 + 1013904223;
      c = static_cast<char>(state >> 24);
    }
    return one + one;
  }();
  return bytes;
}

}  // namespace

std::string_view pattern_view(std::uint64_t offset, std::uint64_t size) {
  return std::string_view(table()).substr(offset % kPatternPeriod, std::min(size, kPatternPeriod));
}

std::string pattern(std::uint64_t size, std::uint64_t offset) {
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) bytes += pattern_view(offset + bytes.size(), size - bytes.size());
  return bytes;
}

bool is_pattern(std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    std::string_view expected = pattern_view(offset, bytes.size());
    if (!bytes.starts_with(expected)) return false;
    bytes.remove_prefix(expected.size());
    offset += expected.size();
  }
  return true;
}

std::string Digest::hex() const {
  SHA256_CTX copy = context_;
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> raw;
  SHA256_Final(raw.data(), &copy);
  std::string text;
  for (std::uint8_t byte : raw) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string Digest::of(std::string_view bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.hex();
}

}  // namespace sluice::harness
