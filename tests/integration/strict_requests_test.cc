// Requests that have been read in two ways by somebody, byte for byte, against the real binary:
// each is refused with the answer below and no whole request of it reaches a server, of whichever
// HTTP version; or it goes on as exactly one request that nobody can misread.
#include "tests/integration/pair_test.h"

namespace sluice::integration {
namespace {

using harness::RecordedRequest;
using std::string_literals::operator""s;
using testing::HasSubstr;

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";
const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

struct Refusal {
  const char* name;
  std::string bytes;
  int status;
};

class StrictRequestsTest : public PairTest {
 protected:
  // What the server may see of a request that is refused: nothing, or where it is the body that is
  // wrong, one that is cut.
  enum class Seen { nothing, cut };

  void start_strict() {
    start_pair(
        {.workers = 1, .limits = "body_bytes = 1000", .listener = "protocols = [\"http/1.1\"]\n"});
  }

  // The answer, the connection's end, nothing whole at the server, and the next client is served.
  void expect_refused(const Refusal& c, Seen seen = Seen::nothing) {
    SCOPED_TRACE(c.name);
    origin_.forget();
    auto client = connect();
    client->send(c.bytes);
    const Response response = client->read_response();
    EXPECT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(response.status, c.status) << response.summary();
    EXPECT_THAT(response.field("Proxy-Status"), HasSubstr("sluice"));
    EXPECT_FALSE(response.fields.has("X-Backend"));
    EXPECT_NE(client->wait_for_end(), Ending::open);
    EXPECT_EQ(get("/bytes/3").body_size, 3u);
    EXPECT_EQ(origin_.requests_count(), 1u) << "only the next one reached a server";
    if (seen == Seen::nothing) {
      EXPECT_EQ(origin_.incomplete_count(), 0u) << "a part of it reached the server";
    }
  }

