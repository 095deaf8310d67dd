#include "proxy/data/sticky_cookie.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <utility>

#include "tls/digest.h"

namespace sluice::proxy {
namespace {

constexpr std::string_view kVersion = "v1.";
constexpr std::size_t kStatedBytes = 12;  // key and time
constexpr std::size_t kCookieBytes = kVersion.size() + 2 * (kStatedBytes + StickyKeys::kMacBytes);

using Stated = std::array<std::uint8_t, kStatedBytes>;

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::optional<std::uint8_t> digit(char c, bool upper_allowed) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (upper_allowed && c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return {};
}

// False: not exactly that many bytes in hexadecimal.
bool from_hex(std::string_view text, std::span<std::uint8_t> bytes, bool upper_allowed = false) {
  if (text.size() != bytes.size() * 2) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto high = digit(text[2 * i], upper_allowed);
    const auto low = digit(text[2 * i + 1], upper_allowed);
    if (!high || !low) return false;
    bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return true;
}

std::string_view as_chars(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::uint64_t number(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

std::array<std::uint8_t, StickyKeys::kMacBytes> mac_of(const std::string& secret,
                                                       std::string_view route,
                                                       const Stated& stated) {
  std::string covered("sluice-sticky-1");
  covered += '\0';
  covered += route;
  covered += '\0';
  covered += as_chars(stated);
  const tls::Sha256 whole = tls::hmac_sha256(secret, covered);
  std::array<std::uint8_t, StickyKeys::kMacBytes> mac;
  std::copy_n(whole.begin(), mac.size(), mac.begin());
  return mac;
}

}  // namespace

std::expected<StickyKeys, std::string> StickyKeys::parse(std::string_view file) {
  StickyKeys keys;
  std::size_t number = 0;
  while (!file.empty()) {
    const std::size_t end = std::min(file.find('\n'), file.size());
    std::string_view line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    ++number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    std::array<std::uint8_t, kSecretBytes> secret;
    // What the line says is a secret: it is not repeated.
    if (!from_hex(line, secret, true)) {
      return std::unexpected(
          fmt::format("line {} is not a key of {} hexadecimal digits", number, 2 * kSecretBytes));
    }
    if (keys.secrets_.size() == kSecretsMax) {
      return std::unexpected(fmt::format("it has more than {} keys", kSecretsMax));
    }
    keys.secrets_.emplace_back(as_chars(secret));
  }
  if (keys.secrets_.empty()) {
    return std::unexpected(
        fmt::format("it has no key: make one of {} hexadecimal digits, with `openssl rand -hex {}`",
                    2 * kSecretBytes, kSecretBytes));
  }
  return keys;
}

std::string StickyKeys::new_file() {
  std::array<std::uint8_t, kSecretBytes> secret;
  tls::fill_with_random(secret);
  return "# Keys that sticky cookies are signed with: the first signs, all are good.\n" +
         to_hex(secret) + "\n";
}

std::string StickyKeys::seal(std::string_view route, routing::StickyKey key,
                             WallTime issued) const {
  using std::chrono::duration_cast, std::chrono::seconds;
  const auto time =
      static_cast<std::uint64_t>(duration_cast<seconds>(issued.time_since_epoch()).count());
  Stated stated;
  for (std::size_t i = 0; i < 4; ++i) stated[i] = static_cast<std::uint8_t>(key >> (24 - 8 * i));
  for (std::size_t i = 0; i < 8; ++i) {
    stated[4 + i] = static_cast<std::uint8_t>(time >> (56 - 8 * i));
  }
  return std::string(kVersion) + to_hex(stated) + to_hex(mac_of(secrets_.front(), route, stated));
}

std::optional<StickyKeys::Opened> StickyKeys::open(std::string_view route,
                                                   std::string_view cookie) const {
  if (cookie.size() != kCookieBytes || !cookie.starts_with(kVersion)) return {};
  cookie.remove_prefix(kVersion.size());
  Stated stated;
  std::array<std::uint8_t, kMacBytes> mac;
  if (!from_hex(cookie.substr(0, 2 * kStatedBytes), stated)) return {};
  if (!from_hex(cookie.substr(2 * kStatedBytes), mac)) return {};
  for (std::size_t i = 0; i < secrets_.size(); ++i) {
    if (!tls::equal_in_constant_time(mac, mac_of(secrets_[i], route, stated))) continue;
    const std::span<const std::uint8_t> bytes = stated;
    const auto time = static_cast<std::int64_t>(number(bytes.subspan(4)));
    return Opened{static_cast<routing::StickyKey>(number(bytes.first(4))),
                  WallTime(std::chrono::seconds(time)), i == 0};
  }
  return {};
}

const StickyKeys* keys_of(const StickyKeyRing& ring, std::string_view key_file) {
  const auto found = ring.find(key_file);
  return found == ring.end() ? nullptr : found->second.get();
}

}  // namespace sluice::proxy
