#include "routing/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

constexpr std::size_t kKeys = 100'000;

std::vector<StickyKey> keys() {
  std::mt19937_64 random(1);
  std::vector<StickyKey> keys(kKeys);
  for (StickyKey& key : keys) key = static_cast<StickyKey>(random());
  return keys;
}

std::set<StickyKey> keys_of(const Partition& partition, std::string_view backend) {
  std::set<StickyKey> own;
  for (const StickyKey key : keys()) {
    if (partition.backend_of(key) == backend) own.insert(key);
  }
  return own;
}

// What any change from the one to the other has to move: what those that grow gain.
std::uint64_t least_move(const Partition& before, const Split& after) {
  const std::vector<std::uint64_t> points = points_for(after);
  std::uint64_t least = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::uint64_t had = before.points_of(after[i].backend);
    least += points[i] - std::min(points[i], had);
  }
  return least;
}

void expect_exact_shares(const Partition& partition, const Split& split) {
  const std::vector<std::uint64_t> points = points_for(split);
  for (std::size_t i = 0; i < split.size(); ++i) {
    ASSERT_EQ(partition.points_of(split[i].backend), points[i]) << split[i].backend;
  }
}

Split random_split(std::mt19937_64& random, std::size_t backends) {
  Split split;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < backends; ++i) {
    // Zero as often as not much, and sometimes in fine steps.
    const std::uint64_t weight = random() % 4 == 0 ? 0 : random() % 1'000'000;
    split.push_back({"b" + std::to_string(i), Decimal{weight, 0}});
    total += weight;
  }
  if (total == 0) split[0].weight = Decimal{1, 0};
  return split;
}

TEST(PartitionTest, BeginsWithAFragmentForEachInTheSplitsOrder) {
  const Partition partition = Partition().rebalance(blue_green("90", "10"));
  EXPECT_EQ(partition.to_string(), "0:blue e6666666:green");
  EXPECT_EQ(partition.backend_of(0), "blue");
  EXPECT_EQ(partition.backend_of(0xe6666665), "blue");
  EXPECT_EQ(partition.backend_of(0xe6666666), "green");
  EXPECT_EQ(partition.backend_of(0xffffffff), "green");
  EXPECT_EQ(Partition().rebalance(blue_green("0", "10")).to_string(), "0:green");
}

TEST(PartitionTest, SharesAreExactByLargestRemainderWhateverTheOrder) {
  const Split split = {share("c", "1"), share("a", "1"), share("b", "1")};
  // 2^32 / 3 leaves one point over, which the first by name gets.
  EXPECT_EQ(points_for(split), (std::vector<std::uint64_t>{1431655765, 1431655766, 1431655765}));
  const Split fine = {share("blue", "999999999.999999"), share("green", "0.000001")};
  EXPECT_EQ(points_for(fine), (std::vector<std::uint64_t>{Partition::kPoints, 0}));
  EXPECT_EQ(points_for(blue_green("999990", "10"))[1], 42950u);
}

TEST(PartitionTest, G6WhileWeightsStandNoKeyMoves) {
  const Partition partition =
      Partition().rebalance({share("a", "1"), share("b", "1"), share("c", "1")});
  const Partition scaled =
      partition.rebalance({share("c", "0.5"), share("b", "0.5"), share("a", "0.5")});
  EXPECT_EQ(scaled, partition);
  EXPECT_EQ(scaled.moved_from(partition), 0u);
}

TEST(PartitionTest, G6TheCanarysKeysAreNestedUpAndDown) {
  Partition partition = Partition().rebalance(blue_green("99", "1"));
  std::set<StickyKey> before = keys_of(partition, "green");
  const std::set<StickyKey> at_1 = before;
  std::set<StickyKey> at_10;
  const struct {
    const char* blue;
    const char* green;
    bool up;
  } kSteps[] = {{"90", "10", true},
                {"50", "50", true},
                {"0", "100", true},
                {"90", "10", false},
                {"99", "1", false}};
  for (const auto& [blue, green, up] : kSteps) {
    partition = partition.rebalance(blue_green(blue, green));
    const std::set<StickyKey> now = keys_of(partition, "green");
    EXPECT_NEAR(static_cast<double>(now.size()), kKeys * std::stod(green) / 100, 400) << green;
    EXPECT_TRUE(up ? std::ranges::includes(now, before) : std::ranges::includes(before, now));
    EXPECT_LE(partition.fragment_count(), 2u);
    if (std::string_view(green) == "10") {
      EXPECT_TRUE(at_10.empty() || at_10 == now) << "the way down is the way up";
      at_10 = now;
    }
    before = now;
  }
  EXPECT_EQ(before, at_1);
}

