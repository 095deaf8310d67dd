#include "proxy/http/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>

#include "proxy/base/crc32c.h"

namespace sluice::http {
namespace {

using Family = Address::Family;
using std::string_view_literals::operator""sv;

// --- Version 1 ----------------------------------------------------------------------------------
constexpr std::string_view kV1Prefix = "PROXY ";
constexpr std::string_view kLineEnd = "\r\n";

// --- Version 2 ----------------------------------------------------------------------------------
constexpr std::string_view kV2Signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kV2CommandAt = kV2Signature.size();
constexpr std::size_t kV2FamilyAt = kV2CommandAt + 1;
constexpr std::size_t kV2LengthAt = kV2FamilyAt + 1;
constexpr std::size_t kV2FixedBytes = kV2LengthAt + 2;
constexpr std::uint8_t kV2Version = 2;
enum class Command : std::uint8_t { local = 0, proxy = 1 };
// Address family and transport, the only ones that are read as addresses.
constexpr std::uint8_t kUnspecified = 0x00;
constexpr std::uint8_t kTcp4 = 0x11;
constexpr std::uint8_t kTcp6 = 0x21;
constexpr std::uint8_t kUnixStream = 0x31;
constexpr std::size_t kIpv4Bytes = 4;
constexpr std::size_t kIpv6Bytes = 16;
constexpr std::size_t kPortBytes = 2;
constexpr std::size_t kUnixPathBytes = 108;
// Extensions: type, length, value.
constexpr std::size_t kExtensionHeadBytes = 3;
constexpr std::uint8_t kExtensionCrc32c = 0x03;
constexpr std::size_t kCrc32cBytes = 4;

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

std::uint16_t u16_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(text, at) << 8 | byte_at(text, at + 1));
}

std::uint32_t u32_at(std::string_view text, std::size_t at) {
  return std::uint32_t{u16_at(text, at)} << 16 | u16_at(text, at + 2);
}

void append_u16(std::string& out, std::size_t value) {
  out += static_cast<char>(value >> 8 & 0xff);
  out += static_cast<char>(value & 0xff);
}

std::size_t ip_bytes(Family family) {
  return family == Family::ipv4 ? kIpv4Bytes : kIpv6Bytes;
}

// The next word of a version 1 line: what stands before the next space.
std::optional<std::string_view> take_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space + 1);
  return word;
}

std::optional<Address> parse_ip(std::string_view text, Family family) {
  Address address;
  address.family = family;
  if (text.contains('\0')) return {};  // inet_pton() would stop there
  const std::string terminated(text);
  const int kind = family == Family::ipv4 ? AF_INET : AF_INET6;
  if (inet_pton(kind, terminated.c_str(), address.ip.data()) != 1) return {};
  return address;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return {};
  std::uint16_t port = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), port);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size()) return {};
  return port;
}

bool is_local(std::string_view header) {
  return (byte_at(header, kV2CommandAt) & 0xf) == static_cast<std::uint8_t>(Command::local);
}

std::size_t v2_address_bytes(std::uint8_t family) {
  switch (family) {
    case kTcp4:
      return 2 * (kIpv4Bytes + kPortBytes);
    case kTcp6:
      return 2 * (kIpv6Bytes + kPortBytes);
    case kUnixStream:
      return 2 * kUnixPathBytes;
    default:
      return 0;
  }
}

Address ip_from(std::string_view ip, std::uint16_t port, Family family) {
  Address address;
  address.family = family;
  std::ranges::copy(ip, reinterpret_cast<char*>(address.ip.data()));
  address.port = port;
  return address;
}

// nullopt: no path that could be shown or told on.
std::optional<Address> unix_from(std::string_view field) {
  Address address;
  address.family = Family::unix_path;
  const std::string_view path = field.substr(0, field.find('\0'));
  if (path.size() > Address::kPathMax) return {};
  const bool printable =
      std::ranges::none_of(path, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; });
  if (!printable) return {};
  address.path = path;
  return address;
}

// nullptr, or what is wrong with the extensions that begin at `at`.
const char* check_extensions(std::string_view header, std::size_t at) {
  bool checked = false;
  while (at < header.size()) {
    if (header.size() - at < kExtensionHeadBytes) return "cut extension in PROXY header";
    const std::uint8_t type = byte_at(header, at);
    const std::size_t value_bytes = u16_at(header, at + 1);
    at += kExtensionHeadBytes;
    if (header.size() - at < value_bytes) return "cut extension in PROXY header";
    if (type == kExtensionCrc32c) {
      if (checked) return "repeated checksum in PROXY header";
      if (value_bytes != kCrc32cBytes) return "malformed checksum in PROXY header";
      constexpr std::string_view kZeros = "\0\0\0\0"sv;
      std::uint32_t sum = crc32c(as_bytes(header.substr(0, at)));
      sum = crc32c(as_bytes(kZeros), sum);
      sum = crc32c(as_bytes(header.substr(at + kCrc32cBytes)), sum);
      if (sum != u32_at(header, at)) return "wrong checksum in PROXY header";
      checked = true;
    }
    at += value_bytes;
  }
  return nullptr;
}

