// A session that serves: requests in, responses out.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/h2/endpoint.h"

namespace sluice::h2 {
namespace {

namespace wire = harness::h2;
using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(H2Server, RequestIsHeardAndAnswered) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(get(1, {{"accept", "*/*"}})));
  EXPECT_EQ(server.events(), "request 1 GET / at 'h' body none [accept|*/*] complete");
  server.answer(1, "hello");
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "DATA 1 'hello' end"));
  EXPECT_EQ(server.events(), "closed 1 whole");
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST(H2Server, GreetsWithItsSettings) {
  Options options = Endpoint::server_options();
  options.streams_max = 7;
  options.stream_window_bytes = 70'000;
  options.connection_window_bytes = 200'000;
  options.head_limits.head_bytes = 5000;
  Endpoint server(options);
  server.settle();
  wire::FrameReader reader;
  reader.add(server.raw_frames());
  const auto settings = reader.next();
  ASSERT_TRUE(settings && settings->type == wire::kSettings);
  std::map<std::uint32_t, std::uint32_t> values;
  for (std::size_t at = 0; at < settings->payload.size(); at += 6) {
    values[wire::number_at(std::string(2, '\0') + settings->payload.substr(at, 2))] =
        wire::number_at(settings->payload, at + 2);
  }
  EXPECT_THAT(values, testing::UnorderedElementsAre(testing::Pair(wire::kMaxConcurrentStreams, 7),
                                                    testing::Pair(wire::kInitialWindowSize, 70'000),
                                                    testing::Pair(wire::kMaxHeaderListSize, 5000),
                                                    testing::Pair(wire::kEnableConnectProtocol, 1),
                                                    testing::Pair(9, 1)));
  const auto update = reader.next();
  ASSERT_TRUE(update && update->type == wire::kWindowUpdate);
  EXPECT_EQ(wire::number_at(update->payload), 200'000u - 65'535u);
}

TEST(H2Server, BodyAndTrailersAreHeard) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(post(1, {{"content-length", "10"}}) + wire::data(1, "01234") +
                          wire::data(1, "56789") +
                          wire::headers(1, fields_of({{"x-sum", "abc"}}), true)));
  EXPECT_EQ(server.events(),
            "request 1 POST / at 'h' body 10 [content-length|10]\ndata 1 0123456789\nend 1 "
            "[x-sum|abc]");
}

TEST(H2Server, TheLastByteOfABodyOfKnownLengthWaitsForItsEnd) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(post(1, {{"content-length", "5"}}) + wire::data(1, "01234")));
  EXPECT_EQ(server.events(), "request 1 POST / at 'h' body 5 [content-length|5]\ndata 1 0123");
  EXPECT_TRUE(server.take(wire::data(1, "", true)));
  EXPECT_EQ(server.events(), "data 1 4\nend 1");
  // Not where the body turns out longer, or is cut.
  EXPECT_TRUE(server.take(post(3, {{"content-length", "1"}}) + wire::data(3, "0")));
  EXPECT_TRUE(server.take(wire::data(3, "1", true)));
  EXPECT_THAT(server.events(), Not(HasSubstr("data")));
  EXPECT_TRUE(server.take(post(5, {{"content-length", "1"}}) + wire::data(5, "0")));
  EXPECT_TRUE(server.take(wire::reset(5, wire::kCancel)));
  EXPECT_THAT(server.events(), Not(HasSubstr("data")));
}

TEST(H2Server, EmptyBodyEndsByAnEmptyFrame) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(post(1) + wire::data(1, "", true)));
  EXPECT_EQ(server.events(), "request 1 POST / at 'h' body open \nend 1");
}

