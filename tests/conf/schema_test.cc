// One table of keys drives parser, schema and docs; these tests hold the three against each other.
#include "conf/schema.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "conf/document.h"
#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Value& value) {
  switch (value.type) {
    case Value::Type::string:
    case Value::Type::date:
      return value.text;
    case Value::Type::integer:
      return value.integer;
    case Value::Type::floating:
      return value.floating;
    case Value::Type::boolean:
      return value.boolean;
    case Value::Type::array: {
      Json array = Json::array();
      for (const Value& item : value.items) array.push_back(to_json(item));
      return array;
    }
    case Value::Type::table: {
      Json object = Json::object();
      for (const Entry& entry : value.entries) object[entry.key] = to_json(entry.value);
      return object;
    }
  }
  return {};
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  throw std::logic_error("a schema type that the test does not know: " + type);
}

bool matches(const std::string& text, const Json& pattern) {
  return std::regex_search(text, std::regex(pattern.get<std::string>()));
}

bool conforms(const Json& value, const Json& schema);

bool object_conforms(const Json& value, const Json& schema) {
  for (const Json& name : schema.value("required", Json::array())) {
    if (!value.contains(name.get<std::string>())) return false;
  }
  if (value.size() < schema.value("minProperties", std::size_t{0})) return false;
  if (value.size() > schema.value("maxProperties", value.size())) return false;
  for (const auto& [name, child] : value.items()) {
    if (schema.contains("propertyNames") && !matches(name, schema["propertyNames"]["pattern"])) {
      return false;
    }
    const Json known = schema.value("properties", Json::object());
    const Json& rule = known.contains(name) ? known[name] : schema.at("additionalProperties");
    if (rule == Json(false) || !conforms(child, rule)) return false;
  }
  return true;
}

bool array_conforms(const Json& value, const Json& schema) {
  if (value.size() < schema.value("minItems", std::size_t{0})) return false;
  if (value.size() > schema.value("maxItems", value.size())) return false;
  std::set<Json> seen;
  for (const Json& item : value) {
    if (!conforms(item, schema.at("items"))) return false;
    if (!seen.insert(item).second && schema.value("uniqueItems", false)) return false;
  }
  return true;
}

// As much of JSON Schema as ours uses; a keyword it does not know is an error of the test.
bool conforms(const Json& value, const Json& schema) {
  static const std::set<std::string> kKnown{"$schema",      "title",         "description",
                                            "default",      "type",          "anyOf",
                                            "enum",         "pattern",       "minLength",
                                            "maxLength",    "minimum",       "maximum",
                                            "properties",   "propertyNames", "required",
                                            "minItems",     "maxItems",      "additionalProperties",
                                            "uniqueItems",  "items",         "minProperties",
                                            "maxProperties"};
  for (const auto& [keyword, rule] : schema.items()) {
    if (!kKnown.contains(keyword)) throw std::logic_error("unknown schema keyword " + keyword);
  }
  if (schema.contains("anyOf")) {
    bool any = false;
    for (const Json& choice : schema["anyOf"]) any = any || conforms(value, choice);
    if (!any) return false;
  }
  if (schema.contains("type") && !has_type(value, schema["type"])) return false;
  if (schema.contains("enum")) {
    bool any = false;
    for (const Json& choice : schema["enum"]) any = any || value == choice;
    if (!any) return false;
  }
  if (value.is_string()) {
    const std::string text = value;
    if (schema.contains("pattern") && !matches(text, schema["pattern"])) return false;
    if (text.size() < schema.value("minLength", std::size_t{0})) return false;
    if (text.size() > schema.value("maxLength", text.size())) return false;
  }
  if (value.is_number()) {
    if (schema.contains("minimum") && value < schema["minimum"]) return false;
    if (schema.contains("maximum") && value > schema["maximum"]) return false;
  }
  if (value.is_object() && schema.contains("additionalProperties")) {
    return object_conforms(value, schema);
  }
  return !value.is_array() || !schema.contains("items") || array_conforms(value, schema);
}

bool text_conforms(std::string_view text) {
  const auto document = read_document(text);
  EXPECT_TRUE(document) << text;
  return document && conforms(to_json(*document), Json::parse(json_schema()));
}

