// Each size and count of [limits] that bounds what clients send and how much of it: the answer,
// that no server sees what was refused, what it counts as, and that it holds where it was set and
// nowhere else.
#include <atomic>
#include <map>

#include "tests/harness/pattern.h"
#include "tests/integration/limits_test.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;
namespace h2 = harness::h2;

class SizesTest : public EachVersion {
 protected:
  double refused(int status) {
    return metric("sluice_requests_refused_total{status=\"" + std::to_string(status) + "\"}");
  }
};

// --- Heads: per listener ------------------------------------------------------------------------

struct LargeHead {
  const char* name;
  std::string target = "/";
  Fields fields = {};
  int status;
  const char* limit;
};

std::vector<LargeHead> large_heads() {
  Fields line;
  line.add("x", std::string(1100, 'x'));
  Fields many;
  for (int i = 0; i < 12; ++i) many.add("x", "y");
  Fields all;
  for (int i = 0; i < 5; ++i) all.add("x", std::string(900, 'x'));
  return {{"a long target", "/" + std::string(1100, 'x'), {}, 414, "request_line_bytes"},
          {"a long field", "/", line, 431, "field_line_bytes"},
          {"many fields", "/", many, 431, "field_count"},
          {"a large head", "/", all, 431, "head_bytes"}};
}

TEST_P(SizesTest, ALargeHeadIsRefusedWhereItsListenerSaysSo) {
  start_narrow({.workers = 1},
               "limits = { request_line_bytes = \"1KiB\", field_line_bytes = \"1KiB\", "
               "head_bytes = \"4KiB\", field_count = 10 }");
  std::map<int, int> refusals;
  for (const LargeHead& head : large_heads()) {
    SCOPED_TRACE(head.name);
    AnyClient wide = connect_to("http", h2());
    EXPECT_EQ(wide.request("GET", head.target, "", head.fields).status, 200);
    EXPECT_EQ(limit_hits(head.limit), 0);
    ASSERT_EQ(blue_.counts().requests, 1u);
    blue_.forget();

    AnyClient narrow = connect_to("narrow", h2());
    const Response response = narrow.request("GET", head.target, "", head.fields);
    EXPECT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(response.status, head.status) << response.summary();
    EXPECT_THAT(response.field("Proxy-Status"), HasSubstr("sluice"));
    EXPECT_EQ(limit_hits(head.limit), 1);
    EXPECT_EQ(refused(head.status), ++refusals[head.status]);
    EXPECT_EQ(blue_.counts().requests, 0u);
    if (h2()) {
      EXPECT_EQ(narrow.get("/").status, 200) << "the others' connection stays";
      blue_.forget();
    } else {
      EXPECT_TRUE(response.fields.lists("Connection", "close"));
      EXPECT_NE(end_of(narrow), Ending::open);
    }
  }
}

// What has been sent of the request is cut: no server may take it for whole.
TEST_P(SizesTest, LargeTrailersAreRefusedWhereTheirListenerSaysSo) {
  start_narrow({.workers = 1}, "limits = { field_line_bytes = \"1KiB\" }");
  Fields trailers;
  trailers.add("x", std::string(1100, 'x'));
  for (const char* listener : {"http", "narrow"}) {
    AnyClient client = connect_to(listener, h2());
    client.begin("POST", "/echo");
    ASSERT_TRUE(client.put("hello"));
    client.end(trailers);
    if (h2() && listener == std::string("narrow")) {
      const harness::H2Response response = client.h2().finish(client.stream());
      EXPECT_EQ(response.reset_code, h2::kProtocolError) << response.summary();
      continue;
    }
    const Response response = client.finish();
    EXPECT_EQ(response.status, listener == std::string("http") ? 200 : 431) << response.summary();
  }
  EXPECT_EQ(blue_.counts().requests, 1u);
  // In HTTP/2 it is the stream that is malformed.
  EXPECT_EQ(limit_hits("field_line_bytes"), h2() ? 0 : 1);
  EXPECT_EQ(metric("sluice_h2_streams_reset_total{by=\"proxy\"}"), h2() ? 1 : 0);
}

// --- Bodies: per route --------------------------------------------------------------------------

