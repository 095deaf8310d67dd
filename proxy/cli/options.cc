#include "proxy/cli/options.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

constexpr const char* kConnection = "Where to call";
constexpr const char* kChange = "What the change says of itself";
constexpr std::size_t kHostNameBytesMax = 64;
// The API's bounds.
constexpr std::size_t kAuthorBytesMax = 128;
constexpr std::size_t kKeyBytesMax = 128;

const CLI::Validator& printable_bytes() {
  static const CLI::Validator validator(
      [](std::string& text) {
        const bool good = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
        return good && !text.empty() && text.size() <= kKeyBytesMax
                   ? std::string()
                   : fmt::format("must be 1 to {} printable ASCII characters without spaces",
                                 kKeyBytesMax);
      },
      "");
  return validator;
}

}  // namespace

const CLI::Validator& duration_validator() {
  static const CLI::Validator validator(
      [](std::string& text) {
        return parse_duration(text) ? std::string()
                                    : fmt::format(
                                          "\"{}\" is no duration: a whole number and ms, "
                                          "s, m, h or d, as in 30s",
                                          printable(text));
      },
      "");
  return validator;
}

void add_client_options(CLI::App& command, ClientOptions& options) {
  command
      .add_option("--admin", options.admin,
                  "The admin API: unix:/PATH, http://HOST:PORT or https://HOST:PORT (default: "
                  "$SLUICE_ADMIN, else admin.listen of the configuration file)")
      ->type_name("URL")
      ->group(kConnection);
  command
      .add_option("--token-file", options.token_file,
                  "A file with the token to show (default: $SLUICE_TOKEN_FILE, else the token "
                  "$SLUICE_TOKEN itself)")
      ->type_name("FILE")
      ->group(kConnection);
  command
      .add_option("--ca-file", options.ca_file,
                  "Certificates, PEM, that https may end in (default: the system's)")
      ->type_name("FILE")
      ->group(kConnection);
  auto* certificate = command
                          .add_option("--client-cert", options.client_cert,
                                      "A certificate chain, PEM, to show over https")
                          ->type_name("FILE")
                          ->group(kConnection);
  auto* key = command.add_option("--client-key", options.client_key, "Its private key, PEM")
                  ->type_name("FILE")
                  ->group(kConnection);
  certificate->needs(key);
  key->needs(certificate);
  command
      .add_option("--timeout", options.timeout,
                  "Give up after so long (default: 30s, and as long as --wait)")
      ->type_name("DURATION")
      ->check(duration_validator())
      ->group(kConnection);
  command.add_flag("--json", options.json, "Print the API's answer as it is");
}

void add_change_options(CLI::App& command, ChangeOptions& options, Takes what) {
  command
      .add_option("--author", options.author,
                  "Who asks, for the history (default: $SLUICE_AUTHOR, else USER@HOST)")
      ->type_name("TEXT")
      ->group(kChange);
  command.add_option("--reason", options.reason, "Why, for the history")
      ->type_name("TEXT")
      ->group(kChange);
  command
      .add_option("--idempotency-key", options.idempotency_key,
                  "A call repeated with the same key is done once")
      ->type_name("KEY")
      ->check(printable_bytes())
      ->group(kChange);
  if (takes(what, Takes::if_match)) {
    command
        .add_option("--if-match", options.if_match,
                    "Only if the revision is still this one: N, or ROUTE=N where several routes "
                    "change")
        ->type_name("REVISION")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(kChange);
  }
  if (takes(what, Takes::dry_run))
    command.add_flag("--dry-run", options.dry_run, "Say what it would do, and change nothing");
  if (takes(what, Takes::wait)) {
    command
        .add_option_function<std::string>(
            "--wait",
            [&options](const std::string& text) {
              options.wait = text == kWaitUsual ? std::string() : text;
            },
            "Answer only when it has come about: --wait=60s, or --wait alone for as long as is "
            "usual")
        ->type_name("[=DURATION]")
        ->check(CLI::Validator(
            [](std::string& text) {
              return text == kWaitUsual ? std::string() : duration_validator()(text);
            },
            ""));
  }
  if (takes(what, Takes::lease)) {
    command
        .add_option("--ttl", options.ttl,
                    "A lease: what is shifted lapses after so long unless it is renewed or kept")
        ->type_name("DURATION")
        ->check(duration_validator());
    command.add_option("--on-lapse", options.on_lapse, "What a lease that lapses does")
        ->type_name("revert|freeze")
        ->check(CLI::IsMember({"revert", "freeze"}, CLI::ignore_case).description(""));
  }
  if (takes(what, Takes::force))
    command.add_flag("--force", options.force, "Also where a guard would refuse it");
}

std::expected<std::optional<std::string>, std::string> if_match_of(const ChangeOptions& options,
                                                                   const std::string& route) {
  std::optional<std::string> found;
  for (const std::string& text : options.if_match) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos && !route.empty()) {
      return std::unexpected(
          fmt::format("--if-match {} does not say of which route: --if-match {}={}",
                      printable(text), printable(route), printable(text)));
    }
    if (equals != std::string::npos && route.empty()) {
      return std::unexpected(
          fmt::format("--if-match {}: only one thing changes here: --if-match {}", printable(text),
                      printable(text.substr(equals + 1))));
    }
    if (equals != std::string::npos && text.substr(0, equals) != route) continue;
    std::string revision = equals == std::string::npos ? text : text.substr(equals + 1);
    // An ETag may be handed on as it came.
    if (revision.size() >= 2 && revision.front() == '"' && revision.back() == '"')
      revision = revision.substr(1, revision.size() - 2);
    const bool number = !revision.empty() && revision.size() <= 20 &&
                        std::ranges::all_of(revision, [](char c) { return c >= '0' && c <= '9'; });
    if (!number && revision != "*") {
      return std::unexpected(
          fmt::format("--if-match {} is not a revision, as in 42", printable(text)));
    }
    if (found) return std::unexpected("--if-match is said twice of the same route");
    found = revision == "*" ? revision : '"' + revision + '"';
  }
  return found;
}

std::string author_of(const ChangeOptions& options) {
  if (!options.author.empty()) return options.author;
  if (const char* author = std::getenv("SLUICE_AUTHOR"); author != nullptr && *author != '\0')
    return author;
  char host[kHostNameBytesMax + 1] = {};
  if (gethostname(host, kHostNameBytesMax) != 0) host[0] = '\0';
  const passwd* user = getpwuid(getuid());
  const std::string name = user != nullptr ? user->pw_name : fmt::format("uid:{}", getuid());
  return printable(fmt::format("{}@{}", name, host)).substr(0, kAuthorBytesMax);
}

}  // namespace sluice::cli
