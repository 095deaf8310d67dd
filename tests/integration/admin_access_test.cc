// Who may call the admin interface, over real sockets: users, tokens, certificates, containers; and
// what is written down of it.
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/harness/certificate.h"
#include "tests/harness/child.h"
#include "tests/integration/admin_calls.h"

namespace sluice::integration {
namespace {

using harness::CertificateFiles;
using harness::Endpoint;
using testing::HasSubstr;
using testing::Not;

class AdminAccessTest : public AdminCalls {
 protected:
  // TLS for everybody who comes to any address, and plain HTTP on loopback.
  Scenario remote() {
    Scenario scenario = with_tokens();
    scenario.admin_listen = "\"*:0\", \"unix:@DIR@/admin.sock\", \"127.0.0.1:0\"";
    authority_ = harness::make_signed_certificate(directory_->path(),
                                                  {.name = "authority", .authority = true});
    scenario.more +=
        "[admin.tls]\ncertificate_file = \"@DIR@/server.pem\"\nkey_file = \"@DIR@/server.key\"\n"
        "client_ca_file = \"@DIR@/authority.pem\"\n"
        "[admin.certificates]\n\"ci.internal\" = \"operator\"\nlook = \"viewer\"\n"
        "limited = { role = \"operator\", routes = [\"other\"] }\n";
    // What is limited to a route is checked against those that there are.
    scenario.routes =
        "[routes.app]\nsplit = { blue = 1, green = 0 }\n"
        "[routes.other]\nhost = \"other.example\"\nsplit = { blue = 1, green = 0 }\n";
    return scenario;
  }
  // The listener of the wildcard address, by way of 127.0.0.1.
  Endpoint remote_endpoint() {
    for (const std::string& line : lines_of(sluice_->standard_error())) {
      const json event = json::parse(line, nullptr, false);
      if (!event.is_object() || event.value("event", "") != "listening") continue;
      const std::string address = event.value("address", "");
      if (event.value("listener", "") != "admin" || !address.starts_with("0.0.0.0:")) continue;
      return Endpoint::tcp(Endpoint::parse(address).port);
    }
    ADD_FAILURE() << "no listener beyond loopback";
    return {};
  }
  Response call_remote(std::string_view method, std::string_view target, std::string_view form = {},
                       const Fields& fields = {}, const CertificateFiles& shown = {}) {
    harness::ClientTls tls;
    tls.certificate_file = shown.certificate_file;
    tls.key_file = shown.key_file;
    auto client = HttpClient::connect_tls(remote_endpoint(), tls);
    if (!client) {
      Response refused;
      refused.outcome = Outcome::reset;
      refused.error = client.error();
      return refused;
    }
    return (*client)->request(method, target, form, as_form(fields, form));
  }
  CertificateFiles signed_for(harness::SignedCertificate wanted) {
    if (wanted.issuer == nullptr) wanted.issuer = &authority_;
    return harness::make_signed_certificate(directory_->path(), wanted);
  }

