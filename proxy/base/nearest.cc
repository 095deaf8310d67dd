#include "proxy/base/nearest.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace sluice {
namespace {

// Optimal string alignment. Precondition: both at most kNearestBytesMax long.
std::size_t edits(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, kNearestBytesMax + 1>;
  Row before_last{};
  Row last{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    Row row{};
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known) {
  std::optional<std::string_view> best;
  std::size_t best_edits = 0;
  if (word.empty() || word.size() > kNearestBytesMax) return best;
  for (std::string_view candidate : known) {
    if (candidate.empty() || candidate.size() > kNearestBytesMax) continue;
    const std::size_t distance = edits(word, candidate);
    const std::size_t near = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    if (distance > near || (best && distance >= best_edits)) continue;
    best = candidate;
    best_edits = distance;
  }
  return best;
}

}  // namespace sluice