TEST(PartitionTest, G6RaisingOneOfThreeMovesKeysOnlyTowardIt) {
  Partition partition =
      Partition().rebalance({share("a", "60"), share("b", "30"), share("c", "10")});
  for (const char* weight : {"20", "45", "300", "100000"}) {
    const Partition next =
        partition.rebalance({share("a", "60"), share("b", "30"), share("c", weight)});
    for (const StickyKey key : keys()) {
      if (next.backend_of(key) == partition.backend_of(key)) continue;
      ASSERT_EQ(next.backend_of(key), "c");
    }
    partition = next;
  }
}

// Three and five backends through 1,000 random splits, and as many as a split can have.
class RandomSplits : public testing::TestWithParam<std::size_t> {};

TEST_P(RandomSplits, G6MoveExactlyTheMinimumBelowTheCap) {
  std::mt19937_64 random(GetParam());
  Partition partition = Partition().rebalance(random_split(random, GetParam()));
  std::size_t fragments = 0;
  for (int i = 0; i < 1000; ++i) {
    const Split split = random_split(random, GetParam());
    const std::uint64_t least = least_move(partition, split);
    const Partition next = partition.rebalance(split);
    ASSERT_NO_FATAL_FAILURE(expect_exact_shares(next, split)) << i;
    const std::uint64_t moved = next.moved_from(partition);
    if (next.fragment_count() < Partition::kMergeFrom) {
      ASSERT_EQ(moved, least) << i;
    } else {
      ASSERT_LE(moved, least + least / 100) << i;
    }
    ASSERT_LE(next.fragment_count(), Partition::kFragmentsMax);
    ASSERT_EQ(partition.rebalance(split).to_string(), next.to_string()) << "not deterministic";
    fragments = std::max(fragments, next.fragment_count());
    partition = next;
  }
  RecordProperty("fragments_max", static_cast<int>(fragments));
}
INSTANTIATE_TEST_SUITE_P(Backends, RandomSplits, testing::Values(2, 3, 5, 8, 16, 64));

// Many steps by which one backend gives a little, or much, to another: what makes most fragments.
TEST(PartitionTest, G6ManySmallStepsMoveTheMinimumToo) {
  std::mt19937_64 random(13);
  for (const std::size_t backends : {5u, 16u, 64u}) {
    Split split;
    for (std::size_t i = 0; i < backends; ++i) {
      split.push_back({"b" + std::to_string(i), Decimal{1'000'000, 0}});
    }
    Partition partition = Partition().rebalance(split);
    std::size_t fragments = 0;
    const int steps = backends == 64 ? 700 : 2000;
    for (int i = 0; i < steps; ++i) {
      Decimal& from = split[random() % backends].weight;
      Decimal& to = split[random() % backends].weight;
      const std::uint64_t amount = random() % (from.digits / (1 + random() % 1000) + 1);
      from.digits -= amount;
      to.digits += amount;
      const Partition next = partition.rebalance(split);
      fragments = std::max(fragments, next.fragment_count());
      // 64 backends have 2,016 pairs, more than 512 fragments can give a border each. There the
      // cap holds, at a price that docs/decisions/0011-sticky-partition.md states.
      if (next.fragment_count() < Partition::kMergeFrom) {
        ASSERT_EQ(next.moved_from(partition), least_move(partition, split)) << i;
      }
      ASSERT_LE(next.fragment_count(), Partition::kFragmentsMax);
      partition = next;
    }
    ASSERT_NO_FATAL_FAILURE(expect_exact_shares(partition, split));
    if (backends < 64) {
      EXPECT_LT(fragments, Partition::kMergeFrom);
    }
    RecordProperty("fragments_max", static_cast<int>(fragments));
  }
}

// A small cap, so that it merges all the time: shares stay exact, and the cap holds.
TEST(PartitionTest, TheCapHoldsWithExactShares) {
  std::mt19937_64 random(7);
  for (const std::size_t cap : {8u, 12u, 16u}) {
    Partition partition = Partition().rebalance(random_split(random, 8), cap);
    for (int i = 0; i < 300; ++i) {
      const Split split = random_split(random, 8);
      partition = partition.rebalance(split, cap);
      ASSERT_NO_FATAL_FAILURE(expect_exact_shares(partition, split));
      ASSERT_LE(partition.fragment_count(), cap);
    }
  }
}

