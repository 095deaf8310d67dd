#include "proxy/cli/place.h"

#include <fmt/core.h>

#include <charconv>

#include "proxy/base/address.h"
#include "proxy/cli/words.h"
#include "proxy/http/target.h"

namespace sluice::cli {
namespace {

constexpr std::string_view kForms =
    "unix:/run/sluice/admin.sock, http://127.0.0.1:9901 or https://HOST:9901";

std::unexpected<std::string> wrong(std::string_view text, std::string_view why) {
  return std::unexpected(
      fmt::format("\"{}\" {}; it must be like {}", printable(text), why, kForms));
}

// An address of a listener as somebody on the same machine reaches it.
Place reached(const Address& address, bool tls) {
  using Family = Address::Family;
  if (address.family == Family::unix_path)
    return {.scheme = Place::Scheme::unix_socket, .path = address.path};
  Place place{.scheme = tls ? Place::Scheme::https : Place::Scheme::http,
              .host = address.ip_to_string(),
              .port = address.port};
  if (place.host == "0.0.0.0") place.host = "127.0.0.1";
  if (place.host == "::") place.host = "::1";
  return place;
}

// The smaller the better.
int rank(const Address& address) {
  if (address.family == Address::Family::unix_path) return 0;
  return address.is_loopback() ? 1 : 2;
}

}  // namespace

std::string Place::to_string() const {
  if (scheme == Scheme::unix_socket) return "unix:" + path;
  return fmt::format("{}://{}", scheme == Scheme::https ? "https" : "http", authority());
}

std::string Place::authority() const {
  if (scheme == Scheme::unix_socket) return "localhost";
  const bool ipv6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

bool Place::crosses_a_network_in_clear() const {
  if (scheme != Scheme::http || host == "localhost") return false;
  const auto address = Address::parse(authority());
  return !address || !address->is_loopback();
}

std::expected<Place, std::string> parse_place(std::string_view text) {
  std::string_view rest = text;
  Place place;
  if (rest.starts_with("unix:")) {
    rest.remove_prefix(5);
    if (rest.starts_with("//")) rest.remove_prefix(2);
    if (!rest.starts_with('/')) return wrong(text, "has no absolute path behind unix:");
    if (rest.size() > Address::kPathMax)
      return wrong(text, fmt::format("is longer than the {} bytes that a socket's path may have",
                                     Address::kPathMax));
    place.scheme = Place::Scheme::unix_socket;
    place.path = rest;
    return place;
  }
  if (rest.starts_with("https://")) {
    place.scheme = Place::Scheme::https;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.find("://") != std::string_view::npos || rest.starts_with('/')) {
    return wrong(text, "is no URL that is understood here");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (const char* why = http::check_authority(rest))
    return wrong(text, fmt::format("has no host and port: {}", why));
  std::string_view host = rest;
  const std::size_t colon = rest.rfind(':');
  const std::size_t bracket = rest.rfind(']');
  place.port = kAdminPort;
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const std::string_view port = rest.substr(colon + 1);
    std::from_chars(port.data(), port.data() + port.size(), place.port);
    host = rest.substr(0, colon);
  }
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  place.host = host;
  return place;
}

std::expected<Place, std::string> place_of(const conf::Admin& admin) {
  const Address* best = nullptr;
  for (const Address& address : admin.listen) {
    const bool fixed = address.family == Address::Family::unix_path || address.port != 0;
    if (fixed && (best == nullptr || rank(address) < rank(*best))) best = &address;
  }
  if (best != nullptr) return reached(*best, rank(*best) == 2);
  return std::unexpected(admin.listen.empty() ? "turns the admin interface off"
                                              : "leaves the admin interface's port to the system");
}

}  // namespace sluice::cli
