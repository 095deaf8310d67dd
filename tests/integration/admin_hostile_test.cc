// Everything that can be wrong with an admin call: the documented answer, nothing changed, exactly
// one line in the audit log.
#include "tests/integration/admin_hostile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "tests/harness/net.h"

namespace sluice::integration {
namespace {

class AdminHostileTest : public AdminHostile {};

constexpr std::string_view kShift = "blue=1&green=1";

TEST_F(AdminHostileTest, WrongCallersChangeNothing) {
  Scenario scenario = with_tokens();
  scenario.split = "{ blue = 90, green = 10 }";
  scenario.routes =
      "[routes.app]\nsplit = { blue = 90, green = 10 }\n"
      "[routes.other]\nhost = \"other.example\"\nsplit = { blue = 1, green = 0 }\n";
  const std::string viewer = make_token("look", "viewer");
  const std::string limited = make_token("ci", "operator", {"--route", "other"});
  start(scenario);
  const struct {
    Fields fields;
    int status;
    const char* code;
  } callers[] = {
      {bearer(viewer), 403, "role_not_enough"},
      {bearer(limited), 403, "role_not_enough"},
      {bearer("slc_wrong"), 401, "unknown_token"},
      {bearer(""), 401, "unknown_scheme"},
      {field("Authorization", "Basic cm9vdDpyb290"), 401, "unknown_scheme"},
      {field("Host", "rebound.example"), 421, "host_not_allowed"},
      {field("Origin", "https://evil.example"), 403, "cross_site"},
      {field("Origin", "null"), 403, "cross_site"},
      {field("Sec-Fetch-Site", "cross-site"), 403, "cross_site"},
  };
  const std::vector<std::pair<const char*, const char*>> writes = {
      {"PUT", "/weights/app"},
      {"PATCH", "/v1/weights/app"},
      {"POST", "/switch/app"},
      {"POST", "/servers/blue/one/drain"},
      {"POST", "/servers/blue/one/resume"},
  };
  for (const auto& caller : callers) {
    for (const auto& [method, target] : writes) {
      const std::string_view body = std::string_view(target).starts_with("/switch") ? "to=green"
                                    : std::string_view(target).ends_with("app")     ? kShift
                                                                                    : "";
      expect_refused(std::string(method) + " " + target + " " + caller.code, caller.status,
                     caller.code, [&, method = method, target = target] {
                       return call(method, target, body, caller.fields);
                     });
    }
  }
}

TEST_F(AdminHostileTest, BadWeightsChangeNothing) {
  start({.split = "{ blue = 90, green = 10 }", .more = audit_table()});
  std::vector<Row> rows = {
      {"PUT", "/weights/app", "blue=0&green=0", 422, "bad_split"},
      {"PUT", "/weights/app", "blue=1", 422, "bad_split"},
      {"PUT", "/weights/app", "blue=1&green=1&red=1", 422, "unknown_backend"},
      {"PUT", "/weights/app", "blue=1&blue=1&green=1", 422, "bad_split"},
      {"PATCH", "/weights/app", "blue=0&green=0", 422, "bad_split"},
  };
  for (const char* weight : {"-1",
                             "-0",
                             "-0.5",
                             "NaN",
                             "nan",
                             "-nan",
                             "Infinity",
                             "inf",
                             "1e3",
                             "1e400",
                             "0x10",
                             "1000000001",
                             "99999999999999999999999999",
                             "18446744073709551617",
                             "0.0000001",
                             "1.",
                             ".5",
                             "1,5",
                             "%2B1",
                             "1%20",
                             "",
                             "one",
                             "%00",
                             "1%00",
                             "%EF%BC%91"}) {
    for (const char* method : {"PUT", "PATCH"}) {
      rows.push_back(
          {method, "/weights/app", "green=1&blue=" + std::string(weight), 422, "bad_split"});
    }
  }
  expect_each(rows, {});
  const Fields as_json = field("Content-Type", "application/json");
  rows.clear();
  for (const char* weight : {"-1", "-1.5", "1000000001", "0.0000001", "-1e-400"}) {
    rows.push_back({"PUT", "/weights/app", "{\"blue\": " + std::string(weight) + ", \"green\": 1}",
                    422, "bad_split"});
  }
  rows.push_back({"PUT", "/weights/app", "{\"blue\": \"1\", \"green\": 1}", 422, "bad_weight"});
  for (const char* no_json :
       {"NaN", "Infinity", "1e400", "-", "01", "+1", "1.", "'1'", "", "1, \"green\"", "[1", "{"}) {
    rows.push_back({"PUT", "/weights/app", "{\"blue\": " + std::string(no_json) + ", \"green\": 1}",
                    400, "bad_json"});
  }
  expect_each(rows, as_json);
}

TEST_F(AdminHostileTest, BadBodiesChangeNothing) {
  start({.split = "{ blue = 90, green = 10 }", .more = audit_table()});
  std::string fields;
  for (int i = 0; i < 200; ++i) fields += "&b" + std::to_string(i) + "=1";
  expect_each({{"PUT", "/weights/app", "{\"blue\": 1, \"green\": 1}", 415, "not_a_form"},
               {"PUT", "/weights/app", "blue", 400, "bad_form"},
               {"PUT", "/weights/app", "blue=%zz&green=1", 400, "bad_form"},
               {"PUT", "/weights/app", "=1&green=1", 400, "bad_form"},
               {"PUT", "/weights/app", fields, 400, "bad_form"},
               {"POST", "/switch/app", "to=green&to=blue", 400, "repeated_parameter"},
               {"POST", "/switch/app", "tp=green", 400, "unknown_parameter"},
               {"POST", "/switch/app", "", 422, "no_target"},
               {"PUT", "/weights/app", "blue=1&green=1&reason=%0a", 422, "bad_remark"},
               {"PUT", "/weights/app", "blue=1&green=1&author=%ff", 422, "bad_remark"},
               {"GET", "/weights", "blue=1", 400, "unexpected_body"}},
              {});
  std::vector<Row> rows;
  for (const char* body : {"{", "}", "[]", "null", "1", "\"blue\"", "{\"blue\": 1,}",
                           "{\"blue\": 1} {}", "\xff\xfe"}) {
    rows.push_back({"PUT", "/weights/app", body, 400, "bad_json"});
  }
  rows.push_back({"PUT", "/weights/app", std::string(30'000, '['), 400, "bad_json"});
  rows.push_back({"PUT", "/weights/app", "{\"blue\": 1, \"blue\": 2}", 422, "bad_split"});
  expect_each(rows, field("Content-Type", "application/json"));
  expect_each({{"PUT", "/weights/app", "<x/>", 415, "unsupported_content_type"}},
              field("Content-Type", "application/xml"));
  expect_each({{"PUT", "/weights/app", std::string(kShift), 412, "stale"}},
              field("If-Match", "\"999\""));
  expect_each({{"PUT", "/weights/app", std::string(kShift), 400, "bad_if_match"}},
              field("If-Match", "1"));
}

TEST_F(AdminHostileTest, UnknownPlacesAndMethodsChangeNothing) {
  start({.more = audit_table()});
  expect_each({{"PUT", "/weights/nope", std::string(kShift), 404, "unknown_route"},
               {"GET", "/weights/nope", "", 404, "unknown_route"},
               {"POST", "/switch/nope", "to=green", 404, "unknown_route"},
               {"POST", "/nope", "", 404, "unknown_path"},
               {"GET", "/nope", "", 404, "unknown_path"},
               {"PUT", "/v2/weights/app", std::string(kShift), 404, "unknown_path"},
               {"POST", "/servers/blue/two/drain", "", 404, "unknown_server"},
               {"POST", "/servers/red/one/drain", "", 404, "unknown_backend"},
               {"POST", "/servers/blue/one/drain?wait=soon", "", 422, "bad_wait"},
               {"POST", "/servers/blue/one/drain?wait=1000m", "", 422, "bad_wait"},
               {"DELETE", "/weights/app", "", 405, "method_not_allowed"},
               {"POST", "/weights/app", std::string(kShift), 405, "method_not_allowed"},
               {"GET", "/switch/app", "", 405, "method_not_allowed"},
               {"BREW", "/weights/app", "", 405, "method_not_allowed"},
               {"PUT", "/weights/app?format=xml", std::string(kShift), 422, "bad_format"}},
              {});
}

TEST_F(AdminHostileTest, HugeBodiesAreRefusedAsSoonAsTheyAreKnownToBe) {
  start({.more = audit_table()});
  const auto connect_admin = [&] {
    auto client = HttpClient::connect(sluice_->admin());
    EXPECT_TRUE(client) << client.error();
    return std::move(*client);
  };
  expect_refused("by its length, of which nothing is sent", 413, "body_too_large", [&] {
    auto client = connect_admin();
    client->send(
        "PUT /weights/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n");
    return client->read_response({.method = "PUT"});
  });
  expect_refused("in chunks without end", 413, "body_too_large", [&] {
    auto client = connect_admin();
    client->send(
        "PUT /weights/app HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; ++i) client->send("400\r\n" + std::string(1024, 'x') + "\r\n");
    return client->read_response({.method = "PUT"});
  });
}

TEST_F(AdminHostileTest, WhoMayNotIsToldSoBeforeABodyIsRead) {
  const Scenario scenario = with_tokens();
  const std::string viewer = make_token("look", "viewer");
  start(scenario);
  const std::string local = "Host: localhost\r\n";
  const struct {
    std::string line;
    std::string fields;
    int status;
    const char* code;
  } cases[] = {
      {"PUT /weights/app", local + "Authorization: Bearer slc_guess\r\n", 401, "unknown_token"},
      {"PUT /weights/app", local + "Authorization: Basic x\r\n", 401, "unknown_scheme"},
      {"PUT /weights/app", local + "Authorization: Bearer " + viewer + "\r\n", 403,
       "role_not_enough"},
      {"PUT /weights/app", "Host: evil.example\r\n", 421, "host_not_allowed"},
      {"PUT /weights/app", local + "Origin: http://evil.example\r\n", 403, "cross_site"},
      {"PUT /weights/app", local + "Sec-Fetch-Site: cross-site\r\n", 403, "cross_site"},
      {"GET /weights", local + "Authorization: Bearer slc_guess\r\n", 401, "unknown_token"},
      {"PUT /nowhere", local, 404, "unknown_path"},
      {"PUT /ledger", local, 405, "method_not_allowed"},
  };
  // Of none of these bodies enough comes to end them; where they were waited for it would be a 408.
  for (const std::string body :
       {"Content-Length: 60000\r\n\r\n", "Content-Length: 60000\r\n\r\nblue=1",
        "Transfer-Encoding: chunked\r\n\r\n1000\r\nblue=1"}) {
    for (const auto& test : cases) {
      expect_refused(test.line + " " + test.fields + body, test.status, test.code, [&] {
        auto client = HttpClient::connect(sluice_->admin());
        EXPECT_TRUE(client) << client.error();
        (*client)->send(test.line + " HTTP/1.1\r\n" + test.fields + body);
        const Response response = (*client)->read_response({.method = "PUT"});
        EXPECT_EQ(response.field("Connection"), "close");
        return response;
      });
    }
  }
  EXPECT_EQ(metric("sluice_admin_auth_failures_total{reason=\"unknown_token\"}"), 6);
  // Who may is heard out.
  EXPECT_EQ(call("PUT", "/weights/app", "blue=1&green=1").status, 200);
}

TEST_F(AdminHostileTest, ASlowBodyIsGivenUpOn) {
  start({.more = audit_table()});
  expect_refused("a body that never ends", 408, "request_too_slow", [&] {
    auto client = HttpClient::connect(sluice_->admin());
    EXPECT_TRUE(client) << client.error();
    (*client)->send(
        "PUT /weights/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nblue=1&green=");
    return (*client)->read_response({.method = "PUT"});
  });
  EXPECT_EQ(metric("sluice_admin_requests_total{result=\"invalid\"}"), 1);
}

TEST_F(AdminHostileTest, WhatIsNoRequestIsCountedAndWrittenDown) {
  start({.more = audit_table()});
  const struct {
    const char* bytes;
    int status;
  } cases[] = {
      {"PUT /weights/app HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"PUT /weights/app HTTP/1.1\r\n\r\n", 400},
      {"PUT /weights/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"PUT /weights/app HTTP/3.0\r\nHost: a\r\n\r\n", 505},
      {"PUT /weights/app HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
       "\r\n0\r\n\r\n",
       400},
      {"PUT /weights/app HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       400},
      {"\x16\x03\x01\x02", 400},
  };
  for (const auto& test : cases) {
    expect_refused(test.bytes, test.status, "", [&] {
      auto client = HttpClient::connect(sluice_->admin());
      EXPECT_TRUE(client) << client.error();
      (*client)->send(test.bytes);
      return (*client)->read_response({.method = "PUT"});
    });
  }
  EXPECT_EQ(metric("sluice_admin_requests_total{result=\"malformed\"}"), std::size(cases));
}

TEST_F(AdminHostileTest, StrangersCanNotFillTheAuditLog) {
  start(with_tokens());
  auto client = HttpClient::connect(sluice_->admin());
  ASSERT_TRUE(client);
  constexpr int kCalls = 1000;
  for (int i = 0; i < kCalls; ++i) {
    ASSERT_EQ((*client)->request("GET", "/weights", "", bearer("slc_guess")).status, 401);
  }
  const double lines = metric("sluice_audit_lines_total");
  const double dropped = metric("sluice_audit_lines_dropped_total{reason=\"flood\"}");
  EXPECT_EQ(lines + dropped, kCalls);
  EXPECT_GE(lines, 200);
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(metric("sluice_admin_auth_failures_total{reason=\"unknown_token\"}"), kCalls);
  // Who is known is still heard.
  EXPECT_EQ(call("POST", "/switch/app", "to=green").status, 200);
  EXPECT_EQ(audit_lines(static_cast<std::size_t>(lines) + 1).back()["identity"],
            "uid:" + std::to_string(::geteuid()));
}

TEST_F(AdminHostileTest, G9AStuckAuditLogDelaysNeitherCallsNorTraffic) {
  const std::string pipe = directory_->file("audit.pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  // Somebody has it open, and reads nothing.
  const harness::Fd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader);
  start({.more = "[audit_log]\npath = \"@DIR@/audit.pipe\"\n"});
  auto client = HttpClient::connect(sluice_->admin());
  ASSERT_TRUE(client);
  // A long name for each line, until the pipe and the ring are full.
  const std::string target = "/weights/" + std::string(1000, 'x');
  const double enough = 5;
  int calls = 0;
  while (metric("sluice_audit_lines_dropped_total{reason=\"sink\"}") < enough) {
    for (int i = 0; i < 100; ++i, ++calls) {
      ASSERT_EQ((*client)->request("PUT", target, kShift, as_form({}, kShift)).status, 404);
    }
    ASSERT_LT(calls, 20'000) << "nothing was ever dropped";
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(call("POST", "/switch/app", "to=green").status, 200);
  EXPECT_EQ(get("/").field("X-Backend"), "green");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
}

TEST_F(AdminHostileTest, TheAuditLogIsOpenedAnewOnReload) {
  const Scenario scenario{.more = audit_table()};
  start(scenario);
  ASSERT_EQ(call("POST", "/switch/app", "to=green").status, 200);
  ASSERT_EQ(audit_lines(1).size(), 1u);
  const std::string moved = directory_->file("audit.log.1");
  std::filesystem::rename(directory_->file("audit.log"), moved);
  ASSERT_TRUE(reload(scenario));
  ASSERT_EQ(call("POST", "/switch/app", "to=blue").status, 200);
  EXPECT_TRUE(wait_until(
      [&] { return lines_of(harness::read_file(directory_->file("audit.log"))).size() == 1; }));
  EXPECT_EQ(lines_of(harness::read_file(moved)).size(), 1u);
}

}  // namespace
}  // namespace sluice::integration