class BodySizesTest : public PairTest {
 protected:
  void start_routes() {
    start_pair({.workers = 1,
                .routes = "[routes.all]\nsplit = { blue = 1 }\n[routes.small]\npath = "
                          "\"/small\"\nsplit = { blue = 1 }\nlimits = { body_bytes = 1000 }\n"});
  }
  void expect_refused(const Response& response) {
    EXPECT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(response.status, 413) << response.summary();
    EXPECT_THAT(response.field("Proxy-Status"), HasSubstr("sluice"));
    if (!pair_.h2_client) {
      EXPECT_TRUE(response.fields.lists("Connection", "close"));
    }
  }
};

TEST_P(BodySizesTest, WhatIsAnnouncedTooLargeReachesNoServer) {
  start_routes();
  AnyClient client = this->client();
  // Nothing but the head has to come.
  client.begin("POST", "/small", 1001, behaving("/echo"));
  expect_refused(client.finish());
  EXPECT_EQ(limit_hits("body_bytes"), 1);
  EXPECT_EQ(metric("sluice_requests_refused_total{status=\"413\"}"), 1);
  EXPECT_EQ(origin_.requests_count() + origin_.incomplete_count(), 0u);
  if (client.is_h2()) {
    EXPECT_EQ(client.get("/").status, 200);
  } else {
    EXPECT_NE(end_of(client), Ending::open);
  }
}

TEST_P(BodySizesTest, WhatTurnsOutTooLargeIsCutForTheServer) {
  start_routes();
  ASSERT_EQ(client().get("/").status, 200);
  origin_.forget();
  AnyClient client = this->client();
  Fields fields;
  fields.add("expect", "100-continue");
  client.begin("POST", "/small", std::nullopt, fields);
  ASSERT_EQ(client.wait_for_status(), 100) << "the server has its head";
  ASSERT_TRUE(client.put(harness::pattern(900)));
  client.put(harness::pattern(101));
  expect_refused(client.finish());
  EXPECT_EQ(limit_hits("body_bytes"), 1);
  EXPECT_EQ(metric("sluice_requests_refused_total{status=\"413\"}"), 1);
  EXPECT_TRUE(wait_until([&] { return origin_.incomplete_count() == 1; }));
  EXPECT_EQ(origin_.requests_count(), 0u);
  if (client.is_h2()) {
    EXPECT_EQ(client.get("/").status, 200);
  } else {
    EXPECT_NE(end_of(client), Ending::open);
  }
}

