#include "proxy/base/rfc3339.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice {
namespace {

TEST(Rfc3339, WritesUtcWithNanoseconds) {
  const struct {
    std::int64_t nanoseconds;
    const char* text;
  } cases[] = {
      {0, "1970-01-01T00:00:00.000000000Z"},
      {-1, "1969-12-31T23:59:59.999999999Z"},
      {1'000'000'000'123'456'789, "2001-09-09T01:46:40.123456789Z"},
      {951'782'400'000'000'001, "2000-02-29T00:00:00.000000001Z"},
  };
  for (const auto& c : cases) {
    const WallTime time{Duration(c.nanoseconds)};
    EXPECT_EQ(to_rfc3339(time), c.text);
    EXPECT_EQ(parse_rfc3339(c.text), time) << c.text;
  }
}

TEST(Rfc3339, ComesBackAsItWent) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 10'000; ++i) {
    const WallTime time{Duration(static_cast<std::int64_t>(random()))};
    const std::string text = to_rfc3339(time);
    ASSERT_EQ(text.size(), 30u) << text;
    // The first and the last second of what WallTime can hold are refused.
    if (time < WallTime::min() + std::chrono::seconds(2)) continue;
    if (time > WallTime::max() - std::chrono::seconds(2)) continue;
    ASSERT_EQ(parse_rfc3339(text), time) << text;
  }
}

TEST(Rfc3339, WritesTheFirstAndTheLastInstantThereIs) {
  EXPECT_EQ(to_rfc3339(WallTime::min()), "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(to_rfc3339(WallTime::max()), "2262-04-11T23:47:16.854775807Z");
}

TEST(Rfc3339, RefusesEveryOtherForm) {
  for (const char* text : {"",
                           "2026-11-21",
                           "2026-11-21T05:02:03Z",
                           "2026-11-21T05:02:03.123456789",
                           "2026-11-21t05:02:03.123456789Z",
                           "2026-11-21T05:02:03.123456789z",
                           "2026-11-21 05:02:03.123456789Z",
                           "2026-11-21T05:02:03.12345678Z ",
                           "2026-11-21T05:02:03,123456789Z",
                           "2026-13-21T05:02:03.123456789Z",
                           "2026-02-29T05:02:03.123456789Z",
                           "2026-11-31T05:02:03.123456789Z",
                           "2026-11-00T05:02:03.123456789Z",
                           "2026-11-21T24:02:03.123456789Z",
                           "2026-11-21T05:60:03.123456789Z",
                           "2026-11-21T05:02:60.123456789Z",
                           "-026-11-21T05:02:03.123456789Z",
                           "2026-11-21T05:02:03.12345678-Z",
                           "1677-09-20T00:00:00.000000000Z",
                           "2262-04-12T00:00:00.000000000Z",
                           "9999-12-31T23:59:59.999999999Z",
                           "0000-01-01T00:00:00.000000000Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

}  // namespace
}  // namespace sluice