TEST(H2Server, InterimResponsesAndTrailersGoOut) {
  Endpoint server;
  server.greet();
  server.take(get(1));
  Stream& stream = *server.stream(1).stream;
  stream.send_interim(section_of({{":status", "103"}, {"link", "</a>"}}));
  stream.send_response(section_of({{":status", "200"}}), false);
  stream.send_data(as_bytes("body"));
  http::Fields trailers;
  trailers.append("Grpc-Status", "0");
  stream.send_end(trailers);
  server.settle();
  EXPECT_THAT(server.frames(),
              ElementsAre("HEADERS 1 [:status|103] [link|</a>]", "HEADERS 1 [:status|200]",
                          "DATA 1 'body'", "HEADERS 1 [grpc-status|0] end"));
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST(H2Server, TrailersWithoutABodyNeedNoData) {
  Endpoint server;
  server.greet();
  server.take(get(1));
  Stream& stream = *server.stream(1).stream;
  stream.send_response(section_of({{":status", "200"}}), false);
  server.settle();
  http::Fields trailers;
  trailers.append("grpc-status", "0");
  stream.send_end(trailers);
  server.settle();
  EXPECT_THAT(server.frames(),
              ElementsAre("HEADERS 1 [:status|200]", "HEADERS 1 [grpc-status|0] end"));
}

TEST(H2Server, ResponseWithoutBodyEndsWithItsHead) {
  Endpoint server;
  server.greet();
  server.take(get(1));
  server.answer(1, "", "204");
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|204] end"));
}

TEST(H2Server, EarlyAnswerCutsTheRestOfTheRequest) {
  Endpoint server;
  server.greet();
  server.take(post(1) + wire::data(1, "some"));
  server.answer(1, "no", "413");
  server.settle();
  EXPECT_THAT(server.frames(),
              ElementsAre("HEADERS 1 [:status|413]", "DATA 1 'no' end", "RST_STREAM 1 NO_ERROR"));
  EXPECT_THAT(server.events(), HasSubstr("closed 1 whole"));
  // What was on its way is dropped, trailers too, and the connection goes on.
  EXPECT_TRUE(server.take(wire::data(1, "more") + wire::headers(1, fields_of({{"x", "y"}}), true) +
                          get(3)));
  EXPECT_EQ(server.events(), "request 3 GET / at 'h' body none  complete");
}

TEST(H2Server, ATunnelEndsWithTheServersHalf) {
  Endpoint server;
  server.greet();
  const Fields connect = fields_of({{":method", "CONNECT"},
                                    {":protocol", "websocket"},
                                    {":scheme", "https"},
                                    {":authority", "h"},
                                    {":path", "/chat"}});
  server.take(wire::headers(1, connect, false) + wire::data(1, "early"));
  EXPECT_EQ(server.events(), "request 1 GET /chat at 'h' body tunnel to websocket \ndata 1 early");
  Stream& stream = *server.stream(1).stream;
  stream.send_response(section_of({{":status", "200"}}), false);
  stream.send_data(as_bytes("from server"));
  stream.send_end({});
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "DATA 1 'from server' end",
                                           "RST_STREAM 1 NO_ERROR"));
  EXPECT_TRUE(server.take(wire::data(1, "late", true)));
  EXPECT_EQ(server.events(), "closed 1 whole");
}

TEST(H2Server, ATunnelOutlivesTheClientsHalf) {
  Endpoint server;
  server.greet();
  const Fields connect = fields_of({{":method", "CONNECT"}, {":authority", "db:5432"}});
  server.take(wire::headers(1, connect, false));
  Stream& stream = *server.stream(1).stream;
  stream.send_response(section_of({{":status", "200"}}), false);
  EXPECT_TRUE(server.take(wire::data(1, "question", true)));
  stream.send_data(as_bytes("answer"));
  stream.send_end({});
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "DATA 1 'answer' end"));
  EXPECT_THAT(server.events(), HasSubstr("data 1 question\nend 1\nclosed 1 whole"));
}

TEST(H2Server, KnowsWhetherAHeadIsPending) {
  Endpoint server;
  EXPECT_TRUE(server.session.head_pending());
  server.greet();
  EXPECT_FALSE(server.session.head_pending());
  const std::string text = get(1);
  for (std::size_t at = 0; at + 1 < text.size(); ++at) {
    server.take(std::string_view(text).substr(at, 1));
    EXPECT_EQ(server.session.head_pending(), at + 1 >= 9) << at;
  }
  server.take(std::string_view(text).substr(text.size() - 1));
  EXPECT_FALSE(server.session.head_pending());
  server.take(wire::frame(wire::kHeaders, 0, 3, wire::section(get_request())));
  EXPECT_TRUE(server.session.head_pending());
  server.take(wire::frame(wire::kContinuation, 4, 3, ""));
  EXPECT_FALSE(server.session.head_pending());
}

