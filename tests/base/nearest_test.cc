#include "proxy/base/nearest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice {
namespace {

TEST(Nearest, FindsTheWordThatWasMeant) {
  const std::vector<std::string_view> known{"blue", "green", "canary", "stable"};
  const struct {
    std::string_view word;
    std::optional<std::string_view> expected;
  } cases[] = {
      {"gren", "green"},    {"grene", "green"}, {"bleu", "blue"}, {"canray", "canary"},
      {"Stable", "stable"}, {"purple", {}},     {"", {}},         {"blue", "blue"},
  };
  for (const auto& c : cases) EXPECT_EQ(nearest(c.word, known), c.expected) << c.word;
}

TEST(Nearest, PrefersTheFewestEditsThenTheFirst) {
  const std::vector<std::string_view> known{"app-2", "app-1", "app-11"};
  EXPECT_EQ(nearest("app-11x", known), "app-11");
  EXPECT_EQ(nearest("app-3", known), "app-2");
}

TEST(Nearest, LeavesLongWordsAlone) {
  const std::string longest(kNearestBytesMax, 'a');
  const std::string longer = longest + "a";
  const std::vector<std::string_view> known{longer, longest};
  EXPECT_EQ(nearest(longest, known), longest);
  EXPECT_EQ(nearest(longer, known), std::nullopt);
}

}  // namespace
}  // namespace sluice
