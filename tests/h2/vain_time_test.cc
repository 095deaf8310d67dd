// What a connection may cost to no use.
#include "proxy/h2/vain_time.h"

#include <gtest/gtest.h>

namespace sluice::h2 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class VainTimeTest : public testing::Test {
 protected:
  // Reads until somebody measures.
  void use_up_free_reads() {
    for (unsigned i = 0; i < VainTime::kReadsFree; ++i) EXPECT_FALSE(time_.begin_read(now_));
  }
  // A read `after` the last one that cost `cpu_time`; whether that was too much.
  bool read(Duration after, Duration cpu_time) {
    now_ += after;
    EXPECT_TRUE(time_.begin_read(now_));
    time_.spend(cpu_time);
    return time_.exhausted();
  }

  VainTime time_;
  TimePoint now_ = TimePoint{} + seconds(1000);
};

TEST_F(VainTimeTest, EndsBehindItsMaximum) {
  use_up_free_reads();
  EXPECT_FALSE(read({}, VainTime::kMax));
  EXPECT_TRUE(read({}, milliseconds(1)));
}

TEST_F(VainTimeTest, OnePartInAHundredIsForgiven) {
  use_up_free_reads();
  EXPECT_FALSE(read({}, VainTime::kMax));
  // As much as is forgiven meanwhile, for ever.
  for (int i = 0; i < 10'000; ++i) ASSERT_FALSE(read(seconds(1), milliseconds(10))) << i;
  EXPECT_TRUE(read(milliseconds(900), milliseconds(10)));
}

TEST_F(VainTimeTest, NothingIsSavedUp) {
  use_up_free_reads();
  EXPECT_FALSE(read(seconds(1'000'000), VainTime::kMax));
  EXPECT_TRUE(read({}, milliseconds(1)));
}

TEST_F(VainTimeTest, WhatIsUsefulIsNeverTooDear) {
  use_up_free_reads();
  EXPECT_TRUE(time_.begin_read(now_));
  time_.spend(seconds(1));
  time_.note_useful();
  EXPECT_FALSE(time_.exhausted());
  use_up_free_reads();  // that many again
  EXPECT_FALSE(read({}, VainTime::kMax)) << "and what was spent is forgotten";
}

}  // namespace
}  // namespace sluice::h2
