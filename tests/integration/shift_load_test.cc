// Thousands of random shifts, switches, rollbacks, transactions and drains on twenty routes while
// requests of every kind run: no request fails (G3), each attempt is made whole by one revision and
// no request that begins after a call has returned is made by an older one (G1, judged by the
// access log, which names the revision of each), and durability costs a shift little more than an
// fsync. 20,000 changes; 100,000 with SLUICE_SOAK=1; SLUICE_SHIFTS says another number,
// SLUICE_SHIFTS_SEED another order.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "proxy/base/rfc3339.h"
#include "tests/harness/certificate.h"
#include "tests/harness/child.h"
#include "tests/harness/h2_client.h"
#include "tests/harness/pattern.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/load_parts.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Child;
using harness::H2Client;
using harness::pattern;
using Revision = std::uint64_t;

constexpr int kRoutes = 20;
constexpr int kFirstH2Route = 10;  // these and the following go to servers of HTTP/2
constexpr int kGrpcRoute = 19;     // the last to real gRPC servers

constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kGrpcScript = SLUICE_SOURCE_DIR "/tests/clients/grpc_echo.py";
// It knows nothing of GET /health.
constexpr const char* kGrpcBackend = "protocol = \"h2\"\nhealth = { enabled = false }";

std::string host(int route) {
  return "r" + std::to_string(route) + ".test";
}

// The two backends that a route is split over.
std::pair<std::string, std::string> backends_of(int route) {
  if (route == kGrpcRoute) return {"gblue", "ggreen"};
  if (route >= kFirstH2Route) return {"hblue", "hgreen"};
  return {"blue", "green"};
}

double p99(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 99 / 100);
  std::ranges::nth_element(values, at);
  return *at;
}

// What the calls' answers have said, to judge the access log by.
class Timeline {
 public:
  void shifted(const std::string& route, Revision revision, const json& weights) {
    std::set<std::string> open;
    for (const auto& [backend, weight] : weights.items()) {
      if (weight > 0) open.insert(backend);
    }
    routes_[route].emplace_back(revision, std::move(open));
  }
  void drained(const std::string& server, Revision revision, bool draining) {
    servers_[server].emplace_back(revision, draining);
  }
  void returned(Revision revision, WallTime now) { returned_.emplace_back(now, revision); }

  // Empty: all is well with this exchange.
  std::string judge(const json& line) const {
    const Revision revision = line["revision"];
    const std::string route = line["route"];
    const std::string backend = line["backend"];
    const std::string server = backend + "/" + line["server"].get<std::string>();
    const auto* open = last(routes_, route, revision);
    if (open != nullptr && !open->contains(backend)) {
      return "backend " + backend + " has no weight in its revision: ";
    }
    const bool* draining = last(servers_, server, revision);
    if (draining != nullptr && *draining) return "server " + server + " is draining: ";
    const auto began = parse_rfc3339(line["time"].get<std::string>());
    if (!began) return "no time: ";
    const auto before =
        std::ranges::lower_bound(returned_, *began, {}, &std::pair<WallTime, Revision>::first);
    if (before != returned_.begin() && std::prev(before)->second > revision) {
      return "revision " + std::to_string(std::prev(before)->second) +
             " was in force when it began: ";
    }
    return {};
  }

 private:
  template <typename Map>
  static auto last(const Map& map, const std::string& key, Revision revision) -> const
      decltype(map.begin()->second.begin()->second)* {
    const auto found = map.find(key);
    if (found == map.end()) return nullptr;
    const auto after = std::ranges::upper_bound(found->second, revision, {},
                                                [](const auto& change) { return change.first; });
    return after == found->second.begin() ? nullptr : &std::prev(after)->second;
  }

  std::map<std::string, std::vector<std::pair<Revision, std::set<std::string>>>> routes_;
  std::map<std::string, std::vector<std::pair<Revision, bool>>> servers_;
  std::vector<std::pair<WallTime, Revision>> returned_;
};

class ShiftLoadTest : public SluiceTest {
 protected:
  void TearDown() override {
    running_ = false;
    for (std::thread& thread : threads_) thread.join();
    SluiceTest::TearDown();
    for (const harness::StrictOrigin* origin : {&blue_two_, &green_two_}) {
      EXPECT_THAT(origin->violations(), testing::IsEmpty());
    }
    for (const harness::StrictH2Origin* origin : {&h2_blue_, &h2_green_}) {
      EXPECT_THAT(origin->violations(), testing::IsEmpty());
    }
  }

