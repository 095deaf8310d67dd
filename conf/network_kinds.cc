#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "conf/kinds.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

constexpr std::size_t kHostBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return !text.empty() && error == std::errc{} && stop == end && port <= 65535;
}

struct Reason {
  std::string text;
  std::string hint;
};

// Why Address::parse() refused the text, and what was meant. `example_host`: what a bare port is
// completed with.
Reason why_no_address(std::string_view text, std::string_view example_host) {
  if (text.starts_with("unix:")) {
    return {fmt::format("the path of a Unix socket is absolute and at most {} bytes long",
                        Address::kPathMax),
            ""};
  }
  if (text.starts_with('/')) {
    return {"a Unix socket is written unix:/PATH", fmt::format("unix:{}", text)};
  }
  const std::size_t scheme = text.find("://");
  if (scheme != std::string_view::npos) {
    const std::string_view rest = text.substr(scheme + 3);
    return {"leave the scheme out", std::string(rest.substr(0, rest.find('/')))};
  }
  if (is_port(text)) return {"the IP address is missing", fmt::format("{}:{}", example_host, text)};
  if (text.starts_with(':') && is_port(text.substr(1))) {
    return {"the IP address is missing", fmt::format("{}{}", example_host, text)};
  }
  if (const auto bare = AddressBlock::parse(text); bare && !text.contains('/')) {
    const bool v6 = bare->base.family == Address::Family::ipv6;
    return {"the port is missing", fmt::format(fmt::runtime(v6 ? "[{}]:80" : "{}:80"), text)};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {"write IP:PORT", ""};
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (!is_port(port)) return {"a port is a number from 0 to 65535", ""};
  if (host.contains(':') && !host.starts_with('[')) {
    return {"an IPv6 address stands in brackets", fmt::format("[{}]:{}", host, port)};
  }
  const bool numeric = host.find_first_not_of("0123456789.:[]") == std::string_view::npos;
  if (numeric) return {fmt::format("{} is not an IP address", in_quotes(host)), ""};
  const std::vector<std::string> known{"localhost"};
  const std::string local = nearest_word(host, known);
  return {"names are not resolved yet, write the IP address",
          local.empty() ? "" : fmt::format("{}:{}", local, port)};
}

bool is_wildcard(const Address& address) {
  const bool ip =
      address.family == Address::Family::ipv4 || address.family == Address::Family::ipv6;
  return ip && std::ranges::all_of(address.ip, [](std::uint8_t byte) { return byte == 0; });
}

// Why this address can't stand here; empty if it can.
std::string why_not_here(const Address& address, AddressUse use) {
  const bool unix_socket = address.family == Address::Family::unix_path;
  switch (use) {
    case AddressUse::data_listener:
    case AddressUse::admin_listener:
      return "";
    case AddressUse::read_only_listener:
      return unix_socket ? "a Unix socket is not possible here, write IP:PORT" : "";
    case AddressUse::server:
      if (unix_socket) return "";
      if (address.port == 0) return "a server's port is from 1 to 65535";
      if (is_wildcard(address)) return "that means all addresses, write the server's own";
      return "";
  }
  return "";
}

Json address_schema(AddressUse use) {
  const std::string ip =
      R"(^(localhost|[*]|[0-9]{1,3}([.][0-9]{1,3}){3}|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$)";
  const std::string unix_or_ip = R"(^unix:/.+$|)" + ip;
  return {{"type", "string"}, {"pattern", use == AddressUse::read_only_listener ? ip : unix_or_ip}};
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > kHostBytesMax) return false;
  while (true) {
    const std::size_t dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    const bool sound =
        !label.empty() && label.size() <= kLabelBytesMax && std::ranges::all_of(label, [](char c) {
          return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
        });
    if (!sound) return false;
    if (dot == std::string_view::npos) return true;
    host.remove_prefix(dot + 1);
  }
}

bool is_bracketed_ipv6(std::string_view host) {
  if (!host.starts_with('[') || !host.ends_with(']') || host.contains('/')) return false;
  const auto block = AddressBlock::parse(host.substr(1, host.size() - 2));
  return block && block->base.family == Address::Family::ipv6;
}

