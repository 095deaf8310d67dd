#include "tests/harness/strict_parser.h"

#include <gtest/gtest.h>

#include "tests/harness/pattern.h"

namespace sluice::harness {
namespace {

using Event = StrictParser::Event;
using Kind = StrictParser::Kind;

// Everything a parser says about `bytes`, as text, so that runs can be compared.
std::string verdict(Kind kind, std::string_view bytes, std::size_t split_at,
                    std::string_view method = "GET", bool end = false) {
  StrictParser parser(kind);
  parser.set_request_method(method);
  std::string said;
  std::string body;
  for (std::string_view part : {bytes.substr(0, split_at), bytes.substr(split_at)}) {
    while (true) {
      Event event = parser.next(part);
      if (event == Event::need_more) break;
      if (event == Event::head) said += "head ";
      if (event == Event::body) body += parser.body_part();
      if (event == Event::complete) said += "complete(" + std::exchange(body, "") + ") ";
      if (event == Event::failed) return said + "failed: " + parser.error();
    }
  }
  if (end) {
    Event event = parser.end_of_stream();
    if (event == Event::complete) said += "complete(" + body + ") ";
    if (event == Event::failed) said += "failed: " + parser.error();
  }
  return said;
}

struct Case {
  const char* name;
  std::string bytes;
  std::string says;  // a part of the verdict
};

void PrintTo(const Case& test, std::ostream* out) {
  *out << test.name;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

class StrictRequest : public testing::TestWithParam<Case> {};

TEST_P(StrictRequest, GetsTheSameVerdictHoweverItIsSplit) {
  const Case& test = GetParam();
  std::string whole = verdict(Kind::request, test.bytes, test.bytes.size());
  EXPECT_NE(whole.find(test.says), std::string::npos) << whole;
  for (std::size_t i = 0; i < test.bytes.size(); ++i) {
    ASSERT_EQ(verdict(Kind::request, test.bytes, i), whole) << "split at " << i;
  }
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kPost = "POST /x HTTP/1.1\r\nHost: a\r\n";

INSTANTIATE_TEST_SUITE_P(
    Accepted, StrictRequest,
    testing::Values(
        Case{"Get", kGet + "\r\n", "head complete() "},
        Case{"TwoPipelined", kGet + "\r\n" + kGet + "\r\n", "head complete() head complete() "},
        Case{"Length", kPost + "Content-Length: 5\r\n\r\nhello", "head complete(hello) "},
        Case{"LengthZero", kPost + "Content-Length: 0\r\n\r\n", "head complete() "},
        Case{"Chunked",
             kPost + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
             "head complete(hello0123456789) "},
        Case{"Trailers", kPost + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
             "head complete() "},
        Case{"ChunkExtension", kPost + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
             "head complete(x) "},
        Case{"OptionsStar", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "head complete() "},
        Case{"EscapesAndQuery", "GET /a%20b/c?d=e&f=%2F HTTP/1.1\r\nHost: a:80\r\n\r\n",
             "head complete() "},
        Case{"Ipv6Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "head complete() "},
        Case{"EmptyHost", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "head complete() "}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Refused, StrictRequest,
    testing::Values(
        Case{"BareLf", "GET / HTTP/1.1\nHost: a\n\n", "failed: a LF without a CR"},
        Case{"BareLfInField", kGet + "X: a\nY: b\r\n\r\n", "failed: a LF without a CR"},
        Case{"BareCr", kGet + "X: a\rb\r\n\r\n", "failed: a CR without a LF"},
        Case{"Nul", kGet + std::string("X: a\0b\r\n\r\n", 10), "failed: control bytes"},
        Case{"Delete", kGet + "X: a\x7f\r\n\r\n", "failed: control bytes"},
        Case{"ObsFold", kGet + "X: a\r\n b\r\n\r\n", "failed: a field line without a proper name"},
        Case{"SpaceBeforeColon", kGet + "X : a\r\n\r\n", "failed: a field line"},
        Case{"EmptyName", kGet + ": a\r\n\r\n", "failed: a field line"},
        Case{"NoColon", kGet + "Nonsense\r\n\r\n", "failed: a field line"},
        Case{"LeadingEmptyLine", "\r\n" + kGet + "\r\n", "failed: not a request line"},
        Case{"TwoSpaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "failed: the target"},
        Case{"SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "failed: the target"},
        Case{"Fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "failed: the target"},
        Case{"HalfEscape", "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", "failed: the target"},
        Case{"AbsoluteForm", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "failed: the target"},
        Case{"StarForGet", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "failed: the target"},
        Case{"Http10", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "failed: the version"},
        Case{"Http12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "failed: the version"},
        Case{"BadMethod", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "failed: the method"},
        Case{"NoHost", "GET / HTTP/1.1\r\n\r\n", "failed: 0 Host fields"},
        Case{"TwoHosts", kGet + "Host: a\r\n\r\n", "failed: 2 Host fields"},
        Case{"BadHost", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "failed: not a Host"},
        Case{"TwoLengths", kPost + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
             "failed: more than one"},
        Case{"LengthAndChunked",
             kPost + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             "failed: more than one"},
        Case{"LengthPlus", kPost + "Content-Length: +1\r\n\r\nx", "failed: not a Content-Length"},
        Case{"LengthList", kPost + "Content-Length: 1, 1\r\n\r\nx", "failed: not a Content-Length"},
        Case{"LengthEmpty", kPost + "Content-Length:\r\n\r\n", "failed: not a Content-Length"},
        Case{"LengthHuge", kPost + "Content-Length: 18446744073709551617\r\n\r\nx",
             "failed: not a Content-Length"},
        Case{"OtherCoding", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
             "failed: a transfer coding"},
        Case{"ChunkSizeNotHex", kPost + "Transfer-Encoding: chunked\r\n\r\ng\r\n",
             "failed: not a chunk size"},
        Case{"ChunkSizeHuge", kPost + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
             "failed: not a chunk size"},
        Case{"ChunkSizeSpace", kPost + "Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n",
             "failed: not a chunk extension"},
        Case{"ChunkTooLong", kPost + "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
             "failed: chunk data longer"},
        Case{"ChunkLf", kPost + "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
             "failed: a LF without"},
        Case{"TrailerLength",
             kPost + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n",
             "failed: a trailer field"},
        Case{"KeepAlive", kGet + "Keep-Alive: 5\r\n\r\n", "failed: the hop-by-hop field"},
        Case{"ProxyConnection", kGet + "Proxy-Connection: close\r\n\r\n",
             "failed: the hop-by-hop field"},
        Case{"TeNotListed", kGet + "TE: trailers\r\n\r\n", "failed: a TE field"},
        Case{"UpgradeNotListed", kGet + "Upgrade: websocket\r\n\r\n", "failed: an Upgrade field"},
        Case{"OtherExpectation", kGet + "Expect: 200-ok\r\n\r\n",
             "failed: an unknown expectation"}),
    case_name);

class StrictResponse : public testing::TestWithParam<Case> {};

TEST_P(StrictResponse, GetsTheSameVerdictHoweverItIsSplit) {
  const Case& test = GetParam();
  std::string whole = verdict(Kind::response, test.bytes, test.bytes.size(), "GET", true);
  EXPECT_NE(whole.find(test.says), std::string::npos) << whole;
  for (std::size_t i = 0; i < test.bytes.size(); ++i) {
    ASSERT_EQ(verdict(Kind::response, test.bytes, i, "GET", true), whole) << "split at " << i;
  }
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";

INSTANTIATE_TEST_SUITE_P(
    Accepted, StrictResponse,
    testing::Values(
        Case{"Length", kOk + "Content-Length: 2\r\n\r\nok", "head complete(ok) "},
        Case{"Chunked", kOk + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
             "head complete(ok) "},
        Case{"UntilClose", kOk + "\r\nall of this", "head complete(all of this) "},
        Case{"NoReason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "head complete() "},
        Case{"NoContent", "HTTP/1.1 204 No Content\r\n\r\n", "head complete() "},
        Case{"NotModifiedWithLength", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
             "head complete() "},
        Case{"ContinueFirst", "HTTP/1.1 100 Continue\r\n\r\n" + kOk + "Content-Length: 0\r\n\r\n",
             "head complete() head complete() "}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Refused, StrictResponse,
    testing::Values(
        Case{"NotHttp", "SSH-2.0\r\n\r\n", "failed: not a status line"},
        Case{"TwoDigits", "HTTP/1.1 20 OK\r\n\r\n", "failed: no three-digit status"},
        Case{"NoSpaceAfterStatus", "HTTP/1.1 200\r\n\r\n", "failed: no three-digit status"},
        Case{"FourDigits", "HTTP/1.1 2000 OK\r\n\r\n", "failed: no three-digit status"},
        Case{"Status999", "HTTP/1.1 999 Odd\r\n\r\n", "failed: a status outside"},
        Case{"LengthInNoContent", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
             "failed: Content-Length or Transfer-Encoding in a 204"},
        Case{"ChunkedInHttp10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             "failed: Transfer-Encoding in HTTP/1.0"},
        Case{"CutInHead", kOk + "Content-Le", "failed: the stream ended inside"},
        Case{"CutInBody", kOk + "Content-Length: 5\r\n\r\nhel", "failed: the stream ended inside"},
        Case{"CutInChunk", kOk + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
             "failed: the stream ended inside"},
        Case{"CutBeforeLastChunk", kOk + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
             "failed: the stream ended inside"}),
    case_name);

TEST(StrictParser, ResponseToHeadHasNoBodyWhateverItsLength) {
  std::string bytes = kOk + "Content-Length: 5\r\n\r\n" + kOk + "Content-Length: 5\r\n\r\n";
  EXPECT_EQ(verdict(Kind::response, bytes, 0, "HEAD"), "head complete() head complete() ");
}

TEST(StrictParser, KeepsFieldsAndTrailersAsTheyCame) {
  StrictParser parser(Kind::response);
  std::string_view bytes =
      "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX-A:  b\t\r\nx-a: c, close\r\n\r\n"
      "0\r\nX-T: 1\r\n\r\n";
  ASSERT_EQ(parser.next(bytes), Event::head);
  EXPECT_EQ(parser.head().reason, "Fine");
  EXPECT_EQ(parser.head().fields.all("X-A"), (std::vector<std::string>{"b", "c, close"}));
  EXPECT_TRUE(parser.head().fields.lists("X-A", "CLOSE"));
  EXPECT_FALSE(parser.says_close());
  ASSERT_EQ(parser.next(bytes), Event::complete);
  EXPECT_EQ(parser.trailers().get("x-t"), "1");
}

TEST(Pattern, KnowsALostDoubledOrMovedPiece) {
  std::string bytes = pattern(200'000, 7);
  EXPECT_TRUE(is_pattern(bytes, 7));
  EXPECT_TRUE(is_pattern(std::string_view(bytes).substr(100'000), 100'007));
  EXPECT_FALSE(is_pattern(bytes, 8));
  EXPECT_FALSE(is_pattern(bytes.substr(0, 1000) + bytes.substr(1001), 7));
  EXPECT_FALSE(is_pattern(bytes.substr(0, 65'536) + bytes.substr(0, 65'536), 7));
}

TEST(Digest, AgreesWithTheStandard) {
  EXPECT_EQ(Digest::of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Digest digest;
  digest.add("a");
  digest.add("bc");
  EXPECT_EQ(digest.hex(), Digest::of("abc"));
}

}  // namespace
}  // namespace sluice::harness
