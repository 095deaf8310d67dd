// A command that changes something: its options, and the one way from them to a call and an exit
// status.
#pragma once

#include <string>
#include <string_view>

#include "proxy/cli/admin_client.h"
#include "proxy/cli/options.h"

namespace sluice::cli {

// Owned by the command's action.
struct Change {
  ClientOptions client;
  ChangeOptions change;
};

struct ChangeCall {
  std::string method = "POST";
  std::string path;
  Query query = {};       // beside what the options say
  std::string json = {};  // the body; empty: none
  // What --wait waits for: a shift for a healthy server behind each weight, anything else for its
  // own end.
  bool wait_for_health = false;
  // Of several routes each has its own --if-match in the body.
  bool if_match_in_body = false;
};

// Makes the call and prints the answer; the exit status.
int make_change(const Change& options, ChangeCall call);

}  // namespace sluice::cli
