// Every command of `sluice`, by what it is about. Each function hangs its commands into the tree.
#pragma once

#include "proxy/cli/command_line.h"

namespace sluice::cli {

// run, check, demo, schema, version.
void add_process_commands(CommandLine& line);
// `check`'s work, which -t asks for as well.
int check_configuration(const std::string& path);
// status.
void add_status_command(CommandLine& line);
// weights, shift, switch, rollback, states, maintenance.
void add_traffic_commands(CommandLine& line);
// servers, drain, resume.
void add_server_commands(CommandLine& line);
// history, revision, leases.
void add_history_commands(CommandLine& line);
// reload, explain, events.
void add_watch_commands(CommandLine& line);
// completion. What its scripts call, `sluice complete WORDS…`, CommandLine answers before it
// parses.
void add_completion_commands(CommandLine& line);

// token: on a tokens file, with or without a running process.
void add_token_commands(CommandLine& line);
// ledger: verify, export, import.
void add_ledger_commands(CommandLine& line);

// The whole tree, as main() has it.
void add_all_commands(CommandLine& line);

}  // namespace sluice::cli
