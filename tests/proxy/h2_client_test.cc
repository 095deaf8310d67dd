// HTTP/2 from clients: requests, responses, and how either ends. A scripted client on a fake
// network, a scripted service behind.
#include "proxy/data/h2_client.h"

#include "tests/proxy/h2_client_fixture.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using std::chrono::seconds;
using testing::HasSubstr;
using BodyKind = http::BodyLength::Kind;

// --- Requests and responses ---------------------------------------------------------------------

TEST_F(H2ClientTest, ManyRequestsRunAtATimeAndAreAnsweredInAnyOrder) {
  H2Peer client = connect();
  const auto first = client.ask(H2Peer::get("/a"));
  const auto second = client.ask(H2Peer::get("/b"));
  settle(client);
  ASSERT_EQ(service_.asked.size(), 2u);
  EXPECT_EQ(asked(0).head, "GET app /a");
  EXPECT_EQ(asked(0).log, "complete; ");
  EXPECT_EQ(asked(1).head, "GET app /b");
  answer(1, "two");
  settle(client);
  EXPECT_EQ(client.stream(second).body, "two");
  EXPECT_TRUE(client.stream(second).ended);
  EXPECT_FALSE(client.stream(first).has_head);
  EXPECT_TRUE(asked(1).parted);
  EXPECT_FALSE(asked(0).parted);
  answer(0, "one");
  settle(client);
  EXPECT_EQ(client.stream(first).body, "one");
  EXPECT_EQ(client.stream(first).status(), "200");
  EXPECT_TRUE(client.stream(first).head.has("via"));
  EXPECT_TRUE(client.stream(first).head.has("date"));
  EXPECT_FALSE(client.stream(first).reset);
  EXPECT_EQ(count(Count::h2_connections), 1u);
  EXPECT_EQ(count(Count::h2_streams), 2u);
}

TEST_F(H2ClientTest, ARequestsBodyAndTrailersAreHandedOn) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x", "POST"), false);
  client.data(id, "hello ", false);
  settle(client);
  EXPECT_EQ(asked(0).body, "hello ");
  EXPECT_EQ(asked(0).log, "");
  client.data(id, "world", false);
  WireFields trailers;
  trailers.add("checksum", "1");
  client.send(wire::headers(id, trailers, true));
  settle(client);
  EXPECT_EQ(asked(0).body, "hello world");
  EXPECT_EQ(asked(0).log, "end 1 trailers; ");
}

TEST_F(H2ClientTest, InterimResponsesAndTrailersPass) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  asked(0).stream->send_interim(response(103, BodyKind::none));
  asked(0).stream->send_head(response(200), ClientStream::Author::server);
  asked(0).stream->send_body(as_bytes("body"));
  http::Fields trailers;
  trailers.append("Grpc-Status", "0");
  asked(0).stream->send_end(trailers);
  settle(client);
  ASSERT_EQ(client.stream(id).interim.size(), 1u);
  EXPECT_EQ(client.stream(id).interim[0].get(":status"), "103");
  EXPECT_EQ(client.stream(id).body, "body");
  EXPECT_EQ(client.stream(id).trailers.get("grpc-status"), "0");
  EXPECT_TRUE(client.stream(id).ended);
}

TEST_F(H2ClientTest, AResponseWithoutABodyEndsWithItsHead) {
  struct Case {
    std::string_view method;
    http::ResponseHead head;
  };
  const Case cases[] = {{"HEAD", response(200, BodyKind::known, 5)},
                        {"GET", response(204, BodyKind::none)},
                        {"GET", response(304, BodyKind::none)},
                        {"GET", response(200, BodyKind::known, 0)},
                        {"GET", response(200, BodyKind::none)}};
  H2Peer client = connect();
  for (const Case& each : cases) {
    const auto id = client.ask(H2Peer::get("/x", each.method));
    settle(client);
    Asked& last = *service_.asked.back();
    last.stream->send_head(each.head, ClientStream::Author::server);
    settle(client);
    EXPECT_TRUE(client.stream(id).ended) << each.head.status;
    // The client has it all; the handler will still say so.
    EXPECT_FALSE(last.parted);
    last.stream->send_end({});
    settle(client);
    EXPECT_TRUE(last.parted);
    EXPECT_EQ(last.log, "complete; ");
    EXPECT_EQ(client.stream(id).body, "");
  }
}

