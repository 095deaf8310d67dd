// Who may do what: every endpoint by every role, and what a limited operator may touch.
#include <gtest/gtest.h>

#include <map>

#include "admin/access.h"
#include "admin/endpoints.h"
#include "admin/identity.h"
#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using conf::Grant;
using conf::Role;
using testing::json_of;
using testing::make_request;
using testing::Node;
using testing::outcome;
using enum conf::Role;

Identity holder(Grant grant) {
  return {.by = Identity::By::token,
          .name = "token:ci",
          .token_id = "3f9a12cd",
          .grant = std::move(grant),
          .failure = AuthFailure::none};
}

// What each endpoint needs to be read and to be written. One that is not here fails the test: who
// adds an endpoint says whom it is for.
struct Needed {
  Role read;
  Role write;
};
const std::map<std::string, Needed> kNeeded = {
    {"/", {viewer, admin}},
    {"/weights", {viewer, admin}},
    {"/weights/{ROUTE}", {viewer, operator_}},
    {"/switch/{ROUTE}", {viewer, operator_}},
    {"/shifts", {viewer, operator_}},
    {"/states/{ROUTE}", {viewer, operator_}},
    {"/maintenance/{ROUTE}", {viewer, operator_}},
    {"/rollback/{ROUTE}", {viewer, operator_}},
    {"/history", {viewer, admin}},
    {"/history/{ROUTE}", {viewer, admin}},
    {"/revisions/{NUMBER}", {viewer, admin}},
    {"/leases", {viewer, admin}},
    {"/leases/{NUMBER}", {viewer, operator_}},
    {"/leases/{NUMBER}/renew", {viewer, operator_}},
    {"/backends", {viewer, admin}},
    {"/backends/{BACKEND}", {viewer, admin}},
    {"/backends/{BACKEND}/drain", {viewer, operator_}},
    {"/backends/{BACKEND}/resume", {viewer, operator_}},
    {"/servers/{BACKEND}", {viewer, admin}},
    {"/servers/{BACKEND}/{SERVER}", {viewer, admin}},
    {"/servers/{BACKEND}/{SERVER}/drain", {viewer, operator_}},
    {"/servers/{BACKEND}/{SERVER}/resume", {viewer, operator_}},
    {"/conflicts", {viewer, admin}},
    {"/reload", {viewer, admin}},
    {"/ledger", {admin, admin}},
    {"/events", {viewer, admin}},
    {"/explain", {viewer, admin}},
    {"/webhooks", {viewer, admin}},
};

std::string path_of(std::string_view pattern) {
  std::string path(pattern);
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"{ROUTE}", "app"},
                                    {"{BACKEND}", "blue"},
                                    {"{SERVER}", "web-1"},
                                    {"{NUMBER}", "1"}}) {
    if (const auto at = path.find(name); at != path.npos) path.replace(at, name.size(), value);
  }
  return path;
}

std::vector<std::string> methods_of(std::string_view allow) {
  std::vector<std::string> methods;
  while (!allow.empty()) {
    const std::size_t end = std::min(allow.find(", "), allow.size());
    methods.emplace_back(allow.substr(0, end));
    allow.remove_prefix(std::min(end + 2, allow.size()));
  }
  return methods;
}

bool reads(const std::string& method) {
  return method == "GET" || method == "HEAD";
}

TEST(Roles, EveryEndpointSaysWhatItNeeds) {
  for (const Endpoint& endpoint : endpoints()) {
    const auto needed = kNeeded.find(std::string(endpoint.pattern));
    ASSERT_NE(needed, kNeeded.end()) << endpoint.pattern;
    EXPECT_EQ(endpoint.read_role, needed->second.read) << endpoint.pattern;
    EXPECT_EQ(endpoint.write_role, needed->second.write) << endpoint.pattern;
  }
  EXPECT_EQ(kNeeded.size(), endpoints().size());
}

