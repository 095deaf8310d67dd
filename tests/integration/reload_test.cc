// SIGHUP: validated, then swapped, or kept as it was.
#include <signal.h>

#include "tests/harness/certificate.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using testing::HasSubstr;

class ReloadTest : public SluiceTest {};

TEST_F(ReloadTest, AGoodFileIsTakenOverAndNoConnectionIsLost) {
  start();
  auto plain = connect();
  auto tls = connect_tls();
  EXPECT_EQ(plain->get("/").field("X-Backend"), "blue");
  EXPECT_EQ(tls->get("/").field("X-Backend"), "blue");
  ASSERT_TRUE(reload({.routes = "[routes.app]\nsplit = { blue = 1 }\n"
                                "[routes.new]\npath = \"/new\"\nsplit = { green = 1 }\n"}));
  EXPECT_EQ(plain->get("/new").field("X-Backend"), "green");
  EXPECT_EQ(tls->get("/new").field("X-Backend"), "green");
  EXPECT_EQ(get("/").field("X-Backend"), "blue");
  EXPECT_EQ(metric(R"(sluice_reloads_total{result="accepted"})"), 1);
}

TEST_F(ReloadTest, ABadFileChangesNothingAndSaysWhere) {
  start();
  auto client = connect();
  EXPECT_EQ(client->get("/").status, 200);
  EXPECT_FALSE(reload({.split = "{ blue = 1, gren = 1 }"}));
  EXPECT_NE(sluice_->wait_for_error_text("gren"), std::string::npos);
  EXPECT_FALSE(reload({.certificate = "missing"}));
  EXPECT_EQ(client->get("/").field("X-Backend"), "blue");
  EXPECT_EQ(metric(R"(sluice_reloads_total{result="refused"})"), 2);
  EXPECT_TRUE(reload({}));
}

TEST_F(ReloadTest, G8ACanaryIsNotReset) {
  start({.split = "{ blue = 100, green = 0 }"});
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=90&green=10").status, 200);
  Response before = admin("GET", "/weights/app");
  ASSERT_TRUE(reload({.timeouts = "connect = \"4s\"", .split = "{ blue = 100, green = 0 }"}));
  Response after = admin("GET", "/weights/app");
  EXPECT_EQ(parse_json(after)["weights"], parse_json(before)["weights"]);
  EXPECT_EQ(after.field("ETag"), before.field("ETag"));
}

TEST_F(ReloadTest, G8AChangedSplitInTheFileWinsAndTheConflictIsReported) {
  start({.split = "{ blue = 100, green = 0 }"});
  ASSERT_EQ(admin("PUT", "/weights/app", "blue=90&green=10").status, 200);
  ASSERT_TRUE(reload({.split = "{ blue = 50, green = 50 }"}));
  EXPECT_EQ(admin_json("/weights/app")["weights"], json::parse(R"({"blue": 50, "green": 50})"));
  EXPECT_NE(sluice_->wait_for_error_text("split_conflict"), std::string::npos);
}

TEST_F(ReloadTest, G8AServersWeightIsNotResetAndAChangedOneInTheFileIsReported) {
  const auto pool = [this](const std::string& web_1) {
    return Scenario{
        .backends = {{"pool", {{"web-2", green_.address()}}}},
        .routes = "[routes.app]\nsplit = { pool = 1 }\n",
        .more = "[backends.pool.servers.web-1]\naddress = \"" + blue_.address() + "\"\n" + web_1};
  };
  start(pool("weight = 1\n"));
  ASSERT_EQ(admin("PATCH", "/servers/pool/web-1", "weight=5").status, 200);
  const std::string etag = admin("GET", "/servers/pool/web-1").field("ETag");
  ASSERT_TRUE(reload(pool("")));
  EXPECT_EQ(backend_server("pool", "web-1")["weight"], 5);
  EXPECT_EQ(admin("GET", "/servers/pool/web-1").field("ETag"), etag);
  kill_and_restart(pool(""));
  EXPECT_EQ(backend_server("pool", "web-1")["weight"], 5);
  ASSERT_TRUE(reload(pool("weight = 3\n")));
  EXPECT_EQ(backend_server("pool", "web-1")["weight"], 3);
  const std::string lost =
      "server \"pool/web-1\": its weight in the file changed from 1 to 3, which "
      "replaces 5, set by revision 2";
  EXPECT_EQ(admin_json("/conflicts")["conflicts"], json::array({lost}));
  EXPECT_NE(sluice_->wait_for_error_text("split_conflict"), std::string::npos);
  EXPECT_NE(admin("GET", "/servers/pool/web-1").field("ETag"), etag);
}

TEST_F(ReloadTest, G8CountersSurvive) {
  start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/").status, 200);
  const std::string series = R"(sluice_server_requests_total{backend="blue",server="one"})";
  EXPECT_EQ(metric(series), 10);
  ASSERT_TRUE(reload({.timeouts = "connect = \"4s\""}));
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(metric(series), 11);
}

TEST_F(ReloadTest, ANewCertificateIsServedAndOldConnectionsStay) {
  start();
  auto old = connect_tls();
  harness::make_certificate(directory_->path(), "renewed");
  ASSERT_TRUE(reload({.certificate = "renewed"}));
  EXPECT_NE(connect_tls()->tls_certificate(), old->tls_certificate());
  EXPECT_EQ(old->get("/").status, 200);
}

TEST_F(ReloadTest, ABackendsServersMayChangeWhileOneIsBusy) {
  start();
  auto busy = connect();
  ASSERT_TRUE(busy->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(blue_.wait_for_held(1));
  ASSERT_TRUE(
      reload({.backends = {{"blue", {{"one", green_.address()}}}}, .split = "{ blue = 1 }"}));
  EXPECT_TRUE(wait_until([&] { return get("/").field("X-Backend") == "green"; }));
  blue_.release();
  EXPECT_EQ(busy->read_response().field("X-Backend"), "blue");
}

TEST_F(ReloadTest, ListenersComeAndGo) {
  start();
  const std::string extra = "[listeners.extra]\naddress = \"127.0.0.1:0\"\n";
  ASSERT_TRUE(reload({.more = extra}));
  harness::Endpoint endpoint = sluice_->endpoint("extra");
  EXPECT_EQ(harness::fetch(endpoint, "GET", "/").status, 200);
  ASSERT_TRUE(reload({}));
  EXPECT_TRUE(wait_until([&] { return !HttpClient::connect(endpoint); }));
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(ReloadTest, ManyReloadsAtOnceEndInTheLastFile) {
  start();
  for (int i = 0; i < 20; ++i) sluice_->signal(SIGHUP);
  EXPECT_TRUE(reload({.routes = "[routes.app]\nsplit = { green = 1 }\n"}));
  EXPECT_TRUE(wait_until([&] { return get("/").field("X-Backend") == "green"; }));
}

}  // namespace
}  // namespace sluice::integration
