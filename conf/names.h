// What names of listeners, backends, servers and routes may be: the same in the file, in the admin
// API's paths and in the ledger.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::conf {

inline constexpr std::size_t kNameBytesMax = 64;

// Lower case letters, digits, '.', '_' and '-'.
bool is_name_char(char c);
// 1 to kNameBytesMax of these.
bool is_name(std::string_view text);

}  // namespace sluice::conf
