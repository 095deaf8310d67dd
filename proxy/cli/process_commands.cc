// The commands that are the proxy itself, or need no running one.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "conf/parser.h"
#include "conf/schema.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/exit_status.h"
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

namespace sluice::cli {
namespace {

constexpr int kDone = code_of(ExitStatus::done);
constexpr int kFailed = code_of(ExitStatus::refused);

std::shared_ptr<const conf::Config> load(const std::string& path) {
  auto config = conf::load(path);
  if (config) return std::make_shared<const conf::Config>(std::move(*config));
  for (const conf::ConfigError& error : config.error()) {
    fmt::print(stderr, "{}\n", error.to_string());
  }
  return nullptr;
}

int run(const std::string& path) {
  proxy::block_signals();
  const auto config = load(path);
  if (!config) return kFailed;
  return proxy::Control(config, path).run();
}

int version() {
  fmt::print("sluice {}\n{}\n{}\n", SLUICE_VERSION, tls::library_version(), h2::library_version());
  return kDone;
}

void add_demo(CommandLine& line) {
  auto options = std::make_shared<proxy::DemoOptions>();
  CLI::App& demo = line.add("demo", "Try it out: the proxy and two app servers");
  demo.add_option("--https-port", options->https_port)->capture_default_str();
  demo.add_option("--http-port", options->http_port)->capture_default_str();
  demo.add_option("--admin-port", options->admin_port)->capture_default_str();
  demo.add_option("--metrics-port", options->metrics_port)->capture_default_str();
  demo.add_option("--workers", options->workers, "Default: one per core")
      ->check(CLI::Range(1, 1024));
  line.on(demo, [options] {
    proxy::block_signals();
    return proxy::run_demo(*options);
  });
}

}  // namespace

int check_configuration(const std::string& path) {
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
  const auto judge = [&good](const auto& loaded) {
    if (loaded) return;
    for (const std::string& error : loaded.error()) fmt::print(stderr, "{}\n", error);
    good = false;
  };
  judge(proxy::load_server_settings(*config));
  judge(proxy::AdminAccess::prepare(*config));
  judge(proxy::load_webhooks(*config));
  judge(proxy::load_sticky_keys(*config, /*make_missing=*/false));
  if (good) fmt::print("{}: good\n", path);
  return good ? kDone : kFailed;
}

void add_process_commands(CommandLine& line) {
  line.on(line.add("run", "Run the proxy"), [&line] { return run(line.config_path()); });
  line.on(line.add("check", "Check a configuration file and say everything that is wrong"),
          [&line] { return check_configuration(line.config_path()); });
  add_demo(line);
  line.on(line.add("schema", "Print the JSON Schema of the configuration file"), [] {
    fmt::print("{}", conf::json_schema());
    return kDone;
  });
  line.on(line.add("version", "Print the versions of Sluice and its libraries"), version);
}

void add_token_commands(CommandLine& line) {
  auto token = std::make_shared<proxy::TokenCommand>(line.root());
  line.on(token->command(), [&line, token] { return token->run(line.config_path()); });
}

}  // namespace sluice::cli
