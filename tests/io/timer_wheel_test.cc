#include "proxy/io/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace sluice::io {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{hours(5) + microseconds(1234)};

struct Probe {
  explicit Probe(TimerWheel& wheel_in) : wheel(wheel_in) {}
  TimerWheel& wheel;
  int fired = 0;
  Timer timer = Timer::calling<&Probe::on_timer>(this);
  std::move_only_function<void()> then;
  void on_timer() {
    ++fired;
    EXPECT_FALSE(timer.armed());
    if (then) std::exchange(then, {})();
  }
};

TEST(TimerWheel, NothingArmedMeansNever) {
  TimerWheel wheel(kStart);
  EXPECT_EQ(wheel.next_deadline(), kNever);
  wheel.advance(kStart + hours(1));
  EXPECT_EQ(wheel.next_deadline(), kNever);
}

TEST(TimerWheel, FiresOnceNeverEarlyAndAtMostOneTickLate) {
  for (const Duration wait :
       {Duration(1), Duration(milliseconds(1)), TimerWheel::kTick - Duration(1), TimerWheel::kTick,
        TimerWheel::kTick + Duration(1), Duration(milliseconds(300)), Duration(seconds(30)),
        Duration(hours(3)), Duration(hours(24 * 400))}) {
    TimerWheel wheel(kStart);
    Probe probe(wheel);
    wheel.arm(probe.timer, kStart + wait);
    int wakeups = 0;
    while (probe.fired == 0) {
      const TimePoint next = wheel.next_deadline();
      ASSERT_NE(next, kNever);
      wheel.advance(next - Duration(1));
      ASSERT_EQ(probe.fired, 0) << "before the time that next_deadline() gave";
      wheel.advance(next);
      if (probe.fired != 0) {
        EXPECT_GE(next, kStart + wait);
        EXPECT_LT(next, kStart + wait + TimerWheel::kTick);
      }
      ASSERT_LE(++wakeups, 8) << "a far timer is moved nearer once per level at most";
    }
    EXPECT_EQ(wheel.next_deadline(), kNever);
    wheel.advance(kStart + wait + hours(1));
    EXPECT_EQ(probe.fired, 1);
  }
}

TEST(TimerWheel, PastDeadlineFiresAtTheNextAdvance) {
  TimerWheel wheel(kStart);
  wheel.advance(kStart + seconds(100));
  Probe probe(wheel);
  wheel.arm(probe.timer, kStart + seconds(1));
  EXPECT_LE(wheel.next_deadline(), kStart + seconds(100));
  wheel.advance(kStart + seconds(100));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, CancelledTimerDoesNotFire) {
  TimerWheel wheel(kStart);
  Probe cancelled(wheel);
  Probe never(wheel);
  wheel.arm(cancelled.timer, kStart + seconds(1));
  wheel.arm(never.timer, kStart + seconds(1));
  cancelled.timer.cancel();
  wheel.arm(never.timer, kNever);
  EXPECT_FALSE(cancelled.timer.armed());
  EXPECT_FALSE(never.timer.armed());
  EXPECT_EQ(wheel.next_deadline(), kNever);
  wheel.advance(kStart + seconds(2));
  EXPECT_EQ(cancelled.fired + never.fired, 0);
}

TEST(TimerWheel, DeadlineMovedLaterHolds) {
  TimerWheel wheel(kStart);
  Probe probe(wheel);
  for (int second = 1; second <= 100; ++second) {
    wheel.arm(probe.timer, kStart + seconds(second + 10));
    wheel.advance(kStart + seconds(second));
    ASSERT_EQ(probe.fired, 0);
  }
  wheel.advance(kStart + seconds(109));
  EXPECT_EQ(probe.fired, 0);
  wheel.advance(kStart + seconds(111));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, DeadlineMovedEarlierHolds) {
  TimerWheel wheel(kStart);
  Probe probe(wheel);
  wheel.arm(probe.timer, kStart + hours(10));
  wheel.arm(probe.timer, kStart + milliseconds(50));
  EXPECT_LE(wheel.next_deadline(), kStart + milliseconds(50) + TimerWheel::kTick);
  wheel.advance(kStart + milliseconds(60));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, CallbackMayRearmItself) {
  TimerWheel wheel(kStart);
  Probe probe(wheel);
  wheel.arm(probe.timer, kStart + milliseconds(10));
  probe.then = [&] { wheel.arm(probe.timer, kStart); };  // long past
  wheel.advance(kStart + milliseconds(20));
  EXPECT_EQ(probe.fired, 1) << "what a callback arms waits for the next advance()";
  wheel.advance(kStart + milliseconds(20));
  EXPECT_EQ(probe.fired, 2);
}

