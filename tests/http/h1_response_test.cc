#include <string>

#include "proxy/http/h1_head_parser.h"
#include "tests/http/split_verdict.h"

namespace sluice::http {
namespace {

std::string verdict(std::string_view text, Method method = Method::get) {
  return verdict_however_split(
      text, [&](const auto& pieces) { return response_verdict(pieces, method); });
}

struct Case {
  std::string text;
  std::string verdict;
};

TEST(H1Response, WholeHeadIsRead) {
  EXPECT_EQ(verdict("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc"),
            "200 'OK' 1.1 body known 3 keep [Content-Length|3][X|y] after 44");
}

TEST(H1Response, StatusLineIsExact) {
  const Case cases[] = {
      {"HTTP/1.1 200 ", "200 '' 1.1 body known 0 keep [Content-Length|0] after 36"},
      {"HTTP/1.0 599 a\tb \x80",
       "599 'a\tb \x80' 1.0 body known 0 close [Content-Length|0] after 41"},
      {"HTTP/1.1 200", "502 malformed status line"},
      {"HTTP/1.1 200OK", "502 malformed status line"},
      {"HTTP/1.1  200 OK", "502 malformed status line"},
      {"HTTP/1.1 20 OK", "502 malformed status line"},
      {"HTTP/1.1 2000 OK", "502 malformed status line"},
      {"HTTP/1.1 +20 OK", "502 malformed status line"},
      {"HTTP/1.1\t200 OK", "502 malformed status line"},
      {"HTTP/1.1 099 OK", "502 status out of range"},
      {"HTTP/1.1 600 OK", "502 status out of range"},
      {"HTTP/1.1 101 Switching Protocols", "502 101 without a request to upgrade"},
      {"HTTP/1.1 200 O\rK", "502 control byte in reason phrase"},
      {"HTTP/1.1 200 O\x7fK", "502 control byte in reason phrase"},
      {"HTTP/1.2 200 OK", "502 HTTP version is neither 1.0 nor 1.1"},
      {"HTTP/2.0 200 OK", "502 HTTP version is neither 1.0 nor 1.1"},
      {"http/1.1 200 OK", "502 not an HTTP response"},
      {"HTTP", "502 malformed HTTP version"},
      {"ICY 200 OK", "502 not an HTTP response"},
      {"", "502 not an HTTP response"},
      {" HTTP/1.1 200 OK", "502 not an HTTP response"},
      {std::string("HTTP/1.1 200 ") + std::string(8 * 1024, 'x'), "502 first line too long"},
  };
  for (const Case& c : cases) {
    const std::string text = c.text + "\r\nContent-Length: 0\r\n\r\n";
    if (text.size() < 1000) {
      EXPECT_EQ(verdict(text), c.verdict) << c.text;
    } else {
      EXPECT_EQ(response_verdict({text}, Method::get), c.verdict);
    }
  }
}

TEST(H1Response, FieldsAreAsStrictAsInRequests) {
  for (const auto& [line, reason] : {
           std::pair{"a: b\n", "502 bare LF in fields"},
           std::pair{" a: b", "502 line begins with white space (obs-fold)"},
           std::pair{"a : b", "502 white space before colon"},
           std::pair{"a: \x01", "502 control byte in field value"},
           std::pair{"Connection: content-length", "502 Connection names an end-to-end field"},
       }) {
    EXPECT_EQ(verdict("HTTP/1.1 200 OK\r\n" + std::string(line) + "\r\n\r\n"), reason) << line;
  }
  HeadLimits limits;
  limits.field_count = 1;
  EXPECT_EQ(response_verdict({"HTTP/1.1 200 OK\r\na:\r\nb:\r\n\r\n"}, Method::get, limits),
            "502 too many fields");
}

struct FramingCase {
  const char* description;
  Method method;
  int status;
  const char* lines;
  const char* framing;
};

TEST(H1Response, BodyLengthFollowsMethodStatusAndFields) {
  const FramingCase cases[] = {
      {"nothing said", Method::get, 200, "", "until_close close"},
      {"known", Method::get, 200, "Content-Length: 7\r\n", "known 7 keep"},
      {"chunked", Method::get, 200, "Transfer-Encoding: chunked\r\n", "chunked keep"},
      {"close", Method::get, 200, "Content-Length: 7\r\nConnection: close\r\n", "known 7 close"},
      {"no content", Method::get, 204, "", "none keep"},
      {"no content, said", Method::get, 204, "Content-Length: 0\r\n", "none keep"},
      {"no content with some", Method::get, 204, "Content-Length: 1\r\n",
       "502 body announced in 1xx or 204"},
      {"no content, chunked", Method::get, 204, "Transfer-Encoding: chunked\r\n",
       "502 body announced in 1xx or 204"},
      {"interim", Method::get, 103, "Link: x\r\n", "none keep"},
      {"interim with a body", Method::get, 100, "Content-Length: 3\r\n",
       "502 body announced in 1xx or 204"},
      {"interim that closes", Method::get, 103, "Connection: close\r\n",
       "502 close in an interim response"},
      {"interim, chunked", Method::get, 100, "Transfer-Encoding: chunked\r\n",
       "502 body announced in 1xx or 204"},
      {"reset content", Method::get, 205, "Content-Length: 0\r\n", "known 0 keep"},
      {"not modified", Method::get, 304, "Content-Length: 7\r\n", "none keep"},
      {"not modified, chunked", Method::get, 304, "Transfer-Encoding: chunked\r\n", "none keep"},
      {"head", Method::head, 200, "Content-Length: 7\r\n", "none keep"},
      {"head, nothing said", Method::head, 200, "", "none keep"},
      {"head, chunked", Method::head, 200, "Transfer-Encoding: chunked\r\n", "none keep"},
      {"head, both", Method::head, 200, "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
       "502 Content-Length with Transfer-Encoding"},
      {"tunnel", Method::connect, 200, "", "tunnel close"},
      {"no tunnel", Method::connect, 403, "Content-Length: 7\r\n", "known 7 keep"},
      {"both", Method::get, 200, "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
       "502 Content-Length with Transfer-Encoding"},
      {"twice", Method::get, 200, "Content-Length: 7\r\nContent-Length: 7\r\n",
       "502 repeated Content-Length"},
      {"malformed", Method::get, 200, "Content-Length: 7x\r\n", "502 malformed Content-Length"},
      {"gzip", Method::get, 200, "Transfer-Encoding: gzip\r\n",
       "502 chunked is not the last transfer coding"},
      {"gzip, chunked", Method::get, 200, "Transfer-Encoding: gzip, chunked\r\n",
       "502 unknown transfer coding"},
  };
  for (const FramingCase& c : cases) {
    const std::string result =
        verdict("HTTP/1.1 " + std::to_string(c.status) + " x\r\n" + c.lines + "\r\n", c.method);
    if (result.starts_with("502")) {
      EXPECT_EQ(result, c.framing) << c.description;
    } else {
      EXPECT_NE(result.find(std::string(" body ") + c.framing + " "), std::string::npos)
          << c.description << ": " << result;
    }
  }
}

TEST(H1Response, Version10ClosesUnlessItSaysOtherwise) {
  EXPECT_EQ(verdict("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
            "200 'OK' 1.0 body known 0 close [Content-Length|0] after 38");
  EXPECT_EQ(verdict("HTTP/1.0 204 OK\r\nConnection: keep-alive\r\n\r\n"),
            "204 'OK' 1.0 body none keep [Connection|keep-alive] after 43");
  EXPECT_EQ(verdict("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "502 Transfer-Encoding in HTTP/1.0");
  // Where the end of the connection is the end of the body, nothing can follow.
  EXPECT_EQ(verdict("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"),
            "200 'OK' 1.0 body until_close close [Connection|keep-alive] after 43");
}

TEST(H1Response, NoEmptyLineMayComeBefore) {
  EXPECT_EQ(verdict("\r\nHTTP/1.1 200 OK\r\n\r\n"), "502 not an HTTP response");
}

TEST(H1Response, WhatIsNoHttpIsKnownByItsFirstByte) {
  for (const char* text : {"SSH-2.0", "200 OK", "{", "\x15", "h", "\n", " "}) {
    EXPECT_EQ(verdict(text), "502 not an HTTP response") << text;
  }
  EXPECT_EQ(verdict("H"), "need_more");
}

}  // namespace
}  // namespace sluice::http
