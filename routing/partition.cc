#include "routing/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

#include "conf/names.h"
#include "proxy/base/check.h"
#include "routing/rebalance.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

__extension__ using Wide = unsigned __int128;

// Lower case and without leading zeros: each number has one form.
std::optional<StickyKey> parse_hex(std::string_view text) {
  if (text.empty() || text.size() > 8 || (text.size() > 1 && text.front() == '0')) return {};
  const bool digits = std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  StickyKey value = 0;
  if (!digits) return {};
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

std::vector<Decimal> weights_of(const Split& split) {
  std::vector<Decimal> weights;
  for (const conf::WeightedBackend& share : split) weights.push_back(share.weight);
  return weights;
}

}  // namespace

std::vector<std::uint64_t> points_for(const Split& split) {
  const std::vector<std::uint64_t> units = to_common_units(weights_of(split));
  const Wide total = std::accumulate(units.begin(), units.end(), Wide{0});
  SLUICE_CHECK(total > 0);
  std::vector<std::uint64_t> points;
  std::vector<Wide> remainders;
  std::uint64_t left = Partition::kPoints;
  for (const std::uint64_t unit : units) {
    const Wide scaled = Wide{unit} * Partition::kPoints;
    points.push_back(static_cast<std::uint64_t>(scaled / total));
    remainders.push_back(scaled % total);
    left -= points.back();
  }
  std::vector<std::size_t> order(split.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // By name where remainders are equal, so that no key moves because a file was put in order.
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    if (remainders[a] != remainders[b]) return remainders[a] > remainders[b];
    return split[a].backend < split[b].backend;
  });
  for (std::size_t i = 0; i < left; ++i) ++points[order[i]];
  return points;
}

std::uint64_t Partition::end_of(std::size_t fragment) const {
  return fragment + 1 < fragments_.size() ? fragments_[fragment + 1].begin : kPoints;
}

std::size_t Partition::fragment_of(StickyKey key) const {
  SLUICE_CHECK(!empty());
  const auto after = std::ranges::upper_bound(fragments_, key, {}, &Fragment::begin);
  return static_cast<std::size_t>(after - fragments_.begin()) - 1;
}

const std::string& Partition::backend_of(StickyKey key) const {
  return backends_[fragments_[fragment_of(key)].backend];
}

std::uint64_t Partition::points_of(std::string_view backend) const {
  std::uint64_t points = 0;
  for (std::size_t i = 0; i < fragments_.size(); ++i) {
    if (backends_[fragments_[i].backend] == backend) points += end_of(i) - fragments_[i].begin;
  }
  return points;
}

std::uint64_t Partition::moved_from(const Partition& other) const {
  SLUICE_CHECK(!empty() && !other.empty());
  std::uint64_t moved = 0;
  std::size_t mine = 0;
  std::size_t theirs = 0;
  for (std::uint64_t at = 0; at < kPoints;) {
    const std::uint64_t end = std::min(end_of(mine), other.end_of(theirs));
    if (backends_[fragments_[mine].backend] != other.backends_[other.fragments_[theirs].backend]) {
      moved += end - at;
    }
    if (end_of(mine) == end) ++mine;
    if (other.end_of(theirs) == end) ++theirs;
    at = end;
  }
  return moved;
}

Partition Partition::rebalance(const Split& split, std::size_t fragments_max) const {
  std::vector<std::string> names;
  for (const conf::WeightedBackend& share : split) names.push_back(share.backend);
  std::vector<std::uint64_t> targets = points_for(split);
  std::vector<Rebalance::Piece> pieces;
  if (empty()) {
    for (std::size_t i = 0; i < targets.size(); ++i) pieces.push_back({targets[i], i});
  }
  std::vector<std::size_t> owner_of(backends_.size());
  for (std::size_t i = 0; i < backends_.size(); ++i) {
    const auto found = std::ranges::find(names, backends_[i]);
    owner_of[i] = static_cast<std::size_t>(found - names.begin());
    if (found != names.end()) continue;
    names.push_back(backends_[i]);  // has left the split: all that it has goes to others
    targets.push_back(0);
  }
  for (std::size_t i = 0; i < fragments_.size(); ++i) {
    pieces.push_back({end_of(i) - fragments_[i].begin, owner_of[fragments_[i].backend]});
  }
  Rebalance work(std::move(pieces), targets);
  work.move();
  work.merge_down_to(kMergeFrom, work.moved() / kMergeBudget);
  work.merge_down_to(fragments_max, kPoints);
  // Where there was nothing to exchange: the cap holds whatever it costs.
  if (work.pieces().size() > fragments_max) return Partition().rebalance(split, fragments_max);

  Partition result;
  std::vector<std::optional<std::uint32_t>> index_of(names.size());
  std::uint64_t begin = 0;
  for (const Rebalance::Piece& piece : work.pieces()) {
    std::optional<std::uint32_t>& index = index_of[piece.owner];
    if (!index) {
      index = static_cast<std::uint32_t>(result.backends_.size());
      result.backends_.push_back(names[piece.owner]);
    }
    result.fragments_.push_back({static_cast<StickyKey>(begin), *index});
    begin += piece.size;
  }
  return result;
}

