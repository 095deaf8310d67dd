#include "health/tracker.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

namespace sluice::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::expected<void, std::string> kPassed;
const std::expected<void, std::string> kFailed = std::unexpected(std::string("status 503"));

// A tracker with default check (30 s, settle 1 s, rise 2, fall 3) and its own clock.
class Tracking : public testing::Test {
 protected:
  void probe(const std::expected<void, std::string>& verdict) {
    if (tracker.next_probe_at() > now) now = tracker.next_probe_at();
    tracker.on_probe_started(now);
    now += milliseconds(2);
    tracker.on_probe(verdict, now);
  }
  void settle_up() {
    probe(kPassed);
    probe(kPassed);
    ASSERT_TRUE(tracker.settled());
    ASSERT_EQ(tracker.status(), Status::up);
  }
  Duration until_next() const { return tracker.next_probe_at() - now; }

  conf::HealthCheck check;
  TimePoint now{std::chrono::hours(5)};
  Tracker tracker{check, now, 7};
};

TEST_F(Tracking, UnknownTakesNoWork) {
  EXPECT_EQ(tracker.status(), Status::unknown);
  EXPECT_FALSE(tracker.takes_new_work());
  EXPECT_FALSE(tracker.settled());
}

TEST_F(Tracking, FirstProbeIsDueAtOnce) {
  EXPECT_EQ(tracker.next_probe_at(), now);
}

TEST_F(Tracking, FirstPassedProbeBringsUp) {
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::up);
  EXPECT_TRUE(tracker.takes_new_work());
  EXPECT_EQ(tracker.since(), now);
  EXPECT_EQ(tracker.last_error(), "");
  EXPECT_FALSE(tracker.last_error_at());
}

TEST_F(Tracking, FirstFailedProbeBringsDownAndThenRiseIsNeeded) {
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::down);
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::down);
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::up);
}

TEST_F(Tracking, AsksEverySettleIntervalUntilRisePassed) {
  probe(kPassed);
  EXPECT_FALSE(tracker.settled());
  EXPECT_EQ(until_next(), seconds(1) - milliseconds(2));  // counted from the last probe's start
  probe(kPassed);
  EXPECT_TRUE(tracker.settled());
  EXPECT_GE(until_next(), seconds(27));
  EXPECT_LE(until_next(), seconds(33));
}

TEST_F(Tracking, FallFailuresInARowBringDown) {
  settle_up();
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::up);
  EXPECT_LE(until_next(), seconds(1)) << "a contradicting probe is followed up quickly";
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::up);
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::down);
  EXPECT_EQ(tracker.since(), now);
  EXPECT_EQ(tracker.last_error(), "status 503");
  EXPECT_EQ(tracker.last_error_at(), now);
  EXPECT_TRUE(tracker.settled());
  EXPECT_GE(until_next(), seconds(27));
}

TEST_F(Tracking, APassBetweenFailuresStartsTheCountAnew) {
  settle_up();
  for (int round = 0; round < 5; ++round) {
    probe(kFailed);
    probe(kFailed);
    EXPECT_EQ(tracker.failures_in_a_row(), 2);
    probe(kPassed);
    EXPECT_EQ(tracker.failures_in_a_row(), 0);
    EXPECT_EQ(tracker.passes_in_a_row(), 1);
    EXPECT_EQ(tracker.status(), Status::up);
  }
}

TEST_F(Tracking, AFailureBetweenPassesStartsTheCountAnew) {
  for (int i = 0; i < 3; ++i) probe(kFailed);
  for (int round = 0; round < 5; ++round) {
    probe(kPassed);
    probe(kFailed);
    EXPECT_EQ(tracker.status(), Status::down);
  }
  probe(kPassed);
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::up);
}

TEST_F(Tracking, FailedConnectTakesOutAtOnce) {
  settle_up();
  now += seconds(10);
  tracker.on_connect_failed("connect refused", now);
  EXPECT_EQ(tracker.status(), Status::down);
  EXPECT_FALSE(tracker.takes_new_work());
  EXPECT_EQ(tracker.since(), now);
  EXPECT_EQ(tracker.last_error(), "connect refused");
  EXPECT_FALSE(tracker.settled());
  EXPECT_EQ(tracker.next_probe_at(), now) << "asked at once";
}

TEST_F(Tracking, AfterAFailedConnectOnePassBringsBack) {
  settle_up();
  tracker.on_connect_failed("connect refused", now);
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::down);
  EXPECT_LE(until_next(), seconds(1));
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::up);
  EXPECT_FALSE(tracker.settled());
  probe(kPassed);
  EXPECT_TRUE(tracker.settled());
}

TEST_F(Tracking, AfterFallFailuresAFailedConnectDoesNotEaseTheWayBack) {
  settle_up();
  for (int i = 0; i < 3; ++i) probe(kFailed);
  tracker.on_connect_failed("connect timed out", now);
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::down);
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::up);
}

