// HTTP/2 servers: what they turn away is served elsewhere or again, what they allow is kept to, and
// what they do wrong ends in a 502 or a visible abort.
#include <thread>

#include "tests/harness/certificate.h"
#include "tests/harness/h2_client.h"
#include "tests/harness/h2_origin_answers.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/any_client.h"
#include "tests/integration/limits_test.h"

namespace sluice::integration {
namespace {

using harness::H2Client;
using harness::StrictH2Origin;
namespace h2 = harness::h2;

class H2BackendTest : public SluiceTest {
 protected:
  void start_with(StrictH2Origin::Options options, Scenario scenario = {},
                  const std::string& tls = "") {
    options.name = "blue";
    origin_ = std::make_unique<StrictH2Origin>(options);
    scenario.backends = {{"blue", {{"one", origin_->address()}}}};
    scenario.split = "{ blue = 1 }";
    scenario.backend_lines["blue"] = "protocol = \"h2\"\n" + tls;
    scenario.listener += "protocols = [\"http/1.1\", \"h2\"]\n";
    start(scenario);
  }
  void TearDown() override {
    if (origin_) origin_->release();
    SluiceTest::TearDown();
    if (origin_ && expect_no_violation_) {
      EXPECT_THAT(origin_->violations(), testing::IsEmpty());
    }
  }
  // Sends them all at once over h2 connections of 50 streams; how many were answered 200 and whole.
  int all_at_once(const std::string& target, int requests) {
    struct One {
      H2Client* client;
      std::uint32_t stream;
    };
    std::vector<std::unique_ptr<H2Client>> clients;
    std::vector<One> streams;
    for (int i = 0; i < requests; ++i) {
      if (i % 50 == 0) clients.push_back(connect_h2());
      streams.push_back({clients.back().get(), clients.back()->begin({.target = target})});
    }
    for (auto& client : clients) client->send("");
    int good = 0;
    for (const One& one : streams) {
      const harness::H2Response response = one.client->finish(one.stream);
      if (response.complete() && response.status == 200) {
        ++good;
      } else {
        ADD_FAILURE() << response.summary();
      }
    }
    return good;
  }

