// The command line is proxy/cli/; everything else is wired by constructor from there.
#include <string>
#include <vector>

#include "proxy/cli/commands.h"

int main(int argc, char** argv) {
  sluice::cli::CommandLine line;
  sluice::cli::add_all_commands(line);
  return line.run(std::vector<std::string>(argv + 1, argv + argc));
}
