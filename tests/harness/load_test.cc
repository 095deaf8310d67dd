#include "tests/harness/load.h"

#include <gtest/gtest.h>

#include "tests/harness/strict_origin.h"

namespace sluice::harness {
namespace {

TEST(ParseWrk, ReadsCountsErrorsAndTheTail) {
  auto result = parse_wrk(R"(Running 10s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms    2.00ms  50.11ms   95.00%
    Req/Sec    60.00k     1.00k   70.00k    70.00%
  Latency Distribution
     50%  900.00us
     75%    1.00ms
     90%    1.50ms
     99%    2.50ms
  600123 requests in 10.00s, 80.00MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  60000.00
Transfer/sec:      8.00MB
)");
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->requests, 600'123u);
  EXPECT_EQ(result->connect_errors, 1u);
  EXPECT_EQ(result->read_errors, 2u);
  EXPECT_EQ(result->write_errors, 3u);
  EXPECT_EQ(result->timeouts, 4u);
  EXPECT_EQ(result->non_2xx, 5u);
  EXPECT_EQ(result->failed(), 15u);
  EXPECT_DOUBLE_EQ(result->p99_ms, 2.5);
}

TEST(ParseWrk, OtherTextIsAnError) {
  EXPECT_FALSE(parse_wrk("unable to connect to 127.0.0.1:1 Connection refused\n"));
  EXPECT_FALSE(parse_wrk(""));
}

TEST(Wrk, RunsUntilItIsStopped) {
  if (!Wrk::installed()) GTEST_SKIP() << "wrk is not installed";
  StrictOrigin origin("blue");
  auto wrk = Wrk::start({.url = "http://" + origin.address() + "/", .connections = 8});
  ASSERT_TRUE(wrk) << wrk.error();
  ASSERT_TRUE(origin.wait_for_requests(500));
  auto result = (*wrk)->stop();
  ASSERT_TRUE(result) << result.error();
  EXPECT_GE(result->requests, 400u);
  EXPECT_EQ(result->failed(), 0u) << result->output;
  EXPECT_TRUE(origin.violations().empty());
}

TEST(Wrk, CountsWhatFails) {
  if (!Wrk::installed()) GTEST_SKIP() << "wrk is not installed";
  StrictOrigin origin("blue");
  for (const char* path : {"/status/503", "/truncate/100", "/drop", "/garbage/not-http"}) {
    origin.forget();
    auto wrk = Wrk::start({.url = "http://" + origin.address() + path, .connections = 4});
    ASSERT_TRUE(wrk) << wrk.error();
    ASSERT_TRUE(origin.wait_for_requests(20));
    auto result = (*wrk)->stop();
    ASSERT_TRUE(result) << result.error();
    EXPECT_GE(result->failed(), 10u) << path << ":\n" << result->output;
  }
}

TEST(CheckedLoad, CountsEveryFailureOnce) {
  StrictOrigin origin("blue");
  CheckedLoad load{.endpoint = origin.endpoint(), .requests = 20, .connections = 4};
  load.target = "/truncate/100";
  CheckedResult truncated = run_checked(load);
  EXPECT_EQ(truncated.failed, 20u);
  EXPECT_EQ(truncated.completed, 0u);
  load.target = "/garbage/two-lengths";
  EXPECT_EQ(run_checked(load).failed, 20u);
  load.target = "/status/503";
  CheckedResult refused = run_checked(load);
  EXPECT_EQ(refused.by_status[503], 20u);
  EXPECT_TRUE(refused.by_backend.empty());
  load.target = "/close";
  CheckedResult closing = run_checked(load);
  EXPECT_EQ(closing.by_backend["blue"], 20u) << testing::PrintToString(closing.failures);
  load.target = "/";
  load.body = "something else";
  EXPECT_EQ(run_checked(load).failed, 20u);
  origin.stop();
  EXPECT_EQ(run_checked(load).failed, 20u);
}

}  // namespace
}  // namespace sluice::harness
