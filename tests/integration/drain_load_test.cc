// G5 under load: random servers of eight backends are drained, and killed the moment that
// `safe_to_stop` is said, while requests and tunnels of every kind run. Judged at the server's own
// socket: a kill cuts nothing that had reached it, even in part, and a server that stands up again
// gets nothing but probes until it is resumed. No client notices, and nothing is retried. 2,000
// drains; 10,000 with SLUICE_SOAK=1; SLUICE_DRAINS says another number, SLUICE_DRAINS_SEED another
// order.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
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

using harness::H2Client;
using harness::pattern;
using harness::StrictH2Origin;

constexpr std::size_t kBackends = 8;
constexpr std::size_t kFirstH2Backend = 4;  // this and the following speak HTTP/2 with us
constexpr std::size_t kServers = 2;         // of each backend

std::string backend_name(std::size_t backend) {
  return "b" + std::to_string(backend);
}

std::string host(std::size_t backend) {
  return backend_name(backend) + ".test";
}

// One server of either kind.
class Server {
 public:
  explicit Server(std::size_t backend) {
    if (backend < kFirstH2Backend) {
      h1_ = std::make_unique<StrictOrigin>(
          StrictOrigin::Options{.name = backend_name(backend), .record_max = 0, .tls = {}});
    } else {
      h2_ = std::make_unique<StrictH2Origin>(
          StrictH2Origin::Options{.name = backend_name(backend), .tls = {}, .record_max = 0});
    }
  }
  std::string address() const { return h1_ ? h1_->address() : h2_->address(); }
  void kill() { h1_ ? h1_->stop() : h2_->stop(); }
  void start() { h1_ ? h1_->start() : h2_->start(); }
  std::uint64_t cut() const { return h1_ ? h1_->counts().cut_by_stop : h2_->counts().cut_by_stop; }
  // All that ever began here, but probes.
  std::uint64_t begun() const {
    if (h1_) return h1_->counts().requests + h1_->counts().incomplete_requests;
    const StrictH2Origin::Counts counts = h2_->counts();
    return counts.requests + counts.incomplete_requests + counts.turned_away;
  }
  std::vector<std::string> violations() const {
    return h1_ ? h1_->violations() : h2_->violations();
  }

 private:
  std::unique_ptr<StrictOrigin> h1_;
  std::unique_ptr<StrictH2Origin> h2_;
};

class DrainLoadTest : public SluiceTest {
 protected:
  void TearDown() override {
    running_ = false;
    for (std::thread& thread : std::exchange(threads_, {})) thread.join();
    SluiceTest::TearDown();
    for (const auto& servers : servers_) {
      for (const auto& server : servers) EXPECT_THAT(server->violations(), testing::IsEmpty());
    }
  }

  void start_all();
  void start_load();
  void h1_load(bool tls, std::uint32_t seed);
  void h2_load(std::uint32_t seed);
  void tunnel_load(std::uint32_t seed);
  // Drains, kills, starts and resumes random servers of that backend.
  void drain_often(std::size_t backend, std::uint64_t times, std::uint32_t seed);
  void drain_once(HttpClient& admin, std::size_t backend, std::size_t index, milliseconds watch);

  void fail(const std::string& why) {
    const std::lock_guard held(mutex_);
    if (failures_.size() < 20) failures_.push_back(why);
    running_ = false;
  }

  std::vector<std::vector<std::unique_ptr<Server>>> servers_;
  std::atomic<bool> running_{true};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> tunnels_{0};
  std::atomic<std::uint64_t> drains_{0};
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
};

void DrainLoadTest::start_all() {
  Scenario scenario{.workers = 2,
                    .health = "settle_interval = \"20ms\"",
                    .listener = "protocols = [\"http/1.1\", \"h2\"]"};
  std::vector<std::string> names{"localhost"};
  for (std::size_t backend = 0; backend < kBackends; ++backend) {
    const std::string name = backend_name(backend);
    names.push_back(host(backend));
    servers_.emplace_back();
    for (std::size_t i = 0; i < kServers; ++i) {
      servers_[backend].push_back(std::make_unique<Server>(backend));
      scenario.backends[name]["s" + std::to_string(i)] = servers_[backend][i]->address();
    }
    if (backend >= kFirstH2Backend) scenario.backend_lines[name] = "protocol = \"h2\"";
    scenario.routes +=
        "[routes." + name + "]\nhost = \"" + host(backend) + "\"\nsplit = { " + name + " = 1 }\n";
  }
  harness::make_certificate(directory_->path(), "server", names);
  start(scenario);
}

void DrainLoadTest::start_load() {
  threads_.emplace_back([this] { h1_load(false, 1); });
  threads_.emplace_back([this] { h1_load(true, 2); });
  threads_.emplace_back([this] { h2_load(3); });
  threads_.emplace_back([this] { tunnel_load(4); });
  threads_.emplace_back([this] { tunnel_load(5); });
}

