// Bodies are streamed: what a stream holds does not depend on how much passes through it.
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "tests/harness/h2_client.h"
#include "tests/harness/load.h"
#include "tests/harness/pattern.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

// A sanitizer keeps freed memory for a while, so there only growth with the body's size shows.
// 1 GiB; SLUICE_SOAK=1 makes it 10.
const std::uint64_t kBody =
    (sanitized() ? 256ul << 20 : 1ul << 30) * (std::getenv("SLUICE_SOAK") != nullptr ? 10 : 1);
const std::uint64_t kGrowthMaxKib = sanitized() ? 64 * 1024 : 1024;

class MemoryTest : public SluiceTest {
 protected:
  // The most that the process grows to while `work` runs.
  std::uint64_t growth_kib(const std::function<void()>& work) {
    std::uint64_t before = sluice_->memory().rss_kib;
    std::atomic<std::uint64_t> most = before;
    std::atomic<bool> over = false;
    std::thread sampler([&] {
      while (!over) {
        most = std::max(most.load(), sluice_->memory().rss_kib);
        std::this_thread::sleep_for(milliseconds(5));
      }
    });
    work();
    over = true;
    sampler.join();
    return most - before;
  }
  // Starts with one worker, and lets it allocate whatever is allocated once.
  void start_warm() {
    start({.workers = 1,
           .listener = "protocols = [\"http/1.1\", \"h2\"]",
           .environment = {{"ASAN_OPTIONS", "quarantine_size_mb=4"}}});
    for (int i = 0; i < 4; ++i) {
      for (auto& client : {connect(), connect_tls()}) {
        EXPECT_EQ(client->get("/bytes/4000000").body_size, 4'000'000u);
        EXPECT_EQ(client->request("POST", "/x", harness::pattern(4'000'000)).status, 200);
      }
    }
  }
  void upload(HttpClient& client) {
    ASSERT_TRUE(client.send(
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n"));
    for (std::uint64_t sent = 0; sent < kBody;) {
      std::string_view piece = harness::pattern_view(sent, kBody - sent);
      ASSERT_TRUE(client.send(piece));
      sent += piece.size();
    }
    EXPECT_EQ(client.read_response().status, 200);
  }
  Response download(HttpClient& client, const std::string& target,
                    std::function<void(std::string_view)> on_body = {}) {
    EXPECT_TRUE(client.send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"));
    return client.read_response({.keep_body = false, .on_body = std::move(on_body)});
  }
};

TEST_F(MemoryTest, ALargeBodyToTheClientIsStreamed) {
  start_warm();
  for (const char* kind : {"/bytes/", "/chunked/"}) {
    auto client = connect();
    std::uint64_t grown = growth_kib([&] {
      Response response = download(*client, kind + std::to_string(kBody));
      EXPECT_EQ(response.body_size, kBody) << response.summary();
      EXPECT_TRUE(response.body_is_pattern);
    });
    EXPECT_LE(grown, kGrowthMaxKib) << kind;
  }
}

TEST_F(MemoryTest, ALargeBodyOverTlsIsStreamed) {
  start_warm();
  auto client = connect_tls();
  std::uint64_t grown = growth_kib([&] {
    Response response = download(*client, "/bytes/" + std::to_string(kBody));
    EXPECT_EQ(response.body_size, kBody) << response.summary();
    EXPECT_TRUE(response.body_is_pattern);
  });
  EXPECT_LE(grown, kGrowthMaxKib);
}

TEST_F(MemoryTest, ALargeBodyToTheServerIsStreamed) {
  start_warm();
  for (auto& client : {connect(), connect_tls()}) {
    blue_.forget();
    EXPECT_LE(growth_kib([&] { upload(*client); }), kGrowthMaxKib);
    harness::RecordedRequest request = blue_.requests().at(0);
    EXPECT_EQ(request.body_size, kBody);
    EXPECT_TRUE(request.body_is_pattern);
  }
}

TEST_F(MemoryTest, TenThousandIdleConnectionsAreHeldCheaply) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::size_t wanted = sanitized() ? 1000 : 10'000;
  std::size_t count = std::min<std::size_t>(wanted, files.rlim_max - 500);
  start_warm();
  for (bool tls : {false, true}) {
    std::uint64_t before = sluice_->memory().pss_kib;
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(tls ? connect_tls() : connect());
      ASSERT_TRUE(clients.back()) << i;
      ASSERT_EQ(clients.back()->get("/").status, 200) << i;
    }
    // Now and then each sends a request.
    for (auto& client : clients) ASSERT_EQ(client->get("/").status, 200);
    double each = static_cast<double>(sluice_->memory().pss_kib - before) /
                  static_cast<double>(clients.size());
    RecordProperty(tls ? "kib_per_tls_connection" : "kib_per_plain_connection",
                   std::to_string(each));
    if (!sanitized()) {
      EXPECT_LE(each, tls ? 8 : 1) << "KiB an idle connection";
    }
    EXPECT_EQ(metric(std::string("sluice_client_connections{listener=\"") +
                     (tls ? "https" : "http") + "\"}"),
              static_cast<double>(clients.size()));
  }
}

TEST_F(MemoryTest, AClientThatDoesNotReadStopsTheServerAndHoldsLittle) {
  start_warm();
  std::vector<std::unique_ptr<HttpClient>> stuck;
  std::uint64_t grown = growth_kib([&] {
    for (int i = 0; i < 8; ++i) {
      stuck.push_back(i % 2 == 0 ? connect() : connect_tls());
      stuck.back()->set_receive_buffer(4096);
      ASSERT_TRUE(stuck.back()->send("GET /bytes/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for (int i = 0; i < 100; ++i) EXPECT_EQ(get("/").status, 200);
  });
  EXPECT_LE(grown, stuck.size() * kGrowthMaxKib);
  stuck.clear();
  EXPECT_EQ(get("/").status, 200);
}

// What a client makes Sluice hold by opening no window, over what the limit for each stream says:
// with connections to the server that are new, and with ones whose kernel buffers have grown.
class ShutWindowTest : public MemoryTest, public testing::WithParamInterface<bool> {
 protected:
  static constexpr std::size_t kStreams = 100;
  static constexpr std::uint64_t kStreamBufferKib = 128;  // limits.stream_buffer_bytes

  static std::vector<std::uint32_t> ask_for_many(harness::H2Client& client) {
    std::vector<std::uint32_t> streams;
    for (std::size_t i = 0; i < kStreams; ++i) {
      streams.push_back(client.begin({.target = "/bytes/3000000"}));
    }
    return streams;
  }
};

TEST_P(ShutWindowTest, HoldsWhatItsLimitSaysAndLittleMore) {
  start_warm();
  std::unique_ptr<harness::H2Client> shut;
  const std::uint64_t grown = growth_kib([&] {
    if (GetParam()) {
      auto open = connect_h2({.keeps_bodies = false});
      for (const std::uint32_t stream : ask_for_many(*open)) {
        ASSERT_EQ(open->finish(stream).body_size, 3'000'000u);
      }
    }
    shut = connect_h2({.opens_windows = false, .settings = {{harness::h2::kInitialWindowSize, 0}}});
    for (const std::uint32_t stream : ask_for_many(*shut)) {
      ASSERT_TRUE(shut->wait_for_head(stream));
    }
    for (int i = 0; i < 100; ++i) EXPECT_EQ(get("/").status, 200);
  });
  const double amplification =
      static_cast<double>(grown) / static_cast<double>(kStreams * kStreamBufferKib);
  RecordProperty("amplification", std::to_string(amplification));
  // Beside the limit, a server connection's first burst: 32 buffers of 16 KiB, four times as much.
  EXPECT_LE(amplification, sanitized() ? 10 : 6);
}

INSTANTIATE_TEST_SUITE_P(Connections, ShutWindowTest, testing::Bool(),
                         [](const auto& each) { return each.param ? "Grown" : "New"; });

TEST_F(MemoryTest, ASlowReaderLeavesOthersAlone) {
  if (!harness::Wrk::installed()) GTEST_SKIP() << "wrk is not installed";
  start({.workers = 1});
  auto p99 = [&] {
    auto wrk = harness::Wrk::start({.url = "http://" + sluice_->endpoint("http").text() + "/",
                                    .connections = 8,
                                    .duration = seconds(2)});
    EXPECT_TRUE(wrk) << wrk.error();
    auto result = (*wrk)->stop(/*interrupt=*/false);
    EXPECT_TRUE(result) << result.error();
    EXPECT_EQ(result->failed(), 0u) << result->output;
    return result->p99_ms;
  };
  double quiet = p99();
  std::atomic<bool> over = false;
  auto slow = connect();
  slow->set_receive_buffer(4096);
  std::thread reader([&] {
    // About 3 MB/s of 1 GB: never done while it matters.
    download(*slow, "/bytes/1000000000", [&](std::string_view) {
      if (over) shutdown(slow->fd(), SHUT_RDWR);
      std::this_thread::sleep_for(milliseconds(1));
    });
  });
  double beside = p99();
  over = true;
  reader.join();
  // A shared machine is not quiet: the worst of three quiet runs counts, and a millisecond.
  for (int i = 0; i < 2; ++i) quiet = std::max(quiet, p99());
  EXPECT_LE(beside, quiet * 1.2 + 1);
}

}  // namespace
}  // namespace sluice::integration
