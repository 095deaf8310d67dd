// What each kind of wrong input comes to, of a session that serves: an answer, a reset stream, or
// the end of the connection; and that it harms nothing else.
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
using testing::IsEmpty;

// RFC 9113 §8.5: nothing but DATA, once it is one.
TEST(H2Server, NoHeadersWithinATunnel) {
  for (const bool end : {true, false}) {
    Endpoint server;
    server.greet();
    server.take(
        wire::headers(1, fields_of({{":method", "CONNECT"}, {":authority", "db:5432"}}), false));
    server.stream(1).stream->send_response(section_of({{":status", "200"}}), false);
    server.settle();
    server.frames();
    server.take(wire::headers(1, fields_of({{"x-sum", "abc"}}), end));
    server.settle();
    EXPECT_THAT(server.frames(), ElementsAre("RST_STREAM 1 PROTOCOL_ERROR"));
    EXPECT_THAT(server.events(), HasSubstr("closed 1 PROTOCOL_ERROR by us"));
  }
}

// What came out but for what says nothing of the verdict.
std::string outcome(Endpoint& server) {
  std::string out;
  for (const std::string& told : server.frames()) {
    if (told.starts_with("WINDOW_UPDATE") || told.starts_with("SETTINGS")) continue;
    out += (out.empty() ? "" : "; ") + told;
  }
  return out;
}

struct Case {
  std::string bytes;
  std::string out;
  std::string heard;  // a part of what handlers heard
};

// What handlers heard but for data: of a body that breaks off more or less may have been handed on.
std::string without_data(const std::string& events) {
  std::string kept;
  for (std::size_t at = 0; at < events.size();) {
    const std::size_t end = std::min(events.find('\n', at), events.size());
    const std::string line = events.substr(at, end - at);
    if (!line.starts_with("data ")) kept += line + "\n";
    at = end + 1;
  }
  return kept;
}

// However the input is cut, the same comes out, and the same is heard.
void expect_case(const Case& c) {
  const auto run = [&](const std::vector<std::string_view>& pieces) {
    Endpoint server;
    server.greet();
    for (const std::string_view piece : pieces) server.take(piece);
    return outcome(server) + "\n" + without_data(server.events());
  };
  const std::string_view text = c.bytes;
  const std::string whole = run({text});
  EXPECT_THAT(whole, testing::StartsWith(c.out + "\n"));
  EXPECT_THAT(whole, HasSubstr(c.heard));
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    if (text.size() > 2000 && cut % 97 != 0) continue;
    ASSERT_EQ(run({text.substr(0, cut), text.substr(cut)}), whole) << cut;
  }
  if (text.size() > 2000) return;
  std::vector<std::string_view> bytes;
  for (std::size_t at = 0; at < text.size(); ++at) bytes.push_back(text.substr(at, 1));
  EXPECT_EQ(run(bytes), whole);
}

TEST(H2ServerRefuses, MalformedHeadsByReset) {
  const std::string reset = "RST_STREAM 1 PROTOCOL_ERROR";
  const auto head = [&](const Pairs& more, std::string reason) {
    return Case{get(1, more), reset, "refused 1 GET / 1 " + reason};
  };
  const auto pseudo = [&](std::size_t index, std::string value) {
    Fields fields = get_request();
    fields.lines[index].second = std::move(value);
    return wire::headers(1, fields, true);
  };
  Fields late = fields_of({{":method", "GET"}, {":scheme", "https"}, {"a", "b"}, {":path", "/"}});
  late.add(":authority", "h");
  const Case cases[] = {
      head({{"X-Upper", "a"}}, "malformed head"),
      head({{"", "a"}}, "empty field name"),
      head({{"a b", "a"}}, "white space in field name"),
      head({{"a:b", "a"}}, "colon in field name"),
      head({{"a\0b"s, "a"}}, "bad byte in field name"),
      head({{"a\r\nb", "a"}}, "bad byte in field name"),
      head({{"a", "b\r\nc: d"}}, "line end in field value"),
      head({{"a", "b\0"s}}, "NUL in field value"),
      head({{"a", "b\x7f"}}, "control byte in field value"),
      head({{"a", " b"}}, "white space around field value"),
      head({{"a", "b\t"}}, "white space around field value"),
      head({{"connection", "close"}}, "malformed head"),
      head({{"transfer-encoding", "chunked"}}, "malformed head"),
      head({{"upgrade", "websocket"}}, "malformed head"),
      head({{"http2-settings", "AAA"}}, "field of an HTTP/1 connection"),
      head({{"te", "gzip"}}, "malformed head"),
      head({{":status", "200"}}, "malformed head"),
      head({{":path", "/"}}, "malformed head"),
      head({{"content-length", "5"}}, "malformed head"),
      head({{"content-length", "+5"}}, "malformed head"),
      {wire::headers(1, late, true), reset, "refused 1 GET"},
      {pseudo(0, "G T"), reset, "refused 1"},
      {pseudo(1, "1"), reset, "refused 1"},
      {pseudo(2, "h\r\nx"), reset, "refused 1"},
      {pseudo(3, ""), reset, "refused 1"},
      {pseudo(3, "/a b"), reset, "refused 1"},
      {pseudo(3, "x"), reset, "refused 1"},
      {pseudo(3, "*"), reset, "refused 1"},
      {wire::headers(1, fields_of({{":method", "GET"}}), true), reset, "refused 1"},
      {wire::headers(1, {}, true), reset, "refused 1"},
  };
  for (const Case& c : cases) expect_case(c);
}

