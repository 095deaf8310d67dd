// What HTTP/2 clients may not send: exact frames, the verdict, and a server that saw nothing of it.
#include "tests/harness/h2_client.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::H2Client;
namespace h2 = harness::h2;

using Lines = std::vector<std::pair<std::string, std::string>>;

// A request's fields: `pseudo` in the place of the usual four where it isn't empty, then `more`.
struct BadHead {
  const char* name;
  Lines more;
  Lines pseudo = {};
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
      {"FragmentInPath", {}, usual_but(":path", "/#x")},
      {"HighByteInPath", {}, usual_but(":path", "/\xff")},
      {"StarForGet", {}, usual_but(":path", "*")},
      {"AbsolutePath", {}, usual_but(":path", "http://localhost/")},
      {"EmptyAuthority", {}, usual_but(":authority", "")},
      {"SpaceInAuthority", {}, usual_but(":authority", "local host")},
      {"CrLfInAuthority", {}, usual_but(":authority", "localhost\r\nX: y")},
      {"UserinfoInAuthority", {}, usual_but(":authority", "me@localhost")},
      {"PathInAuthority", {}, usual_but(":authority", "localhost/x")},
      {"PortTooLarge", {}, usual_but(":authority", "localhost:65536")},
      {"TwoAuthorities", {}, usual_but(":authority", "localhost, evil")},
      {"ForeignScheme", {}, usual_but(":scheme", "ftp")},
      {"CrLfInScheme", {}, usual_but(":scheme", "http\r\nX: y")},
      {"HostAgainstAuthority", {{"host", "evil.example"}}},
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

class H2StrictTest : public SluiceTest {
 protected:
  void SetUp() override { start({.listener = "protocols = [\"http/1.1\", \"h2\"]"}); }

