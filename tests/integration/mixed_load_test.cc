// Everything at once: all four pairs of HTTP versions, plain and over TLS, bodies of every size,
// pauses, and aborts from both sides. Each completed body is whole, nobody's abort is felt by
// another, and afterwards nothing is left. 100,000 requests; a million with SLUICE_SOAK=1;
// SLUICE_MIXED_REQUESTS says another number, SLUICE_MIXED_SEED another order.
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <random>
#include <thread>

#include "tests/harness/certificate.h"
#include "tests/harness/h2_client.h"
#include "tests/harness/pattern.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/load_parts.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Digest;
using harness::H2Client;
using harness::pattern;

struct Plan {
  enum class Kind { get, echo, slow, server_abort, no_answer, client_abort };
  Kind kind = Kind::get;
  std::string method = "GET";
  std::string target;
  std::uint64_t size = 0;
  milliseconds pause{0};  // before the rest is read or sent
  bool h2_server = false;
};

class Planner {
 public:
  Planner(std::uint64_t seed, bool h2_server) : random_(seed), h2_server_(h2_server) {}

  Plan next() {
    Plan plan{.h2_server = h2_server_};
    plan.size = size();
    const std::string number = std::to_string(plan.size);
    const std::uint64_t dice = random_() % 100;
    if (dice < 60) {
      plan.target = (dice < 48 ? "/bytes/" : "/chunked/") + number;
    } else if (dice < 90) {
      plan.kind = Plan::Kind::echo;
      plan.method = "POST";
      plan.target = "/echo";
    } else if (dice < 92) {
      plan.kind = Plan::Kind::slow;
      plan.target = "/slow?ms=" + std::to_string(random_() % 20);
    } else if (dice < 95) {
      plan.kind = Plan::Kind::server_abort;
      plan.size += 2;
      plan.target = (dice < 94 ? "/truncate/" : "/truncate-chunked/") + std::to_string(plan.size);
    } else if (dice < 97) {
      // Of a POST: what may not be tried again.
      plan.kind = Plan::Kind::no_answer;
      plan.method = "POST";
      plan.target = h2_server_ ? "/reset" : "/drop";
      plan.size = 1;
    } else {
      plan.kind = Plan::Kind::client_abort;
      plan.method = dice == 97 ? "GET" : "POST";
      plan.target = dice == 97 ? "/bytes/" + number : "/echo";
    }
    if (random_() % 100 == 0) plan.pause = milliseconds(random_() % 10);
    return plan;
  }

 private:
  // Log-uniform to 10 MiB would have a mean of 650 KiB; so 24 of 25 stay below 4 KiB.
  std::uint64_t size() {
    const double top = random_() % 25 == 0 ? std::log(10.0 * 1024 * 1024) : std::log(4096.0);
    return static_cast<std::uint64_t>(
        std::exp(std::uniform_real_distribution<double>(0, top)(random_)));
  }

  std::mt19937_64 random_;
  bool h2_server_;
};

struct Tally {
  std::mutex mutex;
  std::uint64_t completed = 0;
  std::uint64_t aborted = 0;  // by a server, as planned, and seen
  std::uint64_t left = 0;     // by us
  std::uint64_t bad_gateways = 0;
  std::uint64_t body_bytes = 0;
  // Of these, by the version that the server speaks: what got its end, and what was left.
  struct Server {
    std::uint64_t ended = 0;
    std::uint64_t left = 0;
  };
  std::array<Server, 2> servers;
  std::vector<std::string> failures;

  void judge(const Plan& plan, const Response& response) {
    std::string wrong;
    const bool has_body = plan.kind == Plan::Kind::get || plan.kind == Plan::Kind::echo;
    if (plan.kind == Plan::Kind::server_abort) {
      if (response.complete() && response.status != 502) wrong = "a cut response looks whole";
    } else if (plan.kind == Plan::Kind::no_answer) {
      if (!response.complete() || response.status != 502) wrong = "502 was due";
    } else if (!response.complete() || response.status != 200) {
      wrong = "a whole 200 was due";
    } else if (has_body && response.body_size != plan.size) {
      wrong = std::to_string(plan.size) + " bytes were due";
    } else if (has_body && plan.size > 0 &&
               (!response.body_is_pattern || response.body_sha256 != digest(plan.size))) {
      wrong = "another body was due";
    }
    std::lock_guard lock(mutex);
    if (!wrong.empty() && failures.size() < 20) {
      failures.push_back(plan.method + " " + plan.target + ": " + wrong + ": " +
                         response.summary());
    }
    ++(plan.kind == Plan::Kind::server_abort ? aborted : completed);
    ++servers[plan.h2_server].ended;
    bad_gateways += response.status == 502;
    body_bytes += response.body_size;
  }
  void leave(const Plan& plan) {
    std::lock_guard lock(mutex);
    ++left;
    ++servers[plan.h2_server].left;
  }
  void fail(const std::string& why) {
    std::lock_guard lock(mutex);
    failures.push_back(why);
  }
  bool hopeless() {
    std::lock_guard lock(mutex);
    return failures.size() >= 20;
  }
  static std::string digest(std::uint64_t size) {
    Digest digest;
    for (std::uint64_t at = 0; at < size;) {
      const std::string_view piece = harness::pattern_view(at, size - at);
      digest.add(piece);
      at += piece.size();
    }
    return digest.hex();
  }
};