TEST_F(Tracking, FlappingConnectsDoNotProbeMoreOftenThanTheSettleInterval) {
  settle_up();
  TimePoint last_started = now - milliseconds(2);
  for (int i = 0; i < 50; ++i) {
    tracker.on_connect_failed("connect refused", now);
    ASSERT_GE(tracker.next_probe_at(), last_started + check.settle_interval);
    probe(kPassed);
    last_started = now - milliseconds(2);
    ASSERT_EQ(tracker.status(), Status::up);
  }
}

TEST_F(Tracking, ManyFailedConnectsDoNotPutTheProbeOff) {
  settle_up();
  tracker.on_connect_failed("connect refused", now);
  const TimePoint due = tracker.next_probe_at();
  for (int i = 0; i < 100; ++i) {
    now += milliseconds(5);
    tracker.on_connect_failed("connect refused", now);
    ASSERT_EQ(tracker.next_probe_at(), due);
  }
}

TEST_F(Tracking, AProbeBegunBeforeTheFailedConnectDoesNotBringBack) {
  settle_up();
  now = tracker.next_probe_at();
  tracker.on_probe_started(now);
  tracker.on_connect_failed("connect refused", now + milliseconds(1));
  tracker.on_probe(kPassed, now + milliseconds(2));
  EXPECT_EQ(tracker.status(), Status::down);
  EXPECT_EQ(tracker.passes_in_a_row(), 0);
  EXPECT_EQ(tracker.next_probe_at(), now + seconds(1));
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::up);
}

TEST_F(Tracking, LaterFailedConnectsDoNotOutdateTheProbeThatAnswersTheFirst) {
  settle_up();
  tracker.on_connect_failed("connect refused", now);
  now = tracker.next_probe_at();
  tracker.on_probe_started(now);
  tracker.on_connect_failed("connect timed out", now + milliseconds(1));
  tracker.on_probe(kPassed, now + milliseconds(2));
  EXPECT_EQ(tracker.status(), Status::up);
}

TEST_F(Tracking, AForgottenServerIsUnknownUntilTheNextVerdict) {
  settle_up();
  tracker.on_probe_started(now);
  tracker.on_forgotten(now);
  EXPECT_EQ(tracker.status(), Status::unknown);
  EXPECT_FALSE(tracker.takes_new_work());
  tracker.on_probe(kPassed, now);
  EXPECT_EQ(tracker.status(), Status::unknown) << "that probe was sent before";
  probe(kPassed);
  EXPECT_EQ(tracker.status(), Status::up);
  tracker.on_forgotten(now);
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::down);
}

TEST_F(Tracking, NoProbeIsDueWhileOneIsOnItsWay) {
  tracker.on_probe_started(now);
  EXPECT_TRUE(tracker.probe_on_its_way());
  EXPECT_EQ(tracker.next_probe_at(), kNever);
  tracker.on_probe_abandoned(now + milliseconds(3));
  EXPECT_FALSE(tracker.probe_on_its_way());
  EXPECT_EQ(tracker.status(), Status::unknown);
  EXPECT_EQ(tracker.next_probe_at(), now + seconds(1));
}

TEST_F(Tracking, ReloadOfTheSameCheckChangesNothing) {
  settle_up();
  const TimePoint due = tracker.next_probe_at();
  tracker.on_config(check, now + seconds(5));
  EXPECT_EQ(tracker.next_probe_at(), due);
  EXPECT_TRUE(tracker.settled());
}

TEST_F(Tracking, ReloadOfAnotherCheckKeepsTheStatusAndAsksAtOnce) {
  settle_up();
  const TimePoint since = tracker.since();
  now += seconds(10);
  check.path = "/healthz";
  check.fall = 2;
  tracker.on_config(check, now);
  EXPECT_EQ(tracker.status(), Status::up);
  EXPECT_EQ(tracker.since(), since);
  EXPECT_EQ(tracker.passes_in_a_row(), 0);
  EXPECT_EQ(tracker.next_probe_at(), now);
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::up);
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::down);
}

TEST_F(Tracking, AProbeOfTheOldCheckSaysNothingOfTheNewOne) {
  settle_up();
  now = tracker.next_probe_at();
  tracker.on_probe_started(now);
  check.path = "/healthz";
  check.fall = 1;
  tracker.on_config(check, now);
  tracker.on_probe(kFailed, now + milliseconds(1));
  EXPECT_EQ(tracker.status(), Status::up);
  probe(kFailed);
  EXPECT_EQ(tracker.status(), Status::down);
}

