// Everything that can be wrong with calls for transactions, rollbacks, leases, states, maintenance,
// drains and servers. Who may call is tried on every endpoint that there is.
#include <map>
#include <sstream>

#include "tests/integration/admin_hostile.h"

namespace sluice::integration {
namespace {

// A path that exists for each endpoint, and a body that it would take.
struct Example {
  std::string target;
  std::string body;
};

class AdminHostileChangesTest : public AdminHostile {
 protected:
  static Scenario two_routes() {
    return {.routes =
                "[routes.app]\nsplit = { blue = 90, green = 10 }\n"
                "[routes.other]\nhost = \"other.example\"\nsplit = { blue = 1, green = 0 }\n"};
  }

  // Of every endpoint that `GET /` lists, each method that it takes.
  std::vector<std::pair<std::string, Example>> every_call() {
    const std::map<std::string, Example> examples = {
        {"/weights/{ROUTE}", {"/weights/app", "blue=1&green=1"}},
        {"/switch/{ROUTE}", {"/switch/app", "to=green"}},
        {"/shifts", {"/shifts", "app/blue=1&app/green=1"}},
        {"/states/{ROUTE}", {"/states/app", "blue=active&green=off"}},
        {"/maintenance/{ROUTE}", {"/maintenance/app", ""}},
        {"/rollback/{ROUTE}", {"/rollback/app", ""}},
        {"/history/{ROUTE}", {"/history/app", ""}},
        {"/revisions/{NUMBER}", {"/revisions/1", ""}},
        {"/leases/{NUMBER}", {"/leases/" + lease_, ""}},
        {"/leases/{NUMBER}/renew", {"/leases/" + lease_ + "/renew", "ttl=1h"}},
        {"/backends/{BACKEND}", {"/backends/blue", ""}},
        {"/backends/{BACKEND}/drain", {"/backends/blue/drain", ""}},
        {"/backends/{BACKEND}/resume", {"/backends/blue/resume", ""}},
        {"/servers/{BACKEND}", {"/servers/blue", "address=127.0.0.1:9&name=two"}},
        {"/servers/{BACKEND}/{SERVER}", {"/servers/blue/one", "weight=2"}},
        {"/servers/{BACKEND}/{SERVER}/drain", {"/servers/blue/one/drain", ""}},
        {"/servers/{BACKEND}/{SERVER}/resume", {"/servers/blue/one/resume", ""}},
    };
    std::vector<std::pair<std::string, Example>> calls;
    const json index = admin_json("/");
    for (const json& endpoint : index["paths"]) {
      const std::string path = endpoint["path"];
      const auto found = examples.find(path);
      Example example = found == examples.end() ? Example{path, ""} : found->second;
      EXPECT_FALSE(example.target.contains('{')) << "no example for " << path;
      std::istringstream methods(endpoint["methods"].get<std::string>());
      for (std::string method; methods >> method;) {
        if (method.ends_with(',')) method.pop_back();
        calls.emplace_back(method, example);
      }
    }
    EXPECT_GT(calls.size(), 40u);
    return calls;
  }
  static bool reads(const std::string& method) { return method == "GET" || method == "HEAD"; }