// --- Writing ------------------------------------------------------------------------------------
constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Address unmapped(const Address& address) {
  if (address.family != Family::ipv6 ||
      !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.ip.begin())) {
    return address;
  }
  Address ipv4;
  ipv4.family = Family::ipv4;
  std::copy_n(address.ip.begin() + kMappedPrefix.size(), kIpv4Bytes, ipv4.ip.begin());
  ipv4.port = address.port;
  return ipv4;
}

Address mapped(const Address& address) {
  if (address.family != Family::ipv4) return address;
  Address ipv6;
  ipv6.family = Family::ipv6;
  std::ranges::copy(kMappedPrefix, ipv6.ip.begin());
  std::copy_n(address.ip.begin(), kIpv4Bytes, ipv6.ip.begin() + kMappedPrefix.size());
  ipv6.port = address.port;
  return ipv6;
}

bool is_ip(const Address& address) {
  return address.family == Family::ipv4 || address.family == Family::ipv6;
}

// In one family, if there is one for both.
ProxiedAddresses in_one_family(const Address& source, const Address& destination) {
  ProxiedAddresses both{unmapped(source), unmapped(destination)};
  if (is_ip(both.source) && is_ip(both.destination) &&
      both.source.family != both.destination.family) {
    both = {mapped(both.source), mapped(both.destination)};
  }
  if (both.source.family != both.destination.family) both = {};
  return both;
}

void write_v1(std::string& out, const ProxiedAddresses& both) {
  out += kV1Prefix;
  if (!is_ip(both.source)) {
    out.append("UNKNOWN").append(kLineEnd);
    return;
  }
  out += both.source.family == Family::ipv4 ? "TCP4 " : "TCP6 ";
  out.append(both.source.ip_to_string()).append(" ");
  out.append(both.destination.ip_to_string()).append(" ");
  out.append(std::to_string(both.source.port)).append(" ");
  out.append(std::to_string(both.destination.port)).append(kLineEnd);
}

void write_v2_fixed(std::string& out, Command command, std::uint8_t family) {
  out += kV2Signature;
  out += static_cast<char>(kV2Version << 4 | static_cast<std::uint8_t>(command));
  out += static_cast<char>(family);
  append_u16(out, v2_address_bytes(family));
}

void write_v2(std::string& out, const ProxiedAddresses& both) {
  switch (both.source.family) {
    case Family::none:
      write_v2_fixed(out, Command::proxy, kUnspecified);
      return;
    case Family::unix_path:
      write_v2_fixed(out, Command::proxy, kUnixStream);
      for (const Address* address : {&both.source, &both.destination}) {
        out.append(address->path).append(kUnixPathBytes - address->path.size(), '\0');
      }
      return;
    case Family::ipv4:
    case Family::ipv6: {
      const Family family = both.source.family;
      write_v2_fixed(out, Command::proxy, family == Family::ipv4 ? kTcp4 : kTcp6);
      for (const Address* address : {&both.source, &both.destination}) {
        out.append(reinterpret_cast<const char*>(address->ip.data()), ip_bytes(family));
      }
      append_u16(out, both.source.port);
      append_u16(out, both.destination.port);
      return;
    }
  }
}

}  // namespace

ProxyHeaderParser::Result ProxyHeaderParser::consume(Bytes input) {
  std::size_t consumed = 0;
  while (status_ == Status::need_more && consumed < input.size()) {
    header_ += static_cast<char>(input[consumed++]);
    status_ = step();
  }
  return {consumed, status_};
}

// One byte has come.
ProxyHeaderParser::Status ProxyHeaderParser::step() {
  if (header_.front() == kV1Prefix.front()) return step_v1();
  if (header_.front() == kV2Signature.front()) return step_v2();
  return fail("no PROXY header");
}

ProxyHeaderParser::Status ProxyHeaderParser::step_v1() {
  const std::size_t last = header_.size() - 1;
  if (last < kV1Prefix.size()) {
    return header_[last] == kV1Prefix[last] ? Status::need_more : fail("no PROXY header");
  }
  if (header_[last] == '\n') {
    return header_[last - 1] == '\r' ? read_v1() : fail("bare LF in PROXY header");
  }
  if (header_[last - 1] == '\r') return fail("bare CR in PROXY header");
  return header_.size() < kProxyV1BytesMax ? Status::need_more : fail("PROXY header too long");
}

