// SluiceTest: what every integration test stands on: two strict origins, `blue` and `green`, and
// the real binary in front of them. At the end of each test the origins must have seen no
// violation, and the process must end cleanly and without a sanitizer's report.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/harness/h2_client.h"
#include "tests/harness/http_client.h"
#include "tests/harness/sluice_process.h"
#include "tests/harness/strict_origin.h"

namespace sluice::integration {

using harness::Deadline;
using harness::Ending;
using harness::Fields;
using harness::HttpClient;
using harness::milliseconds;
using harness::Outcome;
using harness::Response;
using harness::seconds;
using harness::SluiceProcess;
using harness::StrictOrigin;
using nlohmann::json;

// The binary, not the test.
inline bool sanitized() {
  return SluiceProcess::sanitized();
}

// A configuration, as far as tests vary it.
struct Scenario {
  int workers = 2;
  std::string runtime;  // more lines of [runtime]
  // Lines of [timeouts], [limits], [health], without the table's name.
  std::string timeouts;
  std::string limits;
  std::string health = "settle_interval = \"50ms\"";
  std::string listener;                // more lines of both listeners
  std::string tls;                     // more lines of the TLS listener
  std::string certificate = "server";  // file name without its ending
  // Backend → server name → address. Empty: `blue` and `green` with one server each, `one`.
  std::map<std::string, std::map<std::string, std::string>> backends;
  std::map<std::string, std::string> backend_lines;  // more lines of [backends.NAME]
  std::string split = "{ blue = 1, green = 0 }";
  std::string routes;  // instead of the one route `app`
  std::string admin_listen = "\"127.0.0.1:0\", \"unix:@DIR@/admin.sock\"";
  std::string container = "false";  // admin.container: the tests may run in one
  std::string more;                 // more lines of [admin], and further tables
  std::map<std::string, std::string> environment;
};

class SluiceTest : public testing::Test {
 protected:
  SluiceTest();
  void TearDown() override;

  // The configuration's text; `@DIR@` stands for the process's directory.
  std::string config_text(const Scenario& scenario) const;
  // Starts the process and waits until it is ready.
  void start(const Scenario& scenario = {});
  // Ends it with SIGTERM: exit 0, no sanitizer report.
  void stop();
  // `kill -9`, and a new process on the same state.
  void kill_and_restart(const Scenario& scenario = {});
  // SIGHUP, and waits for the verdict: true if the file was taken over.
  bool reload(const Scenario& scenario);

  // A connection to the listener `http` or `https`.
  std::unique_ptr<HttpClient> connect();
  std::unique_ptr<HttpClient> connect_tls(harness::ClientTls tls = {});
  // One of HTTP/2 to the listener `http`.
  std::unique_ptr<harness::H2Client> connect_h2(harness::H2Client::Options options = {});
  Response get(std::string_view target);  // on a connection of its own

  // A call of the admin API, as curl makes it: `form` is sent as a form.
  Response admin(std::string_view method, std::string_view target, std::string_view form = {},
                 Fields fields = {});
  // The JSON of a GET, which must succeed.
  json admin_json(std::string_view target);
  json backend_server(std::string_view backend, std::string_view server);
  // Asks until the server's `status` is that; false if the deadline comes first.
  bool wait_for_status(std::string_view backend, std::string_view server, std::string_view status,
                       Deadline deadline = Deadline{});
  bool wait_until(const std::function<bool()>& condition, Deadline deadline = Deadline{});
  // The value of one time series of /metrics, 0 if it is not there.
  double metric(const std::string& series);
  // Of a key of [limits] or [timeouts], how often it was hit.
  double limit_hits(const std::string& key);
  double timeout_hits(const std::string& key);

  StrictOrigin blue_{"blue"};
  StrictOrigin green_{"green"};
  std::shared_ptr<harness::TempDir> directory_ = std::make_shared<harness::TempDir>();
  std::unique_ptr<SluiceProcess> sluice_;
  // False in tests that send an origin what is no request.
  bool expect_no_violation_ = true;

 private:
  void start_process(const Scenario& scenario);
};

json parse_json(const Response& response);

}  // namespace sluice::integration
