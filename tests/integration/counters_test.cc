// What is counted and logged is what the origin saw.
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/harness/load.h"
#include "tests/integration/admin_calls.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

class CountersTest : public SluiceTest {
 protected:
  std::vector<json> log_lines() {
    std::vector<json> lines;
    for (const std::string& line : lines_of(harness::read_file(directory_->file("access.log")))) {
      lines.push_back(json::parse(line, nullptr, false));
      EXPECT_TRUE(lines.back().is_object()) << line;
    }
    return lines;
  }
  Scenario logged() { return {.more = "[access_log]\npath = \"@DIR@/access.log\"\n"}; }
};

TEST_F(CountersTest, CountersEqualTheOriginsOwn) {
  start({.split = "{ blue = 3, green = 1 }"});
  harness::CheckedResult result =
      harness::run_checked({.endpoint = sluice_->endpoint("http"), .requests = 2000});
  ASSERT_EQ(result.completed, 2000u);
  EXPECT_EQ(get("/status/503").status, 503);
  for (auto [name, origin] : {std::pair("blue", &blue_), std::pair("green", &green_)}) {
    std::string backend = name;
    EXPECT_EQ(metric("sluice_server_requests_total{backend=\"" + backend + "\",server=\"one\"}"),
              static_cast<double>(origin->counts().requests));
    EXPECT_EQ(metric("sluice_route_requests_total{route=\"app\",backend=\"" + backend + "\"}"),
              static_cast<double>(origin->counts().requests));
  }
  EXPECT_EQ(metric("sluice_requests_total{status=\"2xx\"}"), 2000);
  EXPECT_EQ(metric("sluice_requests_total{status=\"5xx\"}"), 1);
  EXPECT_EQ(metric("sluice_client_connections{listener=\"http\"}"), 0);
}

TEST_F(CountersTest, EveryExchangeIsOneLineOfTheAccessLog) {
  Scenario one_worker = logged();
  one_worker.workers = 1;  // so that lines are in the order of the exchanges
  start(one_worker);
  auto tls = connect_tls();
  EXPECT_EQ(tls->request("POST", "/echo?a=1", "hello").status, 200);
  EXPECT_EQ(get("/status/404").status, 404);
  EXPECT_EQ(connect()->request("GET", "/truncate/3000000").complete(), false);
  ASSERT_TRUE(wait_until([&] { return log_lines().size() == 3; }));
  std::vector<json> lines = log_lines();
  json first = lines[0];
  EXPECT_EQ(first["method"], "POST");
  EXPECT_EQ(first["path"], "/echo?a=1");
  EXPECT_EQ(first["status"], 200);
  EXPECT_EQ(first["route"], "app");
  EXPECT_EQ(first["backend"], "blue");
  EXPECT_EQ(first["server"], "one");
  EXPECT_EQ(first["request_bytes"], 5);
  EXPECT_EQ(first["response_bytes"], 5);
  EXPECT_EQ(first["outcome"], "complete");
  EXPECT_EQ(first["request_id"], *blue_.requests().at(0).fields.get("X-Request-Id"));
  EXPECT_THAT(first.value("tls_version", ""), testing::HasSubstr("1.3"));
  EXPECT_EQ(lines[1]["status"], 404);
  EXPECT_FALSE(lines[1].contains("tls_version"));
  EXPECT_NE(lines[2]["outcome"], "complete");
}

TEST_F(CountersTest, TheLogIsWholeAfterTheProcessHasGone) {
  start(logged());
  ASSERT_EQ(
      harness::run_checked({.endpoint = sluice_->endpoint("http"), .requests = 5000}).completed,
      5000u);
  stop();
  EXPECT_EQ(log_lines().size(), 5000u);
}

TEST_F(CountersTest, G9AStuckLogDropsLinesAndDelaysNobody) {
  std::string path = directory_->file("access.log");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  // Held open, and never read.
  harness::Fd stuck(open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(stuck);
  start(logged());
  harness::CheckedResult result =
      harness::run_checked({.endpoint = sluice_->endpoint("http"), .requests = 20'000});
  EXPECT_EQ(result.completed, 20'000u) << testing::PrintToString(result.failures);
  double dropped = metric("sluice_access_log_dropped_total");
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(metric("sluice_access_log_lines_total") + dropped, 20'000);
}

TEST_F(CountersTest, RefusedRequestsAreCounted) {
  start();
  auto client = connect();
  client->send("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n");
  EXPECT_EQ(client->read_response().status, 400);
  EXPECT_EQ(metric("sluice_requests_refused_total{status=\"400\"}"), 1);
}

}  // namespace
}  // namespace sluice::integration
