// What HTTP/2 clients may not send: exact frames, the exact answer to them, and a server of either
// version that saw nothing of it.
#include "tests/harness/h2_client.h"
#include "tests/integration/pair_test.h"

namespace sluice::integration {
namespace {

using harness::H2Client;
namespace h2 = harness::h2;

using Lines = std::vector<std::pair<std::string, std::string>>;

// RFC 9113 section 8.1.1; what is well-formed there and still no good request is answered.
constexpr const char* kMalformed = "RST_STREAM PROTOCOL_ERROR";

// A request's fields: `pseudo` in the place of the usual four where it isn't empty, then `more`.
struct BadHead {
  const char* name;
  Lines more;
  Lines pseudo = {};
  const char* answer = kMalformed;
};

const std::string kNul("a\0b", 3);

Lines usual() {
  return {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "localhost"}};
}

Lines usual_but(const std::string& name, const std::string& value) {
  Lines lines = usual();
  for (auto& line : lines) {
    if (line.first == name) line.second = value;
  }
  return lines;
}

Lines usual_without(const std::string& name) {
  Lines lines = usual();
  std::erase_if(lines, [&](const auto& line) { return line.first == name; });
  return lines;
}

std::vector<BadHead> bad_heads() {
  return {
      {"CrInAValue", {{"x", "a\rb"}}},
      {"LfInAValue", {{"x", "a\nb"}}},
      {"CrLfInAValue", {{"x", "a\r\nhost: evil"}}},
      {"NulInAValue", {{"x", kNul}}},
      {"EscInAValue", {{"x", "a\x1b[2J"}}},
      {"DelInAValue", {{"x", "a\x7f"}}},
      {"SpaceBeforeAValue", {{"x", " a"}}},
      {"TabBehindAValue", {{"x", "a\t"}}},
      {"CrLfInAName", {{"x\r\ny", "a"}}},
      {"NulInAName", {{kNul, "a"}}},
      {"SpaceInAName", {{"x y", "a"}}},
      {"ColonInAName", {{"x:y", "a"}}},
      {"UpperCaseName", {{"X-Up", "a"}}},
      {"HighByteInAName", {{"x\xc3\xa9", "a"}}},
      {"EmptyName", {{"", "a"}}},
      {"Connection", {{"connection", "close"}}},
      {"KeepAlive", {{"keep-alive", "timeout=5"}}},
      {"ProxyConnection", {{"proxy-connection", "keep-alive"}}},
      {"TransferEncoding", {{"transfer-encoding", "chunked"}}},
      {"Upgrade", {{"upgrade", "websocket"}}},
      {"TeGzip", {{"te", "gzip"}}},
      {"TeTrailersAndMore", {{"te", "trailers, deflate"}}},
      {"NoMethod", {}, usual_without(":method")},
      {"NoScheme", {}, usual_without(":scheme")},
      {"NoPath", {}, usual_without(":path")},
      {"NothingAtAll", {}, {{"x", "y"}}},
      {"MethodTwice", {{":method", "GET"}}},
      {"PathTwice", {{":path", "/"}}},
      {"AuthorityTwice", {{":authority", "localhost"}}},
      {"LatePseudo", {{"x", "y"}, {":path", "/"}}, usual_without(":path")},
      {"UnknownPseudo", {{":x", "y"}}},
      {"Status", {{":status", "200"}}},
      {"EmptyMethod", {}, usual_but(":method", "")},
      {"SpaceInMethod", {}, usual_but(":method", "GET /admin HTTP/1.1")},
      {"CrLfInMethod", {}, usual_but(":method", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET")},
      {"EmptyPath", {}, usual_but(":path", "")},
      {"RelativePath", {}, usual_but(":path", "x")},
      {"SpaceInPath", {}, usual_but(":path", "/ HTTP/1.1")},
      {"CrLfInPath", {}, usual_but(":path", "/ HTTP/1.1\r\nX: y")},
      {"NulInPath", {}, usual_but(":path", "/" + kNul)},
      {"FragmentInPath", {}, usual_but(":path", "/#x"), "400"},
      {"HighByteInPath", {}, usual_but(":path", "/\xff"), "400"},
      {"StarForGet", {}, usual_but(":path", "*")},
      {"AbsolutePath", {}, usual_but(":path", "http://localhost/")},
      {"EmptyAuthority", {}, usual_but(":authority", "")},
      {"SpaceInAuthority", {}, usual_but(":authority", "local host")},
      {"CrLfInAuthority", {}, usual_but(":authority", "localhost\r\nX: y")},
      {"UserinfoInAuthority", {}, usual_but(":authority", "me@localhost"), "400"},
      {"PathInAuthority", {}, usual_but(":authority", "localhost/x")},
      {"PortTooLarge", {}, usual_but(":authority", "localhost:65536"), "400"},
      {"TwoAuthorities", {}, usual_but(":authority", "localhost, evil")},
      {"ForeignScheme", {}, usual_but(":scheme", "ftp"), "400"},
      {"CrLfInScheme", {}, usual_but(":scheme", "http\r\nX: y")},
      {"HostAgainstAuthority", {{"host", "evil.example"}}, {}, "400"},
      {"HostTwice", {{"host", "localhost"}, {"host", "localhost"}}},
      {"NoAuthorityNorHost", {}, usual_without(":authority")},
      {"NegativeLength", {{"content-length", "-1"}}},
      {"SignedLength", {{"content-length", "+0"}}},
      {"HexLength", {{"content-length", "0x0"}}},
      {"HugeLength", {{"content-length", "99999999999999999999"}}},
      {"EmptyLength", {{"content-length", ""}}},
      {"LengthTwice", {{"content-length", "0"}, {"content-length", "0"}}},
      {"LengthList", {{"content-length", "0, 0"}}},
      {"LengthWithoutData", {{"content-length", "5"}}},
      {"ProtocolWithoutConnect", {{":protocol", "websocket"}}},
      {"ConnectWithPath",
       {},
       {{":method", "CONNECT"}, {":authority", "localhost:80"}, {":path", "/"}}},
  };
}

class H2StrictTest : public PairTest {
 protected:
  // Nothing of it has come to a server; others are served.
  void expect_unseen() {
    EXPECT_EQ(client().get("/").status, 200);
    EXPECT_EQ(origin_.requests_count(), 1u);
    EXPECT_EQ(origin_.incomplete_count(), 0u);
    origin_.forget();
  }
};

INSTANTIATE_TEST_SUITE_P(Each, H2StrictTest, testing::ValuesIn(plain_pairs_from(true)), pair_name);

TEST_P(H2StrictTest, BadHeadsAreRefused) {
  start_pair();
  for (const BadHead& bad : bad_heads()) {
    SCOPED_TRACE(bad.name);
    Fields fields{.lines = bad.pseudo.empty() ? usual() : bad.pseudo};
    fields.lines.insert(fields.lines.end(), bad.more.begin(), bad.more.end());
    const std::string section = h2::section(fields);
    // Whole, byte by byte, and cut into a CONTINUATION in the middle.
    for (const int how : {0, 1, 2}) {
      SCOPED_TRACE(how);
      AnyClient client = this->client();
      const std::uint32_t stream = client.h2().take_stream();
      std::string frames = h2::headers(stream, fields, true);
      if (how == 2 && section.size() > 8) {
        const std::size_t middle = section.size() / 2;
        frames = h2::frame(h2::kHeaders, h2::kEndStream, stream, section.substr(0, middle)) +
                 h2::frame(h2::kContinuation, h2::kEndHeaders, stream, section.substr(middle));
      }
      client.h2().send_in_pieces(frames, how == 1 ? 1 : frames.size());
      const Response response = client.h2().finish(stream);
      EXPECT_EQ(verdict(response), bad.answer) << response.summary();
      // It is the request that is bad: those beside it don't suffer.
      EXPECT_EQ(verdict(client.get("/beside")), "200");
      EXPECT_EQ(origin_.requests_count(), 1u);
      EXPECT_EQ(origin_.last_request().target, "/beside");
      EXPECT_EQ(origin_.incomplete_count(), 0u);
      origin_.forget();
    }
  }
}

// Errors of the connection.
constexpr const char* kBroken = "GOAWAY PROTOCOL_ERROR";
constexpr const char* kWrongSize = "GOAWAY FRAME_SIZE_ERROR";
constexpr const char* kNoHpack = "GOAWAY COMPRESSION_ERROR";
constexpr const char* kOverflow = "GOAWAY FLOW_CONTROL_ERROR";

// Frames behind a good head of a POST on stream 1, or whatever stands in its place.
struct BadFrames {
  const char* name;
  std::string frames;
  std::string answer = kMalformed;
  // The head of stream 1 goes before; the server may then see an unfinished request, never a whole.
  bool behind_head = true;
  Lines more = {};
};

std::vector<BadFrames> bad_frames() {
  const std::string trailers_with_pseudo =
      h2::data(1, "x") + h2::headers(1, Fields{.lines = {{":path", "/"}}}, true);
  auto trailers = [](const char* name, const char* value) {
    return h2::data(1, "x") + h2::headers(1, Fields{.lines = {{name, value}}}, true);
  };
  const std::string get = h2::section(H2Client::request_fields({}));
  return {
      {"DataBeyondLength", h2::data(1, "four", true), kMalformed, true, {{"content-length", "2"}}},
      {"DataShortOfLength", h2::data(1, "four", true), kMalformed, true, {{"content-length", "9"}}},
      {"DataOverTwoFramesBeyondLength",
       h2::data(1, "ab") + h2::data(1, "c", true),
       kMalformed,
       true,
       {{"content-length", "2"}}},
      {"PseudoInTrailers", trailers_with_pseudo},
      {"UpperCaseInTrailers", trailers("X-Up", "a")},
      {"CrLfInTrailers", trailers("x", "a\r\nb")},
      {"ConnectionInTrailers", trailers("connection", "close")},
      {"TransferEncodingInTrailers", trailers("transfer-encoding", "chunked")},
      {"TrailersThatGoOn", h2::data(1, "x") + h2::headers(1, Fields{.lines = {{"x", "y"}}}, false)},
      {"TwoHeads", h2::headers(1, H2Client::request_fields({}), true)},
      {"PaddingBeyondTheFrame", h2::frame(h2::kData, h2::kPadded, 1, "\x09xy"), kBroken},
      {"DataOnStreamZero", h2::data(0, "x"), kBroken},
      {"DataOnAnIdleStream", h2::data(99, "x"), kBroken, false},
      {"HeadersOnStreamZero", h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 0, get),
       kBroken, false},
      {"HeadersOnAnEvenStream", h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 2, get),
       kBroken, false},
      {"ContinuationAlone", h2::frame(h2::kContinuation, h2::kEndHeaders, 1, get), kBroken, false},
      {"DataWithinASection", h2::frame(h2::kHeaders, h2::kEndStream, 1, get) + h2::data(1, "x"),
       kBroken, false},
      {"OtherStreamWithinASection",
       h2::frame(h2::kHeaders, h2::kEndStream, 1, get) +
           h2::frame(h2::kContinuation, h2::kEndHeaders, 3, ""),
       kBroken, false},
      {"HpackBadIndex",
       h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, "\xff\xff\xff\xff\x0f"),
       kNoHpack, false},
      {"HpackTableTooLarge",
       h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, "\x3f\xff\xff\x7f" + get),
       kNoHpack, false},
      {"HpackCut", h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, get + '\x00'),
       kNoHpack, false},
      {"PushPromise", h2::frame(h2::kPushPromise, h2::kEndHeaders, 1, h2::number(2) + get),
       kBroken},
      {"FrameTooLarge", h2::data(1, std::string(20'000, 'x')), kWrongSize},
      {"SettingsOnAStream", h2::frame(h2::kSettings, 0, 1), kBroken, false},
      {"SettingsOfFiveBytes", h2::frame(h2::kSettings, 0, 0, "12345"), kWrongSize, false},
      {"SettingsAckWithPayload", h2::frame(h2::kSettings, h2::kAck, 0, "123456"), kWrongSize,
       false},
      {"SettingsHugeWindow", h2::settings({{h2::kInitialWindowSize, 0x8000'0000}}), kOverflow,
       false},
      {"SettingsSmallFrames", h2::settings({{h2::kMaxFrameSize, 16}}), kBroken, false},
      {"SettingsPushOfTwo", h2::settings({{h2::kEnablePush, 2}}), kBroken, false},
      {"PingOfSevenBytes", h2::frame(h2::kPing, 0, 0, "1234567"), kWrongSize, false},
      {"PingOnAStream", h2::frame(h2::kPing, 0, 1, "12345678"), kBroken, false},
      {"ResetOfAnIdleStream", h2::reset(99, h2::kCancel), kBroken, false},
      {"ResetOfThreeBytes", h2::frame(h2::kResetStream, 0, 1, "123"), kWrongSize},
      // Likewise.
      {"PriorityOfFourBytes", h2::frame(h2::kPriority, 0, 1, "1234"), kWrongSize},
      // Of the stream, but a connection may end for any (section 5.4.1): so it is in nghttp2.
      {"WindowUpdateOfNothing", h2::window_update(1, 0), kBroken},
      {"WindowUpdateOfNothingForAll", h2::window_update(0, 0), kBroken, false},
      {"WindowUpdateOverflow", h2::window_update(1, 0x7fff'ffff), "RST_STREAM FLOW_CONTROL_ERROR"},
      {"WindowUpdateOverflowForAll", h2::window_update(0, 0x7fff'ffff), kOverflow, false},
      {"WindowUpdateOfThreeBytes", h2::frame(h2::kWindowUpdate, 0, 0, "123"), kWrongSize, false},
      {"GoAwayOnAStream", h2::frame(h2::kGoAway, 0, 1, std::string(8, '\0')), kBroken, false},
      {"LowerStreamThanBefore",
       h2::headers(5, H2Client::request_fields({.target = "/hold"}), true) +
           h2::headers(3, H2Client::request_fields({}), true),
       kBroken, false},
  };
}

// A connection's end is its answer, and says why.
std::string answer_to(H2Client& client) {
  const harness::H2Response response = client.finish(1);
  if (response.reset_code || response.ended) return verdict(response);
  client.wait_until([&] { return client.ending() != Ending::open; });
  if (client.ending() == Ending::open) return "timed out";
  return client.go_away() ? "GOAWAY " + h2::code_name(client.go_away()->code) : "cut";
}

TEST_P(H2StrictTest, BadFramesAreRefused) {
  start_pair();
  for (const BadFrames& bad : bad_frames()) {
    SCOPED_TRACE(bad.name);
    AnyClient any = client();
    H2Client& client = any.h2();
    const std::uint32_t stream = client.take_stream();
    ASSERT_EQ(stream, 1u);
    if (bad.behind_head) {
      H2Client::Ask ask{.method = "POST", .target = "/upload", .end = false};
      ask.fields.lines = bad.more;
      ASSERT_TRUE(client.send(h2::headers(1, H2Client::request_fields(ask), false)));
    }
    client.send(bad.frames);
    EXPECT_EQ(answer_to(client), bad.answer);
    EXPECT_EQ(verdict(this->client().get("/beside")), "200");
    EXPECT_EQ(origin_.requests_count(), 1u) << "a whole request has come to a server";
    // What was begun there is cut, visibly.
    EXPECT_TRUE(wait_until([&] { return origin_.held_count() == 0; }));
    origin_.forget();
  }
}

// All of a body's length is there long before it turns out to be longer: until it has ended, the
// server has not seen it whole.
TEST_P(H2StrictTest, ABodyThatTurnsOutTooLongNeverLooksWhole) {
  start_pair({.workers = 1});
  AnyClient client = this->client();
  Fields fields;
  fields.add("expect", "100-continue");
  client.begin("POST", "/upload", 2, fields);
  ASSERT_EQ(client.wait_for_status(), 100) << "the server has its head";
  const std::uint32_t stream = client.stream();
  // What is acknowledged has been read, and gone on in the same turn.
  ASSERT_TRUE(client.h2().send(h2::data(stream, "ab") + h2::frame(h2::kPing, 0, 0, "12345678")));
  ASSERT_TRUE(client.h2().wait_until([&] { return client.h2().frames(h2::kPing) == 1; }));
  EXPECT_EQ(get("/beside").status, 200);
  EXPECT_EQ(origin_.requests_count(), 1u);
  ASSERT_TRUE(client.h2().send(h2::data(stream, "c", true)));
  EXPECT_EQ(verdict(client.finish()), kMalformed);
  EXPECT_TRUE(wait_until([&] { return origin_.incomplete_count() == 1; }));
  EXPECT_EQ(origin_.requests_count(), 1u);
}

TEST_P(H2StrictTest, WhatBeginsLikeNeitherVersionIsRefused) {
  start_pair();
  for (const std::string& bytes :
       {std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"),
        std::string("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"), std::string("PRI / HTTP/2.0\r\n\r\n"),
        std::string("PRI * HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string(h2::kPreface) + std::string(30, '\0'),
        std::string(h2::kPreface) + h2::frame(h2::kPing, 0, 0, "12345678")}) {
    auto client = connect();
    ASSERT_TRUE(client->send(bytes));
    client->read_to_end();
    EXPECT_NE(client->wait_for_end(), Ending::open) << bytes;
  }
  expect_unseen();
}

TEST_P(H2StrictTest, HeadsBeyondTheLimitsAreAnswered431) {
  start_pair();
  const struct {
    const char* name;
    Lines lines;
  } cases[] = {{"a huge field", {{"x", std::string(40'000, 'x')}}},
               {"many fields", Lines(200, {"x", "y"})},
               {"many crumbs", Lines(2000, {"cookie", "a=b"})},
               {"a huge name", {{std::string(40'000, 'x'), "y"}}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    AnyClient client = this->client();
    Fields fields = H2Client::request_fields({});
    fields.lines.insert(fields.lines.end(), c.lines.begin(), c.lines.end());
    const std::uint32_t stream = client.h2().take_stream();
    client.h2().send(h2::headers(stream, fields, true));
    const harness::H2Response response = client.h2().finish(stream);
    EXPECT_EQ(verdict(response), "431") << response.summary();
    expect_unseen();
  }
}

TEST_P(H2StrictTest, PaddingAndPriorityAreNoContent) {
  start_pair();
  AnyClient any = client();
  H2Client* const client = &any.h2();
  const std::uint32_t stream = client->take_stream();
  const std::string section =
      h2::section(H2Client::request_fields({.method = "POST", .target = "/echo"}));
  const std::string priority(5, '\0');
  ASSERT_TRUE(client->send(
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kPadded | h2::kHasPriority, stream,
                "\x03" + priority + section + std::string(3, '\0')) +
      h2::frame(h2::kData, h2::kPadded | h2::kEndStream, stream, "\x02hi" + std::string(2, '\0'))));
  EXPECT_EQ(client->finish(stream).body, "hi");
}

TEST_P(H2StrictTest, RequestsInPiecesAreTheSameRequests) {
  start_pair();
  AnyClient any = client();
  H2Client* const client = &any.h2();
  for (std::size_t piece = 1; piece < 40; piece += 3) {
    const std::uint32_t stream = client->take_stream();
    H2Client::Ask ask{.method = "POST", .target = "/echo", .end = false};
    const std::string frames = h2::headers(stream, H2Client::request_fields(ask), false) +
                               h2::data(stream, "hello") + h2::data(stream, " you", true);
    ASSERT_TRUE(client->send_in_pieces(frames, piece)) << piece;
    EXPECT_EQ(client->finish(stream).body, "hello you") << piece;
  }
}

}  // namespace
}  // namespace sluice::integration
