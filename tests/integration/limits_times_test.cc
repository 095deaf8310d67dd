// Each time of [timeouts] as it looks from outside: what the client is told, what the server sees
// of it, that it comes no earlier, what it counts as, and that it holds where it was set and
// nowhere else.
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <thread>

#include "tests/integration/limits_test.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;
namespace h2 = harness::h2;

constexpr milliseconds kShort{100};
// For what must get somewhere before its time is over.
constexpr milliseconds kLonger{500};

std::string ms(milliseconds time) {
  return "\"" + std::to_string(time.count()) + "ms\"";
}

// --- Within an exchange: per route, all pairs ---------------------------------------------------

enum class Request { whole, part, trickles, more_than_is_taken };

struct Wait {
  const char* name;
  const char* route;      // its path
  const char* behaviour;  // of the server
  Request request;
  int status;  // 0: the response is cut
  const char* timeout;
  milliseconds at_least;
};

const Wait kWaits[] = {
    {"no head", "/head", "/hold", Request::whole, 504, "response_head", kShort},
    {"no head, in all", "/exchange", "/hold", Request::whole, 504, "exchange", kShort},
    {"body stops", "/stream", "/echo", Request::part, 408, "stream", kShort},
    {"body stops, in all", "/exchange", "/echo", Request::part, 408, "exchange", kShort},
    {"body trickles", "/exchange", "/echo", Request::trickles, 408, "exchange", kShort},
    {"server takes nothing", "/upload", "/stall", Request::more_than_is_taken, 504, "stream",
     kLonger},
    {"response stops", "/stream", "/hold-body/100000", Request::whole, 0, "stream", kShort},
    {"response stops, in all", "/later", "/hold-body/100000", Request::whole, 0, "exchange",
     kLonger},
};

class ExchangeTimesTest : public PairTest {
 protected:
  void start_routes() {
    const auto route = [](const std::string& name, const std::string& key, milliseconds time) {
      return "[routes." + name + "]\npath = \"/" + name +
             "\"\nsplit = { blue = 1 }\ntimeouts = { " + key + " = " + ms(time) + " }\n";
    };
    start_pair(
        {.routes = "[routes.all]\nsplit = { blue = 1 }\n" + route("head", "response_head", kShort) +
                   route("stream", "stream", kShort) + route("upload", "stream", kLonger) +
                   route("exchange", "exchange", kShort) + route("later", "exchange", kLonger)});
  }

  void begin(AnyClient& client, const Wait& wait) {
    const bool large = wait.request == Request::more_than_is_taken;
    const bool whole = wait.request == Request::whole;
    client.begin(whole ? "GET" : "POST", wait.route,
                 whole   ? 0
                 : large ? more_than_is_taken_.size()
                         : 1'000'000,
                 behaving(wait.behaviour));
    switch (wait.request) {
      case Request::whole:
        client.end();
        break;
      case Request::part:
        client.put("a little");
        break;
      case Request::trickles:
        while (!answered_within(client, milliseconds(20))) client.put("x");
        break;
      case Request::more_than_is_taken:
        // False: it is answered before it has been taken.
        if (client.is_h2()) {
          client.h2().put(client.stream(), more_than_is_taken_, true);
        } else {
          (void)client.h1().send(more_than_is_taken_);
        }
        break;
    }
  }

  // What kernels hold between a client and a server is less.
  const std::string more_than_is_taken_ = std::string(24 << 20, 'x');

  void expect_answer(AnyClient& client, const Response& response, int status,
                     bool request_is_whole) {
    EXPECT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(response.status, status) << response.summary();
    EXPECT_THAT(response.field("Proxy-Status"), HasSubstr("sluice; error="));
    if (!client.is_h2()) {
      // What comes behind a request that nobody reads to its end can't be told from it.
      EXPECT_EQ(response.fields.lists("Connection", "close"), !request_is_whole);
    }
  }

  // Its head is out: what follows is visibly no end.
  void expect_cut(AnyClient& client, const Response& response, std::uint32_t code) {
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_FALSE(response.complete()) << response.summary();
    EXPECT_NE(response.outcome, Outcome::timed_out) << response.summary();
    if (client.is_h2()) {
      EXPECT_EQ(code, +h2::kInternalError) << h2::code_name(code);
    }
  }
};