  std::unique_ptr<H2Client> connect_h2() {
    auto client = H2Client::connect(sluice_->endpoint("http"));
    EXPECT_TRUE(client) << client.error();
    return client ? std::move(*client) : nullptr;
  }
  // The proxy turned it down: a 4xx or 5xx of its own, RST_STREAM, GOAWAY or a close.
  void expect_refused(const harness::H2Response& response, std::string_view what) {
    EXPECT_NE(response.outcome, Outcome::timed_out) << what;
    EXPECT_NE(response.outcome, Outcome::malformed) << what << ": " << response.summary();
    if (response.status != 0) {
      EXPECT_GE(response.status, 400) << what << ": " << response.summary();
    } else if (response.reset_code) {
      EXPECT_NE(*response.reset_code, +h2::kInternalError) << what;
    }
  }
  // Nothing of it has come to a server; others are served.
  void expect_unseen(std::string_view what) {
    EXPECT_EQ(blue_.counts().requests, 0u) << what;
    EXPECT_EQ(blue_.counts().incomplete_requests, 0u) << what;
    EXPECT_EQ(connect_h2()->get("/").status, 200) << what;
    blue_.forget();
  }
};

class H2StrictHeadTest : public H2StrictTest, public testing::WithParamInterface<BadHead> {};

TEST_P(H2StrictHeadTest, IsRefused) {
  const BadHead& bad = GetParam();
  Fields fields{.lines = bad.pseudo.empty() ? usual() : bad.pseudo};
  fields.lines.insert(fields.lines.end(), bad.more.begin(), bad.more.end());
  const std::string section = h2::section(fields);
  // Whole, byte by byte, and cut into CONTINUATIONs at every byte.
  for (const int how : {0, 1, 2}) {
    auto client = connect_h2();
    const std::uint32_t stream = client->take_stream();
    std::string frames = h2::headers(stream, fields, true);
    if (how == 2 && section.size() > 8) {
      const std::size_t middle = section.size() / 2;
      frames = h2::frame(h2::kHeaders, h2::kEndStream, stream, section.substr(0, middle)) +
               h2::frame(h2::kContinuation, h2::kEndHeaders, stream, section.substr(middle));
    }
    client->send_in_pieces(frames, how == 1 ? 1 : frames.size());
    expect_refused(client->finish(stream), bad.name);
    // It is the request that is bad: those beside it don't suffer.
    if (client->ending() == Ending::open && !client->go_away()) {
      const harness::H2Response next = client->get("/");
      EXPECT_EQ(next.status, 200) << bad.name << ", sent in way " << how << ": " << next.summary();
      blue_.forget();
    }
  }
  expect_unseen(bad.name);
}

INSTANTIATE_TEST_SUITE_P(Bad, H2StrictHeadTest, testing::ValuesIn(bad_heads()),
                         [](const auto& each) { return each.param.name; });

// Frames behind a good head of a POST on stream 1, or whatever stands in its place.
struct BadFrames {
  const char* name;
  std::string frames;
  bool ends_connection = false;
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
      {"DataBeyondLength", h2::data(1, "four", true), false, true, {{"content-length", "2"}}},
      {"DataShortOfLength", h2::data(1, "four", true), false, true, {{"content-length", "9"}}},
      {"DataOverTwoFramesBeyondLength",
       h2::data(1, "ab") + h2::data(1, "c", true),
       false,
       true,
       {{"content-length", "2"}}},
      {"PseudoInTrailers", trailers_with_pseudo},
      {"UpperCaseInTrailers", trailers("X-Up", "a")},
      {"CrLfInTrailers", trailers("x", "a\r\nb")},
      {"ConnectionInTrailers", trailers("connection", "close")},
      {"TransferEncodingInTrailers", trailers("transfer-encoding", "chunked")},
      {"TrailersThatGoOn", h2::data(1, "x") + h2::headers(1, Fields{.lines = {{"x", "y"}}}, false)},
      {"TwoHeads", h2::headers(1, H2Client::request_fields({}), true)},
      {"PaddingBeyondTheFrame", h2::frame(h2::kData, h2::kPadded, 1, "\x09xy"), true},
      {"DataOnStreamZero", h2::data(0, "x"), true},
      {"DataOnAnIdleStream", h2::data(99, "x"), true, false},
      {"HeadersOnStreamZero", h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 0, get),
       true, false},
      {"HeadersOnAnEvenStream", h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 2, get),
       true, false},
      {"ContinuationAlone", h2::frame(h2::kContinuation, h2::kEndHeaders, 1, get), true, false},
      {"DataWithinASection", h2::frame(h2::kHeaders, h2::kEndStream, 1, get) + h2::data(1, "x"),
       true, false},
      {"OtherStreamWithinASection",
       h2::frame(h2::kHeaders, h2::kEndStream, 1, get) +
           h2::frame(h2::kContinuation, h2::kEndHeaders, 3, ""),
       true, false},
      {"HpackBadIndex",
       h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, "\xff\xff\xff\xff\x0f"), true,
       false},
      {"HpackTableTooLarge",
       h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, "\x3f\xff\xff\x7f" + get), true,
       false},
      {"HpackCut", h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, get + '\x00'), true,
       false},
      {"PushPromise", h2::frame(h2::kPushPromise, h2::kEndHeaders, 1, h2::number(2) + get), true},
      {"FrameTooLarge", h2::data(1, std::string(20'000, 'x')), true},
      {"SettingsOnAStream", h2::frame(h2::kSettings, 0, 1), true, false},
      {"SettingsOfFiveBytes", h2::frame(h2::kSettings, 0, 0, "12345"), true, false},
      {"SettingsAckWithPayload", h2::frame(h2::kSettings, h2::kAck, 0, "123456"), true, false},
      {"SettingsHugeWindow", h2::settings({{h2::kInitialWindowSize, 0x8000'0000}}), true, false},
      {"SettingsSmallFrames", h2::settings({{h2::kMaxFrameSize, 16}}), true, false},
      {"SettingsPushOfTwo", h2::settings({{h2::kEnablePush, 2}}), true, false},
      {"PingOfSevenBytes", h2::frame(h2::kPing, 0, 0, "1234567"), true, false},
      {"PingOnAStream", h2::frame(h2::kPing, 0, 1, "12345678"), true, false},
      {"ResetOfAnIdleStream", h2::reset(99, h2::kCancel), true, false},
      {"ResetOfThreeBytes", h2::frame(h2::kResetStream, 0, 1, "123"), true},
      {"PriorityOfFourBytes", h2::frame(h2::kPriority, 0, 1, "1234")},
      {"WindowUpdateOfNothing", h2::window_update(1, 0)},
      {"WindowUpdateOfNothingForAll", h2::window_update(0, 0), true, false},
      {"WindowUpdateOverflow", h2::window_update(1, 0x7fff'ffff)},
      {"WindowUpdateOverflowForAll", h2::window_update(0, 0x7fff'ffff), true, false},
      {"WindowUpdateOfThreeBytes", h2::frame(h2::kWindowUpdate, 0, 0, "123"), true, false},
      {"GoAwayOnAStream", h2::frame(h2::kGoAway, 0, 1, std::string(8, '\0')), true, false},
      {"LowerStreamThanBefore",
       h2::headers(5, H2Client::request_fields({.target = "/hold"}), true) +
           h2::headers(3, H2Client::request_fields({}), true),
       true, false},
  };
}

class H2StrictFrameTest : public H2StrictTest, public testing::WithParamInterface<BadFrames> {};

TEST_P(H2StrictFrameTest, IsRefused) {
  const BadFrames& bad = GetParam();
  auto client = connect_h2();
  const std::uint32_t stream = client->take_stream();
  ASSERT_EQ(stream, 1u);
  if (bad.behind_head) {
    H2Client::Ask ask{.method = "POST", .target = "/upload", .end = false};
    ask.fields.lines = bad.more;
    ASSERT_TRUE(client->send(h2::headers(1, H2Client::request_fields(ask), false)));
  }
  client->send(bad.frames);
  if (bad.ends_connection) {
    EXPECT_TRUE(client->wait_until([&] { return client->ending() != Ending::open; })) << bad.name;
    if (client->go_away()) {
      EXPECT_NE(client->go_away()->code, +h2::kNoError) << bad.name;
      EXPECT_NE(client->go_away()->code, +h2::kInternalError) << bad.name;
    }
  } else {
    const harness::H2Response response = client->finish(1);
    EXPECT_NE(response.outcome, Outcome::timed_out) << response.summary();
    if (response.status != 0) {
      EXPECT_GE(response.status, 400) << response.summary();
    }
  }
  EXPECT_EQ(blue_.counts().requests, 0u) << "a whole request has come to a server";
  // What was begun there is cut, visibly.
  EXPECT_TRUE(wait_until([&] { return blue_.counts().held == 0; }));
  EXPECT_EQ(connect_h2()->get("/").status, 200);
}

INSTANTIATE_TEST_SUITE_P(Bad, H2StrictFrameTest, testing::ValuesIn(bad_frames()),
                         [](const auto& each) { return each.param.name; });

TEST_F(H2StrictTest, WhatBeginsLikeNeitherVersionIsRefused) {
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
  expect_unseen("a bad preface");
}

TEST_F(H2StrictTest, HeadsBeyondTheLimitsAreAnswered431OrCut) {
  struct {
    const char* what;
    Lines lines;
  } cases[] = {{"a huge field", {{"x", std::string(40'000, 'x')}}},
               {"many fields", Lines(200, {"x", "y"})},
               {"many crumbs", Lines(2000, {"cookie", "a=b"})},
               {"a huge name", {{std::string(40'000, 'x'), "y"}}}};
  for (const auto& test : cases) {
    auto client = connect_h2();
    Fields fields = H2Client::request_fields({});
    fields.lines.insert(fields.lines.end(), test.lines.begin(), test.lines.end());
    const std::uint32_t stream = client->take_stream();
    client->send(h2::headers(stream, fields, true));
    const harness::H2Response response = client->finish(stream);
    EXPECT_TRUE(response.status == 431 || response.reset_code || client->go_away())
        << test.what << ": " << response.summary();
  }
  expect_unseen("too large a head");
}

TEST_F(H2StrictTest, PaddingAndPriorityAreNoContent) {
  auto client = connect_h2();
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

TEST_F(H2StrictTest, RequestsInPiecesAreTheSameRequests) {
  auto client = connect_h2();
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