Reason why_no_host(std::string_view host, bool wildcards) {
  if (host.empty()) return {"it is empty", ""};
  if (host == "*") return {wildcards ? "leave the key out to mean any host" : "name each host", ""};
  if (const std::size_t scheme = host.find("://"); scheme != std::string_view::npos) {
    const std::string_view rest = host.substr(scheme + 3);
    return {"leave the scheme out", std::string(rest.substr(0, rest.find_first_of(":/")))};
  }
  if (const std::size_t slash = host.find('/'); slash != std::string_view::npos) {
    return {"a path does not belong here", std::string(host.substr(0, slash))};
  }
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && is_port(host.substr(colon + 1)) &&
      (is_host_name(host.substr(0, colon)) || is_bracketed_ipv6(host.substr(0, colon)))) {
    return {"leave the port out", std::string(host.substr(0, colon))};
  }
  if (host.ends_with('.') && is_host_name(host.substr(0, host.size() - 1))) {
    return {"leave the last dot out", std::string(host.substr(0, host.size() - 1))};
  }
  if (host.contains('*')) {
    return {wildcards ? "a wildcard stands for the first part alone, like \"*.example.com\""
                      : "wildcards are not possible here",
            ""};
  }
  if (std::ranges::any_of(host, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
    return {"write it in its ASCII form, which begins with xn--", ""};
  }
  return {"a host has letters, digits, '-', '_' and single dots", ""};
}

std::optional<std::string> read_host(Reader& reader, const Value& value, const std::string& path,
                                     bool wildcards) {
  if (value.type != Value::Type::string) {
    reader.wrong_type(value, path, "a host name, in quotes");
    return {};
  }
  std::string host = lowered(value.text);
  const bool wildcard = wildcards && host.starts_with("*.");
  if (is_host_name(wildcard ? std::string_view(host).substr(2) : host)) return host;
  if (is_bracketed_ipv6(host)) return host;
  Reason why = why_no_host(host, wildcards);
  reader.error(value.at,
               fmt::format("{}: {} is not a host: {}", path, in_quotes(value.text), why.text),
               std::move(why.hint));
  return {};
}

// Without brackets.
bool is_ip(std::string_view text) {
  return !text.contains('/') && AddressBlock::parse(text).has_value();
}

Reason why_no_certificate_name(std::string_view name) {
  if (is_bracketed_ipv6(name)) {
    return {"an IPv6 address stands without brackets",
            std::string(name.substr(1, name.size() - 2))};
  }
  const std::string_view last_label = name.substr(name.rfind('.') + 1);
  if (is_host_name(name) && std::ranges::all_of(last_label, is_digit)) {
    return {"it is neither an IP address nor a DNS name, which doesn't end with a number", ""};
  }
  return why_no_host(name, false);
}

std::optional<std::string> read_certificate_name(Reader& reader, const Value& value,
                                                 const std::string& path) {
  if (value.type != Value::Type::string) {
    reader.wrong_type(value, path, "a DNS name or an IP address, in quotes");
    return {};
  }
  std::string name = lowered(value.text);
  const bool numeric = std::ranges::all_of(name.substr(name.rfind('.') + 1), is_digit);
  if (is_ip(name) || (is_host_name(name) && !numeric)) return name;
  Reason why = why_no_certificate_name(name);
  reader.error(value.at,
               fmt::format("{}: {} is no name that a certificate can be for: {}", path,
                           in_quotes(value.text), why.text),
               std::move(why.hint));
  return {};
}

// RFC 3986, section 3.3: the characters of a path that are neither `/` nor percent-encoded.
bool is_path_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
         std::string_view("-._~!$&'()*+,;=:@").contains(c);
}

// The first character that can't stand in a path, or npos.
std::size_t find_bad_path_char(std::string_view path, std::string_view also_allowed) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    const bool encoded =
        c == '%' && i + 2 < path.size() && is_hex_digit(path[i + 1]) && is_hex_digit(path[i + 2]);
    if (!encoded && c != '/' && !is_path_char(c) && !also_allowed.contains(c)) return i;
  }
  return std::string_view::npos;
}

