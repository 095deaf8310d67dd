#include "proxy/h2/budget.h"

#include <gtest/gtest.h>

#include <functional>

namespace sluice::h2 {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};
constexpr std::size_t kSmall = 9;

// How often `step` can be done until something runs out; `most` if it doesn't.
int lasts(Budget& budget, int most, const std::function<void(Budget&)>& step) {
  for (int count = 0; count < most; ++count) {
    step(budget);
    if (budget.exhausted() != Exhausted::none) return count;
  }
  return most;
}

TEST(Budget, EachKindOfFrameHasItsEnd) {
  struct Case {
    const char* name;
    std::function<void(Budget&)> step;
    Exhausted what;
    int count;
  };
  const BudgetLimits limits;
  const auto frame = [](FrameKind kind, std::size_t bytes = kSmall) {
    return [=](Budget& budget) { budget.on_frame(kind, bytes, false, kNow); };
  };
  const Case cases[] = {
      {"PING", frame(FrameKind::ping, 17), Exhausted::control_frames, 1000},
      {"SETTINGS", frame(FrameKind::settings), Exhausted::control_frames, 1000},
      {"PRIORITY", frame(FrameKind::priority, 14), Exhausted::control_frames, 1000},
      {"unknown", frame(FrameKind::other), Exhausted::control_frames, 1000},
      {"WINDOW_UPDATE", frame(FrameKind::window_update, 13), Exhausted::window_updates, 2000},
      {"empty DATA", frame(FrameKind::data), Exhausted::empty_data, 100},
      {"CONTINUATION", frame(FrameKind::continuation), Exhausted::continuations, 16},
      {"HEADERS", frame(FrameKind::headers), Exhausted::useless_frames, 10'000},
      {"DATA not taken", frame(FrameKind::data, 16 * 1024), Exhausted::useless_bytes, 64},
      {"reset", [](Budget& budget) { budget.on_reset(0, kNow); }, Exhausted::resets, 200},
      {"fields dropped", [](Budget& budget) { budget.on_fields_dropped(4096); },
       Exhausted::useless_bytes, 256},
  };
  for (const Case& c : cases) {
    Budget budget(limits);
    EXPECT_EQ(lasts(budget, 20'000, c.step), c.count) << c.name;
    EXPECT_EQ(budget.exhausted(), c.what) << c.name;
    EXPECT_FALSE(describe(c.what).empty());
  }
}

TEST(Budget, WhatRanOutFirstStays) {
  Budget budget({});
  lasts(budget, 1000, [](Budget& b) { b.on_reset(0, kNow); });
  lasts(budget, 5000, [](Budget& b) { b.on_frame(FrameKind::ping, 17, false, kNow); });
  EXPECT_EQ(budget.exhausted(), Exhausted::resets);
}

TEST(Budget, ContinuationsAreCountedForEachSection) {
  Budget budget({});
  for (int section = 0; section < 100; ++section) {
    budget.on_frame(FrameKind::headers, kSmall, true, kNow);
    for (int i = 0; i < 16; ++i) budget.on_frame(FrameKind::continuation, kSmall, false, kNow);
    budget.on_request_answered();
  }
  EXPECT_EQ(budget.exhausted(), Exhausted::none);
}

TEST(Budget, TimeForgives) {
  Budget budget({});
  TimePoint now = kNow;
  const BudgetLimits limits;
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::milliseconds(1000) / limits.resets_per_second;
    budget.on_reset(0, now);
    budget.on_frame(FrameKind::ping, 17, false, now);
  }
  EXPECT_EQ(budget.exhausted(), Exhausted::none);
}

TEST(Budget, BusyClientNeverRunsOut) {
  Budget budget({});
  // All at the same instant: nothing is forgiven, everything must be earned.
  for (int request = 0; request < 100'000; ++request) {
    budget.on_frame(FrameKind::headers, 60, true, kNow);
    budget.on_frame(FrameKind::priority, 14, false, kNow);
    budget.on_data_sent(1024);
    budget.on_frame(FrameKind::window_update, 13, false, kNow);
    budget.on_frame(FrameKind::window_update, 13, false, kNow);
    budget.on_request_answered();
    if (request % 3 == 0) budget.on_reset(0, kNow);
  }
  EXPECT_EQ(budget.exhausted(), Exhausted::none);
}

TEST(Budget, HeadsThatAreTakenCostNothingUntilTheyAreReset) {
  Budget budget({});
  for (int request = 0; request < 20'000; ++request) {
    budget.on_frame(FrameKind::headers, 16 * 1024, false, kNow);
    budget.on_frame(FrameKind::continuation, 8 * 1024, false, kNow);
    budget.on_head_taken(2, 24 * 1024);
  }
  EXPECT_EQ(budget.exhausted(), Exhausted::none);
  EXPECT_LT(lasts(budget, 200, [](Budget& b) { b.on_reset(24 * 1024, kNow); }), 50);
  EXPECT_EQ(budget.exhausted(), Exhausted::useless_bytes);
}

TEST(Budget, UploadInSmallPiecesIsUseful) {
  Budget budget({});
  for (int i = 0; i < 1'000'000; ++i) {
    budget.on_frame(FrameKind::data, kSmall + 10, false, kNow);
    budget.on_data_taken(10);
  }
  EXPECT_EQ(budget.exhausted(), Exhausted::none);
}

TEST(Budget, DownloadIsAcknowledgedAtWill) {
  Budget budget({});
  for (int i = 0; i < 100'000; ++i) {
    budget.on_data_sent(16 * 1024);
    for (int update = 0; update < 16; ++update) {
      budget.on_frame(FrameKind::window_update, 13, false, kNow);
    }
    budget.on_frame(FrameKind::ping, 17, false, kNow);
  }
  EXPECT_EQ(budget.exhausted(), Exhausted::none);
}

TEST(Budget, PaddingIsNoData) {
  Budget budget({});
  const int frames = lasts(budget, 10'000, [](Budget& b) {
    b.on_frame(FrameKind::data, kSmall + 257, false, kNow);
    b.on_data_taken(1);
  });
  EXPECT_LT(frames, 5000);
  EXPECT_EQ(budget.exhausted(), Exhausted::useless_bytes);
}

TEST(Budget, IdleConnectionMayPingForDays) {
  Budget budget({});
  TimePoint now = kNow;
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::seconds(10);
    budget.on_frame(FrameKind::ping, 17, false, now);
  }
  EXPECT_EQ(budget.exhausted(), Exhausted::none);
}

// What is to the good after much data stays so when a request is answered.
TEST(Budget, AnAnswerTakesNothingAway) {
  Budget budget{BudgetLimits{}};
  for (int i = 0; i < 1000; ++i) budget.on_data_sent(100);
  budget.on_request_answered();
  for (int i = 0; i < 3900; ++i) {
    ASSERT_EQ(budget.on_frame(FrameKind::window_update, 13, false, TimePoint{}), Exhausted::none)
        << i;
  }
}

}  // namespace
}  // namespace sluice::h2
