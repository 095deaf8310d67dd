// The commands that see what was changed, and keep or renew what would lapse.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "proxy/cli/change.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/show.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kRevisionMax = 9'999'999'999'999'999ULL;

void add_history(CommandLine& line) {
  struct Options {
    ClientOptions client;
    std::string route;
    int limit = 20;
    std::uint64_t before = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add("history", "Show what was changed, by whom and why, newest first");
  command.add_option("ROUTE", options->route, "One route; default: all");
  command.add_option("-n,--limit", options->limit, "How many revisions")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--before", options->before, "Only older ones than this revision")
      ->type_name("REVISION")
      ->check(CLI::Range(std::uint64_t{1}, kRevisionMax));
  line.on_client(command, options->client, [options] {
    const std::string route = options->route.empty() ? "" : '/' + percent_encode(options->route);
    Query query;
    query.add("limit", std::to_string(options->limit));
    if (options->before != 0) query.add("before", std::to_string(options->before));
    return show(options->client, "/v1/history" + route, query);
  });
}

void add_revision(CommandLine& line) {
  struct Options {
    ClientOptions client;
    std::uint64_t number = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add("revision", "Show one revision: what it changed, from what to what");
  command.add_option("REVISION", options->number, "Its number")->required();
  line.on_client(command, options->client, [options] {
    return show(options->client, fmt::format("/v1/revisions/{}", options->number));
  });
}

void add_leases(CommandLine& line) {
  struct Options : Change {
    std::uint64_t revision = 0;
    std::string ttl;
  };
  auto client = std::make_shared<ClientOptions>();
  CLI::App& leases = line.add("leases", "Show the leases that run; keep or renew one");
  leases.require_subcommand(0, 1);
  line.on_client(leases, *client, [client] { return show(*client, "/v1/leases"); });
  for (const bool renew : {true, false}) {
    auto options = std::make_shared<Options>();
    CLI::App& each = renew ? line.add(leases, "renew", "Have it lapse so much later")
                           : line.add(leases, "keep", "Keep what was shifted for good");
    each.add_option("REVISION", options->revision, "The revision that has the lease")->required();
    if (renew) {
      each.add_option("--ttl", options->change.ttl, "From now on")
          ->type_name("DURATION")
          ->required()
          ->check(duration_validator());
    }
    add_change_options(each, options->change, Takes::remarks);
    line.on_client(each, options->client, [options, renew] {
      const std::string path = fmt::format("/v1/leases/{}", options->revision);
      return make_change(
          *options, {.method = renew ? "POST" : "DELETE", .path = renew ? path + "/renew" : path});
    });
  }
}

}  // namespace

void add_history_commands(CommandLine& line) {
  add_history(line);
  add_revision(line);
  add_leases(line);
}

}  // namespace sluice::cli
