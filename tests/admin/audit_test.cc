#include "admin/audit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "admin/plan.h"
#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using testing::make_request;
using testing::Node;

TEST(Audit, LinesSayWhoWhatWhenBeforeAndAfter) {
  Node node;
  Request request = make_request("PUT", "/weights/app", "blue=0&green=100&author=ci&reason=go");
  request.caller = {Caller::Transport::loopback_tcp, 1000, "127.0.0.1:50122"};
  request.identity = identify(request, node.view());
  const auto command = std::get<Command>(handle(request, node.view()));
  const auto revision = plan(command, node.state, node.facts(), node.now);
  ASSERT_TRUE(revision);
  const Reply reply = render_done(node.view(), command, *revision);
  EXPECT_EQ(audit_line(request, reply, &*revision, node.now),
            "{\"time\": \"2026-11-18T11:06:40.000000000Z\", \"log\": \"audit\", "
            "\"identity\": \"uid:1000\", \"by\": \"uid\", \"role\": \"admin\", \"address\": "
            "\"127.0.0.1:50122\", \"method\": \"PUT\", "
            "\"path\": \"/weights/app\", \"status\": 200, \"what\": \"app: blue=0 green=100\", "
            "\"revision\": 2, \"author\": \"ci\", \"reason\": \"go\", \"changes\": "
            "[{\"route\": \"app\", \"before\": {\"weights\": {\"blue\": 90, \"green\": 10}}, "
            "\"after\": {\"weights\": {\"blue\": 0, \"green\": 100}}}]}\n");
}

TEST(Audit, LinesOfDrainsNameTheServer) {
  Node node;
  const auto revision = node.state.plan_drain(node.config, {"blue", "web-1"}, true, {}, node.now);
  ASSERT_TRUE(revision);
  const auto json = nlohmann::json::parse(
      audit_line(make_request("POST", "/servers/blue/web-1/drain"), Reply{}, &*revision, node.now));
  EXPECT_EQ(
      json["changes"],
      (nlohmann::json{{{"server", "blue/web-1"}, {"before", "active"}, {"after", "draining"}}}));
}

TEST(Audit, RefusalsSayWhy) {
  Node node;
  Request request = make_request("GET", "/weights");
  request.caller = {Caller::Transport::loopback_tcp, std::nullopt, "127.0.0.1:1"};
  request.identity = identify(request, node.view());
  const Reply reply = node.call(request);
  const auto json = nlohmann::json::parse(audit_line(request, reply, nullptr, node.now));
  EXPECT_EQ(json["identity"], "unknown");
  EXPECT_EQ(json["status"], 403);
  EXPECT_TRUE(json["what"].get<std::string>().starts_with("unknown_caller: "));
  EXPECT_FALSE(json.contains("revision"));
}

TEST(Audit, WhateverBytesComeALineStaysOneLineOfJson) {
  Node node;
  Request request = make_request("P\nT\xff", "/\r\n\x1b[2J\xff\"" + std::string(100'000, 'x'));
  const std::string line = audit_line(request, node.call(request), nullptr, node.now);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_LT(line.size(), 3000u);
  EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded());
}

TEST(Audit, EveryWriteAndEveryRefusalIsWorthALine) {
  const auto audited = [](const char* method, int status) {
    Reply reply;
    reply.status = status;
    return is_audited(make_request(method, "/weights/app"), reply);
  };
  EXPECT_TRUE(audited("PUT", 200));
  EXPECT_TRUE(audited("PUT", 422));
  EXPECT_TRUE(audited("POST", 504));
  EXPECT_TRUE(audited("DELETE", 405));
  EXPECT_TRUE(audited("GET", 403));
  EXPECT_TRUE(audited("HEAD", 421));
  EXPECT_FALSE(audited("GET", 200));
  EXPECT_TRUE(audited("GET", 404));
  EXPECT_FALSE(audited("HEAD", 200));
}

}  // namespace
}  // namespace sluice::admin