  void start_all();
  void start_load();
  void h1_load(bool tls, std::uint32_t seed);
  void h2_load(bool tls, std::uint32_t seed);
  void websocket_load(std::uint32_t seed);
  std::uint64_t grpc_calls();

  void fail(const std::string& why) {
    const std::lock_guard held(mutex_);
    if (failures_.size() < 20) failures_.push_back(why);
    running_ = false;
  }
  // One random change; what it has brought about goes into the timeline. False: it
  // waited for a server's exchanges and probes, so that its time is not that of a shift.
  bool change(std::mt19937& random);
  void note(const json& body, WallTime now);
  json call(std::string_view method, const std::string& target, const std::string& form);

  harness::StrictOrigin blue_two_{
      harness::StrictOrigin::Options{.name = "blue", .record_max = 0, .tls = {}}};
  harness::StrictOrigin green_two_{
      harness::StrictOrigin::Options{.name = "green", .record_max = 0, .tls = {}}};
  harness::StrictH2Origin h2_blue_{
      harness::StrictH2Origin::Options{.name = "hblue", .tls = {}, .record_max = 0}};
  harness::StrictH2Origin h2_green_{
      harness::StrictH2Origin::Options{.name = "hgreen", .tls = {}, .record_max = 0}};
  std::array<std::unique_ptr<Child>, 2> grpc_servers_;
  std::unique_ptr<Child> grpc_client_;
  std::unique_ptr<HttpClient> admin_;
  std::atomic<bool> running_{true};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> websocket_messages_{0};
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
  Timeline timeline_;
};

void ShiftLoadTest::start_all() {
  std::vector<std::string> names{"localhost"};
  std::string routes;
  for (int route = 0; route < kRoutes; ++route) {
    names.push_back(host(route));
    const auto [one, other] = backends_of(route);
    routes += "[routes.r" + std::to_string(route) + "]\nhost = \"" + host(route) +
              "\"\nsplit = { " + one + " = 1, " + other + " = 1 }\n";
  }
  std::vector<std::string> grpc_addresses;
  for (std::unique_ptr<Child>& server : grpc_servers_) {
    server = Child::start({kPython, kGrpcScript, "server"});
    grpc_addresses.push_back("127.0.0.1:" + server->wait_for_line("port "));
  }
  harness::make_certificate(directory_->path(), "server", names);
  start({.workers = static_cast<int>(std::max(1u, std::thread::hardware_concurrency())),
         .timeouts = "stream = \"10m\"",
         .listener = "protocols = [\"http/1.1\", \"h2\"]\n"
                     "limits = { requests_per_connection = 1000 }",
         .backends = {{"blue", {{"one", blue_.address()}, {"two", blue_two_.address()}}},
                      {"green", {{"one", green_.address()}, {"two", green_two_.address()}}},
                      {"hblue", {{"one", h2_blue_.address()}}},
                      {"hgreen", {{"one", h2_green_.address()}}},
                      {"gblue", {{"one", grpc_addresses[0]}}},
                      {"ggreen", {{"one", grpc_addresses[1]}}}},
         .backend_lines = {{"hblue", "protocol = \"h2\""},
                           {"hgreen", "protocol = \"h2\""},
                           {"gblue", kGrpcBackend},
                           {"ggreen", kGrpcBackend}},
         .routes = routes,
         .more = "[access_log]\npath = \"@DIR@/access.log\"\n[ledger]\nhistory = 100000\n"});
}

void ShiftLoadTest::start_load() {
  threads_.emplace_back([this] { h1_load(false, 1); });
  threads_.emplace_back([this] { h1_load(true, 2); });
  threads_.emplace_back([this] { h2_load(false, 3); });
  threads_.emplace_back([this] { h2_load(true, 4); });
  threads_.emplace_back([this] { websocket_load(5); });
  grpc_client_ = Child::start(
      {kPython, kGrpcScript, "load", sluice_->endpoint("http").text(), host(kGrpcRoute)});
}

// Ends the gRPC client, which has stopped earlier if a call of its has failed.
std::uint64_t ShiftLoadTest::grpc_calls() {
  grpc_client_->signal(SIGTERM);
  const std::string calls = grpc_client_->wait_for_line("calls ");
  if (calls.empty()) fail("gRPC: " + grpc_client_->output());
  return std::strtoull(calls.c_str(), nullptr, 10);
}

