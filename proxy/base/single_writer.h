// Counters that one thread writes and others read: an addition is a plain load and store, without
// the bus lock of an atomic read-modify-write.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::base {

// From the writer's thread only. A negative `n` takes away.
inline void add_as_single_writer(std::atomic<std::uint64_t>& counter, std::int64_t n,
                                 std::memory_order order = std::memory_order_relaxed) {
  counter.store(counter.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(n), order);
}

}  // namespace sluice::base