std::string Partition::to_string() const {
  std::string text;
  for (const Fragment& fragment : fragments_) {
    if (!text.empty()) text += ' ';
    text += fmt::format("{:x}:{}", fragment.begin, backends_[fragment.backend]);
  }
  return text;
}

std::expected<Partition, std::string> Partition::parse(std::string_view text) {
  Partition result;
  const auto error = [&](std::string_view what) {
    return std::unexpected(
        fmt::format("fragment {} of the partition {}", result.fragments_.size() + 1, what));
  };
  bool more = !text.empty();
  while (more) {
    if (result.fragments_.size() == kFragmentsMax) {
      return error(fmt::format("is one too many: at most {} are possible", kFragmentsMax));
    }
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    more = space != std::string_view::npos;
    text.remove_prefix(more ? space + 1 : text.size());
    const std::size_t colon = word.find(':');
    const std::string_view name =
        colon == std::string_view::npos ? std::string_view() : word.substr(colon + 1);
    const std::optional<StickyKey> begin = parse_hex(word.substr(0, colon));
    if (!begin || !conf::is_name(name)) {
      return error(fmt::format("is {}, not like 3fffffff:blue", in_quotes(word)));
    }
    const bool first = result.fragments_.empty();
    if (first ? *begin != 0 : *begin <= result.fragments_.back().begin) {
      return error(first ? "does not begin at 0" : "does not begin after the one before it");
    }
    const auto found = std::ranges::find(result.backends_, name);
    const auto index = static_cast<std::uint32_t>(found - result.backends_.begin());
    if (!first && index == result.fragments_.back().backend) {
      return error("belongs to the same backend as the one before it");
    }
    if (found == result.backends_.end()) result.backends_.emplace_back(name);
    result.fragments_.push_back({*begin, index});
  }
  return result;
}

bool Partition::operator==(const Partition& other) const {
  return std::ranges::equal(
      fragments_, other.fragments_, [&](const Fragment& a, const Fragment& b) {
        return a.begin == b.begin && backends_[a.backend] == other.backends_[b.backend];
      });
}

KeyMap::KeyMap(const Partition& partition, const Split& split)
    : own_(split.size()), points_(split.size(), 0) {
  for (std::size_t i = 0; i < partition.fragments_.size(); ++i) {
    const Partition::Fragment& fragment = partition.fragments_[i];
    const auto found = std::ranges::find(split, partition.backends_[fragment.backend],
                                         &conf::WeightedBackend::backend);
    SLUICE_CHECK(found != split.end());
    const auto share = static_cast<std::size_t>(found - split.begin());
    begins_.push_back(fragment.begin);
    shares_.push_back(static_cast<std::uint8_t>(share));
    own_[share].push_back({points_[share], fragment.begin});
    points_[share] += partition.end_of(i) - fragment.begin;
  }
}

std::size_t KeyMap::share_of(StickyKey key) const {
  const auto after = std::ranges::upper_bound(begins_, key);
  return shares_[static_cast<std::size_t>(after - begins_.begin()) - 1];
}

std::optional<StickyKey> KeyMap::key_in(std::size_t share, std::uint64_t random) const {
  if (points_[share] == 0) return {};
  const auto nth = static_cast<std::uint64_t>(Wide{random} * points_[share] >> 64);
  const auto after = std::ranges::upper_bound(own_[share], nth, {}, &Own::before);
  const Own& own = *(after - 1);
  return own.begin + static_cast<StickyKey>(nth - own.before);
}

}  // namespace sluice::routing
