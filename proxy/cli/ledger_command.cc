// `sluice ledger`: export from a running Sluice; verify and import where none runs.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "admin/json_writer.h"
#include "admin/table.h"
#include "conf/parser.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/show.h"
#include "proxy/cli/words.h"
#include "proxy/control/ledger_copy.h"
#include "proxy/control/ledger_tools.h"

namespace sluice::cli {
namespace {

int refuse(const std::string& why) {
  fmt::print(stderr, "sluice: {}\n", printable(why));
  return code_of(ExitStatus::refused);
}

// --- export -------------------------------------------------------------------------------------

struct Export {
  ClientOptions client;
  std::string file;  // empty: the standard output
};

int export_ledger(const Export& options) {
  auto client = AdminClient::make(options.client);
  if (!client) return fail(options.client, client.error());
  const auto answer = (*client)->get("/v1/ledger");
  if (!answer) return fail(options.client, answer.error());
  if (options.file.empty()) {
    std::fwrite(answer->body.data(), 1, answer->body.size(), stdout);
    return code_of(ExitStatus::done);
  }
  // Whole or not at all: a backup that is half there is worse than none.
  if (const auto written = proxy::write_whole(options.file, answer->body); !written) {
    fmt::print(stderr, "sluice: {}\n", printable(written.error()));
    return code_of(ExitStatus::failed);
  }
  return code_of(ExitStatus::done);
}

void add_export(CommandLine& line, CLI::App& ledger) {
  auto options = std::make_shared<Export>();
  CLI::App& command = line.add(ledger, "export", "Print all of a running Sluice's ledger");
  command.add_option("-o,--output", options->file, "Write it to this file instead")
      ->type_name("FILE");
  line.on_client(command, options->client, [options] { return export_ledger(*options); });
}

// --- verify and import --------------------------------------------------------------------------

// Where the configuration keeps its ledger; the exit status where it doesn't say.
std::expected<proxy::LedgerStore::Places, int> places_of(const std::string& config_path) {
  const auto config = conf::load(config_path);
  if (config) {
    return proxy::LedgerStore::Places{config->runtime.state_directory,
                                      config->ledger.second_directory};
  }
  std::string text = "the configuration file does not say where the ledger is:";
  for (const auto& error : config.error()) text += "\n  " + printable(error.to_string());
  return std::unexpected(fail_usage(text));
}

struct Verify {
  std::vector<std::string> files;
  bool json = false;
};

// One file that was looked at.
struct Verified {
  std::string file;
  std::expected<proxy::LedgerReport, std::string> report;  // the error: it can't be read
  bool good() const { return report && report->damage.empty(); }
};

std::string verified_text(const std::vector<Verified>& all) {
  admin::Table table({"FILE", "FIRST", "LAST", "REVISIONS", "STATE"});
  for (const auto& [file, report] : all) {
    if (!report) {
      table.add({file, "", "", "", report.error()});
      continue;
    }
    std::string state = "good";
    if (report->torn_bytes > 0)
      state = fmt::format("good, but for {} bytes of a record that was never whole",
                          report->torn_bytes);
    if (!report->damage.empty()) state = report->damage;
    table.add({file, std::to_string(report->first), std::to_string(report->last),
               std::to_string(report->revisions), state});
  }
  return table.finish();
}

std::string verified_json(const std::vector<Verified>& all, bool good) {
  admin::JsonWriter json;
  json.begin_object();
  json.key("good").value(good);
  json.key("files").begin_array();
  for (const Verified& each : all) {
    json.begin_object();
    json.key("file").value(each.file);
    json.key("good").value(each.good());
    if (each.report) {
      json.key("first").value(each.report->first);
      json.key("last").value(each.report->last);
      json.key("revisions").value(each.report->revisions);
      json.key("torn_bytes").value(each.report->torn_bytes);
      if (!each.report->damage.empty()) json.key("damage").value(each.report->damage);
    } else {
      json.key("error").value(each.report.error());
    }
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json.finish();
}

int verify(const CommandLine& line, const Verify& options) {
  std::vector<std::string> files = options.files;
  if (files.empty()) {
    const auto places = places_of(line.config_path());
    if (!places) return places.error();
    files = proxy::ledger_paths(*places);
  }
  std::vector<Verified> all;
  for (const std::string& file : files) all.push_back({file, proxy::verify_ledger(file)});
  const bool good = std::ranges::all_of(all, &Verified::good);
  fmt::print("{}", options.json ? verified_json(all, good) : verified_text(all));
  return code_of(good ? ExitStatus::done : ExitStatus::refused);
}

void add_verify(CommandLine& line, CLI::App& ledger) {
  auto options = std::make_shared<Verify>();
  CLI::App& command = line.add(ledger, "verify", "Check ledgers, and change nothing");
  command.add_option("FILES", options->files, "Which; default: both copies of the configuration's");
  command.add_flag("--json", options->json, "Print what was found as JSON");
  line.on(command, [&line, options] { return verify(line, *options); });
}

void add_import(CommandLine& line, CLI::App& ledger) {
  struct Options {
    std::string file;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command =
      line.add(ledger, "import", "Make a file the ledger of a Sluice that does not run");
  command.add_option("FILE", options->file, "What `sluice ledger export` wrote")->required();
  command.add_flag("--force", options->force, "Also where there is a ledger; it is kept beside");
  line.on(command, [&line, options] {
    const auto places = places_of(line.config_path());
    if (!places) return places.error();
    const auto report = proxy::import_ledger(*places, options->file, options->force);
    if (!report) return refuse(report.error());
    fmt::print("{}: revisions {} to {}\n", printable(report->path), report->first, report->last);
    return code_of(ExitStatus::done);
  });
}

}  // namespace

void add_ledger_commands(CommandLine& line) {
  CLI::App& ledger = line.add("ledger", "Export, verify or import the ledger");
  ledger.require_subcommand(1);
  add_export(line, ledger);
  add_verify(line, ledger);
  add_import(line, ledger);
}

}  // namespace sluice::cli
