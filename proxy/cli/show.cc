#include "proxy/cli/show.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "admin/table.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

std::string heading(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c == '_') c = ' ';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string words(std::string_view name) {
  std::string text = printable(name);
  std::ranges::replace(text, '_', ' ');
  return text;
}

bool is_list_of_objects(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::ranges::all_of(value, [](const Json& each) { return each.is_object(); });
}

// `{"app": {…}, "api": {…}}`: what has a name each.
bool is_map_of_objects(const Json& value) {
  return value.is_object() && !value.empty() &&
         std::ranges::all_of(value, [](const Json& each) { return each.is_object(); });
}

std::string table_text(const Json& rows) {
  std::vector<std::string> names;
  if (rows.is_object()) names.emplace_back();
  for (const Json& row : rows) {
    for (const auto& [name, value] : row.items()) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  std::vector<std::string> header;
  for (const std::string& name : names) header.push_back(name.empty() ? "NAME" : heading(name));
  if (header.empty()) return {};
  admin::Table table(header);
  for (const auto& [key, row] : rows.items()) {
    std::vector<std::string> cells;
    for (const std::string& name : names) {
      if (name.empty()) {
        cells.push_back(printable(key));
        continue;
      }
      const auto found = row.find(name);
      cells.push_back(found == row.end() ? "" : cell_text(*found));
    }
    table.add(std::move(cells));
  }
  return table.finish();
}

void warn(const Json& answer) {
  const auto warnings = answer.find("warnings");
  if (warnings == answer.end() || !warnings->is_array()) return;
  for (const Json& warning : *warnings)
    fmt::print(stderr, "sluice: warning: {}\n", cell_text(warning));
}

// JSON's own text, which ends in a line feed. A pipe gets every byte as it came.
void print_body(const std::string& body) {
  const std::string shown = isatty(STDOUT_FILENO) != 0 ? printable(body, true) : body;
  fmt::print("{}{}", shown, shown.ends_with('\n') ? "" : "\n");
}

// The first words of a split's answer; empty where it is another's.
std::string split_line(const Json& answer) {
  const auto route = answer.find("route");
  const auto weights = answer.find("weights");
  if (route == answer.end() || weights == answer.end()) return {};
  std::string line = fmt::format("{}: {}", cell_text(*route), cell_text(*weights));
  if (const auto revision = answer.find("revision"); revision != answer.end())
    line += ", revision " + cell_text(*revision);
  const auto before = answer.find("before");
  const auto changed = answer.find("changed");
  const auto restored = answer.find("of");
  if (restored != answer.end()) line += ", as in revision " + cell_text(*restored);
  if (before != answer.end()) line += ", was " + cell_text(*before);
  if (changed != answer.end() && *changed == false) line += ", unchanged";
  return line + '\n';
}

// Likewise of a drain.
std::string server_line(const Json& answer) {
  const auto backend = answer.find("backend");
  const auto server = answer.find("server");
  if (backend == answer.end() || server == answer.end() || !server->is_object()) return {};
  const auto yes = [&](const char* name) {
    const auto found = server->find(name);
    return found != server->end() && *found == true;
  };
  std::string state = "takes new work";
  if (yes("draining")) {
    state = yes("safe_to_stop")
                ? "drained, safe to stop"
                : fmt::format("draining, {} running", cell_text(server->value("running", Json())));
  } else if (!yes("takes_new_work")) {
    state = "takes no new work yet, status " + cell_text(server->value("status", Json()));
  }
  return fmt::format("{}/{}: {}, revision {}{}\n", cell_text(*backend),
                     cell_text(server->value("name", Json())), state,
                     cell_text(answer.value("revision", Json())),
                     answer.value("changed", Json()) == false ? ", unchanged" : "");
}

}  // namespace

std::string cell_text(const Json& value) {
  if (value.is_string()) return printable(value.get_ref<const std::string&>());
  if (value.is_null() || value.is_discarded()) return "-";
  if (value.is_boolean()) return value == true ? "yes" : "no";
  if (value.is_structured() && value.empty()) return "-";
  std::string text;
  if (value.is_array()) {
    for (const Json& each : value) text += (text.empty() ? "" : ", ") + cell_text(each);
    return text;
  }
  if (value.is_object()) {
    for (const auto& [name, each] : value.items()) {
      std::string inner = cell_text(each);
      if (each.is_structured()) inner = '(' + inner + ')';
      text += (text.empty() ? "" : " ") + printable(name) + '=' + inner;
    }
    return text;
  }
  return value.dump();
}

std::string describe(const Json& object) {
  std::size_t width = 0;
  std::string lines;
  std::string tables;
  const auto in_table = [](const Json& value) {
    return is_list_of_objects(value) || is_map_of_objects(value);
  };
  // One level down: `{"effect": {"routes": [{…}], "backends": [{…}]}}`.
  const auto has_tables = [&](const Json& value) {
    return value.is_object() && !value.empty() && std::ranges::all_of(value, in_table);
  };
  for (const auto& [name, value] : object.items()) {
    if (!in_table(value) && !has_tables(value)) width = std::max(width, words(name).size());
  }
  for (const auto& [name, value] : object.items()) {
    if (has_tables(value) && !is_map_of_objects(value)) {
      for (const auto& [inner, list] : value.items())
        tables += fmt::format("\n{}: {}\n{}", heading(printable(name)), heading(printable(inner)),
                              table_text(list));
    } else if (in_table(value)) {
      tables += fmt::format("\n{}\n{}", heading(printable(name)), table_text(value));
    } else {
      lines += fmt::format("{:<{}}  {}\n", words(name) + ':', width + 1, cell_text(value));
    }
  }
  return lines.empty() && !tables.empty() ? tables.substr(1) : lines + tables;
}

std::string describe_change(const Json& answer) {
  std::string text = split_line(answer);
  std::vector<std::string> said = {"route",   "revision", "changed", "of",
                                   "weights", "before",   "in_force"};
  if (text.empty()) {
    text = server_line(answer);
    said = {"backend", "server", "revision", "changed", "safe_to_stop"};
  }
  if (text.empty()) said.clear();
  said.emplace_back("warnings");
  Json rest = Json::object();
  for (const auto& [name, value] : answer.items()) {
    if (std::ranges::find(said, name) == said.end()) rest[name] = value;
  }
  return rest.empty() ? text : text + describe(rest);
}

int fail(const ClientOptions& options, const Failure& failure) {
  if (options.json && !failure.body.empty()) print_body(failure.body);
  fmt::print(stderr, "sluice: {}\n", failure.text);
  return code_of(failure.status);
}

int fail_usage(const std::string& text) {
  fmt::print(stderr, "sluice: {}\n", text);
  return code_of(ExitStatus::usage);
}

int report(const ClientOptions& options, const std::expected<Answer, Failure>& answer,
           const Describe& describe_it) {
  if (!answer) return fail(options, answer.error());
  if (answer->body.empty()) return code_of(ExitStatus::done);
  if (options.json) {
    print_body(answer->body);
    return code_of(ExitStatus::done);
  }
  const Json json = Json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    fmt::print("{}", printable(answer->body, true));
    return code_of(ExitStatus::done);
  }
  fmt::print("{}", describe_it(json));
  warn(json);
  return code_of(ExitStatus::done);
}

int show(const ClientOptions& options, const std::string& path, Query query) {
  auto client = AdminClient::make(options);
  if (!client) return fail(options, client.error());
  if (!options.json) query.add("format", "text");
  return report(options, (*client)->get(path + query.text()), describe);
}

}  // namespace sluice::cli
