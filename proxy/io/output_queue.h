// OutputQueue: bytes on their way out of one socket, in blocks borrowed from the loop's BlockPool.
// Holds no memory while empty. Bytes handed to the kernel stay where they are until consume().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "proxy/base/bytes.h"
#include "proxy/io/ring.h"

namespace sluice::io {

struct Block {
  static constexpr std::size_t kCapacity = 16 * 1024 - 16;
  Block* next = nullptr;
  std::uint32_t begin = 0;  // first byte not yet sent
  std::uint32_t end = 0;    // first free byte
  std::byte data[kCapacity];
};
static_assert(sizeof(Block) == 16 * 1024);

// Keeps up to kIdleMax freed blocks hot for the next writer; one per loop.
class BlockPool {
 public:
  static constexpr std::size_t kIdleMax = 256;

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();
  Block* take();
  void give_back(Block* block);
  // Blocks in somebody's queue.
  std::size_t lent() const { return lent_; }

 private:
  Block* free_ = nullptr;
  std::size_t free_count_ = 0;
  std::size_t lent_ = 0;
};

class OutputQueue {
 public:
  OutputQueue() = default;
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;
  ~OutputQueue() { SLUICE_CHECK(first_ == nullptr); }

  bool empty() const { return bytes_ == 0; }
  std::size_t bytes() const { return bytes_; }
  void append(BlockPool& pool, Bytes bytes);
  // The first bytes, as far as they lie together. Precondition: not empty.
  Bytes front() const { return {first_->data + first_->begin, first_->end - first_->begin}; }
  // Points `submission` (a send) at as many bytes from the front as one send takes; returns how
  // many.
  std::size_t fill(Submission& submission, Ring& ring) const;
  void consume(BlockPool& pool, std::size_t bytes);
  // Drops the last bytes, which the kernel must not have.
  void take_back(BlockPool& pool, std::size_t bytes);
  void clear(BlockPool& pool);

 private:
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::io
