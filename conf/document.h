// A TOML text as a tree that knows where everything stood. Hides the TOML library from the rest of
// the room: what it allows, forgets (order) and can't bear (depth) is settled here.
#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::conf {

// Both from 1, the column in characters; 0: unknown.
struct Position {
  int line = 0;
  int column = 0;
  auto operator<=>(const Position&) const = default;
};

struct Entry;

struct Value {
  enum class Type : std::uint8_t { string, integer, floating, boolean, date, array, table };

  Type type = Type::table;
  Position at;  // where the value begins; for a table its header or brace
  std::string text;
  std::int64_t integer = 0;
  double floating = 0;
  bool boolean = false;
  std::vector<Value> items;           // of an array
  std::vector<Entry> entries;         // of a table, in the order of the text
  std::vector<std::uint32_t> by_key;  // indices of entries, sorted by key

  // nullptr: not a table, or no such key.
  const Entry* find(std::string_view key) const;
  // Makes by_key anew; whoever changes entries calls it.
  void index();
};

struct Entry {
  std::string key;
  Position at;  // of the key, where it first stood
  Value value;

  // Where an error in the value as a whole is shown: a table by its key, all else by itself.
  Position place() const { return value.type == Value::Type::table ? at : value.at; }
};

// `a string`, `an integer`…
std::string_view type_name(Value::Type type);

struct SyntaxError {
  Position at;
  std::string message;
};

inline constexpr int kKeyPartsMax = 8;  // of one dotted key or header; deeper ones are refused

// The file's table, or the first error of syntax.
std::expected<Value, SyntaxError> read_document(std::string_view text);

}  // namespace sluice::conf