  CertificateFiles authority_;
};

// --- Tokens -------------------------------------------------------------------------------------

TEST_F(AdminAccessTest, ATokenMayDoWhatItsRoleSaysWhereverItIsShown) {
  Scenario scenario = with_tokens();
  const std::string viewer = make_token("look", "viewer");
  const std::string shifter = make_token("ci", "operator");
  const std::string admin_token = make_token("boss", "admin");
  start(scenario);
  for (const Endpoint& place :
       {sluice_->admin(), Endpoint::unix_socket(directory_->file("admin.sock"))}) {
    const auto status = [&](std::string_view method, const std::string& token) {
      return harness::fetch(place, method, "/weights/app", method == "GET" ? "" : "blue=1&green=1",
                            as_form(bearer(token), "x"))
          .status;
    };
    EXPECT_EQ(status("GET", viewer), 200);
    EXPECT_EQ(status("PUT", viewer), 403);
    EXPECT_EQ(status("GET", shifter), 200);
    EXPECT_EQ(status("PUT", shifter), 200);
    EXPECT_EQ(status("PUT", admin_token), 200);
    EXPECT_EQ(status("GET", "slc_nobodys"), 401);
  }
  EXPECT_EQ(metric("sluice_admin_tokens"), 3);
  EXPECT_EQ(metric("sluice_admin_auth_failures_total{reason=\"unknown_token\"}"), 2);
}

TEST_F(AdminAccessTest, ARevisionIsSignedByTheTokensName) {
  Scenario scenario = with_tokens();
  const std::string token = make_token("ci", "operator");
  start(scenario);
  ASSERT_EQ(call("PUT", "/weights/app", "blue=1&green=1", bearer(token)).status, 200);
  const json line = audit_lines(1).back();
  EXPECT_EQ(line["identity"], "token:ci");
  EXPECT_EQ(line["by"], "token");
  EXPECT_EQ(line["role"], "operator");
  EXPECT_EQ(line["changes"][0]["route"], "app");
  EXPECT_THAT(harness::read_file(directory_->file("audit.log")), Not(HasSubstr(token)));
  EXPECT_THAT(sluice_->standard_error(), Not(HasSubstr(token)));
  EXPECT_THAT(harness::read_file(directory_->file("tokens.toml")), Not(HasSubstr(token)));
}

TEST_F(AdminAccessTest, ALimitedOperatorTouchesOnlyWhatItsGrantNames) {
  Scenario scenario = with_tokens();
  scenario.routes =
      "[routes.app]\nsplit = { blue = 1, green = 0 }\n"
      "[routes.other]\nhost = \"other.example\"\nsplit = { blue = 1, green = 0 }\n";
  const std::string token = make_token("ci", "operator", {"--route", "app", "--backend", "green"});
  start(scenario);
  EXPECT_EQ(call("PUT", "/weights/app", "blue=2&green=0", bearer(token)).status, 200);
  Response refused = call("PUT", "/weights/other", "blue=1&green=1", bearer(token));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(parse_json(refused)["code"], "role_not_enough");
  EXPECT_THAT(parse_json(refused).value("detail", ""), HasSubstr("operator on route \"other\""));
  EXPECT_EQ(call("POST", "/servers/green/one/drain", "", bearer(token)).status, 200);
  EXPECT_EQ(call("POST", "/servers/blue/one/drain", "", bearer(token)).status, 403);
  refused = call("POST", "/servers/green/one/drain?force=true", "", bearer(token));
  EXPECT_EQ(refused.status, 403) << "against the guard only admins go";
  EXPECT_THAT(parse_json(refused).value("detail", ""), HasSubstr("admin"));
  EXPECT_EQ(call("GET", "/weights/other", "", bearer(token)).status, 200);
}

TEST_F(AdminAccessTest, TokensComeAndGoWithoutARestart) {
  Scenario scenario = with_tokens();
  const std::string first = make_token("ci", "operator");
  start(scenario);
  const auto status = [&](const std::string& token) {
    return call("GET", "/weights", "", bearer(token)).status;
  };
  EXPECT_EQ(status(first), 200);
  // One name, two tokens, for as long as both are needed.
  const std::string second = make_token("ci", "operator");
  EXPECT_TRUE(wait_until([&] { return status(second) == 200; }));
  EXPECT_EQ(status(first), 200);
  const std::string list = token_command({"list"}).output;
  const std::size_t at = list.find("ci.");
  ASSERT_NE(at, list.npos) << list;
  const std::string id = list.substr(at, 11);
  make_token("look", "operator", {"--expires", "90d", "--route", "app"});
  const std::string printed = token_command({"list", "--json"}).output;
  const json listed = json::parse(printed, nullptr, false);
  ASSERT_EQ(listed["tokens"].size(), 3u) << printed;
  EXPECT_EQ("ci." + listed["tokens"][0].value("id", ""), id);
  EXPECT_EQ(listed["tokens"][0]["role"], "operator");
  EXPECT_FALSE(listed["tokens"][0].contains("expires"));
  EXPECT_EQ(listed["tokens"][2]["expired"], false);
  EXPECT_EQ(listed["tokens"][2]["routes"], json::array({"app"}));
  EXPECT_TRUE(listed["tokens"][2].contains("expires"));
  EXPECT_FALSE(printed.contains("sha256")) << "what a token is known by is nobody's business";
  ASSERT_EQ(token_command({"revoke", id}).code, 0);
  EXPECT_TRUE(wait_until([&] { return status(first) == 401; }));
  EXPECT_EQ(status(second), 200);
  ASSERT_EQ(token_command({"revoke", "ci"}).code, 0);
  EXPECT_TRUE(wait_until([&] { return status(second) == 401; }));
  EXPECT_EQ(token_command({"revoke", "ci"}).code, 1);
}

TEST_F(AdminAccessTest, ABrokenTokensFileLeavesTheTokensAsTheyWere) {
  Scenario scenario = with_tokens();
  const std::string token = make_token("ci", "operator");
  start(scenario);
  const std::string file = directory_->file("tokens.toml");
  const std::string good = harness::read_file(file);
  std::size_t from = sluice_->standard_error().size();
  harness::write_file(file, good + "jo.12345678 = { role = \"admin\" }\n", 0600);
  EXPECT_EQ(sluice_->wait_for_event({"tokens_refused"}, from), "tokens_refused");
  EXPECT_THAT(sluice_->standard_error().substr(from), HasSubstr("jo.12345678.sha256 is missing"));
  EXPECT_EQ(call("GET", "/weights", "", bearer(token)).status, 200);
  EXPECT_EQ(metric("sluice_admin_tokens_file_reads_total{result=\"refused\"}"), 1);
  // Nor does it pass a reload, which says why.
  EXPECT_FALSE(reload(scenario));
  EXPECT_EQ(call("GET", "/weights", "", bearer(token)).status, 200);
  from = sluice_->standard_error().size();
  harness::write_file(file, "", 0600);
  EXPECT_EQ(sluice_->wait_for_event({"tokens_taken_over"}, from), "tokens_taken_over");
  EXPECT_EQ(call("GET", "/weights", "", bearer(token)).status, 401);
}

TEST_F(AdminAccessTest, ATokensFileThatEverybodyMayWriteIsRefused) {
  Scenario scenario = with_tokens();
  make_token("ci", "operator");
  ASSERT_EQ(::chmod(directory_->file("tokens.toml").c_str(), 0666), 0);
  auto process = SluiceProcess::start(
      {.config = config_text(scenario), .directory = directory_, .wait_ready = false});
  ASSERT_TRUE(process);
  const auto status = (*process)->wait_exit();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 1);
  EXPECT_THAT((*process)->standard_error(), HasSubstr("chmod 0640"));
}

TEST_F(AdminAccessTest, AnExpiredTokenSaysSo) {
  Scenario scenario = with_tokens();
  const std::string token = make_token("ci", "operator", {"--expires", "1h"});
  std::string text = harness::read_file(directory_->file("tokens.toml"));
  const std::size_t at = text.find("expires = \"") + 11;
  text.replace(at, 4, "2001");
  harness::write_file(directory_->file("tokens.toml"), text, 0600);
  start(scenario);
  Response refused = call("GET", "/weights", "", bearer(token));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(parse_json(refused)["code"], "expired_token");
  EXPECT_EQ(refused.field("WWW-Authenticate"), "Bearer realm=\"sluice\", error=\"invalid_token\"");
  EXPECT_THAT(token_command({"list"}).output, HasSubstr("expired"));
}

TEST_F(AdminAccessTest, TheTokenCommandRefusesWhatTheFileWouldRefuse) {
  const auto code = [&](std::vector<std::string> words) { return token_command(words).code; };
  EXPECT_EQ(code({"create", "--name", "CI", "--role", "operator"}), 2);
  EXPECT_EQ(code({"create", "--name", "ci", "--role", "root"}), 2);
  EXPECT_EQ(code({"create", "--name", "ci", "--role", "viewer", "--route", "app"}), 2);
  EXPECT_EQ(code({"create", "--name", "ci", "--role", "operator", "--expires", "soon"}), 2);
  EXPECT_EQ(code({"create", "--name", "ci", "--role", "operator", "--expires", "2001-01-01"}), 2);
  EXPECT_FALSE(std::filesystem::exists(directory_->file("tokens.toml")));
  // A line behind somebody's table would be a part of it.
  harness::write_file(directory_->file("tokens.toml"), "[ci]\n", 0600);
  const harness::Ran ran = token_command({"create", "--name", "jo", "--role", "viewer"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("put it at the file's beginning"));
  EXPECT_EQ(harness::read_file(directory_->file("tokens.toml")), "[ci]\n");
}

// --- Users --------------------------------------------------------------------------------------

TEST_F(AdminAccessTest, UsersHaveTheirRolesByNameAndNumber) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can call as another user";
  start({.more = "[admin.users]\nnobody = \"viewer\"\n12345 = \"operator\"\n" + audit_table()});
  const auto status_as = [&](uid_t uid, std::string_view method) {
    const uid_t before = ::geteuid();
    EXPECT_EQ(::seteuid(uid), 0);
    auto client = HttpClient::connect(sluice_->admin());
    const Response response =
        (*client)->request(method, "/weights/app", method == "GET" ? "" : "blue=1&green=1",
                           as_form({}, method == "GET" ? "" : "x"));
    EXPECT_EQ(::seteuid(before), 0);
    return response.status;
  };
  EXPECT_EQ(status_as(65534, "GET"), 200);
  EXPECT_EQ(status_as(65534, "PUT"), 403);
  EXPECT_EQ(status_as(12345, "PUT"), 200);
  EXPECT_EQ(status_as(54321, "GET"), 403);
  EXPECT_EQ(metric("sluice_admin_auth_failures_total{reason=\"user_not_listed\"}"), 1);
}

TEST_F(AdminAccessTest, AUserWhomTheMachineDoesNotHaveIsAnError) {
  auto process = SluiceProcess::start(
      {.config = config_text({.more = "[admin.users]\nno-such-user = \"viewer\"\n"}),
       .directory = directory_,
       .wait_ready = false});
  ASSERT_TRUE(process);
  const auto status = (*process)->wait_exit();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 1);
  EXPECT_THAT((*process)->standard_error(), HasSubstr("this machine has no user no-such-user"));
}

