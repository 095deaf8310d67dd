// How a command ends, for scripts: the exit statuses of `sluice`, and what a failure carries.
// docs/cli.md is the user's side.
#pragma once

#include <string>

namespace sluice::cli {

enum class ExitStatus : int {
  done = 0,
  refused = 1,      // Sluice said no (4xx) and changed nothing; or: what was looked at is not well
  usage = 2,        // the command line is wrong; nothing was sent
  unreachable = 3,  // no connection, or what answered is not Sluice's admin API
  timed_out = 4,    // Sluice waited in vain (504), or no answer came within --timeout
  failed = 5,       // Sluice could not do it (5xx): its ledger can't be written, for one
};

constexpr int code_of(ExitStatus status) {
  return static_cast<int>(status);
}

// Why a command was not done: a sentence for the terminal, and the answer where there was one.
struct Failure {
  ExitStatus status = ExitStatus::unreachable;
  std::string text;
  std::string body = {};  // of the answer, as it came; empty: none, or none that is to be shown
};

}  // namespace sluice::cli
