#include "proxy/http/forwarding.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/http/verdict.h"

namespace sluice::http {
namespace {

using Kind = BodyLength::Kind;

RequestHead request_from(const std::string& text) {
  H1RequestParser parser{HeadLimits{}};
  RequestHead head;
  const HeadResult result = parser.consume(as_bytes(text), head);
  EXPECT_EQ(result.status, HeadStatus::done) << result.error.reason << " in " << text;
  return head;
}

ResponseHead response_from(const std::string& text, Method method = Method::get) {
  H1ResponseParser parser{HeadLimits{}};
  parser.reset(method);
  ResponseHead head;
  const HeadResult result = parser.consume(as_bytes(text), head);
  EXPECT_EQ(result.status, HeadStatus::done) << result.error.reason << " in " << text;
  return head;
}

const ForwardContext kUntrusted{
    .client_address = "192.0.2.7", .client_scheme = "https", .request_id = "generated-1"};

ForwardContext trusted() {
  ForwardContext context = kUntrusted;
  context.client_trusted = true;
  return context;
}

std::string forwarded(const std::string& text, const ForwardContext& context = kUntrusted) {
  const RequestHead head = request_from(text);
  std::string out;
  write_forwarded_request(out, head, context, head.body);
  return out;
}

// A GET with these field lines, forwarded; what is left of them and of what is always added.
std::string fields_to_server(const std::string& lines, const ForwardContext& context = kUntrusted) {
  const std::string out = forwarded("GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n", context);
  const std::string_view begin = "GET / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_TRUE(out.starts_with(begin)) << out;
  return out.substr(begin.size());
}

const std::string kXForwarded =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\n";
const std::string kElement = "for=192.0.2.7;host=\"h\";proto=https";
const std::string kForwarded = "Forwarded: " + kElement + "\r\n";
const std::string kOrigin = kXForwarded + kForwarded;
const std::string kTail = "Via: 1.1 sluice\r\nX-Request-Id: generated-1\r\n";

TEST(ForwardedRequest, IsWrittenWhole) {
  EXPECT_EQ(forwarded("POST /a?b HTTP/1.1\r\nhost: EXAMPLE.com:80\r\nuser-agent: x\r\n"
                      "content-length: 007\r\n\r\n"),
            "POST /a?b HTTP/1.1\r\n"
            "Host: example.com:80\r\n"
            "user-agent: x\r\n"
            "Content-Length: 7\r\n"
            "X-Forwarded-For: 192.0.2.7\r\n"
            "X-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: example.com:80\r\n"
            "Forwarded: for=192.0.2.7;host=\"example.com:80\";proto=https\r\n"
            "Via: 1.1 sluice\r\n"
            "X-Request-Id: generated-1\r\n\r\n");
}

TEST(ForwardedRequest, FieldsOfOneHopStayBehind) {
  EXPECT_EQ(fields_to_server("Connection: X-Hop, keep-alive\r\nx-hop: 1\r\nKeep-Alive: 5\r\n"
                             "Proxy-Connection: x\r\nProxy-Authorization: x\r\nTE: gzip\r\n"
                             "Upgrade: websocket\r\nTrailer: X-Sum\r\nX-End: 2\r\n"
                             "Authorization: kept\r\nCookie: kept\r\n"),
            "X-End: 2\r\nAuthorization: kept\r\nCookie: kept\r\n" + kOrigin + kTail + "\r\n");
}

TEST(ForwardedRequest, ChunkedStaysChunkedWithItsTrailer) {
  const std::string out = forwarded(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n");
  EXPECT_NE(out.find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(out.find("Chunked"), std::string::npos);
  EXPECT_NE(out.find("\r\nTrailer: X-Sum\r\n"), std::string::npos);
}

TEST(ForwardedRequest, TrailersAreAskedForAnew) {
  EXPECT_EQ(fields_to_server("TE: gzip, Trailers\r\nConnection: TE\r\n"),
            kOrigin + kTail + "TE: trailers\r\nConnection: TE\r\n\r\n");
  ForwardContext last = kUntrusted;
  last.keep_server_connection = false;
  EXPECT_EQ(fields_to_server("TE: trailers\r\nConnection: TE\r\n", last),
            kOrigin + kTail + "TE: trailers\r\nConnection: TE, close\r\n\r\n");
  EXPECT_EQ(fields_to_server("", last), kOrigin + kTail + "Connection: close\r\n\r\n");
}

const std::string kClaims =
    "X-Forwarded-For: 10.1.1.1\r\nx-forwarded-for: 10.2.2.2, 10.3.3.3\r\nX-Forwarded-Proto: "
    "http\r\n"
    "X-Forwarded-Host: public.example\r\nForwarded: for=10.1.1.1\r\nX-Request-Id: theirs\r\n";

TEST(ForwardedRequest, AnUntrustedPeersWordIsReplaced) {
  EXPECT_EQ(fields_to_server(kClaims), kOrigin + kTail + "\r\n");
}

// What servers believe of proxies, besides the fields that are replaced.
const std::string kOtherClaims =
    "X-Real-IP: 10.1.1.1\r\nx-forwarded-port: 1\r\nX-Forwarded-Server: a\r\n"
    "X-FORWARDED-PREFIX: /a\r\nX-Forwarded-Scheme: https\r\nX-Forwarded-Ssl: on\r\n"
    "True-Client-IP: 10.1.1.1\r\nX-Client-IP: 10.1.1.1\r\nCF-Connecting-IP: 10.1.1.1\r\n"
    "Fastly-Client-IP: 10.1.1.1\r\nClient-Ip: 10.1.1.1\r\nFront-End-Https: on\r\n";
// That merely look like them.
const std::string kNoClaims =
    "X-Forwarder: a\r\nX-Real-IPs: a\r\nTrue: a\r\nCF-Ray: a\r\nFrom: a\r\nX: a\r\n";

TEST(ForwardedRequest, OtherWordsOfProxiesAreBelievedOfTrustedPeersOnly) {
  EXPECT_EQ(fields_to_server(kOtherClaims + kNoClaims), kNoClaims + kOrigin + kTail + "\r\n");
  EXPECT_EQ(fields_to_server(kOtherClaims + kNoClaims, trusted()),
            kOtherClaims + kNoClaims + kOrigin + kTail + "\r\n");
}

TEST(ForwardedRequest, ATrustedPeersWordIsExtended) {
  EXPECT_EQ(fields_to_server(kClaims, trusted()),
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: public.example\r\n"
            "X-Forwarded-For: 10.1.1.1, 10.2.2.2, 10.3.3.3, 192.0.2.7\r\n"
            "Forwarded: for=10.1.1.1, for=192.0.2.7;host=\"h\";proto=https\r\n"
            "Via: 1.1 sluice\r\nX-Request-Id: theirs\r\n\r\n");
  EXPECT_EQ(fields_to_server("", trusted()), kOrigin + kTail + "\r\n");
}

TEST(ForwardedRequest, OneFamilyOfFieldsIsSentAndTheOtherRemovedOnRequest) {
  for (const bool is_trusted : {false, true}) {
    ForwardContext context = kUntrusted;
    context.client_trusted = is_trusted;
    const std::string tail =
        is_trusted ? "Via: 1.1 sluice\r\nX-Request-Id: theirs\r\n\r\n" : kTail + "\r\n";
    context.forwarded = ForwardedFields::x_forwarded;
    EXPECT_EQ(fields_to_server(kClaims, context),
              (is_trusted ? "X-Forwarded-Proto: http\r\nX-Forwarded-Host: public.example\r\n"
                            "X-Forwarded-For: 10.1.1.1, 10.2.2.2, 10.3.3.3, 192.0.2.7\r\n"
                          : kXForwarded) +
                  tail);
    context.forwarded = ForwardedFields::forwarded;
    EXPECT_EQ(fields_to_server(kClaims, context),
              (is_trusted ? "Forwarded: for=10.1.1.1, " + kElement + "\r\n" : kForwarded) + tail);
  }
}

TEST(ForwardedRequest, PeersWithoutAnIpAddressAreUnknown) {
  ForwardContext local = trusted();
  local.client_address = "";
  const std::string unknown = "Forwarded: for=unknown;host=\"h\";proto=https\r\n";
  EXPECT_EQ(fields_to_server("X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: http\r\n"
                             "X-Forwarded-Host: p\r\nForwarded: for=_x\r\n",
                             local),
            "X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: p\r\n"
            "Forwarded: for=_x, for=unknown;host=\"h\";proto=https\r\n" +
                kTail + "\r\n");
  local.client_trusted = false;
  EXPECT_EQ(fields_to_server("X-Forwarded-For: 10.1.1.1\r\n", local),
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\n" + unknown + kTail + "\r\n");
}

struct ForwardedCase {
  const char* description;
  const char* lines;
  const char* client;
  const char* local;
  const char* expected;
};

TEST(ForwardedRequest, ForwardedIsWrittenAsItsGrammarWants) {
  const ForwardedCase cases[] = {
      {"nothing before", "", "192.0.2.7", "", "for=192.0.2.7;"},
      {"an IPv6 client", "", "2001:db8::1", "", "for=\"[2001:db8::1]\";"},
      {"where it came in", "", "192.0.2.7", "198.51.100.1", "by=198.51.100.1;for=192.0.2.7;"},
      {"by IPv6", "", "::1", "2001:db8::2", "by=\"[2001:db8::2]\";for=\"[::1]\";"},
      {"several lines before", "Forwarded: for=a\r\nForwarded: \r\nForwarded: for=b;proto=http\r\n",
       "192.0.2.7", "", "for=a, for=b;proto=http, for=192.0.2.7;"},
      {"a quoted comma", "Forwarded: for=\"a,\\\"\"\r\n", "192.0.2.7", "",
       "for=\"a,\\\"\", for=192.0.2.7;"},
      {"an open quote would swallow what follows", "Forwarded: for=\"a\r\nForwarded: for=b\r\n",
       "192.0.2.7", "", "for=b, for=192.0.2.7;"},
      {"X-Forwarded-For alone",
       "X-Forwarded-For: 10.0.0.1, 2001:db8::3\r\nX-Forwarded-For: x\"y\r\n", "192.0.2.7", "",
       "for=10.0.0.1, for=\"[2001:db8::3]\", for=unknown, for=192.0.2.7;"},
      {"both: each goes on by itself", "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=b\r\n",
       "192.0.2.7", "", "for=b, for=192.0.2.7;"},
  };
  for (const ForwardedCase& c : cases) {
    ForwardContext context = trusted();
    context.client_address = c.client;
    context.local_address = c.local;
    const std::string out = fields_to_server(c.lines, context);
    EXPECT_NE(out.find("\r\nForwarded: " + std::string(c.expected) + "host=\"h\";proto=https\r\n"),
              std::string::npos)
        << c.description << " in " << out;
  }
}

TEST(ForwardedRequest, OnlyASaneRequestIdOfATrustedPeerIsKept) {
  const auto id_of = [](const std::string& value, const ForwardContext& context) {
    const RequestHead head =
        request_from("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: " + value + "\r\n\r\n");
    return std::string(effective_request_id(head, context));
  };
  EXPECT_EQ(id_of("abc-1.2_3", trusted()), "abc-1.2_3");
  EXPECT_EQ(id_of("abc-1.2_3", kUntrusted), "generated-1");
  EXPECT_EQ(id_of("", trusted()), "generated-1");
  EXPECT_EQ(id_of("a b", trusted()), "generated-1");
  EXPECT_EQ(id_of("a\"b", trusted()), "generated-1");
  EXPECT_EQ(id_of(std::string(kRequestIdBytesMax, 'x'), trusted()),
            std::string(kRequestIdBytesMax, 'x'));
  EXPECT_EQ(id_of(std::string(kRequestIdBytesMax + 1, 'x'), trusted()), "generated-1");
}

TEST(ForwardedRequest, ViaIsAppendedWithTheVersionReceived) {
  const std::string out = forwarded("GET / HTTP/1.0\r\nHost: h\r\nVia: 1.1 other\r\n\r\n");
  EXPECT_TRUE(out.starts_with("GET / HTTP/1.1\r\n")) << out;
  EXPECT_NE(out.find("Via: 1.1 other\r\n"), std::string::npos);
  EXPECT_GT(out.find("Via: 1.0 sluice\r\n"), out.find("Via: 1.1 other\r\n"));
}

TEST(ForwardedRequest, ARequestWithoutHostGetsTheDefault) {
  ForwardContext context = kUntrusted;
  context.default_host = "10.0.0.1:80";
  EXPECT_EQ(
      forwarded("GET / HTTP/1.0\r\n\r\n", context),
      "GET / HTTP/1.1\r\nHost: 10.0.0.1:80\r\nX-Forwarded-For: 192.0.2.7\r\n"
      "X-Forwarded-Proto: https\r\nForwarded: for=192.0.2.7;proto=https\r\nVia: 1.0 sluice\r\n"
      "X-Request-Id: generated-1\r\n\r\n");
}

TEST(ForwardedRequest, ExpectIsKeptWhereItMeansSomething) {
  const std::string expect = "\r\nExpect: 100-continue\r\n";
  const std::string lines = " HTTP/1.1\r\nHost: h\r\nExpect: 100-CONTINUE\r\n";
  EXPECT_NE(forwarded("POST /" + lines + "Content-Length: 1\r\n\r\n").find(expect),
            std::string::npos);
  EXPECT_EQ(forwarded("POST /" + lines + "\r\n").find("xpect"), std::string::npos);
}

TEST(ForwardedRequest, AbsoluteFormArrivesInOriginForm) {
  EXPECT_TRUE(forwarded("GET http://H/x?y HTTP/1.1\r\nHost: h\r\n\r\n")
                  .starts_with("GET /x?y HTTP/1.1\r\nHost: h\r\n"));
}

TEST(AnsweredHere, DependsOnMethodAndMaxForwards) {
  const auto answer = [](const std::string& text) { return answered_here(request_from(text)); };
  EXPECT_EQ(answer("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"), std::nullopt);
  EXPECT_EQ(answer("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"), 405);
  EXPECT_EQ(answer("GET / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n"), std::nullopt);
  const std::string options = "OPTIONS / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(answer(options + "\r\n"), std::nullopt);
  EXPECT_EQ(answer(options + "Max-Forwards: 0\r\n\r\n"), 204);
  EXPECT_EQ(answer(options + "Max-Forwards: x\r\n\r\n"), 400);
  EXPECT_EQ(answer(options + "Max-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n"), 400);
  EXPECT_EQ(answer(options + "Max-Forwards: 10\r\n\r\n"), std::nullopt);
  EXPECT_NE(forwarded(options + "Max-Forwards: 10\r\n\r\n").find("\r\nMax-Forwards: 9\r\n"),
            std::string::npos);
  EXPECT_NE(forwarded("GET / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 10\r\n\r\n")
                .find("\r\nMax-Forwards: 10\r\n"),
            std::string::npos);
}

struct ResponseCase {
  const char* description;
  const char* request_line;
  const char* response;  // status line's end and field lines
  bool keep_alive_wanted;
  const char* expected;
};

TEST(ForwardedResponse, IsFramedForTheClientThatAsked) {
  const ResponseCase cases[] = {
      {"known", "GET / HTTP/1.1", "200 OK\r\ncontent-length: 5\r\nDate: d\r\n", true,
       "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\nContent-Length: 5\r\n"},
      {"a date is added", "GET / HTTP/1.1", "200 OK\r\nContent-Length: 5\r\n", true,
       "200 OK\r\nVia: 1.1 sluice\r\nContent-Length: 5\r\nDate: now\r\n"},
      {"the proxy wants to close", "GET / HTTP/1.1", "200 OK\r\nContent-Length: 5\r\nDate: d\r\n",
       false, "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\nContent-Length: 5\r\nConnection: close\r\n"},
      {"the server's own hop stays behind", "GET / HTTP/1.1",
       "200 OK\r\nContent-Length: 5\r\nDate: d\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
       "Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Authenticate: x\r\nTrailer: y\r\n",
       true, "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\nContent-Length: 5\r\n"},
      {"chunked", "GET / HTTP/1.1",
       "200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nDate: d\r\n", true,
       "200 OK\r\nTrailer: x\r\nDate: d\r\nVia: 1.1 sluice\r\nTransfer-Encoding: chunked\r\n"},
      {"chunked for 1.0", "GET / HTTP/1.0",
       "200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nDate: d\r\n", true,
       "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\nConnection: close\r\n"},
      {"close-delimited becomes chunked", "GET / HTTP/1.1", "200 OK\r\nDate: d\r\n", true,
       "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\nTransfer-Encoding: chunked\r\n"},
      {"close-delimited for 1.0", "GET / HTTP/1.0", "200 OK\r\nDate: d\r\n", true,
       "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\nConnection: close\r\n"},
      {"known for 1.0 that stays", "GET / HTTP/1.0\r\nConnection: keep-alive",
       "200 OK\r\nContent-Length: 5\r\nDate: d\r\n", true,
       "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\nContent-Length: 5\r\nConnection: keep-alive\r\n"},
      {"HEAD keeps the length", "HEAD / HTTP/1.1", "200 OK\r\nContent-Length: 5\r\nDate: d\r\n",
       true, "200 OK\r\nContent-Length: 5\r\nDate: d\r\nVia: 1.1 sluice\r\n"},
      {"HEAD of chunked", "HEAD / HTTP/1.1", "200 OK\r\nTransfer-Encoding: chunked\r\nDate: d\r\n",
       true, "200 OK\r\nDate: d\r\nVia: 1.1 sluice\r\n"},
      {"304 keeps the length", "GET / HTTP/1.1",
       "304 Not Modified\r\nContent-Length: 5\r\nDate: d\r\n", true,
       "304 Not Modified\r\nContent-Length: 5\r\nDate: d\r\nVia: 1.1 sluice\r\n"},
      {"204 loses it", "GET / HTTP/1.1", "204 \r\nContent-Length: 0\r\nDate: d\r\n", true,
       "204 \r\nDate: d\r\nVia: 1.1 sluice\r\n"},
      {"an interim response is bare", "GET / HTTP/1.1", "103 Early Hints\r\nLink: x\r\n", false,
       "103 Early Hints\r\nLink: x\r\n"},
      {"cookies stay apart", "GET / HTTP/1.1",
       "200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\nDate: d\r\n", true,
       "200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: d\r\nVia: 1.1 sluice\r\n"
       "Content-Length: 0\r\n"},
      {"from a 1.0 server", "GET / HTTP/1.1", "200 OK\r\nContent-Length: 0\r\nDate: d\r\n", true,
       "200 OK\r\nDate: d\r\nVia: 1.0 sluice\r\nContent-Length: 0\r\n"},
  };
  for (const ResponseCase& c : cases) {
    const RequestHead request = request_from(std::string(c.request_line) + "\r\nHost: h\r\n\r\n");
    const bool old_server = std::string_view(c.description) == "from a 1.0 server";
    const ResponseHead response = response_from(
        std::string(old_server ? "HTTP/1.0 " : "HTTP/1.1 ") + c.response + "\r\n", request.method);
    std::string out;
    write_forwarded_response(out, response,
                             frame_for_client(request, response, c.keep_alive_wanted, "now"));
    EXPECT_EQ(out, "HTTP/1.1 " + std::string(c.expected) + "\r\n") << c.description;
  }
}

TEST(ForwardedResponse, ClientThatAskedToCloseIsToldSo) {
  const RequestHead request =
      request_from("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const ResponseHead response = response_from("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(frame_for_client(request, response, true, "").keep_alive);
}

// What goes to an HTTP/2 server of this request.
std::string fields_to_h2(const std::string& text, const ForwardContext& context = kUntrusted) {
  const RequestHead head = request_from(text);
  Fields out;
  forward_request_fields(out, head, context, head.body);
  return describe(out);
}

const std::string kH2Tail =
    "[x-forwarded-for|192.0.2.7][x-forwarded-proto|https][x-forwarded-host|h]"
    "[forwarded|" +
    kElement + "][via|1.1 sluice][x-request-id|generated-1]";

TEST(RequestFieldsForHttp2, FollowTheSameRules) {
  EXPECT_EQ(fields_to_h2("GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: Kept As It Is\r\n"
                         "Connection: X-Hop, keep-alive\r\nx-hop: 1\r\nKeep-Alive: 5\r\n"
                         "Proxy-Connection: x\r\nTE: gzip\r\nUpgrade: h2c\r\nTrailer: a\r\n\r\n"),
            "[user-agent|Kept As It Is]" + kH2Tail);
  EXPECT_EQ(fields_to_h2("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\nTrailer: a\r\n"
                         "Expect: 100-continue\r\n\r\n"),
            "[trailer|a][content-length|7][expect|100-continue]" + kH2Tail);
  EXPECT_EQ(fields_to_h2("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                         "TE: trailers\r\nConnection: TE\r\n\r\n"),
            kH2Tail + "[te|trailers]");
}

TEST(RequestFieldsForHttp2, WordsOfProxiesAreBelievedOfTrustedPeersOnly) {
  EXPECT_EQ(fields_to_h2("GET / HTTP/1.1\r\nHost: h\r\n" + kOtherClaims + "X: a\r\n\r\n"),
            "[x|a]" + kH2Tail);
  Fields out;
  const RequestHead head = request_from("GET / HTTP/1.1\r\nHost: h\r\nX-Real-IP: 10.1.1.1\r\n\r\n");
  forward_request_fields(out, head, trusted(), head.body);
  EXPECT_EQ(describe(out), "[x-real-ip|10.1.1.1]" + kH2Tail);
}

TEST(RequestFieldsForHttp2, TellFieldsApartOnTheOtherSideToo) {
  Fields out;
  const RequestHead head = request_from("GET / HTTP/1.1\r\nHost: h\r\nCOOKIE: a\r\n\r\n");
  forward_request_fields(out, head, kUntrusted, head.body);
  EXPECT_EQ(out.find(FieldId::cookie), "a");
  EXPECT_TRUE(out.has(FieldId::forwarded));
  EXPECT_EQ(out.find(FieldId::via), "1.1 sluice");
}

struct Http2ResponseCase {
  const char* description;
  Method method;
  const char* response;
  const char* forwarded;
  const char* own;
};

TEST(ResponseFieldsForHttp2, FollowTheSameRules) {
  const Http2ResponseCase cases[] = {
      {"known", Method::get, "200 OK\r\nContent-Length: 05\r\nX-A: B\r\n",
       "[x-a|B][via|1.1 sluice][content-length|5][date|now]",
       "[x-a|B][content-length|5][date|now]"},
      {"chunked", Method::get, "200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nDate: d\r\n",
       "[trailer|x][date|d][via|1.1 sluice]", "[trailer|x][date|d]"},
      {"until the server closes", Method::get, "200 OK\r\nDate: d\r\nConnection: close\r\n",
       "[date|d][via|1.1 sluice]", "[date|d]"},
      {"HEAD", Method::head, "200 OK\r\nContent-Length: 5\r\nDate: d\r\n",
       "[content-length|5][date|d][via|1.1 sluice]", "[content-length|5][date|d]"},
      {"304", Method::get, "304 Not Modified\r\nContent-Length: 5\r\nDate: d\r\n",
       "[content-length|5][date|d][via|1.1 sluice]", "[content-length|5][date|d]"},
      {"204", Method::get, "204 \r\nContent-Length: 0\r\nDate: d\r\n", "[date|d][via|1.1 sluice]",
       "[date|d]"},
      {"interim", Method::get, "103 Early Hints\r\nLink: x\r\n", "[link|x]", "[link|x]"},
  };
  for (const Http2ResponseCase& c : cases) {
    RequestHead request;
    request.method = c.method;
    request.version = Version::http_2;
    const ResponseHead response =
        response_from("HTTP/1.1 " + std::string(c.response) + "\r\n", c.method);
    const ClientFraming framing = frame_for_client(request, response, false, "now");
    Fields out;
    forward_response_fields(out, response, framing);
    EXPECT_EQ(describe(out), c.forwarded) << c.description;
    out.clear();
    own_response_fields(out, response, framing);
    EXPECT_EQ(describe(out), c.own) << c.description;
  }
}

}  // namespace
}  // namespace sluice::http