TEST(H2Server, ARefusedTunnelIsCutLikeAnyRequest) {
  Endpoint server;
  server.greet();
  server.take(
      wire::headers(1, fields_of({{":method", "CONNECT"}, {":authority", "db:5432"}}), false));
  server.answer(1, "", "405");
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|405] end", "RST_STREAM 1 NO_ERROR"));
}

TEST(H2Server, ErrorCodesNobodyKnowsAreTakenAsTheyAre) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(post(1) + wire::reset(1, 0xdead) + wire::go_away(0, 0xbeef)));
  EXPECT_THAT(server.events(), HasSubstr("closed 1 code 57005 by peer"));
  EXPECT_EQ(server.session.failure(), "peer's GOAWAY: unknown error");
}

TEST(H2Server, UnknownFramesAndSettingsAreIgnored) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(wire::frame(0xee, 0xff, 7, "whatever") +
                          wire::frame(0xfb, 0, 0, "probe") + wire::settings({{0xabcd, 5}}) +
                          wire::frame(wire::kPriority, 0, 9, "\0\0\0\0\x10"s) + get(1)));
  EXPECT_THAT(server.events(), HasSubstr("request 1"));
}

// RFC 9113 §4.1: the bit in front of the stream's number means nothing.
TEST(H2Server, ReservedBitsAreIgnored) {
  Endpoint server;
  server.greet();
  std::string request = get(1);
  request[5] = static_cast<char>(request[5] | 0x80);
  EXPECT_TRUE(server.take(request));
  EXPECT_THAT(server.events(), HasSubstr("request 1"));
}

// RFC 9113 §4.2, §6.5.2; RFC 7541 §4.2.
TEST(H2Server, KeepsToThePeersFrameAndTableSizes) {
  Endpoint server;
  server.greet({{wire::kMaxFrameSize, 20'000},
                {wire::kHeaderTableSize, 0},
                {wire::kInitialWindowSize, 1'000'000}});
  server.take(wire::window_update(0, 1'000'000) + get(1) + get(3));
  for (const std::int32_t id : {1, 3}) {
    Stream& stream = *server.stream(id).stream;
    stream.send_response(section_of({{":status", "200"}, {"x-long", std::string(300, 'x')}}),
                         false);
    stream.send_data(as_bytes(std::string(60'000, 'd')));
    stream.send_end({});
    server.settle();
  }
  wire::FrameReader reader;
  reader.add(server.raw_frames());
  std::vector<std::string> heads;
  std::size_t body = 0;
  while (const auto frame = reader.next()) {
    EXPECT_LE(frame->payload.size(), 20'000u);
    if (frame->type == wire::kHeaders) heads.push_back(frame->payload);
    if (frame->type == wire::kData) body += frame->payload.size();
  }
  EXPECT_EQ(body, 120'000u);
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_EQ(heads[0].front(), '\x20') << "the encoder says that its table has no room";
  EXPECT_GT(heads[1].size(), 150u) << "and keeps nothing in it";
}

TEST(H2Server, PingIsAnswered) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(wire::frame(wire::kPing, 0, 0, "12345678")));
  EXPECT_THAT(server.frames(), ElementsAre("PING ack"));
}

TEST(H2Server, StreamsBeyondTheLimitAreRefusedAndTheRestServed) {
  Options options = Endpoint::server_options();
  options.streams_max = 2;
  Endpoint server(options);
  server.settle();
  // The client doesn't know the limit yet.
  server.take(std::string(wire::kPreface) + wire::settings({}) + get(1) + get(3) + get(5));
  EXPECT_THAT(server.events(), testing::Not(HasSubstr("request 5")));
  EXPECT_THAT(server.frames(), testing::Contains("RST_STREAM 5 REFUSED_STREAM"));
  server.answer(1, "");
  server.settle();
  EXPECT_TRUE(server.take(get(7)));
  EXPECT_THAT(server.events(), HasSubstr("request 7"));
}

TEST(H2Server, ResetByTheClientIsTold) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(post(1) + wire::data(1, "x") + wire::reset(1, wire::kCancel)));
  EXPECT_EQ(server.events(),
            "request 1 POST / at 'h' body open \ndata 1 x\nclosed 1 CANCEL by peer");
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST(H2Server, OwnResetSaysNothingToItsHandler) {
  Endpoint server;
  server.greet();
  server.take(get(1));
  server.events();
  server.stream(1).stream->reset(ErrorCode::internal_error);
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("RST_STREAM 1 INTERNAL_ERROR"));
  EXPECT_EQ(server.events(), "");
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST(H2Server, LetGoOfAStreamItSendsTheRest) {
  Endpoint server;
  server.greet();
  server.take(get(1));
  server.answer(1, "hello");
  server.stream(1).stream->set_handler(nullptr);
  server.events();
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "DATA 1 'hello' end"));
  EXPECT_EQ(server.events(), "");
}

TEST(H2Server, LostConnectionClosesEveryStream) {
  Endpoint server;
  server.greet();
  server.take(get(1) + post(3));
  server.events();
  server.session.on_connection_lost();
  EXPECT_TRUE(server.session.has_news());
  EXPECT_FALSE(server.session.wants_flush());
  server.settle();
  EXPECT_EQ(server.events(),
            "closed 1 CANCEL by peer: connection lost\nclosed 3 CANCEL by peer: connection lost");
  EXPECT_FALSE(server.take(get(5)));
  EXPECT_EQ(server.session.streams(), 0u);
}

// --- GOAWAY -------------------------------------------------------------------------------------

TEST(H2ServerGoAway, HasTwoPhases) {
  Endpoint server;
  server.greet();
  server.take(get(1));
  server.session.announce_go_away();
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("GOAWAY 2147483647 NO_ERROR"));
  EXPECT_TRUE(server.take(get(3)));
  EXPECT_THAT(server.events(), HasSubstr("request 3"));
  server.session.go_away();
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("GOAWAY 3 NO_ERROR"));
  // What the client sent before it knew is not served, and may be sent again elsewhere.
  EXPECT_TRUE(server.take(post(5) + wire::data(5, "x") + get(7)));
  EXPECT_EQ(server.events(), "");
  server.answer(1, "one");
  server.answer(3, "three");
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "HEADERS 3 [:status|200]",
                                           "DATA 1 'one' end", "DATA 3 'three' end"));
  EXPECT_EQ(server.session.streams(), 0u);
}