// --- Containers ---------------------------------------------------------------------------------

TEST_F(AdminAccessTest, InAContainerLoopbackWritesNeedAToken) {
  for (const char* container : {"\"auto\"", "true"}) {
    Scenario scenario = with_tokens();
    scenario.container = container;
    // Whatever the machine is that the tests run on.
    scenario.environment = {{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}};
    const std::string token = make_token("ci", "operator");
    start(scenario);
    EXPECT_EQ(call("GET", "/weights").status, 200);
    Response refused = call("POST", "/switch/app", "to=green");
    EXPECT_EQ(refused.status, 401);
    EXPECT_EQ(parse_json(refused)["code"], "token_required");
    EXPECT_EQ(refused.field("WWW-Authenticate"), "Bearer realm=\"sluice\"");
    EXPECT_EQ(call("POST", "/switch/app", "to=green", bearer(token)).status, 200);
    const Endpoint socket = Endpoint::unix_socket(directory_->file("admin.sock"));
    EXPECT_EQ(harness::fetch(socket, "POST", "/switch/app", "to=blue", as_form({}, "x")).status,
              200);
    EXPECT_NE(sluice_->wait_for_event({"container"}), "");
    stop();
  }
}

// --- Beyond loopback ----------------------------------------------------------------------------

TEST_F(AdminAccessTest, OverTlsACallNeedsATokenOrACertificate) {
  Scenario scenario = remote();
  const std::string token = make_token("ci", "operator");
  start(scenario);
  Response refused = call_remote("GET", "/weights");
  EXPECT_EQ(refused.status, 401) << refused.summary();
  EXPECT_EQ(parse_json(refused)["code"], "no_credentials");
  EXPECT_EQ(refused.field("WWW-Authenticate"), "Bearer realm=\"sluice\"");
  EXPECT_EQ(call_remote("GET", "/weights", "", bearer(token)).status, 200);
  EXPECT_EQ(call_remote("PUT", "/weights/app", "blue=1&green=1", bearer(token)).status, 200);
  EXPECT_EQ(call_remote("PUT", "/weights/app", "blue=1&green=1", bearer("slc_x")).status, 401);
  // The loopback listener beside it is as ever.
  EXPECT_EQ(call("GET", "/weights").status, 200);
  // Without TLS there is nothing to be had.
  EXPECT_EQ(harness::fetch(remote_endpoint(), "GET", "/weights", "", bearer(token)).status, 0);
}

