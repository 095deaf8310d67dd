#include "conf/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "conf/words.h"

// Compiled into this file alone: sanitizers and fuzzers then see the library's code as well, and it
// answers with values instead of exceptions.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 8
// Input can reach places that the library asserts (`[|`) or, in its classes of letters, declares
// unreachable (any beyond ASCII where a blank could stand). The code right behind the assertions
// reports an error, and such letters are in none of the classes.
// clang-format off: the order matters.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/impl/forward_declarations.h>
#pragma push_macro("TOML_UNREACHABLE")
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE return false
#include <toml++/impl/unicode.h>
#pragma pop_macro("TOML_UNREACHABLE")
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")
// clang-format on

namespace sluice::conf {
namespace {

Position position_of(const toml::source_position& source) {
  return {static_cast<int>(source.line), static_cast<int>(source.column)};
}

// Where strings, comments and dotted keys begin and end in a TOML text: just enough to count the
// parts of keys. Right up to the first error of syntax, where the library stops reading anyway.
class KeyScanner {
 public:
  explicit KeyScanner(std::string_view text) : text_(text) {}

  // The first key with more than kKeyPartsMax parts.
  std::optional<Position> find_deep_key() {
    int dots = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '.' && ++dots >= kKeyPartsMax) return position();
      if (c == '\n') start_line(at_ + 1);
      if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) dots = 0;
      ++at_;
    }
    return {};
  }

 private:
  void start_line(std::size_t at) {
    ++line_;
    line_start_ = at;
  }

  Position position() const { return {line_, static_cast<int>(at_ - line_start_) + 1}; }

  void skip_string(char quote) {
    const std::string triple(3, quote);
    const bool multi_line = text_.substr(at_).starts_with(triple);
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\\' && quote == '"') {
        // A newline behind the backslash is still counted by the next turn.
        at_ += at_ + 1 < text_.size() && text_[at_ + 1] != '\n' ? 2 : 1;
        continue;
      }
      if (c == '\n' && !multi_line) return;
      if (c == '\n') start_line(at_ + 1);
      if (c == quote && !multi_line) {
        ++at_;
        return;
      }
      if (c == quote && text_.substr(at_).starts_with(triple)) {
        at_ += 3;
        // Up to two quotes more belong to the string.
        for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] == quote; ++i) ++at_;
        return;
      }
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  int line_ = 1;
};

// Recursion is bounded by kKeyPartsMax and TOML_MAX_NESTED_VALUES.
Value value_of(const toml::node& node) {
  Value value;
  value.at = position_of(node.source().begin);
  switch (node.type()) {
    case toml::node_type::string:
      value.type = Value::Type::string;
      value.text = node.as_string()->get();
      break;
    case toml::node_type::integer:
      value.type = Value::Type::integer;
      value.integer = node.as_integer()->get();
      break;
    case toml::node_type::floating_point:
      value.type = Value::Type::floating;
      value.floating = node.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      value.type = Value::Type::boolean;
      value.boolean = node.as_boolean()->get();
      break;
    case toml::node_type::array:
      value.type = Value::Type::array;
      for (const toml::node& item : *node.as_array()) value.items.push_back(value_of(item));
      break;
    case toml::node_type::table:
      value.type = Value::Type::table;
      for (auto&& [key, child] : *node.as_table()) {
        value.entries.push_back(
            {std::string(key.str()), position_of(key.source().begin), value_of(child)});
      }
      std::ranges::sort(value.entries, {}, &Entry::at);
      value.index();
      break;
    default:
      value.type = Value::Type::date;
      break;
  }
  return value;
}

}  // namespace

void Value::index() {
  by_key.resize(entries.size());
  std::iota(by_key.begin(), by_key.end(), 0u);
  std::ranges::sort(
      by_key, {}, [this](std::uint32_t index) -> const std::string& { return entries[index].key; });
}

const Entry* Value::find(std::string_view key) const {
  const auto found = std::ranges::lower_bound(by_key, key, {}, [this](std::uint32_t index) {
    return std::string_view(entries[index].key);
  });
  return found == by_key.end() || entries[*found].key != key ? nullptr : &entries[*found];
}

std::string_view type_name(Value::Type type) {
  switch (type) {
    case Value::Type::string:
      return "a string";
    case Value::Type::integer:
      return "an integer";
    case Value::Type::floating:
      return "a number with a fraction";
    case Value::Type::boolean:
      return "true or false";
    case Value::Type::date:
      return "a date or time";
    case Value::Type::array:
      return "a list";
    case Value::Type::table:
      return "a table";
  }
  return "";
}

std::expected<Value, SyntaxError> read_document(std::string_view text) {
  // The library makes a nested table of every part of a key and frees them by recursion.
  if (const auto deep = KeyScanner(text).find_deep_key()) {
    return std::unexpected(
        SyntaxError{*deep, fmt::format("a key has at most {} parts", kKeyPartsMax)});
  }
  const toml::parse_result result = toml::parse(text, std::string_view());
  if (!result) {
    const std::string said(result.error().description());
    std::string message = "not TOML: ";
    for (char c : said) message += c >= 0x20 && c < 0x7f ? c : '?';
    return std::unexpected(SyntaxError{position_of(result.error().source().begin), message});
  }
  return value_of(result.table());
}

}  // namespace sluice::conf