TEST_P(ExchangeTimesTest, EachEndsAsItIsDueAndTheServerSeesIt) {
  start_routes();
  ASSERT_EQ(client().get("/").status, 200) << "there is a connection to the server";
  // Meanwhile nobody on another route is hurried, however long that takes.
  AnyClient patient = client();
  ASSERT_EQ(patient.get("/").status, 200);
  patient.begin("GET", "/", 0, behaving("/slow?ms=" + std::to_string((kLonger + kShort).count())));
  ASSERT_TRUE(patient.end());
  std::map<std::string, int> due;
  for (const Wait& wait : kWaits) {
    SCOPED_TRACE(wait.name);
    const std::uint64_t incomplete = origin_.incomplete_count();
    AnyClient client = this->client();
    const Stopwatch watch;
    begin(client, wait);
    Response response;
    std::uint32_t code = 0;
    if (client.is_h2()) {
      harness::H2Response whole = client.h2().finish(client.stream());
      code = whole.reset_code.value_or(0);
      response = whole;
    } else {
      response = client.finish();
    }
    const bool whole = wait.request == Request::whole;
    EXPECT_GE(watch.elapsed(), wait.at_least);
    if (wait.status == 0) {
      expect_cut(client, response, code);
    } else {
      expect_answer(client, response, wait.status, whole);
    }
    EXPECT_EQ(timeout_hits(wait.timeout), ++due[wait.timeout]);
    // The server is told by a cut, too: it answers nobody any more.
    EXPECT_TRUE(wait_until([&] { return origin_.held_count() == 0; }));
    // An HTTP/1 server that reads nothing sees no end, either.
    const bool stalls = wait.request == Request::more_than_is_taken;
    if (stalls && !pair_.h2_server) origin_.release();
    if (!whole) {
      EXPECT_TRUE(wait_until([&] { return origin_.incomplete_count() > incomplete; }));
    }
    if (client.is_h2() || (whole && wait.status != 0)) {
      EXPECT_EQ(client.get("/").status, 200) << "the connection goes on";
    } else {
      EXPECT_NE(end_of(client), Ending::open);
    }
  }
  EXPECT_EQ(patient.finish().status, 200);
}

TEST_P(ExchangeTimesTest, AClientThatTakesNothingOfItsResponseIsCut) {
  start_routes();
  AnyClient client = this->client();
  client.begin("GET", "/stream", 0, behaving("/bytes/50000000"));
  if (client.is_h2()) client.h2().hold_window(client.stream());
  client.end();
  if (client.is_h2()) {
    const harness::H2Response response = client.h2().finish(client.stream());
    expect_cut(client, response, response.reset_code.value_or(0));
    EXPECT_EQ(client.get("/").status, 200) << "the others' connection stays";
  } else {
    ASSERT_TRUE(wait_until([&] { return timeout_hits("stream") == 1; }));
    expect_cut(client, client.finish(), 0);
  }
  EXPECT_EQ(timeout_hits("stream"), 1);
  EXPECT_EQ(limit_hits("response_rate_min"), 0);
}

// A call is told in its own words (504 and 408 are statuses of HTTP).
class CallTimesTest : public ExchangeTimesTest {};

TEST_P(CallTimesTest, GrpcCallsGetAStatus) {
  start_routes();
  struct {
    const char* route;
    const char* behaviour;
    bool whole;
    const char* status;
  } cases[] = {{"/head", "/hold", true, "14"}, {"/stream", "/echo", false, "4"}};
  for (const auto& test : cases) {
    Fields fields = behaving(test.behaviour);
    fields.add("content-type", "application/grpc");
    fields.add("te", "trailers");
    AnyClient client = this->client();
    client.begin("POST", test.route, std::nullopt, fields);
    if (test.whole) client.end();
    const Response response = client.finish();
    EXPECT_TRUE(response.complete()) << response.summary();
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_EQ(response.field("grpc-status"), test.status) << response.summary();
  }
}

INSTANTIATE_TEST_SUITE_P(Each, ExchangeTimesTest, testing::ValuesIn(plain_pairs()), pair_name);
INSTANTIATE_TEST_SUITE_P(Each, CallTimesTest,
                         testing::Values(Pair{.h2_client = true, .h2_server = true, .tls = false}),
                         pair_name);

// --- Before and between requests: per listener, each version ------------------------------------

class ClientTimesTest : public EachVersion {};

