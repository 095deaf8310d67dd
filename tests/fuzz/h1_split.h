// Ways to cut an input that depend on nothing but the input, so that a crash reproduces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "tests/http/verdict.h"

namespace sluice::http {

using Pieces = std::vector<std::string_view>;

inline Pieces cut(std::string_view text, auto next_size) {
  Pieces pieces;
  while (!text.empty()) {
    pieces.push_back(text.substr(0, next_size()));
    text.remove_prefix(pieces.back().size());
  }
  return pieces;
}

// Byte by byte, and a few times at random, in long pieces and short ones.
inline std::vector<Pieces> splits_of(std::string_view text) {
  std::uint64_t seed = text.size();
  for (const char c : text) seed = seed * 31 + static_cast<unsigned char>(c);
  std::mt19937_64 random(seed);
  std::vector<Pieces> splits{cut(text, [] { return 1; })};
  for (const std::size_t longest : {3, 16, 200}) {
    splits.push_back(cut(text, [&] { return 1 + random() % longest; }));
  }
  return splits;
}

}  // namespace sluice::http
