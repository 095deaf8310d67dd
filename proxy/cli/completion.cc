#include "proxy/cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "proxy/cli/show.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

// Where the words have led.
struct Spot {
  const CLI::App* command = nullptr;
  const CLI::Option* value_of = nullptr;  // the option whose value comes next
  std::vector<std::string> positionals;   // of `command`
  bool only_positionals = false;          // behind `--`
  ClientOptions client;                   // what the line says of where to ask
};

const CLI::Option* find_option(const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& each : option->get_lnames())
        if (name == "--" + each) return option;
      for (const std::string& each : option->get_snames())
        if (name == "-" + each) return option;
    }
  }
  return nullptr;
}

// `--wait` has one behind `=` only.
bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0 && !option.get_type_name().starts_with("[=");
}

void note(Spot& spot, const CLI::Option& option, const std::string& value) {
  const struct {
    const char* name;
    std::string ClientOptions::*into;
  } known[] = {
      {"admin", &ClientOptions::admin},           {"token-file", &ClientOptions::token_file},
      {"ca-file", &ClientOptions::ca_file},       {"client-cert", &ClientOptions::client_cert},
      {"client-key", &ClientOptions::client_key}, {"config", &ClientOptions::config_path}};
  for (const auto& each : known) {
    if (!option.check_lname(each.name)) continue;
    spot.client.*each.into = value;
    if (option.check_lname("config")) spot.client.config_said = true;
  }
}

Spot walk(const CLI::App& root, const std::vector<std::string>& words) {
  Spot spot{.command = &root};
  spot.client.config_path = root.get_option("--config")->get_default_str();
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (spot.value_of != nullptr) {
      note(spot, *spot.value_of, word);
      spot.value_of = nullptr;
    } else if (!spot.only_positionals && word == "--") {
      spot.only_positionals = true;
    } else if (!spot.only_positionals && word.starts_with('-')) {
      const CLI::Option* option = find_option(*spot.command, word);
      if (option == nullptr || !takes_value(*option)) continue;
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) {
        spot.value_of = option;
      } else {
        note(spot, *option, word.substr(equals + 1));
      }
    } else if (const CLI::App* next = find_command(*spot.command, word);
               next != nullptr && spot.positionals.empty() && !spot.only_positionals) {
      spot.command = next;
    } else {
      spot.positionals.push_back(word);
    }
  }
  return spot;
}

// The name of the positional that the next word is for; empty: none is left.
std::string next_positional(const Spot& spot) {
  std::size_t before = spot.positionals.size();
  for (const CLI::Option* option : spot.command->get_options()) {
    if (!option->get_positional()) continue;
    const auto most = static_cast<std::size_t>(option->get_items_expected_max());
    if (before < most) return option->get_name(true);
    before -= most;
  }
  return {};
}

using Named = std::vector<std::pair<std::string, std::vector<std::string>>>;

const std::vector<std::string>* find(const Named& named, std::string_view name) {
  const auto found = std::ranges::find(named, name, [](const auto& each) { return each.first; });
  return found == named.end() ? nullptr : &found->second;
}

std::vector<std::string> first_of(const Named& named) {
  std::vector<std::string> names;
  for (const auto& each : named) names.push_back(each.first);
  return names;
}

// `blue=` for each backend of the route that no word before has given a value.
std::vector<std::string> unset_backends(const Names& names, const std::string& route,
                                        std::span<const std::string> before) {
  std::vector<std::string> left;
  const std::vector<std::string>* backends = find(names.routes, route);
  if (backends == nullptr) return left;
  for (const std::string& backend : *backends) {
    if (std::ranges::none_of(
            before, [&](const std::string& word) { return word.starts_with(backend + '='); }))
      left.push_back(backend + '=');
  }
  return left;
}

std::vector<std::string> positional_words(const Spot& spot, const std::string& name,
                                          const std::string& last, const AskNames& ask) {
  const std::span<const std::string> before = spot.positionals;
  if (name == "ROUTE") return first_of(ask(spot.client).routes);
  if (name == "BACKEND") {
    const Names names = ask(spot.client);
    // Of the route that the word before named, if one did.
    if (!before.empty()) {
      if (const auto* backends = find(names.routes, before.back())) return *backends;
    }
    return first_of(names.backends);
  }
  if (name == "SERVER") {
    std::vector<std::string> words;
    for (const auto& [backend, servers] : ask(spot.client).backends) {
      if (before.empty()) words.push_back(backend);
      for (const std::string& server : servers)
        words.push_back(before.empty() ? backend + '/' + server : server);
    }
    return words;
  }
  if (name == "SHIFT") {
    const Names names = ask(spot.client);
    return before.empty() ? first_of(names.routes)
                          : unset_backends(names, before.front(), before.subspan(1));
  }
  if (name == "BACKEND=STATE" && !before.empty()) {
    if (const std::size_t equals = last.find('='); equals != std::string::npos) {
      const std::string backend = last.substr(0, equals + 1);
      return {backend + "active", backend + "sticky_only", backend + "off"};
    }
    return unset_backends(ask(spot.client), before.front(), before.subspan(1));
  }
  if (name == "FILE" || name == "FILES") return {std::string(kCompleteFiles)};
  if (name == "SHELL") return {"bash", "zsh", "fish"};
  return {};
}