  std::string lease_ = "0";
};

TEST_F(AdminHostileChangesTest, WhoMayNotMayNotAnywhere) {
  Scenario scenario = with_tokens();
  scenario.routes = two_routes().routes;
  const std::string viewer = make_token("look", "viewer");
  start(scenario);
  const Response leased = call("PUT", "/weights/app", "blue=50&green=50&ttl=1h");
  ASSERT_EQ(leased.status, 200) << leased.body;
  lease_ = std::to_string(parse_json(leased)["revision"].get<int>());
  const struct {
    Fields fields;
    int status;
    const char* code;
    bool reads_too;
  } callers[] = {
      {bearer(viewer), 403, "role_not_enough", false},
      {bearer("slc_wrong"), 401, "unknown_token", true},
      {field("Authorization", "Basic cm9vdDpyb290"), 401, "unknown_scheme", true},
      {field("Host", "rebound.example"), 421, "host_not_allowed", true},
      {field("Origin", "https://evil.example"), 403, "cross_site", true},
      {field("Sec-Fetch-Site", "cross-site"), 403, "cross_site", true},
  };
  for (const auto& [method, example] : every_call()) {
    for (const auto& caller : callers) {
      const bool may = reads(method) && !caller.reads_too && example.target != "/ledger";
      if (may) continue;
      expect_refused(method + " " + example.target + " " + caller.code, caller.status,
                     method == "HEAD" ? "" : caller.code, [&, method = method, example = example] {
                       return call(method, example.target, reads(method) ? "" : example.body,
                                   caller.fields);
                     });
    }
  }
}

TEST_F(AdminHostileChangesTest, AnOperatorOfOneRouteTouchesNoOther) {
  Scenario scenario = with_tokens();
  scenario.routes = two_routes().routes;
  const Fields limited = bearer(make_token("ci", "operator", {"--route", "other"}));
  start(scenario);
  const Response leased = call("PUT", "/weights/app", "blue=50&green=50&ttl=1h");
  ASSERT_EQ(leased.status, 200) << leased.body;
  lease_ = std::to_string(parse_json(leased)["revision"].get<int>());
  for (const auto& [method, example] : every_call()) {
    if (reads(method)) continue;
    expect_refused(method + " " + example.target, 403, "role_not_enough",
                   [&, method = method, example = example] {
                     return call(method, example.target, example.body, limited);
                   });
  }
  expect_each({{"POST", "/shifts", "other/blue=1&other/green=1&app/blue=1&app/green=1", 403,
                "role_not_enough"},
               {"PUT", "/weights/other", "blue=1&green=1&force=true", 403, "role_not_enough"}},
              limited);
  EXPECT_EQ(call("PUT", "/weights/other", "blue=1&green=1", limited).status, 200);
}

TEST_F(AdminHostileChangesTest, BadTransactionsChangeNothing) {
  Scenario scenario = two_routes();
  scenario.more = audit_table();
  start(scenario);
  std::string many;
  for (int i = 0; i < 60; ++i) {
    const std::string route = "r" + std::to_string(i);
    many += (i == 0 ? "" : "&") + route + "/blue=1&" + route + "/green=1";
  }
  expect_each(
      {{"POST", "/shifts", "", 422, "bad_split"},
       {"POST", "/shifts", "app=1", 400, "unknown_parameter"},
       {"POST", "/shifts", "app/blue=1", 422, "bad_split"},
       {"POST", "/shifts", "app/blue=1&app/green=-1", 422, "bad_split"},
       {"POST", "/shifts", "app/blue=1&app/green=NaN", 422, "bad_split"},
       {"POST", "/shifts", "app/blue=0&app/green=0", 422, "bad_split"},
       {"POST", "/shifts", "app/blue=1&app/green=1&app/blue=1", 422, "bad_split"},
       {"POST", "/shifts", "app/blue=1&app/green=1&app/red=1", 422, "unknown_backend"},
       {"POST", "/shifts", "app/blue=1&app/green=1&nope/blue=1", 404, "unknown_route"},
       {"POST", "/shifts", "app/blue=1&app/green=1&other/blue=1", 422, "bad_split"},
       {"POST", "/shifts", "app/blue=1&app/green=9e9&other/blue=1&other/green=1", 422, "bad_split"},
       {"POST", "/shifts", "/blue=1", 404, "unknown_route"},
       {"POST", "/shifts", "app/=1&app/green=1", 422, "unknown_backend"},
       {"POST", "/shifts", many, 404, "unknown_route"},
       {"POST", "/shifts", many + "&" + many, 400, "bad_form"}},
      {});
  std::vector<Row> rows;
  for (const char* body :
       {"{", "[]", "{\"routes\": []}", "{\"routes\": {\"app\": {\"weights\": {\"blue\": 01}}}}",
        "{\"routes\": 7}", "{\"ttl\": 60}"}) {
    rows.push_back({"POST", "/shifts", body, 400, "bad_json"});
  }
  const std::string whole = "{\"blue\": 1, \"green\": 1}";
  for (const std::string& route :
       {std::string("[]"), std::string("{\"weights\": []}"),
        std::string("{\"weights\": {\"blue\": \"1\", \"green\": 1}}"),
        std::string("{\"weights\": {\"blue\": -1, \"green\": 1}}"),
        std::string("{\"weights\": {\"blue\": 1e99, \"green\": 1}}"), std::string("{\"to\": 7}"),
        std::string("{\"states\": {\"blue\": \"asleep\"}}"),
        "{\"to\": \"green\", \"weights\": " + whole + "}"}) {
    rows.push_back({"POST", "/shifts", "{\"routes\": {\"app\": " + route + "}}", 422, "bad_split"});
  }
  rows.push_back(
      {"POST", "/shifts",
       "{\"routes\": {\"app\": {\"weights\": " + whole + "}, \"other\": {\"to\": \"red\"}}}", 422,
       "unknown_backend"});
  rows.push_back({"POST", "/shifts",
                  "{\"routes\": {\"app\": {\"weights\": " + whole +
                      "}, \"other\": {\"weights\": " + whole + ", \"if_match\": 99}}}",
                  412, "stale"});
  rows.push_back({"POST", "/shifts",
                  "{\"routes\": {\"app\": {\"to\": \"green\", \"if_match\": -1}}}", 400,
                  "bad_if_match"});
  rows.push_back({"POST", "/shifts", "{\"routes\": {\"app\": {\"weigths\": " + whole + "}}}", 400,
                  "unknown_parameter"});
  expect_each(rows, field("Content-Type", "application/json"));
  expect_each({{"POST", "/shifts", "app/blue=1&app/green=1", 400, "bad_if_match"}},
              field("If-Match", "\"1\""));
}

TEST_F(AdminHostileChangesTest, BadWordsBesideAChangeChangeNothing) {
  start({.split = "{ blue = 90, green = 10 }", .more = audit_table()});
  std::vector<Row> rows;
  for (const char* ttl : {"", "0s", "1ms", "-1s", "8d", "169h", "1e9s", "60", "NaN", "60s60s",
                          "99999999999999999999s"}) {
    rows.push_back(
        {"PUT", "/weights/app", "blue=1&green=1&ttl=" + std::string(ttl), 422, "bad_parameter"});
  }
  for (const char* words : {"on_lapse=freeze", "ttl=60s&on_lapse=melt", "force=yes", "dry_run=1",
                            "timeout=5s", "wait=healthy&timeout=11m", "wait=healthy&timeout=-1s"}) {
    rows.push_back(
        {"PUT", "/weights/app", "blue=1&green=1&" + std::string(words), 422, "bad_parameter"});
  }
  rows.push_back({"PUT", "/weights/app", "blue=1&green=1&wait=10s", 422, "bad_wait"});
  rows.push_back({"POST", "/switch/app", "to=green&ttl=60s&ttl=61s", 400, "repeated_parameter"});
  expect_each(rows, {});
  for (const std::string& key :
       {std::string(), std::string("two words"), std::string(129, 'k'), std::string("k\xff")}) {
    expect_each({{"POST", "/switch/app", "to=green", 400, "bad_idempotency_key"}},
                field("Idempotency-Key", key));
  }
}

TEST_F(AdminHostileChangesTest, BadRollbacksLeasesStatesAndPausesChangeNothing) {
  start({.split = "{ blue = 90, green = 10 }", .more = audit_table()});
  expect_each({{"POST", "/rollback/app", "", 409, "nothing_before"},
               {"POST", "/rollback/nope", "", 404, "unknown_route"},
               {"POST", "/rollback/app", "to=0", 422, "bad_parameter"},
               {"POST", "/rollback/app", "to=-1", 422, "bad_parameter"},
               {"POST", "/rollback/app", "to=one", 422, "bad_parameter"},
               {"POST", "/rollback/app", "to=99999999999999999999999", 422, "bad_parameter"},
               {"POST", "/rollback/app", "to=77", 404, "unknown_revision"},
               {"GET", "/history?limit=0", "", 422, "bad_parameter"},
               {"GET", "/history?limit=1001", "", 422, "bad_parameter"},
               {"GET", "/history?before=x", "", 422, "bad_parameter"},
               {"GET", "/history/nope", "", 404, "unknown_route"},
               {"GET", "/revisions/0", "", 422, "bad_parameter"},
               {"GET", "/revisions/77", "", 404, "unknown_revision"},
               {"POST", "/leases/77/renew", "ttl=60s", 404, "unknown_lease"},
               {"DELETE", "/leases/77", "", 404, "unknown_lease"},
               {"DELETE", "/leases/x", "", 422, "bad_parameter"},
               {"DELETE", "/leases/77", "ttl=60s", 422, "bad_parameter"},
               {"PUT", "/states/app", "blue=active", 422, "bad_split"},
               {"PATCH", "/states/app", "blue=asleep", 422, "bad_split"},
               {"PATCH", "/states/app", "red=off", 422, "unknown_backend"},
               {"PUT", "/states/app", "blue=off&green=off", 422, "bad_split"},
               {"PATCH", "/states/nope", "blue=off", 404, "unknown_route"},
               {"POST", "/maintenance/nope", "", 404, "unknown_route"},
               {"POST", "/maintenance/app", "retry_after=0s", 422, "bad_parameter"},
               {"POST", "/maintenance/app", "retry_after=25h", 422, "bad_parameter"},
               {"POST", "/maintenance/app", "retry_after=soon", 422, "bad_parameter"},
               {"DELETE", "/maintenance/app", "retry_after=5s", 422, "bad_parameter"}},
              {});
}

TEST_F(AdminHostileChangesTest, BadServersChangeNothing) {
  start({.split = "{ blue = 90, green = 10 }", .more = audit_table()});
  std::vector<Row> rows = {
      {"POST", "/servers/blue", "", 422, "bad_server"},
      {"POST", "/servers/nope", "address=127.0.0.1:9", 404, "unknown_backend"},
      {"POST", "/servers/blue", "address=127.0.0.1:9&name=one", 409, "server_exists"},
      {"POST", "/servers/blue", "address=" + blue_.address() + "&name=two", 409, "server_exists"},
      {"POST", "/servers/blue", "address=127.0.0.1:9&nmae=two", 400, "unknown_parameter"},
      {"PATCH", "/servers/blue/one", "", 422, "bad_server"},
      {"PATCH", "/servers/blue/nope", "weight=1", 404, "unknown_server"},
      {"DELETE", "/servers/blue/one", "", 409, "last_server"},
      {"DELETE", "/servers/blue/one", "force=perhaps", 422, "bad_parameter"},
      {"DELETE", "/servers/blue/nope", "", 404, "unknown_server"},
      {"POST", "/backends/nope/drain", "", 404, "unknown_backend"},
      {"POST", "/backends/blue/drain?wait=11m", "", 422, "bad_wait"},
      {"POST", "/reload", "force=true", 400, "unknown_parameter"},
      {"GET", "/explain?hots=a", "", 400, "unknown_parameter"},
      {"GET", "/events?types=nope", "", 422, "unknown_type"},
      {"GET", "/events?since=yesterday", "", 400, "bad_event_id"}};
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "app.internal:80",
                              "unix:", "127.0.0.1:80/x", "%00", "[::1", "256.0.0.1:80"}) {
    rows.push_back(
        {"POST", "/servers/blue", "name=two&address=" + std::string(address), 422, "bad_server"});
  }
  for (const char* name : {"Two", "a b", "a/b", "%00", "%C3%A4"}) {
    rows.push_back({"POST", "/servers/blue", "address=127.0.0.1:9&name=" + std::string(name), 422,
                    "bad_server"});
  }
  for (const char* weight : {"-1", "NaN", "1e3", "1001000000", "0x1", "1.0000001"}) {
    rows.push_back(
        {"PATCH", "/servers/blue/one", "weight=" + std::string(weight), 422, "bad_server"});
    rows.push_back({"POST", "/servers/blue",
                    "address=127.0.0.1:9&name=two&weight=" + std::string(weight), 422,
                    "bad_server"});
  }
  expect_each(rows, {});
}

}  // namespace
}  // namespace sluice::integration
