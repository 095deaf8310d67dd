#include "routing/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace sluice::routing {
namespace {

__extension__ using Wide = __int128;

using Units = std::vector<std::uint64_t>;

Units normal(Units units) {
  std::uint64_t divisor = 0;
  for (std::uint64_t unit : units) divisor = std::gcd(divisor, unit);
  for (std::uint64_t& unit : units) unit /= divisor;
  return units;
}

std::uint64_t total(const Units& units) {
  return std::accumulate(units.begin(), units.end(), std::uint64_t{0});
}

// Follows every share over consecutive tickets. `count · total − tickets · units` of a window is
// the difference of that figure at its two ends, so its highest less its lowest bounds the error
// of every window of any length within what was followed.
class Followed {
 public:
  explicit Followed(const Units& units) : units_(units), total_(sluice::routing::total(units)) {
    now_.resize(units.size());
    low_.resize(units.size());
    high_.resize(units.size());
  }
  void see(std::size_t share) {
    for (std::size_t i = 0; i < units_.size(); ++i) {
      now_[i] += (i == share ? static_cast<Wide>(total_) : 0) - static_cast<Wide>(units_[i]);
      low_[i] = std::min(low_[i], now_[i]);
      high_[i] = std::max(high_[i], now_[i]);
    }
  }
  // Every window of every share is less than `bound` from exact.
  bool every_window_within(int bound) const {
    for (std::size_t i = 0; i < units_.size(); ++i) {
      if (high_[i] - low_[i] >= bound * static_cast<Wide>(total_)) return false;
    }
    return true;
  }

