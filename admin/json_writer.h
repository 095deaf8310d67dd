// JsonWriter: builds one JSON document as text, laid out for people: members on lines of their own,
// or on one line where the caller asks for it. Numbers are written as given (a weight is exactly
// the decimal that it is); text that is not UTF-8 gets U+FFFD in place of what is wrong.
//
// Used within one call on the stack. Misuse (a member without its name, an unclosed object) is a
// broken invariant.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/decimal.h"

namespace sluice::admin {

class JsonWriter {
 public:
  enum class Layout : std::uint8_t { lines, one_line };
  // one_line for the whole document: a log line.
  explicit JsonWriter(Layout layout = Layout::lines) : layout_(layout) {}

  // An object or array within a one_line one is one_line as well.
  void begin_object(Layout layout = Layout::lines) { begin('{', layout); }
  void end_object() { end('}'); }
  void begin_array(Layout layout = Layout::lines) { begin('[', layout); }
  void end_array() { end(']'); }
  // The name of the object's next member.
  JsonWriter& key(std::string_view name);

  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(bool flag) { raw(flag ? "true" : "false"); }
  void value(std::integral auto number) { raw(std::to_string(number)); }
  void value(const Decimal& number) { raw(number.to_string()); }
  // With so many digits behind the point.
  void value(double number, int digits);
  void null() { raw("null"); }

  // The document with a line feed. Precondition: everything is closed.
  std::string finish();

 private:
  struct Level {
    Layout layout = Layout::lines;
    bool empty = true;
  };
  void begin(char bracket, Layout layout);
  void end(char bracket);
  void raw(std::string_view text);
  void before_element();
  void new_line(std::size_t depth);
  void append_text(std::string_view text);

  Layout layout_;
  std::string text_;
  std::vector<Level> levels_;
  bool after_key_ = false;
};

// `text` with U+FFFD in place of every byte that is no UTF-8 (RFC 3629).
std::string to_valid_utf8(std::string_view text);
bool is_valid_utf8(std::string_view text);

}  // namespace sluice::admin
