// Partition: which backend each key of a sticky split belongs to (guarantee G6). Part of a route's
// setting, so it is in the ledger and rolls back with the weights. Pure values.
//
// The key space has 2^32 points, cut into fragments that each belong to one backend; a backend's
// points are its weight's exact share of them, by largest remainder. rebalance() moves as few
// points as the new weights need, and only from backends that shrink to backends that grow; what
// that means for fragments is in docs/decisions/0011-sticky-partition.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"

namespace sluice::routing {

using Split = std::vector<conf::WeightedBackend>;
using StickyKey = std::uint32_t;

class Partition {
 public:
  static constexpr std::uint64_t kPoints = std::uint64_t{1} << 32;
  // There are never more fragments than this.
  static constexpr std::size_t kFragmentsMax = 512;
  // Beyond so many the smallest are exchanged for points elsewhere, as long as that moves no more
  // than kMergeBudget of what the change itself moves.
  static constexpr std::size_t kMergeFrom = 384;
  static constexpr std::uint64_t kMergeBudget = 100;  // one in so many

  Partition() = default;  // of no split yet: everything is to be dealt out
  bool empty() const { return fragments_.empty(); }
  std::size_t fragment_count() const { return fragments_.size(); }

  // Precondition: why_unfit(split) finds nothing (state.h). From an empty one: a fragment each, in
  // the split's order. `fragments_max`: lower ones are for tests of the cap; at least one for each
  // backend.
  Partition rebalance(const Split& split, std::size_t fragments_max = kFragmentsMax) const;

  // Precondition: not empty().
  const std::string& backend_of(StickyKey key) const;
  std::uint64_t points_of(std::string_view backend) const;
  // Those that have a point.
  const std::vector<std::string>& backends() const { return backends_; }
  // How many points belong to another backend than in `other`. Precondition: neither is empty.
  std::uint64_t moved_from(const Partition& other) const;

  // `0:blue e6666666:green`: where each fragment begins, in hexadecimal, and whose it is. Empty
  // for an empty one.
  std::string to_string() const;
  // Takes exactly what to_string() gives, at most kFragmentsMax fragments. The error is a clause
  // that says what is wrong and where.
  static std::expected<Partition, std::string> parse(std::string_view text);

  bool operator==(const Partition& other) const;

 private:
  friend class KeyMap;
  struct Fragment {
    StickyKey begin = 0;
    std::uint32_t backend = 0;  // index into backends_
  };
  std::uint64_t end_of(std::size_t fragment) const;
  std::size_t fragment_of(StickyKey key) const;

  std::vector<std::string> backends_;  // those that have a fragment, in order of appearance
  std::vector<Fragment> fragments_;    // rising; neighbours belong to different backends
};

// How many of the key space's points each backend gets, in the split's order. Their sum is
// kPoints. The same for equal ratios, whatever the order of the split.
std::vector<std::uint64_t> points_for(const Split& split);

// KeyMap: a partition made ready for requests: keys to the shares of a split and back. Immutable.
class KeyMap {
 public:
  // Precondition: every backend of the partition is in the split.
  KeyMap(const Partition& partition, const Split& split);

  std::size_t share_of(StickyKey key) const;
  std::size_t fragment_count() const { return begins_.size(); }
  // One of the share's own keys, each as likely as the next where `random` is even over 64 bits.
  // nullopt: it has none.
  std::optional<StickyKey> key_in(std::size_t share, std::uint64_t random) const;

 private:
  struct Own {
    std::uint64_t before = 0;  // how many of the share's points stand in fragments before this
    StickyKey begin = 0;
  };
  std::vector<StickyKey> begins_;      // of all fragments
  std::vector<std::uint8_t> shares_;   // whose they are
  std::vector<std::vector<Own>> own_;  // by share
  std::vector<std::uint64_t> points_;  // by share
};

}  // namespace sluice::routing