 private:
  Units units_;
  std::uint64_t total_;
  std::vector<Wide> now_, low_, high_;
};

void expect_even(const Units& units, Ticket first, std::uint64_t tickets, int bound) {
  ASSERT_TRUE(Schedule::fits(units));
  const Schedule schedule(units);
  Followed followed(units);
  for (std::uint64_t i = 0; i < tickets; ++i) {
    const std::size_t share = schedule.pick(first + i);
    ASSERT_LT(share, units.size());
    ASSERT_NE(units[share], 0u) << "a share of no weight got ticket " << first + i;
    followed.see(share);
  }
  EXPECT_TRUE(followed.every_window_within(bound)) << testing::PrintToString(units);
}

TEST(Schedule, TwoSharesAreLessThanOneFromExactInEveryWindow) {
  for (const Units& units : {Units{9, 1}, Units{1, 9}, Units{1, 1}, Units{99'999, 1}, Units{2, 1},
                             Units{1, 999'999}, Units{333'333, 666'667}, Units{0, 3, 0, 7}}) {
    expect_even(units, 0, 250'000, 1);
    expect_even(units, 123'456'789'012'345, 250'000, 1);
  }
}

TEST(Schedule, TenPartsPerMillionGetTenOfEveryMillion) {
  const Schedule schedule(Units{99'999, 1});
  std::uint64_t count = 0;
  for (Ticket ticket = 0; ticket < 1'000'000; ++ticket) count += schedule.pick(ticket);
  for (Ticket ticket = 1'000'000; ticket < 1'400'000; ++ticket) {
    ASSERT_NEAR(static_cast<double>(count), 10, 1) << "in the million before " << ticket;
    count += schedule.pick(ticket);
    count -= schedule.pick(ticket - 1'000'000);
  }
}

TEST(Schedule, NinetyTenGivesHundredOfAnyThousand) {
  const Schedule schedule(Units{9, 1});
  std::uint64_t count = 0;
  for (Ticket ticket = 0; ticket < 20'000; ++ticket) {
    count += schedule.pick(ticket);
    if (ticket < 1000) continue;
    count -= schedule.pick(ticket - 1000);
    ASSERT_EQ(count, 100u);
  }
}

// Weights of every kind: even, lopsided, with zeros, and some that only just fit.
Units random_units(std::mt19937_64& random, std::size_t shares, std::uint64_t sum_max) {
  Units units(shares);
  std::uint64_t left = sum_max;
  const bool lopsided = random() % 2 == 0;
  for (std::size_t i = 0; i < shares; ++i) {
    const std::uint64_t most = std::max<std::uint64_t>(1, left / (lopsided ? 2 : shares));
    units[i] = random() % 5 == 0 ? 0 : random() % most;
    left -= units[i];
  }
  std::ranges::shuffle(units, random);
  if (total(units) == 0) units[random() % shares] = 1;
  return normal(units);
}

TEST(Schedule, FewSharesOfAnyWeightAreWithinTwoInEveryWindow) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 120; ++round) {
    const std::size_t shares = 2 + random() % 3;
    const std::uint64_t sum_max = std::uint64_t{4} << (random() % 51);
    const Units units = random_units(random, shares, sum_max);
    const Ticket first = random() >> (random() % 60);
    // Not across the wrap of the counter.
    expect_even(units, std::min(first, std::numeric_limits<Ticket>::max() - 20'000), 20'000, 2);
  }
}

TEST(Schedule, ManySharesAreWithinTwoInEveryWindow) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 60; ++round) {
    const std::size_t shares = 5 + random() % 60;
    const std::uint64_t sum_max = std::uint64_t{64} << (random() % 9);
    const Units units = random_units(random, shares, sum_max);
    // Over the seam of two periods too.
    expect_even(units, random() % 100'000, std::max<std::uint64_t>(3'000, 2 * total(units)), 2);
  }
}

TEST(Schedule, TheLongestTableIsEvenToo) {
  Units units(64, 1);
  units[0] = Schedule::kTablePeriodMax - 63;
  expect_even(units, 0, 40'000, 2);
  const Units five{524'287, 262'144, 131'072, 65'536, 65'537};
  ASSERT_EQ(total(five), Schedule::kTablePeriodMax);
  expect_even(five, Schedule::kTablePeriodMax - 60'000, 120'000, 2);
}

TEST(Schedule, EqualWeightsTakeTurns) {
  for (std::size_t shares = 1; shares <= 64; ++shares) {
    const Units units(shares, 1);
    const Schedule schedule(units);
    for (Ticket first = 0; first < 3; ++first) {
      Units seen(shares);
      for (Ticket ticket = 0; ticket < shares; ++ticket) {
        ++seen[schedule.pick(first * shares + ticket)];
      }
      EXPECT_EQ(seen, units);
    }
  }
}

// The shares whose bound is tightest: a leaf two levels down, on the heavier side both times.
TEST(Schedule, TheHeavySideTwoLevelsDownStaysWithinTwo) {
  for (std::uint64_t light : {1, 2, 3, 7, 100}) {
    expect_even(normal({1'000'003, light, light, light}), 0, 400'000, 2);
    expect_even(normal({light, 1'000'003, light, 999'983}), 0, 400'000, 2);
  }
}

TEST(Schedule, TheLargestOfThreeIsLessThanOneFromExact) {
  for (const std::vector<std::size_t>& order :
       {std::vector<std::size_t>{0, 1, 2}, {1, 0, 2}, {2, 1, 0}}) {
    Units units(3);
    units[order[0]] = 900'007;
    units[order[1]] = 50'021;
    units[order[2]] = 3;
    const Schedule schedule(units);
    Units two{units[order[0]], total(units) - units[order[0]]};
    Followed largest(two);
    for (Ticket ticket = 0; ticket < 300'000; ++ticket) {
      largest.see(schedule.pick(ticket) == order[0] ? 0 : 1);
    }
    EXPECT_TRUE(largest.every_window_within(1)) << testing::PrintToString(units);
  }
}

TEST(Schedule, OnePeriodHoldsEachShareExactly) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 100; ++round) {
    const Units units = random_units(random, 2 + random() % 12, 5'000);
    const Schedule schedule(units);
    Units seen(units.size());
    const Ticket first = random() / 2;
    for (std::uint64_t i = 0; i < total(units); ++i) ++seen[schedule.pick(first + i)];
    EXPECT_EQ(seen, units);
  }
}

TEST(Schedule, WeightsBeyondThirtyTwoBitsArePickedExactly) {
  // 10^9 to 0.000001, the widest that weights can be stated.
  const Units units{1'000'000'000'000'000, 1};
  const Schedule schedule(units);
  const Ticket last = total(units) - 1;
  EXPECT_EQ(schedule.pick(0) + schedule.pick(last), 1u) << "one end of the period is the rare one";
  std::uint64_t rare = 0;
  for (Ticket ticket = last - 5'000; ticket < last + 5'000; ++ticket) rare += schedule.pick(ticket);
  EXPECT_EQ(rare, 1u);
}

TEST(Schedule, ASingleShareGetsEverything) {
  const Schedule schedule(Units{0, 0, 1, 0});
  for (Ticket ticket : {Ticket{0}, Ticket{1}, Ticket{1} << 40, ~Ticket{0}}) {
    EXPECT_EQ(schedule.pick(ticket), 2u);
  }
}

TEST(Schedule, SaysWhatItCannotKeep) {
  const std::uint64_t most = Schedule::kTablePeriodMax;
  EXPECT_TRUE(Schedule::fits(Units{1, 1, 1, 1, most - 4}));
  EXPECT_FALSE(Schedule::fits(Units{1, 1, 1, 1, most - 3}));
  EXPECT_TRUE(Schedule::fits(Units{1, 1, 1, most, 0, 0, 0}));
  EXPECT_FALSE(Schedule::fits(Units{0, 0}));
  EXPECT_FALSE(Schedule::fits(Units{}));
  EXPECT_TRUE(Schedule::fits(Units(64, 1)));
  EXPECT_FALSE(Schedule::fits(Units(65, 1)));
  EXPECT_FALSE(Schedule::fits(Units{~std::uint64_t{0}, 1}));
}

// Workers take tickets from one counter in any order and finish whenever they like: what each
// share gets of any consecutive tickets does not depend on how many they are.
TEST(Schedule, IsExactWhateverTheNumberOfWorkers) {
  for (const Units& units :
       {Units{9, 1}, Units{99'999, 1}, Units{5, 3, 2}, Units{7, 5, 3, 2, 1, 1}}) {
    for (std::size_t workers : {1, 2, 16, 64}) {
      std::mt19937_64 random(workers);
      TicketCounter counter;
      const std::vector<Schedule> copies(workers, Schedule(units));
      constexpr std::size_t kTickets = 60'000;
      constexpr std::size_t kNone = ~std::size_t{0};
      std::vector<std::size_t> served(kTickets, kNone);
      // Each worker may hold a ticket for a while before it serves it.
      std::vector<std::optional<Ticket>> held(workers);
      std::size_t finished = 0;
      while (finished < kTickets) {
        const std::size_t worker = random() % workers;
        if (!held[worker]) {
          if (counter.next.load() < kTickets) held[worker] = counter.take();
          continue;
        }
        ASSERT_EQ(served[*held[worker]], kNone) << "a ticket was given twice";
        served[*held[worker]] = copies[worker].pick(*held[worker]);
        held[worker].reset();
        ++finished;
      }
      Followed followed(units);
      for (std::size_t share : served) {
        ASSERT_NE(share, kNone);
        followed.see(share);
      }
      EXPECT_TRUE(followed.every_window_within(2)) << workers << " workers";
    }
  }
}

}  // namespace
}  // namespace sluice::routing
