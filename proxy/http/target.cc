#include "proxy/http/target.h"

#include <arpa/inet.h>

#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

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
    const bool letter = to_lower(c) >= 'a' && to_lower(c) <= 'z';
    if (!letter && !(c >= '0' && c <= '9') && !std::string_view("-._~").contains(c)) return false;
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

}  // namespace sluice::http
