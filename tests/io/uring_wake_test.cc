// wake() from other threads, the one call that crosses them.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "proxy/io/uring_ring.h"

namespace sluice::io {
namespace {

using std::chrono::seconds;

// The ring's thread waits with no limit: a wake-up that got lost would hang, and ctest's timeout
// would tell.
TEST(UringWake, NoWakeUpIsLostAndWhatWasPublishedBeforeItIsSeen) {
  constexpr int kThreads = 3;
  constexpr std::uint64_t kPublished = 3000;
  auto ring = make_uring_ring();
  ASSERT_TRUE(ring.has_value()) << ring.error();
  std::atomic<std::uint64_t> published{0};
  std::atomic<std::uint64_t> seen{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (std::uint64_t count = 0; count < kPublished; ++count) {
        const std::uint64_t mine = published.fetch_add(1, std::memory_order_relaxed) + 1;
        (*ring)->wake();
        // Every so often, waits until it was seen: then the ring is asleep for the next one.
        if (count % 16 == 0) {
          while (seen.load() < mine) std::this_thread::yield();
        }
      }
    });
  }
  while (seen.load() < kThreads * kPublished) {
    (*ring)->enter(kNever);
    seen.store(published.load(std::memory_order_relaxed));
  }
  for (std::thread& thread : threads) thread.join();
}

// Plain memory written before wake() is visible after enter() returned because of it.
TEST(UringWake, OrdersMemory) {
  auto ring = make_uring_ring();
  ASSERT_TRUE(ring.has_value()) << ring.error();
  for (int round = 1; round <= 200; ++round) {
    int plain = 0;
    std::thread other([&] {
      plain = round;
      (*ring)->wake();
    });
    EXPECT_TRUE((*ring)->enter(kNever).empty());
    EXPECT_EQ(plain, round);
    other.join();
  }
}

TEST(UringWake, EndsALongWait) {
  auto ring = make_uring_ring();
  ASSERT_TRUE(ring.has_value()) << ring.error();
  const TimePoint deadline = (*ring)->now() + seconds(600);
  std::thread other([&] { (*ring)->wake(); });
  (*ring)->enter(deadline);
  EXPECT_LT((*ring)->now(), deadline);
  other.join();
}

}  // namespace
}  // namespace sluice::io