// Paths of all keys in the schema, `*` for names, split and server names left out.
void collect_schema_paths(const Json& schema, const std::string& path,
                          std::set<std::string>& paths) {
  const Json properties = schema.value("properties", Json::object());
  for (const auto& [name, child] : properties.items()) {
    const std::string child_path = path.empty() ? name : path + "." + name;
    const Json element = child.value("additionalProperties", Json(false));
    const bool named = element.is_object() && element.contains("properties");
    paths.insert(named ? child_path + ".*" : child_path);
    collect_schema_paths(named ? element : child, named ? child_path + ".*" : child_path, paths);
  }
}

std::set<std::string> described_paths() {
  std::set<std::string> paths;
  for (const KeyDescription& key : describe_keys()) paths.insert(key.path);
  return paths;
}

// Whether the document has something at the path, under any name for each `*`.
bool mentions(const Value& value, std::string_view path) {
  if (path.empty()) return true;
  const std::size_t dot = path.find('.');
  const std::string_view part = path.substr(0, dot);
  const std::string_view rest = dot == std::string_view::npos ? "" : path.substr(dot + 1);
  for (const Entry& entry : value.entries) {
    if ((part == "*" || part == entry.key) && mentions(entry.value, rest)) return true;
  }
  return false;
}

TEST(Schema, ThePublishedFileIsTheGeneratedOne) {
  EXPECT_TRUE(read_source("docs/config.schema.json") == json_schema())
      << "write it anew: sluice schema > docs/config.schema.json";
}

TEST(Schema, EveryDescribedKeyIsInItAndNoOther) {
  std::set<std::string> paths;
  collect_schema_paths(Json::parse(json_schema()), "", paths);
  EXPECT_EQ(paths, described_paths());
  EXPECT_GT(paths.size(), 100u);
}

// The parser itself is asked: an unknown key makes it list those it takes.
TEST(Schema, TheParserTakesTheSameKeysInEveryTable) {
  std::vector<std::string> tables{""};
  for (const KeyDescription& key : describe_keys()) {
    if (key.table) tables.push_back(key.path);
  }
  EXPECT_EQ(tables.size(), 23u);
  for (const std::string& table : tables) {
    const std::string place = std::regex_replace(table, std::regex("[*]"), "x");
    const std::string text = place.empty() ? "zzzzzzzz = 1\n" : "[" + place + "]\nzzzzzzzz = 1\n";
    std::string expected;
    for (const KeyDescription& key : describe_keys()) {
      std::string_view path = key.path;
      if (path.ends_with(".*")) path.remove_suffix(2);
      const std::size_t dot = path.rfind('.');
      const std::string_view parent = dot == std::string_view::npos ? "" : path.substr(0, dot);
      if (parent != table) continue;
      expected += (expected.empty() ? "" : ", ") + std::string(path.substr(dot + 1));
    }
    const auto config = parse(text, "f");
    ASSERT_FALSE(config);
    bool found = false;
    for (const ConfigError& error : config.error()) {
      found = found || error.message.ends_with("; known are " + expected);
    }
    EXPECT_TRUE(found) << table << ": " << expected;
  }
}

std::vector<std::string> example_names() {
  std::vector<std::string> names;
  const std::filesystem::path folder = SLUICE_SOURCE_DIR "/docs/examples";
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() == ".toml") {
      names.push_back("docs/examples/" + file.path().filename().string());
    }
  }
  return names;
}

TEST(Examples, AllAreSoundAndConform) {
  EXPECT_GE(example_names().size(), 5u);
  for (const std::string& name : example_names()) {
    const auto config = parse(read_source(name), name);
    EXPECT_TRUE(config) << config.error()[0].to_string();
    EXPECT_TRUE(text_conforms(read_source(name))) << name;
  }
}

TEST(Examples, AllAreMentionedInTheReference) {
  const std::string reference = read_source("docs/configuration.md");
  for (const std::string& name : example_names()) {
    const std::string link = name.substr(name.find('/') + 1);
    EXPECT_TRUE(reference.contains("](" + link + ")")) << link;
  }
}

