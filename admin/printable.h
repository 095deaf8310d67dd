// Text from anybody, made safe for a terminal. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::admin {

// What a terminal would obey, as `?`: control characters of ASCII and of Unicode (U+0080 to
// U+009F), line separators and direction overrides; what is no UTF-8 as U+FFFD. Line feeds and tabs
// stay where `lines` is set.
std::string printable(std::string_view text, bool lines = false);

// How many characters it is, and so, but for wide and combining ones, how many columns.
// Precondition: `text` is printable().
std::size_t columns(std::string_view text);

}  // namespace sluice::admin
