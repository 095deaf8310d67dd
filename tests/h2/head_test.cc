#include "proxy/h2/head.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "proxy/http/syntax.h"
#include "tests/h2/endpoint.h"

namespace sluice::h2 {
namespace {

using std::string_literals::operator""s;

constexpr bool kComplete = true;

std::string verdict(const http::ParseError& error) {
  const std::string status =
      error.status == kMalformed ? "malformed" : std::to_string(error.status);
  return status + " " + error.reason;
}

std::string request_verdict(const Pairs& fields, bool complete,
                            const http::HeadLimits& limits = {}) {
  SectionReader reader(limits);
  reader.begin(SectionReader::Kind::request);
  for (const auto& [name, value] : fields) {
    if (const http::ParseError error = reader.add(name, value)) return verdict(error);
  }
  http::RequestHead head;
  if (const http::ParseError error = reader.finish_request(complete, "https", head)) {
    return verdict(error);
  }
  return tell(head);
}

std::string response_verdict(const Pairs& fields, bool complete, const Asked& asked = {}) {
  SectionReader reader({});
  reader.begin(SectionReader::Kind::response);
  for (const auto& [name, value] : fields) {
    if (const http::ParseError error = reader.add(name, value)) return verdict(error);
  }
  http::ResponseHead head;
  if (const http::ParseError error = reader.finish_response(complete, asked, head)) {
    return verdict(error);
  }
  return tell(head);
}

std::string trailer_verdict(const Pairs& fields) {
  SectionReader reader({});
  reader.begin(SectionReader::Kind::trailers);
  for (const auto& [name, value] : fields) {
    if (const http::ParseError error = reader.add(name, value)) return verdict(error);
  }
  http::Fields trailers;
  if (const http::ParseError error = reader.finish_trailers(trailers)) return verdict(error);
  return tell(trailers);
}

Pairs with(std::string method, Pairs rest, std::string path = "/") {
  Pairs fields{{":method", std::move(method)},
               {":scheme", "https"},
               {":authority", "h"},
               {":path", std::move(path)}};
  fields.insert(fields.end(), rest.begin(), rest.end());
  return fields;
}

struct Case {
  Pairs fields;
  std::string verdict;
};

TEST(H2RequestHead, IsReadWhole) {
  EXPECT_EQ(request_verdict({{":method", "GET"},
                             {":scheme", "https"},
                             {":authority", "Example.COM:8443"},
                             {":path", "/a/./b?c=d"},
                             {"accept", "*/*"},
                             {"x-empty", ""},
                             {"te", "trailers"}},
                            kComplete),
            "GET /a/b?c=d at 'example.com:8443' body none [accept|*/*][x-empty|][te|trailers]");
}

TEST(H2RequestHead, AcceptedFormsAndBodies) {
  const std::pair<Case, bool> cases[] = {
      {{with("GET", {}), "GET / at 'h' body none "}, true},
      {{with("POST", {}), "POST / at 'h' body open "}, false},
      {{with("POST", {{"content-length", "0"}}), "POST / at 'h' body 0 [content-length|0]"}, true},
      {{with("PUT", {{"content-length", "5"}}), "PUT / at 'h' body 5 [content-length|5]"}, false},
      {{with("OPTIONS", {}, "*"), "OPTIONS * at 'h' body none "}, true},
      {{with("GET", {{"host", "H"}}), "GET / at 'h' body none [host|H]"}, true},
      {{{{":method", "GET"}, {":scheme", "HTTPS"}, {":path", "/"}, {"host", "H:1"}},
        "GET / at 'h:1' body none [host|H:1]"},
       true},
      {{with("POST", {{"expect", "100-continue"}}),
        "POST / at 'h' body open expects [expect|100-continue]"},
       false},
      {{with("GET", {{"expect", "100-continue"}}), "GET / at 'h' body none [expect|100-continue]"},
       true},
      {{with("GET", {{"cookie", "a=b"}, {"x", "y"}, {"cookie", "c=d"}, {"cookie", ""}}),
        "GET / at 'h' body none [x|y][cookie|a=b; c=d; ]"},
       true},
      {{{{":method", "CONNECT"}, {":authority", "Db:5432"}}, "CONNECT  at 'db:5432' body tunnel "},
       false},
      {{{{":method", "CONNECT"},
         {":protocol", "WebSocket"},
         {":scheme", "https"},
         {":authority", "h"},
         {":path", "/chat"},
         {"sec-websocket-version", "13"}},
        "GET /chat at 'h' body tunnel to websocket [sec-websocket-version|13]"},
       false},
  };
  for (const auto& [c, complete] : cases) EXPECT_EQ(request_verdict(c.fields, complete), c.verdict);
}

TEST(H2RequestHead, MalformedFieldsAreTold) {
  const Case cases[] = {
      {with("GET", {{"X-Upper", "a"}}), "malformed upper case in field name"},
      {with("GET", {{"", "a"}}), "malformed empty field name"},
      {with("GET", {{"a b", "a"}}), "malformed white space in field name"},
      {with("GET", {{"a:b", "a"}}), "malformed colon in field name"},
      {with("GET", {{"a\0b"s, "a"}}), "malformed bad byte in field name"},
      {with("GET", {{"a\r\nb", "a"}}), "malformed bad byte in field name"},
      {with("GET", {{"a\x80", "a"}}), "malformed bad byte in field name"},
      {with("GET", {{"a\x7f", "a"}}), "malformed bad byte in field name"},
      {with("GET", {{"a", "b\r\nc: d"}}), "malformed line end in field value"},
      {with("GET", {{"a", "b\nc"}}), "malformed line end in field value"},
      {with("GET", {{"a", "b\rc"}}), "malformed line end in field value"},
      {with("GET", {{"a", "b\0c"s}}), "malformed NUL in field value"},
      {with("GET", {{"a", "b\x01"}}), "malformed control byte in field value"},
      {with("GET", {{"a", "b\x7f"}}), "malformed control byte in field value"},
      {with("GET", {{"a", "\x1b[0m"}}), "malformed control byte in field value"},
      {with("GET", {{"a", " b"}}), "malformed white space around field value"},
      {with("GET", {{"a", "b "}}), "malformed white space around field value"},
      {with("GET", {{"a", "\tb"}}), "malformed white space around field value"},
      {with("GET", {{"a", "b\t"}}), "malformed white space around field value"},
      {with("GET", {{"a", " "}}), "malformed white space around field value"},
      {with("GET", {{"connection", "close"}}), "malformed field of an HTTP/1 connection"},
      {with("GET", {{"keep-alive", "5"}}), "malformed field of an HTTP/1 connection"},
      {with("GET", {{"proxy-connection", "close"}}), "malformed field of an HTTP/1 connection"},
      {with("GET", {{"transfer-encoding", "chunked"}}), "malformed field of an HTTP/1 connection"},
      {with("GET", {{"upgrade", "h2c"}}), "malformed field of an HTTP/1 connection"},
      {with("GET", {{"http2-settings", "AAA"}}), "malformed field of an HTTP/1 connection"},
      {with("GET", {{"te", "gzip"}}), "malformed te other than trailers"},
      {with("GET", {{"te", "trailers, gzip"}}), "malformed te other than trailers"},
      {with("GET", {{"te", ""}}), "malformed te other than trailers"},
      {with("GET", {{"content_length", "5"}}), "400 field name disguises another"},
  };
  for (const Case& c : cases) EXPECT_EQ(request_verdict(c.fields, kComplete), c.verdict);
}

TEST(H2RequestHead, PseudoHeaderFieldsAreHeldToTheirForm) {
  const Pairs good = with("GET", {});
  for (std::size_t missing = 0; missing < good.size(); ++missing) {
    Pairs fields = good;
    fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_THAT(request_verdict(fields, kComplete), testing::StartsWith("malformed n"));
    Pairs twice = good;
    twice.push_back(good[missing]);
    EXPECT_EQ(request_verdict(twice, kComplete), "malformed repeated pseudo-header field");
    Pairs empty = good;
    empty[missing].second.clear();
    EXPECT_EQ(request_verdict(empty, kComplete), "malformed empty pseudo-header field");
    Pairs spaced = good;
    spaced[missing].second = "a b";
    EXPECT_EQ(request_verdict(spaced, kComplete), "malformed space in pseudo-header field");
    Pairs cut = good;
    cut[missing].second += "\r\nx: y";
    EXPECT_EQ(request_verdict(cut, kComplete), "malformed line end in field value");
  }
  const Case cases[] = {
      {with("GET", {{":status", "200"}}), "malformed unknown pseudo-header field"},
      {with("GET", {{":foo", "a"}}), "malformed unknown pseudo-header field"},
      {with("GET", {{":", "a"}}), "malformed unknown pseudo-header field"},
      {with("GET", {{":Path", "/"}}), "malformed unknown pseudo-header field"},
      {with("GET", {{"a", "b"}, {":authority", "h"}}),
       "malformed pseudo-header field behind another field"},
      {with("G(T", {}), "malformed malformed :method"},
      {with("GET", {{":protocol", "websocket"}}), "malformed :protocol without CONNECT"},
      {{{":method", "CONNECT"}, {":authority", "h:1"}, {":path", "/"}},
       "malformed CONNECT with :scheme or :path"},
      {{{":method", "CONNECT"}, {":authority", "h:1"}, {":scheme", "https"}},
       "malformed CONNECT with :scheme or :path"},
      {{{":method", "CONNECT"}, {"host", "h:1"}}, "malformed CONNECT without :authority"},
      {{{":method", "CONNECT"}, {":protocol", "websocket"}, {":authority", "h"}, {":path", "/"}},
       "malformed no :scheme"},
      {{{":method", "GET"}, {":scheme", "1"}, {":authority", "h"}, {":path", "/"}},
       "malformed malformed :scheme"},
  };
  for (const Case& c : cases) EXPECT_EQ(request_verdict(c.fields, kComplete), c.verdict);
}

TEST(H2RequestHead, TargetsAndHostsAreRefusedAsInHttp1) {
  const auto at = [](std::string authority, Pairs rest = {}) {
    Pairs fields = with("GET", std::move(rest));
    fields[2].second = std::move(authority);
    return fields;
  };
  const auto path = [](std::string text) { return with("GET", {}, std::move(text)); };
  Pairs foreign = with("GET", {});
  foreign[1].second = "ftp";
  Pairs plain = with("GET", {});
  plain[1].second = "http";
  const Case cases[] = {
      {at("h", {{"host", "other"}}), "400 Host differs from :authority"},
      {at("h", {{"host", "h:80"}}), "400 Host differs from :authority"},
      {at("h", {{"host", "h"}, {"host", "h"}}), "400 repeated Host"},
      {at("user@h"), "400 userinfo in :authority"},
      {at("h:0"), "400 malformed port"},
      {at("h:65536"), "400 malformed port"},
      {at("h:"), "400 malformed port"},
      {at("h/x"), "400 malformed host"},
      {at("[::1"), "400 malformed host"},
      {at("h\x80"), "400 malformed host"},
      {foreign, "400 :scheme is not the connection's"},
      {plain, "400 :scheme is not the connection's"},
      {path("a"), "400 request target does not begin with '/'"},
      {path("http://h/"), "400 request target does not begin with '/'"},
      {path("*"), "400 request target '*' without OPTIONS"},
      {path("/a#b"), "400 fragment in request target"},
      {path("/a\x80"), "400 bad byte in request target"},
      {path("/%00"), "400 encoded NUL in request target"},
      {path("/%2f"), "400 encoded slash in path"},
      {path("/.."), "400 path leads above the root"},
      {path("/" + std::string(9000, 'a')), "414 :path too long"},
      {with("GET", {{"expect", "200-ok"}}), "417 unknown expectation"},
      {{{":method", "CONNECT"}, {":authority", "h"}}, "400 port missing"},
  };
  for (const Case& c : cases) EXPECT_EQ(request_verdict(c.fields, kComplete), c.verdict);
}

TEST(H2RequestHead, ContentLengthIsOneNumber) {
  const auto length = [](std::string text) { return with("POST", {{"content-length", text}}); };
  for (const std::string text : {"+5", "-5", "0x5", "5,5", "5 5", "", "five", "9223372036854775808",
                                 "99999999999999999999"}) {
    EXPECT_EQ(request_verdict(length(text), false), "malformed malformed Content-Length") << text;
  }
  EXPECT_EQ(
      request_verdict(with("POST", {{"content-length", "5"}, {"content-length", "5"}}), false),
      "malformed repeated Content-Length");
  EXPECT_EQ(request_verdict(length("5"), kComplete), "malformed body shorter than Content-Length");
  EXPECT_EQ(request_verdict(length("9223372036854775807"), false),
            "POST / at 'h' body 9223372036854775807 [content-length|9223372036854775807]");
}

TEST(H2RequestHead, TunnelsAndTraceAreNarrow) {
  const Pairs connect{{":method", "CONNECT"}, {":authority", "h:1"}};
  EXPECT_EQ(request_verdict(connect, kComplete), "400 request for a tunnel that ends at once");
  Pairs sized = connect;
  sized.push_back({"content-length", "5"});
  EXPECT_EQ(request_verdict(sized, false), "400 Content-Length in a request for a tunnel");
  EXPECT_EQ(request_verdict({{":method", "CONNECT"},
                             {":protocol", "connect-udp"},
                             {":scheme", "https"},
                             {":authority", "h"},
                             {":path", "/"}},
                            false),
            "501 unknown :protocol");
  EXPECT_EQ(request_verdict(with("TRACE", {}), false), "400 TRACE with a body");
}

TEST(H2RequestHead, LimitsAreMetBeforeStoring) {
  const http::HeadLimits limits{
      .request_line_bytes = 64, .field_line_bytes = 100, .head_bytes = 400, .field_count = 3};
  EXPECT_EQ(request_verdict(with("GET", {{"a", "1"}, {"b", "2"}, {"c", "3"}}), true, limits),
            "GET / at 'h' body none [a|1][b|2][c|3]");
  EXPECT_EQ(
      request_verdict(with("GET", {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}}), true, limits),
      "431 too many fields");
  EXPECT_EQ(request_verdict(
                with("GET", {{"cookie", "a"}, {"cookie", "b"}, {"cookie", "c"}, {"cookie", "d"}}),
                true, limits),
            "431 too many fields");
  EXPECT_EQ(request_verdict(with("GET", {{"a", std::string(100, 'x')}}), true, limits),
            "431 field line too long");
  EXPECT_EQ(request_verdict(with("GET", {{"a", std::string(90, 'x')}, {"b", std::string(90, 'x')}}),
                            true, limits),
            "431 fields too long in all");
}

TEST(H2RequestHead, RemembersWhatMustNeverBeIndexed) {
  SectionReader reader({});
  reader.begin(SectionReader::Kind::request);
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}) {
    ASSERT_FALSE(reader.add(name, value));
  }
  ASSERT_FALSE(reader.add("authorization", "Bearer x", true));
  ASSERT_FALSE(reader.add("accept", "*/*", false));
  ASSERT_FALSE(reader.add("cookie", "a=b", false));
  ASSERT_FALSE(reader.add("cookie", "session=secret", true));
  http::RequestHead head;
  ASSERT_FALSE(reader.finish_request(true, "http", head));
  std::vector<std::string> secret;
  for (const http::Field field : head.fields) {
    if (field.never_indexed) secret.emplace_back(field.name);
  }
  EXPECT_THAT(secret, testing::ElementsAre("authorization", "cookie"));
  const http::ForwardContext context{.client_address = "192.0.2.1"};
  Section forwarded;
  write_request_section(forwarded, head, &context, "http");
  std::vector<std::string> sent;
  for (const http::Field field : forwarded) {
    if (field.never_indexed) sent.emplace_back(field.name);
  }
  EXPECT_THAT(sent, testing::UnorderedElementsAre("authorization", "cookie"));
}