TEST(H2ServerRefuses, TargetsHostsAndLimitsByAnAnswer) {
  const auto answer = [](std::string status) { return "HEADERS 1 [:status|" + status + "] end"; };
  const auto path = [](std::string text) { return wire::headers(1, get_request(text), true); };
  const auto authority = [](std::string text) {
    Fields fields = get_request();
    fields.lines[2].second = std::move(text);
    return wire::headers(1, fields, true);
  };
  Pairs many;
  for (int i = 0; i < 200; ++i) many.emplace_back("cookie", "a");
  const Case cases[] = {
      {path("/a#b"), answer("400"), "refused 1 GET /a#b 400 fragment in request target"},
      {path("/%00"), answer("400"), "400 encoded NUL in request target"},
      {path("/" + std::string(9000, 'a')), answer("414"), "414 :path too long"},
      {authority("u@h"), answer("400"), "400 userinfo in :authority"},
      {authority("h:99999"), answer("400"), "400 malformed port"},
      {get(1, {{"host", "other"}}), answer("400"), "400 Host differs from :authority"},
      {get(1, {{"content_length", "5"}}), answer("400"), "400 field name disguises another"},
      {get(1, {{"expect", "x"}}), answer("417"), "417 unknown expectation"},
      {get(1, many), answer("431"), "431 too many fields"},
      {get(1, {{"a", std::string(9000, 'x')}}), answer("431"), "431 field line too long"},
      {get(1, {{"a", std::string(8000, 'x')},
               {"b", std::string(8000, 'x')},
               {"c", std::string(8000, 'x')},
               {"d", std::string(8000, 'x')},
               {"e", std::string(8000, 'x')}}),
       answer("431"), "431 fields too long in all"},
      {post(1, {{"host", "other"}}), answer("400") + "; RST_STREAM 1 NO_ERROR", "400 Host differs"},
  };
  for (const Case& c : cases) expect_case(c);
}

TEST(H2ServerRefuses, BodiesThatBelieTheirHead) {
  const std::string reset = "RST_STREAM 1 PROTOCOL_ERROR";
  const Pairs five{{"content-length", "5"}};
  const Case cases[] = {
      {post(1, five) + wire::data(1, "1234", true), reset, "closed 1 PROTOCOL_ERROR by us"},
      {post(1, five) + wire::data(1, "", true), reset, "closed 1 PROTOCOL_ERROR by us"},
      {post(1, five) + wire::data(1, "123456", true), reset, "closed 1 PROTOCOL_ERROR by us"},
      {post(1, five) + wire::data(1, "12345") + wire::data(1, "6"), reset,
       "closed 1 PROTOCOL_ERROR by us"},
      {post(1, five) + wire::data(1, "12") + wire::headers(1, fields_of({{"x", "y"}}), true), reset,
       "closed 1 PROTOCOL_ERROR by us"},
      {post(1) + wire::headers(1, fields_of({{"x", "y"}}), false), reset,
       "closed 1 PROTOCOL_ERROR"},
      {post(1) + wire::headers(1, fields_of({{":path", "/"}}), true), reset,
       "closed 1 PROTOCOL_ERROR"},
      {post(1) + wire::headers(1, fields_of({{"host", "x"}}), true), reset,
       "closed 1 PROTOCOL_ERROR by us: forbidden trailer field"},
      {post(1) + wire::headers(1, fields_of({{"x", "a\nb"}}), true), reset,
       "closed 1 PROTOCOL_ERROR by us: line end in field value"},
  };
  for (const Case& c : cases) expect_case(c);
}

