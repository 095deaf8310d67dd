#include "proxy/cli/command_line.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "proxy/base/nearest.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/completion.h"
#include "proxy/cli/exit_status.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

constexpr const char* kExitStatuses =
    "Exit status: 0 done, 1 refused or not well, 2 wrong command line, 3 unreachable, 4 timed "
    "out,\n"
    "5 Sluice could not do it. docs/cli.md has the details.";

// What a line feed or a tab in a description would be taken for.
std::string one_line(const std::string& text) {
  return printable(text.substr(0, text.find_first_of("\n:(")));
}

// A full disk behind a redirection must not look like success.
int with_output_written(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  fmt::print(stderr, "sluice: the output can't be written: {}\n", std::strerror(errno));
  return status == code_of(ExitStatus::done) ? code_of(ExitStatus::failed) : status;
}

}  // namespace

CommandLine::CommandLine()
    : root_(std::make_unique<CLI::App>(
          "Sluice: a load balancer in which moving traffic is a transaction.", "sluice")),
      config_path_("/etc/sluice/sluice.toml") {
  root_->add_flag("-t", test_only_, "Check the configuration and exit, like `check`");
  root_->add_option("-c,--config", config_path_, "The configuration file")
      ->type_name("FILE")
      ->capture_default_str();
  root_->require_subcommand(0, 1);
  root_->fallthrough();
  root_->footer(kExitStatuses);
}

CommandLine::~CommandLine() = default;

CLI::App& CommandLine::add(const std::string& name, const std::string& what) {
  return add(*root_, name, what);
}

CLI::App& CommandLine::add(CLI::App& parent, const std::string& name, const std::string& what) {
  return *parent.add_subcommand(name, what);
}

void CommandLine::on(CLI::App& command, Action action) {
  // What a positional word is its name says; "TEXT" behind it says nothing.
  for (CLI::Option* option : command.get_options())
    if (option->get_positional()) option->type_name("");
  // The innermost one comes first.
  command.final_callback([this, action = std::move(action)] {
    if (!action_) action_ = action;
  });
}

void CommandLine::on_client(CLI::App& command, ClientOptions& options, Action action) {
  add_client_options(command, options);
  command.footer(kExitStatuses);
  on(command, [this, &options, action = std::move(action)] {
    options.config_path = config_path_;
    options.config_said = config_said();
    return action();
  });
}

bool CommandLine::config_said() const {
  return root_->get_option("--config")->count() > 0;
}

int CommandLine::run(const std::vector<std::string>& words) {
  // Half a line is not to be parsed.
  if (!words.empty() && words.front() == "complete") {
    const auto begun = std::vector<std::string>(words.begin() + 1, words.end());
    for (const Candidate& each : complete(*root_, begun, ask_names)) {
      fmt::print("{}{}{}\n", each.text, each.what.empty() ? "" : "\t", one_line(each.what));
    }
    return code_of(ExitStatus::done);
  }
  // CLI11 takes the words from the back.
  std::vector<std::string> parsed = with_optional_values(words);
  std::ranges::reverse(parsed);
  try {
    root_->parse(std::move(parsed));
  } catch (const CLI::Success& help) {
    return with_output_written(root_->exit(help));
  } catch (const CLI::ParseError& error) {
    return complain(error.what(), words);
  }
  if (test_only_) return with_output_written(check_configuration(config_path_));
  if (action_) return with_output_written(action_());
  fmt::print(stderr, "{}", root_->help());
  return code_of(ExitStatus::usage);
}

int CommandLine::complain(const std::string& error, const std::vector<std::string>& words) const {
  const CLI::App* command = root_.get();
  std::string path = "sluice";
  for (const std::string& word : words) {
    const CLI::App* next = find_command(*command, word);
    if (next == nullptr) break;
    command = next;
    path += ' ' + word;
  }
  fmt::print(stderr, "sluice: {}\n", printable(error));
  if (command == root_.get() && !words.empty()) {
    std::vector<std::string> names;
    for (const CLI::App* each : commands_below(*root_)) names.push_back(each->get_name());
    const std::vector<std::string_view> known(names.begin(), names.end());
    if (const auto meant = nearest(words.front(), known))
      fmt::print(stderr, "Did you mean `sluice {}`?\n", *meant);
  }
  fmt::print(stderr, "`{} --help` says what it takes.\n", path);
  return code_of(ExitStatus::usage);
}

void add_all_commands(CommandLine& line) {
  add_process_commands(line);
  add_status_command(line);
  add_traffic_commands(line);
  add_server_commands(line);
  add_history_commands(line);
  add_watch_commands(line);
  add_token_commands(line);
  add_ledger_commands(line);
  add_completion_commands(line);
}

}  // namespace sluice::cli