TEST_F(Tracking, CountsEveryProbeThatSaidSomething) {
  probe(kPassed);
  probe(kFailed);
  probe(kPassed);
  tracker.on_probe_started(now = tracker.next_probe_at());
  tracker.on_connect_failed("connect refused", now);
  tracker.on_probe(kPassed, now);
  EXPECT_EQ(tracker.passed_total(), 2u);
  EXPECT_EQ(tracker.failed_total(), 1u);
}

TEST_F(Tracking, LongReasonsAreCut) {
  probe(std::unexpected(std::string(10'000, 'x')));
  EXPECT_EQ(tracker.last_error().size(), kReasonBytesMax);
}

TEST_F(Tracking, LastErrorIsKeptAfterRecovery) {
  probe(kFailed);
  const TimePoint failed_at = now;
  probe(kPassed);
  probe(kPassed);
  EXPECT_EQ(tracker.last_error(), "status 503");
  EXPECT_EQ(tracker.last_error_at(), failed_at);
}

TEST(Jitter, DiffersBySeedAndIsTheSameForOne) {
  const auto interval_of = [](std::uint64_t seed) {
    TimePoint now{seconds(1)};
    Tracker tracker({}, now, seed);
    for (int i = 0; i < 2; ++i) {
      now = tracker.next_probe_at();
      tracker.on_probe_started(now);
      tracker.on_probe(kPassed, now);
    }
    return tracker.next_probe_at() - now;
  };
  std::set<Duration> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    EXPECT_EQ(interval_of(seed), interval_of(seed));
    EXPECT_GE(interval_of(seed), seconds(27));
    EXPECT_LE(interval_of(seed), seconds(33));
    seen.insert(interval_of(seed));
  }
  EXPECT_GT(seen.size(), 95u);
}

TEST(Jitter, TinyIntervalsStand) {
  conf::HealthCheck check;
  check.interval = Duration(1);
  check.settle_interval = Duration(1);
  check.rise = 1;
  Tracker tracker(check, TimePoint{}, 1);
  tracker.on_probe_started(TimePoint{});
  tracker.on_probe(kPassed, TimePoint{});
  EXPECT_EQ(tracker.next_probe_at(), TimePoint(Duration(1)));
}

// Whatever happens, in whatever order: the laws that the rest of the proxy leans on.
TEST(TrackerLaws, HoldOverRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    conf::HealthCheck check;
    check.rise = static_cast<int>(1 + random() % 4);
    check.fall = static_cast<int>(1 + random() % 4);
    TimePoint now{seconds(100)};
    Tracker tracker(check, now, seed);
    std::optional<TimePoint> last_started;
    int failed_in_a_row = 0;
    for (int step = 0; step < 500; ++step) {
      const Status before = tracker.status();
      switch (random() % 8) {
        case 0:
          tracker.on_connect_failed("connect refused", now);
          ASSERT_EQ(tracker.status(), Status::down);
          failed_in_a_row = 0;
          break;
        case 1:
          now += milliseconds(random() % 3000);
          break;
        default: {
          if (!tracker.probe_on_its_way()) {
            now = std::max(now, tracker.next_probe_at());
            if (last_started) {
              ASSERT_GE(now - *last_started, check.settle_interval);
            }
            last_started = now;
            tracker.on_probe_started(now);
            break;
          }
          const bool pass = random() % 2 == 0;
          tracker.on_probe(pass ? kPassed : kFailed, now += milliseconds(random() % 100));
          failed_in_a_row = pass ? 0 : failed_in_a_row + 1;
          if (before == Status::up && tracker.status() == Status::down) {
            ASSERT_GE(failed_in_a_row, check.fall);
          }
          if (before != Status::up && tracker.status() == Status::up) {
            ASSERT_TRUE(pass);
          }
          ASSERT_LE(tracker.next_probe_at(), now + seconds(33)) << "a probe is always scheduled";
        }
      }
      ASSERT_FALSE(tracker.passes_in_a_row() > 0 && tracker.failures_in_a_row() > 0);
      ASSERT_TRUE(before == Status::unknown || tracker.status() != Status::unknown);
    }
  }
}

TEST(Tracker, AnAwaitedVerdictComesAsSoonAsAProbeMayStart) {
  conf::HealthCheck check;
  TimePoint now{};
  Tracker tracker(check, now, 1);
  for (int i = 0; i < check.rise; ++i) {
    now = tracker.next_probe_at();
    tracker.on_probe_started(now);
    tracker.on_probe({}, now);
  }
  ASSERT_GT(tracker.next_probe_at(), now + check.interval / 2) << "settled";
  tracker.on_awaited(now);
  EXPECT_LE(tracker.next_probe_at(), now + check.settle_interval);
  tracker.on_probe_started(tracker.next_probe_at());
  tracker.on_awaited(now);
  EXPECT_EQ(tracker.next_probe_at(), kNever) << "one is on its way";
}

}  // namespace
}  // namespace sluice::health
