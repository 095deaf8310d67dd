#include "admin/shifts_body.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "admin/json_tree.h"
#include "admin/problem.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

using routing::RouteWish;
using routing::StatedSplit;
using Refusal = std::unexpected<Reply>;

Refusal bad_json(std::string why) {
  return Refusal(problem(400, "bad_json", fmt::format("The body {}.", why)));
}

Refusal wrong(std::string where, const JsonTree& found, std::string_view wanted) {
  return Refusal(problem(422, "bad_split",
                         fmt::format("{} is {}: write {}.", where, to_string(found.type), wanted)));
}

// {"blue": 90, "green": 10} or {"blue": "off"}.
std::expected<routing::NamedTexts, Reply> read_members(const JsonTree& object, std::string where,
                                                       JsonTree::Type type) {
  const std::string_view wanted =
      type == JsonTree::Type::number ? "{\"blue\": 90, \"green\": 10}" : "{\"blue\": \"off\"}";
  if (object.type != JsonTree::Type::object) return wrong(where, object, wanted);
  routing::NamedTexts read;
  for (const auto& [name, member] : object.members) {
    const std::string place = where + " of " + routing::in_quotes(name);
    if (member.type != type) return wrong(place, member, wanted);
    read.emplace_back(name, member.value);
  }
  return read;
}

std::expected<routing::RevisionNumber, Reply> read_if_match(const JsonTree& stated,
                                                            const std::string& route) {
  std::string_view text = stated.value;
  if (text.size() > 2 && text.starts_with('"') && text.ends_with('"')) {
    text = text.substr(1, text.size() - 2);
  }
  routing::RevisionNumber number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool scalar = stated.type == JsonTree::Type::number || stated.type == JsonTree::Type::text;
  if (scalar && parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size()) return number;
  return Refusal(problem(400, "bad_if_match",
                         fmt::format("if_match of route {} is not the number of a revision.",
                                     routing::in_quotes(route))));
}

std::expected<RouteWish, Reply> read_route(const std::string& name, const JsonTree& stated) {
  const std::string who = "route " + routing::in_quotes(name);
  if (stated.type != JsonTree::Type::object) {
    return wrong(who, stated,
                 "{\"weights\": {\"blue\": 90, \"green\": 10}} or {\"to\": \"green\"}");
  }
  RouteWish wish{.route = name, .what = StatedSplit{.weights = {}, .whole = false}};
  StatedSplit split{.weights = {}, .whole = false};
  std::optional<std::string> to;
  for (const auto& [key, member] : stated.members) {
    if (key == "weights") {
      auto weights = read_members(member, "weights of " + who, JsonTree::Type::number);
      if (!weights) return Refusal(std::move(weights.error()));
      split.weights = std::move(*weights);
      split.whole = true;
    } else if (key == "states") {
      auto states = read_members(member, "states of " + who, JsonTree::Type::text);
      if (!states) return Refusal(std::move(states.error()));
      split.states = std::move(*states);
    } else if (key == "to") {
      if (member.type != JsonTree::Type::text) return wrong("to of " + who, member, "a backend");
      to = member.value;
    } else if (key == "if_match") {
      auto number = read_if_match(member, name);
      if (!number) return Refusal(std::move(number.error()));
      wish.if_match = *number;
    } else {
      constexpr std::array<std::string_view, 4> kKeys = {"weights", "states", "to", "if_match"};
      return Refusal(
          problem(400, "unknown_parameter",
                  fmt::format("{} says {}, which this call does not know: {}", who,
                              routing::in_quotes(key), routing::suggestion(key, kKeys))));
    }
  }
  const bool states_split = !split.weights.empty() || !split.states.empty();
  if (to && states_split) {
    return Refusal(
        problem(422, "bad_split", fmt::format("{} says both weights and to: one of them.", who)));
  }
  if (to) {
    wish.what = routing::SwitchTo{*to};
  } else {
    wish.what = std::move(split);
  }
  return wish;
}

std::expected<void, Reply> read_json(StatedShifts& stated, const Request& request,
                                     std::span<const std::string_view> names) {
  auto tree = JsonTree::parse(request.body);
  if (!tree) return bad_json("is not JSON: " + tree.error());
  if (tree->type != JsonTree::Type::object) return bad_json("is not an object");
  for (const auto& [key, member] : tree->members) {
    if (key == "routes") {
      if (member.type != JsonTree::Type::object)
        return bad_json("has \"routes\" that is no object");
      for (const auto& [name, route] : member.members) {
        auto wish = read_route(name, route);
        if (!wish) return Refusal(std::move(wish.error()));
        stated.routes.push_back(std::move(*wish));
      }
    } else if (member.type == JsonTree::Type::text || member.type == JsonTree::Type::boolean) {
      if (auto done = stated.parameters.put(key, member.value, "The body", names); !done) {
        return done;
      }
    } else {
      return bad_json(
          fmt::format("has {} that is {}", routing::in_quotes(key), to_string(member.type)));
    }
  }
  return {};
}

// app/blue=90
std::expected<void, Reply> read_form(StatedShifts& stated, FieldList fields) {
  for (auto& [name, value] : fields) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos) {
      return Refusal(problem(400, "unknown_parameter",
                             fmt::format("The body says {}, which is no ROUTE/BACKEND=WEIGHT.",
                                         routing::in_quotes(name))));
    }
    const std::string route = name.substr(0, slash);
    auto found = std::ranges::find(stated.routes, route, &RouteWish::route);
    if (found == stated.routes.end()) {
      found = stated.routes.insert(found, {route, StatedSplit{}});
    }
    std::get<StatedSplit>(found->what)
        .weights.emplace_back(name.substr(slash + 1), std::move(value));
  }
  return {};
}

}  // namespace

std::expected<StatedShifts, Reply> read_shifts(const Request& request, std::string_view query,
                                               std::span<const std::string_view> names) {
  StatedShifts stated;
  const bool json = is_json(request);
  Request without_json = request;
  if (json) without_json.body.clear();
  auto parameters =
      read_parameters(without_json, query, {.names = names, .body = true, .weights = true});
  if (!parameters) return Refusal(std::move(parameters.error()));
  FieldList fields = std::move(parameters->weights);
  stated.parameters = std::move(*parameters);
  auto done = json ? read_json(stated, request, names) : read_form(stated, std::move(fields));
  if (!done) return Refusal(std::move(done.error()));
  if (stated.routes.empty()) {
    return Refusal(problem(422, "bad_split",
                           "No route is stated: write {\"routes\": {\"app\": {\"weights\": "
                           "{\"blue\": 90, \"green\": 10}}}}, or a form of app/blue=90."));
  }
  if (stated.routes.size() > kShiftRoutesMax) {
    return Refusal(problem(
        422, "bad_split",
        fmt::format("{} routes are stated: at most {}.", stated.routes.size(), kShiftRoutesMax)));
  }
  return stated;
}

}  // namespace sluice::admin
