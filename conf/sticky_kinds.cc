#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/kinds.h"
#include "conf/names.h"
#include "conf/parser.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

constexpr std::size_t kStickyWaysMax = 8;
constexpr std::string_view kHeader = "header:";

using States = std::vector<std::pair<std::string, ShareState>>;

const Kind<ShareState>& share_state() {
  static const Kind<ShareState> kKind =
      word_for<ShareState>({{"active", ShareState::active},
                            {"sticky_only", ShareState::sticky_only},
                            {"off", ShareState::off}});
  return kKind;
}

std::optional<States> read_states(Reader& reader, const Value& value, const std::string& path) {
  if (value.type != Value::Type::table) {
    reader.wrong_type(value, path,
                      "a table of backends and states like { blue = \"sticky_only\" }");
    return {};
  }
  States states;
  bool sound = true;
  for (const Entry& entry : value.entries) {
    const auto state = share_state().read(reader, entry.value, join_path(path, entry.key));
    sound = sound && state.has_value();
    states.emplace_back(entry.key, state.value_or(ShareState::active));
  }
  return sound ? std::optional(std::move(states)) : std::nullopt;
}

// RFC 9110 §5.6.2.
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kMarks.contains(c);
  });
}

// Why this is no way to bind requests; empty: `by` is what it says.
std::string why_not_sticky(std::string_view text, StickyWay& by) {
  for (bool more = true; more;) {
    const std::size_t plus = text.find('+');
    const std::string_view word = text.substr(0, plus);
    more = plus != std::string_view::npos;
    text.remove_prefix(more ? plus + 1 : text.size());
    StickyPart part;
    if (word == "client") {
      part.kind = StickyPart::Kind::client;
    } else if (word.starts_with(kHeader) && is_token(word.substr(kHeader.size()))) {
      part.kind = StickyPart::Kind::header;
      part.header = lowered(word.substr(kHeader.size()));
    } else if (word != "cookie") {
      return fmt::format("{} is none of \"cookie\", \"client\" and \"header:NAME\"",
                         in_quotes(word));
    }
    if (std::ranges::find(by, part) != by.end()) {
      return fmt::format("{} is stated more than once", in_quotes(word));
    }
    by.push_back(std::move(part));
  }
  const bool has_cookie =
      std::ranges::find(by, StickyPart::Kind::cookie, &StickyPart::kind) != by.end();
  if (has_cookie && by.size() > 1) {
    return "a cookie is a key of its own and can't be joined with others; name it as an item of "
           "its own";
  }
  return "";
}

std::optional<StickyWay> read_sticky(Reader& reader, const Value& value, const std::string& path) {
  if (value.type != Value::Type::string) {
    reader.wrong_type(value, path, "a string like \"cookie\" or \"header:X-User\"");
    return {};
  }
  StickyWay by;
  const std::string why = why_not_sticky(value.text, by);
  if (why.empty()) return by;
  constexpr std::array<std::string_view, 3> kWords = {"cookie", "client", "header:"};
  const std::vector<std::string> words(kWords.begin(), kWords.end());
  reader.error(value.at, fmt::format("{} is {}: {}", path, in_quotes(value.text), why),
               reader.wants_hint() ? nearest_word(value.text, words) : "");
  return {};
}

Kind<std::string> token(std::string type) {
  Kind<std::string> kind;
  kind.schema = Json{{"type", "string"},
                     {"pattern", "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"},
                     {"maxLength", kNameBytesMax * 2}};
  kind.to_toml = [](const std::string& text) { return in_quotes(text); };
  kind.read = [type](Reader& reader, const Value& value,
                     const std::string& path) -> std::optional<std::string> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, fmt::format("a {}, in quotes", type));
      return {};
    }
    if (is_token(value.text) && value.text.size() <= kNameBytesMax * 2) return value.text;
    reader.error(value.at,
                 fmt::format("{}: {} is not a {}: letters, digits and -_.!#$%&'*+^`|~, at "
                             "most {} of them",
                             path, in_quotes(value.text), type, kNameBytesMax * 2));
    return {};
  };
  kind.type = std::move(type);
  return kind;
}

}  // namespace

std::string to_string(const StickyWay& parts) {
  std::string text;
  for (const StickyPart& part : parts) {
    if (!text.empty()) text += '+';
    switch (part.kind) {
      case StickyPart::Kind::cookie:
        text += "cookie";
        break;
      case StickyPart::Kind::header:
        text += std::string(kHeader) + part.header;
        break;
      case StickyPart::Kind::client:
        text += "client";
        break;
    }
  }
  return text;
}

Kind<States> share_states() {
  return {.type = "table backend = state",
          .schema = named_schema(share_state().schema, kSharesMax),
          .read = read_states,
          .to_toml = {}};
}

Kind<std::vector<StickyWay>> sticky_by() {
  Kind<StickyWay> item;
  item.schema = Json{{"type", "string"},
                     {"pattern", "^(cookie|(client|header:[^+ ]+)([+](client|header:[^+ ]+))*)$"}};
  item.to_toml = [](const StickyWay& by) { return in_quotes(to_string(by)); };
  item.read = read_sticky;
  Kind<std::vector<StickyWay>> list = list_of<StickyWay>("list of keys", std::move(item));
  list.schema.json()["minItems"] = 1;
  list.schema.json()["maxItems"] = kStickyWaysMax;
  list.read = [read = std::move(list.read)](
                  Reader& reader, const Value& value,
                  const std::string& path) -> std::optional<std::vector<StickyWay>> {
    auto ways = read(reader, value, path);
    if (!ways || (!ways->empty() && ways->size() <= kStickyWaysMax)) return ways;
    reader.error(value.at, fmt::format("{} has {} items; it has 1 to {}, or leave the table out "
                                       "where nothing is to be sticky",
                                       path, ways->size(), kStickyWaysMax));
    return {};
  };
  return list;
}

Kind<std::string> field_name() {
  return token("field name");
}

Kind<std::string> cookie_name() {
  return token("cookie name");
}

Kind<std::string> backend_name() {
  Kind<std::string> kind = token("backend");
  kind.schema =
      Json{{"type", "string"}, {"pattern", "^[a-z0-9._-]+$"}, {"maxLength", kNameBytesMax}};
  return kind;
}

}  // namespace sluice::conf
