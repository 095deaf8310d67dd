// Schedule: the map from a split's tickets to its backends (guarantee G2).
//
// pick() is a pure function of the ticket, so workers share nothing but the ticket counter. Among
// any consecutive tickets each share's count is within 2 of exact, however many there are.
// schedule.cc says how, and why that holds.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sluice::routing {

using Ticket = std::uint64_t;

// One per split, shared by all workers, kept over revisions and reloads: the one shared write of
// the data path, alone on its cache line.
struct alignas(64) TicketCounter {
  std::atomic<Ticket> next{0};
  Ticket take() { return next.fetch_add(1, std::memory_order_relaxed); }
};

class Schedule {
 public:
  // Splits over more than kStatelessSharesMax non-zero shares keep one period of their order as a
  // table; a longer period than this can't be kept and is refused (fits() is false).
  static constexpr std::size_t kStatelessSharesMax = 4;
  static constexpr std::uint64_t kTablePeriodMax = 1 << 20;
  static constexpr std::size_t kSharesMax = 64;

  // `units`: integers without common divisor, as to_common_units() makes them. Also false where
  // all are zero, there are more than kSharesMax, or their sum passes 64 bits.
  static bool fits(std::span<const std::uint64_t> units);
  explicit Schedule(std::span<const std::uint64_t> units);  // precondition: fits(units)

  // The index of the share that owns this ticket; never one of zero units.
  std::size_t pick(Ticket ticket) const;

 private:
  // A node splits its tickets evenly between two sides: children, or shares as ~index.
  struct Node {
    std::uint64_t left_units = 0;
    std::uint64_t total_units = 0;
    std::int32_t left = 0;
    std::int32_t right = 0;
  };
  std::array<Node, kStatelessSharesMax - 1> nodes_;  // the first is the root
  std::size_t node_count_ = 0;
  // One period, where the split has too many shares for nodes. Shared by copies.
  std::shared_ptr<const std::vector<std::uint8_t>> table_;
  std::size_t only_ = 0;  // the single non-zero share, where there are no nodes and no table
};

}  // namespace sluice::routing
