#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "conf/kinds.h"
#include "conf/names.h"
#include "conf/parser.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

constexpr std::size_t kUserNameBytesMax = 32;
constexpr std::size_t kCertificateNameBytesMax = 255;

const std::vector<std::pair<std::string, Role>> kRoles{
    {"viewer", Role::viewer}, {"operator", Role::operator_}, {"admin", Role::admin}};

// A route or backend, or all of them.
Kind<std::string> name_or_star() {
  Kind<std::string> kind;
  kind.type = "name or \"*\"";
  kind.schema = Json{{"type", "string"},
                     {"pattern", fmt::format("^([a-z0-9._-]{{1,{}}}|[*])$", kNameBytesMax)}};
  kind.to_toml = [](const std::string& name) { return in_quotes(name); };
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<std::string> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, "a name or \"*\", in quotes");
      return {};
    }
    if (is_name(value.text) || value.text == "*") return value.text;
    reader.error(value.at, fmt::format("{}: {} is neither a name (a-z, 0-9, '.', '_', '-') nor "
                                       "\"*\" for all",
                                       path, in_quotes(value.text)));
    return {};
  };
  return kind;
}

Kind<std::vector<std::string>> some_names(const std::string& type) {
  Kind<std::vector<std::string>> kind = list_of(type, name_or_star());
  kind.schema.json()["minItems"] = 1;
  kind.schema.json()["maxItems"] = kGrantNamesMax;
  return kind;
}

Section<Grant> grant_section() {
  return Section(Grant{})
      .required(
          "role", word_for<Role>(kRoles), [](Grant& grant, Role role) { grant.role = role; },
          "What may be done")
      .optional(
          "routes", some_names("list of routes"),
          [](Grant& grant, std::vector<std::string> names) { grant.routes = std::move(names); },
          "The routes that an operator may change")
      .optional(
          "backends", some_names("list of backends"),
          [](Grant& grant, std::vector<std::string> names) { grant.backends = std::move(names); },
          "The backends whose servers an operator may drain and resume");
}

std::optional<Grant> read_grant(Reader& reader, const Value& value, const std::string& path) {
  static const Kind<Role> kRole = word_for<Role>(kRoles);
  static const Section<Grant> kSection = grant_section();
  if (value.type == Value::Type::string) {
    const auto role = kRole.read(reader, value, path);
    return role ? std::optional(Grant{.role = *role}) : std::nullopt;
  }
  if (value.type != Value::Type::table) {
    reader.wrong_type(value, path,
                      "a role, or a table like { role = \"operator\", routes = [\"app\"] }");
    return {};
  }
  Grant grant;
  kSection.read(reader, {path, value.at, value}, path, grant);
  for (const std::string_view list : {"routes", "backends"}) {
    const Entry* names = value.find(list);
    if (names == nullptr) continue;
    if (names->value.type == Value::Type::array &&
        (names->value.items.empty() || names->value.items.size() > kGrantNamesMax)) {
      reader.error(names->place(),
                   fmt::format("{} names {}: name 1 to {}, or leave it out", join_path(path, list),
                               names->value.items.size(), kGrantNamesMax));
    } else if (grant.role != Role::operator_) {
      reader.error(names->place(), fmt::format("{}: only an operator can be limited to some {}",
                                               join_path(path, list), list));
    }
  }
  return grant;
}

std::string write_grant(const Grant& grant) {
  std::string role;
  for (const auto& [word, meaning] : kRoles) {
    if (meaning == grant.role) role = in_quotes(word);
  }
  if (!grant.limited()) return role;
  std::string text = "{ role = " + role;
  const auto list = [&](std::string_view key, const std::vector<std::string>& names) {
    if (names.empty()) return;
    std::vector<std::string> quoted;
    for (const std::string& name : names) quoted.push_back(in_quotes(name));
    text += fmt::format(", {} = [{}]", key, fmt::join(quoted, ", "));
  };
  list("routes", grant.routes);
  list("backends", grant.backends);
  return text + " }";
}

using WhyNoName = std::string (*)(std::string_view name);