// Requests are matched in the form that docs/paths.md describes, which a prefix has to have too.
// Each `%` of `path` begins an encoding.
Reason why_never_matched(std::string_view path) {
  std::string form;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      form += path[i];
      continue;
    }
    unsigned byte = 0;
    std::from_chars(path.data() + i + 1, path.data() + i + 3, byte, 16);
    const char c = static_cast<char>(byte);
    if (c == '/' || c == '\\' || c == '\0') {
      return {"no request has an encoded slash, backslash or NUL", ""};
    }
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
                            std::string_view("-._~").contains(c);
    form += unreserved ? std::string(1, c) : fmt::format("%{:02X}", byte);
    i += 2;
  }
  const std::string framed = fmt::format("{}/", form);
  for (const std::string_view dots : {"/./", "/../", "/.;", "/..;", "/.%3B", "/..%3B"}) {
    if (framed.contains(dots)) return {"it has a dot segment", ""};
  }
  if (form != path) return {"requests are matched with their encodings in one form", form};
  return {};
}

Reason why_no_path_prefix(std::string_view path) {
  if (!path.starts_with('/')) return {"it begins with a slash", fmt::format("/{}", path)};
  if (path.size() > kTextBytesMax) {
    return {fmt::format("it is longer than {} bytes", kTextBytesMax), ""};
  }
  if (path.ends_with("/*")) {
    const std::string_view bare = path.substr(0, path.size() - 2);
    return {"it is a prefix of whole segments, without a star",
            bare.empty() ? "/" : std::string(bare)};
  }
  if (path.contains("//")) return {"it has an empty segment", ""};
  if (path.size() > 1 && path.ends_with('/')) {
    return {"it ends without a slash and matches all that is below it",
            std::string(path.substr(0, path.size() - 1))};
  }
  const std::size_t bad = find_bad_path_char(path, "");
  if (bad == std::string_view::npos) return why_never_matched(path);
  if (path[bad] == '?') return {"a query does not belong here", std::string(path.substr(0, bad))};
  return {fmt::format("{} must be percent-encoded", in_quotes(path.substr(bad, 1))), ""};
}

Reason why_no_request_target(std::string_view target) {
  if (!target.starts_with('/')) return {"it begins with a slash", fmt::format("/{}", target)};
  if (target.size() > kTextBytesMax) {
    return {fmt::format("it is longer than {} bytes", kTextBytesMax), ""};
  }
  const std::size_t bad = find_bad_path_char(target, "?");
  if (bad == std::string_view::npos) return {};
  return {fmt::format("{} must be percent-encoded", in_quotes(target.substr(bad, 1))), ""};
}

// A string that `why_not` has nothing against.
Kind<std::string> checked_text(std::string type, Json schema, Reason (*why_not)(std::string_view)) {
  Kind<std::string> kind;
  kind.schema = std::move(schema);
  kind.to_toml = [](const std::string& text) { return in_quotes(text); };
  kind.read = [type, why_not](Reader& reader, const Value& value,
                              const std::string& path) -> std::optional<std::string> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, fmt::format("a {}, in quotes", type));
      return {};
    }
    Reason why = why_not(value.text);
    if (why.text.empty()) return value.text;
    reader.error(value.at,
                 fmt::format("{}: {} is not a {}: {}", path, in_quotes(value.text), type, why.text),
                 std::move(why.hint));
    return {};
  };
  kind.type = std::move(type);
  return kind;
}

Reason why_no_host_field(std::string_view text) {
  std::string_view host = text;
  const std::size_t colon = host.rfind(':');
  const bool inside_brackets = host.ends_with(']');
  if (colon != std::string_view::npos && !inside_brackets) {
    if (!is_port(host.substr(colon + 1))) return {"a port is a number from 0 to 65535", ""};
    host = host.substr(0, colon);
  }
  const std::string lower = lowered(host);
  if (is_host_name(lower) || is_bracketed_ipv6(lower)) return {};
  return why_no_host(lower, false);
}

}  // namespace

Kind<Address> address(AddressUse use) {
  Kind<Address> kind;
  kind.type = "address";
  kind.schema = address_schema(use);
  kind.to_toml = [](const Address& address) { return in_quotes(address.to_string()); };
  kind.read = [use](Reader& reader, const Value& value,
                    const std::string& path) -> std::optional<Address> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, "an address like \"127.0.0.1:8080\", in quotes");
      return {};
    }
    const auto address = Address::parse(value.text);
    Reason why;
    if (address) {
      why.text = why_not_here(*address, use);
    } else {
      why = why_no_address(value.text, use == AddressUse::data_listener ? "*" : "127.0.0.1");
    }
    if (why.text.empty()) return address;
    reader.error(value.at,
                 fmt::format("{}: {} can't be used: {}", path, in_quotes(value.text), why.text),
                 std::move(why.hint));
    return {};
  };
  return kind;
}

