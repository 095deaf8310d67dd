// Limits on connections to servers, and on how slowly a client may move a body.
#include <atomic>
#include <functional>
#include <thread>

#include "tests/harness/pattern.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/limits_test.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;
namespace h2 = harness::h2;

// --- Connections to servers ---------------------------------------------------------------------

class ServerLimitsTest : public PairTest {
 protected:
  // Without probes, so that each connection is an exchange's.
  void start_unprobed(Scenario scenario) {
    scenario.workers = 1;
    scenario.backend_lines["blue"] += "health = { enabled = false }\n";
    start_pair(std::move(scenario));
  }
  // Clients of their own, each with one request that the server holds.
  std::vector<AnyClient> hold(std::size_t n) {
    std::vector<AnyClient> clients;
    for (std::size_t i = 0; i < n; ++i) {
      clients.push_back(client());
      clients.back().begin("GET", "/hold", 0);
      clients.back().end();
    }
    return clients;
  }
};

TEST_P(ServerLimitsTest, AnIdleConnectionToAServerIsClosedInTime) {
  start_unprobed({.timeouts = "backend_idle = \"150ms\""});
  const Stopwatch watch;
  AnyClient client = this->client();
  EXPECT_EQ(client.get("/").status, 200);
  EXPECT_TRUE(wait_until([&] { return origin_.open_connections() == 0; }));
  EXPECT_GE(watch.elapsed(), milliseconds(150));
  EXPECT_EQ(client.get("/").status, 200);
  EXPECT_EQ(origin_.connections(), 2u);
  EXPECT_TRUE(wait_until([&] { return metric("sluice_backend_connections") == 0; }));
  EXPECT_EQ(metric("sluice_retries_total"), 0);
}

TEST_P(ServerLimitsTest, OneThatIsUsedIsNot) {
  start_unprobed({.timeouts = "backend_idle = \"150ms\""});
  AnyClient client = this->client();
  client.begin("GET", "/", 0, behaving("/slow?ms=400"));
  client.end();
  EXPECT_EQ(client.finish().status, 200);
  EXPECT_EQ(origin_.connections(), 1u);
}

class H1ServerLimitsTest : public ServerLimitsTest {};

TEST_P(H1ServerLimitsTest, NoMoreIdleConnectionsAreKept) {
  start_unprobed({.limits = "backend_idle_connections = 2"});
  std::vector<AnyClient> clients = hold(5);
  ASSERT_TRUE(origin_.wait_for_held(5));
  EXPECT_EQ(origin_.open_connections(), 5u);
  origin_.release();
  for (AnyClient& client : clients) EXPECT_EQ(client.finish().status, 200);
  EXPECT_TRUE(wait_until([&] { return origin_.open_connections() == 2; }));
  EXPECT_EQ(client().get("/").status, 200);
  EXPECT_EQ(origin_.connections(), 5u) << "those that are left are used";
}

TEST_P(ServerLimitsTest, RequestsBeyondTheConnectionsWaitAndAreServed) {
  start_unprobed({.limits = "backend_connections = 2\nbackend_idle_connections = "
                            "2\nbackend_streams = 1\nbackend_waiting = 1"});
  std::vector<AnyClient> held = hold(2);
  ASSERT_TRUE(origin_.wait_for_held(2));
  std::vector<AnyClient> waiting = hold(1);
  ASSERT_TRUE(wait_until([&] { return limit_hits("backend_connections") == 1; }));
  // There is one place to wait.
  const Response refused = client().get("/");
  EXPECT_EQ(refused.status, 503) << refused.summary();
  EXPECT_THAT(refused.field("Proxy-Status"), HasSubstr("connection_limit_reached"));
  EXPECT_EQ(limit_hits("backend_waiting"), 1);
  EXPECT_EQ(origin_.connections(), 2u);
  origin_.release();
  for (AnyClient& client : held) EXPECT_EQ(client.finish().status, 200);
  ASSERT_TRUE(origin_.wait_for_held(1));
  origin_.release();
  EXPECT_EQ(waiting[0].finish().status, 200);
  EXPECT_EQ(origin_.connections(), 2u);
  EXPECT_EQ(origin_.requests_count(), 3u);
}

TEST_P(ServerLimitsTest, WhoWaitsForAConnectionForTooLongIsTurnedAway) {
  const auto route = [](const std::string& name, const std::string& times) {
    return "[routes." + name + "]\npath = \"/" + name + "\"\nsplit = { blue = 1 }\ntimeouts = { " +
           times + " }\n";
  };
  start_unprobed({.limits = "backend_connections = 1\nbackend_idle_connections = "
                            "1\nbackend_streams = 1",
                  .routes = "[routes.all]\nsplit = { blue = 1 }\n" +
                            route("connect", "connect = \"150ms\"") +
                            route("exchange", "exchange = \"150ms\"")});
  std::vector<AnyClient> held = hold(1);
  ASSERT_TRUE(origin_.wait_for_held(1));
  struct {
    const char* path;
    const char* timeout;
    int status;
  } cases[] = {{"/connect", "connect", 503}, {"/exchange", "exchange", 504}};
  for (const auto& test : cases) {
    SCOPED_TRACE(test.path);
    const Stopwatch watch;
    AnyClient client = this->client();
    const Response response = client.get(test.path);
    EXPECT_EQ(response.status, test.status) << response.summary();
    EXPECT_GE(watch.elapsed(), milliseconds(150));
    EXPECT_EQ(timeout_hits(test.timeout), 1);
  }
  origin_.release();
  EXPECT_EQ(held[0].finish().status, 200);
  EXPECT_EQ(origin_.requests_count(), 1u);
}

