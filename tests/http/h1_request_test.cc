#include <gmock/gmock.h>

#include <string>

#include "proxy/http/h1_head_parser.h"
#include "tests/http/split_verdict.h"

namespace sluice::http {
namespace {

using std::string_literals::operator""s;

std::string verdict(std::string_view text, const HeadLimits& limits = {}) {
  return verdict_however_split(text,
                               [&](const auto& pieces) { return request_verdict(pieces, limits); });
}

// The verdict on a request with this first line, and Host: h.
std::string line_verdict(const std::string& line) {
  return verdict(line + "\r\nHost: h\r\n\r\n");
}

// The verdict on a POST / with Host: h and this field line.
std::string field_verdict(const std::string& line) {
  return verdict("POST / HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n");
}

struct Case {
  std::string text;
  std::string verdict;
};

TEST(H1Request, WholeHeadIsRead) {
  EXPECT_EQ(
      verdict("GET /a/b?c=d HTTP/1.1\r\nHost: Example.COM:8080\r\nAccept:\t*/* \r\nX:\r\n\r\nrest"),
      "GET /a/b?c=d at 'example.com:8080' 1.1 body none keep "
      "[Host|Example.COM:8080][Accept|*/*][X|] after 67");
}

TEST(H1Request, AcceptedFirstLines) {
  const Case cases[] = {
      {"GET / HTTP/1.1", "GET / at 'h' 1.1 body none keep [Host|h] after 27"},
      {"GET / HTTP/1.0", "GET / at 'h' 1.0 body none close [Host|h] after 27"},
      {"get / HTTP/1.1", "get / at 'h' 1.1 body none keep [Host|h] after 27"},
      {"M!#$%&'*+-.^_`|~9 / HTTP/1.1",
       "M!#$%&'*+-.^_`|~9 / at 'h' 1.1 body none keep [Host|h] after 41"},
      {"OPTIONS * HTTP/1.1", "OPTIONS * at 'h' 1.1 body none keep [Host|h] after 31"},
      {"GET //a/../b;c=%2a%7e?%2f&[x]={|}^`\\ HTTP/1.1",
       "GET /b;c=%2A~?%2f&[x]={|}^`\\ at 'h' 1.1 body none keep [Host|h] after 58"},
      {"GET /|[]^!$&'()*+,;=:@ HTTP/1.1",
       "GET /|[]^!$&'()*+,;=:@ at 'h' 1.1 body none keep [Host|h] after 44"},
      {"GET http://h/x?y HTTP/1.1", "GET /x?y at 'h' 1.1 body none keep [Host|h] after 38"},
      {"GET HTTPS://H/ HTTP/1.1", "GET / at 'h' 1.1 body none keep [Host|h] after 36"},
      {"GET http://h//x/./%79/.. HTTP/1.1", "GET /x/ at 'h' 1.1 body none keep [Host|h] after 46"},
      {"GET http://h HTTP/1.1", "GET / at 'h' 1.1 body none keep [Host|h] after 34"},
      {"GET http://h?q HTTP/1.1", "GET /?q at 'h' 1.1 body none keep [Host|h] after 36"},
      {"OPTIONS http://h HTTP/1.1", "OPTIONS * at 'h' 1.1 body none keep [Host|h] after 38"},
      {"OPTIONS http://h/ HTTP/1.1", "OPTIONS / at 'h' 1.1 body none keep [Host|h] after 39"},
  };
  for (const Case& c : cases) EXPECT_EQ(line_verdict(c.text), c.verdict) << c.text;
  EXPECT_EQ(verdict("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
            "CONNECT  at 'h:443' 1.1 body tunnel close [Host|h:443] after 39");
}

TEST(H1Request, RefusedFirstLines) {
  const Case cases[] = {
      {"", "400 malformed request line"},  // after the one empty line that is skipped
      {"GET", "400 malformed request line"},
      {"GET /", "400 malformed request line"},
      {"GET HTTP/1.1", "400 malformed request line"},
      {" GET / HTTP/1.1", "400 not an HTTP request"},
      {"GET  / HTTP/1.1", "400 malformed request line"},
      {"GET /  HTTP/1.1", "400 malformed request line"},
      {"GET / HTTP/1.1 ", "400 malformed request line"},
      {"GET  HTTP/1.1", "400 malformed request line"},
      {"GET /a b HTTP/1.1", "400 malformed request line"},
      {"GET\t/ HTTP/1.1", "400 malformed request line"},
      {"GET\t/ x HTTP/1.1", "400 malformed method"},
      {"G\x80T / HTTP/1.1", "400 malformed method"},
      {"G(T / HTTP/1.1", "400 malformed method"},
      {"GET / http/1.1", "400 malformed HTTP version"},
      {"GET / HTTP/1.10", "400 malformed HTTP version"},
      {"GET / HTTP/1", "400 malformed HTTP version"},
      {"GET / HTTP/1.1\t", "400 malformed HTTP version"},
      {"GET / XTTP/1.1", "400 malformed HTTP version"},
      {"GET / HTTP/11", "400 malformed HTTP version"},
      {"GET / HTTP/1,1", "400 malformed HTTP version"},
      {"GET / HTTP/1.2", "505 HTTP version is neither 1.0 nor 1.1"},
      {"GET / HTTP/0.9", "505 HTTP version is neither 1.0 nor 1.1"},
      {"PRI * HTTP/2.0", "505 HTTP version is neither 1.0 nor 1.1"},
      {"GET * HTTP/1.1", "400 request target '*' without OPTIONS"},
      {"GET index.html HTTP/1.1", "400 request target is neither a path nor an http(s) URI"},
      {"GET ?a HTTP/1.1", "400 request target is neither a path nor an http(s) URI"},
      {"GET h:80 HTTP/1.1", "400 request target is neither a path nor an http(s) URI"},
      {"GET ftp://h/ HTTP/1.1", "400 request target is neither a path nor an http(s) URI"},
      {"GET http:/h/ HTTP/1.1", "400 request target is neither a path nor an http(s) URI"},
      {"GET http:///x HTTP/1.1", "400 empty host"},
      {"GET http://u@h/ HTTP/1.1", "400 userinfo in request target"},
      {"GET http://u:p@h/ HTTP/1.1", "400 userinfo in request target"},
      {"GET http://h:0/ HTTP/1.1", "400 malformed port"},
      {"GET http://h:65536/ HTTP/1.1", "400 malformed port"},
      {"GET http://h:/ HTTP/1.1", "400 malformed port"},
      {"GET http://h#f HTTP/1.1", "400 malformed host"},
      {"GET http://other/ HTTP/1.1", "400 Host differs from the request target"},
      {"GET http://h:80/ HTTP/1.1", "400 Host differs from the request target"},
      {"CONNECT h HTTP/1.1", "400 port missing"},
      {"CONNECT /x HTTP/1.1", "400 malformed host"},
      {"CONNECT http://h:1/ HTTP/1.1", "400 malformed port"},
      {"CONNECT other:443 HTTP/1.1", "400 Host differs from the request target"},
      {"GET /#f HTTP/1.1", "400 fragment in request target"},
      {"GET /a\"b HTTP/1.1", "400 bad byte in request target"},
      {"GET /<b> HTTP/1.1", "400 bad byte in request target"},
      {"GET /a\\b HTTP/1.1", "400 backslash in path"},
      {"GET /{a} HTTP/1.1", "400 bad byte in request target"},
      {"GET /\x80 HTTP/1.1", "400 bad byte in request target"},
      {"GET /\x7f HTTP/1.1", "400 bad byte in request target"},
      {"GET /\t HTTP/1.1", "400 bad byte in request target"},
      {"GET /\r HTTP/1.1", "400 bad byte in request target"},
      {"GET /\0 HTTP/1.1"s, "400 bad byte in request target"},
      {"GET /% HTTP/1.1", "400 malformed percent-encoding"},
      {"GET /%4 HTTP/1.1", "400 malformed percent-encoding"},
      {"GET /%4g HTTP/1.1", "400 malformed percent-encoding"},
      {"GET /?%u0041 HTTP/1.1", "400 malformed percent-encoding"},
      {"GET /a%00 HTTP/1.1", "400 encoded NUL in request target"},
      {"GET http://h/%00 HTTP/1.1", "400 encoded NUL in request target"},
      {"GET /a%2Fb HTTP/1.1", "400 encoded slash in path"},
      {"GET /a%5cb HTTP/1.1", "400 encoded backslash in path"},
      {"GET /a/../.. HTTP/1.1", "400 path leads above the root"},
      {"GET http://h/%2e%2E HTTP/1.1", "400 path leads above the root"},
      {"GET /a/..;/b HTTP/1.1", "400 dot segment with parameters in path"},
  };
  for (const Case& c : cases) EXPECT_EQ(line_verdict(c.text), c.verdict) << c.text;
}

TEST(H1Request, WhatIsNoHttpIsKnownByItsFirstByte) {
  for (const std::string& text :
       {" "s, "\t"s, "\0"s, "\x80"s, "\x05\x01"s, "{\"a\":1}"s, "\r\n "s, "("s, "\x7f"s}) {
    EXPECT_EQ(verdict(text), "400 not an HTTP request") << text;
  }
  EXPECT_EQ(verdict("\x16\x03\x01\x02"), "400 TLS handshake where plain HTTP is spoken");
  EXPECT_EQ(verdict("\r\n\x16"), "400 TLS handshake where plain HTTP is spoken");
  EXPECT_EQ(verdict("G"), "need_more");
  EXPECT_EQ(verdict("\r"), "need_more");
  EXPECT_EQ(verdict("\r\n"), "need_more");
  EXPECT_EQ(verdict(""), "need_more");
}

TEST(H1Request, OneEmptyLineMayComeBefore) {
  EXPECT_EQ(verdict("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            "GET / at 'h' 1.1 body none keep [Host|h] after 29");
  EXPECT_EQ(verdict("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), "400 malformed request line");
  EXPECT_EQ(verdict("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), "400 bare LF in first line");
}

TEST(H1Request, RefusedFieldLines) {
  const Case cases[] = {
      {" x: y", "400 line begins with white space (obs-fold)"},
      {"\tx: y", "400 line begins with white space (obs-fold)"},
      {"a: b\r\n c", "400 line begins with white space (obs-fold)"},
      {" ", "400 line begins with white space (obs-fold)"},
      {"x : y", "400 white space before colon"},
      {"x\t: y", "400 white space before colon"},
      {"Content-Length : 5", "400 white space before colon"},
      {": y", "400 empty field name"},
      {"x", "400 field line without colon"},
      {"x y", "400 white space before colon"},
      {"x(y: z", "400 bad byte in field name"},
      {"x\x80y: z", "400 bad byte in field name"},
      {"x\0y: z"s, "400 bad byte in field name"},
      {"x\ry: z", "400 bad byte in field name"},
      {"\"x\": z", "400 bad byte in field name"},
      {"x: a\rb", "400 bare CR in field value"},
      {"x: a\r", "400 bare CR in field value"},
      {"x: \r", "400 bare CR in field value"},
      {"x: a\0b"s, "400 NUL in field value"},
      {"x: a\x7f", "400 control byte in field value"},
      {"x: a\x1b[0m", "400 control byte in field value"},
      {"x: a\x0b"
       "b",
       "400 control byte in field value"},
      {"x: a long enough value for blocks, with one \x01 in its midst",
       "400 control byte in field value"},
      {"x: a\nb: c", "400 bare LF in fields"},
      {"x: a\n", "400 bare LF in fields"},
      {"\nGET /smuggled HTTP/1.1", "400 bare LF in fields"},
  };
  for (const Case& c : cases) EXPECT_EQ(field_verdict(c.text), c.verdict) << c.text;
}

TEST(H1Request, AcceptedFieldLines) {
  EXPECT_EQ(
      field_verdict("X-!#$%&'*+.^_`|~0:  \t a\tb \x80\xff:\" \t "),
      "POST / at 'h' 1.1 body none keep [Host|h][X-!#$%&'*+.^_`|~0|a\tb \x80\xff:\"] after 63");
}

TEST(H1Request, NoFieldPassesForAnother) {
  for (const char* name :
       {"Content_Length", "transfer_encoding", "X_Forwarded_For", "X-Forwarded_Proto",
        "x_forwarded_port", "X_Real_IP", "X_Request-Id", "Proxy_Authorization"}) {
    EXPECT_EQ(field_verdict(std::string(name) + ": x"), "400 field name disguises another");
  }
  for (const char* name : {"HOST_", "_", "X_Custom", "Content__Length"}) {
    EXPECT_THAT(field_verdict(std::string(name) + ": x"), testing::StartsWith("POST / at 'h'"))
        << name;
  }
}

TEST(H1Request, HostIsOneAndValid) {
  const Case good[] = {
      {"h", "h"},
      {"EXAMPLE.com", "example.com"},
      {"a_b-c.~d", "a_b-c.~d"},
      {"1.2.3.4:1", "1.2.3.4:1"},
      {"h:65535", "h:65535"},
      {"[::1]", "[::1]"},
      {"[2001:DB8::a]:443", "[2001:db8::a]:443"},
      {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"},
      {std::string(255, 'a'), std::string(255, 'a')},
  };
  for (const Case& c : good) {
    const std::string text = "GET / HTTP/1.1\r\nHost: " + c.text + "\r\n\r\n";
    EXPECT_EQ(verdict(text), "GET / at '" + c.verdict + "' 1.1 body none keep [Host|" + c.text +
                                 "] after " + std::to_string(text.size()));
  }
  const Case bad[] = {
      {"", "400 empty host"},
      {":80", "400 malformed host"},
      {"h:", "400 malformed port"},
      {"h:0", "400 malformed port"},
      {"h:65536", "400 malformed port"},
      {"h:000080", "400 malformed port"},
      {"h:+80", "400 malformed port"},
      {"h:8a", "400 malformed port"},
      {"h:80:80", "400 malformed port"},
      {"a b", "400 malformed host"},
      {"a,b", "400 malformed host"},
      {"a/b", "400 malformed host"},
      {"u@h", "400 malformed host"},
      {"a%62", "400 malformed host"},
      {"a?b", "400 malformed host"},
      {"h\xc3\xa9", "400 malformed host"},
      {"::1", "400 malformed host"},
      {"[::1", "400 malformed host"},
      {"[]", "400 malformed host"},
      {"[::1]x", "400 malformed host"},
      {"[::1]:", "400 malformed port"},
      {"[fe80::1%eth0]", "400 malformed host"},
      {"[v1.x]", "400 malformed host"},
      {"[1.2.3.4]", "400 malformed host"},
      {std::string(256, 'a'), "400 host too long"},
  };
  for (const Case& c : bad) {
    EXPECT_EQ(verdict("GET / HTTP/1.1\r\nHost: " + c.text + "\r\n\r\n"), c.verdict) << c.text;
  }
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\n\r\n"), "400 no Host");
  EXPECT_EQ(verdict("GET http://h/ HTTP/1.1\r\n\r\n"), "400 no Host");
  EXPECT_EQ(field_verdict("host: h"), "400 repeated Host");
  EXPECT_EQ(verdict("GET / HTTP/1.0\r\n\r\n"), "GET / at '' 1.0 body none close  after 18");
  EXPECT_EQ(verdict("GET http://H/ HTTP/1.0\r\n\r\n"),
            "GET / at 'h' 1.0 body none close  after 26");
  EXPECT_EQ(verdict("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), "400 repeated Host");
}

// The part of an accepting verdict that tells the body's length.
std::string framing_verdict(const std::string& lines, const char* version = "1.1") {
  const std::string result =
      verdict("POST / HTTP/" + std::string(version) + "\r\nHost: h\r\n" + lines + "\r\n\r\n");
  const std::size_t body = result.find(" body ");
  if (body == std::string::npos) return result;
  return result.substr(body + 6, result.find(" [") - body - 6);
}

TEST(H1Request, FramingIsUnambiguousOrRefused) {
  const Case cases[] = {
      {"Content-Length: 0", "known 0 keep"},
      {"content-length:  42 ", "known 42 keep"},
      {"Content-Length:\t42", "400 tab in a framing field"},
      {"Content-Length: 42\t", "400 tab in a framing field"},
      {"Content-Length: 0042", "known 42 keep"},
      {"Content-Length: 9223372036854775807", "known 9223372036854775807 keep"},
      {"Content-Length: 9223372036854775808", "400 malformed Content-Length"},
      {"Content-Length: 18446744073709551617", "400 malformed Content-Length"},
      {"Content-Length: ", "400 malformed Content-Length"},
      {"Content-Length: +1", "400 malformed Content-Length"},
      {"Content-Length: -1", "400 malformed Content-Length"},
      {"Content-Length: 1 2", "400 malformed Content-Length"},
      {"Content-Length: 0x1", "400 malformed Content-Length"},
      {"Content-Length: 1_0", "400 malformed Content-Length"},
      {"Content-Length: 1.0", "400 malformed Content-Length"},
      {"Content-Length: 5, 5", "400 malformed Content-Length"},
      {"Content-Length: 5,", "400 malformed Content-Length"},
      {"Content-Length: 5\r\nContent-Length: 5", "400 repeated Content-Length"},
      {"Content-Length: 5\r\nContent-Length: 6", "400 repeated Content-Length"},
      {"Transfer-Encoding: chunked", "chunked keep"},
      {"transfer-encoding:CHUNKED ", "chunked keep"},
      {"Transfer-Encoding:\tchunked", "400 tab in a framing field"},
      {"Transfer-Encoding: chunked \t", "400 tab in a framing field"},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5",
       "400 Content-Length with Transfer-Encoding"},
      {"Content-Length: 5\r\nTransfer-Encoding: chunked",
       "400 Content-Length with Transfer-Encoding"},
      {"Content-Length: 5\r\nTransfer-Encoding: x", "400 Content-Length with Transfer-Encoding"},
      {"Transfer-Encoding: gzip, chunked", "501 unknown transfer coding"},
      {"Transfer-Encoding: identity, chunked", "501 unknown transfer coding"},
      {"Transfer-Encoding: chunked, chunked", "400 chunked twice in Transfer-Encoding"},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
       "400 repeated Transfer-Encoding"},
      {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "400 repeated Transfer-Encoding"},
      {"Transfer-Encoding: chunked, gzip", "400 chunked is not the last transfer coding"},
      {"Transfer-Encoding: gzip", "400 chunked is not the last transfer coding"},
      {"Transfer-Encoding: identity", "400 chunked is not the last transfer coding"},
      {"Transfer-Encoding: xchunked", "400 chunked is not the last transfer coding"},
      {"Transfer-Encoding: chunkedx", "400 chunked is not the last transfer coding"},
      {"Transfer-Encoding: chunked,", "400 malformed Transfer-Encoding"},
      {"Transfer-Encoding: ,chunked", "400 malformed Transfer-Encoding"},
      {"Transfer-Encoding: ", "400 malformed Transfer-Encoding"},
      {"Transfer-Encoding: \"chunked\"", "400 malformed Transfer-Encoding"},
      {"Transfer-Encoding: chunked;q=1", "400 malformed Transfer-Encoding"},
      {"Transfer-Encoding: chunked foo", "400 malformed Transfer-Encoding"},
      {"Transfer-Encoding: chunked\x0b", "400 control byte in field value"},
      {"Transfer_Encoding: chunked", "400 field name disguises another"},
  };
  for (const Case& c : cases) EXPECT_EQ(framing_verdict(c.text), c.verdict) << c.text;
  EXPECT_EQ(framing_verdict("Transfer-Encoding: chunked", "1.0"),
            "400 Transfer-Encoding in HTTP/1.0");
  EXPECT_EQ(framing_verdict("Content-Length: 3", "1.0"), "known 3 close");
  EXPECT_EQ(verdict("TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"),
            "400 TRACE with a body");
}

TEST(H1Request, ConnectionOptionsDecideWhatStays) {
  const Case cases[] = {
      {"Connection: close", "none close"},
      {"Connection: CLOSE", "none close"},
      {"Connection: keep-alive", "none keep"},
      {"Connection: keep-alive, close", "none close"},
      {"Connection: foo\r\nConnection: , close,", "none close"},
      {"Connection: closed", "none keep"},
      {"Connection: Upgrade, HTTP2-Settings, TE, Trailer, Keep-Alive", "none keep"},
      {"Connection: a b", "400 malformed Connection"},
      {"Connection: \"close\"", "400 malformed Connection"},
      {"Connection: host", "400 Connection names an end-to-end field"},
      {"Connection: close, Content-Length", "400 Connection names an end-to-end field"},
      {"Connection: transfer-encoding", "400 Connection names an end-to-end field"},
      {"Connection: X-Forwarded-For", "400 Connection names an end-to-end field"},
      {"Connection: x-forwarded-proto", "400 Connection names an end-to-end field"},
      {"Connection: authorization", "400 Connection names an end-to-end field"},
      {"Connection: cookie", "400 Connection names an end-to-end field"},
      {"Connection: content-type", "400 Connection names an end-to-end field"},
      {"Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "none keep"},
      {"Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "400 too many Connection options"},
  };
  for (const Case& c : cases) EXPECT_EQ(framing_verdict(c.text), c.verdict) << c.text;
  EXPECT_EQ(framing_verdict("Connection: Keep-Alive", "1.0"), "none keep");
  EXPECT_EQ(framing_verdict("Connection: close, keep-alive", "1.0"), "none close");
  EXPECT_EQ(framing_verdict("X: y", "1.0"), "none close");
}

TEST(H1Request, OnlyContinueCanBeExpected) {
  EXPECT_EQ(framing_verdict("Expect: 100-Continue\r\nContent-Length: 1"), "known 1 keep expect");
  EXPECT_EQ(framing_verdict("Expect: 100-continue"), "none keep");  // there is nothing to wait with
  EXPECT_EQ(framing_verdict("Expect: 100-continue\r\nContent-Length: 1", "1.0"), "known 1 close");
  EXPECT_EQ(framing_verdict("Expect: 200-ok"), "417 unknown expectation");
  EXPECT_EQ(framing_verdict("Expect: 100-continue, x"), "417 unknown expectation");
  EXPECT_EQ(framing_verdict("Expect: "), "417 unknown expectation");
}

TEST(H1Request, LimitsHoldToTheByte) {
  const HeadLimits limits{
      .request_line_bytes = 20, .field_line_bytes = 10, .head_bytes = 60, .field_count = 3};
  EXPECT_EQ(verdict("GET /456789 HTTP/1.1\r\nHost: h\r\n\r\n", limits),
            "GET /456789 at 'h' 1.1 body none keep [Host|h] after 33");
  EXPECT_EQ(verdict("GET /4567890 HTTP/1.1\r\nHost: h\r\n\r\n", limits), "414 first line too long");
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\nHost: 7890\r\n\r\n", limits),
            "GET / at '7890' 1.1 body none keep [Host|7890] after 30");
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\nHost: 78901\r\n\r\n", limits), "431 field line too long");
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\nHost: h\r\na:\r\nb:\r\n\r\n", limits),
            "GET / at 'h' 1.1 body none keep [Host|h][a|][b|] after 35");
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\nHost: h\r\na:\r\nb:\r\nc:\r\n\r\n", limits),
            "431 too many fields");
  const std::string sixty =
      "GET /456789 HTTP/1.1\r\nHost: 7890\r\na:34567890\r\nb:34567890\r\n\r\n";
  ASSERT_EQ(sixty.size(), 60u);
  EXPECT_TRUE(verdict(sixty, limits).ends_with(" after 60"));
  HeadLimits tighter = limits;
  tighter.head_bytes = 59;
  EXPECT_EQ(verdict(sixty, tighter), "431 fields too long in all");
}

TEST(H1Request, OverlongLinesFailBeforeTheyEnd) {
  const HeadLimits limits{.request_line_bytes = 20, .field_line_bytes = 10, .head_bytes = 60};
  EXPECT_EQ(verdict("GET /4567890123456789", limits), "need_more");  // a CR might be the last
  EXPECT_EQ(verdict("GET /45678901234567890", limits), "414 first line too long");
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\na: 45678901", limits), "need_more");
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\na: 456789012", limits), "431 field line too long");
  EXPECT_EQ(verdict(std::string(22, '\r'), limits), "414 first line too long");
  std::string fields;
  for (int field = 1; field <= 9; ++field) fields += "\r\na:" + std::to_string(field);
  EXPECT_EQ(verdict("GET / HTTP/1.1" + fields, limits), "need_more");  // 59 bytes
  EXPECT_EQ(verdict("GET / HTTP/1.1" + fields + "\r", limits), "431 fields too long in all");
}

TEST(H1Request, IncompleteHeadsAreNoVerdict) {
  const std::string whole = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(request_verdict({std::string_view(whole).substr(0, size)}), "need_more") << size;
  }
}

TEST(H1Request, ErrorIsFinalUntilReset) {
  H1RequestParser parser{HeadLimits{}};
  RequestHead head;
  EXPECT_TRUE(parser.idle());
  const HeadResult refused = parser.consume(as_bytes("GET / HTTP/3.0\r\n"), head);
  EXPECT_EQ(refused.status, HeadStatus::error);
  const HeadResult again = parser.consume(as_bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), head);
  EXPECT_EQ(again.status, HeadStatus::error);
  EXPECT_EQ(again.consumed, 0u);
  EXPECT_EQ(again.error, refused.error);
  parser.reset();
  head.clear();
  EXPECT_TRUE(parser.idle());
  EXPECT_EQ(parser.consume(as_bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), head).status,
            HeadStatus::done);
}

TEST(H1Request, PipelinedRequestsComeOneByOne) {
  H1RequestParser parser{HeadLimits{}};
  RequestHead head;
  std::string_view input =
      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET";
  for (const char* target : {"/1", "/2"}) {
    parser.reset();
    head.clear();
    const HeadResult result = parser.consume(as_bytes(input), head);
    EXPECT_EQ(result.status, HeadStatus::done);
    EXPECT_EQ(head.target, target);
    input.remove_prefix(result.consumed);
  }
  EXPECT_EQ(input, "GET");
}

TEST(H1Request, SchemeIsLeftToTheOwnerOfTheConnection) {
  H1RequestParser parser{HeadLimits{}};
  RequestHead head;
  head.scheme = "https";
  (void)parser.consume(as_bytes("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"), head);
  EXPECT_EQ(head.scheme, "https");
}

}  // namespace
}  // namespace sluice::http
