#include "proxy/base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace sluice {
namespace {

std::optional<unsigned> parse_number(std::string_view text, unsigned max) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > max) {
    return {};
  }
  return value;
}

// An IP address without port or brackets.
std::optional<Address> parse_ip(std::string_view text) {
  const std::string terminated(text);
  Address address;
  if (inet_pton(AF_INET, terminated.c_str(), address.ip.data()) == 1) {
    address.family = Address::Family::ipv4;
    return address;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), address.ip.data()) == 1) {
    address.family = Address::Family::ipv6;
    return address;
  }
  return {};
}

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Address unmapped(const Address& address) {
  if (address.family != Address::Family::ipv6 ||
      !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.ip.begin())) {
    return address;
  }
  Address v4;
  v4.family = Address::Family::ipv4;
  v4.port = address.port;
  std::copy_n(address.ip.begin() + 12, 4, v4.ip.begin());
  return v4;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text) {
  if (text.starts_with("unix:")) {
    Address address;
    address.family = Family::unix_path;
    address.path = text.substr(5);
    const bool usable = address.path.starts_with('/') && address.path.size() <= kPathMax &&
                        address.path.find('\0') == std::string::npos;
    return usable ? std::optional(address) : std::nullopt;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  std::string_view host = text.substr(0, colon);
  const auto port = parse_number(text.substr(colon + 1), 65535);
  if (!port) return {};
  if (host == "localhost") host = "127.0.0.1";
  if (host == "*") host = "0.0.0.0";
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto address = parse_ip(host);
  if (!address || bracketed != (address->family == Family::ipv6)) return {};
  address->port = static_cast<std::uint16_t>(*port);
  return address;
}

std::string Address::ip_to_string() const {
  char text[INET6_ADDRSTRLEN] = "";
  switch (family) {
    case Family::none:
      return "";
    case Family::unix_path:
      return "unix";
    case Family::ipv4:
      inet_ntop(AF_INET, ip.data(), text, sizeof text);
      return text;
    case Family::ipv6:
      inet_ntop(AF_INET6, ip.data(), text, sizeof text);
      return text;
  }
  return "";
}

std::string Address::to_string() const {
  switch (family) {
    case Family::none:
      return "";
    case Family::unix_path:
      return "unix:" + path;
    case Family::ipv4:
      return ip_to_string() + ":" + std::to_string(port);
    case Family::ipv6:
      return "[" + ip_to_string() + "]:" + std::to_string(port);
  }
  return "";
}

bool Address::is_loopback() const {
  if (family == Family::unix_path) return true;
  const Address plain = unmapped(*this);
  if (plain.family == Family::ipv4) return plain.ip[0] == 127;
  if (plain.family != Family::ipv6) return false;
  return std::all_of(ip.begin(), ip.begin() + 15, [](std::uint8_t b) { return b == 0; }) &&
         ip[15] == 1;
}

std::optional<AddressBlock> AddressBlock::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto base = parse_ip(text.substr(0, slash));
  if (!base) return {};
  const unsigned bits_max = base->family == Address::Family::ipv4 ? 32 : 128;
  AddressBlock block{*base, static_cast<int>(bits_max)};
  if (slash != std::string_view::npos) {
    const auto bits = parse_number(text.substr(slash + 1), bits_max);
    if (!bits) return {};
    block.prefix_bits = static_cast<int>(*bits);
  }
  return block;
}

bool AddressBlock::contains(const Address& address) const {
  const Address plain = base.family == Address::Family::ipv4 ? unmapped(address) : address;
  if (plain.family != base.family) return false;
  for (int bit = 0; bit < prefix_bits; bit += 8) {
    const int used = std::min(8, prefix_bits - bit);
    const auto mask = static_cast<std::uint8_t>(0xff00 >> used);
    const auto index = static_cast<std::size_t>(bit / 8);
    if (((plain.ip[index] ^ base.ip[index]) & mask) != 0) return false;
  }
  return true;
}

std::string AddressBlock::to_string() const {
  return base.ip_to_string() + "/" + std::to_string(prefix_bits);
}

}  // namespace sluice
