#include "conf/names.h"

#include <algorithm>

namespace sluice::conf {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && std::ranges::all_of(text, is_name_char);
}

}  // namespace sluice::conf
