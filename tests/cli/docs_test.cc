// docs/cli.md and README.md say of every command and every option of the tree.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iterator>

#include "proxy/cli/commands.h"
#include "proxy/cli/completion.h"

namespace sluice::cli {
namespace {

std::string document(const std::string& name) {
  std::ifstream file(std::string(SLUICE_SOURCE_DIR) + "/" + name);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Documents, CliHasEveryCommandAndCommonOption) {
  CommandLine line;
  add_all_commands(line);
  const std::string cli = document("docs/cli.md");
  const std::string readme = document("README.md");
  for (const CLI::App* command : commands_below(line.root())) {
    const std::string& name = command->get_name();
    EXPECT_NE(cli.find("`" + name), std::string::npos) << "docs/cli.md: " << name;
    EXPECT_TRUE(readme.find("sluice " + name) != std::string::npos ||
                readme.find("`" + name + "`") != std::string::npos)
        << "README.md: " << name;
    for (const CLI::App* below : commands_below(*command)) {
      EXPECT_NE(cli.find(name + " " + below->get_name()), std::string::npos)
          << "docs/cli.md: " << name << " " << below->get_name();
    }
  }
  const CLI::App* shift = find_command(line.root(), "shift");
  ASSERT_NE(shift, nullptr);
  for (const CLI::Option* option : shift->get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name == "help") continue;
      EXPECT_NE(cli.find("--" + name), std::string::npos) << "docs/cli.md: --" << name;
    }
  }
}

}  // namespace
}  // namespace sluice::cli