TEST(Roles, EveryEndpointIsRefusedToWhoHasLessAndOnlyToThem) {
  for (const Endpoint& endpoint : endpoints()) {
    for (const std::string& method : methods_of(endpoint.allow)) {
      for (const Role role : {viewer, operator_, admin}) {
        const Node node;
        Request request = make_request(method, path_of(endpoint.pattern));
        request.identity = holder({.role = role});
        const auto answer = handle(request, node.view());
        const Reply* reply = std::get_if<Reply>(&answer);
        const bool refused = reply != nullptr && outcome(*reply) == "403 role_not_enough";
        const Role needed = reads(method) ? endpoint.read_role : endpoint.write_role;
        EXPECT_EQ(refused, role < needed)
            << method << " " << endpoint.pattern << " by " << word_for(role);
        const std::optional<Reply> at_head = refuse_head(request, node.view());
        EXPECT_EQ(at_head.has_value(), refused)
            << method << " " << endpoint.pattern << " by " << word_for(role);
        if (at_head && refused) {
          EXPECT_EQ(at_head->body, reply->body);
        }
      }
    }
  }
}

TEST(Roles, ARefusalSaysWhichRoleOnWhat) {
  Node node;
  Request request = make_request("PUT", "/weights/app", "blue=0&green=1");
  request.identity = holder({.role = viewer});
  auto answer = handle(request, node.view());
  EXPECT_EQ(json_of(std::get<Reply>(answer))["detail"],
            "token:ci has the role viewer, and this call needs the role operator on route "
            "\"app\".");
  request.identity = holder({.role = operator_, .routes = {"api.v2"}});
  answer = handle(request, node.view());
  EXPECT_EQ(json_of(std::get<Reply>(answer))["detail"],
            "token:ci is an operator of some routes and backends only, and this call needs the "
            "role operator on route \"app\".");
}

TEST(Roles, ALimitedOperatorChangesWhatItsGrantNames) {
  const std::string shift = "PUT /weights/app";
  const std::string drain = "POST /servers/blue/web-1/drain";
  const struct {
    Grant grant;
    bool shifts;
    bool drains;
  } cases[] = {
      {{.role = operator_}, true, true},
      {{.role = operator_, .routes = {"app"}}, true, false},
      {{.role = operator_, .routes = {"*"}}, true, false},
      {{.role = operator_, .routes = {"api.v2"}}, false, false},
      {{.role = operator_, .routes = {"ap"}}, false, false},
      {{.role = operator_, .backends = {"blue"}}, false, true},
      {{.role = operator_, .backends = {"*"}}, false, true},
      {{.role = operator_, .backends = {"green"}}, false, false},
      {{.role = operator_, .routes = {"api.v2", "app"}, .backends = {"green", "blue"}}, true, true},
  };
  for (const auto& test : cases) {
    for (const std::string& call : {shift, drain}) {
      const Node node;
      const std::size_t space = call.find(' ');
      Request request = make_request(call.substr(0, space), call.substr(space + 1),
                                     call == shift ? "blue=1&green=1" : "");
      request.identity = holder(test.grant);
      const bool allowed = std::holds_alternative<Command>(handle(request, node.view()));
      EXPECT_EQ(allowed, call == shift ? test.shifts : test.drains)
          << call << " with " << ::testing::PrintToString(test.grant.routes)
          << ::testing::PrintToString(test.grant.backends);
    }
  }
}

TEST(Roles, ATransactionNeedsTheRoleOnEachOfItsRoutes) {
  const Identity identity = holder({.role = operator_, .routes = {"app", "api"}});
  const std::vector<std::string> own{"app", "api"};
  const std::vector<std::string> more{"app", "shop", "api"};
  EXPECT_FALSE(authorize(identity, operator_, own));
  const auto refusal = authorize(identity, operator_, more);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(json_of(*refusal)["detail"],
            "token:ci is an operator of some routes and backends only, and this call needs the "
            "role operator on route \"shop\".");
  // Whatever it may touch, an operator is no admin, and may read everything.
  EXPECT_TRUE(authorize(identity, admin, own));
  EXPECT_FALSE(authorize(identity, viewer));
}

TEST(Roles, AShiftOfSeveralRoutesNamesThemInItsBody) {
  const Node node;
  Request request =
      make_request("POST", "/shifts", "app/blue=1&app/green=1&api.v2/blue=1&api.v2/green=1");
  request.identity = holder({.role = operator_, .routes = {"app"}});
  const auto answer = handle(request, node.view());
  ASSERT_TRUE(std::holds_alternative<Reply>(answer));
  EXPECT_EQ(outcome(std::get<Reply>(answer)), "403 role_not_enough");
  request.identity = holder({.role = operator_, .routes = {"app", "api.v2"}});
  EXPECT_TRUE(std::holds_alternative<Command>(handle(request, node.view())));
}