void DrainLoadTest::h1_load(bool tls, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto ask = [&random](HttpClient& client, std::size_t& expected) {
    Fields fields;
    fields.add("Host", host(random() % kBackends));
    const std::size_t size = random() % 100'000;
    expected = size;
    switch (random() % 4) {
      case 0:
        return client.request("POST", "/echo", pattern(size), fields);
      case 1:
        return client.request("GET", "/chunked/" + std::to_string(size), {}, fields);
      case 2: {
        Response response =
            client.request("GET", "/slow?ms=" + std::to_string(random() % 20), {}, fields);
        expected = response.body_size;
        return response;
      }
      default:
        return client.request("GET", "/bytes/" + std::to_string(size), {}, fields);
    }
  };
  const std::string wrong = run({.tls = tls, .ask = ask, .on_whole = [this] { ++requests_; }},
                                sluice_->endpoint(tls ? "https" : "http"), running_);
  if (!wrong.empty()) fail(wrong);
}

void DrainLoadTest::h2_load(std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto connect = [this] {
    return H2Client::connect(sluice_->endpoint("http"), {.keeps_bodies = false});
  };
  const auto next = [&random] {
    EchoLoad::Upload upload{.fields = {}, .size = random() % 20'000};
    upload.fields.add("Host", host(random() % kBackends));
    return upload;
  };
  const std::string wrong = run({"HTTP/2", connect, next, [this] { ++requests_; }}, running_);
  if (!wrong.empty()) fail(wrong);
}

// WebSockets that live for some messages: a drain waits for them.
void DrainLoadTest::tunnel_load(std::uint32_t seed) {
  std::mt19937 random(seed);
  while (running_) {
    const std::size_t backend = kFirstH2Backend + random() % (kBackends - kFirstH2Backend);
    auto tunnel = open_tunnel(sluice_->endpoint("http"), host(backend));
    if (!tunnel) return fail(tunnel.error());
    for (std::uint32_t left = 1 + random() % 20; left > 0; --left) {
      const std::string wrong = carry(**tunnel, pattern(1 + random() % 500));
      if (!wrong.empty()) return fail(wrong);
      std::this_thread::sleep_for(milliseconds(1));
    }
    ++tunnels_;
  }
}

void DrainLoadTest::drain_once(HttpClient& admin, std::size_t backend, std::size_t index,
                               milliseconds watch) {
  const std::string path = "/servers/" + backend_name(backend) + "/s" + std::to_string(index);
  Server& server = *servers_[backend][index];
  const Response drained = admin.request("POST", path + "/drain?wait=30s");
  server.kill();
  if (drained.status != 200 || parse_json(drained)["safe_to_stop"] != true) {
    return fail("drain: " + drained.summary() + " " + drained.body);
  }
  if (server.cut() != 0) return fail(path + " was told safe with something running there");
  const std::uint64_t begun = server.begun();
  server.start();
  std::this_thread::sleep_for(watch);
  if (server.begun() != begun) return fail(path + " got a request while it was safe to stop");
  const Response resumed = admin.request("POST", path + "/resume?wait=30s");
  if (resumed.status != 200) fail("resume: " + resumed.summary() + " " + resumed.body);
  ++drains_;
}

void DrainLoadTest::drain_often(std::size_t backend, std::uint64_t times, std::uint32_t seed) {
  std::mt19937 random(seed);
  auto admin = HttpClient::connect(sluice_->admin());
  if (!admin) return fail(admin.error());
  for (std::uint64_t i = 0; i < times && running_; ++i) {
    drain_once(**admin, backend, random() % kServers, milliseconds(random() % 10));
  }
}

TEST_F(DrainLoadTest, G5NothingReachesOrLeavesAServerOnceItIsSafeToStop) {
  const std::uint64_t drains =
      number_from("SLUICE_DRAINS", std::getenv("SLUICE_SOAK") != nullptr ? 10'000
                                   : sanitized()                         ? 100
                                                                         : 2'000);
  const auto seed = static_cast<std::uint32_t>(number_from("SLUICE_DRAINS_SEED", 20'261'128));
  SCOPED_TRACE("SLUICE_DRAINS_SEED=" + std::to_string(seed));
  start_all();
  start_load();
  ASSERT_TRUE(wait_until([&] { return (requests_ > 100 && tunnels_ > 1) || !running_; }));
  std::vector<std::thread> drainers;
  for (std::size_t backend = 0; backend < kBackends; ++backend) {
    drainers.emplace_back([&, backend] {
      drain_often(backend, drains / kBackends, seed + static_cast<std::uint32_t>(backend));
    });
  }
  for (std::thread& drainer : drainers) drainer.join();
  running_ = false;
  for (std::thread& thread : std::exchange(threads_, {})) thread.join();
  EXPECT_THAT(failures_, testing::IsEmpty());
  EXPECT_EQ(drains_, drains / kBackends * kBackends);
  EXPECT_GT(requests_, drains / 4);
  EXPECT_GT(tunnels_, 1u);
  EXPECT_EQ(metric("sluice_retries_total"), 0);
  std::printf("%llu drains, %llu requests, %llu WebSockets\n",
              static_cast<unsigned long long>(drains_.load()),
              static_cast<unsigned long long>(requests_.load()),
              static_cast<unsigned long long>(tunnels_.load()));
}

}  // namespace
}  // namespace sluice::integration
