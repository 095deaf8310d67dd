// What a webhook has still to tell, and the alerts that it repeats.
#include "admin/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "admin/alerts.h"

namespace sluice::admin {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;
using enum DeliveryQueue::Outcome;

const TimePoint kBegin{seconds(1000)};

Event numbered(std::uint64_t number) {
  Event event;
  event.sequence = number;
  return event;
}

TEST(DeliveryQueue, TellsInOrderOneAtATime) {
  DeliveryQueue queue({}, 1);
  EXPECT_EQ(queue.due(), kNever);
  for (std::uint64_t i = 1; i <= 3; ++i) queue.push(numbered(i), kBegin);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(queue.due(), kBegin);
    EXPECT_EQ(queue.begin().sequence, i);
    EXPECT_EQ(queue.due(), kNever) << "one is on its way";
    queue.finish(delivered, kBegin);
  }
  EXPECT_EQ(queue.due(), kNever);
  EXPECT_EQ(queue.counts().delivered, 3u);
}

TEST(DeliveryQueue, PausesLongerAndLongerUpToItsCap) {
  DeliveryQueue queue({.retry_max = seconds(20)}, 1);
  queue.push(numbered(1), kBegin);
  TimePoint now = kBegin;
  Duration cap = seconds(1);
  for (int attempt = 0; attempt < 40; ++attempt) {
    EXPECT_EQ(queue.begin().sequence, 1u);
    queue.finish(failed, now);
    const Duration pause = queue.due() - now;
    EXPECT_GE(pause, cap / 2) << attempt;
    EXPECT_LE(pause, cap) << attempt;
    now = queue.due();
    cap = std::min<Duration>(cap * 2, seconds(20));
  }
  EXPECT_EQ(queue.failures(), 40u);
  queue.begin();
  queue.finish(delivered, now);
  EXPECT_EQ(queue.failures(), 0u);
  EXPECT_EQ(queue.counts().failed, 40u);
}

TEST(DeliveryQueue, JitterKeepsManyApart) {
  std::set<Duration> pauses;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    DeliveryQueue queue({}, seed);
    queue.push(numbered(1), kBegin);
    queue.begin();
    queue.finish(failed, kBegin);
    pauses.insert(queue.due() - kBegin);
  }
  EXPECT_GT(pauses.size(), 90u);
}

TEST(DeliveryQueue, WaitsAsLongAsTheReceiverAsksButNotLonger) {
  DeliveryQueue queue({.retry_max = seconds(60)}, 1);
  queue.push(numbered(1), kBegin);
  queue.begin();
  queue.finish(failed, kBegin, seconds(30));
  EXPECT_EQ(queue.due(), kBegin + seconds(30));
  queue.begin();
  queue.finish(failed, kBegin, std::chrono::hours(24));
  EXPECT_EQ(queue.due(), kBegin + seconds(60));
}

TEST(DeliveryQueue, RefusedForGoodMeansTheNext) {
  DeliveryQueue queue({}, 1);
  queue.push(numbered(1), kBegin);
  queue.push(numbered(2), kBegin);
  queue.begin();
  queue.finish(refused, kBegin);
  EXPECT_EQ(queue.begin().sequence, 2u);
  EXPECT_EQ(queue.counts().refused, 1u);
}

TEST(DeliveryQueue, GivesUpOnAnEventNotOnThoseBehindIt) {
  DeliveryQueue queue({.give_up_after = minutes(10)}, 1);
  queue.push(numbered(1), kBegin);
  queue.push(numbered(2), kBegin + minutes(9));
  queue.begin();
  queue.finish(failed, kBegin + minutes(10));
  EXPECT_EQ(queue.counts().given_up, 1u);
  EXPECT_GT(queue.due(), kBegin + minutes(10)) << "the receiver is no better";
  EXPECT_EQ(queue.begin().sequence, 2u);
  queue.finish(failed, kBegin + minutes(11));
  EXPECT_EQ(queue.size(), 1u);
}

TEST(DeliveryQueue, DropsTheOldestButNeverTheOneOnItsWay) {
  DeliveryQueue queue({.queue_max = 4}, 1);
  for (std::uint64_t i = 1; i <= 4; ++i) queue.push(numbered(i), kBegin);
  EXPECT_EQ(queue.begin().sequence, 1u);
  for (std::uint64_t i = 5; i <= 20; ++i) queue.push(numbered(i), kBegin);
  EXPECT_EQ(queue.size(), 4u);
  EXPECT_EQ(queue.counts().dropped, 16u);
  queue.finish(delivered, kBegin);
  std::vector<std::uint64_t> told;
  while (queue.size() > 0) {
    told.push_back(queue.begin().sequence);
    queue.finish(delivered, kBegin);
  }
  EXPECT_THAT(told, testing::ElementsAre(18, 19, 20));
}