TEST_P(BodySizesTest, WhatIsWithinOrElsewherePasses) {
  start_routes();
  AnyClient client = this->client();
  struct {
    const char* path;
    std::size_t size;
  } cases[] = {{"/small", 1000}, {"/", 1001}, {"/", 100'000}};
  for (const auto& test : cases) {
    for (const bool with_length : {true, false}) {
      client.begin("POST", test.path, with_length ? std::optional(test.size) : std::nullopt,
                   behaving("/echo"));
      ASSERT_TRUE(client.put(harness::pattern(test.size)));
      ASSERT_TRUE(client.end());
      const Response response = client.finish();
      EXPECT_EQ(response.status, 200) << response.summary();
      EXPECT_EQ(response.body_size, test.size);
    }
  }
  EXPECT_EQ(limit_hits("body_bytes"), 0);
}

INSTANTIATE_TEST_SUITE_P(Each, BodySizesTest, testing::ValuesIn(plain_pairs()), pair_name);

// The head of the response is out: no status can tell.
TEST_P(SizesTest, ABodyThatTurnsOutTooLargeBehindTheResponsesHeadIsCut) {
  std::atomic<bool> cut = false;
  harness::RawOrigin origin([&](harness::RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    cut = !connection.read_to_end().ends_with("0\r\n\r\n");
  });
  start_narrow({.limits = "body_bytes = 1000",
                .backends = {{"blue", {{"one", origin.address()}}}},
                .split = "{ blue = 1 }"},
               "");
  AnyClient client = connect_to("http", h2());
  client.begin("POST", "/");
  ASSERT_TRUE(client.put(harness::pattern(900)));
  if (h2()) {
    ASSERT_TRUE(client.h2().wait_for_head(client.stream()));
  } else {
    ASSERT_TRUE(answered_within(client, harness::kPatience));
  }
  client.put(harness::pattern(101));
  if (h2()) {
    const harness::H2Response response = client.h2().finish(client.stream());
    EXPECT_EQ(response.reset_code, h2::kInternalError) << response.summary();
  } else {
    const Response response = client.finish();
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_FALSE(response.complete()) << response.summary();
    EXPECT_NE(response.outcome, Outcome::timed_out) << response.summary();
  }
  EXPECT_EQ(limit_hits("body_bytes"), 1);
  EXPECT_TRUE(wait_until([&] { return cut.load(); }));
}

// --- Counts -------------------------------------------------------------------------------------

TEST_P(SizesTest, AConnectionEndsBehindItsLastRequestWhereItsListenerSaysSo) {
  start_narrow({.workers = 1}, "limits = { requests_per_connection = 3 }");
  AnyClient wide = connect_to("http", h2());
  AnyClient narrow = connect_to("narrow", h2());
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(wide.get("/").status, 200);
    const Response response = narrow.get("/");
    EXPECT_EQ(response.status, 200) << i;
    EXPECT_EQ(response.fields.lists("Connection", "close"), !h2() && i == 3) << i;
  }
  EXPECT_EQ(end_of(narrow), Ending::closed);
  if (h2()) {
    ASSERT_TRUE(narrow.h2().go_away());
    EXPECT_EQ(narrow.h2().go_away()->code, +h2::kNoError);
    EXPECT_EQ(narrow.h2().go_away()->last_stream, 5u);
    EXPECT_EQ(narrow.h2().frames(h2::kGoAway), 2u) << "said before it counts";
  }
  EXPECT_EQ(limit_hits("requests_per_connection"), 1);
  EXPECT_EQ(wide.get("/").status, 200);
  EXPECT_EQ(blue_.counts().requests, 7u);
}

// What was pipelined behind the last one is nobody's any more.
TEST_F(LimitsTest, NoRequestBehindTheLastIsServed) {
  start_narrow({.workers = 1}, "limits = { requests_per_connection = 3 }");
  AnyClient client = connect_to("narrow", false);
  std::string requests;
  for (int i = 0; i < 5; ++i) requests += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_TRUE(client.h1().send(requests));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.finish().status, 200);
  EXPECT_EQ(client.h1().read_to_end(), "");
  EXPECT_EQ(blue_.counts().requests, 3u);
}

TEST_P(SizesTest, AClientBeyondTheLimitTakesTheIdlestPlaceOrGetsNone) {
  start_narrow({.workers = 1, .limits = "client_connections = 3"}, "");
  std::vector<AnyClient> idle;
  for (int i = 0; i < 3; ++i) {
    idle.push_back(connect_to("http", h2()));
    ASSERT_EQ(idle.back().get("/").status, 200);
  }
  AnyClient next = connect_to("http", h2());
  EXPECT_EQ(next.get("/").status, 200);
  EXPECT_EQ(end_of(idle[0]), Ending::closed);
  EXPECT_EQ(metric("sluice_client_connections_gave_way_total"), 1);
  EXPECT_EQ(limit_hits("client_connections"), 0);
  // Nobody who is served gives way.
  for (AnyClient* busy : {&idle[1], &idle[2], &next}) {
    busy->begin("GET", "/hold", 0);
    busy->end();
  }
  ASSERT_TRUE(blue_.wait_for_held(3));
  auto late = connect();
  EXPECT_NE(late->wait_for_end(), Ending::open);
  EXPECT_EQ(limit_hits("client_connections"), 1);
  EXPECT_EQ(metric("sluice_client_connections_gave_way_total"), 1);
  blue_.release();
  for (AnyClient* busy : {&idle[1], &idle[2], &next}) EXPECT_EQ(busy->finish().status, 200);
}

class StreamsTest : public LimitsTest {};

