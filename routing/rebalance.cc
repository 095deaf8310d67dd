#include "routing/rebalance.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::routing {
namespace {

using Piece = Rebalance::Piece;

void join(std::vector<Piece>& pieces) {
  std::vector<Piece> joined;
  joined.reserve(pieces.size());
  for (const Piece& piece : pieces) {
    if (piece.size == 0) continue;
    if (!joined.empty() && joined.back().owner == piece.owner) {
      joined.back().size += piece.size;
    } else {
      joined.push_back(piece);
    }
  }
  pieces = std::move(joined);
}

// One border over which `from` can give to `to`.
struct Border {
  std::size_t giver = 0;  // pieces
  std::size_t taker = 0;
};

// The shortest chain of borders by which `amount` points come from owner `from` to owner `to`,
// each owner on the way passing on what it gets. No piece may vanish by it.
std::optional<std::vector<Border>> chain(const std::vector<Piece>& pieces, std::size_t owners,
                                         std::size_t from, std::size_t to, std::uint64_t amount) {
  std::vector<std::optional<Border>> reached_by(owners);
  std::vector<std::size_t> queue{from};
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const std::size_t owner = queue[next];
    if (owner == to) break;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i].owner != owner || pieces[i].size <= amount) continue;
      for (const std::size_t beside : {i - 1, i + 1}) {
        if (beside >= pieces.size()) continue;  // before the first, too
        const std::size_t other = pieces[beside].owner;
        if (other == from || reached_by[other]) continue;
        reached_by[other] = Border{i, beside};
        queue.push_back(other);
      }
    }
  }
  if (!reached_by[to]) return {};
  std::vector<Border> borders;
  for (std::size_t owner = to; owner != from; owner = pieces[borders.back().giver].owner) {
    borders.push_back(*reached_by[owner]);
  }
  return borders;
}

}  // namespace

Rebalance::Rebalance(std::vector<Piece> pieces, const std::vector<std::uint64_t>& targets)
    : pieces_(std::move(pieces)), wanted_(targets.begin(), targets.end()) {
  join(pieces_);
  for (const Piece& piece : pieces_) wanted_[piece.owner] -= static_cast<std::int64_t>(piece.size);
  SLUICE_CHECK(std::accumulate(wanted_.begin(), wanted_.end(), std::int64_t{0}) == 0);
}

std::uint64_t Rebalance::surplus(std::size_t owner) const {
  return wanted_[owner] < 0 ? static_cast<std::uint64_t>(-wanted_[owner]) : 0;
}

std::uint64_t Rebalance::deficit(std::size_t owner) const {
  return wanted_[owner] > 0 ? static_cast<std::uint64_t>(wanted_[owner]) : 0;
}

// By owner, what it could get over its borders if nobody else took of it.
std::vector<std::uint64_t> Rebalance::supplies() const {
  std::vector<std::uint64_t> supplies(wanted_.size(), 0);
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const std::uint64_t can_give = std::min(pieces_[i].size, surplus(pieces_[i].owner));
    if (i > 0) supplies[pieces_[i - 1].owner] += can_give;
    const bool same_twice =
        i > 0 && i + 1 < pieces_.size() && pieces_[i - 1].owner == pieces_[i + 1].owner;
    if (i + 1 < pieces_.size() && !same_twice) supplies[pieces_[i + 1].owner] += can_give;
  }
  return supplies;
}

// Pieces that vanish come first, the smallest of all: that leaves fewer. Between takers the one
// that could be helped by nobody else.
std::optional<Rebalance::Step> Rebalance::best_border() const {
  const std::vector<std::uint64_t> supply = supplies();
  std::optional<Step> best;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const std::uint64_t can_give = std::min(pieces_[i].size, surplus(pieces_[i].owner));
    if (can_give == 0) continue;
    for (const std::size_t beside : {i - 1, i + 1}) {
      if (beside >= pieces_.size()) continue;
      const std::size_t taker = pieces_[beside].owner;
      const std::uint64_t amount = std::min(can_give, deficit(taker));
      if (amount == 0) continue;
      const Step step{i, beside, amount, amount == pieces_[i].size, supply[taker] - can_give};
      const auto rank = [&](const Step& s) {
        return std::tuple(!s.whole, s.whole ? pieces_[s.giver].size : 0, s.other_supply);
      };
      if (!best || rank(step) < rank(*best)) best = step;
    }
  }
  return best;
}

