// ByteQueue: bytes in, bytes out, held in blocks of one size: what it holds is what is in it, and
// less than two blocks more. Empty, it holds nothing.
//
// Owned by a stream; of one thread. Blocks come from those that the thread keeps for the next
// queue, kSpareBlocksMax at most.
#pragma once

#include <cstddef>

#include "proxy/base/bytes.h"

namespace sluice::h2 {

class ByteQueue {
 public:
  static constexpr std::size_t kBlockBytes = 4096;
  static constexpr std::size_t kSpareBlocksMax = 256;

  ByteQueue() = default;
  ~ByteQueue() { clear(); }
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  void append(Bytes bytes);  // a copy
  // The next bytes, as far as they lie in one piece; at most `count`.
  Bytes front(std::size_t count) const;
  void take(std::size_t count);  // at most size()
  std::size_t size() const { return size_; }
  void clear();

  struct Block;

 private:
  void drop_first();

  Block* first_ = nullptr;
  Block* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sluice::h2
