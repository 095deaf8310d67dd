// Fields: the field lines of a message as they came, in order. Names keep their case; look-ups
// don't mind it (RFC 9110 section 5.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::harness {

struct Fields {
  std::vector<std::pair<std::string, std::string>> lines;

  void add(std::string_view name, std::string_view value) { lines.emplace_back(name, value); }
  // The first line of that name.
  std::optional<std::string> get(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;
  std::size_t count(std::string_view name) const { return all(name).size(); }
  bool has(std::string_view name) const { return get(name).has_value(); }
  // True if any line of that name lists `token`, comma-separated, in any case.
  bool lists(std::string_view name, std::string_view token) const;
  // `Name: value\r\n` for each line.
  std::string text() const;
};

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace sluice::harness
