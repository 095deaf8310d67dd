#include "admin/json_writer.h"

#include <fmt/core.h>

#include <cmath>

#include "proxy/base/check.h"

namespace sluice::admin {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Bytes of the UTF-8 character that `text` begins with; 0 if it begins with none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf5   ? 0
                             : first >= 0xf0 ? 4
                             : first >= 0xe0 ? 3
                             : first >= 0xc2 ? 2
                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  const unsigned char second = byte(1);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return length;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = character_bytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string to_valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = character_bytes(text);
    valid += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return valid;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  SLUICE_CHECK(!levels_.empty() && !after_key_);
  before_element();
  append_text(name);
  text_ += ": ";
  after_key_ = true;
  return *this;
}

void JsonWriter::value(std::string_view text) {
  before_element();
  append_text(text);
}

void JsonWriter::value(double number, int digits) {
  SLUICE_CHECK(std::isfinite(number));
  raw(fmt::format("{:.{}f}", number, digits));
}

std::string JsonWriter::finish() {
  SLUICE_CHECK(levels_.empty() && !text_.empty());
  return std::move(text_) + '\n';
}

void JsonWriter::begin(char bracket, Layout layout) {
  before_element();
  const Layout around = levels_.empty() ? layout_ : levels_.back().layout;
  text_ += bracket;
  levels_.push_back({around == Layout::one_line ? around : layout});
}

void JsonWriter::end(char bracket) {
  SLUICE_CHECK(!levels_.empty() && !after_key_);
  const Level level = levels_.back();
  levels_.pop_back();
  if (level.layout == Layout::lines && !level.empty) new_line(levels_.size());
  text_ += bracket;
}

void JsonWriter::raw(std::string_view text) {
  before_element();
  text_ += text;
}

void JsonWriter::before_element() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (levels_.empty()) {
    SLUICE_CHECK(text_.empty());
    return;
  }
  Level& level = levels_.back();
  if (!level.empty) text_ += level.layout == Layout::one_line ? ", " : ",";
  level.empty = false;
  if (level.layout == Layout::lines) new_line(levels_.size());
}

void JsonWriter::new_line(std::size_t depth) {
  text_ += '\n';
  text_.append(2 * depth, ' ');
}

void JsonWriter::append_text(std::string_view text) {
  text_ += '"';
  for (const char c : to_valid_utf8(text)) {
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (c == '\n') {
      text_ += "\\n";
    } else if (c == '\t') {
      text_ += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      text_ += c;
    }
  }
  text_ += '"';
}

}  // namespace sluice::admin
