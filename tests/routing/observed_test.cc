#include "routing/observed.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::routing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Feeds one route's totals as control does, a second apart unless told otherwise.
class Feed {
 public:
  explicit Feed(std::vector<std::string> backends)
      : backends_(std::move(backends)), totals_(backends_.size()) {}
  void add(const std::vector<std::uint64_t>& more, Duration later = seconds(1)) {
    for (std::size_t i = 0; i < more.size(); ++i) totals_[i] += more[i];
    now_ += later;
    observed.add(now_, backends_, totals_);
  }
  ObservedShare observed;

 private:
  std::vector<std::string> backends_;
  std::vector<std::uint64_t> totals_;
  TimePoint now_{seconds(1000)};
};

TEST(ObservedShare, BeforeAnySampleItIsOverNothing) {
  const ObservedShare observed;
  EXPECT_EQ(observed.last_requests().requests, 0u);
  EXPECT_EQ(observed.last_minute().requests, 0u);
}

TEST(ObservedShare, TheFirstSampleIsOnlyABeginning) {
  Feed feed({"blue", "green"});
  feed.add({500, 500});
  const ObservedWindow window = feed.observed.last_requests();
  EXPECT_EQ(window.requests, 0u);
  ASSERT_EQ(window.counts.size(), 2u);
  EXPECT_EQ(window.share(0), 0);
}

TEST(ObservedShare, SaysOverHowManyRequestsItIs) {
  Feed feed({"blue", "green"});
  feed.add({0, 0});
  feed.add({90, 10});
  const ObservedWindow window = feed.observed.last_requests();
  EXPECT_EQ(window.requests, 100u);
  EXPECT_EQ(window.counts, (std::vector<std::uint64_t>{90, 10}));
  EXPECT_DOUBLE_EQ(window.share(1), 0.1);
  EXPECT_EQ(window.span, seconds(1));
}

TEST(ObservedShare, LastRequestsTakesTheNewestThousandOnly) {
  Feed feed({"blue", "green"});
  feed.add({0, 0});
  for (int i = 0; i < 50; ++i) feed.add({400, 0});
  for (int i = 0; i < 3; ++i) feed.add({0, 400});
  const ObservedWindow window = feed.observed.last_requests();
  EXPECT_EQ(window.requests, 1200u);
  EXPECT_EQ(window.share(1), 1);
  const ObservedWindow minute = feed.observed.last_minute();
  EXPECT_EQ(minute.requests, 50u * 400 + 1200);
}

TEST(ObservedShare, LastMinuteForgetsWhatIsOlder) {
  Feed feed({"blue", "green"});
  feed.add({0, 0});
  for (int i = 0; i < 100; ++i) feed.add({10, 0});
  for (int i = 0; i < 60; ++i) feed.add({0, 10});
  const ObservedWindow minute = feed.observed.last_minute();
  EXPECT_EQ(minute.span, seconds(60));
  EXPECT_EQ(minute.counts, (std::vector<std::uint64_t>{0, 600}));
  EXPECT_EQ(feed.observed.last_requests().counts, (std::vector<std::uint64_t>{400, 600}));
}

TEST(ObservedShare, SlowRoutesStillGetTheirThousand) {
  Feed feed({"blue", "green"});
  feed.add({0, 0});
  // One request in three seconds, for more than an hour and a half.
  for (int i = 0; i < 6000; ++i) {
    feed.add({i % 30 != 0 && i % 3 == 0 ? 1u : 0u, i % 30 == 0 ? 1u : 0u});
  }
  const ObservedWindow window = feed.observed.last_requests();
  EXPECT_GE(window.requests, 1000u);
  EXPECT_LE(window.requests, 1000u + ObservedShare::kJoinRequests);
  EXPECT_NEAR(window.share(1), 0.1, 0.002);
  EXPECT_NEAR(static_cast<double>(feed.observed.last_minute().requests), 20, 1);
}

TEST(ObservedShare, AnIdleRouteKeepsItsLastThousand) {
  Feed feed({"blue", "green"});
  feed.add({0, 0});
  for (int i = 0; i < 20; ++i) feed.add({75, 25});
  for (int i = 0; i < 10'000; ++i) feed.add({0, 0});
  const ObservedWindow window = feed.observed.last_requests();
  EXPECT_EQ(window.counts, (std::vector<std::uint64_t>{750, 250}));
  EXPECT_EQ(feed.observed.last_minute().requests, 0u);
}

TEST(ObservedShare, SamplesThatComeTooFastDoNotShortenTheMinute) {
  Feed feed({"blue"});
  feed.add({0});
  for (int i = 0; i < 10'000; ++i) feed.add({1}, milliseconds(10));
  const ObservedWindow minute = feed.observed.last_minute();
  EXPECT_GE(minute.span, seconds(60));
  EXPECT_LE(minute.span, seconds(61));
  EXPECT_NEAR(static_cast<double>(minute.requests), 6050, 51);
}

TEST(ObservedShare, OtherBackendsOrShrunkTotalsBeginAnew) {
  ObservedShare observed;
  const std::vector<std::string> before{"blue", "green"};
  const std::vector<std::string> after{"blue", "red"};
  TimePoint now{};
  observed.add(now, before, std::vector<std::uint64_t>{0, 0});
  observed.add(now += seconds(1), before, std::vector<std::uint64_t>{90, 10});
  ASSERT_EQ(observed.last_requests().requests, 100u);
  observed.add(now += seconds(1), after, std::vector<std::uint64_t>{95, 20});
  EXPECT_EQ(observed.last_requests().requests, 0u);
  observed.add(now += seconds(1), after, std::vector<std::uint64_t>{96, 30});
  EXPECT_EQ(observed.last_requests().counts, (std::vector<std::uint64_t>{1, 10}));
  observed.add(now += seconds(1), after, std::vector<std::uint64_t>{0, 40});
  EXPECT_EQ(observed.last_requests().requests, 0u);
}

// Against the plain definition, on random traffic with random pauses.
TEST(ObservedShare, AgreesWithAllSamplesKept) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 40; ++round) {
    const std::uint64_t rate = std::uint64_t{1} << (random() % 11);
    struct Sample {
      TimePoint time;
      std::uint64_t total;
    };
    std::vector<Sample> all;
    ObservedShare observed;
    const std::vector<std::string> backends{"only"};
    TimePoint now{};
    std::uint64_t total = 0;
    for (int i = 0; i < 400; ++i) {
      now += milliseconds(950 + random() % 200);
      total += random() % 4 == 0 ? 0 : random() % (rate + 1);
      all.push_back({now, total});
      observed.add(now, backends, std::vector<std::uint64_t>{total});

      std::size_t first = all.size() - 1;
      while (first > 0 && now - all[first].time < ObservedShare::kMinute) --first;
      ASSERT_EQ(observed.last_minute().requests, total - all[first].total);

      first = all.size() - 1;
      while (first > 0 && total - all[first].total < ObservedShare::kRequests) --first;
      const std::uint64_t exact = total - all[first].total;
      ASSERT_GE(observed.last_requests().requests, exact);
      ASSERT_LE(observed.last_requests().requests, exact + ObservedShare::kJoinRequests);
    }
  }
}

}  // namespace
}  // namespace sluice::routing
