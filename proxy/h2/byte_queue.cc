#include "proxy/h2/byte_queue.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::h2 {

struct ByteQueue::Block {
  static constexpr std::size_t kCapacity = kBlockBytes - sizeof(Block*) - 2 * sizeof(std::uint32_t);

  Block* next;
  std::uint32_t begin;  // of what hasn't been taken
  std::uint32_t end;
  std::array<std::byte, kCapacity> bytes;  // not set to anything
};

namespace {

using Block = ByteQueue::Block;
static_assert(sizeof(Block) == ByteQueue::kBlockBytes);

class SpareBlocks {
 public:
  ~SpareBlocks() {
    while (first_) delete std::exchange(first_, first_->next);
  }

  Block* get() {
    if (!first_) return new Block;
    --count_;
    return std::exchange(first_, first_->next);
  }

  void put(Block* block) {
    if (count_ == ByteQueue::kSpareBlocksMax) {
      delete block;
      return;
    }
    ++count_;
    block->next = std::exchange(first_, block);
  }

 private:
  Block* first_ = nullptr;
  std::size_t count_ = 0;
};

thread_local SpareBlocks spare_blocks;

}  // namespace

void ByteQueue::append(Bytes bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (!last_ || last_->end == Block::kCapacity) {
      Block* const made = spare_blocks.get();
      made->next = nullptr;
      made->begin = made->end = 0;
      (last_ ? last_->next : first_) = made;
      last_ = made;
    }
    const std::size_t count = std::min(bytes.size(), Block::kCapacity - last_->end);
    std::memcpy(last_->bytes.data() + last_->end, bytes.data(), count);
    last_->end += static_cast<std::uint32_t>(count);
    bytes = bytes.subspan(count);
  }
}

Bytes ByteQueue::front(std::size_t count) const {
  if (!first_) return {};
  const std::size_t piece = first_->end - first_->begin;
  return {first_->bytes.data() + first_->begin, std::min(count, piece)};
}

void ByteQueue::take(std::size_t count) {
  SLUICE_CHECK(count <= size_);
  size_ -= count;
  while (count > 0) {
    const std::size_t piece = std::min<std::size_t>(count, first_->end - first_->begin);
    first_->begin += static_cast<std::uint32_t>(piece);
    count -= piece;
    if (first_->begin == first_->end) drop_first();
  }
}

void ByteQueue::clear() {
  size_ = 0;
  while (first_) drop_first();
}

void ByteQueue::drop_first() {
  Block* const gone = std::exchange(first_, first_->next);
  if (!first_) last_ = nullptr;
  spare_blocks.put(gone);
}

}  // namespace sluice::h2
