// Clients that take their time, and the ends of connections: nothing is cut that was promised, and
// nothing piles up for those who don't read.
#include <signal.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::ExitStatus;

class FlowTest : public SluiceTest {};

// A ClientHello as a client sent it.
std::string client_hello() {
  std::ifstream file(SLUICE_SOURCE_DIR "/tests/fuzz/corpus/tls/hello_tls13", std::ios::binary);
  std::ostringstream all;
  all << file.rdbuf();
  const std::string bytes = all.str();
  return bytes.substr(bytes.find('\x16'));
}

TEST_F(FlowTest, ABodyThatEndsWithTheConnectionIsWholeHoweverSlowlyItIsRead) {
  start();
  auto client = connect();
  client->set_receive_buffer(4096);
  // Its own end comes long before it has read the answer.
  ASSERT_TRUE(client->send("GET /until-close/400000 HTTP/1.0\r\nHost: a\r\n\r\n"));
  client->finish_sending();
  std::size_t pieces = 0;
  const Response response = client->read_response({.on_body = [&](std::string_view) {
    // Slower than any time that the proxy gives a client to go.
    if (++pieces % 8 == 0) std::this_thread::sleep_for(milliseconds(80));
  }});
  EXPECT_EQ(response.body_size, 400'000u) << response.summary();
  EXPECT_EQ(response.ending, Ending::closed);
}

TEST_F(FlowTest, AHalfClosedClientGetsAllItsPipelinedAnswers) {
  start();
  auto client = connect();
  ASSERT_TRUE(client->send(
      "GET /bytes/10 HTTP/1.1\r\nHost: a\r\n\r\nGET /bytes/20 HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /bytes/30 HTTP/1.1\r\nHost: a\r\n\r\n"));
  client->finish_sending();
  for (const std::uint64_t bytes : {10u, 20u, 30u}) {
    const Response response = client->read_response();
    EXPECT_EQ(response.body_size, bytes) << response.summary();
  }
  EXPECT_EQ(client->wait_for_end(), Ending::closed);
}

TEST_F(FlowTest, APipeliningClientThatNeverReadsIsHeldBack) {
  start({.workers = 1});
  ASSERT_EQ(get("/bytes/1000").status, 200);
  const std::uint64_t before = sluice_->memory().rss_kib;
  auto client = HttpClient::connect(sluice_->endpoint("http"), {.patience = seconds(1)});
  ASSERT_TRUE(client);
  (*client)->set_receive_buffer(4096);
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += "GET /bytes/1000 HTTP/1.1\r\nHost: a\r\n\r\n";
  bool taken = true;
  for (int i = 0; i < 400 && taken; ++i) taken = (*client)->send(requests);
  EXPECT_FALSE(taken) << "400,000 requests were taken from a client that reads no answer";
  EXPECT_LT(sluice_->memory().rss_kib, before + (sanitized() ? 65'536 : 8'192));
  (*client)->reset();
}

TEST_F(FlowTest, AnEarlyErrorSaysThatTheConnectionEnds) {
  start();
  auto client = connect();
  ASSERT_TRUE(client->send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx"));
  const Response response = client->read_response();
  ASSERT_GE(response.status, 200) << response.summary();
  if (response.status >= 400) {
    EXPECT_TRUE(response.fields.lists("Connection", "close"));
  }
}

TEST_F(FlowTest, G3ATermDuringATlsHandshakeEndsInOrder) {
  start({.runtime = "drain_timeout = \"2s\""});
  auto raw = HttpClient::connect(sluice_->endpoint("https"));
  ASSERT_TRUE(raw);
  ASSERT_TRUE(
      wait_until([&] { return metric("sluice_client_connections{listener=\"https\"}") == 1; }));
  sluice_->signal(SIGTERM);
  ASSERT_TRUE(sluice_->wait_for_notification("STOPPING=1"));
  (*raw)->send(client_hello());
  EXPECT_EQ(sluice_->wait_exit(), (ExitStatus{.code = 0, .signal = 0}));
  EXPECT_EQ(sluice_->sanitizer_report(), "");
}

TEST_F(FlowTest, G3AReloadAndATermAtOnceEndInOrder) {
  const Scenario scenario;
  start(scenario);
  auto held = connect();
  ASSERT_TRUE(held->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(1));
  for (int i = 0; i < 3; ++i) {
    admin("PUT", "/weights/app", i % 2 == 0 ? "blue=1&green=2" : "blue=1&green=3");
    sluice_->signal(SIGHUP);
  }
  sluice_->signal(SIGTERM);
  ASSERT_TRUE(sluice_->wait_for_notification("STOPPING=1"));
  blue_.release();
  EXPECT_EQ(held->read_response().status, 200);
  EXPECT_EQ(sluice_->wait_exit(), (ExitStatus{.code = 0, .signal = 0}));
  EXPECT_EQ(sluice_->sanitizer_report(), "");
}

TEST_F(FlowTest, G5AResumeTakesTheServerInOnlyAfterAPassedProbe) {
  start({.split = "{ blue = 1, green = 0 }"});
  ASSERT_EQ(admin("POST", "/servers/blue/one/drain?wait=5s&force=true").status, 200);
  blue_.set_health(503);  // the deploy has gone wrong
  EXPECT_EQ(admin("POST", "/servers/blue/one/resume?wait=300ms").status, 504);
  EXPECT_EQ(get("/").status, 503);
  blue_.set_health(200);
  EXPECT_EQ(admin("POST", "/servers/blue/one/resume?wait=10s").status, 200);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(FlowTest, G3ARenamedServerServesWithoutAPause) {
  Scenario scenario;
  start(scenario);
  scenario.backends = {{"blue", {{"renamed", blue_.address()}}},
                       {"green", {{"one", green_.address()}}}};
  std::atomic<bool> done = false;
  std::atomic<int> failed = 0;
  std::thread load([&] {
    auto client = connect();
    while (!done) {
      if (client->get("/").status != 200) ++failed;
    }
  });
  EXPECT_TRUE(reload(scenario));
  done = true;
  load.join();
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace sluice::integration