TEST(Schema, DefaultsConformAndAreWhatTheParserUses) {
  std::string text;
  std::string table;
  for (const KeyDescription& key : describe_keys()) {
    // The named tables have no defaults to try beside what kSound gives them, and neither has a
    // table that is there only with what must be in it.
    if (key.path.contains('*') || key.path.starts_with("access_log")) continue;
    if (key.path.starts_with("admin.tls")) continue;
    if (key.table) {
      text += fmt::format("[{}]\n", key.path);
      table = key.path;
    } else if (!key.default_value.empty()) {
      text += fmt::format("{} = {}\n", key.path.substr(table.size() + 1), key.default_value);
    }
  }
  text = before_sound(text);
  EXPECT_TRUE(text_conforms(text)) << text;
  const auto stated = parse(text, "f");
  ASSERT_TRUE(stated) << stated.error()[0].to_string() << text;
  const auto silent = parse(kSound, "f");
  ASSERT_TRUE(silent);
  EXPECT_EQ(stated->runtime.workers, silent->runtime.workers);
  EXPECT_EQ(stated->runtime.adopt_timeout, silent->runtime.adopt_timeout);
  EXPECT_EQ(stated->timeouts.connect, silent->timeouts.connect);
  EXPECT_EQ(stated->timeouts.backend_idle, silent->timeouts.backend_idle);
  EXPECT_EQ(stated->timeouts.exchange, silent->timeouts.exchange);
  EXPECT_EQ(stated->limits.stream_buffer_bytes, silent->limits.stream_buffer_bytes);
  EXPECT_EQ(stated->limits.client_connections, silent->limits.client_connections);
  EXPECT_EQ(stated->limits.body_bytes, silent->limits.body_bytes);
  EXPECT_EQ(stated->limits.client_streams, silent->limits.client_streams);
  EXPECT_EQ(stated->limits.backend_streams, silent->limits.backend_streams);
  EXPECT_EQ(stated->limits.backend_waiting, silent->limits.backend_waiting);
  EXPECT_EQ(stated->limits.request_rate_min, silent->limits.request_rate_min);
  EXPECT_EQ(stated->limits.response_rate_min, silent->limits.response_rate_min);
  EXPECT_EQ(stated->limits.retry_body_bytes, silent->limits.retry_body_bytes);
  EXPECT_EQ(stated->backends[0].health, silent->backends[0].health);
  EXPECT_EQ(stated->admin.listen, silent->admin.listen);
  EXPECT_EQ(stated->admin.read_only_listen, silent->admin.read_only_listen);
  EXPECT_EQ(stated->admin.unix_socket_mode, silent->admin.unix_socket_mode);
}

