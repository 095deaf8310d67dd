// Bytes on their way out: what is put in comes out, whatever is taken back from behind.
#include "proxy/io/output_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::io {
namespace {

class OutputQueueTest : public testing::Test {
 protected:
  ~OutputQueueTest() override { EXPECT_EQ(pool_.lent(), 0u); }

  void append(std::string_view text) { queue_.append(pool_, as_bytes(text)); }
  std::string drain() {
    std::string all;
    while (!queue_.empty()) {
      const Bytes part = queue_.front();
      all += as_text(part);
      queue_.consume(pool_, part.size());
    }
    return all;
  }

  BlockPool pool_;
  OutputQueue queue_;
};

TEST_F(OutputQueueTest, WhatIsTakenBackIsTheLast) {
  // Within a block, to its edge, over one edge and over several.
  constexpr std::size_t kBlock = Block::kCapacity;
  for (const std::size_t kept : {std::size_t{1}, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock}) {
    for (const std::size_t taken : {std::size_t{0}, std::size_t{1}, kBlock, 2 * kBlock + 5}) {
      SCOPED_TRACE(std::to_string(kept) + " kept, " + std::to_string(taken) + " taken back");
      append("sent");
      append(std::string(kept, 'k'));
      append(std::string(taken, 't'));
      queue_.consume(pool_, 4);
      queue_.take_back(pool_, taken);
      EXPECT_EQ(queue_.bytes(), kept);
      append("behind");
      EXPECT_EQ(drain(), std::string(kept, 'k') + "behind");
    }
  }
}

TEST_F(OutputQueueTest, AllTakenBackLeavesNoBlock) {
  append(std::string(3 * Block::kCapacity, 'x'));
  queue_.take_back(pool_, queue_.bytes());
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(pool_.lent(), 0u);
  append("again");
  EXPECT_EQ(drain(), "again");
}

}  // namespace
}  // namespace sluice::io
