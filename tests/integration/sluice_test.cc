#include "tests/integration/sluice_test.h"

#include <signal.h>

#include <cstdlib>
#include <thread>

#include "tests/harness/certificate.h"

namespace sluice::integration {
namespace {

void add_table(std::string& text, const std::string& name, const std::string& lines) {
  if (!lines.empty()) text += "[" + name + "]\n" + lines + "\n";
}

}  // namespace

json parse_json(const Response& response) {
  return json::parse(response.body, nullptr, /*allow_exceptions=*/false);
}

SluiceTest::SluiceTest() {
  harness::make_certificate(directory_->path());
}

void SluiceTest::TearDown() {
  if (sluice_ && sluice_->running()) {
    blue_.release();
    green_.release();
    stop();
  }
  for (const StrictOrigin* origin : {&blue_, &green_}) {
    if (expect_no_violation_) {
      EXPECT_THAT(origin->violations(), testing::IsEmpty()) << origin->name();
    }
    EXPECT_EQ(origin->counts().pipelined_requests, 0u) << origin->name();
  }
}

std::string SluiceTest::config_text(const Scenario& scenario) const {
  std::string text = "[runtime]\nworkers = " + std::to_string(scenario.workers) +
                     "\nstate_directory = \"@DIR@/state\"\n" + scenario.runtime + "\n";
  add_table(text, "timeouts", scenario.timeouts);
  add_table(text, "limits", scenario.limits);
  add_table(text, "health", scenario.health);
  text += "[listeners.http]\naddress = \"127.0.0.1:0\"\n" + scenario.listener + "\n";
  text += "[listeners.https]\naddress = \"127.0.0.1:0\"\n" + scenario.listener + "\n";
  text += "[listeners.https.tls]\ncertificate_file = \"@DIR@/" + scenario.certificate +
          ".pem\"\nkey_file = \"@DIR@/" + scenario.certificate + ".key\"\n" + scenario.tls + "\n";
  auto backends = scenario.backends;
  if (backends.empty()) {
    backends = {{"blue", {{"one", blue_.address()}}}, {"green", {{"one", green_.address()}}}};
  }
  for (const auto& [backend, servers] : backends) {
    if (auto lines = scenario.backend_lines.find(backend); lines != scenario.backend_lines.end()) {
      text += "[backends." + backend + "]\n" + lines->second + "\n";
    }
    text += "[backends." + backend + ".servers]\n";
    for (const auto& [name, address] : servers) text += name + " = \"" + address + "\"\n";
  }
  text +=
      scenario.routes.empty() ? "[routes.app]\nsplit = " + scenario.split + "\n" : scenario.routes;
  text += "[admin]\ncontainer = " + scenario.container + "\nlisten = [" + scenario.admin_listen +
          "]\nread_only_listen = [\"127.0.0.1:0\"]\n";
  return text + scenario.more;
}

void SluiceTest::start_process(const Scenario& scenario) {
  auto process = SluiceProcess::start({.config = config_text(scenario),
                                       .directory = directory_,
                                       .environment = scenario.environment});
  ASSERT_TRUE(process) << process.error();
  sluice_ = std::move(*process);
}

void SluiceTest::start(const Scenario& scenario) {
  start_process(scenario);
  if (!sluice_) GTEST_FAIL() << "no process to test";
}

void SluiceTest::stop() {
  sluice_->signal(SIGTERM);
  auto status = sluice_->wait_exit();
  ASSERT_TRUE(status) << "it does not end; stderr:\n" << sluice_->standard_error();
  EXPECT_EQ(status->code, 0) << "signal " << status->signal << "; stderr:\n"
                             << sluice_->standard_error();
  EXPECT_EQ(sluice_->sanitizer_report(), "");
}

void SluiceTest::kill_and_restart(const Scenario& scenario) {
  sluice_->signal(SIGKILL);
  ASSERT_TRUE(sluice_->wait_exit());
  EXPECT_EQ(sluice_->sanitizer_report(), "");
  start(scenario);
}

bool SluiceTest::reload(const Scenario& scenario) {
  std::size_t from = sluice_->standard_error().size();
  sluice_->write_config(config_text(scenario));
  sluice_->signal(SIGHUP);
  std::string verdict = sluice_->wait_for_event({"reloaded", "reload_refused"}, from);
  EXPECT_NE(verdict, "") << "no verdict on the reload; stderr:\n" << sluice_->standard_error();
  return verdict == "reloaded";
}

std::unique_ptr<HttpClient> SluiceTest::connect() {
  auto client = HttpClient::connect(sluice_->endpoint("http"));
  EXPECT_TRUE(client) << client.error();
  return client ? std::move(*client) : nullptr;
}

std::unique_ptr<harness::H2Client> SluiceTest::connect_h2(harness::H2Client::Options options) {
  auto client = harness::H2Client::connect(sluice_->endpoint("http"), std::move(options));
  EXPECT_TRUE(client) << client.error();
  return client ? std::move(*client) : nullptr;
}

std::unique_ptr<HttpClient> SluiceTest::connect_tls(harness::ClientTls tls) {
  auto client = HttpClient::connect_tls(sluice_->endpoint("https"), std::move(tls));
  EXPECT_TRUE(client) << client.error();
  return client ? std::move(*client) : nullptr;
}

Response SluiceTest::get(std::string_view target) {
  return harness::fetch(sluice_->endpoint("http"), "GET", target);
}

Response SluiceTest::admin(std::string_view method, std::string_view target, std::string_view form,
                           Fields fields) {
  if (!form.empty() && !fields.has("Content-Type")) {
    fields.add("Content-Type", "application/x-www-form-urlencoded");
  }
  return harness::fetch(sluice_->admin(), method, target, form, fields);
}

json SluiceTest::admin_json(std::string_view target) {
  Response response = admin("GET", target);
  EXPECT_EQ(response.status, 200) << target << ": " << response.summary();
  return parse_json(response);
}

json SluiceTest::backend_server(std::string_view backend, std::string_view server) {
  json answer = admin_json("/backends/" + std::string(backend));
  for (const json& one : answer.value("servers", json::array())) {
    if (one.value("name", "") == server) return one;
  }
  ADD_FAILURE() << "no server " << server << " in " << answer.dump();
  return json::object();
}

bool SluiceTest::wait_until(const std::function<bool()>& condition, Deadline deadline) {
  while (!condition()) {
    if (deadline.over()) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

bool SluiceTest::wait_for_status(std::string_view backend, std::string_view server,
                                 std::string_view status, Deadline deadline) {
  return wait_until([&] { return backend_server(backend, server).value("status", "") == status; },
                    deadline);
}

double SluiceTest::metric(const std::string& series) {
  Response response = harness::fetch(sluice_->metrics(), "GET", "/metrics");
  EXPECT_EQ(response.status, 200) << response.summary();
  std::size_t at = response.body.find("\n" + series + " ");
  if (at == std::string::npos) return 0;
  return std::strtod(&response.body[at + series.size() + 2], nullptr);
}

double SluiceTest::limit_hits(const std::string& key) {
  return metric("sluice_limits_hit_total{limit=\"" + key + "\"}");
}

double SluiceTest::timeout_hits(const std::string& key) {
  return metric("sluice_timeouts_total{timeout=\"" + key + "\"}");
}

}  // namespace sluice::integration
