// The tokens file: what callers of the admin interface may show instead of being who they are.
//
// TOML, one line for each token: the name of its holder, the token's own id, and what it may do.
//
//   ci.3f9a12cd = { role = "operator", routes = ["app"], sha256 = "3f9a12cd…", expires =
//   "2027-02-26" }
//
// The token itself is nowhere in it: `sha256` is the digest of its text in hex, and the id the
// first eight digits of that. One name may have several tokens: that is how one replaces another.
// Pure functions for any thread; written and read by `sluice token`, read by control.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "conf/error.h"

namespace sluice::conf {

inline constexpr std::size_t kTokensMax = 1024;
inline constexpr std::size_t kTokensFileBytesMax = 1 << 20;
inline constexpr std::size_t kTokenIdDigits = 8;
// What every token begins with, so that it is known where it turns up.
inline constexpr std::string_view kTokenPrefix = "slc_";

struct Token {
  std::string name;
  std::string id;  // unique
  Grant grant;
  std::string sha256;               // 64 hex digits, lower case; unique
  std::optional<WallTime> expires;  // not good any more from then on
  std::string created;              // as written; for people
  int line = 0;
};

using TokensOrErrors = std::expected<std::vector<Token>, std::vector<ConfigError>>;

// Whatever the text, all tokens or everything that is wrong with it (at most kErrorsMax).
TokensOrErrors parse_tokens(std::string_view text, std::string_view file);

// A line of the file, without its line feed.
std::string token_line(const Token& token);

// `2027-02-26` or `2027-02-26T18:30:00Z`; a day begins at midnight, UTC.
std::optional<WallTime> parse_expiry(std::string_view text);
std::string write_expiry(WallTime time);

}  // namespace sluice::conf