void Rebalance::move_borders() {
  while (const auto step = best_border()) {
    Piece& giver = pieces_[step->giver];
    Piece& taker = pieces_[step->taker];
    const auto amount = static_cast<std::int64_t>(step->amount);
    wanted_[giver.owner] += amount;
    wanted_[taker.owner] -= amount;
    giver.size -= step->amount;
    taker.size += step->amount;
    moved_ += step->amount;
    if (step->whole) join(pieces_);
  }
}

// Gives points to an owner that has no border with the one they come from, out of its largest
// piece: at that end which lies in the direction of the taker's place in the split.
void Rebalance::cut_for(std::size_t shrinking, std::size_t growing) {
  while (surplus(shrinking) > 0 && deficit(growing) > 0) {
    std::size_t largest = pieces_.size();
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (pieces_[i].owner != shrinking) continue;
      if (largest == pieces_.size() || pieces_[i].size > pieces_[largest].size) largest = i;
    }
    SLUICE_CHECK(largest < pieces_.size());
    const std::uint64_t amount =
        std::min({pieces_[largest].size, surplus(shrinking), deficit(growing)});
    pieces_[largest].size -= amount;
    const auto place = pieces_.begin() + static_cast<std::ptrdiff_t>(largest);
    pieces_.insert(growing < shrinking ? place : place + 1, Piece{amount, growing});
    wanted_[shrinking] += static_cast<std::int64_t>(amount);
    wanted_[growing] -= static_cast<std::int64_t>(amount);
    moved_ += amount;
    join(pieces_);
    // What was cut off may have given somebody a border.
    move_borders();
  }
}

void Rebalance::move() {
  move_borders();
  const std::size_t owners = wanted_.size();
  for (std::size_t shrinking = 0; shrinking < owners; ++shrinking) {
    // From the ends inwards, so that pieces come to lie in the order of the split.
    for (std::size_t growing = 0; growing < shrinking; ++growing) cut_for(shrinking, growing);
    for (std::size_t growing = owners; growing-- > shrinking + 1;) cut_for(shrinking, growing);
  }
  SLUICE_CHECK(std::ranges::all_of(wanted_, [](std::int64_t wanted) { return wanted == 0; }));
}

std::optional<Rebalance::Exchange> Rebalance::exchange(std::size_t piece,
                                                       std::size_t neighbour) const {
  const std::uint64_t size = pieces_[piece].size;
  const std::size_t owner = pieces_[piece].owner;
  const std::size_t taker = pieces_[neighbour].owner;
  Exchange result{pieces_, 0};
  result.pieces[piece].owner = taker;
  join(result.pieces);
  const auto borders = chain(result.pieces, wanted_.size(), taker, owner, size);
  if (!borders) return {};
  for (const Border& border : *borders) {
    result.pieces[border.giver].size -= size;
    result.pieces[border.taker].size += size;
  }
  result.cost = size * (1 + borders->size());
  return result;
}

std::optional<Rebalance::Exchange> Rebalance::best_exchange() const {
  // Past so many that could be done, a larger piece would hardly be cheaper.
  constexpr std::size_t kEnough = 8;
  std::vector<std::size_t> by_size(pieces_.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::ranges::sort(by_size, {}, [&](std::size_t i) { return std::pair(pieces_[i].size, i); });
  std::optional<Exchange> best;
  std::size_t found = 0;
  for (const std::size_t piece : by_size) {
    for (const std::size_t beside : {piece - 1, piece + 1}) {
      if (beside >= pieces_.size()) continue;
      auto candidate = exchange(piece, beside);
      if (!candidate) continue;
      ++found;
      if (!best || candidate->cost < best->cost) best = std::move(candidate);
    }
    if (found >= kEnough) break;
  }
  return best;
}

void Rebalance::merge_down_to(std::size_t pieces_max, std::uint64_t budget) {
  while (pieces_.size() > pieces_max) {
    auto best = best_exchange();
    if (!best || best->cost > budget) return;
    budget -= best->cost;
    pieces_ = std::move(best->pieces);
  }
}

}  // namespace sluice::routing
