// The command line. Everything that is not here is wired by constructor from here.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "conf/parser.h"
#include "conf/schema.h"
#include "proxy/cli/token_command.h"
#include "proxy/control/admin_access.h"
#include "proxy/control/control.h"
#include "proxy/control/listeners.h"
#include "proxy/control/server_settings.h"
#include "proxy/control/sticky_key_file.h"
#include "proxy/control/version.h"
#include "proxy/control/webhooks.h"
#include "proxy/demo/demo.h"
#include "proxy/h2/versions.h"
#include "tls/ticket_keys.h"
#include "tls/versions.h"

namespace {

using namespace sluice;

// Documented in README.md: 0 done, 1 refused or failed, 2 usage.
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

std::shared_ptr<const conf::Config> load(const std::string& path) {
  auto config = conf::load(path);
  if (config) return std::make_shared<const conf::Config>(std::move(*config));
  for (const conf::ConfigError& error : config.error()) {
    fmt::print(stderr, "{}\n", error.to_string());
  }
  return nullptr;
}

int check(const std::string& path) {
  const auto config = load(path);
  if (!config) return kFailed;
  bool good = true;
  for (const conf::Listener& listener : config->listeners) {
    if (!listener.tls) continue;
    const auto context = proxy::load_tls(listener, tls::make_ticket_keys());
    if (context) continue;
    fmt::print(stderr, "{}:{}: listener {}: {}\n", path, listener.line, listener.name,
               context.error());
    good = false;
  }
  if (config->admin.tls) {
    const auto context = proxy::load_admin_tls(*config->admin.tls, tls::make_ticket_keys());
    if (!context) {
      fmt::print(stderr, "{}:{}: admin.tls: {}\n", path, config->admin.tls->line, context.error());
      good = false;
    }
  }
  if (const auto servers = proxy::load_server_settings(*config); !servers) {
    for (const std::string& error : servers.error()) fmt::print(stderr, "{}\n", error);
    good = false;
  }
  if (const auto access = proxy::AdminAccess::prepare(*config); !access) {
    for (const std::string& error : access.error()) fmt::print(stderr, "{}\n", error);
    good = false;
  }
  if (const auto webhooks = proxy::load_webhooks(*config); !webhooks) {
    for (const std::string& error : webhooks.error()) fmt::print(stderr, "{}\n", error);
    good = false;
  }
  if (const auto keys = proxy::load_sticky_keys(*config, /*make_missing=*/false); !keys) {
    for (const std::string& error : keys.error()) fmt::print(stderr, "{}\n", error);
    good = false;
  }
  if (good) fmt::print("{}: good\n", path);
  return good ? kDone : kFailed;
}

int run(const std::string& path) {
  proxy::block_signals();
  const auto config = load(path);
  if (!config) return kFailed;
  return proxy::Control(config, path).run();
}

int demo(const proxy::DemoOptions& options) {
  proxy::block_signals();
  return proxy::run_demo(options);
}

int version() {
  fmt::print("sluice {}\n{}\n{}\n", SLUICE_VERSION, tls::library_version(), h2::library_version());
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Sluice: a load balancer in which moving traffic is a transaction."};
  std::string config_path = "/etc/sluice/sluice.toml";
  bool test_only = false;
  proxy::DemoOptions demo_options;
  app.add_flag("-t", test_only, "Check the configuration and exit, like `check`");
  app.add_option("-c,--config", config_path, "The configuration file")->capture_default_str();
  app.require_subcommand(0, 1);
  app.fallthrough();
  const CLI::App* run_command = app.add_subcommand("run", "Run the proxy");
  const CLI::App* check_command =
      app.add_subcommand("check", "Check a configuration file and say everything that is wrong");
  CLI::App* demo_command = app.add_subcommand("demo", "Try it out: the proxy and two app servers");
  demo_command->add_option("--https-port", demo_options.https_port)->capture_default_str();
  demo_command->add_option("--http-port", demo_options.http_port)->capture_default_str();
  demo_command->add_option("--admin-port", demo_options.admin_port)->capture_default_str();
  demo_command->add_option("--metrics-port", demo_options.metrics_port)->capture_default_str();
  demo_command->add_option("--workers", demo_options.workers, "Default: one per core")
      ->check(CLI::Range(1, 1024));
  const CLI::App* schema_command =
      app.add_subcommand("schema", "Print the JSON Schema of the configuration file");
  proxy::TokenCommand token_command(app);
  const CLI::App* version_command =
      app.add_subcommand("version", "Print the versions of Sluice and its libraries");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  if (check_command->parsed() || test_only) return check(config_path);
  if (run_command->parsed()) return run(config_path);
  if (demo_command->parsed()) return demo(demo_options);
  if (schema_command->parsed()) {
    fmt::print("{}", conf::json_schema());
    return kDone;
  }
  if (token_command.parsed()) return token_command.run(config_path);
  if (version_command->parsed()) return version();
  fmt::print(stderr, "{}", app.help());
  return kUsage;
}