TEST(Schema, ItTakesAndRefusesValuesAsTheParserDoes) {
  const struct {
    std::string text;
    bool sound;
  } cases[] = {
      {"", true},
      {"[timeouts]\nidle = \"5m\"\n", true},
      {"[timeouts]\nidle = 5\n", false},
      {"[timeouts]\nidle = \"5min\"\n", false},
      {"[timeouts]\nilde = \"5m\"\n", false},
      {"[limits]\nhead_bytes = \"64KiB\"\n", true},
      {"[limits]\nhead_bytes = 65536\n", true},
      {"[limits]\nhead_bytes = 1\n", false},
      {"[limits]\nhead_bytes = \"64KB\"\n", false},
      {"[limits]\nbody_bytes = 0\n", true},
      {"[limits]\nfield_count = 7\n", false},
      {"[runtime]\nworkers = \"auto\"\n", true},
      {"[runtime]\nworkers = 2\n", true},
      {"[runtime]\nworkers = \"2\"\n", false},
      {"[runtime]\nstate_directory = \"\"\n", false},
      {"[health]\nstatus = 204\n", true},
      {"[health]\nstatus = \"200-399\"\n", true},
      {"[health]\nstatus = 2\n", false},
      {"[health]\npath = \"x\"\n", false},
      {"[health]\nenabled = 1\n", false},
      {"[health]\nhost = \"a.b:80\"\n", true},
      {"[health]\nhost = \"a b\"\n", false},
      {"[admin]\nlisten = [\"unix:/x\", \"[::1]:0\", \"localhost:1\"]\n", true},
      {"[admin]\nlisten = [\"unix:x\"]\n", false},
      {"[admin]\nlisten = \"127.0.0.1:0\"\n", false},
      {"[admin]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n", false},
      {"[admin]\nread_only_listen = [\"unix:/x\"]\n", false},
      {"[admin]\nunix_socket_mode = \"600\"\n", true},
      {"[admin]\nunix_socket_mode = \"800\"\n", false},
      {"[admin]\nuids = [4294967294]\n", true},
      {"[admin]\nuids = [4294967295]\n", false},
      {"[admin]\nhosts = [\"*.x\"]\n", false},
      {"[access_log]\n", true},
      {"[listeners.a]\n", false},
      {"[listeners.a]\naddress = \"*:0\"\n", true},
      {"[listeners.A]\naddress = \"*:0\"\n", false},
      {"[listeners.a]\naddress = \"*:0\"\ntls = {}\n", false},
      {"[listeners.a]\naddress = \"*:0\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n", true},
      {"[listeners.a]\naddress = \"*:0\"\ntrusted_proxies = [\"proxy\"]\n", false},
      {"[listeners.a.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\nmin_version = \"1.2\"\n"
       "[listeners.a]\naddress = \"*:0\"\n",
       true},
      {"[listeners.a.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\nmin_version = \"1.1\"\n"
       "[listeners.a]\naddress = \"*:0\"\n",
       false},
      {"[listeners.a]\naddress = \"unix:/x\"\ntrusted_proxies = [\"unix\"]\n", true},
      {"[listeners.a]\naddress = \"unix:x\"\n", false},
      {"[listeners.a]\naddress = \"*:0\"\nprotocols = [\"h2\"]\n", true},
      {"[listeners.a]\naddress = \"*:0\"\nprotocols = []\n", false},
      {"[listeners.a]\naddress = \"*:0\"\nprotocols = [\"h3\"]\n", false},
      {"[listeners.a]\naddress = \"*:0\"\nprotocols = [\"h2\", \"h2\"]\n", false},
      {"[listeners.a]\naddress = \"*:0\"\nforwarded = \"forwarded\"\n", true},
      {"[listeners.a]\naddress = \"*:0\"\nforwarded = \"none\"\n", false},
      {"[listeners.a]\naddress = \"*:0\"\ntimeouts.idle = \"5s\"\n", true},
      {"[listeners.a]\naddress = \"*:0\"\ntimeouts.connect = \"5s\"\n", false},
      {"[listeners.a]\naddress = \"*:0\"\nlimits.client_streams = 0\n", false},
      {"[limits]\nretry_body_bytes = 0\n", true},
      {"[limits]\nrequest_rate_min = 2147483648\n", false},
      {"[backends.a]\nservers = [\"[::1]:80\"]\nprotocol = \"h2\"\n", true},
      {"[backends.a]\nservers = [\"[::1]:80\"]\nprotocol = \"h2c\"\n", false},
      {"[backends.a]\nservers = [\"[::1]:80\"]\nsend_proxy_protocol = \"v2\"\n", true},
      {"[backends.a]\nservers = [\"[::1]:80\"]\nsend_proxy_protocol = 2\n", false},
      {"[backends.a]\nservers = [\"[::1]:80\"]\ntls.verify = false\n", true},
      {"[backends.a]\nservers = [\"[::1]:80\"]\ntls = { ca_file = \"c\", server_name = \"a b\" }\n",
       false},
      {"[backends.a]\nservers = [\"[::1]:80\"]\ntls = { ca_file = \"c\", server_name = \"::1\" }\n",
       true},
      {"[backends.a]\nservers = [\"unix:/x\"]\n", true},
      {"[routes.a]\npath = \"/a\"\nsplit.blue = 1\nupgrades = []\nconnect = true\n", true},
      {"[routes.a]\npath = \"/a\"\nsplit.blue = 1\nupgrades = [\"h2c\"]\n", false},
      {"[routes.a]\npath = \"/a\"\nsplit.blue = 1\nlimits.body_bytes = 5\n", true},
      {"[routes.a]\npath = \"/a\"\nsplit.blue = 1\nlimits.head_bytes = 5000\n", false},
      {"[backends.a]\nservers = [\"[::1]:80\"]\n", true},
      {"[backends.a]\nservers = { x = \"1.2.3.4:80\" }\n", true},
      {"[backends.a]\nservers = { X = \"1.2.3.4:80\" }\n", false},
      {"[backends.a]\nservers = []\n", false},
      {"[backends.a]\nservers = [\"db:80\"]\n", false},
      {"[routes.a]\nhost = \"*.Example.com\"\nsplit = { blue = 0.5, green = \"1.25\" }\n", true},
      {"[routes.a]\nhost = \"https://x\"\nsplit.blue = 1\n", false},
      {"[routes.a]\nhosts = [\"x\", \"[::1]\"]\npath = \"/a\"\nsplit.blue = 1\n", true},
      {"[routes.a]\npath = \"a\"\nsplit.blue = 1\n", false},
      {"[routes.a]\npath = \"/b\"\nsplit = { blue = -1 }\n", false},
      {"[routes.a]\npath = \"/b\"\nsplit = { blue = \"1.2345678\" }\n", false},
      {"[routes.a]\npath = \"/b\"\nsplit = {}\n", false},
      {"[routes.a]\npath = \"/b\"\n", false},
  };
  for (const auto& [text, sound] : cases) {
    EXPECT_EQ(parse(before_sound(text), "f").has_value(), sound) << text;
    EXPECT_EQ(text_conforms(before_sound(text)), sound) << text;
  }
  EXPECT_FALSE(text_conforms(""));
  EXPECT_FALSE(text_conforms(kWithoutRoutes));
}