TEST_P(ClientTimesTest, AHeadThatDoesNotComeIsGivenUpWhereItsListenerSaysSo) {
  start_narrow({}, "timeouts = { request_head = " + ms(kShort) + " }");
  AnyClient patient = connect_to("http", h2());
  AnyClient hurried = connect_to("narrow", h2());
  const Stopwatch watch;
  const std::string section = h2::section(harness::H2Client::request_fields({}));
  std::uint32_t stream = 0;
  for (AnyClient* client : {&patient, &hurried}) {
    // The client's acknowledgement of SETTINGS is out: in a head it would be an error.
    ASSERT_EQ(client->get("/").status, 200);
    if (h2()) {
      stream = client->h2().take_stream();
      ASSERT_TRUE(client->h2().send(h2::frame(h2::kHeaders, h2::kEndStream, stream, section)));
    } else {
      ASSERT_TRUE(client->h1().send("GET / HTTP/1.1\r\nHost: a\r\n"));
    }
  }
  if (!h2()) {
    const Response response = hurried.finish();
    EXPECT_EQ(response.status, 408) << response.summary();
    EXPECT_TRUE(response.fields.lists("Connection", "close"));
  }
  EXPECT_NE(end_of(hurried), Ending::open);
  EXPECT_GE(watch.elapsed(), kShort);
  if (h2()) {
    ASSERT_TRUE(hurried.h2().go_away());
    EXPECT_EQ(hurried.h2().go_away()->code, +h2::kEnhanceYourCalm);
    EXPECT_EQ(metric("sluice_h2_goaways_total{reason=\"slow_head\"}"), 1);
  }
  EXPECT_EQ(timeout_hits("request_head"), 1);
  EXPECT_EQ(blue_.counts().requests, 2u);
  // The other's time is the file's.
  if (h2()) {
    ASSERT_TRUE(patient.h2().send(h2::frame(h2::kContinuation, h2::kEndHeaders, stream, "")));
    EXPECT_EQ(patient.h2().finish(stream).status, 200);
  } else {
    ASSERT_TRUE(patient.h1().send("\r\n"));
    EXPECT_EQ(patient.finish().status, 200);
  }
}

TEST_P(ClientTimesTest, AnIdleConnectionEndsInOrderWhereItsListenerSaysSo) {
  start_narrow({}, "timeouts = { idle = " + ms(kShort) + " }");
  AnyClient patient = connect_to("http", h2());
  ASSERT_EQ(patient.get("/").status, 200);
  const Stopwatch watch;
  AnyClient silent = connect_to("narrow", h2());
  AnyClient used = connect_to("narrow", h2());
  ASSERT_EQ(used.get("/").status, 200);
  for (AnyClient* client : {&silent, &used}) {
    EXPECT_EQ(end_of(*client), Ending::closed);
    EXPECT_GE(watch.elapsed(), kShort);
    if (h2()) {
      ASSERT_TRUE(client->h2().go_away());
      EXPECT_EQ(client->h2().go_away()->code, +h2::kNoError);
    }
  }
  EXPECT_EQ(metric("sluice_h2_goaways_total{reason=\"idle\"}"), h2() ? 2 : 0);
  EXPECT_EQ(patient.get("/").status, 200);
}

// The exchange is over, and all of its response is Sluice's to deliver.
TEST_P(ClientTimesTest, AClientThatLeavesItsLastResponseLyingIsReset) {
  start_narrow({}, "timeouts = { stream = " + ms(kShort) +
                       " }\nlimits = { stream_buffer_bytes = \"32MiB\" }");
  const Stopwatch watch;
  AnyClient client = connect_to("narrow", h2(), {.settings = {{h2::kInitialWindowSize, 0}}});
  Fields last;
  if (!h2()) last.add("Connection", "close");
  client.begin("GET", "/bytes/24000000", 0, last);
  client.end();
  if (h2()) {
    const harness::H2Response response = client.h2().finish(client.stream());
    EXPECT_EQ(response.reset_code, h2::kCancel) << response.summary();
    EXPECT_EQ(client.h2().ending(), Ending::open);
  } else {
    ASSERT_TRUE(wait_until([&] { return timeout_hits("stream") == 1; }));
    const Response response = client.finish();
    EXPECT_EQ(response.outcome, Outcome::reset) << response.summary();
  }
  EXPECT_GE(watch.elapsed(), kShort);
  EXPECT_EQ(timeout_hits("stream"), 1);
  EXPECT_EQ(metric("sluice_requests_total{status=\"2xx\"}"), 1) << "the exchange is over";
  EXPECT_EQ(blue_.counts().requests, 1u);
}

