#include "tests/harness/strict_origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/http_client.h"
#include "tests/harness/load.h"
#include "tests/harness/pattern.h"

namespace sluice::harness {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StrictOriginTest : public testing::Test {
 protected:
  std::unique_ptr<HttpClient> connect() {
    auto client = HttpClient::connect(origin_.endpoint());
    EXPECT_TRUE(client) << client.error();
    return client ? std::move(*client) : nullptr;
  }
  Response get(std::string_view target) { return fetch(origin_.endpoint(), "GET", target); }

  StrictOrigin origin_{"blue"};
};

TEST_F(StrictOriginTest, AnswersManyRequestsOnOneConnectionAndRecordsThem) {
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    Response response = client->request("POST", "/echo", "hello");
    ASSERT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(response.body, "hello");
    EXPECT_EQ(response.field("X-Backend"), "blue");
  }
  std::vector<RecordedRequest> requests = origin_.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[2].index, 2u);
  EXPECT_EQ(requests[2].connection, 1u);
  EXPECT_EQ(requests[2].body, "hello");
  EXPECT_EQ(requests[2].body_sha256, Digest::of("hello"));
  EXPECT_EQ(requests[2].fields.get("content-length"), "5");
  EXPECT_THAT(origin_.violations(), IsEmpty());
}

TEST_F(StrictOriginTest, WritesDownWhatBreaksTheRules) {
  auto client = connect();
  ASSERT_TRUE(client->send("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"));
  EXPECT_EQ(client->read_response().status, 400);
  EXPECT_THAT(origin_.violations(), ElementsAre(HasSubstr("without a proper name")));
  EXPECT_EQ(origin_.counts().requests, 0u);
}

