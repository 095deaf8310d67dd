#include "conf/words.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::conf {
namespace {

TEST(Words, QuotingLeavesNothingThatATerminalWouldObey) {
  EXPECT_EQ(in_quotes("plain"), "\"plain\"");
  EXPECT_EQ(in_quotes("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(in_quotes("\x1b[2J\n"), "\"\\x1b[2J\\x0a\"");
  EXPECT_EQ(in_quotes("\xc2\x9b"), "\"\\xc2\\x9b\"");
}

TEST(Words, QuotingCutsLongText) {
  const std::string text = in_quotes(std::string(kQuotedBytesMax + 1, 'x'));
  EXPECT_EQ(text, "\"" + std::string(kQuotedBytesMax, 'x') + "…\"");
  EXPECT_EQ(in_quotes(std::string(kQuotedBytesMax, 'x')).size(), kQuotedBytesMax + 2);
}

TEST(Words, NearestIgnoresLetterCaseAndGivesUpOnStrangers) {
  const std::vector<std::string> known{"connect", "idle", "stream"};
  EXPECT_EQ(nearest_word("conect", known), "connect");
  EXPECT_EQ(nearest_word("STREAM", known), "stream");
  EXPECT_EQ(nearest_word("ilde", known), "idle");
  EXPECT_EQ(nearest_word("certificate", known), "");
  EXPECT_EQ(nearest_word("", known), "");
}

}  // namespace
}  // namespace sluice::conf