void ShiftLoadTest::h1_load(bool tls, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto ask = [&random](HttpClient& client, std::size_t& expected) {
    Fields fields;
    fields.add("Host", host(static_cast<int>(random() % kGrpcRoute)));
    expected = random() % 2000;
    if (random() % 2 == 0) return client.request("POST", "/echo", pattern(expected), fields);
    return client.request("GET", "/bytes/" + std::to_string(expected), {}, fields);
  };
  const std::string wrong = run({.tls = tls, .ask = ask, .on_whole = [this] { ++requests_; }},
                                sluice_->endpoint(tls ? "https" : "http"), running_);
  if (!wrong.empty()) fail(wrong);
}

void ShiftLoadTest::h2_load(bool tls, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto connect = [this, tls] {
    H2Client::Options options{.keeps_bodies = false};
    if (tls) options.tls = harness::ClientTls{};
    return H2Client::connect(sluice_->endpoint(tls ? "https" : "http"), std::move(options));
  };
  const auto next = [&random] {
    EchoLoad::Upload upload{.fields = {}, .size = random() % 2000};
    upload.fields.add("Host", host(static_cast<int>(random() % kGrpcRoute)));
    return upload;
  };
  const std::string wrong = run({"HTTP/2", connect, next, [this] { ++requests_; }}, running_);
  if (!wrong.empty()) fail(wrong);
}

// Tunnels that live as long as the test: whatever is shifted, they go on.
void ShiftLoadTest::websocket_load(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::unique_ptr<HttpClient>> tunnels;
  for (int i = 0; i < 8; ++i) {
    auto tunnel = open_tunnel(sluice_->endpoint("http"), host(kFirstH2Route + i));
    if (!tunnel) return fail(tunnel.error());
    tunnels.push_back(std::move(*tunnel));
  }
  while (running_) {
    HttpClient& tunnel = *tunnels[random() % tunnels.size()];
    const std::string wrong = carry(tunnel, pattern(1 + random() % 200));
    if (!wrong.empty()) return fail(wrong);
    ++websocket_messages_;
    std::this_thread::sleep_for(milliseconds(2));
  }
}

json ShiftLoadTest::call(std::string_view method, const std::string& target,
                         const std::string& form) {
  if (!admin_) {
    auto made = HttpClient::connect(sluice_->admin());
    if (!made) return fail(made.error()), json{};
    admin_ = std::move(*made);
  }
  Fields fields;
  if (!form.empty()) fields.add("Content-Type", "application/x-www-form-urlencoded");
  const Response response = admin_->request(method, target, form, fields);
  const WallTime now = std::chrono::system_clock::now();
  // After limits.requests_per_connection another connection is due.
  if (response.fields.lists("Connection", "close")) admin_.reset();
  json body = json::parse(response.body, nullptr, false);
  // The end of a route's history is a fair answer to a rollback.
  if (response.status == 409 && body["code"] == "nothing_before") return {};
  if (response.status != 200) {
    fail(std::string(method) + " " + target + " " + form + ": " + response.summary() + " " +
         response.body);
    return {};
  }
  note(body, now);
  return body;
}

void ShiftLoadTest::note(const json& body, WallTime now) {
  const Revision revision = body["revision"];
  if (body["changed"] == true) {
    if (body.contains("routes")) {
      for (const json& route : body["routes"]) {
        timeline_.shifted(route["route"], revision, route["weights"]);
      }
    } else if (body.contains("route")) {
      timeline_.shifted(body["route"], revision, body["weights"]);
    } else if (body.contains("server")) {
      timeline_.drained(
          body["backend"].get<std::string>() + "/" + body["server"]["name"].get<std::string>(),
          revision, body["server"]["draining"]);
    }
    timeline_.returned(revision, now);
  }
}

