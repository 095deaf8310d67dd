// Webhooks against real receivers: Python's HTTP server, Alertmanager, and some that misbehave.
#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/harness/child.h"
#include "tests/harness/raw_origin.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Child;
using harness::RawConnection;
using harness::RawOrigin;
using testing::HasSubstr;

constexpr const char* kPython = "/usr/bin/python3";

class WebhooksTest : public SluiceTest {
 protected:
  // A call as the receiver printed it.
  struct Told {
    std::string status;
    std::string authorization;
    std::string source;
    json body;
  };

  void start_receiver() {
    receiver_ = Child::start({kPython, SLUICE_SOURCE_DIR "/tests/clients/webhook_receiver.py"});
    port_ = receiver_->wait_for_line("port ");
    ASSERT_NE(port_, "");
  }
  std::string hook(const std::string& path, const std::string& lines = "",
                   const std::string& name = "hook") const {
    return hook_at("127.0.0.1:" + port_ + path, lines, name);
  }
  static std::string hook_at(const std::string& place, const std::string& lines = "",
                             const std::string& name = "hook") {
    return "[webhooks." + name + "]\nurl = \"http://" + place + "\"\nretry_max = \"1s\"\n" + lines +
           "\n";
  }
  // The n-th call that the receiver has heard, from 1 on.
  Told told(int n) {
    const std::string line = receiver_->wait_for_line(std::to_string(n) + " ");
    EXPECT_NE(line, "") << "call " << n << " never came";
    Told told;
    std::size_t at = 0;
    const auto word = [&] {
      const std::size_t end = std::min(line.find(' ', at), line.size());
      std::string text = line.substr(at, end - at);
      at = std::min(end + 1, line.size());
      return text;
    };
    told.status = word();
    told.authorization = word();
    told.source = word();
    told.body = json::parse(line.substr(at), nullptr, /*allow_exceptions=*/false);
    return told;
  }
  json state(std::size_t index = 0) { return admin_json("/webhooks")["webhooks"].at(index); }
  void shift(int times = 1) {
    for (int i = 0; i < times; ++i) {
      const char* to = shifted_++ % 2 == 0 ? "green" : "blue";
      ASSERT_EQ(admin("POST", "/switch/app", "to=" + std::string(to)).status, 200);
    }
  }
  bool wait_for_count(const char* member, std::uint64_t count) {
    return wait_until([&] { return state()[member] >= count; });
  }

  std::unique_ptr<Child> receiver_;
  std::string port_;
  int shifted_ = 0;
};

TEST_F(WebhooksTest, TellsEventsAsJsonInOrder) {
  start_receiver();
  harness::write_file(directory_->file("token"), "s3cret\n");
  start({.more = hook("/ok",
                      "events = [\"shift\"]\ntoken_file = \"@DIR@/token\"\n"
                      "headers = { X-Source = \"node-1\" }")});
  shift(20);
  std::uint64_t revision = 0;
  for (int i = 1; i <= 20; ++i) {
    const Told call = told(i);
    ASSERT_TRUE(call.body.is_object());
    EXPECT_EQ(call.body["type"], "shift");
    EXPECT_EQ(call.body["kind"], "switch");
    EXPECT_GT(call.body["revision"], revision);
    revision = call.body["revision"];
    EXPECT_EQ(call.authorization, "Bearer_s3cret");
    EXPECT_EQ(call.source, "node-1");
  }
  ASSERT_TRUE(wait_for_count("delivered", 20));
  EXPECT_EQ(state()["queue_length"], 0);
  EXPECT_EQ(metric("sluice_webhook_deliveries_total{webhook=\"hook\",result=\"delivered\"}"), 20);
  EXPECT_THAT(admin("GET", "/webhooks").body, testing::Not(HasSubstr("s3cret")));
}

TEST_F(WebhooksTest, TriesAgainWhatFailsAndNotWhatIsRefused) {
  start_receiver();
  start({.more = hook("/fail/2", "events = [\"shift\"]", "a") +
                 hook("/status/400", "events = [\"shift\"]", "b")});
  shift();
  ASSERT_TRUE(wait_until([&] { return state(0)["delivered"] == 1 && state(1)["refused"] == 1; }));
  EXPECT_EQ(state(0)["failed"], 2);
  EXPECT_THAT(state(0)["last_error"].get<std::string>(), HasSubstr("status 500: because I say so"));
  EXPECT_EQ(state(1)["failed"], 0);
  EXPECT_THAT(state(1)["last_error"].get<std::string>(), HasSubstr("status 400"));
  shift();
  ASSERT_TRUE(wait_until([&] { return state(0)["delivered"] == 2 && state(1)["refused"] == 2; }))
      << "one that was refused is not in the way of the next";
}

