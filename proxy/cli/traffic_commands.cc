// The commands that see and move traffic.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "admin/json_writer.h"
#include "proxy/base/decimal.h"
#include "proxy/cli/change.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/show.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

// Of one route's setting, which --wait waits for to be backed by healthy servers.
int change_route(const Change& options, const char* method, const std::string& what,
                 const std::string& route, std::string json, Query query = {}) {
  return make_change(options, {.method = method,
                               .path = fmt::format("/v1/{}/{}", what, percent_encode(route)),
                               .query = std::move(query),
                               .json = std::move(json),
                               .wait_for_health = true});
}

// `{"blue": 90, "green": 10}`, every weight exactly as typed.
std::expected<void, std::string> write_weights(admin::JsonWriter& json,
                                               const std::vector<Assignment>& shares) {
  json.begin_object(admin::JsonWriter::Layout::one_line);
  for (const Assignment& share : shares) {
    const auto weight = Decimal::parse(share.value);
    if (!weight) {
      return std::unexpected(fmt::format(
          "{}={}: a weight is a number such as 90 or 0.5, with at most {} digits behind the point",
          printable(share.name), printable(share.value), Decimal::kScaleMax));
    }
    json.key(share.name).value(*weight);
  }
  json.end_object();
  return {};
}

int shift_one(const Change& options, const RouteWords& route, bool part) {
  admin::JsonWriter json;
  json.begin_object();
  json.key("weights");
  if (auto done = write_weights(json, route.shares); !done) return fail_usage(done.error());
  json.end_object();
  return change_route(options, part ? "PATCH" : "PUT", "weights", route.route, json.finish());
}

int shift_many(const Change& options, const std::vector<RouteWords>& routes) {
  admin::JsonWriter json;
  json.begin_object();
  json.key("routes").begin_object();
  for (const RouteWords& route : routes) {
    const auto if_match = if_match_of(options.change, route.route);
    if (!if_match) return fail_usage(if_match.error());
    json.key(route.route).begin_object();
    json.key("weights");
    if (auto done = write_weights(json, route.shares); !done) return fail_usage(done.error());
    if (*if_match) json.key("if_match").value(**if_match);
    json.end_object();
  }
  json.end_object();
  json.end_object();
  for (const std::string& text : options.change.if_match) {
    const bool known = std::ranges::any_of(
        routes, [&](const RouteWords& route) { return text.starts_with(route.route + '='); });
    if (!known)
      return fail_usage(fmt::format("--if-match {}: that route is not shifted", printable(text)));
  }
  return make_change(options, {.path = "/v1/shifts",
                               .json = json.finish(),
                               .wait_for_health = true,
                               .if_match_in_body = true});
}

void add_weights(CommandLine& line) {
  struct Options {
    ClientOptions client;
    std::string route;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add("weights", "Show where traffic goes: asked for, in force, observed");
  command.add_option("ROUTE", options->route, "One route; default: all");
  line.on_client(command, options->client, [options] {
    const std::string route = options->route.empty() ? "" : '/' + percent_encode(options->route);
    return show(options->client, "/v1/weights" + route);
  });
}

void add_shift(CommandLine& line) {
  struct Options : Change {
    std::vector<std::string> words;
    bool part = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add("shift",
                               "Set the weights of a route, or of several at once:\n"
                               "  sluice shift app blue=90 green=10\n"
                               "  sluice shift app:blue=90,green=10 api:blue=0,green=100");
  command
      .add_option("SHIFT", options->words,
                  "ROUTE BACKEND=WEIGHT..., or ROUTE:BACKEND=WEIGHT,... for each of several")
      ->required();
  command.add_flag("--part", options->part,
                   "Leave the weights of backends that are not named as they are");
  add_change_options(command, options->change, kShiftLike);
  line.on_client(command, options->client, [options] {
    const auto routes = parse_route_words(options->words);
    if (!routes) return fail_usage(routes.error());
    if (routes->size() == 1) return shift_one(*options, routes->front(), options->part);
    if (options->part) return fail_usage("--part is for one route: several state the whole split");
    return shift_many(*options, *routes);
  });
}

void add_switch(CommandLine& line) {
  struct Options : Change {
    std::string route;
    std::string to;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add("switch", "Send all of a route's traffic to one backend");
  command.add_option("ROUTE", options->route, "The route")->required();
  command.add_option("BACKEND", options->to, "Where to")->required();
  add_change_options(command, options->change, kShiftLike);
  line.on_client(command, options->client, [options] {
    Query query;
    query.add("to", options->to);
    return change_route(*options, "POST", "switch", options->route, "", query);
  });
}

void add_rollback(CommandLine& line) {
  struct Options : Change {
    std::string route;
    std::string to;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add("rollback", "Go back to the setting before; again: further back");
  command.add_option("ROUTE", options->route, "The route")->required();
  command.add_option("--to", options->to, "The setting that was in force at this revision")
      ->type_name("REVISION");
  add_change_options(command, options->change, kShiftLike);
  line.on_client(command, options->client, [options] {
    Query query;
    if (!options->to.empty()) query.add("to", options->to);
    return change_route(*options, "POST", "rollback", options->route, "", query);
  });
}

void add_states(CommandLine& line) {
  struct Options : Change {
    std::string route;
    std::vector<std::string> words;
    bool part = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = line.add("states",
                               "Set backends of a route to active, sticky_only or off:\n"
                               "  sluice states app blue=sticky_only green=active");
  command.add_option("ROUTE", options->route, "The route")->required();
  command.add_option("BACKEND=STATE", options->words, "BACKEND=STATE...")->required();
  command.add_flag("--part", options->part,
                   "Leave the states of backends that are not named as they are");
  add_change_options(command, options->change, kShiftLike);
  line.on_client(command, options->client, [options] {
    admin::JsonWriter json;
    json.begin_object();
    for (const std::string& word : options->words) {
      const auto state = parse_assignment(word);
      if (!state) return fail_usage(state.error());
      json.key(state->name).value(state->value);
    }
    json.end_object();
    return change_route(*options, options->part ? "PATCH" : "PUT", "states", options->route,
                        json.finish());
  });
}

void add_maintenance(CommandLine& line) {
  struct Options : Change {
    std::string route;
    std::string retry_after;
  };
  CLI::App& command =
      line.add("maintenance", "Have a route answer 503 with Retry-After, or end it");
  command.require_subcommand(1);
  for (const bool on : {true, false}) {
    auto options = std::make_shared<Options>();
    CLI::App& each = line.add(command, on ? "on" : "off", on ? "Begin" : "End");
    each.add_option("ROUTE", options->route, "The route")->required();
    if (on) {
      each.add_option("--retry-after", options->retry_after, "What clients are told (default: 60s)")
          ->type_name("DURATION");
    }
    add_change_options(each, options->change, kShiftLike);
    line.on_client(each, options->client, [options, on] {
      Query query;
      if (!options->retry_after.empty()) query.add("retry_after", options->retry_after);
      return change_route(*options, on ? "POST" : "DELETE", "maintenance", options->route, "",
                          query);
    });
  }
}

}  // namespace

void add_traffic_commands(CommandLine& line) {
  add_weights(line);
  add_shift(line);
  add_switch(line);
  add_rollback(line);
  add_states(line);
  add_maintenance(line);
}

}  // namespace sluice::cli
