// The character classes of HTTP (RFC 9110 §5.5, §5.6) and how names are compared: pure functions
// that codecs, forwarding rules and configuration share.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::http {

// token = 1*tchar (RFC 9110 §5.6.2).
bool is_token(std::string_view text);
bool is_tchar(char c);
// The position of the first byte that is not a tchar, or text.size().
std::size_t token_end(std::string_view text);

// Visible ASCII, SP, HTAB and bytes from 0x80 (obs-text): what may stand in a field value and in a
// reason phrase. No byte of CR, LF, NUL, DEL or another control passes.
bool is_field_value(std::string_view text);

// Removes SP and HTAB from both ends (OWS).
std::string_view trim_white_space(std::string_view text);

// 1*DIGIT, at most 19 of them and at most 2^63 - 1.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
// The value of a hexadecimal digit of either case, or -1.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
// ASCII; in place.
void make_lower(std::string& text);

}  // namespace sluice::http