Kind<std::vector<Address>> address_list(AddressUse use) {
  return list_of("list of addresses", address(use));
}

Kind<std::vector<AddressBlock>> block_list() {
  Kind<AddressBlock> kind;
  kind.type = "address block";
  kind.schema = Json{{"type", "string"}, {"pattern", "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$|^unix$"}};
  kind.to_toml = [](const AddressBlock& block) {
    const bool unix_peers = block.base.family == Address::Family::unix_path;
    return in_quotes(unix_peers ? "unix" : block.to_string());
  };
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<AddressBlock> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, "an address block like \"10.0.0.0/8\", in quotes");
      return {};
    }
    if (value.text == "unix") {
      AddressBlock unix_peers;
      unix_peers.base.family = Address::Family::unix_path;
      return unix_peers;
    }
    const auto block = AddressBlock::parse(value.text);
    if (!block) {
      const std::string hint = lowered(value.text).starts_with("unix") ? "unix" : "";
      reader.error(value.at,
                   fmt::format("{}: {} is not an address block: write an IP address, a block like "
                               "\"10.0.0.0/8\", or \"unix\" for all who come over a Unix socket",
                               path, in_quotes(value.text)),
                   hint);
      return {};
    }
    AddressBlock first = *block;
    for (int bit = first.prefix_bits; bit < 128; ++bit) {
      first.base.ip[static_cast<std::size_t>(bit / 8)] &=
          static_cast<std::uint8_t>(~(0x80 >> bit % 8));
    }
    if (first == *block) return block;
    reader.error(value.at,
                 fmt::format("{}: {} has address bits behind its /{}", path, in_quotes(value.text),
                             block->prefix_bits),
                 first.to_string());
    return {};
  };
  return list_of("list of address blocks", std::move(kind));
}

Kind<std::string> host_name(bool wildcards) {
  Kind<std::string> kind;
  kind.type = wildcards ? "host or wildcard" : "host";
  kind.schema = Json{{"type", "string"}, {"minLength", 1}, {"maxLength", kHostBytesMax + 2}};
  kind.schema.json()["pattern"] = wildcards ? R"(^([*][.])?[A-Za-z0-9._-]+$|^\[[0-9a-fA-F:.]+\]$)"
                                            : R"(^[A-Za-z0-9._-]+$|^\[[0-9a-fA-F:.]+\]$)";
  kind.to_toml = [](const std::string& host) { return in_quotes(host); };
  kind.read = [wildcards](Reader& reader, const Value& value, const std::string& path) {
    return read_host(reader, value, path, wildcards);
  };
  return kind;
}

Kind<std::vector<std::string>> host_name_list(bool wildcards) {
  return list_of("list of hosts", host_name(wildcards));
}

Kind<std::string> certificate_name() {
  return {.type = "DNS name or IP address",
          .schema = Json{{"type", "string"},
                         {"maxLength", kHostBytesMax},
                         {"pattern", R"(^[A-Za-z0-9._-]+$|^[0-9a-fA-F:.]+$)"}},
          .read = read_certificate_name,
          .to_toml = [](const std::string& name) { return in_quotes(name); }};
}

Kind<std::string> host_field() {
  return checked_text("host, with a port or without",
                      {{"type", "string"}, {"pattern", R"(^[A-Za-z0-9._:\[\]-]+$)"}},
                      why_no_host_field);
}

Kind<std::string> path_prefix() {
  return checked_text("path prefix",
                      {{"type", "string"}, {"pattern", "^/[^?# ]*$"}, {"maxLength", kTextBytesMax}},
                      why_no_path_prefix);
}

Kind<std::string> request_target() {
  return checked_text("path",
                      {{"type", "string"}, {"pattern", "^/[^# ]*$"}, {"maxLength", kTextBytesMax}},
                      why_no_request_target);
}

}  // namespace sluice::conf
