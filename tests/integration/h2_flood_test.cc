// Clients that make a connection work for nothing: each is ended within the published budget, and a
// well-behaved client beside it notices nothing.
#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "tests/harness/h2_client.h"
#include "tests/integration/any_client.h"
#include "tests/integration/floods.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::H2Client;
namespace h2 = harness::h2;

// What a connection that does no useful work gets (docs/limits.md); some more is on its way when
// the end comes.
constexpr std::uint64_t kBytesMax = 1024 * 1024;
constexpr std::uint64_t kFramesMax = 10'000;
constexpr std::uint64_t kOnTheWayFrames = 2'000;

class H2FloodTest : public SluiceTest {
 protected:
  void start_flood(Scenario scenario = {}) {
    scenario.listener += "protocols = [\"http/1.1\", \"h2\"]\n";
    start(scenario);
  }
  // All series of that name together.
  double sum_of(const std::string& name) {
    const Response response = harness::fetch(sluice_->metrics(), "GET", "/metrics");
    double sum = 0;
    for (std::size_t at = 0; (at = response.body.find("\n" + name, at)) != std::string::npos;) {
      const std::size_t end = response.body.find('\n', at + 1);
      sum += std::strtod(&response.body[response.body.rfind(' ', end)], nullptr);
      at = end;
    }
    return sum;
  }
};

class H2FloodTableTest : public H2FloodTest, public testing::WithParamInterface<Flood> {};

