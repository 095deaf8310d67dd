#include "proxy/http/syntax.h"

#include <cstring>
#include <limits>

namespace sluice::http {
namespace {

constexpr std::array<bool, 256> kTokenBytes = [] {
  std::array<bool, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

// As many bytes as T at once; the compiler makes SIMD of it where there is some.
using Block16 = std::uint8_t __attribute__((vector_size(16)));
using Block8 = std::uint8_t __attribute__((vector_size(8)));

// 0xff in each lane whose byte is a control byte other than HTAB.
template <typename Block>
Block control_bytes(const char* from) {
  Block block;
  std::memcpy(&block, from, sizeof block);
  return reinterpret_cast<Block>(((block < 0x20) & (block != '\t')) | (block == 0x7f));
}

bool any(Block16 lanes) {
  std::uint64_t halves[2];
  std::memcpy(halves, &lanes, sizeof halves);
  return (halves[0] | halves[1]) != 0;
}

bool any(Block8 lanes) {
  std::uint64_t whole;
  std::memcpy(&whole, &lanes, sizeof whole);
  return whole != 0;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

}  // namespace

bool is_tchar(char c) {
  return kTokenBytes[static_cast<unsigned char>(c)];
}

std::size_t token_end(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* at = begin;
  while (at != end && is_tchar(*at)) ++at;
  return static_cast<std::size_t>(at - begin);
}

bool is_token(std::string_view text) {
  return !text.empty() && token_end(text) == text.size();
}

bool is_field_value(std::string_view text) {
  const char* const data = text.data();
  const std::size_t size = text.size();
  if (size >= sizeof(Block16)) {
    Block16 found{};
    for (std::size_t at = 0; at + sizeof(Block16) <= size; at += sizeof(Block16)) {
      found |= control_bytes<Block16>(data + at);
    }
    return !any(found | control_bytes<Block16>(data + size - sizeof(Block16)));
  }
  if (size >= sizeof(Block8)) {
    return !any(control_bytes<Block8>(data) | control_bytes<Block8>(data + size - sizeof(Block8)));
  }
  for (const char c : text) {
    if (is_control(c)) return false;
  }
  return true;
}

std::string_view trim_white_space(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  constexpr std::size_t kDigitsMax = 19;
  if (text.empty() || text.size() > kDigitsMax) return {};
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > std::numeric_limits<std::int64_t>::max()) return {};
  return value;
}

void make_lower(std::string& text) {
  for (char& c : text) c = to_lower(c);
}

}  // namespace sluice::http