// What an option's value may be, by its type: `FILE`, `revert|freeze`.
std::vector<std::string> values_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type.starts_with("FILE")) return {std::string(kCompleteFiles)};
  std::vector<std::string> values;
  if (type.find('|') == std::string::npos) return values;
  for (std::string_view rest = type; !rest.empty();) {
    const std::size_t bar = std::min(rest.find('|'), rest.size());
    values.emplace_back(rest.substr(0, bar));
    rest.remove_prefix(std::min(bar + 1, rest.size()));
  }
  return values;
}

void add_options(const CLI::App& command, std::vector<Candidate>& candidates) {
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames())
        candidates.push_back({"--" + name, option->get_description()});
      if (option->get_lnames().empty() && !option->get_snames().empty())
        candidates.push_back({"-" + option->get_snames().front(), option->get_description()});
    }
  }
}

std::vector<Candidate> plain(const std::vector<std::string>& words,
                             const std::string& prefix = "") {
  std::vector<Candidate> candidates;
  for (const std::string& word : words)
    candidates.push_back({word == kCompleteFiles ? word : prefix + word, ""});
  return candidates;
}

std::vector<Candidate> all_candidates(const Spot& spot, const std::string& last,
                                      const AskNames& ask) {
  if (spot.value_of != nullptr) return plain(values_of(*spot.value_of));
  if (last.starts_with('-') && !spot.only_positionals) {
    const std::size_t equals = last.find('=');
    if (equals != std::string::npos) {
      const CLI::Option* option = find_option(*spot.command, last);
      if (option == nullptr) return {};
      return plain(values_of(*option), last.substr(0, equals + 1));
    }
    std::vector<Candidate> candidates;
    add_options(*spot.command, candidates);
    return candidates;
  }
  std::vector<Candidate> candidates;
  if (spot.positionals.empty() && !spot.only_positionals) {
    for (const CLI::App* each : commands_below(*spot.command))
      candidates.push_back({each->get_name(), each->get_description()});
  }
  const std::string name = next_positional(spot);
  if (name.empty()) return candidates;
  for (Candidate& each : plain(positional_words(spot, name, last, ask)))
    candidates.push_back(std::move(each));
  return candidates;
}

std::vector<std::string> names_in(const Json& object) {
  std::vector<std::string> names;
  if (object.is_object()) {
    for (const auto& [name, value] : object.items()) names.push_back(name);
  }
  return names;
}

Json get(AdminClient& client, const char* path) {
  const auto answer = client.get(path);
  return answer ? Json::parse(answer->body, nullptr, /*allow_exceptions=*/false) : Json();
}

// Of an object of objects, without what has no place in a shell's line.
bool usable(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-:/[]").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::vector<const CLI::App*> commands_below(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App*) { return true; });
}

const CLI::App* find_command(const CLI::App& parent, const std::string& name) {
  const auto below = commands_below(parent);
  const auto found =
      std::ranges::find(below, name, [](const CLI::App* each) { return each->get_name(); });
  return found == below.end() ? nullptr : *found;
}

std::vector<Candidate> complete(const CLI::App& root, const std::vector<std::string>& words,
                                const AskNames& ask) {
  const std::string last = words.empty() ? "" : words.back();
  const Spot spot = walk(root, words.empty() ? std::vector<std::string>{""} : words);
  std::vector<Candidate> fitting;
  for (Candidate& each : all_candidates(spot, last, ask)) {
    const bool fits = each.text == kCompleteFiles || each.text.starts_with(last);
    if (fits && fitting.size() < kCandidatesMax) fitting.push_back(std::move(each));
  }
  return fitting;
}

Names ask_names(ClientOptions options) {
  options.timeout = std::to_string(kCompletionPatience / std::chrono::milliseconds(1) / 2) + "ms";
  auto client = AdminClient::make(options);
  Names names;
  if (!client) return names;
  const Json weights = get(**client, "/v1/weights");
  if (!weights.is_object() || !weights.contains("routes")) return names;
  for (const auto& [route, value] : weights["routes"].items()) {
    if (usable(route) && value.is_object() && value.contains("weights"))
      names.routes.emplace_back(route, names_in(value["weights"]));
  }
  const Json backends = get(**client, "/v1/backends");
  if (!backends.is_object() || !backends.contains("backends")) return names;
  for (const auto& [backend, value] : backends["backends"].items()) {
    if (!usable(backend) || !value.is_object() || !value.contains("servers")) continue;
    auto& [name, servers] = names.backends.emplace_back();
    name = backend;
    for (const Json& server : value["servers"]) {
      if (!server.is_object() || !server.contains("name")) continue;
      std::string text = cell_text(server["name"]);
      if (usable(text)) servers.push_back(std::move(text));
    }
  }
  return names;
}

}  // namespace sluice::cli
