#include "conf/section.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "conf/names.h"
#include "conf/parser.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

std::vector<std::string> names_of(std::span<const KeyInfo> keys) {
  std::vector<std::string> names;
  for (const KeyInfo& key : keys) names.push_back(key.name);
  return names;
}

// What the writer of an improper name could have meant; empty if nothing is left of it.
std::string proper_name(std::string_view name) {
  std::string proper;
  for (char c : lowered(name.substr(0, kNameBytesMax))) {
    if (c == ' ') c = '-';
    if (is_name_char(c)) proper += c;
  }
  return proper;
}

// As the second half of a sentence.
std::string uncapitalised(std::string text) {
  const bool word = text.size() > 1 && text[1] >= 'a' && text[1] <= 'z';
  if (word) text.replace(0, 1, lowered(text.substr(0, 1)));
  return text;
}

}  // namespace

std::string join_path(std::string_view parent, std::string_view name) {
  // Names end up in messages: a proper one stands bare, any other is quoted as TOML would.
  const bool bare = is_name(name) && !name.contains('.');
  const std::string part = bare ? std::string(name) : in_quotes(name);
  return parent.empty() ? part : fmt::format("{}.{}", parent, part);
}

SchemaPart object_schema(std::span<const KeyInfo> keys) {
  Json schema{{"type", "object"}, {"additionalProperties", false}};
  Json required = Json::array();
  for (const KeyInfo& key : keys) {
    schema["properties"][key.name] = key.schema.json();
    if (key.required) required.push_back(key.name);
  }
  if (!required.empty()) schema["required"] = required;
  return schema;
}

SchemaPart named_schema(const SchemaPart& element, std::size_t count_max) {
  return Json{{"type", "object"},
              {"minProperties", 1},
              {"maxProperties", count_max},
              {"propertyNames", {{"pattern", fmt::format("^[a-z0-9._-]{{1,{}}}$", kNameBytesMax)}}},
              {"additionalProperties", element.json()}};
}

KeyInfo value_info(std::string name, std::string type, const SchemaPart& schema,
                   std::string default_value, std::string meaning) {
  KeyInfo info{.name = std::move(name),
               .type = std::move(type),
               .default_value = std::move(default_value),
               .meaning = std::move(meaning)};
  info.schema = described(info.meaning, schema);
  if (!info.default_value.empty()) info.schema.json()["default"] = Json::parse(info.default_value);
  return info;
}

KeyInfo table_info(std::string name, std::vector<KeyInfo> children, std::string meaning) {
  KeyInfo info{.name = std::move(name), .type = "table", .meaning = std::move(meaning)};
  info.schema = object_schema(children);
  info.schema.json()["description"] = info.meaning;
  info.children = std::move(children);
  return info;
}

KeyInfo named_tables_info(std::string name, std::vector<KeyInfo> children, std::size_t count_max,
                          std::string meaning) {
  KeyInfo info{.name = std::move(name), .type = "table", .meaning = std::move(meaning)};
  info.named = true;
  info.schema = named_schema(object_schema(children), count_max);
  info.schema.json()["description"] = info.meaning;
  info.children = std::move(children);
  return info;
}

void forget_defaults(std::vector<KeyInfo>& infos) {
  for (KeyInfo& info : infos) {
    info.default_value.clear();
    info.schema.json().erase("default");
  }
}

bool expect_table(Reader& reader, const Entry& entry, const std::string& path) {
  if (entry.value.type == Value::Type::table) return true;
  reader.wrong_type(entry.value, path, "a table");
  return false;
}

void check_keys(Reader& reader, const Entry& table, const std::string& path,
                std::span<const KeyInfo> keys, std::span<const ForeignKey> foreign) {
  const std::vector<std::string> names = names_of(keys);
  for (const Entry& entry : table.value.entries) {
    if (std::ranges::find(names, entry.key) != names.end()) continue;
    const auto known = std::ranges::find(foreign, entry.key, &ForeignKey::name);
    if (known != foreign.end()) {
      reader.error(entry.at, fmt::format("[{}] has no say in {}; write it in {}", path, entry.key,
                                         known->place));
      continue;
    }
    const std::string hint = reader.wants_hint() ? nearest_word(entry.key, names) : "";
    std::string message = fmt::format("unknown key {}", in_quotes(entry.key));
    if (!path.empty()) message += fmt::format(" in [{}]", path);
    if (hint.empty()) message += fmt::format("; known are {}", fmt::join(names, ", "));
    reader.error(entry.at, std::move(message), hint);
  }
  for (const KeyInfo& key : keys) {
    if (!key.required || table.value.find(key.name) != nullptr) continue;
    const std::string what = key.type == "table" ? "table" : "key";
    reader.error(table.place(), fmt::format("the {} {} is missing: {}", what,
                                            join_path(path, key.name), uncapitalised(key.meaning)));
  }
}

void check_name(Reader& reader, const Entry& entry, const std::string& path) {
  if (is_name(entry.key)) return;
  reader.error(entry.at,
               fmt::format("{}: {} can't be a name: use 1 to {} of a-z, 0-9, '.', '_', '-'", path,
                           in_quotes(entry.key), kNameBytesMax),
               proper_name(entry.key));
}

bool check_count(Reader& reader, const Entry& table, const std::string& path,
                 std::size_t count_max) {
  const std::size_t count = table.value.entries.size();
  if (count > 0 && count <= count_max) return true;
  if (count == 0) {
    reader.error(table.place(), fmt::format("{} is empty: name at least one", path));
  } else {
    reader.error(table.value.entries[count_max].at,
                 fmt::format("{} has {} entries; at most {} are possible", path, count, count_max));
  }
  return false;
}

}  // namespace sluice::conf