TEST(Examples, TheFullOneMentionsEveryKey) {
  const auto document = read_document(read_source("docs/examples/full.toml"));
  ASSERT_TRUE(document);
  for (const std::string& path : described_paths()) {
    EXPECT_TRUE(mentions(*document, path)) << path;
  }
}

// `| key | type | default | meaning |`, as the reference has it for every key.
std::string reference_row(const KeyDescription& key) {
  const std::string default_value = key.default_value.empty() ? "" : "`" + key.default_value + "`";
  return fmt::format("| `{}` | {} | {} | {} |\n", key.path, key.type,
                     key.required ? "required" : default_value, key.meaning);
}

TEST(Reference, HasARowForEveryKeyAsTheParserDescribesIt) {
  const std::string reference = read_source("docs/configuration.md");
  for (const KeyDescription& key : describe_keys()) {
    if (key.table) {
      std::string heading = std::regex_replace(key.path, std::regex("[*]"), "NAME");
      EXPECT_TRUE(reference.contains("`[" + heading + "]`")) << heading;
    } else {
      EXPECT_TRUE(reference.contains(reference_row(key))) << reference_row(key);
    }
  }
}

// docs/limits.md begins its rows with key, default and levels.
TEST(Reference, OfLimitsHasARowForEachWithItsDefaultAndLevels) {
  const std::string reference = read_source("docs/limits.md");
  const std::set<std::string> known = described_paths();
  std::size_t rows = 0;
  for (const KeyDescription& key : describe_keys()) {
    const bool bound = key.path.starts_with("timeouts.") || key.path.starts_with("limits.");
    if (!bound) continue;
    std::string levels = "file";
    if (known.contains("listeners.*." + key.path)) levels += ", listener";
    if (known.contains("routes.*." + key.path)) levels += ", route";
    const std::string row =
        fmt::format("\n| `{}` | `{}` | {} | ", key.path, key.default_value, levels);
    EXPECT_TRUE(reference.contains(row)) << row;
    ++rows;
  }
  const std::regex row("\n\\| `(timeouts|limits)[.]");
  const std::sregex_iterator first(reference.begin(), reference.end(), row);
  EXPECT_EQ(rows, static_cast<std::size_t>(std::distance(first, std::sregex_iterator())));
}

TEST(Reference, HasNoRowForAnythingElse) {
  const std::string reference = read_source("docs/configuration.md");
  const std::set<std::string> known = described_paths();
  const std::regex row("\n\\| `([a-z_.*0-9]+)` \\|");
  std::size_t rows = 0;
  for (std::sregex_iterator it(reference.begin(), reference.end(), row), end; it != end; ++it) {
    EXPECT_TRUE(known.contains((*it)[1])) << (*it)[1];
    ++rows;
  }
  const auto keys = describe_keys();
  EXPECT_EQ(rows, static_cast<std::size_t>(
                      std::ranges::count_if(keys, [](const auto& key) { return !key.table; })));
}

}  // namespace
}  // namespace sluice::conf
