// CommandLine: the tree of `sluice`'s commands, what each does, and what is said of a wrong one.
//
// main() makes one, the add_…() functions of commands.h hang their commands into it, run() parses
// and does what was chosen. Each command keeps what CLI11 fills for it in its action.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/cli/options.h"

namespace CLI {
class App;
}

namespace sluice::cli {

class CommandLine {
 public:
  using Action = std::function<int()>;

  CommandLine();
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CLI::App& root() { return *root_; }
  // A command, below `parent` or on its own. Lives as long as this.
  CLI::App& add(const std::string& name, const std::string& what);
  CLI::App& add(CLI::App& parent, const std::string& name, const std::string& what);
  // What the command does; its exit status is the process's.
  void on(CLI::App& command, Action action);
  // The same for one that calls the admin API: it gets the common options, and `options` lives as
  // long as whatever `action` keeps it in.
  void on_client(CLI::App& command, ClientOptions& options, Action action);

  // -c, and whether the command line has it.
  const std::string& config_path() const { return config_path_; }
  bool config_said() const;

  // The words behind the program's name.
  int run(const std::vector<std::string>& words);

 private:
  int complain(const std::string& error, const std::vector<std::string>& words) const;

  std::unique_ptr<CLI::App> root_;
  std::string config_path_;
  bool test_only_ = false;
  Action action_;  // of the innermost command that was chosen
};

}  // namespace sluice::cli
