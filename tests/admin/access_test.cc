#include "admin/access.h"

#include <gtest/gtest.h>

#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using testing::json_of;
using testing::make_request;
using testing::Node;
using testing::outcome;

Request over_tcp(std::string host) {
  Request request = make_request("GET", "/weights");
  request.host = std::move(host);
  request.caller = {Caller::Transport::loopback_tcp, 0, "127.0.0.1:50122"};
  return request;
}

std::string access(Request request) {
  const Node node;
  request.identity = identify(request, node.view());
  const auto refusal = refuse_access(request, node.view());
  return refusal ? outcome(*refusal) : "allowed";
}

TEST(Access, HostOverTcpIsLoopbackOrListed) {
  const struct {
    const char* host;
    const char* expected;
  } cases[] = {
      {"localhost", "allowed"},
      {"localhost:9901", "allowed"},
      {"LocalHost:9901", "allowed"},
      {"localhost.", "allowed"},
      {"127.0.0.1:9901", "allowed"},
      {"127.0.0.1", "allowed"},
      {"127.3.2.1", "allowed"},
      {"[::1]:9901", "allowed"},
      {"[::1]", "allowed"},
      {"admin.internal", "allowed"},
      {"ADMIN.internal:9901", "allowed"},
      {"", "421 host_not_allowed"},
      {":9901", "421 host_not_allowed"},
      {"evil.example", "421 host_not_allowed"},
      {"evil.example:9901", "421 host_not_allowed"},
      {"localhost.evil.example", "421 host_not_allowed"},
      {"127.0.0.1.evil.example", "421 host_not_allowed"},
      {"notadmin.internal", "421 host_not_allowed"},
      {"10.0.0.1", "421 host_not_allowed"},
      {"0.0.0.0", "421 host_not_allowed"},
      {"*", "421 host_not_allowed"},
      {"[::1", "421 host_not_allowed"},
      {"[2001:db8::1]", "421 host_not_allowed"},
      {"unix", "421 host_not_allowed"},
      {"\xff\xfe\n", "421 host_not_allowed"},
  };
  for (const auto& test : cases) EXPECT_EQ(access(over_tcp(test.host)), test.expected) << test.host;
}

TEST(Access, HostRefusalSaysHowToAllowIt) {
  const Node node;
  const auto refusal = refuse_access(over_tcp("evil.example"), node.view());
  ASSERT_TRUE(refusal);
  EXPECT_EQ(json_of(*refusal)["detail"],
            "Host \"evil.example\" is not a name of this listener: use localhost or a loopback "
            "address, or add the name to admin.hosts in /etc/sluice/sluice.toml.");
}

TEST(Access, AnyHostIsFineOverAUnixSocket) {
  for (const char* host : {"localhost", "admin", "x", "evil.example", ""}) {
    Request request = make_request("GET", "/weights");
    request.host = host;
    EXPECT_EQ(access(request), "allowed") << host;
  }
}

TEST(Access, PagesOfOtherSitesAreRefused) {
  const struct {
    std::optional<std::string> origin;
    std::optional<std::string> sec_fetch_site;
    const char* expected;
  } cases[] = {
      {std::nullopt, std::nullopt, "allowed"},
      {"http://localhost:9901", std::nullopt, "allowed"},
      {"http://LOCALHOST:9901", "same-origin", "allowed"},
      {std::nullopt, "none", "allowed"},
      {std::nullopt, "same-origin", "allowed"},
      {"null", std::nullopt, "403 cross_site"},
      {"", std::nullopt, "403 cross_site"},
      {"https://localhost:9901", std::nullopt, "403 cross_site"},
      {"http://localhost", std::nullopt, "403 cross_site"},
      {"http://localhost:3000", std::nullopt, "403 cross_site"},
      {"http://evil.example", std::nullopt, "403 cross_site"},
      {"http://localhost:9901.evil.example", std::nullopt, "403 cross_site"},
      {std::nullopt, "cross-site", "403 cross_site"},
      {std::nullopt, "same-site", "403 cross_site"},
      {std::nullopt, "", "403 cross_site"},
      {"http://localhost:9901", "cross-site", "403 cross_site"},
  };
  for (const auto& test : cases) {
    for (const bool tcp : {true, false}) {
      Request request = over_tcp("localhost:9901");
      if (!tcp) request.caller.transport = Caller::Transport::unix_socket;
      request.origin = test.origin;
      request.sec_fetch_site = test.sec_fetch_site;
      EXPECT_EQ(access(request), test.expected)
          << test.origin.value_or("-") << " " << test.sec_fetch_site.value_or("-");
    }
  }
}

TEST(Access, UidIsRootOwnOrListed) {
  const struct {
    std::optional<std::uint32_t> uid;
    const char* expected;
  } cases[] = {
      {0, "allowed"},
      {998, "allowed"},
      {1000, "allowed"},
      {1001, "403 uid_not_allowed"},
      {4294967295, "403 uid_not_allowed"},
      {std::nullopt, "403 unknown_caller"},
  };
  for (const auto& test : cases) {
    for (const auto transport : {Caller::Transport::unix_socket, Caller::Transport::loopback_tcp}) {
      Request request = over_tcp("localhost");
      request.caller.transport = transport;
      request.caller.uid = test.uid;
      EXPECT_EQ(access(request), test.expected) << test.uid.value_or(77);
    }
  }
}

TEST(Access, UidRefusalSaysWhoWasSeenAndHowToAllowIt) {
  const Node node;
  Request request = over_tcp("localhost");
  request.caller.uid = 1001;
  request.identity = identify(request, node.view());
  const auto refusal = refuse_access(request, node.view());
  ASSERT_TRUE(refusal);
  EXPECT_EQ(json_of(*refusal)["detail"],
            "User 1001 may not use this API: root and user 998 (Sluice's own) may. To allow it, "
            "add 1001 to [admin.users] in /etc/sluice/sluice.toml, with its role.");
}

TEST(Access, OtherTransportsAreRefusedWhoeverCalls) {
  Request request = over_tcp("localhost");
  request.caller = {Caller::Transport::other, 0, "10.0.0.9:4000"};
  EXPECT_EQ(access(request), "403 not_local");
}

TEST(Access, IsAskedBeforeAnythingElse) {
  Node node;
  for (const char* target : {"/weights", "/weights/app", "/nothing", "%zz", ""}) {
    Request request = make_request("PUT", target, "blue=0&green=1");
    request.caller.uid = 1001;
    EXPECT_EQ(outcome(node.call(request)), "403 uid_not_allowed") << target;
  }
  EXPECT_EQ(node.weights("app"), "blue=90 green=10");
}

}  // namespace
}  // namespace sluice::admin
