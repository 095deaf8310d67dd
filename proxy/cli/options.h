// What commands that call the admin API have in common on their command lines: where it is, how to
// answer, and what every change says of itself.
//
// Each command owns one of these for as long as the command line lives; CLI11 fills it.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "proxy/base/clock.h"
#include "proxy/cli/exit_status.h"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace sluice::cli {

inline constexpr Duration kTimeoutDefault = std::chrono::seconds(30);

// --admin, --token-file, --ca-file, --client-cert, --client-key, --timeout, --json.
struct ClientOptions {
  std::string admin;
  std::string token_file;
  std::string ca_file;
  std::string client_cert;
  std::string client_key;
  std::string timeout;
  bool json = false;
  // The command line's -c, which says where the admin API is where nothing else does.
  std::string config_path;
  bool config_said = false;
};

// What a change may say: each command takes those that its call understands.
enum class Takes : std::uint8_t {
  remarks = 0,        // --author, --reason, --idempotency-key: every change
  if_match = 1 << 0,  // --if-match
  dry_run = 1 << 1,   // --dry-run
  wait = 1 << 2,      // --wait
  lease = 1 << 3,     // --ttl, --on-lapse
  force = 1 << 4,     // --force
};
constexpr Takes operator|(Takes a, Takes b) {
  return static_cast<Takes>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool takes(Takes all, Takes one) {
  return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}
inline constexpr Takes kShiftLike =
    Takes::if_match | Takes::dry_run | Takes::wait | Takes::lease | Takes::force;

struct ChangeOptions {
  std::string author;  // default: $SLUICE_AUTHOR, or USER@HOST
  std::string reason;
  std::string idempotency_key;
  std::vector<std::string> if_match;  // `42`, or `app=42` where several routes change
  bool dry_run = false;
  std::optional<std::string> wait;  // as typed; empty: for as long as the command usually does
  std::string ttl;
  std::string on_lapse;
  bool force = false;
};

// `30s`, `7d`, as parse_duration() has them.
const CLI::Validator& duration_validator();
void add_client_options(CLI::App& command, ClientOptions& options);
void add_change_options(CLI::App& command, ChangeOptions& options, Takes what);

// The revision that `--if-match` names for the route, as the header wants it: `"42"` or `*`.
// nullopt: none. `route` is empty where the command changes one thing only. The error is a
// sentence.
std::expected<std::optional<std::string>, std::string> if_match_of(const ChangeOptions& options,
                                                                   const std::string& route);

// Who asks: --author, $SLUICE_AUTHOR, or the user's and the machine's name.
std::string author_of(const ChangeOptions& options);

}  // namespace sluice::cli