TEST(PartitionTest, G6BackendsThatJoinOrLeaveMoveTheMinimum) {
  std::mt19937_64 random(11);
  Partition partition = Partition().rebalance(random_split(random, 3));
  for (int i = 0; i < 300; ++i) {
    Split split = random_split(random, 6);
    std::ranges::shuffle(split, random);
    split.resize(1 + random() % 6);
    if (std::ranges::all_of(split, [](const auto& share) { return share.weight.is_zero(); })) {
      split[0].weight = Decimal{5, 0};
    }
    const Partition next = partition.rebalance(split);
    ASSERT_NO_FATAL_FAILURE(expect_exact_shares(next, split));
    ASSERT_EQ(next.moved_from(partition), least_move(partition, split));
    partition = next;
  }
}

TEST(PartitionTest, TextReadsBackTheSame) {
  std::mt19937_64 random(3);
  Partition partition;
  for (int i = 0; i < 50; ++i) {
    partition = partition.rebalance(random_split(random, 12));
    const auto again = Partition::parse(partition.to_string());
    ASSERT_TRUE(again.has_value()) << again.error();
    EXPECT_EQ(*again, partition);
    EXPECT_EQ(again->to_string(), partition.to_string());
  }
  EXPECT_TRUE(Partition::parse("")->empty());
}

TEST(PartitionTest, TextIsReadStrictly) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"blue", "fragment 1 of the partition is \"blue\", not like 3fffffff:blue"},
      {"1:blue", "fragment 1 of the partition does not begin at 0"},
      {"0:", "not like"},
      {":blue", "not like"},
      {"00:blue", "not like"},
      {"0:Blue", "not like"},
      {"0:blue ", "fragment 2 of the partition is \"\""},
      {" 0:blue", "fragment 1"},
      {"0:blue  5:green", "fragment 2"},
      {"0:blue 5:blue", "belongs to the same backend"},
      {"0:blue 0:green", "does not begin after"},
      {"0:blue 5:green 4:blue", "does not begin after"},
      {"0:blue 0A:green", "not like"},
      {"0:blue A:green", "not like"},
      {"0:blue 100000000:green", "not like"},
      {"0:blue -1:green", "not like"},
  };
  for (const auto& [text, message] : kWrong) {
    const auto read = Partition::parse(text);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_NE(read.error().find(message), std::string::npos) << read.error();
  }
  std::string many = "0:b0";
  for (int i = 1; i <= 512; ++i) {
    many += " " + std::string(1, "123456789abcdef"[i % 15]);
  }
  EXPECT_FALSE(Partition::parse(many).has_value());
  many = "0:b0";
  for (unsigned i = 1; i <= Partition::kFragmentsMax; ++i) {
    char word[32];
    std::snprintf(word, sizeof word, " %x:b%u", i, i % 2);
    many += word;
  }
  EXPECT_NE(Partition::parse(many).error().find("one too many"), std::string::npos);
}

TEST(KeyMapTest, SaysWhoseAKeyIsAndFindsKeysOfAShare) {
  std::mt19937_64 random(5);
  Partition partition;
  Split split;
  for (int i = 0; i < 20; ++i) {
    split = random_split(random, 5);
    partition = partition.rebalance(split);
  }
  const KeyMap map(partition, split);
  for (const StickyKey key : keys()) {
    ASSERT_EQ(split[map.share_of(key)].backend, partition.backend_of(key));
  }
  for (std::size_t share = 0; share < split.size(); ++share) {
    const bool has_points = partition.points_of(split[share].backend) > 0;
    for (const std::uint64_t value : {std::uint64_t{0}, ~std::uint64_t{0}, random(), random()}) {
      const auto key = map.key_in(share, value);
      ASSERT_EQ(key.has_value(), has_points);
      if (key) {
        ASSERT_EQ(map.share_of(*key), share);
      }
    }
  }
}

TEST(KeyMapTest, KeysOfAShareAreEvenlySpread) {
  const Split split = blue_green("50", "50");
  // Green has two fragments, one three times the other.
  const auto partition = Partition::parse("0:green 20000000:blue a0000000:green");
  const KeyMap map(*partition, split);
  std::mt19937_64 random(9);
  int low = 0;
  for (int i = 0; i < 10'000; ++i) low += *map.key_in(1, random()) < 0x20000000 ? 1 : 0;
  EXPECT_NEAR(low, 2500, 200);
}

}  // namespace
}  // namespace sluice::routing
