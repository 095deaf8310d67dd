// Flow control and what waits where: windows open as data is taken, nobody's slowness is another's,
// and no more is written than there is room for.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/h2/endpoint.h"

namespace sluice::h2 {
namespace {

namespace wire = harness::h2;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;

constexpr std::uint32_t kWindow = 40'000;

Options small_windows() {
  Options options = Endpoint::server_options();
  options.stream_window_bytes = kWindow;
  options.connection_window_bytes = 100'000;
  return options;
}

// What WINDOW_UPDATE gave back for this stream.
std::uint32_t given_back(const std::vector<std::string>& frames, std::uint32_t id) {
  const std::string prefix = "WINDOW_UPDATE " + std::to_string(id) + " ";
  std::uint32_t sum = 0;
  for (const std::string& told : frames) {
    if (told.starts_with(prefix)) {
      sum += static_cast<std::uint32_t>(std::stoul(told.substr(prefix.size())));
    }
  }
  return sum;
}

TEST(H2Flow, WindowsAreGivenBackAsDataIsTaken) {
  Endpoint server(small_windows());
  server.greet();
  server.take(post(1));
  const std::string piece(10'000, 'x');
  std::uint32_t stream = 0;
  std::uint32_t connection = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(server.take(wire::data(1, piece)));
    const auto frames = server.frames();
    stream += given_back(frames, 1);
    connection += given_back(frames, 0);
  }
  EXPECT_EQ(server.stream(1).body.size(), 1'000'000u);
  EXPECT_GE(stream, 1'000'000u - kWindow);
  EXPECT_LE(stream, 1'000'000u);
  EXPECT_GE(connection, 1'000'000u - 100'000u);
  EXPECT_LE(connection, 1'000'000u);
}

TEST(H2Flow, PausedStreamHoldsItsOwnWindowOnly) {
  Endpoint server(small_windows());
  server.greet();
  server.take(post(1) + post(3));
  server.stream(1).stream->pause();
  const std::string piece(10'000, 'x');
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(server.take(wire::data(1, piece)));
  // All has been handed on, nothing given back, and the connection's window is whole again.
  EXPECT_EQ(server.stream(1).body.size(), kWindow);
  EXPECT_EQ(given_back(server.frames(), 1), 0u);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(server.take(wire::data(3, piece)));
  const auto frames = server.frames();
  EXPECT_EQ(server.stream(3).body.size(), 1'000'000u);
  EXPECT_EQ(given_back(frames, 1), 0u);
  EXPECT_GE(given_back(frames, 3), 1'000'000u - kWindow);

  server.stream(1).stream->resume();
  server.settle();
  EXPECT_EQ(given_back(server.frames(), 1), kWindow);
  EXPECT_TRUE(server.take(wire::data(1, piece, true)));
  EXPECT_TRUE(server.stream(1).ended);
}

TEST(H2Flow, PauseWithinDataCountsThatDataToo) {
  Endpoint server(small_windows());
  server.greet();
  server.during = [](Endpoint::Heard& heard, std::string_view event) {
    if (event == "data") heard.stream->pause();
  };
  server.take(post(1) + wire::data(1, std::string(16'000, 'x')) +
              wire::data(1, std::string(16'000, 'x')));
  EXPECT_EQ(given_back(server.frames(), 1), 0u);
  server.during = nullptr;
  server.stream(1).stream->resume();
  server.settle();
  EXPECT_EQ(given_back(server.frames(), 1), 32'000u);
}

TEST(H2Flow, MoreThanTheWindowResetsTheStream) {
  Endpoint server(small_windows());
  server.greet();
  server.take(post(1) + post(3));
  server.stream(1).stream->pause();
  const std::string piece(10'000, 'x');
  for (int i = 0; i < 4; ++i) server.take(wire::data(1, piece));
  EXPECT_TRUE(server.take(wire::data(1, "y")));
  EXPECT_THAT(server.frames(), Contains("RST_STREAM 1 FLOW_CONTROL_ERROR"));
  EXPECT_THAT(server.stream(1).closed, testing::StartsWith("FLOW_CONTROL_ERROR by us"));
  EXPECT_TRUE(server.take(wire::data(3, piece, true)));
}

TEST(H2Flow, MoreThanTheConnectionsWindowEndsIt) {
  Options options = small_windows();
  options.stream_window_bytes = 200'000;
  Endpoint server(options);
  server.greet();
  server.take(post(1));
  // Not a byte of it is acknowledged in between: it came all at once.
  std::string flood;
  for (int i = 0; i < 11; ++i) flood += wire::data(1, std::string(10'000, 'x'));
  server.room = 0;
  bool good = true;
  for (int i = 0; i < 20 && good; ++i) good = server.receive(flood);
  server.room = static_cast<std::size_t>(-1);
  server.settle();
  EXPECT_THAT(server.frames(), Contains("GOAWAY 1 FLOW_CONTROL_ERROR"));
}

TEST(H2Flow, PeersWindowsBoundWhatGoesOut) {
  Endpoint server;
  server.greet({{wire::kInitialWindowSize, 10}});
  server.take(get(1) + get(3));
  server.answer(1, std::string(25, 'a'));
  server.answer(3, "short");
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "HEADERS 3 [:status|200]",
                                           "DATA 1 'aaaaaaaaaa'", "DATA 3 'short' end"));
  EXPECT_EQ(server.stream(1).stream->buffered(), 15u);
  server.take(wire::window_update(1, 10));
  EXPECT_THAT(server.frames(), ElementsAre("DATA 1 'aaaaaaaaaa'"));
  server.take(wire::settings({{wire::kInitialWindowSize, 100}}));
  EXPECT_THAT(server.frames(), ElementsAre("SETTINGS ack", "DATA 1 'aaaaa' end"));
}

TEST(H2Flow, WindowsMayShrinkBelowNothing) {
  Endpoint server;
  server.greet({{wire::kInitialWindowSize, 20}});
  server.take(get(1));
  server.answer(1, std::string(40, 'a'));
  server.settle();
  server.frames();
  server.take(wire::settings({{wire::kInitialWindowSize, 5}}));  // leaves -15
  EXPECT_THAT(server.frames(), ElementsAre("SETTINGS ack"));
  server.take(wire::window_update(1, 15));
  EXPECT_THAT(server.frames(), testing::IsEmpty());
  server.take(wire::window_update(1, 3));
  EXPECT_THAT(server.frames(), ElementsAre("DATA 1 'aaa'"));
}

TEST(H2Flow, NothingIsWrittenBeyondTheOutputsRoom) {
  Endpoint server;
  server.greet({{wire::kInitialWindowSize, 1'000'000}});
  server.take(wire::window_update(0, 10'000'000) + get(1));
  server.answer(1, std::string(500'000, 'a'));
  server.room = 20'000;
  server.session.flush(server);
  const std::size_t first = server.raw_frames().size();
  EXPECT_GE(first, 20'000u);
  EXPECT_LE(first, 20'000u + 16'384u + 9u);
  EXPECT_TRUE(server.session.wants_flush());
  server.room = static_cast<std::size_t>(-1);
  server.settle();
  EXPECT_EQ(server.stream(1).closed, "whole");
}

// What a stream has queued lies in blocks, and frames don't begin where blocks do.
TEST(H2Flow, LongBodiesComeOutAsTheyWereQueued) {
  Endpoint server;
  server.greet({{wire::kInitialWindowSize, 1'000'000}});
  server.take(wire::window_update(0, 10'000'000) + get(1));
  Stream& stream = *server.stream(1).stream;
  stream.send_response(section_of({{":status", "200"}}), false);
  std::string body;
  for (std::size_t i = 0; body.size() < 300'000; ++i) {
    const std::string piece(i * 97 % 9000, static_cast<char>('a' + i % 26));
    stream.send_data(as_bytes(piece));
    body += piece;
    server.room = server.written % 40'000;
    server.settle();
  }
  stream.send_end({});
  server.room = static_cast<std::size_t>(-1);
  server.settle();
  wire::FrameReader reader;
  reader.add(server.raw_frames());
  std::string received;
  while (const auto frame = reader.next()) {
    if (frame->type == wire::kData) received += frame->payload;
  }
  EXPECT_TRUE(received == body);
}

TEST(H2Flow, StreamsTakeTurns) {
  Endpoint server;
  server.greet({{wire::kInitialWindowSize, 1'000'000}});
  server.take(wire::window_update(0, 10'000'000) + get(1) + get(3) + get(5));
  for (const int id : {1, 3, 5}) server.answer(id, std::string(200'000, 'a'));
  server.room = 200'000;
  server.session.flush(server);
  wire::FrameReader reader;
  reader.add(server.raw_frames());
  std::map<std::uint32_t, std::size_t> bytes;
  while (const auto frame = reader.next()) {
    EXPECT_LE(frame->payload.size(), 16u * 1024);
    if (frame->type == wire::kData) bytes[frame->stream] += frame->payload.size();
  }
  for (const std::uint32_t id : {1, 3, 5}) EXPECT_GE(bytes[id], 48'000u) << id;
}

TEST(H2Flow, UploadsToAServerTakeTurnsToo) {
  Endpoint client(Endpoint::client_options());
  client.greet({{wire::kInitialWindowSize, 1'000'000}, {9, 1}});
  client.take(wire::window_update(0, 10'000'000));
  std::vector<Endpoint::Heard*> uploads;
  for (int i = 0; i < 3; ++i) {
    uploads.push_back(&client.ask(
        {{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false));
  }
  std::map<std::uint32_t, std::size_t> bytes;
  wire::FrameReader reader;
  // The output is always full, and each stream has always more.
  for (int turn = 0; turn < 60; ++turn) {
    for (Endpoint::Heard* const upload : uploads) {
      if (upload->stream->buffered() < 50'000) {
        upload->stream->send_data(as_bytes(std::string(50'000, 'a')));
      }
    }
    client.room = 10'000;
    EXPECT_TRUE(client.session.wants_flush());
    client.session.flush(client);
    reader.add(client.raw_frames());
  }
  while (const auto frame = reader.next()) {
    if (frame->type == wire::kData) bytes[frame->stream] += frame->payload.size();
  }
  for (const std::uint32_t id : {1, 3, 5}) {
    EXPECT_NEAR(static_cast<double>(bytes[id]), 20 * 16'384.0, 2 * 16'384.0) << id;
  }
  client.room = static_cast<std::size_t>(-1);
  for (Endpoint::Heard* const upload : uploads) upload->stream->send_end({});
  client.settle();
  EXPECT_FALSE(client.session.wants_flush());
  for (Endpoint::Heard* const upload : uploads) EXPECT_EQ(upload->stream->buffered(), 0u);
}

TEST(H2Flow, WatermarkIsToldOnceBufferedFalls) {
  Endpoint server;
  server.greet({{wire::kInitialWindowSize, 1000}});
  server.take(get(1));
  Endpoint::Heard& heard = server.stream(1);
  heard.stream->send_response(section_of({{":status", "200"}}), false);
  const std::string body(3000, 'a');
  heard.stream->send_data(as_bytes(body));
  heard.stream->notify_when_below(1500);
  server.settle();
  EXPECT_EQ(heard.stream->buffered(), 2000u);
  EXPECT_EQ(heard.writable, 0);
  server.take(wire::window_update(1, 500));
  EXPECT_EQ(heard.writable, 1);
  server.take(wire::window_update(1, 500));
  EXPECT_EQ(heard.writable, 1);
  // Below it already: told at the next delivery.
  heard.stream->notify_when_below(5000);
  EXPECT_EQ(heard.writable, 1);
  server.settle();
  EXPECT_EQ(heard.writable, 2);
}

TEST(H2Flow, DataOfAStreamNobodyHearsIsGivenBack) {
  Endpoint server(small_windows());
  server.greet();
  server.take(post(1));
  server.stream(1).stream->pause();
  server.take(wire::data(1, std::string(16'000, 'x')) + wire::data(1, std::string(14'000, 'x')));
  server.stream(1).stream->set_handler(nullptr);
  server.settle();
  EXPECT_EQ(given_back(server.frames(), 1), 30'000u);
}

TEST(H2Flow, DroppedRestKeepsItsWindowShutAndTellsItsEnd) {
  Endpoint server(small_windows());
  server.greet();
  server.take(post(1));
  server.take(wire::data(1, std::string(10'000, 'x')));
  server.stream(1).stream->drop_rest();
  server.frames();
  server.take(wire::data(1, std::string(14'000, 'y')) + wire::data(1, std::string(16'000, 'y')));
  server.stream(1).stream->resume();
  server.settle();
  EXPECT_EQ(server.stream(1).body, std::string(10'000, 'x'));
  EXPECT_EQ(given_back(server.frames(), 1), 0u);
  server.take(wire::data(1, "", true));
  EXPECT_TRUE(server.stream(1).ended);
  server.answer(1, "whole");
  server.settle();
  EXPECT_THAT(server.frames(),
              testing::IsSupersetOf({"HEADERS 1 [:status|200]", "DATA 1 'whole' end"}));
  EXPECT_EQ(server.stream(1).closed, "whole");
}

TEST(H2Flow, ClientRoleGivesBackLikewise) {
  Options options = Endpoint::client_options();
  options.stream_window_bytes = kWindow;
  Endpoint client(options);
  client.greet();
  Endpoint::Heard& heard =
      client.ask({{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}});
  client.settle();
  client.take(wire::headers(1, fields_of({{":status", "200"}}), false));
  heard.stream->pause();
  client.take(wire::data(1, std::string(16'000, 'x')) + wire::data(1, std::string(16'000, 'x')));
  EXPECT_THAT(client.frames(), Not(Contains(testing::StartsWith("WINDOW_UPDATE 1"))));
  heard.stream->resume();
  client.settle();
  EXPECT_EQ(given_back(client.frames(), 1), 32'000u);
}

}  // namespace
}  // namespace sluice::h2
