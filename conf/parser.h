// From the text of a configuration file to a checked Config, or to everything that is wrong with
// it.
//
// Called at start, on reload and by `sluice check`; any thread. Whatever the text, the answer is a
// Config that keeps every promise of conf/config.h or a list of errors in order of their place: the
// first error of syntax alone, or all errors of meaning (at most kErrorsMax).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "conf/error.h"

namespace sluice::conf {

inline constexpr std::size_t kFileBytesMax = 4 << 20;
inline constexpr std::size_t kErrorsMax = 100;  // the rest is counted in a last entry

// A split has at most kSharesMax backends. One with more than kStatelessSharesMax backends of
// non-zero weight must have weights whose integers, without common divisor, sum to at most
// kSchedulePeriodMax: longer orders are not kept.
inline constexpr std::size_t kSharesMax = 64;
inline constexpr std::size_t kStatelessSharesMax = 4;
inline constexpr std::uint64_t kSchedulePeriodMax = 1 << 20;

using ConfigOrErrors = std::expected<Config, std::vector<ConfigError>>;

// `file` names the text in messages; relative paths in the text are taken from its folder.
ConfigOrErrors parse(std::string_view text, std::string_view file);

// Reads the file, at most kFileBytesMax of it. A file that can't be read is an error of line 0.
ConfigOrErrors load(const std::string& path);

}  // namespace sluice::conf
