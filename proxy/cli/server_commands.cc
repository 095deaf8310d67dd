// The commands for servers, one by one or a backend's together.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "proxy/cli/change.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/show.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

struct ServerChange : Change {
  std::vector<std::string> words;  // which server
};

std::string server_path(const ServerWords& server) {
  // That of a Unix socket is a path, slashes and all.
  std::string name;
  std::string_view rest = server.server;
  for (std::size_t slash; (slash = rest.find('/')) != std::string_view::npos;) {
    name += percent_encode(rest.substr(0, slash)) + '/';
    rest.remove_prefix(slash + 1);
  }
  name += percent_encode(rest);
  return fmt::format("/v1/servers/{}/{}", percent_encode(server.backend), name);
}

void add_drain_or_resume(CommandLine& line, const char* verb, const char* what) {
  auto options = std::make_shared<ServerChange>();
  CLI::App& command = line.add(verb, what);
  command
      .add_option("SERVER", options->words,
                  "BACKEND/SERVER, by name or address; BACKEND alone: all of its servers")
      ->required();
  const Takes takes = Takes::if_match | Takes::dry_run | Takes::wait;
  add_change_options(command, options->change,
                     std::string_view(verb) == "drain" ? takes | Takes::force : takes);
  line.on_client(command, options->client, [options, verb] {
    const auto server = parse_server_words(options->words);
    if (!server) return fail_usage(server.error());
    const std::string path = server->server.empty()
                                 ? "/v1/backends/" + percent_encode(server->backend)
                                 : server_path(*server);
    return make_change(*options, {.path = fmt::format("{}/{}", path, verb)});
  });
}

void add_add(CommandLine& line, CLI::App& servers) {
  struct Options : Change {
    std::string backend;
    std::string address;
    std::string name;
    std::string weight;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add(servers, "add", "Add a server to a backend");
  command.add_option("BACKEND", options->backend, "The backend")->required();
  command.add_option("ADDRESS", options->address, "HOST:PORT or unix:/PATH")->required();
  command.add_option("--name", options->name, "What it is called (default: its address)")
      ->type_name("NAME");
  command.add_option("--weight", options->weight, "Its share within the backend (default: 1)")
      ->type_name("WEIGHT");
  add_change_options(command, options->change, Takes::dry_run);
  line.on_client(command, options->client, [options] {
    Query query;
    query.add("address", options->address);
    if (!options->name.empty()) query.add("name", options->name);
    if (!options->weight.empty()) query.add("weight", options->weight);
    return make_change(*options, {.path = "/v1/servers/" + percent_encode(options->backend),
                                  .query = std::move(query)});
  });
}

void add_weight(CommandLine& line, CLI::App& servers) {
  struct Options : Change {
    std::string server;
    std::string weight;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add(servers, "weight", "Set a server's share within its backend");
  command.add_option("SERVER", options->server, "BACKEND/SERVER")->required();
  command.add_option("WEIGHT", options->weight, "The share")->required();
  add_change_options(command, options->change, Takes::if_match | Takes::dry_run | Takes::force);
  line.on_client(command, options->client, [options] {
    const auto server = parse_server_words({options->server});
    if (!server) return fail_usage(server.error());
    if (server->server.empty()) return fail_usage("A server is needed: BACKEND/SERVER");
    Query query;
    query.add("weight", options->weight);
    return make_change(
        *options, {.method = "PATCH", .path = server_path(*server), .query = std::move(query)});
  });
}

void add_remove(CommandLine& line, CLI::App& servers) {
  auto options = std::make_shared<ServerChange>();
  CLI::App& command = line.add(servers, "remove", "Remove a server that is safe to stop");
  command.add_option("SERVER", options->words, "BACKEND/SERVER")->required();
  add_change_options(command, options->change, Takes::if_match | Takes::dry_run | Takes::force);
  line.on_client(command, options->client, [options] {
    const auto server = parse_server_words(options->words);
    if (!server) return fail_usage(server.error());
    if (server->server.empty()) return fail_usage("A server is needed: BACKEND/SERVER");
    return make_change(*options, {.method = "DELETE", .path = server_path(*server)});
  });
}

}  // namespace

void add_server_commands(CommandLine& line) {
  struct Options {
    ClientOptions client;
    std::string backend;
  };
  auto options = std::make_shared<Options>();
  CLI::App& servers = line.add("servers", "Show servers; add, weigh or remove one");
  servers.add_option("BACKEND", options->backend, "One backend's; default: all");
  servers.require_subcommand(0, 1);
  line.on_client(servers, options->client, [options] {
    const std::string backend =
        options->backend.empty() ? "" : '/' + percent_encode(options->backend);
    return show(options->client, "/v1/backends" + backend);
  });
  add_add(line, servers);
  add_weight(line, servers);
  add_remove(line, servers);
  add_drain_or_resume(line, "drain", "Give a server no new work, and say when it is safe to stop");
  add_drain_or_resume(line, "resume", "Give a server new work again, once a probe has passed");
}

}  // namespace sluice::cli