class MixedLoadTest : public SluiceTest {
 protected:
  static constexpr std::size_t kStreams = 16;

  void TearDown() override {
    SluiceTest::TearDown();
    EXPECT_THAT(h2_.violations(), testing::IsEmpty());
  }

  static std::string host(bool h2_server) { return h2_server ? "h2.test" : "h1.test"; }

  void h1_worker(Planner planner, bool h2_server, bool tls, std::uint64_t requests, Tally& tally);
  void h2_worker(Planner planner, bool h2_server, bool tls, std::uint64_t requests, Tally& tally);

  void load(std::uint64_t requests, std::uint64_t seed, Tally& tally) {
    // Per pair of versions: four clients of HTTP/1, or two with many streams; half over TLS.
    std::vector<std::thread> threads;
    const std::uint64_t pair = requests / 4;
    for (const bool h2_server : {false, true}) {
      for (unsigned i = 0; i < 4; ++i) {
        threads.emplace_back([=, this, &tally] {
          h1_worker(Planner(seed + i, h2_server), h2_server, i % 2 == 1, pair / 4, tally);
        });
      }
      for (const bool tls : {false, true}) {
        threads.emplace_back([=, this, &tally] {
          h2_worker(Planner(seed + 50 + tls, h2_server), h2_server, tls, pair / 2, tally);
        });
      }
      seed += 100;
    }
    for (std::thread& thread : threads) thread.join();
  }
  // What Sluice has counted is what clients and origins have seen; only of what a client left may
  // nobody know how far it got.
  void compare_books(const Tally& tally) {
    EXPECT_EQ(metric("sluice_requests_total{status=\"5xx\"}"), tally.bad_gateways);
    EXPECT_EQ(metric("sluice_requests_total{status=\"4xx\"}"), 0);
    EXPECT_LE(metric("sluice_requests_total{status=\"none\"}"), tally.left);
    const auto blue = blue_.counts();
    const auto h2 = h2_.counts();
    const std::array<std::uint64_t, 2> seen{blue.requests + blue.incomplete_requests,
                                            h2.requests + h2.incomplete_requests};
    double in_all = 0;
    for (const bool h2_server : {false, true}) {
      const char* const backend = h2_server ? "h2" : "blue";
      const Tally::Server& server = tally.servers[h2_server];
      SCOPED_TRACE(backend);
      const double given = metric("sluice_server_requests_total{backend=\"" + std::string(backend) +
                                  "\",server=\"one\"}");
      in_all += given;
      EXPECT_GE(given, server.ended);
      EXPECT_LE(given, server.ended + server.left);
      EXPECT_LE(seen[h2_server], given) << "the server saw a request twice";
      EXPECT_GE(seen[h2_server], server.ended);
    }
    double answered = 0;
    for (const char* const status : {"2xx", "5xx", "none"}) {
      answered += metric("sluice_requests_total{status=\"" + std::string(status) + "\"}");
    }
    EXPECT_EQ(answered, in_all) << "every exchange was given to a server once";
    EXPECT_EQ(metric("sluice_retries_total"), 0);
  }
  std::size_t descriptors() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(sluice_->pid()) + "/fd")) {
      ++count;
    }
    return count;
  }

  harness::StrictH2Origin h2_{
      harness::StrictH2Origin::Options{.name = "h2", .tls = {}, .record_max = 0}};
};

void MixedLoadTest::h1_worker(Planner planner, bool h2_server, bool tls, std::uint64_t requests,
                              Tally& tally) {
  const harness::Endpoint endpoint = sluice_->endpoint(tls ? "https" : "http");
  std::unique_ptr<HttpClient> client;
  for (std::uint64_t i = 0; i < requests && !tally.hopeless(); ++i) {
    const Plan plan = planner.next();
    if (!client) {
      auto made = HttpClient::connect(
          endpoint, {.tls = tls ? std::optional(harness::ClientTls{}) : std::nullopt});
      if (!made) return tally.fail(made.error());
      client = std::move(*made);
    }
    std::string text =
        plan.method + " " + plan.target + " HTTP/1.1\r\nHost: " + host(h2_server) + "\r\n";
    if (plan.method == "POST") text += "Content-Length: " + std::to_string(plan.size) + "\r\n";
    text += "\r\n";
    if (plan.method == "POST") text += pattern(plan.size);
    if (plan.kind == Plan::Kind::client_abort) {
      client->send(std::string_view(text).substr(0, text.size() - plan.size / 2));
      std::this_thread::sleep_for(plan.pause);
      client->reset();
      client.reset();
      tally.leave(plan);
      continue;
    }
    client->send(text);
    bool paused = false;
    const Response response = client->read_response(
        {.method = plan.method, .keep_body = false, .on_body = [&](std::string_view) {
           if (!std::exchange(paused, true)) std::this_thread::sleep_for(plan.pause);
         }});
    tally.judge(plan, response);
    if (!response.complete() || response.ending != Ending::open ||
        response.fields.lists("Connection", "close")) {
      client.reset();
    }
  }
}

