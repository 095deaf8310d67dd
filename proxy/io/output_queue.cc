#include "proxy/io/output_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::io {

BlockPool::~BlockPool() {
  while (free_) {
    Block* next = free_->next;
    delete free_;
    free_ = next;
  }
}

Block* BlockPool::take() {
  ++lent_;
  if (!free_) return new Block;
  Block* block = free_;
  free_ = block->next;
  --free_count_;
  block->next = nullptr;
  block->begin = block->end = 0;
  return block;
}

void BlockPool::give_back(Block* block) {
  SLUICE_CHECK(lent_ > 0);
  --lent_;
  if (free_count_ == kIdleMax) {
    delete block;
    return;
  }
  block->next = free_;
  free_ = block;
  ++free_count_;
}

void OutputQueue::append(BlockPool& pool, Bytes bytes) {
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    if (!last_ || last_->end == Block::kCapacity) {
      Block* block = pool.take();
      (last_ ? last_->next : first_) = block;
      last_ = block;
    }
    const std::size_t part = std::min(bytes.size(), Block::kCapacity - last_->end);
    std::memcpy(last_->data + last_->end, bytes.data(), part);
    last_->end += static_cast<std::uint32_t>(part);
    bytes = bytes.subspan(part);
  }
}

std::size_t OutputQueue::fill(Submission& submission, Ring& ring) const {
  SLUICE_CHECK(!empty());
  if (!first_->next) {
    submission.data = first_->data + first_->begin;
    submission.length = first_->end - first_->begin;
    return submission.length;
  }
  Ring::SendVector& vector = ring.vector_scratch();
  std::size_t parts = 0;
  std::size_t bytes = 0;
  for (Block* block = first_; block && parts < Ring::kVectorMax; block = block->next) {
    vector.parts[parts++] = {block->data + block->begin, block->end - block->begin};
    bytes += block->end - block->begin;
  }
  vector.header.msg_iov = vector.parts;
  vector.header.msg_iovlen = parts;
  submission.message = &vector.header;
  return bytes;
}

void OutputQueue::consume(BlockPool& pool, std::size_t bytes) {
  SLUICE_CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  while (first_) {
    const std::size_t part = std::min<std::size_t>(bytes, first_->end - first_->begin);
    first_->begin += static_cast<std::uint32_t>(part);
    bytes -= part;
    if (first_->begin != first_->end) return;
    Block* next = first_->next;
    pool.give_back(first_);
    first_ = next;
  }
  last_ = nullptr;
}

void OutputQueue::take_back(BlockPool& pool, std::size_t bytes) {
  SLUICE_CHECK(bytes <= bytes_);
  if (bytes == bytes_) return clear(pool);
  bytes_ -= bytes;
  std::size_t left = bytes_;
  last_ = first_;
  while (left > last_->end - last_->begin) {
    left -= last_->end - last_->begin;
    last_ = last_->next;
  }
  last_->end = last_->begin + static_cast<std::uint32_t>(left);
  Block* dropped = std::exchange(last_->next, nullptr);
  while (dropped) pool.give_back(std::exchange(dropped, dropped->next));
}

void OutputQueue::clear(BlockPool& pool) {
  consume(pool, bytes_);
}

}  // namespace sluice::io
