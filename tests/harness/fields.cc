#include "tests/harness/fields.h"

#include <algorithm>

namespace sluice::harness {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::optional<std::string> Fields::get(std::string_view name) const {
  for (const auto& [line_name, value] : lines) {
    if (equal_ignoring_case(line_name, name)) return value;
  }
  return std::nullopt;
}

std::vector<std::string> Fields::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [line_name, value] : lines) {
    if (equal_ignoring_case(line_name, name)) values.push_back(value);
  }
  return values;
}

bool Fields::lists(std::string_view name, std::string_view token) const {
  for (const std::string& value : all(name)) {
    std::string_view rest = value;
    while (true) {
      std::size_t comma = rest.find(',');
      if (equal_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

std::string Fields::text() const {
  std::string text;
  for (const auto& [name, value] : lines) text.append(name).append(": ").append(value) += "\r\n";
  return text;
}

}  // namespace sluice::harness