  std::unique_ptr<StrictH2Origin> origin_;
};

TEST_F(H2BackendTest, ManyExchangesShareFewConnections) {
  start_with({.tls = {}}, {.workers = 1});
  const std::uint64_t before = origin_->counts().connections;
  EXPECT_EQ(all_at_once("/bytes/10000", 100), 100);
  EXPECT_LE(origin_->counts().connections, before + 4);
  EXPECT_GE(origin_->counts().streams_at_once, 10u);
  EXPECT_EQ(origin_->counts().requests, 100u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").status, 200);
  EXPECT_LE(origin_->counts().connections, before + 4);
}

TEST_F(H2BackendTest, TheServersLimitOfStreamsIsKept) {
  start_with({.tls = {}, .streams_max = 4}, {.workers = 1});
  ASSERT_EQ(get("/").status, 200);
  EXPECT_EQ(all_at_once("/slow?ms=30", 100), 100);
  EXPECT_LE(origin_->counts().streams_at_once, 4u);
  EXPECT_GT(origin_->counts().connections, 4u);
  EXPECT_EQ(origin_->counts().requests, 101u);
}

TEST_F(H2BackendTest, ARefusedStreamIsTriedAgain) {
  start_with({.tls = {}});
  // Whatever the method: the server has said that it did nothing.
  Response response = connect()->request("POST", "/refused-once", "body");
  EXPECT_EQ(response.status, 200) << response.summary();
  EXPECT_EQ(origin_->requests().at(0).body, "body");
  EXPECT_EQ(origin_->counts().requests, 1u);
  EXPECT_EQ(origin_->counts().turned_away, 1u);
}

TEST_F(H2BackendTest, AServerThatRefusesAlwaysIsGivenUp) {
  start_with({.tls = {}});
  EXPECT_EQ(verdict(get("/refuse")), "503");
  EXPECT_LE(origin_->counts().turned_away, 10u);
}

TEST_F(H2BackendTest, WhatStandsAboveAGoAwayIsServedAgain) {
  start_with({.tls = {}}, {.workers = 1});
  ASSERT_EQ(get("/").status, 200);
  origin_->forget();
  Response response = connect()->request("POST", "/goaway-once", "body");
  EXPECT_EQ(response.status, 200) << response.summary();
  EXPECT_EQ(origin_->counts().requests, 1u);
  EXPECT_EQ(origin_->requests().at(0).body, "body");
}

TEST_F(H2BackendTest, GoAwaysLoseNothing) {
  start_with({.tls = {}}, {.workers = 1});
  auto client = connect_h2();
  std::vector<std::uint32_t> streams;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 20; ++i) {
      const bool last = i == 7 && round % 2 == 0;
      streams.push_back(client->begin({.target = last ? "/goaway" : "/bytes/3000"}));
    }
    if (round % 2 == 1) origin_->go_away();
    for (const std::uint32_t stream : std::exchange(streams, {})) {
      const harness::H2Response response = client->finish(stream);
      ASSERT_EQ(response.status, 200) << response.summary();
      ASSERT_TRUE(response.complete()) << response.summary();
    }
  }
  EXPECT_EQ(origin_->counts().requests, 400u);
}

TEST_F(H2BackendTest, AStreamThatRunsOutlivesAGoAway) {
  start_with({.tls = {}}, {.workers = 1});
  auto client = connect_h2();
  const std::uint32_t held = client->begin({.target = "/hold-body/100000"});
  ASSERT_TRUE(client->send(""));
  ASSERT_TRUE(origin_->wait_for_held(1));
  origin_->go_away();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get("/").status, 200);
  origin_->release();
  const harness::H2Response response = client->finish(held);
  EXPECT_TRUE(response.complete()) << response.summary();
  EXPECT_EQ(response.body_size, 100'000u);
}

TEST_F(H2BackendTest, AServerThatDiedCostsOnlyWhatItHad) {
  start_with({.tls = {}}, {.workers = 1});
  ASSERT_EQ(get("/").status, 200);
  origin_->stop();
  origin_->start();
  const Response response = get("/");
  EXPECT_EQ(response.status, 200) << response.summary();
}

TEST_F(H2BackendTest, MalformedResponsesAre502OrAVisibleAbort) {
  expect_no_violation_ = false;  // nghttp2 doesn't know what was sent beside it
  start_with({.tls = {}}, {.workers = 1});
  for (const harness::H2Garbage& kind : harness::h2_garbage_kinds()) {
    SCOPED_TRACE(kind.name);
    const std::string target = "/garbage/" + kind.name;
    auto client = connect_h2();
    const harness::H2Response response = client->request("POST", target, "x");
    EXPECT_EQ(verdict(response), kind.late ? "RST_STREAM INTERNAL_ERROR" : "502")
        << response.summary();
    ASSERT_EQ(client->get("/").status, 200);
    const auto seen = origin_->requests();
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0].connection != seen[1].connection, kind.ends_connection);
    // The same over HTTP/1, where a head that hasn't left yet is taken back: never a clean end of a
    // body that isn't whole.
    const Response h1 = connect()->request("POST", target, "x");
    EXPECT_TRUE(verdict(h1) == "502" || (kind.late && verdict(h1) == "cut")) << h1.summary();
    EXPECT_EQ(get("/").status, 200);
    origin_->forget();
  }
}

// A body where there can be none, and a stream that is cut before any of its response could leave.
TEST_F(H2BackendTest, StreamsThatGoWrongBehindTheirHeads) {
  start_with({.tls = {}}, {.workers = 1});
  const struct {
    const char* method;
    const char* kind;
    const char* to_h2 = "502";
  } cases[] = {
      {"POST", "data-on-204"},      {"POST", "data-on-304"},
      {"POST", "data-on-length-0"}, {"HEAD", "data-short-of-length"},
      {"POST", "reset-behind-204"}, {"POST", "reset-behind-head", "RST_STREAM INTERNAL_ERROR"},
  };
  auto h1 = connect();
  auto h2 = connect_h2();
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.method) + " " + c.kind);
    const std::string target = std::string("/garbage/") + c.kind;
    EXPECT_EQ(verdict(h1->request(c.method, target)), "502");
    EXPECT_EQ(h1->get("/").status, 200) << "the client's connection goes on";
    EXPECT_EQ(verdict(h2->request(c.method, target)), c.to_h2);
    EXPECT_EQ(h2->get("/").status, 200);
  }
}

