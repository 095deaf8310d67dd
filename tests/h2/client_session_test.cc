// A session that asks: requests out, responses in, and what is known of each when a server lets
// one down.
#include <gmock/gmock.h>

#include <deque>
#include <string>
#include <vector>

#include "tests/h2/endpoint.h"

namespace sluice::h2 {
namespace {

namespace wire = harness::h2;
using testing::ElementsAre;
using testing::HasSubstr;

const Pairs kGet{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}};
const Pairs kPost{{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}};
const Pairs kHead{{":method", "HEAD"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}};

constexpr bool kOpen = false;

std::string response(std::uint32_t id, const Pairs& fields, bool end = false) {
  return wire::headers(id, fields_of(fields), end);
}

std::string ok(std::uint32_t id, bool end = false) {
  return response(id, {{":status", "200"}}, end);
}

TEST(H2Client, AsksAndIsAnswered) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard& heard = client.ask(kGet);
  client.settle();
  EXPECT_THAT(client.frames(),
              ElementsAre("HEADERS 1 [:method|GET] [:scheme|http] [:authority|h] [:path|/] end"));
  EXPECT_TRUE(client.take(response(1, {{":status", "103"}, {"link", "x"}}) +
                          response(1, {{":status", "200"}, {"content-length", "5"}}) +
                          wire::data(1, "he") + wire::data(1, "llo", true)));
  EXPECT_EQ(client.events(),
            "response 1 103 body none [link|x]\nresponse 1 200 body 5 [content-length|5]\n"
            "data 1 hello\nend 1\nclosed 1 whole");
  EXPECT_EQ(heard.body, "hello");
  EXPECT_EQ(client.session.streams(), 0u);
}

TEST(H2Client, NoHeadersWithinATunnel) {
  const Pairs connect{{":method", "CONNECT"}, {":authority", "db:5432"}};
  Endpoint client(Endpoint::client_options());
  client.greet();
  client.ask(connect, kOpen);
  client.settle();
  client.frames();
  EXPECT_TRUE(client.take(ok(1) + response(1, {{"x-sum", "abc"}}, true)));
  EXPECT_THAT(client.frames(), ElementsAre("RST_STREAM 1 PROTOCOL_ERROR"));
  EXPECT_THAT(client.events(), HasSubstr("HEADERS within a tunnel"));
  // One that did not open has a response like any other.
  client.ask(connect, kOpen);
  client.settle();
  EXPECT_TRUE(client.take(response(3, {{":status", "403"}}) + wire::data(3, "no") +
                          response(3, {{"x-sum", "abc"}}, true)));
  EXPECT_THAT(client.events(), HasSubstr("[x-sum|abc]"));
}

// RFC 7541 §6.2.3, §7.1.3: what came as a secret of one connection never enters a table on the
// next.
TEST(H2Client, WhatMustNeverBeIndexedGoesOutSo) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  std::deque<Endpoint::Heard> heard;
  const auto bytes_for = [&](bool never_indexed) {
    Section section = section_of(kGet);
    section.append("x-secret", "0123456789abcdef0123456789abcdef", http::FieldId::other,
                   never_indexed);
    heard.emplace_back().owner = &client;
    Stream& opened = client.session.open(heard.back());
    heard.back().stream = &opened;
    opened.send_request(section, true);
    client.settle();
    return client.raw_frames().size();
  };
  const std::size_t first = bytes_for(true);
  EXPECT_GE(bytes_for(true), first - 8) << "it is not in the table";
  bytes_for(false);
  EXPECT_LT(bytes_for(false), first - 20) << "what may be in the table is";
}

TEST(H2Client, GreetsWithItsSettings) {
  Endpoint client(Endpoint::client_options());
  client.settle();
  wire::FrameReader reader;
  const std::string out = client.raw_frames();
  ASSERT_TRUE(out.starts_with(wire::kPreface));
  reader.add(std::string_view(out).substr(wire::kPreface.size()));
  const auto settings = reader.next();
  ASSERT_TRUE(settings && settings->type == wire::kSettings);
  std::map<std::uint32_t, std::uint32_t> values;
  for (std::size_t at = 0; at < settings->payload.size(); at += 6) {
    values[wire::number_at(std::string(2, '\0') + settings->payload.substr(at, 2))] =
        wire::number_at(settings->payload, at + 2);
  }
  EXPECT_EQ(values[wire::kEnablePush], 0u);
  EXPECT_EQ(values[wire::kInitialWindowSize], 128u * 1024);
  EXPECT_EQ(values[wire::kMaxHeaderListSize], 32u * 1024);
  EXPECT_FALSE(values.contains(wire::kEnableConnectProtocol));
}

