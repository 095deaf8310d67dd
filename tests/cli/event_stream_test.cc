#include "proxy/cli/event_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sluice::cli {
namespace {

using testing::ElementsAre;

std::vector<std::string> events_of(std::string_view bytes, std::size_t piece) {
  std::vector<std::string> events;
  EventStream stream([&](const Event& event) {
    events.push_back(event.id + '|' + event.type + '|' + event.data);
    return true;
  });
  for (std::size_t i = 0; i < bytes.size(); i += piece) stream.feed(bytes.substr(i, piece));
  return events;
}

TEST(EventStream, SaysTheSameHoweverTheBytesAreSplit) {
  constexpr std::string_view kBytes =
      ": hello\n\n"
      "id: 1\nevent: shift\ndata: {\"a\":\ndata: 1}\n\n"
      "data:no space\r\n\r\n"
      "retry: 10\rid: 2\rdata\r\r"
      "event: health\n\n"
      "id\ndata:  two\nunknown: x\n\n"
      "data: never ended";
  for (std::size_t piece = 1; piece < kBytes.size(); ++piece) {
    EXPECT_THAT(events_of(kBytes, piece), ElementsAre("1|shift|{\"a\":\n1}", "1|message|no space",
                                                      "2|message|", "|message| two"))
        << piece;
  }
}

TEST(EventStream, EndsWhereNoMoreIsWanted) {
  int seen = 0;
  EventStream stream([&](const Event&) { return ++seen < 2; });
  EXPECT_FALSE(stream.feed("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  EXPECT_EQ(seen, 2);
  EXPECT_FALSE(stream.failed());
}

TEST(EventStream, ALineOrDataWithoutEndIsAnError) {
  EventStream line([](const Event&) { return true; });
  const std::string piece(kEventBytesMax / 4, 'x');
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(line.feed(piece));
  EXPECT_FALSE(line.feed("x"));
  EXPECT_TRUE(line.failed());
  EventStream data([](const Event&) { return true; });
  int fed = 0;
  while (data.feed("data: " + piece + "\n") && fed < 10) ++fed;
  EXPECT_TRUE(data.failed());
  EXPECT_LE(fed, 4);
}

TEST(EventStream, AfterARestartNothingOfTheOldBodyIsLeftButItsId) {
  std::vector<std::string> events;
  EventStream stream([&](const Event& event) {
    events.push_back(event.type + '|' + event.data);
    return true;
  });
  EXPECT_TRUE(stream.feed("id: 7\ndata: seven\n\nid: 8\nevent: shift\ndata: half"));
  EXPECT_EQ(stream.last_id(), "7") << "the eighth was not whole";
  stream.restart();
  EXPECT_EQ(stream.last_id(), "7");
  EXPECT_TRUE(stream.feed("data: whole\n\n"));
  EXPECT_THAT(events, ElementsAre("message|seven", "message|whole"));
  EXPECT_EQ(stream.last_id(), "7");
}

}  // namespace
}  // namespace sluice::cli