TEST(H2RequestHead, WhatWasGoodIsKeptForTheLog) {
  SectionReader reader({});
  reader.begin(SectionReader::Kind::request);
  for (const auto& [name, value] : with("GET", {{"a", "b"}, {"cookie", "c"}}, "/x")) {
    EXPECT_FALSE(reader.add(name, value));
  }
  EXPECT_TRUE(reader.add("B", "d"));
  http::RequestHead head;
  reader.salvage(head);
  EXPECT_EQ(tell(head), "GET /x at 'h' body none [a|b][cookie|c]");
}

TEST(H2ResponseHead, AcceptedFormsAndBodies) {
  const std::tuple<Pairs, bool, Asked, std::string> cases[] = {
      {{{":status", "200"}}, false, {}, "200 body open "},
      {{{":status", "200"}}, true, {}, "200 body 0 "},
      {{{":status", "200"}, {"content-length", "5"}}, false, {}, "200 body 5 [content-length|5]"},
      {{{":status", "200"}, {"content-length", "5"}},
       true,
       {.method = http::Method::head},
       "200 body none [content-length|5]"},
      {{{":status", "304"}, {"content-length", "5"}}, true, {}, "304 body none [content-length|5]"},
      {{{":status", "204"}}, true, {}, "204 body none "},
      {{{":status", "204"}, {"content-length", "0"}},
       false,
       {},
       "204 body none [content-length|0]"},
      {{{":status", "103"}, {"link", "</a>"}}, false, {}, "103 body none [link|</a>]"},
      {{{":status", "599"}}, true, {}, "599 body 0 "},
      {{{":status", "200"}, {"content-length", "5"}},
       false,
       {.method = http::Method::connect, .tunnel = true},
       "200 body tunnel [content-length|5]"},
      {{{":status", "200"}},
       false,
       {.method = http::Method::connect, .tunnel = true, .upgrade = true},
       "101 body tunnel "},
      {{{":status", "403"}, {"content-length", "2"}},
       false,
       {.method = http::Method::connect, .tunnel = true, .upgrade = true},
       "403 body 2 [content-length|2]"},
  };
  for (const auto& [fields, complete, asked, expected] : cases) {
    EXPECT_EQ(response_verdict(fields, complete, asked), expected);
  }
}