TEST(H2ServerRefuses, ConnectionsThatBreakTheProtocol) {
  const std::string padded = wire::frame(wire::kData, wire::kPadded, 1, "\x0fshort");
  const std::string unfinished = wire::frame(wire::kHeaders, 0, 1, wire::section(get_request()));
  const Case cases[] = {
      {wire::data(0, "x"), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::data(1, "x"), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::headers(2, get_request(), true), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::headers(0, get_request(), true), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {get(5) + get(3), "GOAWAY 5 PROTOCOL_ERROR", "closed 5 PROTOCOL_ERROR"},
      {get(1) + wire::data(1, "x"), "GOAWAY 1 STREAM_CLOSED", "request 1"},
      {get(1) + get(1), "GOAWAY 1 STREAM_CLOSED", "request 1"},
      {wire::frame(wire::kContinuation, 4, 1, ""), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {unfinished + wire::frame(wire::kPing, 0, 0, "12345678"), "GOAWAY 1 PROTOCOL_ERROR", ""},
      {unfinished + wire::frame(wire::kContinuation, 4, 3, ""), "GOAWAY 1 PROTOCOL_ERROR", ""},
      {unfinished + wire::frame(0xee, 0, 0, "x"), "GOAWAY 1 PROTOCOL_ERROR", ""},
      {unfinished + wire::frame(0xee, 0, 1, "x"), "GOAWAY 1 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kHeaders, 4, 1, "\x40"), "GOAWAY 1 COMPRESSION_ERROR", ""},
      {wire::frame(wire::kHeaders, 4, 1, "\xff\xff\xff\xff\xff\xff"), "GOAWAY 1 COMPRESSION_ERROR",
       ""},
      {wire::frame(wire::kPing, 0, 0, "1234567"), "GOAWAY 0 FRAME_SIZE_ERROR", ""},
      {wire::frame(wire::kPing, 0, 1, "12345678"), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kSettings, 0, 0, "12345"), "GOAWAY 0 FRAME_SIZE_ERROR", ""},
      {wire::frame(wire::kSettings, 0, 1, ""), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kSettings, 1, 0, ""), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::settings({{wire::kEnablePush, 2}}), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::settings({{wire::kInitialWindowSize, 0x8000'0000}}), "GOAWAY 0 FLOW_CONTROL_ERROR",
       ""},
      {wire::settings({{wire::kMaxFrameSize, 100}}), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::window_update(0, 0), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::window_update(0, 0x7fff'ffff), "GOAWAY 0 FLOW_CONTROL_ERROR", ""},
      {wire::window_update(1, 1), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kWindowUpdate, 0, 0, "123"), "GOAWAY 0 FRAME_SIZE_ERROR", ""},
      {wire::reset(1, 8), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::reset(0, 8), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kPriority, 0, 1, "1234"), "GOAWAY 0 FRAME_SIZE_ERROR", ""},
      {wire::frame(wire::kPriority, 0, 0, "\0\0\0\1\x10"s), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kPriority, 0, 3, "\0\0\0\3\x10"s), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kPriority, 0, 3, "\x80\0\0\3\x10"s), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(wire::kPushPromise, 4, 1, "\0\0\0\2"s), "GOAWAY 0 PROTOCOL_ERROR", ""},
      {post(1) + padded, "GOAWAY 1 PROTOCOL_ERROR", "closed 1 PROTOCOL_ERROR"},
      {wire::frame(wire::kHeaders, wire::kPadded | 4, 1, "\xff" + wire::section(get_request())),
       "GOAWAY 0 PROTOCOL_ERROR", ""},
      {wire::frame(0xee, 0, 0, std::string(16'385, 'x')), "GOAWAY 0 FRAME_SIZE_ERROR", ""},
      {wire::frame(wire::kGoAway, 0, 1, "\0\0\0\0\0\0\0\0"s), "GOAWAY 0 PROTOCOL_ERROR", ""},
  };
  for (const Case& c : cases) expect_case(c);
}

TEST(H2ServerRefuses, FieldSectionsThatDoNotDecode) {
  const std::string good = wire::section(get_request());
  const std::pair<const char*, std::string> cases[] = {
      {"index 0", "\x80"},
      {"index beyond the tables", good + "\xff\x80\x01"},
      {"index without end", good + std::string(12, '\xff')},
      {"name by an index beyond the tables", good + "\x7f\x80\x01\x01x"},
      {"name cut off", good + "\x40\x05x"},
      {"value cut off", good + "\x40\x01x\x05y"},
      {"table larger than allowed", "\x3f\xe2\x1f" + good},
      {"table size behind fields", good + "\x20"},
      {"Huffman code of EOS", good + "\x40\x01x\x84\xff\xff\xff\xff"},
      {"Huffman padding of zeros", good + "\x40\x01x\x81\x00"s},
      {"Huffman padding of eight bits", good + "\x40\x01x\x82\x1f\xff"},
  };
  for (const auto& [name, block] : cases) {
    SCOPED_TRACE(name);
    expect_case({wire::frame(wire::kHeaders, 5, 1, block), "GOAWAY 1 COMPRESSION_ERROR", ""});
  }
}

// Sections that nobody answers keep the tables in step (RFC 9113 §4.3).
TEST(H2Server, RefusedSectionsAreDecodedAllTheSame) {
  Endpoint server;
  server.greet();
  const std::string literal = "\x40\x01x\x03yes"s;  // enters the table
  const std::string pseudo = wire::section(get_request());
  server.take(
      wire::frame(wire::kHeaders, 5, 1, pseudo + wire::section(fields_of({{"A", "b"}})) + literal));
  server.take(wire::frame(wire::kHeaders, 5, 3, pseudo + "\xbe"));
  EXPECT_THAT(server.events(), HasSubstr("request 3 GET / at 'h' body none [x|yes] complete"));
}

TEST(H2ServerRefuses, WhatComesBehindTheEndOfAStream) {
  for (const std::string& late :
       {wire::data(1, "x"), get(1), wire::headers(1, fields_of({{"x", "y"}}), true)}) {
    Endpoint server;
    server.greet();
    server.take(get(1));
    server.answer(1, "");
    server.settle();
    server.frames();
    EXPECT_FALSE(server.take(late));
    EXPECT_THAT(server.frames(), ElementsAre("GOAWAY 1 STREAM_CLOSED"));
  }
  // Of streams that the client has reset too.
  Endpoint server;
  server.greet();
  server.take(post(1) + wire::reset(1, 8));
  EXPECT_FALSE(server.take(wire::data(1, "x")));
  EXPECT_THAT(server.frames(), ElementsAre("GOAWAY 1 STREAM_CLOSED"));
}

TEST(H2ServerRefuses, ConnectionsThatAreNotHttp2) {
  for (const std::string& hello :
       {"GET / HTTP/1.1\r\nHost: h\r\n\r\n"s, std::string(wire::kPreface) + get(1),
        std::string(wire::kPreface) + wire::frame(wire::kSettings, wire::kAck, 0)}) {
    for (const bool bytewise : {false, true}) {
      Endpoint server;
      server.settle();
      server.frames();
      bool good = true;
      if (bytewise) {
        for (const char c : hello) good = server.take(std::string_view(&c, 1)) && good;
      } else {
        good = server.take(hello);
      }
      EXPECT_FALSE(good);
      EXPECT_THAT(server.frames(), ElementsAre("GOAWAY 0 PROTOCOL_ERROR"));
      EXPECT_FALSE(server.session.failure().empty());
      EXPECT_THAT(server.events(), IsEmpty());
    }
  }
}

// RFC 9113 §6.9.2 would have the connection end; nghttp2 ends the stream whose window it is.
TEST(H2Server, SettingsThatOverflowAWindowEndItsStream) {
  Endpoint server;
  server.greet();
  server.take(post(1) + wire::window_update(1, 0x7fff'ffff - 65'535) +
              wire::settings({{wire::kInitialWindowSize, 65'536}}));
  server.settle();
  EXPECT_THAT(server.frames(), testing::Contains("RST_STREAM 1 FLOW_CONTROL_ERROR"));
  EXPECT_THAT(server.events(), HasSubstr("closed 1 FLOW_CONTROL_ERROR"));
}

// Our RST_STREAM may go out while the rest of the section is still on its way.
TEST(H2Server, BadSectionThatIsCutHarmsNoRequestBehindIt) {
  const std::string bad = get(1, {{"x-evil", "a\r\nb"}, {"x-more", "and so on"}});
  for (std::size_t cut = 1; cut < bad.size(); ++cut) {
    Endpoint server;
    server.greet();
    EXPECT_TRUE(server.take(bad.substr(0, cut))) << cut;
    EXPECT_TRUE(server.take(bad.substr(cut))) << cut;
    (void)server.events();
    EXPECT_TRUE(server.take(get(3))) << cut << ": " << server.session.failure();
    EXPECT_THAT(server.events(), HasSubstr("request 3 GET /")) << cut;
  }
  Endpoint bytewise;
  bytewise.greet();
  for (const char byte : bad) EXPECT_TRUE(bytewise.take({&byte, 1}));
  EXPECT_TRUE(bytewise.take(get(3))) << bytewise.session.failure();
  EXPECT_THAT(bytewise.events(), HasSubstr("request 3 GET /"));
  const std::string section = wire::section(request_with({{"x-evil", "a\r\nb"}, {"x-more", "on"}}));
  for (std::size_t cut = 1; cut < section.size(); ++cut) {
    Endpoint server;
    server.greet();
    const std::string first =
        wire::frame(wire::kHeaders, wire::kEndStream, 1, section.substr(0, cut));
    const std::string rest =
        wire::frame(wire::kContinuation, wire::kEndHeaders, 1, section.substr(cut));
    for (const std::string& each : {first, rest}) EXPECT_TRUE(server.take(each)) << cut;
    (void)server.events();
    EXPECT_TRUE(server.take(get(3))) << cut << ": " << server.session.failure();
    EXPECT_THAT(server.events(), HasSubstr("request 3 GET /")) << cut;
  }
}

}  // namespace
}  // namespace sluice::h2