ProxyHeaderParser::Status ProxyHeaderParser::read_v1() {
  std::string_view line(header_);
  line.remove_prefix(kV1Prefix.size());
  line.remove_suffix(kLineEnd.size());
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return Status::done;
  const auto protocol = take_word(line);
  if (protocol != "TCP4" && protocol != "TCP6") return fail("unknown protocol in PROXY header");
  const Family family = protocol == "TCP4" ? Family::ipv4 : Family::ipv6;
  const auto source_ip = take_word(line);
  const auto destination_ip = take_word(line);
  const auto source_port_text = take_word(line);
  if (!source_port_text) return fail("too few words in PROXY header");
  const auto source = parse_ip(*source_ip, family);
  const auto destination = parse_ip(*destination_ip, family);
  if (!source || !destination) return fail("malformed address in PROXY header");
  const auto source_port = parse_port(*source_port_text);
  const auto destination_port = parse_port(line);
  if (!source_port || !destination_port) return fail("malformed port in PROXY header");
  addresses_ = {*source, *destination};
  addresses_.source.port = *source_port;
  addresses_.destination.port = *destination_port;
  return Status::done;
}

ProxyHeaderParser::Status ProxyHeaderParser::step_v2() {
  const std::size_t last = header_.size() - 1;
  const std::uint8_t byte = byte_at(header_, last);
  if (last < kV2Signature.size()) {
    return header_[last] == kV2Signature[last] ? Status::need_more : fail("no PROXY header");
  }
  if (last == kV2CommandAt) {
    if (byte >> 4 != kV2Version) return fail("unknown version in PROXY header");
    const bool known = (byte & 0xf) <= static_cast<std::uint8_t>(Command::proxy);
    return known ? Status::need_more : fail("unknown command in PROXY header");
  }
  if (last == kV2FamilyAt) {
    // Of LOCAL everything behind the command is to be ignored.
    const bool known = is_local(header_) || byte == kUnspecified || byte == kTcp4 ||
                       byte == kTcp6 || byte == kUnixStream;
    return known ? Status::need_more : fail("unknown family or transport in PROXY header");
  }
  if (header_.size() < kV2FixedBytes) return Status::need_more;
  const std::size_t whole = kV2FixedBytes + u16_at(header_, kV2LengthAt);
  if (whole > kProxyV2BytesMax) return fail("PROXY header too long");
  return header_.size() == whole ? read_v2() : Status::need_more;
}

ProxyHeaderParser::Status ProxyHeaderParser::read_v2() {
  const std::string_view header(header_);
  const std::uint8_t family = byte_at(header, kV2FamilyAt);
  if (is_local(header) || family == kUnspecified) return Status::done;
  const std::size_t address_bytes = v2_address_bytes(family);
  const std::string_view block = header.substr(kV2FixedBytes);
  if (block.size() < address_bytes) return fail("PROXY header too short for its addresses");
  if (const char* problem = check_extensions(header, kV2FixedBytes + address_bytes)) {
    return fail(problem);
  }
  if (family == kUnixStream) {
    const auto source = unix_from(block.substr(0, kUnixPathBytes));
    const auto destination = unix_from(block.substr(kUnixPathBytes, kUnixPathBytes));
    if (!source || !destination) return fail("malformed path in PROXY header");
    addresses_ = {*source, *destination};
    return Status::done;
  }
  const Family kind = family == kTcp4 ? Family::ipv4 : Family::ipv6;
  const std::size_t bytes = ip_bytes(kind);
  addresses_.source = ip_from(block.substr(0, bytes), u16_at(block, 2 * bytes), kind);
  addresses_.destination =
      ip_from(block.substr(bytes, bytes), u16_at(block, 2 * bytes + kPortBytes), kind);
  return Status::done;
}

ProxyHeaderParser::Status ProxyHeaderParser::fail(const char* reason) {
  reason_ = reason;
  return Status::error;
}

void write_proxy_header(std::string& out, ProxyVersion version, const Address& source,
                        const Address& destination) {
  const ProxiedAddresses both = in_one_family(source, destination);
  if (version == ProxyVersion::v1) {
    write_v1(out, both);
  } else {
    write_v2(out, both);
  }
}

void write_local_proxy_header(std::string& out, ProxyVersion version) {
  if (version == ProxyVersion::v1) {
    write_v1(out, {});
  } else {
    write_v2_fixed(out, Command::local, kUnspecified);
  }
}

}  // namespace sluice::http