TEST(Roles, ALeaseIsItsRoutes) {
  Node node;
  ASSERT_EQ(node.call("PUT", "/weights/app", "blue=1&green=1&ttl=60s").status, 200);
  ASSERT_EQ(node.state.leases().size(), 1u);
  const std::string path = "/leases/" + std::to_string(node.state.leases().begin()->first);
  for (const char* method : {"POST", "DELETE"}) {
    Request request = make_request(method, method[0] == 'P' ? path + "/renew" : path);
    request.identity = holder({.role = operator_, .routes = {"api.v2"}});
    const auto answer = handle(request, node.view());
    ASSERT_TRUE(std::holds_alternative<Reply>(answer)) << method;
    EXPECT_EQ(outcome(std::get<Reply>(answer)), "403 role_not_enough");
    request.identity = holder({.role = operator_, .routes = {"app"}});
    EXPECT_TRUE(std::holds_alternative<Command>(handle(request, node.view()))) << method;
  }
}

TEST(Roles, WhatIsForcedNeedsAnAdmin) {
  const Node node;
  for (const char* target : {"/weights/app?force=true", "/weights/app?force=false"}) {
    Request request = make_request("PUT", target, "blue=1&green=1");
    request.identity = holder({.role = operator_});
    const bool forced = std::string(target).ends_with("true");
    EXPECT_EQ(std::holds_alternative<Command>(handle(request, node.view())), !forced);
    request.identity = holder({.role = admin});
    EXPECT_TRUE(std::holds_alternative<Command>(handle(request, node.view())));
  }
}

TEST(Roles, ALimitedOperatorReadsEverything) {
  const Node node;
  Request request = make_request("GET", "/weights/app");
  request.identity = holder({.role = operator_, .routes = {"api.v2"}});
  EXPECT_EQ(std::get<Reply>(handle(request, node.view())).status, 200);
}

// --- Who somebody is ----------------------------------------------------------------------------

Request from(Caller caller) {
  Request request = make_request("PUT", "/weights/app", "blue=1&green=1");
  request.caller = std::move(caller);
  return request;
}

// "uid:1000 by uid as operator", or "401 unknown_token".
std::string who(const Node& node, Request request) {
  const View view = node.view();
  request.identity = identify(request, view);
  if (const auto refusal = refuse_access(request, view)) return outcome(*refusal);
  return request.identity.name + " by " + std::string(word_for(request.identity.by)) + " as " +
         std::string(word_for(request.identity.grant.role));
}

using Transport = Caller::Transport;

TEST(Identity, IsTheUidOnThisMachine) {
  Node node;
  node.access.users = {{1001, {.role = viewer}}, {1002, {.role = operator_, .routes = {"app"}}}};
  for (const Transport transport : {Transport::unix_socket, Transport::loopback_tcp}) {
    const auto caller = [&](std::uint32_t uid) {
      return Caller{.transport = transport, .uid = uid};
    };
    EXPECT_EQ(who(node, from(caller(0))), "uid:0 by uid as admin");
    EXPECT_EQ(who(node, from(caller(998))), "uid:998 by uid as admin");
    EXPECT_EQ(who(node, from(caller(1000))), "uid:1000 by uid as admin");
    EXPECT_EQ(who(node, from(caller(1001))), "uid:1001 by uid as viewer");
    EXPECT_EQ(who(node, from(caller(1002))), "uid:1002 by uid as operator");
    EXPECT_EQ(who(node, from(caller(1003))), "403 uid_not_allowed");
  }
}

conf::Token token(Role role, std::optional<WallTime> expires = {}) {
  return {.name = "ci", .id = "3f9a12cd", .grant = {.role = role}, .expires = expires};
}

Caller showing(std::optional<conf::Token> known, Transport transport = Transport::tls) {
  Caller caller{.transport = transport, .uid = 0};
  caller.credentials = {.bearer = true, .token = std::move(known)};
  return caller;
}