TEST_F(StrictOriginTest, SaysWhatItIsTold) {
  auto client = connect();
  Response kept =
      client->request("POST", "/raw/keep", "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(kept.status, 299);
  Response closed = client->request("POST", "/raw/close", "HTTP/1.1 200 OK\r\n\r\nall");
  EXPECT_EQ(closed.body, "all");
  EXPECT_EQ(closed.ending, Ending::closed);
  Response reset = connect()->request("POST", "/raw/reset", "HTTP/1.1 200 OK\r\n\r\nall");
  EXPECT_EQ(reset.ending, Ending::reset);
}

TEST_F(StrictOriginTest, ARequestAfterTheLastOneIsAViolation) {
  auto client = connect();
  ASSERT_TRUE(client->send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / "));
  client->read_to_end();
  EXPECT_THAT(origin_.violations(), ElementsAre(HasSubstr("would be the last")));
}

TEST_F(StrictOriginTest, BodiesOfEveryFramingArriveWhole) {
  for (std::uint64_t size : {0, 1, 1000, 65'521, 3'000'000}) {
    for (const char* kind : {"/bytes/", "/chunked/", "/until-close/", "/http10/"}) {
      Response response = get(kind + std::to_string(size));
      ASSERT_TRUE(response.complete()) << kind << size << ": " << response.summary();
      EXPECT_EQ(response.body_size, size) << kind;
      EXPECT_TRUE(response.body_is_pattern) << kind << size;
    }
  }
}

TEST_F(StrictOriginTest, TakesChunkedBodiesWithTrailers) {
  auto client = connect();
  ASSERT_TRUE(
      client->send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n"));
  EXPECT_EQ(client->read_response().body, "abcde");
  RecordedRequest request = origin_.requests().at(0);
  EXPECT_TRUE(request.chunked);
  EXPECT_EQ(request.trailers.get("X-Sum"), "7");
}

TEST_F(StrictOriginTest, PipelinedRequestsAreAnsweredInOrderAndCounted) {
  auto client = connect();
  ASSERT_TRUE(
      client->send("GET /slow?ms=30 HTTP/1.1\r\nHost: a\r\n\r\n"
                   "GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(client->read_response().body, "backend blue\n");
  EXPECT_EQ(client->read_response().body, pattern(3));
  EXPECT_EQ(origin_.counts().pipelined_requests, 1u);
}

TEST_F(StrictOriginTest, TruncatedAnswersLookTruncated) {
  for (const char* target :
       {"/truncate/1000", "/truncate-chunked/1000", "/drop", "/garbage/head-cut"}) {
    Response response = get(target);
    EXPECT_EQ(response.outcome, Outcome::truncated) << target << ": " << response.summary();
    EXPECT_EQ(response.ending, Ending::closed) << target;
  }
  EXPECT_EQ(get("/reset").outcome, Outcome::reset);
}

TEST_F(StrictOriginTest, EveryKindOfGarbageIsRefusedByTheStrictParser) {
  for (const std::string& kind : StrictOrigin::garbage_kinds()) {
    if (kind == "head-cut" || kind == "extra-bytes" || kind == "switching-unasked") continue;
    Response response = get("/garbage/" + kind);
    EXPECT_EQ(response.outcome, Outcome::malformed) << kind << ": " << response.summary();
  }
}

TEST_F(StrictOriginTest, ContinueComesBeforeTheBody) {
  auto client = connect();
  ASSERT_TRUE(
      client->send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                   "Content-Length: 2\r\n\r\n"));
  EXPECT_EQ(client->read_response({.interim_too = true}).status, 100);
  ASSERT_TRUE(client->send("ok"));
  EXPECT_EQ(client->read_response().body, "ok");
  Response hinted = client->get("/interim/103");
  ASSERT_EQ(hinted.interim.size(), 1u);
  EXPECT_EQ(hinted.interim[0].status, 103);
  EXPECT_EQ(hinted.status, 200);
}

TEST_F(StrictOriginTest, EarlyAnswersComeBeforeTheBody) {
  auto client = connect();
  ASSERT_TRUE(client->send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"));
  EXPECT_EQ(client->read_response().status, 200);
  ASSERT_TRUE(client->send("ok"));
  EXPECT_EQ(client->get("/").status, 200);
  ASSERT_TRUE(client->send("POST /early-close HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"));
  EXPECT_EQ(client->read_response().status, 413);
  EXPECT_EQ(client->wait_for_end(), Ending::closed);
}

TEST_F(StrictOriginTest, HeldAnswersWaitForRelease) {
  auto whole = connect();
  auto half = connect();
  ASSERT_TRUE(whole->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(half->send("GET /hold-body/10 HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(origin_.wait_for_held(2));
  EXPECT_TRUE(whole->stays_quiet(milliseconds(20)));
  origin_.release();
  EXPECT_EQ(whole->read_response().status, 200);
  EXPECT_EQ(half->read_response().body, pattern(10));
  EXPECT_EQ(origin_.counts().held, 0u);
}

TEST_F(StrictOriginTest, StatusesAndHeadHaveNoBodyWhereTheyMayNot) {
  EXPECT_EQ(get("/status/204").body_size, 0u);
  EXPECT_EQ(get("/status/304").status, 304);
  EXPECT_EQ(get("/status/503").body, "status 503\n");
  auto client = connect();
  for (const char* target : {"/bytes/1000", "/chunked/1000", "/trailers", "/"}) {
    Response response = client->request("HEAD", target);
    EXPECT_TRUE(response.complete()) << target;
    EXPECT_EQ(response.body_size, 0u) << target;
  }
  EXPECT_TRUE(get("/trailers").trailers.has("X-Checksum"));
}

TEST_F(StrictOriginTest, AFieldMayChooseTheBehaviour) {
  Fields fields;
  fields.add("X-Origin-Behaviour", "/status/404");
  EXPECT_EQ(fetch(origin_.endpoint(), "GET", "/bytes/4", "", fields).status, 404);
}

TEST_F(StrictOriginTest, HealthIsSettableAndCountedApart) {
  EXPECT_EQ(get("/health").status, 200);
  origin_.set_health(503);
  EXPECT_EQ(get("/health").status, 503);
  EXPECT_EQ(origin_.counts().health_probes, 2u);
  EXPECT_EQ(origin_.counts().requests, 0u);
}

TEST_F(StrictOriginTest, DropOnceDropsOnce) {
  EXPECT_EQ(get("/drop-once").status, 0);
  EXPECT_EQ(get("/drop-once").status, 200);
}

TEST_F(StrictOriginTest, StoppedItRefusesAndStartedAgainItIsOnTheSamePort) {
  auto idle = connect();
  EXPECT_EQ(idle->get("/").status, 200);
  auto busy = connect();
  ASSERT_TRUE(busy->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(origin_.wait_for_held(1));
  std::uint16_t port = origin_.port();
  origin_.stop();
  EXPECT_EQ(idle->wait_for_end(), Ending::closed);
  EXPECT_EQ(busy->read_response().outcome, Outcome::truncated);
  EXPECT_EQ(origin_.counts().cut_by_stop, 1u);
  EXPECT_FALSE(HttpClient::connect(origin_.endpoint()));
  origin_.start();
  EXPECT_EQ(origin_.port(), port);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(StrictOriginTest, ARequestLeftInTheMiddleIsCountedAsIncomplete) {
  {
    auto client = connect();
    ASSERT_TRUE(client->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"));
    client->finish_sending();
    client->wait_for_end();
  }
  EXPECT_EQ(origin_.counts().incomplete_requests, 1u);
  EXPECT_THAT(origin_.violations(), IsEmpty());
}

TEST_F(StrictOriginTest, ServesManyConnectionsAtOnceAndCountsEachRequest) {
  CheckedResult result = run_checked({.endpoint = origin_.endpoint(),
                                      .requests = 5000,
                                      .connections = 64,
                                      .body = "backend {backend}\n"});
  EXPECT_EQ(result.completed, 5000u);
  EXPECT_EQ(result.failed, 0u) << testing::PrintToString(result.failures);
  EXPECT_EQ(result.by_backend["blue"], 5000u);
  EXPECT_EQ(origin_.counts().requests, 5000u);
  EXPECT_EQ(origin_.counts().connections, 64u);
}

}  // namespace
}  // namespace sluice::harness
