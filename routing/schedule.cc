// How the schedule is even, and how even it is.
//
// Two shares, `left` of `total` units: ticket t goes left exactly when floor((t+1)·left/total) is
// one more than floor(t·left/total). The left tickets in [a, b) are then
// floor(b·left/total) − floor(a·left/total), less than 1 from exact, and so are the right ones.
// Ticket t is number floor(t·left/total) of the left side, or number t − that of the right side,
// so consecutive tickets are consecutive within each side too.
//
// Three or four shares: a tree of such nodes, at most two deep. A side of the root gets less than
// 1 too many or too few tickets of any window; of those its child gives a leaf its ratio r, less
// than 1 from exact again: the leaf is less than 1 + r ≤ 2 from exact. No weights are too odd for
// it, and nothing is kept.
//
// Five or more: a third level could be 3 from exact, so one period of the order is made
// beforehand by R. Tijdeman's rule ("The chairman assignment problem", Discrete Mathematics 32,
// 1980): with n shares, every prefix is at most D = 1 − 1/(2n−2) from exact, so every window, the
// difference of two prefixes, is at most 2·D < 2. At the period's end each share is off by a whole
// number below 1, by nothing: the next period begins as the first did.
//
// All three repeat after `total` tickets, so a ticket counts only modulo that. A ticket counter
// wraps after 2^64 tickets: at a thousand million requests a second that is 584 years, and then
// one window, the one across the wrap, would be the sum of two and off by less than 4.
#include "routing/schedule.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "proxy/base/check.h"

namespace sluice::routing {
namespace {

__extension__ using Product = unsigned __int128;

struct Share {
  std::size_t index;
  std::uint64_t units;
};

std::vector<Share> non_zero(std::span<const std::uint64_t> units) {
  std::vector<Share> shares;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i] > 0) shares.push_back({i, units[i]});
  }
  return shares;
}

// nullopt where it passes 64 bits.
std::optional<std::uint64_t> sum(std::span<const std::uint64_t> units) {
  std::uint64_t total = 0;
  for (std::uint64_t unit : units) {
    if (unit > std::numeric_limits<std::uint64_t>::max() - total) return {};
    total += unit;
  }
  return total;
}

// One share as Tijdeman's rule sees it: between which tickets its next one must fall so that no
// prefix of the order is further than D from exact.
struct Candidate {
  Share share;
  std::uint64_t given = 0;
  std::uint64_t release = 0;   // the first ticket, from 0, that it may get
  std::uint64_t deadline = 0;  // the last one that keeps it within D

  // With k tickets handed out, x of them to this share of ratio u/T, D = (m − 1)/m, m = 2n − 2:
  // x + 1 − (k + 1)·u/T ≤ D gives the first, (k + 1)·u/T − x ≤ D the last k without one more.
  void next(std::uint64_t period, std::uint64_t m) {
    const std::uint64_t scaled = m * share.units;
    release = (period * (m * given + 1) + scaled - 1) / scaled - 1;
    deadline = period * (m * given + m - 1) / scaled;
  }
};

// Of the shares that may get a ticket, the one that must have it soonest gets it. Where an order
// within D exists, and Tijdeman proved that one does, the earliest deadline finds one.
// Quantities stay below 2^20 · 2^7 · 2^20.
std::vector<std::uint8_t> make_table(const std::vector<Share>& shares, std::uint64_t period) {
  const std::uint64_t m = 2 * shares.size() - 2;
  std::vector<Candidate> candidates;
  for (const Share& share : shares) {
    candidates.push_back({share});
    candidates.back().next(period, m);
  }
  std::vector<std::uint8_t> table;
  table.reserve(period);
  for (std::uint64_t ticket = 0; ticket < period; ++ticket) {
    Candidate* soonest = nullptr;
    for (Candidate& candidate : candidates) {
      if (candidate.release > ticket) continue;
      if (soonest == nullptr || candidate.deadline < soonest->deadline) soonest = &candidate;
    }
    SLUICE_CHECK(soonest != nullptr && soonest->deadline >= ticket);
    table.push_back(static_cast<std::uint8_t>(soonest->share.index));
    ++soonest->given;
    soonest->next(period, m);
  }
  return table;
}

std::int32_t leaf(const Share& share) {
  return ~static_cast<std::int32_t>(share.index);
}

}  // namespace

bool Schedule::fits(std::span<const std::uint64_t> units) {
  if (units.size() > kSharesMax) return false;
  const std::optional<std::uint64_t> total = sum(units);
  if (!total || *total == 0) return false;
  return non_zero(units).size() <= kStatelessSharesMax || *total <= kTablePeriodMax;
}

Schedule::Schedule(std::span<const std::uint64_t> units) {
  SLUICE_CHECK(fits(units));
  std::vector<Share> shares = non_zero(units);
  if (shares.size() == 1) {
    only_ = shares.front().index;
    return;
  }
  if (shares.size() > kStatelessSharesMax) {
    table_ = std::make_shared<const std::vector<std::uint8_t>>(make_table(shares, *sum(units)));
    return;
  }
  // The largest stands alone where there are three: a share straight below the root is within 1.
  if (shares.size() == 3) {
    std::ranges::swap(shares.back(), *std::ranges::max_element(shares, {}, &Share::units));
  }
  const auto pair = [&](const Share& left, const Share& right) {
    nodes_[node_count_] = {left.units, left.units + right.units, leaf(left), leaf(right)};
    return static_cast<std::int32_t>(node_count_++);
  };
  if (shares.size() == 2) {
    pair(shares[0], shares[1]);
    return;
  }
  Node& root = nodes_[node_count_++];
  root.left = pair(shares[0], shares[1]);
  root.left_units = shares[0].units + shares[1].units;
  root.right = shares.size() == 3 ? leaf(shares[2]) : pair(shares[2], shares[3]);
  root.total_units = *sum(units);
}

std::size_t Schedule::pick(Ticket ticket) const {
  if (node_count_ == 0) return table_ ? (*table_)[ticket % table_->size()] : only_;
  ticket %= nodes_[0].total_units;
  std::int32_t at = 0;
  do {
    const Node& node = nodes_[static_cast<std::size_t>(at)];
    std::uint64_t left_before = 0;  // tickets of the left side before this one
    std::uint64_t remainder = 0;
    if (node.total_units <= std::numeric_limits<std::uint32_t>::max()) {
      left_before = ticket * node.left_units / node.total_units;
      remainder = ticket * node.left_units % node.total_units;
    } else {
      const Product product = static_cast<Product>(ticket) * node.left_units;
      left_before = static_cast<std::uint64_t>(product / node.total_units);
      remainder = static_cast<std::uint64_t>(product % node.total_units);
    }
    // remainder + left_units ≥ total_units, without passing 64 bits.
    if (remainder >= node.total_units - node.left_units) {
      ticket = left_before;
      at = node.left;
    } else {
      ticket -= left_before;
      at = node.right;
    }
  } while (at >= 0);
  return static_cast<std::size_t>(~at);
}

}  // namespace sluice::routing
