// The event log and its readers, and what happenings look like as events.
#include "admin/event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "admin/event_log.h"
#include "admin/event_reader.h"
#include "admin/json_writer.h"

namespace sluice::admin {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const WallTime kStart{std::chrono::seconds(1'795'000'000)};
const WallTime kLogged{std::chrono::seconds(1'795'000'100)};

Happening numbered(int number, EventType type = EventType::shift) {
  return {.type = type,
          .write = [number](JsonWriter& writer) { writer.key("number").value(number); },
          .alert = {}};
}

void add(EventLog& log, int from, int to, EventType type = EventType::shift) {
  for (int i = from; i <= to; ++i) log.add(numbered(i, type), kLogged);
}

std::string all_of(EventReader& reader) {
  std::string text;
  while (reader.take(text, 1024)) {
  }
  return text;
}

// The numbers of the events in the text of a stream.
std::vector<int> numbers_in(const std::string& text) {
  std::vector<int> numbers;
  for (std::size_t at = text.find("\ndata: "); at != std::string::npos;
       at = text.find("\ndata: ", at + 1)) {
    const std::string line = text.substr(at + 7, text.find('\n', at + 1) - at - 7);
    const json data = json::parse(line);
    if (data.contains("number")) numbers.push_back(data["number"]);
  }
  return numbers;
}

json first_data(const std::string& text) {
  const std::size_t at = text.find("data: ") + 6;
  return json::parse(text.substr(at, text.find('\n', at) - at));
}

TEST(EventLog, AnEventSaysWhichWhenWhereAndWhat) {
  EventLog log(kStart, "node-1");
  const Event& event = log.add(numbered(7, EventType::reload), kLogged);
  const json data = json::parse(event.json);
  EXPECT_EQ(data["id"], "1795000000000-1");
  EXPECT_EQ(data["time"], "2026-11-18T11:08:20.000000000Z");
  EXPECT_EQ(data["node"], "node-1");
  EXPECT_EQ(data["type"], "reload");
  EXPECT_EQ(data["number"], 7);
  EXPECT_THAT(event.json, Not(HasSubstr("\n")));
  EXPECT_EQ(log.total(EventType::reload), 1u);
  EXPECT_EQ(log.total(EventType::shift), 0u);
}

TEST(EventLog, ForgetsTheOldestBeyondItsBounds) {
  EventLog log(kStart, "n");
  add(log, 1, EventLog::kEventsMax + 10);
  EXPECT_EQ(log.begin(), 11u);
  EXPECT_EQ(log.end(), EventLog::kEventsMax + 11);
  const std::string large(EventLog::kBytesMax / 4, 'x');
  for (int i = 0; i < 8; ++i) {
    log.add({.type = EventType::shift,
             .write = [&](JsonWriter& writer) { writer.key("text").value(large); },
             .alert = {}},
            kLogged);
  }
  EXPECT_EQ(log.end() - log.begin(), 3u);
  const std::string larger(EventLog::kBytesMax * 2, 'x');
  log.add({.type = EventType::shift,
           .write = [&](JsonWriter& writer) { writer.key("text").value(larger); },
           .alert = {}},
          kLogged);
  EXPECT_EQ(log.end() - log.begin(), 1u) << "the last stays, however large";
}

TEST(EventLog, ResumesBehindAnEventThatItStillKnows) {
  EventLog log(kStart, "n");
  add(log, 1, 5);
  const auto start = log.after(log.id_of(3));
  ASSERT_TRUE(start);
  EXPECT_EQ(start->next, 4u);
  EXPECT_EQ(start->missed, EventStart::Missed::nothing);
  EXPECT_EQ(log.after(log.id_of(5))->next, 6u);
  EXPECT_EQ(log.after(log.id_of(0))->next, 1u);
}

TEST(EventLog, SaysWhatAReaderHasMissed) {
  EventLog log(kStart, "n");
  add(log, 1, EventLog::kEventsMax + 10);
  EXPECT_EQ(log.after(log.id_of(9))->missed, EventStart::Missed::too_old);
  EXPECT_EQ(log.after(log.id_of(10))->missed, EventStart::Missed::nothing);
  const auto of_another_process = log.after("1794999999999-77");
  EXPECT_EQ(of_another_process->missed, EventStart::Missed::restart);
  EXPECT_EQ(of_another_process->next, log.begin());
  EXPECT_EQ(log.after("1795999999999-1")->missed, EventStart::Missed::restart)
      << "also where a clock was set back";
}

TEST(EventLog, RefusesWhatIsNoIdOfItsOwn) {
  EventLog log(kStart, "n");
  add(log, 1, 2);
  for (const char* id : {"", "-", "1", "x-1", "1795000000000-", "1795000000000-x",
                         "1795000000000-3", "1795000000000--1", " 1795000000000-1",
                         "1795000000000-1 ", "99999999999999999999-1", "1-99999999999999999999"}) {
    const auto start = log.after(id);
    ASSERT_FALSE(start) << id;
    EXPECT_THAT(start.error(), HasSubstr("1795000000000-2")) << "what would be right";
  }
}

TEST(EventReader, WritesEventsAsTheStandardHasThem) {
  EventLog log(kStart, "n");
  add(log, 1, 1);
  EventReader reader(log, log.oldest(), EventTypes::all());
  std::string text;
  EXPECT_FALSE(reader.take(text, 1024));
  EXPECT_EQ(text,
            "retry: 2000\n\nid: 1795000000000-1\nevent: shift\ndata: " + log.at(1).json + "\n\n");
  text.clear();
  EXPECT_FALSE(reader.take(text, 1024));
  EXPECT_EQ(text, "");
  add(log, 2, 3);
  EXPECT_THAT(numbers_in("\n" + all_of(reader)), ElementsAre(2, 3));
}

TEST(EventReader, GivesWholeEventsInPieces) {
  EventLog log(kStart, "n");
  add(log, 1, 100);
  EventReader reader(log, log.oldest(), EventTypes::all());
  std::vector<int> numbers;
  int pieces = 0;
  for (bool more = true; more;) {
    std::string piece;
    more = reader.take(piece, 500);
    EXPECT_TRUE(piece.ends_with("\n\n"));
    EXPECT_LT(piece.size(), 500 + 200u);
    for (const int number : numbers_in("\n" + piece)) numbers.push_back(number);
    ++pieces;
  }
  EXPECT_EQ(numbers.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  EXPECT_GT(pieces, 20);
}

TEST(EventReader, GivesOnlyTheTypesAskedForAndKeepsItsPlace) {
  EventLog log(kStart, "n");
  add(log, 1, 2, EventType::health);
  add(log, 3, 3, EventType::drain);
  add(log, 4, 4, EventType::health);
  EventTypes types;
  types.add(EventType::drain);
  EventReader reader(log, log.oldest(), types);
  EXPECT_THAT(numbers_in(all_of(reader)), ElementsAre(3));
  std::string beat;
  reader.beat(beat);
  EXPECT_EQ(beat, ":\n\nid: 1795000000000-4\n\n") << "what it passed over is not missed later";
  beat.clear();
  reader.beat(beat);
  EXPECT_EQ(beat, ":\n\n");
}

TEST(EventReader, TellsFirstWhatItCanNotGive) {
  EventLog log(kStart, "n");
  add(log, 1, EventLog::kEventsMax + 10);
  EventReader old(log, *log.after(log.id_of(2)), EventTypes::all());
  std::string text = all_of(old);
  json missed = first_data(text);
  EXPECT_EQ(missed["type"], "missed");
  EXPECT_EQ(missed["because"], "too_old");
  EXPECT_EQ(missed["since"], log.id_of(2));
  EXPECT_EQ(missed["id"], log.id_of(10)) << "who resumes by it gets all that is kept";
  EXPECT_THAT(text, HasSubstr("id: " + log.id_of(10) + "\nevent: missed\n"));
  EXPECT_EQ(numbers_in(text).front(), 11);
  EXPECT_EQ(numbers_in(text).size(), EventLog::kEventsMax);
  EventReader restarted(log, *log.after("1-1"), EventTypes::all());
  EXPECT_EQ(first_data(all_of(restarted))["because"], "restart");
}

TEST(EventReader, ASlowOneIsToldWhatWasForgottenMeanwhile) {
  EventLog log(kStart, "n");
  add(log, 1, 5);
  EventReader reader(log, log.oldest(), EventTypes::all());
  EXPECT_THAT(numbers_in(all_of(reader)), ElementsAre(1, 2, 3, 4, 5));
  add(log, 6, EventLog::kEventsMax + 20);
  const std::string text = all_of(reader);
  EXPECT_EQ(first_data(text)["because"], "too_slow");
  EXPECT_EQ(numbers_in(text).front(), 21);
  EXPECT_EQ(reader.missed(), 15u);
}

// --- Happenings ---------------------------------------------------------------------------------

json event_of(const Happening& happening) {
  EventLog log(kStart, "n");
  return json::parse(log.add(happening, kLogged).json);
}

routing::Revision shift() {
  routing::Revision revision{.number = 42, .parent = 41, .kind = routing::RevisionKind::switch_to};
  revision.origin = {"uid:0", "ci", "release 1.4"};
  const auto split = [](const char* blue, const char* green) {
    return routing::RouteSetting{
        {{"blue", *Decimal::parse(blue)}, {"green", *Decimal::parse(green)}}, {}};
  };
  revision.routes.push_back({"app", split("90", "10"), split("0", "100"), {}});
  return revision;
}

TEST(Happenings, ACallThatChangedNothingIsNoEvent) {
  routing::Revision revision = shift();
  revision.result = routing::kUnchanged;
  EXPECT_TRUE(happenings_of(revision).empty());
}

TEST(Happenings, AShiftSaysWhoChangedWhatFromAndTo) {
  const auto happenings = happenings_of(shift());
  ASSERT_EQ(happenings.size(), 1u);
  const json event = event_of(happenings[0]);
  EXPECT_EQ(event["type"], "shift");
  EXPECT_EQ(event["kind"], "switch");
  EXPECT_EQ(event["revision"], 42);
  EXPECT_EQ(event["identity"], "uid:0");
  EXPECT_EQ(event["author"], "ci");
  EXPECT_EQ(event["reason"], "release 1.4");
  EXPECT_EQ(event["changes"][0]["route"], "app");
  EXPECT_EQ(event["changes"][0]["before"]["weights"], json::parse(R"({"blue": 90, "green": 10})"));
  EXPECT_EQ(event["changes"][0]["after"]["weights"], json::parse(R"({"blue": 0, "green": 100})"));
  EXPECT_EQ(happenings[0].alert.state, Alert::State::note);
  EXPECT_THAT(happenings[0].alert.summary, HasSubstr("app"));
}

TEST(Happenings, ManyChangesAreCountedNotListed) {
  routing::Revision revision = shift();
  for (int i = 0; i < 100; ++i) revision.routes.push_back(revision.routes.front());
  const json event = event_of(happenings_of(revision)[0]);
  EXPECT_EQ(event["changes"].size(), kChangesListedMax);
  EXPECT_EQ(event["changes_left_off"], 101 - kChangesListedMax);
}

TEST(Happenings, ADrainOfABackendIsAnEventForEachServer) {
  routing::Revision revision{.number = 7, .kind = routing::RevisionKind::drain};
  revision.drains = {{{"blue", "web-1"}, false, true}, {{"blue", "web-2"}, true, true}};
  const auto happenings = happenings_of(revision);
  ASSERT_EQ(happenings.size(), 1u) << "the other one was drained already";
  const json event = event_of(happenings[0]);
  EXPECT_EQ(event["type"], "drain");
  EXPECT_EQ(event["phase"], "begun");
  EXPECT_EQ(event["backend"], "blue");
  EXPECT_EQ(event["server"], "web-1");
  EXPECT_EQ(event_of(safe_to_stop({"blue", "web-1"}, 7))["phase"], "safe_to_stop");
}

TEST(Happenings, ALeaseThatLapsesIsAShiftToo) {
  routing::Revision revision = shift();
  revision.kind = routing::RevisionKind::lapse_lease;
  revision.of = 40;
  const auto happenings = happenings_of(revision);
  ASSERT_EQ(happenings.size(), 2u);
  EXPECT_EQ(event_of(happenings[0])["type"], "shift");
  EXPECT_EQ(event_of(happenings[1])["phase"], "lapsed");
  EXPECT_EQ(event_of(happenings[1])["of"], 40);
  revision.kind = routing::RevisionKind::renew_lease;
  revision.routes.clear();
  ASSERT_EQ(happenings_of(revision).size(), 1u);
  EXPECT_EQ(event_of(happenings_of(revision)[0])["phase"], "renewed");
}

TEST(Happenings, HealthFiresAndResolves) {
  HealthChange change{{"blue", "web-1"}, *Address::parse("10.0.0.7:80")};
  change.before = health::Status::up;
  change.after = health::Status::down;
  change.reason = "connection refused";
  Happening down = happening_of(change);
  EXPECT_EQ(event_of(down)["status"], "down");
  EXPECT_EQ(event_of(down)["reason"], "connection refused");
  EXPECT_EQ(down.alert.state, Alert::State::firing);
  change.gone = true;
  Happening gone = happening_of(change);
  EXPECT_EQ(event_of(gone)["status"], "gone");
  EXPECT_EQ(gone.alert.state, Alert::State::resolved);
  EXPECT_EQ(gone.alert.labels, down.alert.labels);
  change.gone = false;
  change.drained = true;
  EXPECT_EQ(happening_of(change).alert.state, Alert::State::resolved) << "nobody is woken";
  change = {.server = change.server,
            .address = change.address,
            .before = health::Status::down,
            .after = health::Status::up};
  EXPECT_EQ(happening_of(change).alert.state, Alert::State::resolved);
}

TEST(Happenings, ReloadsAndAlarms) {
  const Happening refused = reload_refused(std::vector<std::string>(100, "f:1:1: wrong"));
  EXPECT_EQ(event_of(refused)["result"], "refused");
  EXPECT_EQ(event_of(refused)["errors"].size(), kErrorsListedMax);
  EXPECT_EQ(event_of(refused)["errors_left_off"], 100 - kErrorsListedMax);
  EXPECT_EQ(event_of(reload_accepted(3, {}))["revision"], 3);
  EXPECT_EQ(event_of(alarm("ledger_write_failed", "disk full"))["state"], "raised");
  EXPECT_EQ(event_of(alarm("ledger_write_failed", ""))["state"], "cleared");
  EXPECT_EQ(alarm("a", "b").alert.labels, alarm("a", "").alert.labels);
}

TEST(EventTypes, AreNamedBothWays) {
  for (const EventType type : kEventTypes) {
    EXPECT_EQ(parse_event_type(to_string(type)), type);
    EXPECT_TRUE(EventTypes::all().has(type));
    EXPECT_FALSE(EventTypes().has(type));
  }
  EXPECT_EQ(parse_event_type("shifts"), std::nullopt);
}

}  // namespace
}  // namespace sluice::admin