  void expect_all_refused(const std::vector<Refusal>& cases, Seen seen = Seen::nothing) {
    start_strict();
    for (const Refusal& c : cases) expect_refused(c, seen);
  }
};

INSTANTIATE_TEST_SUITE_P(Each, StrictRequestsTest, testing::ValuesIn(plain_pairs_from(false)),
                         pair_name);

TEST_P(StrictRequestsTest, LengthsThatContradict) {
  const std::string body = "0\r\n\r\n" + kSmuggled;
  expect_all_refused({
      {"CL.TE", kPost + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400},
      {"TE.CL", kPost + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + body, 400},
      {"CL.0 TE", kPost + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + body, 400},
      {"CL.TE, both odd", kPost + "Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\n" + body, 400},
      {"CL.CL", kPost + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400},
      {"CL.CL, equal", kPost + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
      {"CL.CL, names by case", kPost + "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello", 400},
      {"CL list", kPost + "Content-Length: 5, 6\r\n\r\nhello!", 400},
      {"CL list, equal", kPost + "Content-Length: 5, 5\r\n\r\nhello", 400},
      {"CL list, empty part", kPost + "Content-Length: 5,\r\n\r\nhello", 400},
      {"CL on GET and TE", kGet + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
       400},
      {"TE in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body, 400},
      {"TE in 1.0, kept alive",
       "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: "
       "chunked\r\n\r\n" +
           body,
       400},
      {"TRACE with a body", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 400},
  });
}

TEST_P(StrictRequestsTest, ContentLengthsInEverySpelling) {
  std::vector<Refusal> cases;
  for (const char* value : {"+5", "-5", "0x5", "5x", "5 5", "5.0", "5e0", "1_0", "\"5\"", "", " ",
                            "five", "\xef\xbc\x95", "5;", "5\t", "18446744073709551621",
                            "99999999999999999999999999", "00000000000000000000000000005"}) {
    cases.push_back({value, kPost + "Content-Length: " + value + "\r\n\r\nhello", 400});
  }
  cases.push_back({"NUL", kPost + "Content-Length: 5\0\r\n\r\nhello"s, 400});
  cases.push_back({"VT",
                   kPost + "Content-Length:\x0b"
                           "5\r\n\r\nhello",
                   400});
  cases.push_back({"space before colon", kPost + "Content-Length : 5\r\n\r\nhello", 400});
  cases.push_back({"tab before colon", kPost + "Content-Length\t: 5\r\n\r\nhello", 400});
  cases.push_back({"underscore", kPost + "Content_Length: 5\r\n\r\nhello", 400});
  cases.push_back({"folded", kPost + "Content-Length:\r\n 5\r\n\r\nhello", 400});
  cases.push_back({"more than allowed", kPost + "Content-Length: 1001\r\n\r\n", 413});
  cases.push_back(
      {"huge, allowed digits", kPost + "Content-Length: 9223372036854775807\r\n\r\n", 413});
  expect_all_refused(cases);
}

TEST_P(StrictRequestsTest, TransferEncodingsInEverySpelling) {
  const std::string end = "\r\n\r\n0\r\n\r\n" + kSmuggled;
  std::vector<Refusal> cases;
  for (const char* value : {"xchunked",
                            "chunkedx",
                            "chunked,",
                            ",chunked",
                            "chunked,,",
                            "chunked, chunked",
                            "chunked, identity",
                            "chunked, gzip",
                            "identity",
                            "gzip",
                            "cow",
                            "",
                            " ",
                            "\"chunked\"",
                            "'chunked'",
                            "chunked;q=1",
                            "chunked foo",
                            "ch unked",
                            "chunked\t",
                            "\tchunked",
                            "chun\x80ked",
                            "[chunked]",
                            "chunked\x7f",
                            "\x0b"
                            "chunked",
                            "\x0c"
                            "chunked",
                            "chunked\x0b"}) {
    cases.push_back({value, kPost + "Transfer-Encoding: " + value + end, 400});
  }
  for (const char* value :
       {"gzip, chunked", "identity, chunked", "identity,chunked", "x, y, chunked"}) {
    cases.push_back({value, kPost + "Transfer-Encoding: " + value + end, 501});
  }
  for (const char* line :
       {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: x\r\ntransfer-encoding: chunked", "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
        "\tTransfer-Encoding: chunked", "X: y\r\n Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunk\r\n ed", "Transfer_Encoding: chunked",
        "Transfer-Encoding\x0b: chunked", "\x0bTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
        "\"Transfer-Encoding\": chunked",
        "Transfer\x80"
        "Encoding: chunked"}) {
    cases.push_back({line, kPost + line + end, 400});
  }
  expect_all_refused(cases);
}

TEST_P(StrictRequestsTest, ChunksInEverySpelling) {
  std::vector<Refusal> cases;
  for (const char* chunk : {"+5\r\nhello\r\n",
                            "-5\r\nhello\r\n",
                            "0x5\r\nhello\r\n",
                            "5 \r\nhello\r\n",
                            "5\t\r\nhello\r\n",
                            " 5\r\nhello\r\n",
                            "\r\n5\r\nhello\r\n",
                            "5h\r\nhello\r\n",
                            "5,\r\nhello\r\n",
                            "g\r\nhello\r\n",
                            "\r\nhello\r\n",
                            "0000000000000000000000000000000000000005\r\nhello\r\n",
                            "00000000000000005\r\nhello\r\n",
                            "10000000000000005\r\nhello\r\n",
                            "ffffffffffffffff\r\nhello\r\n",
                            "8000000000000005\r\nhello\r\n",
                            "5\nhello\r\n",
                            "5\r\nhello\n",
                            "5\r\nhello\r",
                            "5\r\nhello",
                            "5\rhello\r\n",
                            "5\r\r\nhello\r\n",
                            "5\r\nhello!\r\n",
                            "5\r\nhell\r\n",
                            "5\r\nhello\r\n\r\n",
                            "5;\r\nhello\r\n",
                            "5;a\nhello\r\n",
                            "5 ;a\r\nhello\r\n",
                            "5;a \r\nhello\r\n",
                            "5; a\r\nhello\r\n",
                            "5;a=\r\nhello\r\n",
                            "5;=b\r\nhello\r\n",
                            "5;a=\"b\r\nhello\r\n",
                            "5;a\rb\r\nhello\r\n",
                            "5;a\x01\r\nhello\r\n",
                            "5;a=\"\x7f\"\r\nhello\r\n"}) {
    cases.push_back({chunk, kChunked + chunk + "0\r\n\r\n" + kSmuggled, 400});
  }
  cases.push_back({"NUL", kChunked + "5\0\r\nhello\r\n0\r\n\r\n"s, 400});
  cases.push_back({"last, LF", kChunked + "5\r\nhello\r\n0\n\n", 400});
  cases.push_back({"last, LF after", kChunked + "5\r\nhello\r\n0\r\n\n", 400});
  cases.push_back({"long extension", kChunked + "5;a=" + std::string(2000, 'x'), 400});
  std::string extensions = kChunked;
  for (int count = 0; count < 20; ++count) {
    extensions += "a;x=" + std::string(900, 'x') + "\r\n0123456789\r\n";
  }
  cases.push_back({"many extensions", extensions, 400});
  cases.push_back(
      {"more than allowed", kChunked + "3e9\r\n" + std::string(1001, 'x') + "\r\n0\r\n\r\n", 413});
  expect_all_refused(cases, Seen::cut);
}

TEST_P(StrictRequestsTest, TinyChunksWithoutEnd) {
  start_pair({.workers = 1});
  std::string bytes = kChunked;
  for (int count = 0; count < 9000; ++count) bytes += "1\r\nx\r\n";
  expect_refused({"tiny chunks", bytes, 400}, Seen::cut);
}

TEST_P(StrictRequestsTest, TrailersThatBelongInAHead) {
  std::vector<Refusal> cases;
  for (const char* line : {"Content-Length: 5",
                           "Transfer-Encoding: chunked",
                           "Host: b",
                           "Connection: close",
                           "Authorization: Basic x",
                           "Cookie: a=b",
                           "X-Forwarded-For: 1.2.3.4",
                           "X-Forwarded-Proto: https",
                           "X-Forwarded-Port: 1",
                           "X-Real-IP: 1.2.3.4",
                           "Forwarded: for=x",
                           "Proxy-Authorization: x",
                           "TE: trailers",
                           "Trailer: x",
                           "Upgrade: x",
                           "Content-Type: a/b",
                           "Expect: 100-continue",
                           "Max-Forwards: 1",
                           "Range: bytes=0-",
                           "If-Match: x",
                           "Content_Length: 5",
                           "X : y",
                           " folded: x",
                           "no colon",
                           "X: a\x01",
                           "X: a\rb"}) {
    cases.push_back({line, kChunked + "5\r\nhello\r\n0\r\n" + line + "\r\n\r\n", 400});
  }
  cases.push_back({"LF", kChunked + "0\r\nX: y\n\r\n", 400});
  cases.push_back({"many",
                   kChunked + "0\r\n" +
                       [] {
                         std::string lines;
                         for (int count = 0; count < 101; ++count) lines += "X: y\r\n";
                         return lines;
                       }() +
                       "\r\n",
                   431});
  expect_all_refused(cases, Seen::cut);
}

TEST_P(StrictRequestsTest, BytesThatDoNotBelong) {
  std::vector<Refusal> cases = {
      {"bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"LF after request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
      {"LF after field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
      {"LF ends the head", kGet + "\n", 400},
      {"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400},
      {"CR ends a line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
      {"two empty lines before", "\r\n\r\n" + kGet + "\r\n", 400},
      {"LF before", "\n" + kGet + "\r\n", 400},
      {"space before", " " + kGet + "\r\n", 400},
      {"obs-fold", kGet + "X: y\r\n z\r\n\r\n", 400},
      {"obs-fold, tab", kGet + "X: y\r\n\tz\r\n\r\n", 400},
      {"folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"empty name", kGet + ": y\r\n\r\n", 400},
      {"no colon", kGet + "XY\r\n\r\n", 400},
      {"space in name", kGet + "X Y: z\r\n\r\n", 400},
      {"non-ASCII name", kGet + "X\xc3\xa9: z\r\n\r\n", 400},
      {"NUL in name", kGet + "X\0Y: z\r\n\r\n"s, 400},
  };
  for (int byte = 0; byte <= 0x7f; ++byte) {
    if (byte == '\t' || byte == '\n' || (byte >= 0x20 && byte < 0x7f)) continue;
    static std::map<int, std::string> names;
    names[byte] = "control byte " + std::to_string(byte);
    cases.push_back({names[byte].c_str(),
                     kGet + "X: a" + std::string(1, static_cast<char>(byte)) + "b\r\n\r\n", 400});
  }
  for (const char* name : {"X(", "X)", "X<", "X>", "X@", "X,", "X;", "X\\", "X\"", "X/", "X[", "X]",
                           "X?", "X=", "X{", "X}", "X\x7f", "X\x1b"}) {
    cases.push_back({name, kGet + name + ": y\r\n\r\n", 400});
  }
  expect_all_refused(cases);
}

TEST_P(StrictRequestsTest, RequestLinesInEveryForm) {
  std::vector<Refusal> cases;
  for (const char* line : {"GET  / HTTP/1.1",
                           "GET /  HTTP/1.1",
                           "GET / HTTP/1.1 ",
                           "GET\t/ HTTP/1.1",
                           "GET /\tHTTP/1.1",
                           "GET / HTTP/1.1\t",
                           "GET / a HTTP/1.1",
                           "GET /",
                           "GET",
                           "GET / ",
                           "GET HTTP/1.1",
                           "GET / HTTP/1.10",
                           "GET / HTTP/01.1",
                           "GET / HTTP/1",
                           "GET / HTTP/1.1.1",
                           "GET / http/1.1",
                           "GET / HTTP /1.1",
                           "GET / HTTPS/1.1",
                           "GET /\x0bHTTP/1.1",
                           "G ET / HTTP/1.1",
                           "G\x80T / HTTP/1.1",
                           "G(T / HTTP/1.1",
                           "\x1bGET / HTTP/1.1",
                           "GET /#f HTTP/1.1",
                           "GET /a?b#f HTTP/1.1",
                           "GET /\x80 HTTP/1.1",
                           "GET /\xc3\xa9 HTTP/1.1",
                           "GET /?\xff HTTP/1.1",
                           "GET /\x01 HTTP/1.1",
                           "GET /\x7f HTTP/1.1",
                           "GET /a\"b HTTP/1.1",
                           "GET /<a> HTTP/1.1",
                           "GET /%zz HTTP/1.1",
                           "GET /% HTTP/1.1",
                           "GET /%00 HTTP/1.1",
                           "GET /a%2Fb HTTP/1.1",
                           "GET /a%5cb HTTP/1.1",
                           "GET /a\\b HTTP/1.1",
                           "GET /../a HTTP/1.1",
                           "GET /%2e%2E/a HTTP/1.1",
                           "GET /a/..;/b HTTP/1.1",
                           "GET /a/..%3bx HTTP/1.1",
                           "GET a HTTP/1.1",
                           "GET ?a HTTP/1.1",
                           "GET * HTTP/1.1",
                           "GET a:80 HTTP/1.1",
                           "GET //a@b:x HTTP/1.1 x",
                           "GET http:// HTTP/1.1",
                           "GET http:///a HTTP/1.1",
                           "GET http:/a HTTP/1.1",
                           "GET ftp://a/ HTTP/1.1",
                           "GET file:///etc HTTP/1.1",
                           "GET javascript:x HTTP/1.1",
                           "GET ws://a/ HTTP/1.1",
                           "GET http://u@a/ HTTP/1.1",
                           "GET http://u:p@a/ HTTP/1.1",
                           "GET http://@a/ HTTP/1.1",
                           "GET http://a:/ HTTP/1.1",
                           "GET http://a:0/ HTTP/1.1",
                           "GET http://a:65536/ HTTP/1.1",
                           "GET http://a:-1/ HTTP/1.1",
                           "GET http://a:99999999999/ HTTP/1.1",
                           "GET http://a:8o/ HTTP/1.1",
                           "GET http://[::1/ HTTP/1.1",
                           "GET http://[g]/ HTTP/1.1",
                           "GET http://a%41/ HTTP/1.1",
                           "GET http://a/#f HTTP/1.1",
                           "GET http://a/../.. HTTP/1.1",
                           "GET http://b/ HTTP/1.1",
                           "GET http://a:80/ HTTP/1.1",
                           "GET http://a.b/ HTTP/1.1"}) {
    cases.push_back({line, std::string(line) + "\r\nHost: a\r\n\r\n", 400});
  }
  cases.push_back({"NUL in target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s, 400});
  for (const char* line :
       {"GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/9.9"}) {
    cases.push_back({line, std::string(line) + "\r\nHost: a\r\n\r\n", 505});
  }
  cases.push_back({"long", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414});
  cases.push_back({"no HTTP/0.9", "GET /\r\n", 400});
  expect_all_refused(cases);
}

TEST_P(StrictRequestsTest, HostsInEveryForm) {
  std::vector<Refusal> cases = {
      {"missing", "GET / HTTP/1.1\r\n\r\n", 400},
      {"missing, absolute form", "GET http://a/ HTTP/1.1\r\n\r\n", 400},
      {"two", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"two, equal", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
      {"two, absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"two in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"NUL", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"s, 400},
      {"space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"folded", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400},
      {"too long", "GET / HTTP/1.1\r\nHost: " + std::string(256, 'a') + "\r\n\r\n", 400},
  };
  for (const char* host : {"",        " ",        "a b",
                           "a,b",     "a, b",     "a/b",
                           "a?b",     "a#b",      "a@b",
                           "u:p@a",   "a\\b",     "a:b",
                           "a:",      ":80",      "a:0",
                           "a:65536", "a:-1",     "a:080808",
                           "a:80:80", "http://a", "[::1",
                           "::1",     "[]",       "[::1]x",
                           "[::1]:x", "[v1.x]",   "[fe80::1%25eth0]",
                           "a%41",    "a%00",     "\xc3\xa9",
                           "a\x7f",   "a\"",      "<a>",
                           "a;b",     "a=b",      "$a",
                           "(a)",     "a|b"}) {
    cases.push_back({host, "GET / HTTP/1.1\r\nHost: "s + host + "\r\n\r\n", 400});
  }
  expect_all_refused(cases);
}

TEST_P(StrictRequestsTest, ConnectionNamesNothingThatMatters) {
  std::vector<Refusal> cases;
  for (const char* name :
       {"Host", "Content-Length", "Transfer-Encoding", "Authorization", "Cookie", "X-Forwarded-For",
        "X-Forwarded-Proto", "Forwarded", "Via", "Content-Type", "Expect", "X-Request-Id"}) {
    cases.push_back({name, kGet + "Connection: " + name + "\r\n\r\n", 400});
    cases.push_back({name, kGet + "Connection: close, " + name + "\r\n\r\n", 400});
  }
  cases.push_back({"no token", kGet + "Connection: a b\r\n\r\n", 400});
  cases.push_back({"quoted", kGet + "Connection: \"close\"\r\n\r\n", 400});
  expect_all_refused(cases);
}

TEST_P(StrictRequestsTest, WhatIsNoHttpAtAll) {
  expect_all_refused({
      {"text", "hello\r\n\r\n", 400},
      {"JSON", "{\"a\": 1}\r\n", 400},
      {"NULs", std::string(64, '\0'), 400},
      {"high bytes without a line end", std::string(64, '\xff'), 400},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n", 400},
      {"SOCKS5", "\x05\x01\x00"s, 400},
      {"PROXY v1 where none is expected", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + kGet + "\r\n",
       400},
      {"PROXY v2 where none is expected", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"s, 400},
      {"TLS handshake on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, 400},
      {"SSLv2 hello", "\x80\x2e\x01\x03\x01"s, 400},
      {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"a response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400},
      {"unknown expectation", kPost + "Expect: magic\r\nContent-Length: 5\r\n\r\nhello", 417},
  });
}

TEST_P(StrictRequestsTest, ConnectAndWhatFollowsItReachNobody) {
  expect_all_refused({
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405},
      {"with early data", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + kSmuggled, 405},
      {"without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"with a path", "CONNECT a:443/x HTTP/1.1\r\nHost: a:443\r\n\r\n", 400},
      {"with a URI", "CONNECT http://a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 400},
      {"Host differs", "CONNECT b:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 400},
  });
}

struct Clean {
  const char* name;
  std::string bytes;
  std::string target;               // as the server sees it
  std::vector<const char*> absent;  // fields that it must not see
};

TEST_P(StrictRequestsTest, WhatIsTakenArrivesAsOneCleanRequest) {
  start_pair({.workers = 1});
  const Clean cases[] = {
      {"plain", kGet + "\r\n", "/", {}},
      {"one empty line before", "\r\n" + kGet + "\r\n", "/", {}},
      {"absolute form", "GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x?y", {}},
      {"absolute form, case", "GET HTTP://A/x HTTP/1.1\r\nHost: a\r\n\r\n", "/x", {}},
      {"absolute form, no path", "GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n", "/?y", {}},
      {"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", {}},
      {"1.0 without Host", "GET /x HTTP/1.0\r\n\r\n", "/x", {}},
      {"dots", "GET /a/./b/../c HTTP/1.1\r\nHost: a\r\n\r\n", "/a/c", {}},
      {"encoded dots", "GET /a/%2e%2E/%63 HTTP/1.1\r\nHost: a\r\n\r\n", "/c", {}},
      {"slashes", "GET //a///b// HTTP/1.1\r\nHost: a\r\n\r\n", "/a/b/", {}},
      {"parameters", "GET /a;x=1/b;y HTTP/1.1\r\nHost: a\r\n\r\n", "/a;x=1/b;y", {}},
      {"encodings",
       "GET /%e2%82%ac%7e%252e?%7e%2f HTTP/1.1\r\nHost: a\r\n\r\n",
       "/%E2%82%AC~%252e?%7e%2f",
       {}},
      {"h2c upgrade",
       kGet + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
              "AAMAAABk\r\n\r\n",
       "/",
       {"Upgrade", "HTTP2-Settings"}},
      {"Connection names a field",
       kGet + "Connection: X-Foo\r\nX-Foo: bar\r\n\r\n",
       "/",
       {"X-Foo"}},
      {"fields of the hop",
       kGet + "Keep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nTE: gzip\r\n\r\n",
       "/",
       {"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE"}},
      {"chunk extensions",
       kChunked + "5;a=b;c=\"d e\"\r\nhello\r\n00\r\nX-Sum: 1\r\n\r\n",
       "/",
       {}},
  };
  for (const Clean& c : cases) {
    SCOPED_TRACE(c.name);
    origin_.forget();
    auto client = connect();
    ASSERT_TRUE(client->send(c.bytes));
    EXPECT_EQ(client->read_response().status, 200);
    const std::vector<RecordedRequest> seen = origin_.requests();
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].target, c.target);
    for (const char* name : c.absent) EXPECT_FALSE(seen[0].fields.has(name)) << name;
  }
  EXPECT_EQ(origin_.requests()[0].body, "hello");
  EXPECT_EQ(origin_.requests()[0].trailers.get("X-Sum"), "1");
}

// Nor what the server sees.
TEST_P(StrictRequestsTest, NoCutChangesAVerdict) {
  start_pair({.workers = 1});
  const struct {
    std::string bytes;
    int status;
    Seen seen = Seen::nothing;
  } cases[] = {
      {"POST /a/../b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
       "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
       200},
      {kPost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {kChunked + "5\nhello\r\n0\r\n\r\n", 400, Seen::cut},
      {kGet + "X: y\n\r\n", 400},
      {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.bytes);
    origin_.forget();
    for (std::size_t at = 1; at < c.bytes.size(); ++at) {
      auto client = connect();
      client->send(c.bytes.substr(0, at));
      client->send(c.bytes.substr(at));
      EXPECT_EQ(client->read_response().status, c.status) << "cut at " << at;
    }
    EXPECT_EQ(get("/last").status, 200);
    const std::vector<RecordedRequest> requests = origin_.requests();
    ASSERT_EQ(requests.size(), c.status == 200 ? c.bytes.size() : 1);
    EXPECT_EQ(requests.back().target, "/last");
    for (std::size_t i = 0; i + 1 < requests.size(); ++i) {
      EXPECT_EQ(requests[i].target, "/b");
      EXPECT_EQ(requests[i].body, "hello");
    }
    if (c.seen == Seen::nothing) {
      EXPECT_EQ(origin_.incomplete_count(), 0u);
    }
  }
}

}  // namespace
}  // namespace sluice::integration