TEST(TimerWheel, CallbackMayCancelPostponeAndDestroyOthersThatAreDue) {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<Probe>> probes;
  for (int index = 0; index < 4; ++index) {
    probes.push_back(std::make_unique<Probe>(wheel));
    wheel.arm(probes.back()->timer, kStart + milliseconds(10));
  }
  probes[0]->then = [&] {
    probes[1]->timer.cancel();
    wheel.arm(probes[2]->timer, kStart + seconds(1));
    probes[3].reset();
  };
  wheel.advance(kStart + milliseconds(20));
  EXPECT_EQ(probes[0]->fired, 1);
  EXPECT_EQ(probes[1]->fired, 0);
  EXPECT_EQ(probes[2]->fired, 0);
  wheel.advance(kStart + seconds(2));
  EXPECT_EQ(probes[1]->fired, 0);
  EXPECT_EQ(probes[2]->fired, 1);
}

TEST(TimerWheel, CallbackMayDestroyItsOwnTimer) {
  TimerWheel wheel(kStart);
  auto probe = std::make_unique<Probe>(wheel);
  Probe after(wheel);
  wheel.arm(probe->timer, kStart + milliseconds(10));
  wheel.arm(after.timer, kStart + milliseconds(10));
  probe->then = [&] { probe.reset(); };
  wheel.advance(kStart + milliseconds(20));
  EXPECT_EQ(probe, nullptr);
  EXPECT_EQ(after.fired, 1);
}

TEST(TimerWheel, EitherMayGoFirst) {
  auto wheel = std::make_unique<TimerWheel>(kStart);
  Probe survivor(*wheel);
  {
    Probe gone(*wheel);
    wheel->arm(gone.timer, kStart + seconds(1));
    wheel->arm(survivor.timer, kStart + seconds(1));
  }
  wheel->advance(kStart + milliseconds(1));
  wheel.reset();
  EXPECT_FALSE(survivor.timer.armed());
  survivor.timer.cancel();
}

// --- Against the obvious implementation
// -----------------------------------------------------------

struct Model {
  bool armed = false;
  TimePoint deadline{};
  int fired = 0;
};

std::int64_t tick_up(TimePoint time) {
  const std::int64_t since = std::max<std::int64_t>(0, (time - kStart).count());
  return (since + TimerWheel::kTick.count() - 1) / TimerWheel::kTick.count();
}

std::int64_t tick_down(TimePoint time) {
  return (time - kStart).count() / TimerWheel::kTick.count();
}

class TimerWheelAgainstModel : public testing::TestWithParam<unsigned> {};

TEST_P(TimerWheelAgainstModel, SameTimersFireAtTheSameAdvance) {
  std::mt19937_64 random(GetParam());
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  // Mostly near, sometimes at any distance up to about 2,000 hours.
  const auto some_duration = [&] {
    return Duration(static_cast<std::int64_t>(random() >> (11 + below(53))));
  };
  constexpr std::size_t kTimers = 60;
  TimerWheel wheel(kStart);
  TimePoint now = kStart;
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<Model> models(kTimers);
  for (std::size_t index = 0; index < kTimers; ++index) {
    probes.push_back(std::make_unique<Probe>(wheel));
  }
  for (int step = 0; step < 4000; ++step) {
    const std::size_t which = below(kTimers);
    switch (below(8)) {
      case 0:
        probes[which]->timer.cancel();
        models[which].armed = false;
        break;
      case 1:  // a new timer in the old one's place
        probes[which] = std::make_unique<Probe>(wheel);
        models[which] = {};
        break;
      case 2:
      case 3: {
        const TimePoint target = below(3) == 0 ? wheel.next_deadline() : now + some_duration();
        if (target != kNever) now = std::max(now, target);
        wheel.advance(now);
        for (std::size_t index = 0; index < kTimers; ++index) {
          Model& model = models[index];
          if (!model.armed || tick_up(model.deadline) > tick_down(now)) continue;
          model.armed = false;
          ++model.fired;
        }
        break;
      }
      default:
        models[which].armed = true;
        models[which].deadline = below(20) == 0 ? now - some_duration() : now + some_duration();
        wheel.arm(probes[which]->timer, models[which].deadline);
    }
    TimePoint first = kNever;
    for (std::size_t index = 0; index < kTimers; ++index) {
      ASSERT_EQ(probes[index]->fired, models[index].fired) << "timer " << index << " step " << step;
      ASSERT_EQ(probes[index]->timer.armed(), models[index].armed);
      if (models[index].armed) {
        ASSERT_EQ(probes[index]->timer.deadline(), models[index].deadline);
        first = std::min(first, models[index].deadline);
      }
    }
    const TimePoint next = wheel.next_deadline();
    if (first == kNever) {
      ASSERT_EQ(next, kNever);
    } else {
      ASSERT_LT(next - TimerWheel::kTick, std::max(first, now)) << "would come too late";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimerWheelAgainstModel, testing::Range(1u, 13u));

}  // namespace
}  // namespace sluice::io