bool ShiftLoadTest::change(std::mt19937& random) {
  const auto weights = [&](int route, const std::string& prefix) {
    const auto [one, other] = backends_of(route);
    return prefix + one + "=" + std::to_string(random() % 100) + "&" + prefix + other + "=" +
           std::to_string(1 + random() % 100);
  };
  const int route = static_cast<int>(random() % kRoutes);
  const std::string name = "r" + std::to_string(route);
  const unsigned dice = random() % 1000;
  if (dice < 600) {
    call("PUT", "/weights/" + name, weights(route, ""));
  } else if (dice < 750) {
    const auto [one, other] = backends_of(route);
    call("POST", "/switch/" + name, "to=" + (random() % 2 ? one : other));
  } else if (dice < 870) {
    call("POST", "/rollback/" + name, "");
  } else if (dice < 990) {
    const int second = (route + 1 + static_cast<int>(random() % (kRoutes - 1))) % kRoutes;
    call("POST", "/shifts",
         weights(route, name + "/") + "&" + weights(second, "r" + std::to_string(second) + "/"));
  } else {
    // Drained, safe, and back, while its neighbour does the work.
    const std::string server = std::string("/servers/") + (random() % 2 ? "blue" : "green") +
                               (random() % 2 ? "/one" : "/two");
    const json drained = call("POST", server + "/drain?wait=30s", "");
    if (!drained.is_null() && drained["safe_to_stop"] != true) fail("a wait that was none");
    call("POST", server + "/resume?wait=30s", "");
    return false;
  }
  return true;
}

TEST_F(ShiftLoadTest, G1G3RandomChangesUnderMixedLoadFailNothingAndAreInForceOnReturn) {
  const std::uint64_t changes =
      number_from("SLUICE_SHIFTS", std::getenv("SLUICE_SOAK") != nullptr ? 100'000
                                   : sanitized()                         ? 300
                                                                         : 20'000);
  const auto seed = static_cast<std::uint32_t>(number_from("SLUICE_SHIFTS_SEED", 20'261'128));
  SCOPED_TRACE("SLUICE_SHIFTS_SEED=" + std::to_string(seed));
  start_all();
  start_load();
  ASSERT_NE(grpc_client_->wait_for_line("client "), "");
  ASSERT_TRUE(
      wait_until([&] { return (requests_ > 100 && websocket_messages_ > 10) || !running_; }));
  std::mt19937 random(seed);
  // A bare write and fsync in the same place, taken in turn with the changes.
  const int bare =
      ::open(directory_->file("state/bare").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  ASSERT_GE(bare, 0);
  const std::string record(350, 'x');
  std::vector<double> shift_ms;
  std::vector<double> bare_ms;
  const auto time = [](std::vector<double>& into, auto&& what) {
    const auto began = std::chrono::steady_clock::now();
    const bool counts = what();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    if (counts) into.push_back(took.count());
  };
  for (std::uint64_t i = 0; i < changes && running_; ++i) {
    time(shift_ms, [&] { return change(random); });
    time(bare_ms, [&] {
      if (::write(bare, record.data(), record.size()) < 0 || ::fsync(bare) != 0) fail("bare fsync");
      return true;
    });
  }
  ::close(bare);
  running_ = false;
  for (std::thread& thread : std::exchange(threads_, {})) thread.join();
  const std::uint64_t calls = grpc_calls();
  EXPECT_GT(calls, 0u);
  EXPECT_THAT(failures_, testing::IsEmpty());
  EXPECT_EQ(metric("sluice_access_log_dropped_total"), 0);
  EXPECT_GT(requests_, changes / 4);
  EXPECT_GT(websocket_messages_, 0u);
  EXPECT_GT(metric("sluice_limits_hit_total{limit=\"requests_per_connection\"}"), 0);
  stop();

  std::ifstream log(directory_->file("access.log"));
  std::uint64_t judged = 0;
  std::vector<std::string> wrong;
  for (std::string text; std::getline(log, text);) {
    const json line = json::parse(text, nullptr, false);
    ASSERT_TRUE(line.is_object()) << text;
    ++judged;
    const std::string why = timeline_.judge(line);
    if (!why.empty() && wrong.size() < 10) wrong.push_back(why + text);
  }
  EXPECT_THAT(wrong, testing::IsEmpty());
  EXPECT_GE(judged, requests_ + calls);
  const double difference = p99(shift_ms) - p99(bare_ms);
  std::printf(
      "%llu changes, %llu requests, %llu gRPC calls, %llu WebSocket messages; p99 of a shift "
      "%.2f ms, of a bare write and fsync %.2f ms, difference %.2f ms\n",
      static_cast<unsigned long long>(changes), static_cast<unsigned long long>(requests_.load()),
      static_cast<unsigned long long>(calls),
      static_cast<unsigned long long>(websocket_messages_.load()), p99(shift_ms), p99(bare_ms),
      difference);
  RecordProperty("p99_difference_ms", std::to_string(difference));
  if (!sanitized()) {
    // 5 ms are the target, met by half; what is shared with others gets twice as much.
    EXPECT_LE(difference, 10) << "ms";
  }
}

}  // namespace
}  // namespace sluice::integration
