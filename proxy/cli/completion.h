// What could come next on a command line: the completion of shells. It is asked of the very tree
// that parses the line, so it can't say what isn't there; names of routes, backends and servers are
// asked of the running Sluice, as far as it answers at once.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/clock.h"
#include "proxy/cli/options.h"

namespace CLI {
class App;
}

namespace sluice::cli {

// Nobody who presses a key waits longer for names.
inline constexpr Duration kCompletionPatience = std::chrono::milliseconds(200);
// What complete() gives where the shell is to complete a path.
inline constexpr std::string_view kCompleteFiles = ":files";
inline constexpr std::size_t kCandidatesMax = 1000;

// The tree's own; find_command() gives nullptr where there is none of that name.
std::vector<const CLI::App*> commands_below(const CLI::App& command);
const CLI::App* find_command(const CLI::App& parent, const std::string& name);

// What a running Sluice has.
struct Names {
  std::vector<std::pair<std::string, std::vector<std::string>>> routes;    // with their backends
  std::vector<std::pair<std::string, std::vector<std::string>>> backends;  // with their servers
};
// Called when names are needed, with what the line says of where to ask.
using AskNames = std::function<Names(const ClientOptions&)>;

struct Candidate {
  std::string text;
  std::string what;  // a few words; may be empty
};

// `words`: those behind `sluice`, the last of which is not finished, and may be empty. `root` is
// not changed.
std::vector<Candidate> complete(const CLI::App& root, const std::vector<std::string>& words,
                                const AskNames& ask);

// From the admin API, within kCompletionPatience; nothing where it can't be had.
Names ask_names(ClientOptions options);

// The script for `bash`, `zsh` or `fish`; empty for others.
std::string_view completion_script(std::string_view shell);

}  // namespace sluice::cli
