#include "routing/wording.h"

#include <algorithm>

#include "proxy/base/nearest.h"

namespace sluice::routing {

std::string in_quotes(std::string_view name) {
  std::string text = "\"";
  for (char c : name.substr(0, kQuotedBytesMax)) {
    const bool printable = c >= ' ' && c <= '~' && c != '"';
    text += printable ? c : '?';
  }
  if (name.size() > kQuotedBytesMax) text += "...";
  return text + '"';
}

std::string listed(std::span<const std::string_view> names) {
  if (names.empty()) return "none";
  std::string text;
  const std::size_t shown = std::min(names.size(), kListedNamesMax);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += ", ";
    text += in_quotes(names[i]);
  }
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

std::string suggestion(std::string_view name, std::span<const std::string_view> known) {
  if (const auto near = nearest(name, known)) return "did you mean " + in_quotes(*near) + "?";
  return "known are " + listed(known);
}

std::string to_text(const Split& split) {
  if (split.empty()) return "nothing";
  std::string text;
  for (const conf::WeightedBackend& share : split) {
    if (!text.empty()) text += ", ";
    text += share.backend + '=' + share.weight.to_string();
    if (share.state != conf::ShareState::active) {
      text += " (" + std::string(to_string(share.state)) + ')';
    }
  }
  return text;
}

std::vector<std::string_view> backend_names(const Split& split) {
  std::vector<std::string_view> names;
  for (const conf::WeightedBackend& share : split) names.push_back(share.backend);
  return names;
}

}  // namespace sluice::routing
