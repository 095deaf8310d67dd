#include "conf/words.h"

#include <fmt/format.h>

#include <vector>

#include "proxy/base/nearest.h"

namespace sluice::conf {

std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  for (char c : text.substr(0, kQuotedBytesMax)) {
    if (c == '"' || c == '\\') result += '\\';
    if (c >= 0x20 && c < 0x7f) {
      result += c;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (text.size() > kQuotedBytesMax) result += "…";
  return result + '"';
}

std::string nearest_word(std::string_view word, std::span<const std::string> known) {
  const std::vector<std::string_view> words(known.begin(), known.end());
  return std::string(nearest(lowered(word), words).value_or(""));
}

std::string lowered(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace sluice::conf