class H2ServerLimitsTest : public ServerLimitsTest {};

TEST_P(H2ServerLimitsTest, StreamsBeyondTheLimitGetAnotherConnection) {
  start_unprobed({.limits = "backend_streams = 2"});
  ASSERT_EQ(client().get("/").status, 200);
  std::vector<AnyClient> clients = hold(5);
  ASSERT_TRUE(origin_.wait_for_held(5));
  EXPECT_EQ(origin_.streams_at_once(), 2u);
  EXPECT_EQ(origin_.connections(), 3u);
  origin_.release();
  for (AnyClient& client : clients) EXPECT_EQ(client.finish().status, 200);
}

// The client's version makes no difference to a pool.
constexpr Pair kToH1{.h2_client = false, .h2_server = false, .tls = false};
constexpr Pair kToH2{.h2_client = false, .h2_server = true, .tls = false};
INSTANTIATE_TEST_SUITE_P(Each, ServerLimitsTest, testing::Values(kToH1, kToH2), pair_name);
INSTANTIATE_TEST_SUITE_P(Each, H1ServerLimitsTest, testing::Values(kToH1), pair_name);
INSTANTIATE_TEST_SUITE_P(Each, H2ServerLimitsTest, testing::Values(kToH2), pair_name);

// --- Bodies for another attempt -----------------------------------------------------------------

class RetryBodyTest : public EachVersion {};

// A server that turns a request away once so much of its body has come, the first time.
TEST_P(RetryBodyTest, ABodyLargerThanItsRouteKeepsIsSentOnce) {
  constexpr std::uint64_t kBody = 40'000;
  std::atomic<int> turned_away = 0;
  std::atomic<bool> turns_away = true;
  harness::RawOrigin origin(
      h2_server([](std::uint32_t) { return std::string(); },
                [&](std::uint32_t stream, std::uint64_t bytes) {
                  if (bytes < kBody) return std::string();
                  if (turns_away.exchange(false)) {
                    ++turned_away;
                    return h2::reset(stream, h2::kRefusedStream);
                  }
                  return h2::headers(stream, Fields{.lines = {{":status", "200"}}}, true);
                }));
  start_narrow({.workers = 1,
                .backends = {{"blue", {{"one", origin.address()}}}},
                .backend_lines = {{"blue", "protocol = \"h2\"\nhealth = { enabled = false }\n"}},
                .routes = "[routes.all]\nsplit = { blue = 1 }\n"
                          "[routes.once]\npath = \"/once\"\nsplit = { blue = 1 }\n"
                          "limits = { retry_body_bytes = \"1KiB\" }\n"},
               "");
  AnyClient client = connect_to("http", h2());
  const Response again = client.request("POST", "/", harness::pattern(kBody));
  EXPECT_EQ(again.status, 200) << again.summary();
  EXPECT_EQ(turned_away, 1);
  EXPECT_EQ(metric("sluice_retries_total"), 1);
  turns_away = true;
  const Response once = client.request("POST", "/once", harness::pattern(kBody));
  EXPECT_EQ(once.status, 503) << once.summary();
  EXPECT_EQ(turned_away, 2);
  EXPECT_EQ(metric("sluice_retries_total"), 1);
}

INSTANTIATE_TEST_SUITE_P(Each, RetryBodyTest, testing::Bool(), version_name);

// --- Rates --------------------------------------------------------------------------------------

class RatesTest : public LimitsTest {
 protected:
  struct Seen {
    Response response;
    std::optional<std::uint32_t> reset_code;
    milliseconds elapsed{0};
  };
  static Seen finish(AnyClient& client, const Stopwatch& watch) {
    Seen seen;
    if (client.is_h2()) {
      const harness::H2Response response = client.h2().finish(client.stream());
      seen = {.response = response, .reset_code = response.reset_code};
    } else {
      seen = {.response = client.finish(), .reset_code = {}};
    }
    seen.elapsed = watch.elapsed();
    return seen;
  }
  // Sends a body drop by drop until it is answered, or until `over`: then it ends the body.
  static Seen trickle(AnyClient client, const std::string& path, const Fields& fields,
                      const std::atomic<bool>& over) {
    const Stopwatch watch;
    client.begin("POST", path, std::nullopt, fields);
    client.put("x");
    while (!answered_within(client, milliseconds(50))) {
      if (over) {
        client.end();
        break;
      }
      client.put("x");
    }
    return finish(client, watch);
  }
  // Takes a response little by little until it is over, or until `over`: then all that is left.
  static Seen sip(AnyClient client, const std::string& path, const std::atomic<bool>& over) {
    const Stopwatch watch;
    client.begin("GET", path, 0, behaving("/bytes/50000000"));
    client.end();
    if (!client.is_h2()) {
      Seen seen{.response = client.h1().read_response({.on_body =
                                                           [&](std::string_view) {
                                                             if (!over)
                                                               std::this_thread::sleep_for(
                                                                   milliseconds(20));
                                                           }}),
                .reset_code = {}};
      seen.elapsed = watch.elapsed();
      return seen;
    }
    const std::uint32_t stream = client.stream();
    while (!over && !client.h2().wait_until([&] { return client.h2().over(stream); },
                                            Deadline(milliseconds(20)))) {
      client.h2().send(h2::window_update(stream, 1000) + h2::window_update(0, 1000));
    }
    return finish(client, watch);
  }
};