void MixedLoadTest::h2_worker(Planner planner, bool h2_server, bool tls, std::uint64_t requests,
                              Tally& tally) {
  H2Client::Options options{.keeps_bodies = false};
  if (tls) options.tls = harness::ClientTls{};
  std::unique_ptr<H2Client> client;
  std::map<std::uint32_t, Plan> running;
  for (std::uint64_t begun = 0; (begun < requests || !running.empty()) && !tally.hopeless();) {
    // After limits.requests_per_connection a GOAWAY asks for another connection.
    if (!client || (running.empty() && client->go_away())) {
      auto made = H2Client::connect(sluice_->endpoint(tls ? "https" : "http"), options);
      if (!made) return tally.fail(made.error());
      client = std::move(*made);
    }
    while (begun < requests && !client->go_away() && running.size() < kStreams) {
      Plan plan = planner.next();
      ++begun;
      H2Client::Ask ask{.method = plan.method, .target = plan.target, .fields = {}};
      ask.fields.add("Host", host(h2_server));
      ask.end = plan.method == "GET";
      const std::uint32_t stream = client->begin(ask);
      if (!ask.end) client->put(stream, pattern(plan.size), plan.kind != Plan::Kind::client_abort);
      running.emplace(stream, std::move(plan));
    }
    if (!client->step(Deadline(milliseconds(100)))) {
      return tally.fail(
          "an HTTP/2 connection ended: " + std::string(harness::to_text(client->ending())) + " " +
          (client->go_away() ? harness::h2::code_name(client->go_away()->code) : "") +
          client->violation());
    }
    for (auto each = running.begin(); each != running.end();) {
      const auto& [stream, plan] = *each;
      if (plan.kind == Plan::Kind::client_abort) {
        if (plan.pause.count() > 0) std::this_thread::sleep_for(plan.pause);
        client->cancel(stream);
        tally.leave(plan);
      } else if (client->over(stream)) {
        tally.judge(plan, client->finish(stream));
      } else {
        ++each;
        continue;
      }
      each = running.erase(each);
    }
  }
}

TEST_F(MixedLoadTest, EveryCompletedBodyIsRightAndNothingIsLeftBehind) {
  harness::make_certificate(directory_->path(), "server", {"localhost", "h1.test", "h2.test"});
  start({.timeouts = "idle = \"1s\"\nbackend_idle = \"1s\"",
         .listener = "protocols = [\"http/1.1\", \"h2\"]\n"
                     "limits = { requests_per_connection = 500 }",
         .backends = {{"blue", {{"one", blue_.address()}}}, {"h2", {{"one", h2_.address()}}}},
         .backend_lines = {{"h2", "protocol = \"h2\""}},
         .routes = "[routes.h1]\nhost = \"h1.test\"\nsplit = { blue = 1 }\n"
                   "[routes.h2]\nhost = \"h2.test\"\nsplit = { h2 = 1 }\n"});
  const std::uint64_t wanted =
      number_from("SLUICE_MIXED_REQUESTS", std::getenv("SLUICE_SOAK") != nullptr ? 1'000'000
                                           : sanitized()                         ? 4'000
                                                                                 : 100'000);
  const std::uint64_t seed = number_from("SLUICE_MIXED_SEED", 20'261'121);
  SCOPED_TRACE("SLUICE_MIXED_SEED=" + std::to_string(seed));
  const std::size_t idle_descriptors = descriptors();
  Tally tally;
  load(wanted / 10, seed + 1'000'000, tally);
  ASSERT_TRUE(wait_until([&] { return descriptors() <= idle_descriptors; })) << descriptors();
  const std::uint64_t idle_memory = sluice_->memory().rss_kib;

  const auto begun = std::chrono::steady_clock::now();
  load(wanted, seed, tally);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  EXPECT_THAT(tally.failures, testing::IsEmpty());
  EXPECT_GE(tally.completed + tally.aborted + tally.left, wanted - 16);
  EXPECT_GT(tally.aborted, wanted / 50);
  EXPECT_GT(tally.left, wanted / 50);
  EXPECT_LT(tally.body_bytes / std::max<std::uint64_t>(tally.completed, 1), 32u * 1024);
  RecordProperty("seconds", std::to_string(took.count()));

  EXPECT_TRUE(wait_until([&] { return descriptors() <= idle_descriptors; })) << descriptors();
  // AddressSanitizer keeps 256 MiB of what was freed: the release build is the one that measures.
  const std::uint64_t slack = sanitized() ? 327'680 : 16'384;
  EXPECT_TRUE(wait_until([&] { return sluice_->memory().rss_kib <= idle_memory + slack; }))
      << idle_memory << " KiB before, " << sluice_->memory().rss_kib << " KiB after";
  EXPECT_EQ(metric("sluice_client_connections{listener=\"http\"}"), 0);
  EXPECT_EQ(h2_.counts().open_streams, 0u);
  compare_books(tally);
}

}  // namespace
}  // namespace sluice::integration