TEST_P(H2FloodTableTest, IsEndedWithinItsBudgetAndHurtsNobody) {
  const Flood& flood = GetParam();
  start_flood({.workers = 1});
  Neighbour neighbour(sluice_->endpoint("http"));
  ASSERT_TRUE(neighbour.ask());
  const double goaways = sum_of("sluice_h2_goaways_total");
  const std::uint64_t memory = sluice_->memory().rss_kib;

  std::atomic<bool> over = false;
  std::atomic<int> failed = 0;
  std::thread beside([&] {
    while (!over) {
      if (!neighbour.ask()) ++failed;
    }
  });
  auto client = connect_h2({.answers = false});
  client->send(flood.opening);
  std::uint64_t frames = 0;
  Deadline deadline;
  for (std::uint32_t round = 0; !deadline.over() && frames <= kFramesMax + kOnTheWayFrames;
       ++round) {
    const Batch batch = flood.batch(round);
    if (!client->send(batch.bytes)) break;
    frames += batch.frames;
    // What it says is read before more is sent.
    if (client->wait_until([&] { return client->go_away().has_value(); },
                           Deadline(milliseconds(sanitized() ? 10 : 3)))) {
      break;
    }
  }
  client->wait_until([&] { return client->ending() != Ending::open; });
  over = true;
  beside.join();

  EXPECT_NE(client->ending(), Ending::open) << "after " << frames << " frames";
  EXPECT_LE(frames, kFramesMax + kOnTheWayFrames);
  EXPECT_LE(client->bytes_sent(), kBytesMax + kBytesMax / 4);
  if (client->go_away()) {
    const std::uint32_t code = client->go_away()->code;
    EXPECT_TRUE(code == h2::kEnhanceYourCalm || code == h2::kProtocolError ||
                code == h2::kStreamClosed || code == h2::kFrameSizeError ||
                code == h2::kFlowControlError)
        << h2::code_name(code);
  }
  EXPECT_LT(client->bytes_received(), 10 * client->bytes_sent());
  EXPECT_LT(sluice_->memory().rss_kib,
            memory + (sanitized() ? 65'536 : 4096 + 10 * client->bytes_sent() / 1024));
  EXPECT_GT(sum_of("sluice_h2_goaways_total"), goaways);
  if (!flood.budget.empty()) {
    ASSERT_TRUE(client->go_away());
    EXPECT_EQ(client->go_away()->code, h2::kEnhanceYourCalm);
    EXPECT_EQ(metric("sluice_h2_budget_exhausted_total{budget=\"" + flood.budget + "\"}"), 1);
  }
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(neighbour.ask());
  // What reached the server was taken back.
  EXPECT_TRUE(wait_until([&] { return blue_.counts().held == 0; })) << blue_.counts().held;
}

INSTANTIATE_TEST_SUITE_P(Each, H2FloodTableTest, testing::ValuesIn(floods()),
                         [](const auto& each) { return each.param.name; });

TEST_F(H2FloodTest, BombsOfTheFieldTableAreRefusedBeforeTheyGrow) {
  start_flood({.workers = 1});
  const std::uint64_t memory = sluice_->memory().rss_kib;
  const std::string usual = h2::section(H2Client::request_fields({}));
  // A field of nearly the table's size, or an empty cookie, enters the table, and each byte behind
  // it names it once more.
  const std::string large = "\x40\x01x\x7f\x81\x1e" + std::string(4000 - 32, 'y');
  const std::string crumb(
      "\x40\x06"
      "cookie\x00",
      9);
  // The larger one costs more than a connection may: it is not decoded to its end.
  const std::pair<std::string, const char*> bombs[] = {{large, "GOAWAY ENHANCE_YOUR_CALM"},
                                                       {crumb, "431"}};
  for (const auto& [entry, answer] : bombs) {
    auto client = connect_h2();
    const std::uint32_t stream = client->take_stream();
    const std::string block = usual + entry + std::string(15'000 - entry.size(), '\xbe');
    client->send(h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, stream, block));
    const harness::H2Response response = client->finish(stream);
    EXPECT_EQ(verdict(response), answer) << response.summary();
  }
  EXPECT_EQ(blue_.counts().requests, 0u);
  EXPECT_LT(sluice_->memory().rss_kib, memory + (sanitized() ? 65'536 : 4096));
  EXPECT_EQ(connect_h2()->get("/").status, 200);
}

TEST_F(H2FloodTest, WindowsHeldAtZeroAreTimedOutAndHoldLittle) {
  start_flood({.workers = 1, .timeouts = "stream = \"2s\""});
  ASSERT_EQ(connect_h2()->get("/bytes/1000000").status, 200);
  const std::uint64_t memory = sluice_->memory().rss_kib;
  auto client = connect_h2({.settings = {{h2::kInitialWindowSize, 0}}});
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 50; ++i) streams.push_back(client->begin({.target = "/bytes/10000000"}));
  ASSERT_TRUE(client->send(""));
  ASSERT_TRUE(client->wait_for_head(streams.back()));
  EXPECT_LT(sluice_->memory().rss_kib, memory + (sanitized() ? 262'144 : 32'768));
  for (const std::uint32_t stream : streams) {
    const harness::H2Response response = client->finish(stream);
    EXPECT_NE(response.outcome, Outcome::timed_out) << "it is still there";
    EXPECT_FALSE(response.complete());
  }
  EXPECT_EQ(connect_h2()->get("/").status, 200);
  EXPECT_TRUE(wait_until([&] { return blue_.counts().held == 0; }));
}

TEST_F(H2FloodTest, HeadsThatNeverEndAreTimedOut) {
  start_flood({.timeouts = "request_head = \"1s\"\nidle = \"3s\""});
  auto client = connect_h2();
  // So that no acknowledgement of SETTINGS comes within the head, which would be another error.
  ASSERT_EQ(client->get("/").status, 200);
  blue_.forget();
  const std::string section = h2::section(H2Client::request_fields({}));
  ASSERT_TRUE(
      client->send(h2::frame(h2::kHeaders, h2::kEndStream, client->take_stream(), section)));
  EXPECT_TRUE(client->wait_until([&] { return client->ending() != Ending::open; }));
  ASSERT_TRUE(client->go_away());
  EXPECT_EQ(client->go_away()->code, h2::kEnhanceYourCalm);
  // Nor does a frame, or a preface.
  for (const std::string& bytes :
       {std::string(h2::kPreface.substr(0, 10)),
        std::string(h2::kPreface) + h2::settings({}) + std::string("\0\0\x10\x01", 4),
        std::string(h2::kPreface) + h2::settings({}) +
            h2::frame(h2::kHeaders, h2::kEndStream, 1, section).substr(0, 20)}) {
    auto raw = connect();
    ASSERT_TRUE(raw->send(bytes));
    EXPECT_NE(raw->wait_for_end(), Ending::open);
  }
  EXPECT_EQ(blue_.counts().requests, 0u);
}

TEST_F(H2FloodTest, BodiesThatNeverComeAreTimedOut) {
  start_flood({.timeouts = "stream = \"1s\""});
  auto client = connect_h2();
  const std::uint32_t stream =
      client->begin({.method = "POST", .target = "/upload", .fields = {}, .end = false});
  client->put(stream, "a little", false);
  const harness::H2Response response = client->finish(stream);
  EXPECT_EQ(verdict(response), "408") << response.summary();
  EXPECT_EQ(client->get("/").status, 200);
  EXPECT_EQ(blue_.counts().requests, 1u) << "nothing of the other one looked whole";
}

TEST_F(H2FloodTest, HalfMadeHandshakesAndHoardedConnectionsEnd) {
  start_flood(
      {.timeouts = "tls_handshake = \"1s\"\nidle = \"1s\"", .limits = "client_connections = 50"});
  auto raw = harness::HttpClient::connect(sluice_->endpoint("https"));
  ASSERT_TRUE(raw);
  ASSERT_TRUE((*raw)->send(std::string("\x16\x03\x01\x02\x00\x01", 6)));
  EXPECT_NE((*raw)->wait_for_end(), Ending::open);
  EXPECT_EQ(metric("sluice_timeouts_total{timeout=\"tls_handshake\"}"), 1);
  std::vector<std::unique_ptr<H2Client>> hoard;
  for (int i = 0; i < 80; ++i) {
    hoard.push_back(connect_h2());
    hoard.back()->send("");
  }
  // For those beyond the limit others give way, and all of them end when nothing comes.
  EXPECT_TRUE(wait_until([&] { return metric("sluice_client_connections_gave_way_total") >= 1; }));
  EXPECT_TRUE(
      wait_until([&] { return metric("sluice_client_connections{listener=\"http\"}") <= 50; }));
  EXPECT_TRUE(
      wait_until([&] { return metric("sluice_client_connections{listener=\"http\"}") == 0; }));
  EXPECT_EQ(connect_h2()->get("/").status, 200);
}

}  // namespace
}  // namespace sluice::integration