// What it says was the last is so from the time when it is said, however long it waits to go out.
TEST(H2ServerGoAway, NothingIsServedBehindItWhileItWaits) {
  Endpoint server;
  server.greet();
  server.take(get(1));
  server.room = 0;
  server.session.go_away();
  EXPECT_TRUE(server.take(post(3) + wire::data(3, "x") + get(5)));
  EXPECT_THAT(server.events(), testing::Not(HasSubstr("request 3")));
  server.room = static_cast<std::size_t>(-1);
  server.settle();
  EXPECT_THAT(server.frames(),
              testing::UnorderedElementsAre("GOAWAY 1 NO_ERROR", "RST_STREAM 3 REFUSED_STREAM",
                                            "RST_STREAM 5 REFUSED_STREAM"));
  EXPECT_EQ(server.events(), "");
  server.answer(1, "one");
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "DATA 1 'one' end"));
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST(H2ServerGoAway, CarriesItsCode) {
  Endpoint server;
  server.greet();
  server.session.go_away(ErrorCode::enhance_your_calm);
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("GOAWAY 0 ENHANCE_YOUR_CALM"));
}

TEST(H2ServerGoAway, ErrorsBehindItAreFailures) {
  Endpoint server;
  server.greet();
  server.take(post(1));
  server.session.go_away();
  server.settle();
  EXPECT_FALSE(server.take(wire::frame(wire::kPing, 0, 1, "12345678")));
  EXPECT_THAT(server.frames(), ElementsAre("GOAWAY 1 NO_ERROR", "GOAWAY 1 PROTOCOL_ERROR"));
  EXPECT_THAT(server.events(), HasSubstr("closed 1 PROTOCOL_ERROR by us"));
}

TEST(H2ServerGoAway, OfTheClientLeavesItsRequestsAlone) {
  Endpoint server;
  server.greet();
  EXPECT_TRUE(server.take(get(1) + wire::go_away(0, 0)));
  EXPECT_THAT(server.events(), HasSubstr("goaway"));
  server.answer(1, "x");
  server.settle();
  EXPECT_THAT(server.frames(), ElementsAre("HEADERS 1 [:status|200]", "DATA 1 'x' end"));
}

}  // namespace
}  // namespace sluice::h2
