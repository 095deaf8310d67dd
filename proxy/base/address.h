// Where something listens or can be reached, as a value: no socket, no name resolution.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct Address {
  enum class Family : std::uint8_t { none, ipv4, ipv6, unix_path };

  Family family = Family::none;
  std::array<std::uint8_t, 16> ip{};  // network order; the first 4 for IPv4
  std::uint16_t port = 0;             // host order; 0 for Unix sockets
  std::string path;                   // Unix sockets only; at most kPathMax bytes

  static constexpr std::size_t kPathMax = 107;

  // `127.0.0.1:80`, `[::1]:80`, `localhost:80` (as 127.0.0.1), `*:80` (all IPv4 addresses),
  // `unix:/run/x.sock`. nullopt for anything else; names are not looked up.
  static std::optional<Address> parse(std::string_view text);
  // The same form that parse() takes; an empty string for none.
  std::string to_string() const;
  // The address without its port: `127.0.0.1`, `::1`, `unix`.
  std::string ip_to_string() const;
  bool is_loopback() const;
  auto operator<=>(const Address&) const = default;
};

// A block of addresses, `10.0.0.0/8`; a bare address is a block of one.
struct AddressBlock {
  Address base;
  int prefix_bits = 0;

  static std::optional<AddressBlock> parse(std::string_view text);
  // An IPv4-mapped IPv6 address counts as the IPv4 address it carries.
  bool contains(const Address& address) const;
  std::string to_string() const;
  bool operator==(const AddressBlock&) const = default;
};

}  // namespace sluice
