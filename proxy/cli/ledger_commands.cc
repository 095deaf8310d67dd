// The ledger as a file: verify, import (while no Sluice runs on it), export (from one that runs).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "conf/parser.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/admin_client.h"
#include "proxy/cli/exit_status.h"
#include "proxy/cli/show.h"
#include "proxy/control/ledger_tools.h"

namespace sluice::cli {
namespace {

constexpr int kDone = code_of(ExitStatus::done);
constexpr int kRefused = code_of(ExitStatus::refused);

int refuse(const std::string& why) {
  fmt::print(stderr, "sluice: {}\n", why);
  return kRefused;
}

void print(const proxy::LedgerReport& report) {
  const std::string what =
      report.last == 0 ? "no revision"
                       : fmt::format("{} revisions, the last is {}", report.revisions, report.last);
  if (!report.damage.empty()) {
    fmt::print("{}: {}; what can be read: {}\n", report.path, report.damage, what);
  } else if (report.torn_bytes > 0) {
    fmt::print("{}: good: {}; its last {} bytes are a change that was never acknowledged\n",
               report.path, what, report.torn_bytes);
  } else {
    fmt::print("{}: good: {}\n", report.path, what);
  }
}

std::expected<proxy::LedgerStore::Places, int> configured_places(const std::string& config_path) {
  const auto config = conf::load(config_path);
  if (config) {
    return proxy::LedgerStore::Places{config->runtime.state_directory,
                                      config->ledger.second_directory};
  }
  for (const conf::ConfigError& error : config.error()) {
    fmt::print(stderr, "{}\n", error.to_string());
  }
  return std::unexpected(kRefused);
}

int verify(const std::string& config_path, std::vector<std::string> files) {
  if (files.empty()) {
    const auto places = configured_places(config_path);
    if (!places) return places.error();
    files = proxy::ledger_paths(*places);
  }
  int status = kDone;
  for (const std::string& file : files) {
    const auto report = proxy::verify_ledger(file);
    if (!report) {
      status = refuse(report.error());
      continue;
    }
    print(*report);
    if (!report->damage.empty()) status = kRefused;
  }
  return status;
}

int import(const std::string& config_path, const std::string& file, bool force) {
  const auto places = configured_places(config_path);
  if (!places) return places.error();
  const auto imported = proxy::import_ledger(*places, file, force);
  if (!imported) return refuse(imported.error());
  fmt::print("imported {} revisions, the last is {}, into {}\n", imported->revisions,
             imported->last, places->directory);
  return kDone;
}

}  // namespace

namespace {

void add_verify(CommandLine& line, CLI::App& ledger) {
  auto files = std::make_shared<std::vector<std::string>>();
  CLI::App& command = line.add(ledger, "verify", "Check ledgers, without changing anything");
  command.add_option("FILE", *files, "Default: both copies of the configured state directory");
  line.on(command, [&line, files] { return verify(line.config_path(), *files); });
}

void add_import(CommandLine& line, CLI::App& ledger) {
  struct Options {
    std::string file;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command =
      line.add(ledger, "import", "Make a file the ledger of this machine; no Sluice may run on it");
  command.add_option("FILE", options->file, "As `export` or ledger.copy_to made it")->required();
  command.add_flag("--force", options->force, "Replace one that knows revisions; it is kept aside");
  line.on(command, [&line, options] {
    return import(line.config_path(), options->file, options->force);
  });
}

void add_export(CommandLine& line, CLI::App& ledger) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App& command = line.add(ledger, "export", "Print the whole ledger of a running Sluice");
  line.on_client(command, *options, [options] {
    auto client = AdminClient::make(*options);
    if (!client) return fail(*options, client.error());
    const auto printed = (*client)->stream(
        {.target = "/v1/ledger"}, /*endless=*/true,
        {.on_head = [](const http::ResponseHead&) { return true; },
         .on_body = [](std::string_view piece) {
           return std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
         }});
    return printed ? kDone : fail(*options, printed.error());
  });
}

}  // namespace

void add_ledger_commands(CommandLine& line) {
  CLI::App& ledger = line.add("ledger", "Verify, export or import the ledger of revisions");
  ledger.require_subcommand(1);
  add_verify(line, ledger);
  add_import(line, ledger);
  add_export(line, ledger);
}

}  // namespace sluice::cli
