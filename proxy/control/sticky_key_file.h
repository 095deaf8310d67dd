// The files with the keys that sticky cookies are signed with. For the start, `sluice check` and a
// reload, before anything is changed. Any thread that may block.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "conf/config.h"
#include "proxy/data/sticky_cookie.h"

namespace sluice::proxy {

// The default one, in runtime.state_directory.
inline constexpr const char* kStickyKeyFile = "sticky.key";

struct LoadedStickyKeys {
  StickyKeyRing ring;                 // of every file that a route with cookies names
  std::vector<std::string> warnings;  // files that others can read; a sentence each
};
// `make_missing`: the default one is made if it is missing, for its owner alone, whole or not at
// all; otherwise (`check`) it is left out. The errors are sentences, `FILE:LINE: route NAME: ...`.
std::expected<LoadedStickyKeys, std::vector<std::string>> load_sticky_keys(
    const conf::Config& config, bool make_missing);

}  // namespace sluice::proxy