TEST_F(StreamsTest, AClientIsToldItsListenersBoundsAndHeldToThem) {
  start_narrow({.workers = 1}, "limits = { client_streams = 2, stream_buffer_bytes = \"32KiB\" }");
  AnyClient wide = connect_to("http", true);
  AnyClient narrow = connect_to("narrow", true);
  for (AnyClient* client : {&wide, &narrow}) ASSERT_EQ(client->get("/").status, 200);
  EXPECT_EQ(wide.h2().setting(h2::kMaxConcurrentStreams), 100u);
  EXPECT_EQ(wide.h2().setting(h2::kInitialWindowSize), 128u * 1024);
  EXPECT_EQ(narrow.h2().setting(h2::kMaxConcurrentStreams), 2u);
  EXPECT_EQ(narrow.h2().setting(h2::kInitialWindowSize), 32u * 1024);
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 2; ++i) streams.push_back(narrow.h2().begin({.target = "/hold"}));
  ASSERT_TRUE(narrow.h2().send(""));
  ASSERT_TRUE(blue_.wait_for_held(2));
  // It has acknowledged the number.
  narrow.h2().begin({.target = "/"});
  EXPECT_NE(end_of(narrow), Ending::open);
  ASSERT_TRUE(narrow.h2().go_away());
  EXPECT_EQ(narrow.h2().go_away()->code, +h2::kProtocolError);
  EXPECT_EQ(metric("sluice_h2_goaways_total{reason=\"protocol_error\"}"), 1);
  EXPECT_TRUE(wait_until([&] { return blue_.counts().held == 0; }));
  // One that has not may not know.
  auto hasty = harness::H2Client::connect(sluice_->endpoint("narrow"), {.answers = false});
  ASSERT_TRUE(hasty) << hasty.error();
  streams.clear();
  for (int i = 0; i < 3; ++i) streams.push_back((*hasty)->begin({.target = "/hold"}));
  EXPECT_EQ((*hasty)->finish(streams[2]).reset_code, h2::kRefusedStream);
  ASSERT_TRUE(blue_.wait_for_held(2));
  blue_.release();
  for (int i = 0; i < 2; ++i) EXPECT_EQ((*hasty)->finish(streams[i]).status, 200);
}

// --- Responses: the file's ----------------------------------------------------------------------

// Refused for its head, which has no more to say than the limits let it: not the request's fault.
TEST_P(SizesTest, ALargeHeadOfAResponseIsABadGateway) {
  std::atomic<std::size_t> asked = 0;
  const std::vector<LargeHead> heads = large_heads();
  harness::RawOrigin scripted(h2_server([&](std::uint32_t stream) {
    Fields fields{.lines = {{":status", "200"}}};
    const Fields& more = heads[asked].fields;
    fields.lines.insert(fields.lines.end(), more.lines.begin(), more.lines.end());
    return h2::headers(stream, fields, true);
  }));
  start_narrow(
      {.workers = 1,
       .limits = "request_line_bytes = \"1KiB\"\nfield_line_bytes = \"1KiB\"\nhead_bytes = "
                 "\"4KiB\"\nfield_count = 10",
       .backends = {{"blue", {{"one", blue_.address()}}}, {"h2", {{"one", scripted.address()}}}},
       .backend_lines = {{"h2", "protocol = \"h2\"\nhealth = { enabled = false }\n"}},
       .routes = "[routes.h1]\nsplit = { blue = 1 }\n"
                 "[routes.h2]\npath = \"/h2\"\nsplit = { h2 = 1 }\n"},
      "");
  AnyClient client = connect_to("http", h2());
  EXPECT_EQ(client.get("/h2").status, 200) << "the first has no more fields";
  double refused = 0;
  for (asked = 1; asked < heads.size(); ++asked) {
    SCOPED_TRACE(heads[asked].name);
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + heads[asked].fields.text() + "\r\n";
    const Response from_h1 = client.request("POST", "/", answer, behaving("/raw/keep"));
    EXPECT_EQ(from_h1.status, 502) << from_h1.summary();
    const Response from_h2 = client.get("/h2");
    EXPECT_EQ(from_h2.status, 502) << from_h2.summary();
    EXPECT_EQ(metric("sluice_responses_refused_total"), refused += 2);
    EXPECT_EQ(limit_hits(heads[asked].limit), 0) << "of requests only";
  }
  EXPECT_EQ(client.get("/").status, 200);
}

INSTANTIATE_TEST_SUITE_P(Each, SizesTest, testing::Bool(), version_name);

}  // namespace
}  // namespace sluice::integration
