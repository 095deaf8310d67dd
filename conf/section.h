// Sections and keys: the description of one TOML table, by which the parser reads it, the schema is
// made and the docs are checked.
//
// Built once by conf/keys.cc and never changed afterwards. A Section<T> reads a table into a T;
// what it does not need to know of T (names, types in words, defaults, schema) is its KeyInfos.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/document.h"
#include "conf/reader.h"
#include "conf/schema_part.h"

namespace sluice::conf {

// What a value may be, in words, as a schema, and how it is read and written.
template <typename V>
struct Kind {
  std::string type;  // in words: `duration`
  SchemaPart schema;
  // Reports what is wrong, beginning with `path`, and gives nullopt then.
  std::function<std::optional<V>(Reader&, const Value&, const std::string& path)> read;
  // As TOML that is JSON as well, so that it serves as the schema's default.
  std::function<std::string(const V&)> to_toml;
};

struct KeyInfo {
  std::string name;
  std::string type;
  std::string default_value;  // as TOML
  std::string meaning;
  bool required = false;
  bool named = false;  // a table of tables, each under a name of the user's choice
  SchemaPart schema;
  std::vector<KeyInfo> children;  // of a table
};

// A key that is known elsewhere, and refused here with a word on where it belongs.
struct ForeignKey {
  std::string name;
  std::string place;  // `[timeouts] or [routes.NAME.timeouts]`
};

std::string join_path(std::string_view parent, std::string_view name);

// The schema of a table with exactly these keys.
SchemaPart object_schema(std::span<const KeyInfo> keys);
// The schema of a table with any proper names (conf::kNameBytesMax), each for one `element`.
SchemaPart named_schema(const SchemaPart& element, std::size_t count_max);

// `default_value` as TOML that is JSON as well; empty: none.
KeyInfo value_info(std::string name, std::string type, const SchemaPart& schema,
                   std::string default_value, std::string meaning);
KeyInfo table_info(std::string name, std::vector<KeyInfo> children, std::string meaning);
KeyInfo named_tables_info(std::string name, std::vector<KeyInfo> children, std::size_t count_max,
                          std::string meaning);
void forget_defaults(std::vector<KeyInfo>& infos);

// False, and an error, if the entry is not a table.
bool expect_table(Reader& reader, const Entry& entry, const std::string& path);
// An error for each entry that is none of the keys, and for each required key that is not there.
void check_keys(Reader& reader, const Entry& table, const std::string& path,
                std::span<const KeyInfo> keys, std::span<const ForeignKey> foreign);
// An error if the name is not a proper one.
void check_name(Reader& reader, const Entry& entry, const std::string& path);
// False, and an error, if the table is empty or has more entries than that.
bool check_count(Reader& reader, const Entry& table, const std::string& path,
                 std::size_t count_max);

template <typename T>
class Section {
 public:
  // `prototype`: holds the defaults that the docs and the schema state.
  explicit Section(T prototype) : prototype_(std::move(prototype)) {}

  // A key whose value is a member of T, at its default when the key is missing.
  template <typename V>
  Section& value(std::string name, Kind<V> kind, V T::*member, std::string meaning) {
    return value_as(
        std::move(name), std::move(kind), [member](const T& target) { return target.*member; },
        [member](T& target, V value) { target.*member = std::move(value); }, std::move(meaning));
  }

  // The same through functions: V get(const T&), void set(T&, V).
  template <typename V, typename Get, typename Set>
  Section& value_as(std::string name, Kind<V> kind, Get get, Set set, std::string meaning) {
    KeyInfo info = value_info(std::move(name), kind.type, kind.schema,
                              kind.to_toml(get(prototype_)), std::move(meaning));
    return add(std::move(info), std::move(kind), std::move(set));
  }

  // A key without default: T is as it was when the key is missing.
  template <typename V, typename Set>
  Section& optional(std::string name, Kind<V> kind, Set set, std::string meaning) {
    KeyInfo info = value_info(std::move(name), kind.type, kind.schema, {}, std::move(meaning));
    return add(std::move(info), std::move(kind), std::move(set));
  }

  // A key that must be there.
  template <typename V, typename Set>
  Section& required(std::string name, Kind<V> kind, Set set, std::string meaning) {
    KeyInfo info = value_info(std::move(name), kind.type, kind.schema, {}, std::move(meaning));
    info.required = true;
    return add(std::move(info), std::move(kind), std::move(set));
  }

  // A table with keys of its own. `open` is called when the table is there:
  // U& open(T&, const Entry&).
  template <typename U, typename Open>
  Section& table(std::string name, Section<U> section, Open open, std::string meaning) {
    infos_.push_back(table_info(std::move(name), section.infos(), std::move(meaning)));
    readers_.push_back([section = std::move(section), open = std::move(open)](
                           Reader& reader, const Entry& entry, const std::string& path, T& target) {
      if (expect_table(reader, entry, path)) {
        section.read(reader, entry, path, open(target, entry));
      }
    });
    return *this;
  }

  enum class Presence : std::uint8_t { required, optional };

  // A table of tables by name, in order of appearance, at least one. `open` makes a new one and
  // keeps its name (entry.key): U& open(T&, const Entry&).
  template <typename U, typename Open>
  Section& named_tables(std::string name, Section<U> section, Open open, std::size_t count_max,
                        std::string meaning, Presence presence = Presence::required) {
    infos_.push_back(
        named_tables_info(std::move(name), section.infos(), count_max, std::move(meaning)));
    infos_.back().required = presence == Presence::required;
    readers_.push_back([section = std::move(section), open = std::move(open), count_max](
                           Reader& reader, const Entry& entry, const std::string& path, T& target) {
      if (!expect_table(reader, entry, path)) return;
      if (!check_count(reader, entry, path, count_max)) return;
      for (const Entry& element : entry.value.entries) {
        const std::string element_path = join_path(path, element.key);
        check_name(reader, element, path);
        if (!expect_table(reader, element, element_path)) continue;
        section.read(reader, element, element_path, open(target, element));
      }
    });
    return *this;
  }

  // A key that this table has no say in.
  Section& elsewhere(std::string name, std::string place) {
    foreign_.push_back({std::move(name), std::move(place)});
    return *this;
  }

  // For a table whose missing keys are as another table says: no default of its own is stated.
  Section& inherited() {
    forget_defaults(infos_);
    return *this;
  }

  // Precondition: entry.value is a table. Keys are read in the order of their description, not of
  // the text, so that a key may rely on those described before it.
  void read(Reader& reader, const Entry& table, const std::string& path, T& target) const {
    check_keys(reader, table, path, infos_, foreign_);
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      const Entry* entry = table.value.find(infos_[i].name);
      if (entry != nullptr) readers_[i](reader, *entry, join_path(path, entry->key), target);
    }
  }

  const std::vector<KeyInfo>& infos() const { return infos_; }

 private:
  using ReadKey = std::function<void(Reader&, const Entry&, const std::string& path, T&)>;

  template <typename V, typename Set>
  Section& add(KeyInfo info, Kind<V> kind, Set set) {
    infos_.push_back(std::move(info));
    readers_.push_back([read = std::move(kind.read), set = std::move(set)](
                           Reader& reader, const Entry& entry, const std::string& path, T& target) {
      std::optional<V> value = read(reader, entry.value, path);
      if (value) set(target, std::move(*value));
    });
    return *this;
  }

  T prototype_;
  std::vector<KeyInfo> infos_;
  std::vector<ReadKey> readers_;  // one for each info
  std::vector<ForeignKey> foreign_;
};

}  // namespace sluice::conf
