#include "proxy/base/decimal.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Decimal, KeepsWhatWasTyped) {
  for (const char* text : {"0", "90", "0.5", "33.333333", "1000000000"}) {
    ASSERT_TRUE(Decimal::parse(text)) << text;
    EXPECT_EQ(Decimal::parse(text)->to_string(), text);
  }
}

TEST(Decimal, EqualValuesAreEqual) {
  EXPECT_EQ(Decimal::parse("10"), Decimal::parse("10.000"));
  EXPECT_EQ(Decimal::parse("0.10"), Decimal::parse("0.1"));
}

TEST(Decimal, RefusesWhatIsNotAPlainNumber) {
  for (const char* text : {"", "-1", "+1", "1e3", ".5", "5.", "1 ", " 1", "NaN", "inf", "0x10",
                           "1.0000001", "1000000001", "99999999999999999999", "1,5"}) {
    EXPECT_FALSE(Decimal::parse(text)) << text;
  }
}

TEST(Decimal, CommonUnitsKeepExactRatios) {
  const std::vector<Decimal> values{*Decimal::parse("99.999"), *Decimal::parse("0.001"),
                                    *Decimal::parse("0")};
  EXPECT_EQ(to_common_units(values), (std::vector<std::uint64_t>{99999, 1, 0}));
  const std::vector<Decimal> same{*Decimal::parse("90"), *Decimal::parse("10")};
  EXPECT_EQ(to_common_units(same), (std::vector<std::uint64_t>{9, 1}));
}

}  // namespace
}  // namespace sluice
