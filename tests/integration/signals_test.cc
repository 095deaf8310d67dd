// How it stops.
#include <signal.h>
#include <sys/socket.h>

#include "tests/harness/h2_client.h"
#include "tests/harness/pattern.h"
#include "tests/integration/sluice_test.h"
#include "tests/integration/stopped_thread.h"

namespace sluice::integration {
namespace {

using harness::ExitStatus;

class SignalsTest : public SluiceTest {};

TEST_F(SignalsTest, IdleItStopsAtOnceAndSaysSo) {
  start();
  auto idle = connect();
  auto idle_tls = connect_tls();
  EXPECT_EQ(idle->get("/").status, 200);
  EXPECT_EQ(idle_tls->get("/").status, 200);
  stop();
  EXPECT_THAT(sluice_->notifications(), testing::Contains("STOPPING=1"));
  EXPECT_EQ(idle->wait_for_end(), Ending::closed);
  EXPECT_EQ(idle_tls->wait_for_end(), Ending::closed);
}

TEST_F(SignalsTest, G3ADrainLetsRunningExchangesFinish) {
  start();
  auto held = connect();
  auto half = connect_tls();
  ASSERT_TRUE(held->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(half->send("GET /hold-body/200000 HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(2));
  sluice_->signal(SIGTERM);
  ASSERT_TRUE(sluice_->wait_for_notification("STOPPING=1"));
  EXPECT_TRUE(wait_until([&] { return !HttpClient::connect(sluice_->endpoint("http")); }))
      << "nothing new is accepted";
  EXPECT_TRUE(sluice_->running());
  blue_.release();
  Response response = held->read_response();
  EXPECT_EQ(response.status, 200) << response.summary();
  EXPECT_TRUE(response.fields.lists("Connection", "close"));
  response = half->read_response();
  EXPECT_EQ(response.body_size, 200'000u) << to_text(response.outcome);
  EXPECT_TRUE(response.body_is_pattern);
  EXPECT_EQ(half->wait_for_end(), Ending::closed);
  EXPECT_EQ(sluice_->wait_exit(), (ExitStatus{.code = 0, .signal = 0}));
}

// RFC 9113 §6.8: first a word of warning, then the last stream that is served.
TEST_F(SignalsTest, G3AnHttp2ClientIsToldTwiceAndLosesNothing) {
  constexpr std::uint32_t kNoLastYet = 0x7fff'ffff;
  start({.listener = "protocols = [\"http/1.1\", \"h2\"]"});
  auto connected = harness::H2Client::connect(sluice_->endpoint("http"));
  ASSERT_TRUE(connected) << connected.error();
  harness::H2Client& client = **connected;
  const std::uint32_t held = client.begin({.target = "/hold"});
  client.send("");
  ASSERT_TRUE(blue_.wait_for_held(1));
  sluice_->signal(SIGTERM);
  ASSERT_TRUE(client.wait_until([&] { return client.go_away().has_value(); }));
  EXPECT_EQ(client.go_away()->last_stream, kNoLastYet);
  EXPECT_EQ(client.get("/late").status, 200) << "on its way before the client had heard";
  ASSERT_TRUE(client.wait_until([&] { return client.go_away()->last_stream != kNoLastYet; }));
  EXPECT_EQ(client.go_away()->code, 0u);
  EXPECT_EQ(client.go_away()->last_stream, held + 2);
  blue_.release();
  EXPECT_EQ(client.finish(held).status, 200);
  EXPECT_TRUE(client.wait_until([&] { return client.ending() != Ending::open; }));
  EXPECT_EQ(sluice_->wait_exit(), (ExitStatus{.code = 0, .signal = 0}));
}

TEST_F(SignalsTest, TheDrainHasADeadline) {
  start({.runtime = "drain_timeout = \"200ms\""});
  auto held = connect();
  ASSERT_TRUE(held->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(1));
  sluice_->signal(SIGTERM);
  EXPECT_EQ(sluice_->wait_exit(), (ExitStatus{.code = 0, .signal = 0}));
  EXPECT_NE(sluice_->standard_error().find("drain_deadline"), std::string::npos);
  EXPECT_EQ(held->read_response().complete(), false);
  EXPECT_EQ(sluice_->sanitizer_report(), "");
}

TEST_F(SignalsTest, ASecondTermStopsAtOnce) {
  start({.runtime = "drain_timeout = \"60s\""});
  auto held = connect();
  ASSERT_TRUE(held->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(1));
  sluice_->signal(SIGTERM);
  ASSERT_TRUE(sluice_->wait_for_notification("STOPPING=1"));
  sluice_->signal(SIGTERM);
  auto status = sluice_->wait_exit(Deadline(seconds(10)));
  ASSERT_TRUE(status);
  EXPECT_NE(status->code, 0);
  EXPECT_EQ(sluice_->sanitizer_report(), "");
}

TEST_F(SignalsTest, ReadinessIsWithdrawnWhileItDrains) {
  start();
  auto held = connect();
  ASSERT_TRUE(held->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(1));
  sluice_->signal(SIGTERM);
  EXPECT_TRUE(wait_until(
      [&] { return harness::fetch(sluice_->metrics(), "GET", "/readyz").status == 503; }));
  EXPECT_EQ(harness::fetch(sluice_->metrics(), "GET", "/livez").status, 200);
  blue_.release();
  EXPECT_EQ(sluice_->wait_exit(), (ExitStatus{.code = 0, .signal = 0}));
}

// What is told to systemd and in the log is so on the data port already, however late a worker is.
TEST_F(SignalsTest, NoHealthPathSaysReadyOnceTheDrainIsTold) {
  start({.workers = 1, .listener = "health_path = \"/up\""});
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(connect());
    ASSERT_EQ(clients.back()->get("/up").status, 200);
  }
  StoppedThread late(sluice_->pid(), "worker-0");
  if (!late.stopped()) GTEST_SKIP() << "a thread can't be stopped here";
  for (auto& client : clients) ASSERT_TRUE(client->send("GET /up HTTP/1.1\r\nHost: a\r\n\r\n"));
  sluice_->signal(SIGTERM);
  ASSERT_TRUE(sluice_->wait_for_notification("STOPPING=1"));
  ASSERT_NE(sluice_->wait_for_error_text("\"draining\""), std::string::npos);
  late.go_on();
  // The worker sees requests and the drain in either order. Where the drain comes first, the
  // connection was idle and is closed.
  for (auto& client : clients) {
    const Response answer = client->read_response();
    if (answer.status == 0) continue;
    EXPECT_EQ(answer.status, 503) << answer.summary();
    EXPECT_EQ(answer.body, "not ready\n");
  }
  clients.clear();
  EXPECT_EQ(sluice_->wait_exit(), (ExitStatus{.code = 0, .signal = 0}));
}

TEST_F(SignalsTest, CheckSaysWhetherAFileIsGood) {
  struct {
    std::vector<std::string> arguments;
    std::string config;
    int code;
  } cases[] = {
      {{"check", "-c"}, config_text({}), 0},
      {{"-t", "-c"}, config_text({}), 0},
      {{"check", "-c"}, config_text({.split = "{ gren = 1 }"}), 1},
      {{"check", "-c"}, "nonsense", 1},
  };
  for (auto& test : cases) {
    test.arguments.push_back(directory_->file("sluice.toml"));
    auto process = SluiceProcess::start({.config = test.config,
                                         .directory = directory_,
                                         .wait_ready = false,
                                         .arguments = test.arguments});
    ASSERT_TRUE(process) << process.error();
    EXPECT_EQ((*process)->wait_exit(), (ExitStatus{.code = test.code, .signal = 0}))
        << (*process)->standard_error();
    if (test.code != 0) {
      EXPECT_THAT((*process)->standard_error(), testing::HasSubstr("sluice.toml:"));
    }
  }
}

TEST_F(SignalsTest, ABadFileIsNoStart) {
  auto process = SluiceProcess::start(
      {.config = config_text({.split = "{ gren = 1 }"}), .directory = directory_});
  ASSERT_FALSE(process);
  EXPECT_THAT(process.error(), testing::HasSubstr("gren"));
}

TEST_F(SignalsTest, APortThatIsTakenIsNoStart) {
  harness::Fd taken = harness::bind_loopback(0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  std::string port = std::to_string(harness::local_port(taken.get()));
  Scenario scenario{.more = "[listeners.extra]\naddress = \"127.0.0.1:" + port + "\"\n"};
  auto process = SluiceProcess::start({.config = config_text(scenario), .directory = directory_});
  ASSERT_FALSE(process);
  EXPECT_THAT(process.error(), testing::HasSubstr(port));
}

}  // namespace
}  // namespace sluice::integration
