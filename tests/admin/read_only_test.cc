#include <gtest/gtest.h>

#include "admin/api.h"
#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using testing::field;
using testing::make_request;
using testing::Node;
using testing::outcome;

// Anyone, from anywhere, by any name.
Request from_anyone(std::string_view method, std::string_view target) {
  Request request = make_request(method, target);
  request.host = "whatever.example";
  request.caller = {Caller::Transport::other, std::nullopt, "10.0.0.9:4000"};
  request.origin = "http://evil.example";
  return request;
}

TEST(ReadOnly, AnswersWhoeverAsks) {
  const Node node;
  for (const char* method : {"GET", "HEAD"}) {
    for (const char* target : {"/livez", "/readyz", "/metrics", "/livez?verbose", "/readyz?"})
      EXPECT_EQ(outcome(handle_read_only(from_anyone(method, target), node.view())), "200");
  }
}

TEST(ReadOnly, ReadyIsAStatusAndASentence) {
  const Node node;
  View view = node.view();
  Reply reply = handle_read_only(from_anyone("GET", "/readyz"), view);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(reply.body, "ready: every server has been probed\n");

  view.ready = {false, "not ready: blue/web-1 has not been probed yet"};
  reply = handle_read_only(from_anyone("GET", "/readyz"), view);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, "not ready: blue/web-1 has not been probed yet\n");
  EXPECT_EQ(handle_read_only(from_anyone("GET", "/livez"), view).status, 200);

  view.alive = {false, "worker 1 has not ticked for 10 s"};
  EXPECT_EQ(handle_read_only(from_anyone("GET", "/livez"), view).status, 503);
}

TEST(ReadOnly, HasNothingElse) {
  const Node node;
  for (const char* target : {"/", "/weights", "/v1/metrics", "/metrics/", "/readyz/x", "", "*",
                             "/servers/blue/web-1/drain", "/%6detrics", "http://x/metrics"}) {
    EXPECT_EQ(outcome(handle_read_only(from_anyone("GET", target), node.view())),
              "404 unknown_path")
        << target;
  }
}

TEST(ReadOnly, CanOnlyBeRead) {
  const Node node;
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", ""}) {
    const Reply reply = handle_read_only(from_anyone(method, "/metrics"), node.view());
    EXPECT_EQ(outcome(reply), "405 method_not_allowed");
    EXPECT_EQ(field(reply, "Allow"), "GET, HEAD");
  }
}

TEST(ReadOnly, MetricsAreCollectedForThemAlone) {
  const Node node;
  View view = node.view();
  int collected = 0;
  view.collect_metrics = [&] {
    ++collected;
    MetricsInput input;
    input.version = "9.9.9";
    return input;
  };
  handle_read_only(from_anyone("GET", "/livez"), view);
  handle_read_only(from_anyone("GET", "/readyz"), view);
  handle_read_only(from_anyone("POST", "/metrics"), view);
  EXPECT_EQ(collected, 0);
  const Reply reply = handle_read_only(from_anyone("GET", "/metrics"), view);
  EXPECT_EQ(collected, 1);
  EXPECT_EQ(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(reply.body.find("sluice_build_info{version=\"9.9.9\"} 1\n"), std::string::npos);
}

}  // namespace
}  // namespace sluice::admin