// All of a body's length is there long before it turns out to be longer: until it has ended, no
// client has seen it whole.
TEST_F(H2BackendTest, ABodyThatTurnsOutTooLongNeverLooksWhole) {
  const auto too_little = [](std::uint32_t stream) {
    const Fields head{.lines = {{":status", "200"}, {"content-length", "2"}}};
    return h2::headers(stream, head, false) + h2::data(stream, "ab");
  };
  const auto more = [](std::uint32_t stream, std::uint64_t) { return h2::data(stream, "c", true); };
  const harness::RawOrigin server(h2_server(too_little, more));
  start({.workers = 1,
         .listener = "protocols = [\"http/1.1\", \"h2\"]\n",
         .backends = {{"blue", {{"one", server.address()}}}},
         .backend_lines = {{"blue", "protocol = \"h2\"\nhealth = { enabled = false }\n"}},
         .split = "{ blue = 1 }"});
  auto client = connect_h2();
  const std::uint32_t stream = client->begin({.method = "POST", .target = "/", .end = false});
  ASSERT_TRUE(client->wait_until([&] { return client->response(stream).body_size == 1; }));
  client->put(stream, "x", false);
  const harness::H2Response response = client->finish(stream);
  EXPECT_EQ(verdict(response), "RST_STREAM INTERNAL_ERROR") << response.summary();
  EXPECT_EQ(response.body, "a");
  auto h1 = connect();
  ASSERT_TRUE(h1->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"));
  const Response over_h1 = h1->read_response({.on_body = [&](std::string_view) { h1->send("x"); }});
  EXPECT_EQ(verdict(over_h1), "cut") << over_h1.summary();
  EXPECT_EQ(over_h1.body, "a");
}

TEST_F(H2BackendTest, TlsServersAreChosenByAlpnAndName) {
  StrictH2Origin::Options options;
  options.tls = harness::make_certificate(directory_->path(), "origin", {"app.internal"});
  start_with(options, {},
             "tls = { ca_file = \"@DIR@/origin.pem\", server_name = \"app.internal\" }");
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(all_at_once("/bytes/5000", 50), 50);
  EXPECT_EQ(origin_->requests().at(0).fields.get(":scheme"), "https");
}

TEST_F(H2BackendTest, AServerWithAnotherCertificateGetsNothing) {
  harness::make_certificate(directory_->path(), "other", {"app.internal"});
  StrictH2Origin::Options options;
  options.tls = harness::make_certificate(directory_->path(), "origin", {"app.internal"});
  start_with(options, {.runtime = "ready_timeout = \"1s\""},
             "tls = { ca_file = \"@DIR@/other.pem\", server_name = \"app.internal\" }");
  EXPECT_TRUE(wait_for_status("blue", "one", "down")) << "its probes tell";
  EXPECT_EQ(verdict(get("/")), "503");
  EXPECT_EQ(origin_->counts().streams, 0u);
}

TEST_F(H2BackendTest, AServerWithAnotherNameGetsNothing) {
  StrictH2Origin::Options options;
  options.tls = harness::make_certificate(directory_->path(), "origin", {"app.internal"});
  start_with(options, {.runtime = "ready_timeout = \"1s\""},
             "tls = { ca_file = \"@DIR@/origin.pem\", server_name = \"pay.internal\" }");
  EXPECT_TRUE(wait_for_status("blue", "one", "down")) << "its probes tell";
  EXPECT_EQ(verdict(get("/")), "503");
  EXPECT_EQ(origin_->counts().streams, 0u);
}

TEST_F(H2BackendTest, ATlsServerWithoutHttp2GetsNothing) {
  StrictH2Origin::Options options;
  options.tls = harness::make_certificate(directory_->path(), "origin", {"app.internal"});
  options.alpn = {"http/1.1"};
  start_with(options, {.runtime = "ready_timeout = \"1s\""},
             "tls = { ca_file = \"@DIR@/origin.pem\", server_name = \"app.internal\" }");
  EXPECT_TRUE(wait_for_status("blue", "one", "down")) << "its probes tell";
  EXPECT_EQ(verdict(get("/")), "503");
  EXPECT_EQ(origin_->counts().streams, 0u);
}

TEST_F(H2BackendTest, ProbesSpeakHttp2Too) {
  start_with({.tls = {}}, {.health = "interval = \"100ms\"\nsettle_interval = \"20ms\""});
  EXPECT_TRUE(wait_until([&] { return origin_->counts().health_probes >= 3; }));
  EXPECT_TRUE(wait_for_status("blue", "one", "up"));
  origin_->set_health(503);
  EXPECT_TRUE(wait_for_status("blue", "one", "down"));
  origin_->set_health(200);
  EXPECT_TRUE(wait_for_status("blue", "one", "up"));
}

}  // namespace
}  // namespace sluice::integration
