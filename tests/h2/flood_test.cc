// Peers that make work and do nothing useful are sent away, within what docs/limits.md publishes;
// busy ones never are.
#include <gmock/gmock.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/h2/endpoint.h"

namespace sluice::h2 {
namespace {

namespace wire = harness::h2;
using std::string_literals::operator""s;
using testing::Contains;
using testing::Not;

constexpr std::size_t kUselessBytesMax = 1024 * 1024;
constexpr int kUselessFramesMax = 10'000;

// A dynamic-table entry of 4000 bytes, and `count` references to it.
std::string bomb(std::size_t count) {
  std::string block = wire::section(get_request());
  block += '\x40';
  block += "\x01x";
  // 4000 - 127 = 3873 = 0x1e * 128 + 0x21, of a prefix of seven bits.
  block += "\x7f\xa1\x1e"s + std::string(4000, 'y');
  return block + std::string(count, '\xbe');
}

std::string bomb_frames(std::uint32_t id, std::size_t count) {
  const std::string block = bomb(count);
  std::string out;
  for (std::size_t at = 0; at < block.size(); at += 16'384) {
    const bool last = at + 16'384 >= block.size();
    const auto flags = static_cast<std::uint8_t>((last ? 4 : 0) | (at == 0 ? 1 : 0));
    out += wire::frame(at == 0 ? wire::kHeaders : wire::kContinuation, flags, id,
                       std::string_view(block).substr(at, 16'384));
  }
  return out;
}

struct Flood {
  std::string name;
  std::string before;
  // Frames of the round with this number.
  std::function<std::string(std::uint32_t round)> frames;
  Exhausted what;
  int frames_per_round = 1;
};

std::uint32_t odd(std::uint32_t round) {
  return 2 * round + 1;
}

std::vector<Flood> floods() {
  const std::string settings = wire::settings({{wire::kInitialWindowSize, 0}});
  const auto repeat = [](std::string text) { return [=](std::uint32_t) { return text; }; };
  const auto unfinished = wire::frame(wire::kHeaders, 1, 1, wire::section(get_request()));
  return {
      {"rapid reset", "", [](auto n) { return get(odd(n)) + wire::reset(odd(n), 8); },
       Exhausted::resets, 2},
      {"rapid reset of large heads", "",
       [](auto n) {
         Fields fields = get_request();
         for (int i = 0; i < 4; ++i) fields.add("a", std::string(7000, 'x'));
         return wire::headers(odd(n), fields, true) + wire::reset(odd(n), 8);
       },
       Exhausted::useless_bytes, 3},
      {"rapid reset of bodies", "",
       [](auto n) { return post(odd(n)) + wire::data(odd(n), "x") + wire::reset(odd(n), 8); },
       Exhausted::resets, 3},
      {"resets provoked by window overflow", "",
       [](auto n) { return post(odd(n)) + wire::window_update(odd(n), 0x7fff'ffff); },
       Exhausted::resets, 2},
      {"resets provoked by a body too long", "",
       [](auto n) {
         return post(odd(n), {{"content-length", "1"}}) + wire::data(odd(n), "xx");
       },
       Exhausted::resets, 2},
      {"resets provoked by a body too short", "",
       [](auto n) {
         return post(odd(n), {{"content-length", "2"}}) + wire::data(odd(n), "x", true);
       },
       Exhausted::resets, 2},
      {"resets provoked by trailers", "",
       [](auto n) {
         return post(odd(n)) + wire::headers(odd(n), fields_of({{":path", "/"}}), true);
       },
       Exhausted::resets, 2},
      {"resets provoked by malformed heads", "",
       [](auto n) {
         return wire::headers(odd(n), fields_of({{"A", "b"}}), true);
       },
       Exhausted::resets},
      {"CONTINUATION, empty", unfinished, repeat(wire::frame(wire::kContinuation, 0, 1, "")),
       Exhausted::continuations},
      {"CONTINUATION with data", unfinished,
       repeat(wire::frame(wire::kContinuation, 0, 1,
                          wire::section(fields_of({{"a", std::string(1000, 'x')}})))),
       Exhausted::continuations},
      {"SETTINGS", "", repeat(settings), Exhausted::control_frames},
      {"PING", "", repeat(wire::frame(wire::kPing, 0, 0, "12345678")), Exhausted::control_frames},
      {"PING acknowledgements", "", repeat(wire::frame(wire::kPing, 1, 0, "12345678")),
       Exhausted::control_frames},
      {"PRIORITY", "", repeat(wire::frame(wire::kPriority, 0, 99, "\0\0\0\0\x10"s)),
       Exhausted::control_frames},
      {"unknown frames", "", repeat(wire::frame(0xee, 0, 0, "x")), Exhausted::control_frames},
      {"unknown frames, large", "", repeat(wire::frame(0xee, 0, 0, std::string(16'000, 'x'))),
       Exhausted::useless_bytes},
      {"WINDOW_UPDATE of the connection", "", repeat(wire::window_update(0, 1)),
       Exhausted::window_updates},
      {"WINDOW_UPDATE of a stream", get(1), repeat(wire::window_update(1, 1)),
       Exhausted::window_updates},
      {"empty DATA", post(1), repeat(wire::data(1, "")), Exhausted::empty_data},
      {"DATA that is padding", post(1),
       repeat(wire::frame(wire::kData, wire::kPadded, 1, "\xff"s + std::string(255, '\0'))),
       Exhausted::useless_bytes},
      {"DATA for a stream that was reset", post(1) + wire::data(1, "x"),
       repeat(wire::data(1, std::string(1000, 'x'))), Exhausted::useless_bytes},
      {"header fields without end", "", [](auto n) { return bomb_frames(odd(n), 10'000); },
       Exhausted::useless_bytes},
      {"trailers for streams that were reset", post(1),
       repeat(wire::headers(1, fields_of({{"x", "y"}}), true)), Exhausted::useless_frames},
  };
}

TEST(H2Floods, EndWithinTheBudget) {
  for (const Flood& flood : floods()) {
    Endpoint server;
    server.keep_events = false;
    server.greet();
    server.take(flood.before);
    std::size_t late = 0;  // may have been on its way
    if (flood.name.ends_with("that was reset") || flood.name.ends_with("that were reset")) {
      server.stream(1).stream->reset(ErrorCode::cancel);
      server.settle();
      late = Endpoint::server_options().stream_window_bytes;
    }
    server.frames();
    const std::size_t written = server.written;
    std::size_t bytes = 0;
    int frames = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint32_t round = 0; frames <= 2 * kUselessFramesMax; ++round) {
      const std::string text = flood.frames(round + (flood.before.empty() ? 0 : 1));
      bytes += text.size();
      frames += flood.frames_per_round;
      if (!server.take(text)) break;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(server.session.exhausted(), flood.what) << flood.name;
    EXPECT_EQ(server.session.failure(), describe(flood.what)) << flood.name;
    EXPECT_LE(frames, kUselessFramesMax + 1) << flood.name;
    EXPECT_LE(bytes, kUselessBytesMax + late + 32 * 1024) << flood.name;
    // Ten times what a release build may take: this one is sanitised.
    EXPECT_LT(took.count(), 1.0) << flood.name;
    EXPECT_LE(server.written - written, 10 * bytes) << flood.name;
    EXPECT_THAT(server.frames(),
                Contains(testing::ContainsRegex("GOAWAY [0-9]+ ENHANCE_YOUR_CALM")))
        << flood.name;
    EXPECT_EQ(server.session.streams(), 0u) << flood.name;
  }
}

// A peer that doesn't read its acknowledgements doesn't pile them up here.
TEST(H2Floods, UnreadAcknowledgementsAreBounded) {
  Endpoint server;
  server.greet();
  server.room = 0;
  int pings = 0;
  while (server.receive(wire::frame(wire::kPing, 0, 0, "12345678"))) ASSERT_LT(++pings, 1001);
  EXPECT_LE(pings, 256);
}

TEST(H2Floods, FromAServerEndToo) {
  Endpoint client(Endpoint::client_options());
  client.keep_events = false;
  client.greet();
  int frames = 0;
  while (client.take(wire::frame(wire::kPing, 0, 0, "12345678"))) ASSERT_LT(++frames, 1001);
  EXPECT_EQ(client.session.exhausted(), Exhausted::control_frames);
}

// The bomb's first section is refused by an answer, and what it says isn't stored.
TEST(H2Floods, HeaderBombIsAnsweredOnce) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(bomb_frames(1, 100)));
  EXPECT_THAT(server.frames(), Contains("HEADERS 1 [:status|431] end"));
  EXPECT_TRUE(server.take(get(3)));
  EXPECT_THAT(server.events(), testing::HasSubstr("request 3"));
}

// Answered before it was whole, with an answer that its client doesn't take: what still comes is
// dropped, and more of it than was on its way is useless.
TEST(H2Floods, DataThatNobodyWantsEndsWithinTheBudget) {
  for (const std::size_t size : {1u, 100u, 16'000u}) {
    Endpoint server;
    server.keep_events = false;
    server.greet({{wire::kInitialWindowSize, 0}});
    server.take(post(1));
    server.answer(1, "not here", "404");
    server.stream(1).stream->drop_rest();
    server.settle();
    const std::string frame = wire::data(1, std::string(size, 'x'));
    std::size_t bytes = 0;
    int frames = 0;
    // Whoever keeps to the window gets no further than that; this one doesn't.
    while (server.take(frame) && frames < 200'000) {
      bytes += frame.size();
      ++frames;
    }
    const Options options = Endpoint::server_options();
    EXPECT_NE(server.session.exhausted(), Exhausted::none) << size;
    EXPECT_LE(bytes, kUselessBytesMax + options.stream_window_bytes + 32 * 1024) << size;
    EXPECT_LE(frames, kUselessFramesMax + 2100) << size;
  }
}

TEST(H2Floods, HeadsThatAreHeldAreBounded) {
  Options options = Endpoint::server_options();
  options.streams_max = 1000;
  options.held_head_bytes_max = 100'000;
  Endpoint server(options);
  server.greet();
  Fields fields = get_request();
  fields.add("cookie", std::string(7000, 'c'));
  std::vector<std::uint32_t> taken;
  for (std::uint32_t id = 1; id < 61; id += 2) {
    ASSERT_TRUE(server.take(wire::headers(id, fields, true)));
    const auto frames = server.frames();
    const bool refused =
        !frames.empty() && frames[0] == "RST_STREAM " + std::to_string(id) + " REFUSED_STREAM";
    if (!refused) taken.push_back(id);
  }
  EXPECT_EQ(taken.size(), 13u);
  EXPECT_EQ(taken.back(), 25u);
  EXPECT_EQ(server.session.streams(), taken.size());
  // Each that is answered makes room for another.
  server.answer(1, "x");
  server.settle();
  server.events();
  EXPECT_TRUE(server.take(wire::headers(61, fields, true)));
  EXPECT_THAT(server.events(), testing::HasSubstr("request 61"));
  EXPECT_TRUE(server.take(wire::headers(63, fields, true)));
  EXPECT_THAT(server.events(), Not(testing::HasSubstr("request 63")));
  EXPECT_FALSE(server.session.failed());
}

// They may be sent again, as often as the client likes to, and as it has frames.
TEST(H2Floods, HeadsThatAreRefusedCostTheirFrames) {
  Options options = Endpoint::server_options();
  options.held_head_bytes_max = 100;
  Endpoint server(options);
  server.keep_events = false;
  server.greet();
  server.take(get(1));
  Fields fields = get_request();
  fields.add("cookie", std::string(7000, 'c'));
  int frames = 0;
  while (server.take(wire::headers(odd(static_cast<std::uint32_t>(++frames)), fields, true))) {
    ASSERT_LE(frames, kUselessFramesMax);
    server.raw_frames();
  }
  EXPECT_GE(frames, 1000);
  EXPECT_EQ(server.session.exhausted(), Exhausted::useless_frames);
}

TEST(H2Floods, OneHeadIsTakenWhateverItsSize) {
  Options options = Endpoint::server_options();
  options.held_head_bytes_max = 10;
  Endpoint server(options);
  server.greet();
  EXPECT_TRUE(server.take(get(1) + get(3)));
  EXPECT_THAT(server.events(), testing::HasSubstr("request 1"));
  EXPECT_THAT(server.frames(), Contains("RST_STREAM 3 REFUSED_STREAM"));
}

// --- Those who are busy -------------------------------------------------------------------------

void expect_well(const Endpoint& server, const char* who) {
  EXPECT_FALSE(server.session.failed()) << who << ": " << server.session.failure();
}

TEST(H2BusyClients, ManyRequestsOnOneConnection) {
  Endpoint server;
  server.keep_events = false;
  server.greet();
  std::uint32_t id = 1;
  for (int round = 0; round < 200 && !server.session.failed(); ++round) {
    std::string text;
    const std::uint32_t first = id;
    for (int i = 0; i < 100; ++i, id += 2) text += get(id);
    server.take(text);
    for (std::uint32_t each = first; each < id; each += 2) {
      server.answer(static_cast<std::int32_t>(each), "hello");
    }
    server.settle();
    server.take(wire::window_update(0, 500));
    server.raw_frames();
  }
  expect_well(server, "h2load");
  EXPECT_EQ(id, 40'001u);
}

TEST(H2BusyClients, BrowsersThatCancel) {
  Endpoint server;
  server.keep_events = false;
  server.greet();
  std::uint32_t id = 1;
  // Pages of a hundred resources, each left at once, ten seconds apart.
  for (int page = 0; page < 200 && !server.session.failed(); ++page) {
    std::string text;
    std::string resets;
    for (int i = 0; i < 100; ++i, id += 2) {
      text += get(id);
      resets += wire::reset(id, 8);
    }
    server.take(text);
    server.take(resets);
    server.now += std::chrono::seconds(10);
    server.raw_frames();
  }
  expect_well(server, "browser");
}

TEST(H2BusyClients, ManyLargeHeadsAtOnce) {
  Options options = Endpoint::server_options();
  options.streams_max = 1000;
  options.held_head_bytes_max = 16 * 1024 * 1024;
  Endpoint server(options);
  server.keep_events = false;
  server.greet();
  Fields fields = get_request();
  for (int i = 0; i < 4; ++i) fields.add("cookie", std::string(7000, 'c'));
  for (std::uint32_t id = 1; id < 800; id += 2) server.take(wire::headers(id, fields, true));
  expect_well(server, "large heads");
  EXPECT_EQ(server.session.streams(), 400u);
}

// A cookie of 16 KiB with each, all at once.
TEST(H2BusyClients, LargeCookiesWithEveryRequest) {
  Endpoint server;
  server.greet();
  Fields fields = get_request();
  for (int i = 0; i < 4; ++i) fields.add("cookie", std::string(4096, 'c'));
  for (std::uint32_t id = 1; id < 200; id += 2) server.take(wire::headers(id, fields, true));
  expect_well(server, "large cookies");
  EXPECT_EQ(server.session.streams(), 100u);
  EXPECT_THAT(server.frames(), Not(Contains(testing::HasSubstr("RST_STREAM"))));
}

// What was on its way when the answers were given: as much as the connection's window lets.
TEST(H2BusyClients, ManyUploadsThatAreAnsweredEarly) {
  for (const bool wanted : {true, false}) {
    Endpoint server;
    server.keep_events = false;
    server.greet();
    constexpr std::uint32_t kUploads = 16;
    for (std::uint32_t i = 0; i < kUploads; ++i) server.take(post(odd(i)));
    for (std::uint32_t i = 0; i < kUploads; ++i) {
      const auto id = static_cast<std::int32_t>(odd(i));
      server.answer(id, "not here", "404");
      if (!wanted) server.stream(id).stream->drop_rest();
    }
    server.settle();
    EXPECT_THAT(server.frames(), Contains("RST_STREAM 31 NO_ERROR"));
    for (int round = 0; round < 4; ++round) {
      for (std::uint32_t i = 0; i < kUploads; ++i) {
        server.take(wire::data(odd(i), std::string(16'384, 'y')));
      }
    }
    expect_well(server, "uploads");
    server.take(get(odd(kUploads)));
    EXPECT_EQ(server.session.streams(), 1u);
  }
}

// The same, seen from the other side: downloads that were given up.
TEST(H2BusyClients, DownloadsThatAreGivenUp) {
  Endpoint client(Endpoint::client_options());
  client.keep_events = false;
  client.greet();
  std::vector<Endpoint::Heard*> asked;
  for (int i = 0; i < 16; ++i) {
    asked.push_back(&client.ask(
        {{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}));
  }
  client.settle();
  for (std::uint32_t i = 0; i < 16; ++i) {
    client.take(wire::headers(odd(i), fields_of({{":status", "200"}}), false));
  }
  for (Endpoint::Heard* const heard : asked) heard->stream->reset(ErrorCode::cancel);
  client.settle();
  for (int round = 0; round < 4; ++round) {
    for (std::uint32_t i = 0; i < 16; ++i) {
      client.take(wire::data(odd(i), std::string(16'384, 'y')));
    }
  }
  expect_well(client, "downloads");
}

TEST(H2BusyClients, UploadsInSmallFrames) {
  Endpoint server;
  server.keep_events = false;
  server.greet();
  server.take(post(1));
  std::string text;
  for (int i = 0; i < 100; ++i) text += wire::data(1, "0123456789");
  for (int round = 0; round < 1000; ++round) server.take(text);
  server.take(wire::data(1, "", true));
  expect_well(server, "upload");
  EXPECT_EQ(server.stream(1).body.size(), 1'000'000u);
}

TEST(H2BusyClients, CallsThatPingAndAcknowledgeEveryMessage) {
  Endpoint server;
  server.keep_events = false;
  server.greet();
  server.take(post(1));
  Stream& stream = *server.stream(1).stream;
  stream.send_response(section_of({{":status", "200"}}), false);
  for (int message = 0; message < 20'000 && !server.session.failed(); ++message) {
    stream.send_data(as_bytes("a message"));
    server.settle();
    server.take(wire::data(1, "another") + wire::window_update(1, 9) + wire::window_update(0, 9) +
                wire::frame(wire::kPing, 0, 0, "12345678"));
    server.raw_frames();
  }
  expect_well(server, "grpc");
}

TEST(H2BusyClients, LargeDownloadsWithManyUpdates) {
  Endpoint server;
  server.keep_events = false;
  server.greet();
  server.take(get(1));
  Stream& stream = *server.stream(1).stream;
  stream.send_response(section_of({{":status", "200"}}), false);
  const std::string piece(16'000, 'x');
  for (int i = 0; i < 3000 && !server.session.failed(); ++i) {
    stream.send_data(as_bytes(piece));
    server.settle();
    std::string updates;
    for (int update = 0; update < 8; ++update) {
      updates += wire::window_update(1, 2000) + wire::window_update(0, 2000);
    }
    server.take(updates);
    server.raw_frames();
  }
  expect_well(server, "download");
}

TEST(H2BusyClients, OldPrioritiesWithEveryRequest) {
  Endpoint server;
  server.keep_events = false;
  server.greet();
  std::uint32_t id = 1;
  for (int i = 0; i < 20'000 && !server.session.failed(); ++i, id += 2) {
    server.take(get(id) + wire::frame(wire::kPriority, 0, id, "\0\0\0\0\x10"s));
    server.answer(static_cast<std::int32_t>(id), "x");
    server.settle();
    server.raw_frames();
  }
  expect_well(server, "priorities");
}

}  // namespace
}  // namespace sluice::h2