TEST(Identity, IsTheTokenWhereverOneIsShown) {
  const Node node;
  for (const Transport transport :
       {Transport::unix_socket, Transport::loopback_tcp, Transport::tls}) {
    EXPECT_EQ(who(node, from(showing(token(operator_), transport))),
              "token:ci by token as operator");
    // Whoever shows a token wants to be judged by it, root too.
    EXPECT_EQ(who(node, from(showing({}, transport))), "401 unknown_token");
    Caller basic{.transport = transport, .uid = 0};
    basic.credentials = Caller::Credentials{};
    EXPECT_EQ(who(node, from(basic)), "401 unknown_scheme");
  }
}

TEST(Identity, ATokenIsGoodUntilItExpires) {
  const Node node;
  EXPECT_EQ(who(node, from(showing(token(viewer, node.now + std::chrono::nanoseconds(1))))),
            "token:ci by token as viewer");
  EXPECT_EQ(who(node, from(showing(token(viewer, node.now)))), "401 expired_token");
}

TEST(Identity, IsACertificateOverTls) {
  Node node;
  node.config.admin.certificates = {{"ci.internal", {.role = operator_}}, {"Jo", {.role = viewer}}};
  const auto shows = [&](std::vector<std::string> names, Duration left = std::chrono::hours(1)) {
    Caller caller{.transport = Transport::tls};
    caller.certificate = Caller::Certificate{.names = std::move(names), .expires = node.now + left};
    return from(caller);
  };
  EXPECT_EQ(who(node, shows({"ci.internal"})),
            "certificate:ci.internal by certificate as operator");
  EXPECT_EQ(who(node, shows({"x", "Jo"})), "certificate:Jo by certificate as viewer");
  // In the file's order, not the certificate's.
  EXPECT_EQ(who(node, shows({"Jo", "ci.internal"})),
            "certificate:ci.internal by certificate as operator");
  EXPECT_EQ(who(node, shows({"jo"})), "403 unknown_certificate");
  EXPECT_EQ(who(node, shows({})), "403 unknown_certificate");
  EXPECT_EQ(who(node, shows({"Jo"}, std::chrono::nanoseconds(-1))), "401 expired_certificate");
}

TEST(Identity, OverTlsAUidSaysNothing) {
  const Node node;
  EXPECT_EQ(who(node, from({.transport = Transport::tls, .uid = 0})), "401 no_credentials");
}

TEST(Identity, A401SaysHowToShowAToken) {
  const Node node;
  const struct {
    Caller caller;
    const char* field;
  } cases[] = {
      {{.transport = Transport::tls}, "Bearer realm=\"sluice\""},
      {showing({}), "Bearer realm=\"sluice\", error=\"invalid_token\""},
      {showing(token(viewer, node.now)), "Bearer realm=\"sluice\", error=\"invalid_token\""},
  };
  for (const auto& test : cases) {
    Request request = from(test.caller);
    request.identity = identify(request, node.view());
    const auto refusal = refuse_access(request, node.view());
    ASSERT_TRUE(refusal);
    const std::vector<std::pair<std::string, std::string>> expected = {
        {"WWW-Authenticate", test.field}};
    EXPECT_EQ(refusal->fields, expected);
  }
}

// --- Containers
// -----------------------------------------------------------------------------------

TEST(Container, LoopbackWritesNeedAToken) {
  Node node;
  node.access.container = "/.dockerenv exists";
  const struct {
    Transport transport;
    const char* method;
    bool token;
    std::string expected;
  } cases[] = {
      {Transport::loopback_tcp, "GET", false, ""},
      {Transport::loopback_tcp, "PUT", false, "401 token_required"},
      {Transport::loopback_tcp, "PUT", true, ""},
      {Transport::unix_socket, "PUT", false, ""},
      {Transport::unix_socket, "GET", false, ""},
  };
  for (const auto& test : cases) {
    Request request =
        make_request(test.method, "/weights/app", test.method[0] == 'P' ? "blue=1&green=1" : "");
    request.caller = {.transport = test.transport, .uid = 0};
    if (test.token) request.caller = showing(token(operator_), test.transport);
    request.identity = identify(request, node.view());
    const auto answer = handle(request, node.view());
    const Reply* reply = std::get_if<Reply>(&answer);
    const std::string got = reply != nullptr && reply->status >= 400 ? outcome(*reply) : "";
    EXPECT_EQ(got, test.expected) << test.method << " " << static_cast<int>(test.transport);
  }
}

}  // namespace
}  // namespace sluice::admin