TEST_P(ClientTimesTest, ATunnelInWhichNothingMovesIsCut) {
  std::atomic<bool> reset = false;
  harness::RawOrigin origin([&](harness::RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\n\r\n");
    pollfd coming{.fd = connection.fd(), .events = POLLIN, .revents = 0};
    poll(&coming, 1, Deadline{}.remaining_ms());
    char byte;
    reset = recv(connection.fd(), &byte, 1, 0) < 0 && errno == ECONNRESET;
  });
  start_narrow({.backends = {{"blue", {{"one", origin.address()}}}},
                .routes = "[routes.app]\nsplit = { blue = 1 }\nconnect = true\n"
                          "timeouts = { stream = " +
                          ms(kShort) + " }\n"},
               "");
  const Stopwatch watch;
  AnyClient client = connect_to("http", h2());
  if (h2()) {
    harness::H2Client::Ask ask{.method = "CONNECT", .target = "", .fields = {}, .end = false};
    ask.fields.add("Host", "db.internal:5432");
    const harness::H2Response response = client.h2().finish(client.h2().begin(ask));
    EXPECT_EQ(response.status, 200) << response.summary();
    EXPECT_EQ(response.reset_code, h2::kConnectError) << response.summary();
  } else {
    ASSERT_TRUE(
        client.h1().send("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n"));
    EXPECT_EQ(end_of(client), Ending::reset);
  }
  EXPECT_GE(watch.elapsed(), kShort);
  EXPECT_EQ(timeout_hits("stream"), 1);
  EXPECT_TRUE(wait_until([&] { return reset.load(); }));
}

INSTANTIATE_TEST_SUITE_P(Each, ClientTimesTest, testing::Bool(), version_name);

class HandshakeTimesTest : public LimitsTest {
 protected:
  // Of a connection to `narrow` that sends this much, and no more.
  void expect_given_up(const std::string& bytes) {
    const Stopwatch watch;
    AnyClient client = connect_to("narrow", false);
    ASSERT_TRUE(client.h1().send(bytes));
    EXPECT_NE(end_of(client), Ending::open);
    EXPECT_GE(watch.elapsed(), kShort);
  }
};

TEST_F(HandshakeTimesTest, AHandshakeThatStallsIsGivenUpWhereItsListenerSaysSo) {
  start_narrow({}, "timeouts = { tls_handshake = " + ms(kShort) +
                       " }\ntls = { certificate_file = \"@DIR@/server.pem\", key_file = "
                       "\"@DIR@/server.key\" }");
  const std::string begun("\x16\x03\x01\x02\x00\x01", 6);
  AnyClient patient = connect_to("https", false);
  ASSERT_TRUE(patient.h1().send(begun));
  expect_given_up("");
  expect_given_up(begun);
  EXPECT_EQ(timeout_hits("tls_handshake"), 2);
  EXPECT_EQ(metric("sluice_tls_handshakes_total{listener=\"narrow\",result=\"failed\"}"), 2);
  EXPECT_TRUE(patient.h1().stays_quiet(milliseconds(0)));
  EXPECT_EQ(connect_tls()->get("/").status, 200);
}

TEST_F(HandshakeTimesTest, AProxyHeaderHasTheTimeOfAHead) {
  start_narrow({}, "timeouts = { request_head = " + ms(kShort) +
                       " }\nproxy_protocol_from = [\"127.0.0.0/8\"]");
  expect_given_up("");
  expect_given_up("PROXY TCP4 192.0.2.1");
  EXPECT_EQ(timeout_hits("request_head"), 2);
  EXPECT_EQ(metric("sluice_proxy_headers_refused_total"), 2);
}

// --- To servers ---------------------------------------------------------------------------------

