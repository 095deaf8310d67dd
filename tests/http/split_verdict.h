// The verdict on bytes that are fed whole, cut in two at every place, and one by one.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/http/verdict.h"

namespace sluice::http {

// verdict_of(pieces) for every way of cutting; all must agree. Returns what they agree on.
template <typename VerdictOf>
std::string verdict_however_split(std::string_view text, VerdictOf verdict_of) {
  const std::string whole = verdict_of(std::vector{text});
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const std::string cut = verdict_of(std::vector{text.substr(0, at), text.substr(at)});
    EXPECT_EQ(cut, whole) << "cut at " << at << " of: " << text;
    if (cut != whole) break;
  }
  std::vector<std::string_view> bytes;
  for (std::size_t at = 0; at < text.size(); ++at) bytes.push_back(text.substr(at, 1));
  EXPECT_EQ(verdict_of(bytes), whole) << "byte by byte: " << text;
  return whole;
}

}  // namespace sluice::http
