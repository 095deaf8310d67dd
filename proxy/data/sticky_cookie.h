// StickyKeys: signs and verifies the cookies that bind clients to a key of a sticky split.
//
//   cookie = "v1." hex(key) hex(issued) hex(mac)
//
// key: 4 bytes; issued: 8 bytes, seconds since 1970; both with the highest byte first. mac: the
// first 16 bytes of HMAC-SHA256, by a secret of the key file, over "sluice-sticky-1", NUL, the
// route's name, NUL, key and issued. So a cookie is good for one route, on every node that has the
// secret, until the secret is taken out of the file. Immutable, for all workers.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/clock.h"
#include "routing/partition.h"

namespace sluice::proxy {

class StickyKeys {
 public:
  static constexpr std::size_t kSecretBytes = 32;
  static constexpr std::size_t kSecretsMax = 8;
  static constexpr std::size_t kFileBytesMax = 64 * 1024;
  static constexpr std::size_t kMacBytes = 16;

  // Of a key file: a secret a line, 64 hexadecimal digits, the one that signs first; empty lines
  // and those that begin with `#` don't count. The error is a clause.
  static std::expected<StickyKeys, std::string> parse(std::string_view file);
  // The text of a key file with one new secret.
  static std::string new_file();

  struct Opened {
    routing::StickyKey key = 0;
    WallTime issued;
    bool by_current = true;  // signed with the first secret
  };
  std::string seal(std::string_view route, routing::StickyKey key, WallTime issued) const;
  // nullopt: not a cookie of this route by one of these secrets.
  std::optional<Opened> open(std::string_view route, std::string_view cookie) const;

 private:
  std::vector<std::string> secrets_;  // not empty
};

// By the path of their file, as the configuration names it; "" is the default one.
using StickyKeyRing = std::map<std::string, std::shared_ptr<const StickyKeys>, std::less<>>;
// Null: there are none of that file.
const StickyKeys* keys_of(const StickyKeyRing& ring, std::string_view key_file);

}  // namespace sluice::proxy
