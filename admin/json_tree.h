// JsonTree: a JSON document as it was written: members in order, repeated ones refused, numbers as
// their text, so that no digit is lost. For bodies of calls: bounded in depth and members.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::admin {

struct JsonMember;

struct JsonTree {
  enum class Type : std::uint8_t { null, boolean, number, text, object, array };
  // Nested objects and arrays, and values of a whole document.
  static constexpr std::size_t kDepthMax = 8;
  static constexpr std::size_t kValuesMax = 4096;

  Type type = Type::null;
  std::string value;                // of a text, decoded; of a number or boolean, as written
  std::vector<JsonMember> members;  // of an object; of an array, without names

  const JsonTree* find(std::string_view name) const;
  // The error is a clause that says where and what.
  static std::expected<JsonTree, std::string> parse(std::string_view text);
};

struct JsonMember {
  std::string name;
  JsonTree tree;
};

std::string_view to_string(JsonTree::Type type);
// What nlohmann says of a document that it can't read, without its own numbering, and short: it
// repeats what it last read, which may be all of it.
std::string json_error(std::size_t position, std::string_view what);

}  // namespace sluice::admin