// `why_no_name`: what is wrong with a key; empty: nothing.
Kind<std::vector<NamedGrant>> grants_by(std::string type, std::string key_pattern,
                                        WhyNoName why_no_name) {
  Kind<std::vector<NamedGrant>> kind;
  kind.schema = Json{{"type", "object"},
                     {"minProperties", 1},
                     {"maxProperties", kGrantsMax},
                     {"propertyNames", {{"pattern", std::move(key_pattern)}}},
                     {"additionalProperties", grant().schema.json()}};
  kind.to_toml = {};
  kind.read = [type, why_no_name](
                  Reader& reader, const Value& value,
                  const std::string& path) -> std::optional<std::vector<NamedGrant>> {
    if (value.type != Value::Type::table) {
      reader.wrong_type(value, path, "a " + type);
      return {};
    }
    if (value.entries.empty() || value.entries.size() > kGrantsMax) {
      reader.error(value.at, fmt::format("{} has {} entries: 1 to {} are possible", path,
                                         value.entries.size(), kGrantsMax));
      return {};
    }
    std::vector<NamedGrant> grants;
    for (const Entry& entry : value.entries) {
      const std::string why = why_no_name(entry.key);
      if (!why.empty()) {
        reader.error(entry.at, fmt::format("{}: {} {}", path, in_quotes(entry.key), why));
      }
      auto read = read_grant(reader, entry.value, join_path(path, entry.key));
      if (read && why.empty()) grants.push_back({entry.key, std::move(*read)});
    }
    return grants;
  };
  kind.type = std::move(type);
  return kind;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string why_no_user(std::string_view name) {
  if (std::ranges::all_of(name, is_digit) && !name.empty()) {
    std::uint32_t uid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), uid);
    const bool fits = error == std::errc{} && uid != ~std::uint32_t{0};
    return fits && (name.size() == 1 || name.front() != '0') ? "" : "is no user's number";
  }
  const bool sound = !name.empty() && name.size() <= kUserNameBytesMax && !is_digit(name.front()) &&
                     name.front() != '-' && std::ranges::all_of(name, [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
                              std::string_view("._-").contains(c);
                     });
  return sound ? "" : "is neither a user's name nor a user's number";
}

std::string why_no_certificate_name(std::string_view name) {
  const bool printable = std::ranges::all_of(
      name, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  return printable && !name.empty() && name.size() <= kCertificateNameBytesMax
             ? ""
             : "is no name that a certificate can have";
}

}  // namespace

Kind<Grant> grant() {
  const Json names{{"type", "array"},
                   {"items", name_or_star().schema.json()},
                   {"minItems", 1},
                   {"maxItems", kGrantNamesMax},
                   {"uniqueItems", true}};
  const Json role = word_for<Role>(kRoles).schema.json();
  return {
      .type = "role",
      .schema =
          Json{{"anyOf",
                Json::array({role, Json{{"type", "object"},
                                        {"properties",
                                         {{"role", role}, {"routes", names}, {"backends", names}}},
                                        {"required", Json::array({"role"})},
                                        {"additionalProperties", false}}})}},
      .read = read_grant,
      .to_toml = write_grant};
}

Kind<std::vector<NamedGrant>> user_grants() {
  return grants_by("table user = role", "^([0-9]{1,10}|[A-Za-z._][A-Za-z0-9._-]{0,31})$",
                   why_no_user);
}

Kind<std::vector<NamedGrant>> certificate_grants() {
  return grants_by("table name = role", "^[^\\u0000-\\u001f\\u007f]{1,255}$",
                   why_no_certificate_name);
}

Kind<Container> container() {
  Kind<Container> kind;
  kind.type = "\"auto\" or boolean";
  kind.schema = Json{{"anyOf", Json::array({Json{{"type", "string"}, {"enum", {"auto"}}},
                                            Json{{"type", "boolean"}}})}};
  kind.to_toml = [](const Container& value) {
    return std::string(value == Container::automatic ? "\"auto\""
                       : value == Container::yes     ? "true"
                                                     : "false");
  };
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<Container> {
    if (value.type == Value::Type::boolean) return value.boolean ? Container::yes : Container::no;
    if (value.type == Value::Type::string && value.text == "auto") return Container::automatic;
    reader.wrong_type(value, path, "\"auto\", true or false");
    return {};
  };
  return kind;
}

}  // namespace sluice::conf
