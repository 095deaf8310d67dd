#include "proxy/h2/byte_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

namespace sluice::h2 {
namespace {

std::string drain(ByteQueue& queue, std::size_t count) {
  std::string out;
  while (count > 0 && queue.size() > 0) {
    const Bytes piece = queue.front(count);
    EXPECT_FALSE(piece.empty());
    if (piece.empty()) break;
    out += as_text(piece);
    count -= piece.size();
    queue.take(piece.size());
  }
  return out;
}

TEST(ByteQueue, WhatGoesInComesOutInOrder) {
  std::mt19937 random(7);
  std::array<ByteQueue, 3> queues;
  std::array<std::string, 3> expected;
  for (int step = 0; step < 3000; ++step) {
    const std::size_t which = random() % queues.size();
    std::string text(random() % (step % 10 == 0 ? 20'000 : 200), ' ');
    for (char& c : text) c = static_cast<char>(random());
    queues[which].append(as_bytes(text));
    expected[which] += text;
    const std::size_t count = random() % (step % 7 == 0 ? 30'000 : 300);
    EXPECT_EQ(drain(queues[which], count), expected[which].substr(0, count));
    expected[which].erase(0, count);
    ASSERT_EQ(queues[which].size(), expected[which].size());
  }
}

TEST(ByteQueue, TakesAcrossBlocks) {
  ByteQueue queue;
  const std::string text(5 * ByteQueue::kBlockBytes, 'x');
  queue.append(as_bytes(text));
  queue.append(as_bytes("end"));
  queue.take(text.size());
  EXPECT_EQ(drain(queue, 100), "end");
  EXPECT_TRUE(queue.front(1).empty());
}

TEST(ByteQueue, ClearedItBeginsAnew) {
  ByteQueue queue;
  queue.append(as_bytes(std::string(10'000, 'x')));
  queue.take(1);
  queue.clear();
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_TRUE(queue.front(1).empty());
  queue.append(as_bytes("anew"));
  EXPECT_EQ(drain(queue, 100), "anew");
}

}  // namespace
}  // namespace sluice::h2