TEST(H2Client, SendsBodyAndTrailers) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard& heard = client.ask(kPost, kOpen);
  heard.stream->send_data(as_bytes("body"));
  http::Fields trailers;
  trailers.append("X-Sum", "1");
  heard.stream->send_end(trailers);
  client.settle();
  EXPECT_THAT(client.frames(), ElementsAre(testing::StartsWith("HEADERS 1 [:method|POST]"),
                                           "DATA 1 'body'", "HEADERS 1 [x-sum|1] end"));
}

TEST(H2Client, TrailersOfTheResponseAreHeard) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  client.ask(kGet);
  client.settle();
  client.take(ok(1) + wire::data(1, "x") + response(1, {{"grpc-status", "0"}}, true));
  EXPECT_THAT(client.events(), HasSubstr("end 1 [grpc-status|0]\nclosed 1 whole"));
}

// What each response comes to, however it is split.
TEST(H2Client, NoTruncatedOrMalformedResponseLooksWhole) {
  struct Case {
    Pairs request;
    std::string bytes;
    std::string heard;
  };
  const std::string by_us = "closed 1 PROTOCOL_ERROR by us";
  const Pairs five{{":status", "200"}, {"content-length", "5"}};
  const Case cases[] = {
      {kGet, response(1, five) + wire::data(1, "1234", true), by_us},
      {kGet, response(1, five) + wire::data(1, "", true), by_us},
      {kGet, response(1, five, true), by_us},
      {kGet, response(1, five) + wire::data(1, "123456"), by_us},
      {kGet, response(1, five) + wire::data(1, "1") + response(1, {{"x", "y"}}, true), by_us},
      {kGet, response(1, {{":status", "204"}}) + wire::data(1, "x", true), by_us},
      {kGet, response(1, {{":status", "304"}}) + wire::data(1, "x", true), by_us},
      {kHead, response(1, five) + wire::data(1, "12345", true), by_us},
      {kGet, response(1, {{":status", "204"}, {"content-length", "5"}}), by_us},
      {kGet, wire::data(1, "x", true), "closed 1 PROTOCOL_ERROR by us"},
      {kGet, response(1, {{":status", "100"}}) + wire::data(1, "x", true), by_us},
      {kGet, response(1, {{":status", "100"}}, true), by_us},
      {kGet, response(1, {{":status", "101"}}), by_us},
      {kGet, response(1, {{":status", "999"}}), by_us + ": status out of range"},
      {kGet, response(1, {{":status", "2x0"}}), by_us},
      {kGet, response(1, {{"x", "y"}}), by_us},
      {kGet, response(1, {{":status", "200"}, {"connection", "close"}}), by_us},
      {kGet, response(1, {{":status", "200"}, {"x", "a\nb"}}), by_us},
      {kGet, response(1, {{":status", "200"}, {"x", std::string("\0", 1)}}), by_us},
      {kGet, response(1, {{":status", "200"}, {"X", "a"}}), by_us},
      {kGet, response(1, {{":status", "200"}, {"x", std::string(33'000, 'x')}}), by_us},
      {kGet, ok(1) + response(1, {{"x", "y"}}), by_us},
      {kGet, ok(1) + response(1, {{"content-length", "1"}}, true), by_us},
      {kGet, ok(1) + wire::data(1, "x") + wire::reset(1, 2), "closed 1 INTERNAL_ERROR by peer"},
      {kGet, ok(1) + wire::reset(1, 0), "closed 1 NO_ERROR by peer"},
      {kGet, wire::reset(1, 7), "closed 1 REFUSED_STREAM by peer unprocessed"},
      {kGet, ok(1) + wire::reset(1, 7), "closed 1 REFUSED_STREAM by peer"},
      {kGet, wire::headers(2, fields_of(kGet), true), by_us},
      {kGet, wire::frame(wire::kPushPromise, 4, 1, std::string("\0\0\0\2", 4)), by_us},
  };
  for (const Case& c : cases) {
    const auto run = [&](std::size_t cut) {
      Endpoint client(Endpoint::client_options());
      client.greet();
      Endpoint::Heard& heard = client.ask(c.request);
      client.settle();
      client.take(std::string_view(c.bytes).substr(0, cut));
      client.take(std::string_view(c.bytes).substr(cut));
      EXPECT_FALSE(heard.ended);
      return heard.closed;
    };
    const std::string whole = run(0);
    EXPECT_THAT("closed 1 " + whole, testing::StartsWith(c.heard));
    for (std::size_t cut = 1; cut<c.bytes.size(); cut += c.bytes.size()> 1000 ? 331 : 1) {
      ASSERT_EQ(run(cut), whole) << cut;
    }
  }
}

TEST(H2Client, ResponsesWithoutABodyMayEndLate) {
  for (const Pairs& fields : {Pairs{{":status", "204"}}, Pairs{{":status", "304"}},
                              Pairs{{":status", "200"}, {"content-length", "5"}}}) {
    Endpoint client(Endpoint::client_options());
    client.greet();
    Endpoint::Heard& heard = client.ask(kHead);
    client.settle();
    EXPECT_TRUE(client.take(response(1, fields) + wire::data(1, "", true)));
    EXPECT_TRUE(heard.ended);
    EXPECT_EQ(heard.closed, "whole");
  }
}

TEST(H2Client, ResponseBeforeTheRequestsEndIsWholeEvenSo) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard& heard = client.ask(kPost, kOpen);
  client.settle();
  EXPECT_TRUE(client.take(ok(1, true) + wire::reset(1, wire::kNoError)));
  EXPECT_TRUE(heard.ended);
  EXPECT_EQ(heard.closed, "whole");
}

TEST(H2Client, NothingMayFollowTheEndOfAResponse) {
  for (const std::string& late :
       {wire::data(1, "x"), wire::data(1, "", true), ok(1), response(1, {{"x", "y"}}, true)}) {
    Endpoint client(Endpoint::client_options());
    client.greet();
    Endpoint::Heard& heard = client.ask(kGet);
    client.settle();
    client.frames();
    EXPECT_FALSE(client.take(ok(1, true) + late));
    EXPECT_EQ(heard.closed, "whole");
    EXPECT_THAT(client.frames(), ElementsAre("GOAWAY 0 STREAM_CLOSED"));
  }
}

TEST(H2Client, ConcurrencyIsTheServersAndOurs) {
  Options options = Endpoint::client_options();
  options.streams_max = 5;
  Endpoint client(options);
  EXPECT_EQ(client.session.streams_available(), 5u);
  client.greet({{wire::kMaxConcurrentStreams, 2}});
  EXPECT_EQ(client.session.streams_available(), 2u);
  client.ask(kGet);
  client.ask(kGet);
  client.settle();
  EXPECT_EQ(client.session.streams_available(), 0u);
  client.take(ok(1, true));
  EXPECT_EQ(client.session.streams_available(), 1u);
  client.events();
  client.take(wire::settings({{wire::kMaxConcurrentStreams, 100}}));
  EXPECT_EQ(client.events(), "settings");
  EXPECT_EQ(client.session.streams_available(), 4u);
}

TEST(H2Client, ExtendedConnectIsTheServersToAllow) {
  Endpoint client(Endpoint::client_options());
  EXPECT_FALSE(client.session.extended_connect_allowed());
  client.greet({{wire::kEnableConnectProtocol, 1}});
  EXPECT_TRUE(client.session.extended_connect_allowed());
  Endpoint::Heard& heard = client.ask({{":method", "CONNECT"},
                                       {":protocol", "websocket"},
                                       {":scheme", "http"},
                                       {":authority", "h"},
                                       {":path", "/"}},
                                      kOpen);
  client.settle();
  client.take(ok(1) + wire::data(1, "hi"));
  EXPECT_EQ(heard.head, "101 body tunnel ");
  EXPECT_EQ(heard.body, "hi");
  heard.stream->send_data(as_bytes("ho"));
  heard.stream->send_end({});
  client.settle();
  EXPECT_THAT(client.frames(), testing::Contains("DATA 1 'ho' end"));
  EXPECT_EQ(heard.closed, "");
  client.take(wire::data(1, "", true));
  EXPECT_EQ(heard.closed, "whole");
}

// --- GOAWAY -------------------------------------------------------------------------------------

TEST(H2ClientGoAway, WhatWasNotTakenIsUnprocessed) {
  Endpoint client(Endpoint::client_options());
  client.greet({{wire::kMaxConcurrentStreams, 10}});
  Endpoint::Heard& one = client.ask(kGet);
  Endpoint::Heard& three = client.ask(kPost, kOpen);
  Endpoint::Heard& five = client.ask(kGet);
  client.settle();
  Endpoint::Heard& unsent = client.ask(kGet);
  client.events();
  EXPECT_TRUE(client.receive(wire::go_away(1, 0)));
  EXPECT_EQ(client.session.streams_available(), 0u);
  EXPECT_THAT(three.closed, HasSubstr("unprocessed"));
  EXPECT_THAT(five.closed, HasSubstr("unprocessed"));
  EXPECT_THAT(unsent.closed, HasSubstr("unprocessed"));
  EXPECT_EQ(one.closed, "");
  EXPECT_TRUE(client.events().ends_with("goaway"));
  client.take(ok(1, true));
  EXPECT_EQ(one.closed, "whole");
  EXPECT_EQ(client.session.streams(), 0u);
}

TEST(H2ClientGoAway, QueuedRequestsAreUnprocessed) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard& never_sent = client.ask(kGet);
  EXPECT_TRUE(client.receive(wire::go_away(0, 0)));
  EXPECT_EQ(never_sent.closed, "REFUSED_STREAM by peer unprocessed");
  client.settle();
  EXPECT_THAT(client.frames(), testing::IsEmpty());
  EXPECT_EQ(client.session.streams(), 0u);
}

TEST(H2ClientGoAway, TwoPhasesLetRunningRequestsEnd) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard& heard = client.ask(kGet);
  client.settle();
  EXPECT_TRUE(client.take(wire::go_away(0x7fff'ffff, 0)));
  EXPECT_EQ(heard.closed, "");
  EXPECT_EQ(client.session.streams_available(), 0u);
  EXPECT_TRUE(client.take(wire::go_away(1, 0) + ok(1) + wire::data(1, "x", true)));
  EXPECT_EQ(heard.closed, "whole");
}

TEST(H2ClientGoAway, RequestBetweenOpenAndGoAwayIsTold) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard heard;
  heard.owner = &client;
  client.session.open(heard);
  client.receive(wire::go_away(0, 0));
  EXPECT_EQ(heard.closed, "REFUSED_STREAM by peer unprocessed");
  EXPECT_EQ(client.session.streams(), 0u);
}

TEST(H2ClientGoAway, ErrorIsNamed) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  EXPECT_TRUE(client.take(wire::go_away(0, wire::kEnhanceYourCalm)));
  EXPECT_EQ(client.session.failure(), "peer's GOAWAY: ENHANCE_YOUR_CALM");
}

TEST(H2Client, LostConnectionTellsWhatWasSent) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard& sent = client.ask(kGet);
  client.settle();
  Endpoint::Heard& queued = client.ask(kGet);
  client.session.on_connection_lost();
  client.settle();
  EXPECT_EQ(sent.closed, "CANCEL by peer: connection lost");
  EXPECT_EQ(queued.closed, "CANCEL by peer unprocessed: connection lost");
  EXPECT_EQ(client.session.streams_available(), 0u);
}

TEST(H2Client, FailureClosesEveryStream) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  Endpoint::Heard& heard = client.ask(kGet);
  client.settle();
  client.frames();
  EXPECT_FALSE(client.take(wire::frame(wire::kPing, 0, 1, "12345678")));
  EXPECT_EQ(heard.closed, "PROTOCOL_ERROR by us: HTTP/2 protocol violated");
  EXPECT_THAT(client.frames(), ElementsAre("GOAWAY 0 PROTOCOL_ERROR"));
  EXPECT_TRUE(client.session.failed());
}

TEST(H2Client, CancelsWhatItAsked) {
  Endpoint client(Endpoint::client_options());
  client.greet();
  client.ask(kGet).stream->reset(ErrorCode::cancel);  // before it was sent: nothing goes out
  client.settle();
  EXPECT_THAT(client.frames(), testing::IsEmpty());
  Endpoint::Heard& sent = client.ask(kGet);
  client.settle();
  client.frames();
  sent.stream->reset(ErrorCode::cancel);
  client.settle();
  EXPECT_THAT(client.frames(), ElementsAre("RST_STREAM 3 CANCEL"));
  EXPECT_EQ(client.session.streams(), 0u);
  // What was on its way is dropped.
  EXPECT_TRUE(client.take(ok(3) + wire::data(3, "late", true)));
  EXPECT_EQ(client.events(), "");
}

}  // namespace
}  // namespace sluice::h2