TEST_F(AdminAccessTest, ACertificateMayDoWhatItsNameIsGranted) {
  start(remote());
  const auto by_name = signed_for({.name = "any", .alternatives = "DNS:x,DNS:CI.internal"});
  const auto by_common_name = signed_for({.name = "look", .usage = "clientAuth"});
  const auto limited = signed_for({.name = "limited"});
  const auto unlisted = signed_for({.name = "unlisted", .alternatives = "DNS:unlisted"});
  EXPECT_EQ(call_remote("PUT", "/weights/app", "blue=1&green=1", {}, by_name).status, 200);
  EXPECT_EQ(audit_lines(1).back()["identity"], "certificate:ci.internal");
  EXPECT_EQ(call_remote("GET", "/weights/app", "", {}, by_common_name).status, 200);
  EXPECT_EQ(call_remote("PUT", "/weights/app", "blue=1&green=1", {}, by_common_name).status, 403);
  EXPECT_EQ(call_remote("PUT", "/weights/app", "blue=1&green=1", {}, limited).status, 403);
  EXPECT_EQ(call_remote("PUT", "/weights/other", "blue=1&green=1", {}, limited).status, 200);
  Response refused = call_remote("GET", "/weights", "", {}, unlisted);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(parse_json(refused)["code"], "unknown_certificate");
}