TEST_F(WebhooksTest, AReceiverThatIsDownHearsItAllOnceItIsUp) {
  // A port where nobody listens, until somebody does.
  start_receiver();
  const harness::Fd taken = harness::bind_loopback(0);
  const std::uint16_t port = harness::local_port(taken.get());
  start({.more = hook_at("127.0.0.1:" + std::to_string(port), "events = [\"shift\"]")});
  shift(3);
  ASSERT_TRUE(wait_for_count("failed", 2));
  EXPECT_EQ(state()["queue_length"], 3);
  EXPECT_EQ(state()["last_error"], "connection refused");
  // A reload that moves it keeps what is to be told.
  ASSERT_TRUE(reload({.more = hook("/ok", "events = [\"shift\"]")}));
  ASSERT_TRUE(wait_for_count("delivered", 3));
  EXPECT_LT(told(1).body["revision"], told(2).body["revision"]);
}

// Receivers that misbehave, each in its way: shifts are answered as ever, and the next event comes
// again.
TEST_F(WebhooksTest, G9MisbehavingReceiversDelayNoShiftAndNoOtherWebhook) {
  start_receiver();
  std::atomic<int> cuts = 0;
  RawOrigin cutting([&](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    if (++cuts <= 2) {
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      connection.reset();
    } else {
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
  });
  RawOrigin silent([](RawConnection& connection) { connection.read_to_end(); });
  RawOrigin garbage([](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("220 mail.example ESMTP\r\n");
  });
  RawOrigin slow([](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    for (int i = 0; i < 100; ++i) {
      if (!connection.write("H")) return;
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  const std::string events = "events = [\"shift\"]\ntimeout = \"2s\"\n";
  start({.more = hook_at(cutting.address(), events, "cutting") +
                 hook_at(silent.address(), events, "silent") +
                 hook_at(garbage.address(), events, "garbage") +
                 hook_at(slow.address(), events, "slow") + hook("/ok", events, "good")});
  // A shift that waited for a receiver would take two seconds longer.
  std::vector<double> took;
  for (int i = 0; i < 40; ++i) {
    const auto began = std::chrono::steady_clock::now();
    shift();
    took.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  std::ranges::sort(took);
  EXPECT_LT(took[took.size() / 2], 1.5);
  ASSERT_TRUE(wait_until([&] { return state(4)["delivered"] == 40; }))
      << "the good one hears everything";
  ASSERT_TRUE(wait_until([&] { return state(0)["delivered"] >= 1; }));
  EXPECT_GE(state(0)["failed"], 2);
  for (const std::size_t bad : {1, 2, 3}) {
    ASSERT_TRUE(wait_until([&] { return state(bad)["failed"] >= 2; })) << bad;
    EXPECT_EQ(state(bad)["queue_length"], 40) << bad;
    EXPECT_EQ(state(bad)["delivered"], 0) << bad;
  }
  EXPECT_EQ(state(1)["last_error"], "no answer in time");
  EXPECT_THAT(state(2)["last_error"].get<std::string>(), HasSubstr("malformed response"));
}

TEST_F(WebhooksTest, TheQueueIsBoundedAndTheNewestSurvive) {
  RawOrigin silent([](RawConnection& connection) { connection.read_to_end(); });
  start({.more = hook_at(silent.address(), "events = [\"shift\"]\nqueue = 5\n")});
  shift(12);
  EXPECT_EQ(state()["queue_length"], 5);
  EXPECT_EQ(state()["dropped"], 7);
  EXPECT_EQ(metric("sluice_webhook_deliveries_total{webhook=\"hook\",result=\"dropped\"}"), 7);
  EXPECT_EQ(metric("sluice_webhook_queue_length{webhook=\"hook\"}"), 5);
}

TEST_F(WebhooksTest, CallsOverTlsAndChecksWhoIsThere) {
  StrictOrigin receiver({.name = "receiver",
                         .tls = harness::CertificateFiles{directory_->file("server.pem"),
                                                          directory_->file("server.key")}});
  const auto hook_to = [&](const std::string& server_name) {
    return "[webhooks.hook]\nurl = \"https://" + receiver.address() +
           "/hook\"\nevents = [\"shift\"]\nretry_max = \"1s\"\nca_file = \"@DIR@/server.pem\"\n" +
           "server_name = \"" + server_name + "\"\n";
  };
  start({.more = hook_to("other.test")});
  shift();
  ASSERT_TRUE(wait_for_count("failed", 1));
  EXPECT_THAT(state()["last_error"].get<std::string>(), HasSubstr("certificate refused"));
  ASSERT_TRUE(reload({.more = hook_to("localhost")}));
  ASSERT_TRUE(wait_for_count("delivered", 1));
  ASSERT_EQ(receiver.requests().size(), 1u);
  EXPECT_EQ(receiver.requests()[0].method, "POST");
  EXPECT_EQ(json::parse(receiver.requests()[0].body)["type"], "shift");
  EXPECT_THAT(receiver.violations(), testing::IsEmpty());
}

TEST_F(WebhooksTest, FilesThatCanNotBeReadAreErrorsOfTheFile) {
  start_receiver();
  start({.more = hook("/ok")});
  const std::size_t from = sluice_->standard_error().size();
  EXPECT_FALSE(reload({.more = hook("/ok", "token_file = \"@DIR@/no-such-token\"")}));
  EXPECT_NE(sluice_->wait_for_error_text("no-such-token", from), std::string::npos);
  const harness::Ran checked =
      harness::run({SluiceProcess::binary(), "check", "-c", sluice_->config_file()});
  EXPECT_EQ(checked.code, 1);
  EXPECT_THAT(checked.output, HasSubstr("webhook hook: token_file"));
}

// --- Alertmanager -------------------------------------------------------------------------------

class AlertmanagerTest : public WebhooksTest {
 protected:
  void SetUp() override {
    if (!harness::is_installed("prometheus-alertmanager")) GTEST_SKIP() << "no Alertmanager here";
    harness::write_file(directory_->file("alertmanager.yml"),
                        "route: { receiver: none }\nreceivers: [ { name: none } ]\n");
    // Its log says where it listens, behind a time.
    alertmanager_ = Child::start(
        {"sh", "-c",
         "prometheus-alertmanager --config.file=" + directory_->file("alertmanager.yml") +
             " --storage.path=" + directory_->file("alertmanager") +
             " --web.listen-address=127.0.0.1:0 --cluster.listen-address= 2>&1 |"
             " sed -u -n 's/.*msg=.Listening on. address=127.0.0.1:/port /p'"});
    const std::string port = alertmanager_->wait_for_line("port ");
    ASSERT_NE(port, "");
    place_ = "127.0.0.1:" + port;
    endpoint_ = harness::Endpoint::tcp(static_cast<std::uint16_t>(std::stoi(port)));
  }
  // What Alertmanager says fires now, by name.
  std::vector<json> alerts(const std::string& name) {
    const Response response =
        harness::fetch(endpoint_, "GET", "/api/v2/alerts?filter=alertname%3D" + name);
    EXPECT_EQ(response.status, 200) << response.summary();
    std::vector<json> all;
    for (const json& alert : parse_json(response)) all.push_back(alert);
    return all;
  }

  std::unique_ptr<Child> alertmanager_;
  std::string place_;
  harness::Endpoint endpoint_;
};

TEST_F(AlertmanagerTest, AServerThatIsDownFiresUntilItIsUp) {
  start({.health = "interval = \"100ms\"\nsettle_interval = \"50ms\"",
         .more = hook_at(place_ + "/api/v2/alerts", "format = \"alertmanager\"")});
  blue_.set_health(500);
  ASSERT_TRUE(wait_until([&] { return alerts("SluiceServerDown").size() == 1; }));
  const json alert = alerts("SluiceServerDown")[0];
  EXPECT_EQ(alert["status"]["state"], "active");
  EXPECT_EQ(alert["labels"]["backend"], "blue");
  EXPECT_EQ(alert["labels"]["server"], "one");
  EXPECT_EQ(alert["labels"]["severity"], "critical");
  EXPECT_THAT(alert["annotations"]["summary"].get<std::string>(), HasSubstr("blue/one"));
  EXPECT_EQ(state()["firing"], 1);
  blue_.set_health(200);
  ASSERT_TRUE(wait_until([&] { return alerts("SluiceServerDown").empty(); }));
  EXPECT_EQ(state()["firing"], 0);
  EXPECT_EQ(state()["refused"], 0);
}

TEST_F(AlertmanagerTest, TakesEveryKindOfEvent) {
  const std::string more = hook_at(place_ + "/api/v2/alerts", "format = \"alertmanager\"");
  start({.more = more});
  EXPECT_FALSE(reload({.limits = "nonsense = 1", .more = more}));
  ASSERT_TRUE(wait_until([&] { return alerts("SluiceReloadRefused").size() == 1; }));
  ASSERT_TRUE(reload({.split = "{ blue = 2, green = 1 }", .more = more}));
  ASSERT_TRUE(wait_until([&] { return alerts("SluiceReloadRefused").empty(); }));
  ASSERT_EQ(admin("POST", "/servers/blue/one/drain?wait=10s&force=true").status, 200);
  ASSERT_TRUE(wait_until([&] { return alerts("SluiceDrain").size() == 2; }));
  ASSERT_EQ(admin("PUT", "/weights/app?ttl=1s&force=true", "blue=0&green=1").status, 200);
  ASSERT_TRUE(wait_until([&] { return alerts("SluiceLease").size() == 1; }));
  EXPECT_GE(alerts("SluiceShift").size(), 2u);
  EXPECT_EQ(state()["refused"], 0) << state().dump();
  EXPECT_EQ(state()["queue_length"], 0);
}

}  // namespace
}  // namespace sluice::integration
