#include "admin/printable.h"

#include <algorithm>

#include "admin/json_writer.h"

namespace sluice::admin {
namespace {

// What would turn text around or hide in it: U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069,
// and the controls U+0080 to U+009F. `text` is UTF-8. Its length in bytes; 0: none here.
std::size_t control_at(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  if (byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) <= 0x9f) return 2;
  if (byte(0) != 0xe2) return 0;
  if (byte(1) == 0x80 && (byte(2) == 0x8e || byte(2) == 0x8f)) return 3;
  if (byte(1) == 0x80 && byte(2) >= 0xa8 && byte(2) <= 0xae) return 3;
  if (byte(1) == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9) return 3;
  return 0;
}

}  // namespace

std::string printable(std::string_view text, bool lines) {
  // What is no UTF-8 becomes U+FFFD.
  const std::string valid = to_valid_utf8(text);
  std::string shown;
  shown.reserve(valid.size());
  for (std::size_t i = 0; i < valid.size();) {
    const std::size_t control = control_at(std::string_view(valid).substr(i));
    const char c = valid[i];
    const bool line = lines && (c == '\n' || c == '\t');
    if (control > 0 || (!line && ((c >= 0 && c < 0x20) || c == 0x7f))) {
      shown += '?';
      i += std::max<std::size_t>(control, 1);
      continue;
    }
    shown += c;
    ++i;
  }
  return shown;
}

std::size_t columns(std::string_view text) {
  // Every byte but those that continue a character.
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace sluice::admin