// A server whose kernel takes no further connection once it is full.
class FullServer {
 public:
  FullServer() { EXPECT_EQ(listen(listener_.get(), 0), 0); }
  std::string address() const { return harness::Endpoint::tcp(port_).text(); }
  // Blocks until a probe has come.
  void answer_probe() {
    pollfd coming{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    poll(&coming, 1, Deadline{}.remaining_ms());
    harness::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    harness::RawConnection probe(std::move(fd), -1);
    probe.read_until("\r\n\r\n");
    probe.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  }
  // One waits to be accepted: for a second there is no room.
  void fill() {
    auto waiting = harness::connect_to(harness::Endpoint::tcp(port_));
    ASSERT_TRUE(waiting) << waiting.error();
    waiting_ = std::move(*waiting);
  }

 private:
  harness::Fd listener_ = harness::bind_loopback(0);
  std::uint16_t port_ = harness::local_port(listener_.get());
  harness::Fd waiting_;
};

class ConnectTimesTest : public EachVersion {
 protected:
  FullServer full_;
  harness::RawOrigin silent_{[](harness::RawConnection& connection) { connection.read_to_end(); }};
};

// Each as far as it can get before nothing more happens: no connection, no handshake, no SETTINGS.
TEST_P(ConnectTimesTest, AServerThatCannotBeReachedInTimeIsA504) {
  const std::string unprobed = "health = { enabled = false }\n";
  std::string routes = "[routes.all]\nsplit = { blue = 1 }\n";
  for (const char* name : {"full", "tls", "settings", "mixed"}) {
    routes += std::string("[routes.") + name + "]\npath = \"/" + name + "\"\nsplit = { " + name +
              " = 1 }\ntimeouts = { connect = " + ms(kShort) + " }\n";
  }
  start_narrow({.workers = 1,
                .backends = {{"blue", {{"one", blue_.address()}}},
                             {"full", {{"one", full_.address()}}},
                             {"tls", {{"one", silent_.address()}}},
                             {"settings", {{"one", silent_.address()}}},
                             {"mixed", {{"one", full_.address()}, {"two", blue_.address()}}}},
                .backend_lines = {{"full", unprobed},
                                  {"tls", unprobed + "tls = { verify = false }\n"},
                                  {"settings", unprobed + "protocol = \"h2\"\n"},
                                  {"mixed", unprobed}},
                .routes = routes},
               "");
  full_.fill();
  AnyClient client = connect_to("http", h2());
  int hits = 0;
  for (const char* path : {"/full", "/tls", "/settings"}) {
    SCOPED_TRACE(path);
    const Stopwatch watch;
    const Response response = client.request("POST", path, "x");
    EXPECT_EQ(response.status, 504) << response.summary();
    EXPECT_THAT(response.field("Proxy-Status"), HasSubstr("connection_timeout"));
    EXPECT_GE(watch.elapsed(), kShort);
    EXPECT_EQ(timeout_hits("connect"), ++hits);
    EXPECT_EQ(metric("sluice_backend_connect_failures_total"), hits);
  }
  // Another server is tried, whatever the method: nothing has been sent.
  for (int i = 0; i < 4; ++i) {
    const Response response = client.request("POST", "/mixed", "x");
    EXPECT_EQ(response.status, 200) << response.summary();
  }
  EXPECT_GE(metric("sluice_retries_total"), 1);
  EXPECT_EQ(timeout_hits("connect"), hits + metric("sluice_retries_total"));
  EXPECT_EQ(blue_.counts().requests, 4u);
}

TEST_F(LimitsTest, AServerThatWasNotReachedInTimeIsDownUntilAProbePasses) {
  FullServer full;
  std::thread prober([&] { full.answer_probe(); });
  start_narrow({.workers = 1,
                .timeouts = "connect = " + ms(kShort),
                .health = "settle_interval = \"1h\"\ninterval = \"1h\"",
                .backends = {{"blue", {{"one", full.address()}}}},
                .split = "{ blue = 1 }"},
               "");
  prober.join();
  EXPECT_EQ(metric("sluice_server_up{backend=\"blue\",server=\"one\"}"), 1);
  full.fill();
  AnyClient client = connect_to("http", false);
  EXPECT_EQ(client.get("/").status, 504);
  EXPECT_EQ(client.get("/").status, 503);
  EXPECT_EQ(timeout_hits("connect"), 1) << "it isn't asked again";
  EXPECT_EQ(metric("sluice_server_up{backend=\"blue\",server=\"one\"}"), 0);
}

INSTANTIATE_TEST_SUITE_P(Each, ConnectTimesTest, testing::Bool(), version_name);

}  // namespace
}  // namespace sluice::integration
