#include "proxy/http/target.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>

#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

enum ByteClass : std::uint8_t { kInPath = 1, kInQuery = 2, kInName = 4, kHexDigit = 8 };

constexpr std::array<std::uint8_t, 256> kByteClasses = [] {
  std::array<std::uint8_t, 256> table{};
  const auto add = [&](std::string_view bytes, unsigned classes) {
    for (const char c : bytes) table[static_cast<unsigned char>(c)] |= classes;
  };
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = kInPath | kInQuery | kInName | kHexDigit;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = kInPath | kInQuery | kInName;
  for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] = kInPath | kInQuery | kInName;
  add("abcdefABCDEF", kHexDigit);
  add("-._~", kInPath | kInQuery | kInName);
  add("!$&'()*+,;=:@/", kInPath | kInQuery);
  add("?", kInQuery);
  add("|[]^", kInPath | kInQuery);
  add("{}\\`", kInQuery);
  return table;
}();

bool is_in(char c, unsigned classes) {
  return (kByteClasses[static_cast<unsigned char>(c)] & classes) != 0;
}

bool is_ipv6(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return false;
  text.copy(terminated, text.size());
  in6_addr address;
  return inet_pton(AF_INET6, terminated, &address) == 1;
}

bool is_port(std::string_view text) {
  constexpr std::size_t kDigitsMax = 5;
  const auto port = parse_decimal(text);
  return text.size() <= kDigitsMax && port && *port >= 1 && *port <= 65535;
}

bool is_name(std::string_view text) {
  for (const char c : text) {
    if (!is_in(c, kInName)) return false;
  }
  return !text.empty();
}

const char* check_authority(std::string_view text, bool port_required) {
  if (text.empty()) return "empty host";
  std::string_view host = text;
  std::string_view after;
  if (text.front() == '[') {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return "malformed host";
    host = text.substr(0, bracket + 1);
    after = text.substr(bracket + 1);
    if (!is_ipv6(text.substr(1, bracket - 1))) return "malformed host";
  } else {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    if (colon != std::string_view::npos) after = text.substr(colon);
    if (!is_name(host)) return "malformed host";
  }
  if (host.size() > kHostBytesMax) return "host too long";
  if (after.empty()) return port_required ? "port missing" : nullptr;
  if (after.front() != ':') return "malformed host";
  return is_port(after.substr(1)) ? nullptr : "malformed port";
}

}  // namespace

const char* check_authority(std::string_view text) {
  return check_authority(text, false);
}

const char* check_authority_with_port(std::string_view text) {
  return check_authority(text, true);
}

const char* check_origin_form(std::string_view text) {
  if (!text.starts_with('/')) return "request target does not begin with '/'";
  unsigned allowed = kInPath;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (is_in(c, allowed)) continue;
    if (c == '?') {
      allowed = kInQuery;
    } else if (c == '%') {
      if (text.size() - at < 3 || !is_in(text[at + 1], kHexDigit) ||
          !is_in(text[at + 2], kHexDigit)) {
        return "malformed percent-encoding";
      }
      if (text[at + 1] == '0' && text[at + 2] == '0') return "encoded NUL in request target";
      at += 2;
    } else {
      return "bad byte in request target";
    }
  }
  return nullptr;
}

}  // namespace sluice::http
