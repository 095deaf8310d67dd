// Rebalance: moves points of a key space between owners until each has what it is to have. The
// work behind Partition::rebalance(), used by partition.cc alone; lives for one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sluice::routing {

class Rebalance {
 public:
  struct Piece {
    std::uint64_t size = 0;
    std::size_t owner = 0;
  };

  // `pieces`: the whole space, in order. `targets`: points by owner; their sum is the pieces'.
  Rebalance(std::vector<Piece> pieces, const std::vector<std::uint64_t>& targets);

  // Moves exactly the minimum: what those that grow need, from those that shrink.
  void move();
  // Exchanges the smallest pieces for points elsewhere until there are no more than that, or the
  // next would move more points than are left of the budget.
  void merge_down_to(std::size_t pieces_max, std::uint64_t budget);
  // How many points move() has moved.
  std::uint64_t moved() const { return moved_; }

  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  struct Step {
    std::size_t giver = 0;  // piece
    std::size_t taker = 0;  // piece beside it
    std::uint64_t amount = 0;
    bool whole = false;
    std::uint64_t other_supply = 0;  // what else the taker's owner could get over its borders
  };
  // A piece given to a neighbour, and the way by which its owner gets as many points back.
  struct Exchange {
    std::vector<Piece> pieces;
    std::uint64_t cost = 0;
  };
  std::uint64_t surplus(std::size_t owner) const;
  std::uint64_t deficit(std::size_t owner) const;
  std::vector<std::uint64_t> supplies() const;
  std::optional<Step> best_border() const;
  void move_borders();
  void cut_for(std::size_t shrinking, std::size_t growing);
  std::optional<Exchange> exchange(std::size_t piece, std::size_t neighbour) const;
  std::optional<Exchange> best_exchange() const;

  std::vector<Piece> pieces_;
  std::uint64_t moved_ = 0;
  std::vector<std::int64_t> wanted_;  // by owner: above zero it grows, below it shrinks
};

}  // namespace sluice::routing
