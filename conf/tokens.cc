#include "conf/tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "conf/document.h"
#include "conf/kinds.h"
#include "conf/parser.h"
#include "conf/reader.h"
#include "conf/section.h"
#include "conf/words.h"
#include "proxy/base/rfc3339.h"

namespace sluice::conf {
namespace {

constexpr std::size_t kDigestDigits = 64;

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Kind<std::string> digest() {
  Kind<std::string> kind;
  kind.type = "digest";
  kind.schema = Json{{"type", "string"}};
  kind.to_toml = [](const std::string& text) { return in_quotes(text); };
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<std::string> {
    if (value.type == Value::Type::string && value.text.size() == kDigestDigits &&
        is_hex(value.text)) {
      return value.text;
    }
    // What stands there may be the token itself: it is not repeated.
    reader.error(value.at,
                 fmt::format("{} must be the SHA-256 of the token in {} hex digits, lower "
                             "case, in quotes: `sluice token hash` makes it",
                             path, kDigestDigits));
    return {};
  };
  return kind;
}

Kind<WallTime> expiry() {
  Kind<WallTime> kind;
  kind.type = "time";
  kind.schema = Json{{"type", "string"}};
  kind.to_toml = [](const WallTime& time) { return in_quotes(write_expiry(time)); };
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<WallTime> {
    if (value.type == Value::Type::string) {
      if (const auto time = parse_expiry(value.text)) return time;
    }
    reader.error(value.at, fmt::format("{} must be a day or a time in UTC, in quotes: "
                                       "\"2027-02-26\" or \"2027-02-26T18:30:00Z\"",
                                       path));
    return {};
  };
  return kind;
}

Kind<std::string> remark() {
  Kind<std::string> kind;
  kind.type = "text";
  kind.schema = Json{{"type", "string"}};
  kind.to_toml = [](const std::string& text) { return in_quotes(text); };
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<std::string> {
    if (value.type == Value::Type::string) return value.text;
    reader.wrong_type(value, path, "a text, in quotes");
    return {};
  };
  return kind;
}

Section<Token> token_section() {
  return Section(Token{})
      .required(
          "sha256", digest(),
          [](Token& token, std::string text) { token.sha256 = std::move(text); },
          "The digest of the token's text")
      .optional(
          "expires", expiry(), [](Token& token, WallTime time) { token.expires = time; },
          "When it stops being good")
      .optional(
          "created", remark(),
          [](Token& token, std::string text) { token.created = std::move(text); },
          "When it was made, for people")
      // What it may do: see the grant, which is read from the same table.
      .optional(
          "role", remark(), [](Token&, const std::string&) {}, "What may be done")
      .optional(
          "routes", list_of("list of routes", remark()),
          [](Token&, const std::vector<std::string>&) {}, "The routes it may change")
      .optional(
          "backends", list_of("list of backends", remark()),
          [](Token&, const std::vector<std::string>&) {}, "The backends it may change");
}

class TokenList {
 public:
  explicit TokenList(Reader& reader) : reader_(reader) {}

  void add(const Entry& holder, const Entry& entry) {
    static const Section<Token> kSection = token_section();
    static const Kind<Grant> kGrant = grant();
    const std::string path = join_path(holder.key, entry.key);
    if (!expect_table(reader_, entry, path)) return;
    Token token{.name = holder.key, .id = entry.key, .line = entry.at.line};
    kSection.read(reader_, entry, path, token);
    Value of_grant = entry.value;
    std::erase_if(of_grant.entries, [](const Entry& part) {
      return part.key != "role" && part.key != "routes" && part.key != "backends";
    });
    of_grant.index();
    if (auto read = kGrant.read(reader_, of_grant, path)) token.grant = std::move(*read);
    if (token.sha256.empty()) return;
    if (token.id != token.sha256.substr(0, kTokenIdDigits)) {
      reader_.error(entry.at, fmt::format("{}: a token's id is what its sha256 begins with", path),
                    join_path(holder.key, token.sha256.substr(0, kTokenIdDigits)));
    }
    if (!ids_.insert(token.id).second) {
      reader_.error(entry.at, fmt::format("{}: this token stands there twice", path));
    }
    tokens_.push_back(std::move(token));
  }

  std::vector<Token> take() { return std::move(tokens_); }

 private:
  Reader& reader_;
  std::set<std::string> ids_;
  std::vector<Token> tokens_;
};

}  // namespace

TokensOrErrors parse_tokens(std::string_view text, std::string_view file) {
  Reader reader(file);
  if (text.size() > kTokensFileBytesMax) {
    reader.error({}, fmt::format("larger than {} bytes", kTokensFileBytesMax));
    return std::unexpected(reader.take_errors());
  }
  auto document = read_document(text);
  if (!document) {
    reader.error(document.error().at, document.error().message);
    return std::unexpected(reader.take_errors());
  }
  TokenList list(reader);
  std::size_t count = 0;
  for (const Entry& holder : document->entries) {
    check_name(reader, holder, "tokens");
    if (!expect_table(reader, holder, holder.key)) continue;
    for (const Entry& entry : holder.value.entries) {
      if (++count <= kTokensMax) {
        list.add(holder, entry);
      } else if (count == kTokensMax + 1) {
        reader.error(entry.at, fmt::format("more than {} tokens", kTokensMax));
      }
    }
  }
  if (reader.has_errors()) return std::unexpected(reader.take_errors());
  return list.take();
}

std::string token_line(const Token& token) {
  std::string grant_text = grant().to_toml(token.grant);
  if (token.grant.limited()) {
    // `{ role = …, routes = […] }` without its braces.
    grant_text = grant_text.substr(2, grant_text.size() - 4);
  } else {
    grant_text = "role = " + grant_text;
  }
  std::string line = fmt::format("{}.{} = {{ {}, sha256 = {}", in_quotes(token.name), token.id,
                                 grant_text, in_quotes(token.sha256));
  if (!token.created.empty()) line += fmt::format(", created = {}", in_quotes(token.created));
  if (token.expires) line += fmt::format(", expires = {}", in_quotes(write_expiry(*token.expires)));
  return line + " }";
}

std::optional<WallTime> parse_expiry(std::string_view text) {
  constexpr std::size_t kDay = std::string_view("2027-02-26").size();
  constexpr std::size_t kTime = std::string_view("2027-02-26T18:30:00Z").size();
  if (text.size() == kDay) return parse_rfc3339(std::string(text) + "T00:00:00.000000000Z");
  if (text.size() != kTime || text.back() != 'Z') return {};
  return parse_rfc3339(std::string(text.substr(0, kTime - 1)) + ".000000000Z");
}

std::string write_expiry(WallTime time) {
  return to_rfc3339(time).substr(0, std::string_view("2027-02-26T18:30:00").size()) + "Z";
}

}  // namespace sluice::conf