// All at once, since a peer's rate counts only after ten seconds.
TEST_F(RatesTest, WhoMovesTooLittleIsEndedWhereItsRouteSaysSoAndNobodyElse) {
  // One that has answered before the request is whole: no status can tell any more.
  harness::RawOrigin hasty([](harness::RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    connection.read_to_end();
  });
  start_narrow(
      {.backends = {{"blue", {{"one", blue_.address()}}}, {"hasty", {{"one", hasty.address()}}}},
       .routes = "[routes.begun]\npath = \"/begun\"\nsplit = { hasty = 1 }\n"
                 "limits = { request_rate_min = \"1MiB\" }\n"
                 "[routes.free]\npath = \"/free\"\nsplit = { blue = 1 }\n"
                 "limits = { request_rate_min = 0, response_rate_min = 0 }\n"
                 "[routes.all]\nsplit = { blue = 1 }\n"
                 "limits = { request_rate_min = \"1MiB\", response_rate_min = "
                 "\"100MiB\" }\n"},
      "");
  std::atomic<bool> over = false;
  std::atomic<bool> never = false;
  Fields grpc;
  grpc.add("content-type", "application/grpc");
  grpc.add("te", "trailers");
  const harness::H2Client::Options own_windows{.opens_windows = false};
  struct Peer {
    const char* name;
    std::function<Seen()> does;
    bool is_sender;
    bool is_ended;
    Seen seen = {};
  } peers[] = {
      {"H1 sender", [&] { return trickle(connect_to("http", false), "/", {}, never); }, true, true},
      {"H2 sender", [&] { return trickle(connect_to("http", true), "/", {}, never); }, true, true},
      {"H1 sender behind the head",
       [&] { return trickle(connect_to("http", false), "/begun", {}, never); }, false, true},
      {"H2 sender behind the head",
       [&] { return trickle(connect_to("http", true), "/begun", {}, never); }, false, true},
      {"H1 sender elsewhere", [&] { return trickle(connect_to("http", false), "/free", {}, over); },
       true, false},
      {"H2 sender elsewhere", [&] { return trickle(connect_to("http", true), "/free", {}, over); },
       true, false},
      {"gRPC", [&] { return trickle(connect_to("http", true), "/", grpc, over); }, true, false},
      {"H1 reader", [&] { return sip(connect_to("http", false), "/", over); }, false, true},
      {"H2 reader", [&] { return sip(connect_to("http", true, own_windows), "/", over); }, false,
       true},
      {"H1 reader elsewhere", [&] { return sip(connect_to("http", false), "/free", over); }, false,
       false},
  };
  std::vector<std::thread> threads;
  for (Peer& peer : peers) {
    threads.emplace_back([&peer] { peer.seen = peer.does(); });
  }
  EXPECT_TRUE(wait_until(
      [&] { return limit_hits("request_rate_min") == 4 && limit_hits("response_rate_min") == 2; }));
  over = true;
  for (std::thread& thread : threads) thread.join();
  for (const Peer& peer : peers) {
    SCOPED_TRACE(peer.name);
    const Response& response = peer.seen.response;
    EXPECT_GE(peer.seen.elapsed, seconds(10));
    if (!peer.is_ended) {
      EXPECT_EQ(response.status, 200) << response.summary();
      EXPECT_TRUE(response.complete()) << response.summary();
    } else if (peer.is_sender) {
      EXPECT_EQ(response.status, 408) << response.summary();
      EXPECT_TRUE(response.complete()) << response.summary();
    } else {
      EXPECT_EQ(response.status, 200) << response.summary();
      EXPECT_FALSE(response.complete()) << response.summary();
      EXPECT_NE(response.outcome, Outcome::timed_out);
      EXPECT_TRUE(!peer.seen.reset_code || peer.seen.reset_code == h2::kInternalError);
    }
  }
  EXPECT_EQ(limit_hits("request_rate_min"), 4);
  EXPECT_EQ(limit_hits("response_rate_min"), 2);
  EXPECT_EQ(timeout_hits("stream"), 0);
  EXPECT_TRUE(wait_until([&] { return blue_.counts().incomplete_requests == 2; }));
}

}  // namespace
}  // namespace sluice::integration