TEST_F(H2ClientTest, AnswersGivenAtOnceAreSentAsWell) {
  service_.on_each = [](Asked& made) {
    made.stream->send_head(response(404, BodyKind::known, 3), ClientStream::Author::proxy);
    made.stream->send_body(as_bytes("no\n"));
    made.stream->send_end({});
  };
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  EXPECT_EQ(client.stream(id).status(), "404");
  EXPECT_EQ(client.stream(id).body, "no\n");
  EXPECT_FALSE(client.stream(id).head.has("via"));
  EXPECT_TRUE(asked(0).parted);
}

// --- Ends of streams ----------------------------------------------------------------------------

TEST_F(H2ClientTest, AnAnswerBeforeTheRequestsEndCutsTheRestAndNothingElse) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x", "POST"), false);
  client.data(id, "some", false);
  settle(client);
  answer(0, "no more", 413);
  settle(client);
  EXPECT_EQ(client.stream(id).status(), "413");
  EXPECT_EQ(client.stream(id).body, "no more");
  EXPECT_TRUE(client.stream(id).ended);
  EXPECT_EQ(client.stream(id).reset, wire::kNoError);
  EXPECT_TRUE(asked(0).parted);
  client.send(wire::data(id, "late", false));
  client.ask(H2Peer::get("/next"));
  settle(client);
  EXPECT_EQ(asked(0).body, "some");
  EXPECT_EQ(asked(1).head, "GET app /next");
  EXPECT_EQ(count(Count::h2_resets_sent), 0u);
}

TEST_F(H2ClientTest, AbortShowsAsAReset) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  settle(client);
  asked(0).stream->send_head(response(200), ClientStream::Author::server);
  asked(0).stream->send_body(as_bytes("half"));
  settle(client);
  asked(0).stream->abort();
  settle(client);
  EXPECT_EQ(client.stream(id).reset, wire::kInternalError);
  EXPECT_FALSE(client.stream(id).ended);
  EXPECT_TRUE(asked(0).parted);
  EXPECT_EQ(asked(0).log, "complete; ");
  EXPECT_EQ(count(Count::h2_resets_sent), 1u);
}

TEST_F(H2ClientTest, AResetByTheClientIsHeardOnce) {
  H2Peer client = connect();
  const auto id = client.ask(H2Peer::get("/x"));
  const auto other = client.ask(H2Peer::get("/y"));
  settle(client);
  client.reset(id);
  settle(client);
  EXPECT_EQ(asked(0).log, "complete; gone; ");
  EXPECT_TRUE(asked(0).parted);
  EXPECT_EQ(count(Count::h2_resets_received), 1u);
  answer(1, "still");
  settle(client);
  EXPECT_EQ(client.stream(other).body, "still");
}

TEST_F(H2ClientTest, AClientThatGoesTakesAllItsRequests) {
  for (const bool orderly : {true, false}) {
    service_.asked.clear();
    H2Peer client = connect();
    client.ask(H2Peer::get("/x"));
    client.ask(H2Peer::get("/y", "POST"), false);
    settle(client);
    if (orderly) {
      client.peer().finish();
    } else {
      client.peer().reset();
    }
    settle(client);
    EXPECT_EQ(asked(0).log, "complete; gone; ");
    EXPECT_EQ(asked(1).log, "gone; ");
    EXPECT_TRUE(asked(1).parted);
    EXPECT_EQ(reactor_->client_connections(), 0u);
  }
}

// --- Refusals -----------------------------------------------------------------------------------

TEST_F(H2ClientTest, RequestsThatAreRefusedAreAnsweredCountedAndLogged) {
  settings_->limits.field_count = 3;
  H2Peer client = connect();
  WireFields large = H2Peer::get("/x");
  for (int i = 0; i < 4; ++i) large.add("f" + std::to_string(i), "v");
  const auto refused = client.ask(large);
  const auto head = client.ask([] {
    WireFields fields = H2Peer::get("/x", "HEAD");
    for (int i = 0; i < 4; ++i) fields.add("f" + std::to_string(i), "v");
    return fields;
  }());
  settle(client);
  EXPECT_EQ(client.stream(refused).status(), "431");
  EXPECT_TRUE(client.stream(refused).head.has("proxy-status"));
  EXPECT_THAT(client.stream(refused).body, HasSubstr("431"));
  EXPECT_TRUE(client.stream(refused).ended);
  EXPECT_EQ(client.stream(head).body, "");
  EXPECT_TRUE(client.stream(head).ended);
  EXPECT_EQ(count(Count::refused_431), 2u);
  EXPECT_THAT(service_.refused, HasSubstr("431 GET"));
  EXPECT_TRUE(service_.asked.empty());
}