TEST(H2ResponseHead, EveryErrorIsABadGateway) {
  const std::tuple<Pairs, bool, std::string> cases[] = {
      {{}, true, "502 no :status"},
      {{{":status", "20"}}, true, "502 malformed :status"},
      {{{":status", "2000"}}, true, "502 malformed :status"},
      {{{":status", "2x0"}}, true, "502 malformed :status"},
      {{{":status", "+20"}}, true, "502 malformed :status"},
      {{{":status", "099"}}, true, "502 status out of range"},
      {{{":status", "600"}}, true, "502 status out of range"},
      {{{":status", "101"}}, false, "502 101 in HTTP/2"},
      {{{":status", "100"}}, true, "502 interim response that ends the stream"},
      {{{":status", "200"}, {":status", "200"}}, true, "502 repeated pseudo-header field"},
      {{{":status", "200"}, {":path", "/"}}, true, "502 unknown pseudo-header field"},
      {{{"a", "b"}, {":status", "200"}}, true, "502 pseudo-header field behind another field"},
      {{{":status", "204"}, {"content-length", "5"}}, false, "502 body announced in 1xx or 204"},
      {{{":status", "103"}, {"content-length", "5"}}, false, "502 body announced in 1xx or 204"},
      {{{":status", "200"}, {"content-length", "5"}}, true, "502 body shorter than Content-Length"},
      {{{":status", "200"}, {"content-length", "5"}, {"content-length", "5"}},
       false,
       "502 repeated Content-Length"},
      {{{":status", "200"}, {"content-length", "+5"}}, false, "502 malformed Content-Length"},
      {{{":status", "200"}, {"connection", "close"}}, true, "502 field of an HTTP/1 connection"},
      {{{":status", "200"}, {"transfer-encoding", "chunked"}},
       true,
       "502 field of an HTTP/1 connection"},
      {{{":status", "200"}, {"a", "b\0"s}}, true, "502 NUL in field value"},
      {{{":status", "200"}, {"a", "b\rc"}}, true, "502 line end in field value"},
      {{{":status", "200"}, {"A", "b"}}, true, "502 upper case in field name"},
      {{{":status", "200"}, {"a", std::string(40'000, 'x')}}, true, "502 fields too long in all"},
  };
  for (const auto& [fields, complete, expected] : cases) {
    EXPECT_EQ(response_verdict(fields, complete), expected);
  }
}

TEST(H2Trailers, CarryNothingThatBelongsInAHead) {
  EXPECT_EQ(trailer_verdict({{"grpc-status", "0"}, {"x", "y"}}), "[grpc-status|0][x|y]");
  EXPECT_EQ(trailer_verdict({{":status", "200"}}), "malformed pseudo-header field in trailers");
  for (const char* const name : {"content-length", "host", "authorization", "cookie", "te"}) {
    EXPECT_EQ(trailer_verdict({{name, name == "te"s ? "trailers" : "5"}}),
              "malformed forbidden trailer field")
        << name;
  }
  EXPECT_EQ(trailer_verdict({{"transfer-encoding", "chunked"}}),
            "malformed field of an HTTP/1 connection");
  EXPECT_EQ(trailer_verdict({{"A", "b"}}), "malformed upper case in field name");
}

// --- Sections to send ---------------------------------------------------------------------------

http::RequestHead request(std::string method, std::string target) {
  http::RequestHead head;
  head.method = http::method_from(method);
  head.method_text = std::move(method);
  head.authority = "h:1";
  head.target = std::move(target);
  return head;
}

TEST(H2Section, RequestsBeginWithPseudoHeaderFields) {
  http::RequestHead head = request("POST", "/a?b");
  head.body = {http::BodyLength::Kind::known, 5};
  head.fields.append("Host", "h:1");
  head.fields.append("Content-Type", "text/plain");
  head.fields.append("Connection", "keep-alive, X-Hop");
  head.fields.append("X-Hop", "1");
  head.fields.append("Content-Length", "5");
  http::ForwardContext context{.client_address = "192.0.2.1", .request_id = "id-1"};
  Section section;
  write_request_section(section, head, &context, "http");
  EXPECT_THAT(tell(section),
              testing::StartsWith("[:method|POST][:scheme|http][:authority|h:1][:path|/a?b]"
                                  "[content-type|text/plain][content-length|5]"));
  for (const http::Field field : section) {
    std::string lower(field.name);
    http::make_lower(lower);
    EXPECT_EQ(field.name, lower);
  }
  EXPECT_EQ(section.find("host"), std::nullopt);
  EXPECT_EQ(section.find("x-hop"), std::nullopt);
}

TEST(H2Section, TunnelsAreAskedForByConnect) {
  http::RequestHead head = request("GET", "/chat");
  head.protocol = "websocket";
  head.body = {http::BodyLength::Kind::tunnel};
  const http::ForwardContext context{};
  Section section;
  write_request_section(section, head, &context, "https");
  EXPECT_THAT(tell(section),
              testing::StartsWith("[:method|CONNECT][:protocol|websocket][:scheme|https]"
                                  "[:authority|h:1][:path|/chat]"));
  http::RequestHead connect = request("CONNECT", "");
  connect.body = {http::BodyLength::Kind::tunnel};
  write_request_section(section, connect, &context, "https");
  EXPECT_THAT(tell(section), testing::StartsWith("[:method|CONNECT][:authority|h:1]"));
  EXPECT_EQ(section.find(":path"), std::nullopt);
}

TEST(H2Section, RequestsOfOurOwnGoAsTheyStand) {
  http::RequestHead head = request("GET", "/health");
  head.authority.clear();
  head.fields.append("Host", "probe");
  head.fields.append("User-Agent", "sluice");
  head.fields.append("Connection", "close");
  Section section;
  write_request_section(section, head, nullptr, "http");
  EXPECT_EQ(tell(section),
            "[:method|GET][:scheme|http][:authority|probe][:path|/health][user-agent|sluice]");
}

TEST(H2Section, ResponsesBeginWithTheirStatus) {
  http::ResponseHead head;
  head.status = 101;
  http::ClientFraming framing{.client_version = http::Version::http_2,
                              .body = {http::BodyLength::Kind::tunnel}};
  head.fields.append("Upgrade", "websocket");
  head.fields.append("Connection", "upgrade");
  Section section;
  write_response_section(section, head, framing);
  EXPECT_THAT(tell(section), testing::StartsWith("[:status|200]"));
  EXPECT_EQ(section.find("upgrade"), std::nullopt);
  EXPECT_EQ(section.find("connection"), std::nullopt);

  head.clear();
  head.status = 404;
  head.fields.append("Content-Type", "text/plain");
  framing.body = {http::BodyLength::Kind::known, 3};
  write_own_response_section(section, head, framing);
  EXPECT_EQ(tell(section), "[:status|404][content-type|text/plain][content-length|3]");
}

TEST(H2Section, TrailersKeepOnlyWhatMayStandThere) {
  http::Fields trailers;
  trailers.append("Grpc-Status", "0");
  trailers.append("Connection", "close");
  trailers.append("Content-Length", "5");
  Section section;
  write_trailer_section(section, trailers);
  EXPECT_EQ(tell(section), "[grpc-status|0]");
}

// What is written reads back, strictly, as what it was.
TEST(H2Section, ForwardedRequestReadsBackTheSame) {
  http::RequestHead head = request("PUT", "/x");
  head.body = {http::BodyLength::Kind::chunked};
  head.fields.append("Cookie", "a=b; c=d");
  const http::ForwardContext context{.client_address = "192.0.2.1"};
  Section section;
  write_request_section(section, head, &context, "https");
  Pairs pairs;
  for (const http::Field field : section) pairs.emplace_back(field.name, field.value);
  EXPECT_THAT(request_verdict(pairs, false), testing::StartsWith("PUT /x at 'h:1' body open "));
}

}  // namespace
}  // namespace sluice::h2