TEST(DeliveryQueue, AReloadThatLeavesLessRoomDropsTheOldest) {
  DeliveryQueue queue({.queue_max = 10}, 1);
  for (std::uint64_t i = 1; i <= 10; ++i) queue.push(numbered(i), kBegin);
  queue.use({.queue_max = 3});
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.begin().sequence, 8u);
}

TEST(DeliveryQueue, AQueueOfOneTakesWhatComesWhileItsOnlyEventIsOnItsWay) {
  DeliveryQueue queue({.queue_max = 1}, 1);
  queue.push(numbered(1), kBegin);
  queue.begin();
  queue.push(numbered(2), kBegin);
  queue.push(numbered(3), kBegin);
  EXPECT_EQ(queue.size(), 2u);
  queue.finish(delivered, kBegin);
  EXPECT_EQ(queue.begin().sequence, 3u);
}

TEST(DeliveryQueue, StatusesSayWhetherToTryAgain) {
  for (const int status : {200, 201, 202, 204}) EXPECT_EQ(outcome_of(status), delivered) << status;
  for (const int status : {301, 400, 401, 404, 413, 422}) EXPECT_EQ(outcome_of(status), refused);
  for (const int status : {408, 425, 429, 500, 502, 503, 504})
    EXPECT_EQ(outcome_of(status), failed);
}

// --- Alerts -------------------------------------------------------------------------------------

const WallTime kNow{seconds(1'795'000'000)};

Event alert_event(Alert::State state, const std::string& server, WallTime time) {
  Event event{.time = time};
  event.alert = {.state = state,
                 .name = "SluiceServerDown",
                 .labels = {{"backend", "blue"}, {"server", server}},
                 .severity = "critical",
                 .summary = "Server blue/" + server + " is \"down\"."};
  return event;
}

TEST(AlertBook, KeepsWhatFiresUntilItIsResolved) {
  AlertBook book;
  book.note(alert_event(Alert::State::firing, "web-1", kNow));
  book.note(alert_event(Alert::State::firing, "web-2", kNow + seconds(1)));
  const TimedAlert again =
      *book.note(alert_event(Alert::State::firing, "web-1", kNow + seconds(9)));
  EXPECT_EQ(again.since, kNow) << "it is still the same alert";
  EXPECT_EQ(book.firing().size(), 2u);
  const TimedAlert over =
      *book.note(alert_event(Alert::State::resolved, "web-1", kNow + seconds(20)));
  EXPECT_EQ(over.since, kNow);
  EXPECT_EQ(book.firing().size(), 1u);
  book.note(alert_event(Alert::State::note, "web-3", kNow));
  EXPECT_EQ(book.firing().size(), 1u);
  EXPECT_FALSE(book.note(alert_event(Alert::State::resolved, "web-9", kNow)));
  EXPECT_EQ(book.firing().size(), 1u);
}

TEST(AlertBook, IsBounded) {
  AlertBook book;
  for (std::size_t i = 0; i < AlertBook::kAlertsMax + 10; ++i) {
    book.note(alert_event(Alert::State::firing, std::to_string(i), kNow));
  }
  EXPECT_EQ(book.firing().size(), AlertBook::kAlertsMax);
}

TEST(Alerts, AreWhatAlertmanagerTakes) {
  AlertBook book;
  const TimedAlert firing = *book.note(alert_event(Alert::State::firing, "web-1", kNow));
  const WallTime now = kNow + seconds(30);
  json alert = json::parse(render_alerts(std::vector{firing}, "node-1", now))[0];
  EXPECT_EQ(alert["labels"]["alertname"], "SluiceServerDown");
  EXPECT_EQ(alert["labels"]["severity"], "critical");
  EXPECT_EQ(alert["labels"]["node"], "node-1");
  EXPECT_EQ(alert["labels"]["server"], "web-1");
  EXPECT_EQ(alert["annotations"]["summary"], "Server blue/web-1 is \"down\".");
  EXPECT_EQ(alert["startsAt"], "2026-11-18T11:06:40.000000000Z");
  EXPECT_EQ(alert["endsAt"], "2026-11-18T11:11:10.000000000Z") << "unless it is told again";
  EXPECT_GT(kAlertHoldTime, 3 * kAlertRepeatTime);
  const TimedAlert over = *book.note(alert_event(Alert::State::resolved, "web-1", now));
  alert = json::parse(render_alerts(std::vector{over}, "node-1", now))[0];
  EXPECT_EQ(alert["startsAt"], "2026-11-18T11:06:40.000000000Z");
  EXPECT_EQ(alert["endsAt"], "2026-11-18T11:07:10.000000000Z");
}

}  // namespace
}  // namespace sluice::admin