TEST_F(H2ClientTest, MalformedRequestsAreResetAndLogged) {
  H2Peer client = connect();
  WireFields upper = H2Peer::get("/x");
  upper.add("Upper", "case");
  const auto id = client.ask(upper);
  const auto good = client.ask(H2Peer::get("/y"));
  settle(client);
  EXPECT_EQ(client.stream(id).reset, wire::kProtocolError);
  EXPECT_FALSE(client.stream(id).has_head);
  EXPECT_EQ(count(Count::refused_400), 1u);
  EXPECT_EQ(count(Count::h2_resets_sent), 1u);
  EXPECT_THAT(service_.refused, HasSubstr("400 "));
  answer(0, "good");
  settle(client);
  EXPECT_EQ(client.stream(good).body, "good");
}

TEST_F(H2ClientTest, ABodyThatIsNotWhatItsHeadSaidIsResetAndItsRequestOver) {
  H2Peer client = connect();
  WireFields head = H2Peer::get("/x", "POST");
  head.add("content-length", "3");
  const auto id = client.ask(head, false);
  settle(client);
  client.data(id, "four", true);
  settle(client);
  EXPECT_EQ(client.stream(id).reset, wire::kProtocolError);
  EXPECT_THAT(asked(0).log, HasSubstr("gone; "));
  EXPECT_TRUE(asked(0).parted);
}

TEST_F(H2ClientTest, ARequestThatIsResetInTheSameBreathReachesNobody) {
  H2Peer client = connect();
  const auto taken_back = client.ask(H2Peer::get("/x"));
  client.send(wire::reset(taken_back, wire::kCancel));
  WireFields head = H2Peer::get("/x", "POST");
  head.add("content-length", "3");
  const auto belied = client.ask(head, false);
  client.data(belied, "four", true);
  const auto good = client.ask(H2Peer::get("/good"));
  settle(client);
  EXPECT_EQ(client.stream(belied).reset, wire::kProtocolError);
  ASSERT_EQ(service_.asked.size(), 1u);
  EXPECT_THAT(asked(0).head, HasSubstr("/good"));
  EXPECT_EQ(count(Count::h2_resets_received), 1u);
  EXPECT_EQ(count(Count::h2_streams), 3u);
  EXPECT_NE(good, belied);
}

TEST_F(H2ClientTest, WhoeverCausesTooMuchWorkIsSentAway) {
  H2Peer client = connect();
  client.ask(H2Peer::get("/x"));
  settle(client);
  for (int i = 0; i < 3000; ++i) {
    client.send(wire::frame(wire::kPing, 0, 0, "12345678"));
    if (i % 100 == 0) settle(client);
  }
  settle(client);
  ASSERT_FALSE(client.goaways().empty());
  EXPECT_EQ(client.goaways().back().code, wire::kEnhanceYourCalm);
  EXPECT_EQ(count(Count::h2_exhausted_control_frames), 1u);
  EXPECT_EQ(count(Count::h2_goaways_exhausted), 1u);
  EXPECT_EQ(asked(0).log, "complete; gone; ");
  EXPECT_TRUE(client.peer().saw_end());
  pass(client, seconds(10));
  EXPECT_EQ(reactor_->client_connections(), 0u);
}

TEST_F(H2ClientTest, ABrokenProtocolEndsTheConnectionWithItsReason) {
  H2Peer client = connect();
  client.ask(H2Peer::get("/x"));
  settle(client);
  client.send(wire::data(0, "on no stream"));
  settle(client);
  ASSERT_FALSE(client.goaways().empty());
  EXPECT_EQ(client.goaways().back().code, wire::kProtocolError);
  EXPECT_EQ(count(Count::h2_goaways_protocol_error), 1u);
  EXPECT_EQ(asked(0).log, "complete; gone; ");
  EXPECT_TRUE(client.peer().saw_end());
}

}  // namespace
}  // namespace sluice::proxy