TEST_F(AdminAccessTest, ACertificateThatIsNoGoodEndsTheHandshake) {
  start(remote());
  const auto other_authority = harness::make_signed_certificate(
      directory_->path(), {.name = "other-authority", .authority = true});
  const harness::SignedCertificate no_good[] = {
      {.name = "ci.internal", .alternatives = "DNS:ci.internal", .issuer = &other_authority},
      {.name = "ci.internal", .alternatives = "DNS:ci.internal", .seconds_left = -60},
      {.name = "ci.internal", .alternatives = "DNS:ci.internal", .usage = "serverAuth"},
  };
  for (const auto& wanted : no_good) {
    const auto before = metric("sluice_tls_handshakes_total{listener=\"admin\",result=\"failed\"}");
    const Response response = call_remote("GET", "/weights", "", {}, signed_for(wanted));
    EXPECT_EQ(response.status, 0) << response.summary();
    EXPECT_TRUE(wait_until([&] {
      return metric("sluice_tls_handshakes_total{listener=\"admin\",result=\"failed\"}") > before;
    }));
  }
  EXPECT_EQ(call("GET", "/weights").status, 200);
}

TEST_F(AdminAccessTest, ConnectionsToTheAdminListenerAreNotResumed) {
  start(remote());
  const auto shown = signed_for({.name = "look"});
  harness::ClientTls tls;
  tls.certificate_file = shown.certificate_file;
  tls.key_file = shown.key_file;
  auto client = HttpClient::connect_tls(remote_endpoint(), tls);
  ASSERT_TRUE(client) << client.error();
  EXPECT_EQ((*client)->get("/weights").status, 200);
  EXPECT_EQ((*client)->tls_session(), nullptr);
}

TEST_F(AdminAccessTest, AReloadTakesAwayWhatAnOpenConnectionMayDo) {
  Scenario scenario = remote();
  start(scenario);
  const auto shown = signed_for({.name = "look"});
  harness::ClientTls tls;
  tls.certificate_file = shown.certificate_file;
  tls.key_file = shown.key_file;
  auto client = HttpClient::connect_tls(remote_endpoint(), tls);
  ASSERT_TRUE(client) << client.error();
  EXPECT_EQ((*client)->get("/weights").status, 200);
  const std::string line = "look = \"viewer\"\n";
  scenario.more.replace(scenario.more.find(line), line.size(), "");
  ASSERT_TRUE(reload(scenario));
  EXPECT_EQ((*client)->get("/weights").status, 403);
}

TEST_F(AdminAccessTest, TheHostMayBeANameOfTheCertificate) {
  Scenario scenario = remote();
  const std::string token = make_token("ci", "operator");
  harness::make_certificate(directory_->path(), "server", {"lb-1.internal"});
  start(scenario);
  const auto status = [&](std::string_view host) {
    Fields fields = bearer(token);
    fields.add("Host", host);
    return call_remote("GET", "/weights", "", fields).status;
  };
  EXPECT_EQ(status("lb-1.internal:9901"), 200);
  EXPECT_EQ(status("127.0.0.1"), 200);
  EXPECT_EQ(status("evil.example"), 421);
}

// An address of this machine that is no loopback one, where it has any.
std::string foreign_address() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  std::string found;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    const std::uint32_t ip = ntohl(address->sin_addr.s_addr);
    if (ip >> 24 == 127) continue;
    found = std::to_string(ip >> 24) + "." + std::to_string(ip >> 16 & 255) + "." +
            std::to_string(ip >> 8 & 255) + "." + std::to_string(ip & 255);
  }
  ::freeifaddrs(all);
  return found;
}

TEST_F(AdminAccessTest, ACallFromAnotherAddressIsJudgedByItsTokenToo) {
  const std::string ip = foreign_address();
  if (ip.empty()) GTEST_SKIP() << "this machine has loopback addresses only";
  Scenario scenario = remote();
  scenario.admin_listen = "\"" + ip + ":0\"";
  const std::string token = make_token("ci", "operator");
  start(scenario);
  Endpoint place = sluice_->admin();
  place.host = ip;
  const auto status = [&](const Fields& fields) {
    auto client = HttpClient::connect_tls(place);
    EXPECT_TRUE(client) << client.error();
    return client ? (*client)->request("GET", "/weights", "", fields).status : 0;
  };
  EXPECT_EQ(status({}), 401);
  EXPECT_EQ(status(bearer(token)), 200);
}

TEST_F(AdminAccessTest, TheCheckSaysWhatIsMissingForCallersFromElsewhere) {
  harness::write_file(directory_->file("x.toml"),
                      config_text({.admin_listen = "\"10.0.0.5:9901\""}));
  const auto ran =
      harness::run({SluiceProcess::binary(), "check", "-c", directory_->file("x.toml")});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("[admin.tls] with certificate_file and key_file"));
  EXPECT_THAT(ran.output, HasSubstr("admin.tokens_file"));
}

}  // namespace
}  // namespace sluice::integration
