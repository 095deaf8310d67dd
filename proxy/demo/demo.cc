#include "proxy/demo/demo.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "conf/parser.h"
#include "proxy/control/control.h"
#include "proxy/demo/app_servers.h"
#include "tls/context.h"

namespace sluice::proxy {
namespace {

constexpr int kCertificateDays = 30;

// A directory of our own that goes when the demo ends.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::error_code error;
    const std::filesystem::path base = std::filesystem::temp_directory_path(error);
    std::string name = (base / "sluice-demo-XXXXXX").string();
    if (!error && ::mkdtemp(name.data())) path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool write_file(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
  return file.good() && !error;
}

std::string config_text(const DemoOptions& options, const std::string& directory,
                        const AppServers& apps) {
  const std::string workers = options.workers ? std::to_string(*options.workers) : "\"auto\"";
  return fmt::format(
      R"([runtime]
workers = {workers}
state_directory = "{directory}/state"
drain_timeout = "5s"

[listeners.https]
address = "127.0.0.1:{https}"
[listeners.https.tls]
certificate_file = "{directory}/certificate.pem"
key_file = "{directory}/key.pem"

[listeners.http]
address = "127.0.0.1:{http}"

[health]
interval = "5s"

[backends.blue.servers]
blue-1 = "{blue}"

[backends.green.servers]
green-1 = "{green}"

[routes.app]
path = "/"
split = {{ blue = 100, green = 0 }}

[admin]
listen = ["127.0.0.1:{admin}"]
container = false
read_only_listen = ["127.0.0.1:{metrics}"]
)",
      fmt::arg("workers", workers), fmt::arg("directory", directory),
      fmt::arg("https", options.https_port), fmt::arg("http", options.http_port),
      fmt::arg("admin", options.admin_port), fmt::arg("metrics", options.metrics_port),
      fmt::arg("blue", apps.blue().to_string()), fmt::arg("green", apps.green().to_string()));
}

std::string bound(const std::map<std::string, Listeners::Open>& listeners, Listeners::Kind kind,
                  std::string_view name = {}) {
  for (const auto& [key, open] : listeners) {
    if (open.kind == kind && (name.empty() || key == name)) return open.bound.to_string();
  }
  return {};
}

void print_welcome(const std::map<std::string, Listeners::Open>& listeners,
                   const std::string& directory, const AppServers& apps) {
  const std::string https = bound(listeners, Listeners::Kind::data, "https");
  const std::string http = bound(listeners, Listeners::Kind::data, "http");
  const std::string admin = bound(listeners, Listeners::Kind::admin);
  fmt::print(R"(
Sluice is up: https://{https}/ and http://{http}/, route `app`, all of it to blue.

  See where requests go:
    curl --cacert {directory}/certificate.pem https://{https}/
    curl {admin}/weights
  Canary, 90/10, and see the split:
    curl --fail-with-body -X PUT {admin}/weights/app -d 'blue=90&green=10'
    for i in $(seq 20); do curl -s http://{http}/ | grep '"backend"'; done
  Switch, all at once:
    curl --fail-with-body -X POST {admin}/switch/app -d to=green
  With all on green, roll the server of blue: drain it, wait until it is safe to stop, bring it back:
    curl --fail-with-body -X POST '{admin}/servers/blue/blue-1/drain?wait=10s'
    curl --fail-with-body -X POST '{admin}/servers/blue/blue-1/resume?wait=10s'
  Make green fail its health check, and look:
    curl -X POST http://{green}/health/fail
    curl '{admin}/backends?format=text'
  Metrics:
    curl {metrics}/metrics

Ctrl-C stops it.

)",
             fmt::arg("https", https), fmt::arg("http", http), fmt::arg("admin", admin),
             fmt::arg("metrics", bound(listeners, Listeners::Kind::read_only)),
             fmt::arg("directory", directory), fmt::arg("green", apps.green().to_string()));
  std::fflush(stdout);
}

int fail(std::string_view why) {
  fmt::print(stderr, "sluice demo: {}\n", why);
  return 1;
}

}  // namespace

int run_demo(const DemoOptions& options) {
  const TemporaryDirectory directory;
  if (directory.path().empty()) return fail("no temporary directory can be made");
  const auto apps = AppServers::start();
  if (!apps) return fail(apps.error());
  const tls::SelfSigned certificate =
      tls::make_self_signed({"localhost", "127.0.0.1"}, kCertificateDays);
  const std::string config_path = directory.path() + "/sluice.toml";
  if (!write_file(directory.path() + "/certificate.pem", certificate.certificate_pem) ||
      !write_file(directory.path() + "/key.pem", certificate.key_pem) ||
      !write_file(config_path, config_text(options, directory.path(), **apps))) {
    return fail("cannot write to " + directory.path());
  }
  auto config = conf::load(config_path);
  if (!config) return fail(config.error().front().to_string());
  Control control(
      std::make_shared<const conf::Config>(std::move(*config)), config_path,
      [&](const auto& listeners) { print_welcome(listeners, directory.path(), **apps); });
  return control.run();
}

}  // namespace sluice::proxy
