// The same promises for each pair of HTTP versions: H1ToH1_, H2ToH1_, H1ToH2_, H2ToH2_, plain and
// over TLS.
#include <map>
#include <random>
#include <set>

#include "tests/harness/pattern.h"
#include "tests/integration/pair_test.h"

namespace sluice::integration {
namespace {

using harness::pattern;
using harness::RecordedRequest;

class PairsTest : public PairTest {};

TEST_P(PairsTest, RequestsOfEveryKindAreAnswered) {
  start_pair();
  AnyClient client = this->client();
  for (const std::uint64_t size : {0ul, 1ul, 1000ul, 65'521ul, 2'000'000ul}) {
    for (const char* kind : {"/bytes/", "/chunked/", "/until-close/"}) {
      const Response response = client.get(kind + std::to_string(size));
      ASSERT_TRUE(response.complete()) << kind << size << ": " << response.summary();
      ASSERT_EQ(response.status, 200) << kind << size << ": " << response.summary();
      EXPECT_EQ(response.body_size, size) << kind;
      EXPECT_TRUE(response.body_is_pattern) << kind << size;
      EXPECT_EQ(response.field("X-Backend"), "blue");
      EXPECT_EQ(response.fields.count("Date"), 1u);
    }
  }
  for (const char* target : {"/bytes/1000", "/chunked/1000", "/"}) {
    const Response response = client.request("HEAD", target);
    ASSERT_TRUE(response.complete()) << target << ": " << response.summary();
    EXPECT_EQ(response.body_size, 0u) << target;
  }
  EXPECT_EQ(client.request("HEAD", "/bytes/1000").field("Content-Length"), "1000");
  for (const int status : {204, 304, 404, 500}) {
    const Response response = client.get("/status/" + std::to_string(status));
    EXPECT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(response.status, status);
  }
  for (const char* method : {"OPTIONS", "DELETE", "PATCH", "PROPFIND"}) {
    EXPECT_EQ(client.request(method, "/x?q=1").status, 200) << method;
    EXPECT_EQ(origin_.last_request().method, method);
    EXPECT_EQ(origin_.last_request().target, "/x?q=1");
  }
}

TEST_P(PairsTest, BodiesGoUpWholeWithAndWithoutALength) {
  start_pair();
  AnyClient client = this->client();
  for (const std::uint64_t size : {0ul, 1ul, 1000ul, 65'536ul, 1'000'000ul}) {
    for (const bool with_length : {true, false}) {
      origin_.forget();
      client.begin("POST", "/echo", with_length ? std::optional(size) : std::nullopt);
      const std::string body = pattern(size);
      for (std::uint64_t at = 0; at < size; at += 100'000) {
        ASSERT_TRUE(client.put(std::string_view(body).substr(at, 100'000)));
      }
      ASSERT_TRUE(client.end());
      const Response response = client.finish();
      ASSERT_TRUE(response.complete()) << size << ": " << response.summary();
      EXPECT_EQ(response.body_size, size);
      EXPECT_TRUE(response.body_is_pattern);
      const RecordedRequest request = origin_.last_request();
      EXPECT_EQ(request.body_size, size);
      EXPECT_TRUE(request.body_is_pattern);
      EXPECT_EQ(request.fields.has("content-length"), with_length) << size;
    }
  }
}

TEST_P(PairsTest, TenMebibytesGoBothWays) {
  start_pair();
  AnyClient client = this->client();
  const std::string body = pattern(10 << 20);
  const Response response = client.request("POST", "/echo", body);
  ASSERT_TRUE(response.complete()) << response.summary();
  EXPECT_EQ(response.body_size, body.size());
  EXPECT_EQ(response.body_sha256, harness::Digest::of(body));
  EXPECT_EQ(origin_.last_request().body_sha256, harness::Digest::of(body));
}

TEST_P(PairsTest, TrailersGoBothWays) {
  start_pair();
  AnyClient client = this->client();
  const Response response = client.get("/trailers");
  ASSERT_TRUE(response.complete()) << response.summary();
  EXPECT_TRUE(response.body_is_pattern);
  EXPECT_EQ(response.trailers.get("x-checksum"), harness::Digest::of(pattern(1000)));
  EXPECT_EQ(response.trailers.get("x-backend-time"), "7");
  origin_.forget();
  Fields trailers;
  trailers.add("x-sum", "42");
  client.begin("POST", "/upload");
  ASSERT_TRUE(client.put("hello"));
  ASSERT_TRUE(client.end(trailers));
  EXPECT_EQ(client.finish().status, 200);
  EXPECT_EQ(origin_.last_request().body, "hello");
  EXPECT_EQ(origin_.last_request().trailers.get("x-sum"), "42");
}

TEST_P(PairsTest, AContinueIsRelayedBeforeTheBody) {
  start_pair();
  AnyClient client = this->client();
  Fields fields;
  fields.add("expect", "100-continue");
  client.begin("POST", "/echo", 5, fields);
  ASSERT_EQ(client.wait_for_status(), 100);
  ASSERT_TRUE(client.put("hello"));
  ASSERT_TRUE(client.end());
  EXPECT_EQ(client.finish().body, "hello");
}

TEST_P(PairsTest, EarlyHintsAreRelayed) {
  start_pair();
  AnyClient client = this->client();
  const Response response = client.get("/interim/103");
  EXPECT_EQ(response.status, 200) << response.summary();
  ASSERT_EQ(response.interim.size(), 1u);
  EXPECT_EQ(response.interim[0].status, 103);
  EXPECT_EQ(response.interim[0].field("Link"), "</style.css>; rel=preload");
}

TEST_P(PairsTest, AnEarlyAnswerComesWhileTheRequestIsStillOnItsWay) {
  start_pair();
  AnyClient client = this->client();
  client.begin("POST", "/early", 10);
  ASSERT_TRUE(client.put("hello"));
  EXPECT_EQ(client.wait_for_status(), 200);
}

TEST_P(PairsTest, ARefusedUploadIsAnsweredAndTheNextRequestServed) {
  start_pair();
  {
    AnyClient client = this->client();
    client.begin("POST", "/early-close", 50'000'000);
    client.put(pattern(100'000));
    const Response response = client.finish();
    EXPECT_EQ(response.status, 413) << response.summary();
    EXPECT_EQ(response.body, "too large\n") << response.summary();
    if (client.is_h2()) {
      EXPECT_EQ(client.get("/").status, 200);
    }
  }
  EXPECT_EQ(client().get("/").status, 200);
}

TEST_P(PairsTest, AClientsAbortReachesTheServerAndNobodyElse) {
  start_pair({.workers = 1});
  AnyClient neighbour = this->client();
  AnyClient client = this->client();
  Fields fields;
  fields.add("expect", "100-continue");
  client.begin("POST", "/echo", 1'000'000, fields);
  ASSERT_EQ(client.wait_for_status(), 100) << "the server has its head";
  ASSERT_TRUE(client.put(pattern(300'000)));
  neighbour.begin("POST", "/echo", 4);
  ASSERT_TRUE(neighbour.put("ab"));
  client.abort();
  EXPECT_TRUE(wait_until([&] { return origin_.incomplete_count() == 1; }));
  ASSERT_TRUE(neighbour.put("ba"));
  ASSERT_TRUE(neighbour.end());
  EXPECT_EQ(neighbour.finish().body, "abba");
  // While the response is on its way.
  AnyClient reader = this->client();
  reader.begin("GET", "/hold-body/100000", 0);
  reader.end();
  ASSERT_TRUE(origin_.wait_for_held(1));
  if (reader.is_h2()) {
    EXPECT_EQ(reader.wait_for_status(), 200);
  }
  reader.abort();
  EXPECT_TRUE(wait_until([&] { return origin_.held_count() == 0; }));
  EXPECT_EQ(neighbour.get("/").status, 200);
}

TEST_P(PairsTest, ACutResponseNeverLooksWhole) {
  start_pair();
  std::vector<std::string> targets = {"/truncate/3000000", "/truncate-chunked/3000000",
                                      "/truncate/1000"};
  if (pair_.h2_server) targets.emplace_back("/cut/3000000");
  for (const std::string& target : targets) {
    AnyClient client = this->client();
    const Response response = client.get(target);
    // What is short may be cut before any of it has left: then HTTP/1 has an answer to it.
    const bool may_be_whole = !pair_.h2_client && target == "/truncate/1000";
    EXPECT_TRUE(!response.complete() || (may_be_whole && response.status == 502))
        << target << ": " << response.summary();
    EXPECT_LE(response.body_size, 3'000'000u);
    EXPECT_TRUE(response.status == 0 || response.status == 200 || response.status == 502)
        << response.summary();
    if (pair_.h2_client) {
      EXPECT_TRUE(client.h2().wait_until([&] { return true; }));
      EXPECT_EQ(response.outcome, Outcome::reset) << target;
      EXPECT_EQ(client.get("/").status, 200) << "the others' connection stays";
    } else if (pair_.tls) {
      EXPECT_NE(response.ending, Ending::closed) << "no clean end of TLS";
    }
  }
  EXPECT_EQ(client().get("/").status, 200);
}

TEST_P(PairsTest, AServerThatGivesNoAnswerIs502) {
  start_pair();
  for (const char* target : {"/drop", "/reset"}) {
    const Response response = client().request("POST", target, "x");
    EXPECT_EQ(response.status, 502) << target << ": " << response.summary();
    EXPECT_TRUE(response.complete());
  }
  EXPECT_EQ(client().get("/").status, 200);
}

TEST_P(PairsTest, ASlowReaderStallsNobody) {
  start_pair({.workers = 1});
  AnyClient slow = this->client();
  slow.begin("GET", "/bytes/50000000", 0);
  if (slow.is_h2()) {
    slow.h2().hold_window(slow.stream());
    EXPECT_TRUE(slow.h2().wait_for_head(slow.stream()));
  }
  slow.end();
  // On the same connection where that can be, and beside it.
  AnyClient beside = this->client();
  for (int i = 0; i < 20; ++i) {
    if (slow.is_h2()) {
      const Response response = slow.get("/bytes/100000");
      ASSERT_TRUE(response.complete()) << response.summary();
      EXPECT_TRUE(response.body_is_pattern);
    }
    const Response response = beside.get("/bytes/100000");
    ASSERT_TRUE(response.complete()) << response.summary();
    EXPECT_TRUE(response.body_is_pattern);
  }
  if (slow.is_h2()) {
    EXPECT_LE(slow.h2().response(slow.stream()).body_size, 65'535u);
  }
  slow.abort();
}

TEST_P(PairsTest, WhatNobodyTakesIsNotHeld) {
  start_pair({.workers = 1});
  const std::uint64_t allowed = sanitized() ? 32'768 : 8'192;
  ASSERT_EQ(client().request("POST", "/echo", pattern(1'000'000)).status, 200);
  const std::uint64_t before = sluice_->memory().rss_kib;
  // A server that reads nothing of a body.
  AnyClient sender = this->client();
  const std::string body = pattern(64 << 20);
  sender.begin("POST", "/stall", body.size());
  if (sender.is_h2()) {
    sender.h2().put(sender.stream(), body, true);
    sender.h2().wait_until([&] { return sender.h2().window(sender.stream()) <= 0; });
    // What the kernel's buffers between us and the server take, at their largest, and little more.
    EXPECT_LT(sender.h2().bytes_sent(), 12u << 20);
  } else {
    auto impatient = harness::HttpClient::connect(
        sluice_->endpoint(pair_.tls ? "https" : "http"),
        {.tls = pair_.tls ? std::optional(harness::ClientTls{}) : std::nullopt,
         .patience = seconds(1)});
    ASSERT_TRUE(impatient);
    (*impatient)
        ->send("POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n");
    EXPECT_FALSE((*impatient)->send(body));
    (*impatient)->reset();
  }
  // A client that reads nothing of one.
  AnyClient reader = this->client();
  reader.begin("GET", "/bytes/100000000", 0);
  if (reader.is_h2()) {
    reader.h2().hold_window(reader.stream());
    reader.h2().wait_for_head(reader.stream());
    reader.h2().wait_until([] { return false; }, Deadline(milliseconds(300)));
  } else {
    wait_until([] { return false; }, Deadline(milliseconds(300)));
  }
  EXPECT_LT(sluice_->memory().rss_kib, before + allowed);
  origin_.release();
}

TEST_P(PairsTest, ServersLearnWhoTheClientIs) {
  start_pair();
  Fields claims;
  claims.add("X-Forwarded-For", "6.6.6.6");
  claims.add("Forwarded", "for=6.6.6.6");
  claims.add("X-Forwarded-Proto", "gopher");
  claims.add("Host", "localhost");
  const Response response = client().request("GET", "/", "", claims);
  ASSERT_EQ(response.status, 200) << response.summary();
  EXPECT_EQ(response.field("Via"), pair_.h2_server ? "2 sluice" : "1.1 sluice");
  const Fields seen = origin_.last_request().fields;
  EXPECT_EQ(seen.all("X-Forwarded-For"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(seen.all("X-Forwarded-Proto"), std::vector<std::string>{pair_.tls ? "https" : "http"});
  EXPECT_EQ(seen.all("X-Forwarded-Host"), std::vector<std::string>{"localhost"});
  EXPECT_EQ(seen.all("Via"), std::vector<std::string>{pair_.h2_client ? "2 sluice" : "1.1 sluice"});
  const std::string forwarded = seen.get("Forwarded").value_or("");
  EXPECT_EQ(seen.count("Forwarded"), 1u);
  for (const char* part : {"for=127.0.0.1", "host=\"localhost\"", "proto="}) {
    EXPECT_NE(forwarded.find(part), std::string::npos) << forwarded;
  }
  EXPECT_EQ(seen.get(pair_.h2_server ? ":authority" : "Host"), "localhost");
  if (pair_.h2_server) {
    EXPECT_EQ(seen.get(":scheme"), pair_.tls ? "https" : "http");
  }
}

TEST_P(PairsTest, CookieCrumbsBecomeOneField) {
  start_pair();
  AnyClient client = this->client();
  Fields fields;
  fields.add("cookie", "a=1");
  if (pair_.h2_client) {
    fields.add("cookie", "b=2");
    fields.add("cookie", "c=3");
  } else {
    fields.lines[0].second = "a=1; b=2; c=3";
  }
  ASSERT_EQ(client.request("GET", "/", "", fields).status, 200);
  std::string joined;
  for (const std::string& crumb : origin_.last_request().fields.all("cookie")) {
    joined += (joined.empty() ? "" : "; ") + crumb;
  }
  EXPECT_EQ(joined, "a=1; b=2; c=3");
  if (!pair_.h2_server) {
    EXPECT_EQ(origin_.last_request().fields.count("cookie"), 1u);
  }
}

TEST_P(PairsTest, ErrorAnswersAreWhole) {
  start_pair({.routes = "[routes.app]\nhost = \"localhost\"\nsplit = { blue = 1 }\n"});
  AnyClient client = this->client();
  Fields elsewhere;
  elsewhere.add("Host", "nobody.example");
  const Response unknown = client.request("GET", "/", "", elsewhere);
  EXPECT_TRUE(unknown.complete()) << unknown.summary();
  EXPECT_EQ(unknown.status, pair_.h2_client && pair_.tls ? 421 : 404) << unknown.summary();
  EXPECT_EQ(client.get("/").status, 200);
  origin_.stop();
  const Response down = this->client().get("/");
  EXPECT_TRUE(down.complete()) << down.summary();
  EXPECT_EQ(down.status, 503) << down.summary();
  EXPECT_FALSE(down.body.empty());
  origin_.start();
}

TEST_P(PairsTest, EveryRequestIsAccountedFor) {
  start_pair();
  std::mt19937_64 random(4711);
  const std::vector<std::string> targets = {
      "/",           "/bytes/5000", "/chunked/70000",        "/status/404", "/truncate/9000",
      "/status/204", "/drop",       "/truncate-chunked/9000"};
  constexpr std::uint64_t kRequests = 300;
  std::map<std::string, bool> whole;
  std::optional<AnyClient> client;
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    if (!client) client.emplace(this->client());
    const std::string& target = targets[random() % targets.size()];
    const std::string id = std::to_string(i);
    Fields fields;
    fields.add("x-id", id);
    // POST: what may not be done twice.
    const Response response = client->request("POST", target, pattern(random() % 20'000), fields);
    ASSERT_NE(response.outcome, Outcome::timed_out) << target;
    ASSERT_NE(response.outcome, Outcome::malformed) << target << ": " << response.summary();
    whole[id] = response.complete();
    if (target.starts_with("/truncate")) {
      EXPECT_TRUE(!response.complete() || (response.status == 502 && !client->is_h2()))
          << target << ": " << response.summary();
    } else {
      EXPECT_TRUE(response.complete()) << target << ": " << response.summary();
      EXPECT_EQ(response.status == 502, target == "/drop") << target << ": " << response.summary();
    }
    if (!client->is_h2() && (response.ending != Ending::open || !response.complete())) {
      client.reset();
    }
  }
  std::map<std::string, int> seen;
  for (const RecordedRequest& request : origin_.requests())
    ++seen[request.fields.get("x-id").value_or("")];
  EXPECT_EQ(seen.size(), kRequests);
  for (const auto& [id, times] : seen) EXPECT_EQ(times, 1) << id;
  EXPECT_TRUE(wait_until([&] {
    double total = 0;
    for (const char* status : {"1xx", "2xx", "3xx", "4xx", "5xx", "none"}) {
      total += metric("sluice_requests_total{status=\"" + std::string(status) + "\"}");
    }
    return total == static_cast<double>(kRequests);
  }));
  EXPECT_EQ(metric("sluice_server_requests_total{backend=\"blue\",server=\"one\"}"),
            static_cast<double>(origin_.requests_count()));
}

// A second certificate's name on this connection is another connection's business.
TEST_P(PairsTest, ANameOfAnotherCertificateIsMisdirected) {
  start_pair();
  if (!(pair_.h2_client && pair_.tls)) {
    GTEST_SKIP() << "only HTTP/2 over TLS is shared by names";
  }
  AnyClient client = this->client();
  Fields elsewhere;
  elsewhere.add("Host", "elsewhere.example");
  const Response response = client.request("GET", "/", "", elsewhere);
  EXPECT_EQ(response.status, 421) << response.summary();
  EXPECT_EQ(client.get("/").status, 200);
  EXPECT_EQ(origin_.requests_count(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Each, PairsTest, testing::ValuesIn(all_pairs()), pair_name);

}  // namespace
}  // namespace sluice::integration
