#include "proxy/http/h1_upgrade.h"

#include <string>

#include "proxy/http/forwarding.h"
#include "tests/http/split_verdict.h"

namespace sluice::http {
namespace {

const std::string kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string kVersion = "Sec-WebSocket-Version: 13\r\n";
const std::string kAsk = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

// The verdict on a request, its fields and length left out.
std::string request_verdict_of(const std::string& text) {
  const std::string whole =
      verdict_however_split(text, [](const auto& pieces) { return request_verdict(pieces); });
  return whole.substr(0, whole.find(" ["));
}

std::string get_with(const std::string& lines) {
  return request_verdict_of("GET /chat HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
}

RequestHead request_from(const std::string& text) {
  H1RequestParser parser{HeadLimits{}};
  RequestHead head;
  const HeadResult result = parser.consume(as_bytes(text), head);
  EXPECT_EQ(result.status, HeadStatus::done) << result.error.reason << " in " << text;
  return head;
}

RequestHead websocket_request() {
  return request_from("GET /chat HTTP/1.1\r\nHost: h\r\n" + kAsk + kKey + kVersion + "\r\n");
}

struct Case {
  const char* description;
  std::string lines;
  const char* verdict;
};

TEST(H1Upgrade, WellFormedRequestsAskForATunnel) {
  constexpr const char* kTunnel = "GET /chat at 'h' 1.1 body tunnel keep to websocket";
  const Case cases[] = {
      {"RFC 6455's own", kAsk + kKey + kVersion, kTunnel},
      {"whatever the case", "connection: UPGRADE\r\nupgrade: WebSocket\r\n" + kKey + kVersion,
       kTunnel},
      {"among other options",
       "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" + kKey + kVersion, kTunnel},
      {"options on two lines",
       "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + kKey + kVersion,
       kTunnel},
      {"a body of no bytes", kAsk + kKey + kVersion + "Content-Length: 0\r\n", kTunnel},
      {"an expectation has no body to wait for",
       kAsk + kKey + kVersion + "Expect: 100-continue\r\n", kTunnel},
  };
  for (const Case& c : cases) EXPECT_EQ(get_with(c.lines), c.verdict) << c.description;
}

TEST(H1Upgrade, OtherUpgradesAreOrdinaryRequests) {
  constexpr const char* kOrdinary = "GET /chat at 'h' 1.1 body none keep";
  const Case cases[] = {
      {"h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
       kOrdinary},
      {"a protocol nobody knows", "Connection: Upgrade\r\nUpgrade: foo/2\r\n", kOrdinary},
      {"a choice of two", "Connection: Upgrade\r\nUpgrade: websocket, foo\r\n" + kKey + kVersion,
       kOrdinary},
      {"a choice of two, on two lines", kAsk + "Upgrade: h2c\r\n" + kKey + kVersion, kOrdinary},
      {"a version of it", "Connection: Upgrade\r\nUpgrade: websocket/13\r\n" + kKey + kVersion,
       kOrdinary},
      {"not named in Connection", "Upgrade: websocket\r\n" + kKey + kVersion, kOrdinary},
      {"Connection alone", "Connection: Upgrade\r\n" + kKey + kVersion, kOrdinary},
  };
  for (const Case& c : cases) EXPECT_EQ(get_with(c.lines), c.verdict) << c.description;
  EXPECT_EQ(request_verdict_of("GET / HTTP/1.0\r\nHost: h\r\n" + kAsk + kKey + kVersion + "\r\n"),
            "GET / at 'h' 1.0 body none close")
      << "RFC 9110 §7.8: Upgrade in HTTP/1.0 is ignored";
}

TEST(H1Upgrade, MalformedRequestsForWebsocketAreRefused) {
  constexpr const char* kBadKey = "400 Sec-WebSocket-Key is not 16 bytes in base64";
  const Case cases[] = {
      {"no key", kAsk + kVersion, "400 upgrade to websocket without Sec-WebSocket-Key"},
      {"two keys", kAsk + kKey + kKey + kVersion, "400 repeated Sec-WebSocket-Key"},
      {"an empty key", kAsk + "Sec-WebSocket-Key:\r\n" + kVersion, kBadKey},
      {"15 bytes", kAsk + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" + kVersion, kBadKey},
      {"17 bytes", kAsk + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWQ=\r\n" + kVersion, kBadKey},
      {"no padding", kAsk + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n" + kVersion, kBadKey},
      {"another alphabet", kAsk + "Sec-WebSocket-Key: dGhlIHNhbXBsZS-ub25jZQ==\r\n" + kVersion,
       kBadKey},
      {"no version", kAsk + kKey, "400 Sec-WebSocket-Version is not 13"},
      {"an old version", kAsk + kKey + "Sec-WebSocket-Version: 8\r\n",
       "400 Sec-WebSocket-Version is not 13"},
      {"two versions", kAsk + kKey + kVersion + kVersion, "400 Sec-WebSocket-Version is not 13"},
      {"a body", kAsk + kKey + kVersion + "Content-Length: 1\r\n",
       "400 upgrade to websocket with a body"},
      {"a chunked body", kAsk + kKey + kVersion + "Transfer-Encoding: chunked\r\n",
       "400 upgrade to websocket with a body"},
  };
  for (const Case& c : cases) EXPECT_EQ(get_with(c.lines), c.verdict) << c.description;
  EXPECT_EQ(request_verdict_of("POST / HTTP/1.1\r\nHost: h\r\n" + kAsk + kKey + kVersion + "\r\n"),
            "400 upgrade to websocket with another method than GET");
}

TEST(H1Upgrade, ConnectAsksForATunnelAndHasNoBody) {
  const std::string begin = "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n";
  constexpr const char* kTunnel = "CONNECT  at 'h:443' 1.1 body tunnel close";
  EXPECT_EQ(request_verdict_of(begin + "\r\n"), kTunnel);
  EXPECT_EQ(request_verdict_of(begin + kAsk + "\r\n"), kTunnel);
  EXPECT_EQ(request_verdict_of(begin + "Content-Length: 0\r\n\r\n"), "400 CONNECT with a body");
  EXPECT_EQ(request_verdict_of(begin + "Content-Length: 5\r\n\r\n"), "400 CONNECT with a body");
  EXPECT_EQ(request_verdict_of(begin + "Transfer-Encoding: chunked\r\n\r\n"),
            "400 CONNECT with a body");
}

std::string response_to(Method method, bool upgrade_asked, const std::string& text) {
  const std::string whole = verdict_however_split(text, [&](const auto& pieces) {
    return response_verdict(pieces, method, {}, upgrade_asked);
  });
  return whole.substr(0, whole.find(" ["));
}

TEST(H1Upgrade, SwitchingIsBelievedOnlyAsAskedFor) {
  const std::string line = "HTTP/1.1 101 Switching Protocols\r\n";
  const Case cases[] = {
      {"to websocket", line + kAsk, "101 'Switching Protocols' 1.1 body tunnel close"},
      {"whatever the case", line + "upgrade: WebSocket\r\nconnection: upgrade, x\r\n",
       "101 'Switching Protocols' 1.1 body tunnel close"},
      {"a length of 0", line + kAsk + "Content-Length: 0\r\n",
       "101 'Switching Protocols' 1.1 body tunnel close"},
      {"to something else", line + "Connection: Upgrade\r\nUpgrade: h2c\r\n",
       "502 101 to another protocol than asked for"},
      {"to two", line + "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
       "502 101 to another protocol than asked for"},
      {"to two, on two lines", line + kAsk + "Upgrade: h2c\r\n",
       "502 101 to another protocol than asked for"},
      {"to nothing", line + "Connection: Upgrade\r\n",
       "502 101 to another protocol than asked for"},
      {"without Connection", line + "Upgrade: websocket\r\n",
       "502 101 without Connection: Upgrade"},
      {"from HTTP/1.0", "HTTP/1.0 101 Switching Protocols\r\n" + kAsk, "502 101 in HTTP/1.0"},
      {"with a body", line + kAsk + "Content-Length: 5\r\n", "502 body announced in 1xx or 204"},
      {"with chunks", line + kAsk + "Transfer-Encoding: chunked\r\n",
       "502 body announced in 1xx or 204"},
      {"another response is an ordinary one",
       "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n",
       "200 'OK' 1.1 body known 2 keep"},
      {"an interim one before it", "HTTP/1.1 103 Early Hints\r\nX: y\r\n",
       "103 'Early Hints' 1.1 body none keep"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(response_to(Method::get, true, c.lines + "\r\n"), c.verdict) << c.description;
  }
  EXPECT_EQ(response_to(Method::get, false, line + kAsk + "\r\n"),
            "502 101 without a request to upgrade");
  EXPECT_EQ(response_to(Method::connect, false, line + kAsk + "\r\n"),
            "502 101 without a request to upgrade");
}

TEST(H1Upgrade, SuccessOpensTheTunnelOfConnect) {
  const Case cases[] = {
      {"200", "HTTP/1.1 200 OK\r\nX: y\r\n", "200 'OK' 1.1 body tunnel close"},
      {"204", "HTTP/1.1 204 \r\nX: y\r\n", "204 '' 1.1 body tunnel close"},
      {"a length of 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
       "200 'OK' 1.1 body tunnel close"},
      {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
       "502 body announced in an answer to CONNECT"},
      {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
       "502 body announced in an answer to CONNECT"},
      {"a refusal", "HTTP/1.1 403 No\r\nContent-Length: 5\r\n", "403 'No' 1.1 body known 5 keep"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(response_to(Method::connect, false, c.lines + "\r\n"), c.verdict) << c.description;
  }
}

const ForwardContext kContext{.client_address = "192.0.2.7", .request_id = "id"};
const std::string kAdded =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
    "Forwarded: for=192.0.2.7;host=\"h\";proto=http\r\n";

std::string written(const RequestHead& head, const ForwardContext& context = kContext) {
  std::string out;
  write_forwarded_request(out, head, context, head.body);
  return out;
}

TEST(ForwardedTunnel, UpgradeIsAskedForAnewWithTheClientsKey) {
  EXPECT_EQ(written(websocket_request()), "GET /chat HTTP/1.1\r\nHost: h\r\n" + kKey + kVersion +
                                              kAdded +
                                              "Via: 1.1 sluice\r\nX-Request-Id: id\r\n"
                                              "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(ForwardedTunnel, AnUpgradeOutOfHttp2GetsAKey) {
  RequestHead head;
  head.method = Method::get;
  head.method_text = "GET";
  head.version = Version::http_2;
  head.authority = "h";
  head.target = "/chat";
  head.protocol = kWebSocket;
  head.body = {BodyLength::Kind::tunnel};
  head.fields.append("sec-websocket-key", "the client's own means nothing here");
  ForwardContext context = kContext;
  context.websocket_key = "dGhlIHNhbXBsZSBub25jZQ==";
  EXPECT_EQ(written(head, context), "GET /chat HTTP/1.1\r\nHost: h\r\n" + kAdded +
                                        "Via: 2 sluice\r\nX-Request-Id: id\r\n" + kKey + kVersion +
                                        "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(ForwardedTunnel, AnUpgradeIntoHttp2LosesItsKey) {
  Fields out;
  const RequestHead head = websocket_request();
  forward_request_fields(out, head, kContext, head.body);
  EXPECT_EQ(describe(out).substr(0, 27), "[sec-websocket-version|13][");
  EXPECT_EQ(describe(out).find("key"), std::string::npos);
  EXPECT_FALSE(out.has(FieldId::upgrade) || out.has(FieldId::connection));
}

TEST(ForwardedTunnel, ConnectGoesOnInAuthorityForm) {
  const RequestHead head = request_from("CONNECT H:443 HTTP/1.1\r\nHost: h:443\r\nA: b\r\n\r\n");
  const std::string out = written(head);
  EXPECT_TRUE(out.starts_with("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nA: b\r\nX-Forw")) << out;
  EXPECT_EQ(out.find("onnection"), std::string::npos);
  EXPECT_EQ(out.find("Content-Length"), std::string::npos);
}

TEST(ForwardedTunnel, UpgradesThatAreNoTunnelLeaveNoTrace) {
  const std::string out =
      written(request_from("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: "
                           "h2c\r\nHTTP2-Settings: x\r\n\r\n"));
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: h\r\n" + kAdded +
                     "Via: 1.1 sluice\r\nX-Request-Id: id\r\n\r\n");
}

ResponseHead response_from(const std::string& text, const RequestHead& request) {
  H1ResponseParser parser{HeadLimits{}};
  parser.reset(request.method, !request.protocol.empty());
  ResponseHead head;
  const HeadResult result = parser.consume(as_bytes(text), head);
  EXPECT_EQ(result.status, HeadStatus::done) << result.error.reason << " in " << text;
  return head;
}

TEST(ForwardedTunnel, SwitchingIsSaidAnewAndFramesNothing) {
  const RequestHead request = websocket_request();
  const ResponseHead response = response_from(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n"
      "Sec-WebSocket-Accept: theirs\r\nContent-Length: 0\r\nSec-WebSocket-Protocol: p\r\n\r\n",
      request);
  const ClientFraming framing = frame_for_client(request, response, true, "now");
  EXPECT_EQ(framing.body.kind, BodyLength::Kind::tunnel);
  EXPECT_FALSE(framing.keep_alive);
  std::string out;
  write_forwarded_response(out, response, framing);
  EXPECT_EQ(out,
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: theirs\r\n"
            "Sec-WebSocket-Protocol: p\r\nVia: 1.1 sluice\r\nDate: now\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");

  Fields fields;
  forward_response_fields(fields, response, framing);
  EXPECT_EQ(describe(fields), "[sec-websocket-protocol|p][via|1.1 sluice][date|now]");
}

TEST(ForwardedTunnel, TheAnswerToConnectFramesNothing) {
  const RequestHead request = request_from("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
  const ResponseHead response =
      response_from("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", request);
  std::string out;
  write_forwarded_response(out, response, frame_for_client(request, response, true, "now"));
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\nDate: now\r\n\r\n");
}

}  // namespace
}  // namespace sluice::http
