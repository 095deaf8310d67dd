#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/kinds.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

constexpr std::string_view kHttp1 = "http/1.1";
constexpr std::string_view kHttp2 = "h2";

struct Spelling {
  std::string_view written;
  std::string_view meant;
};

// What these protocols are called elsewhere, in lower case.
constexpr std::array<Spelling, 11> kSpellings{{{"http1", kHttp1},
                                               {"http/1", kHttp1},
                                               {"http1.1", kHttp1},
                                               {"http/1.0", kHttp1},
                                               {"h1", kHttp1},
                                               {"http", kHttp1},
                                               {"http2", kHttp2},
                                               {"http/2", kHttp2},
                                               {"http/2.0", kHttp2},
                                               {"h2c", kHttp2},
                                               {"grpc", kHttp2}}};

std::string meant_version(std::string_view text) {
  const std::string word = lowered(text);
  if (word == kHttp1 || word == kHttp2) return word;
  const auto spelling = std::ranges::find(kSpellings, word, &Spelling::written);
  return spelling == kSpellings.end() ? "" : std::string(spelling->meant);
}

std::optional<HttpVersion> read_version(Reader& reader, const Value& value,
                                        const std::string& path) {
  if (value.type != Value::Type::string) {
    reader.wrong_type(value, path, "\"http/1.1\" or \"h2\"");
    return {};
  }
  if (value.text == kHttp1) return HttpVersion::http1;
  if (value.text == kHttp2) return HttpVersion::http2;
  reader.error(
      value.at,
      fmt::format("{} is {} but must be \"http/1.1\" or \"h2\"", path, in_quotes(value.text)),
      meant_version(value.text));
  return {};
}

}  // namespace

Kind<HttpVersion> http_version() {
  return {.type = "\"http/1.1\" or \"h2\"",
          .schema = Json{{"type", "string"}, {"enum", {kHttp1, kHttp2}}},
          .read = read_version,
          .to_toml = [](const HttpVersion& version) {
            return in_quotes(version == HttpVersion::http1 ? kHttp1 : kHttp2);
          }};
}

Kind<std::vector<HttpVersion>> http_versions() {
  Kind<std::vector<HttpVersion>> kind = list_of("list of protocols", http_version());
  kind.schema.json()["minItems"] = 1;
  kind.read = [read = std::move(kind.read)](
                  Reader& reader, const Value& value,
                  const std::string& path) -> std::optional<std::vector<HttpVersion>> {
    auto versions = read(reader, value, path);
    if (!versions || !versions->empty()) return versions;
    reader.error(value.at, fmt::format("{} is empty: name \"http/1.1\", \"h2\" or both, or leave "
                                       "the key out",
                                       path));
    return {};
  };
  return kind;
}

Kind<std::vector<std::string>> upgrade_list() {
  return list_of("list of protocols", choice({"websocket"}));
}

}  // namespace sluice::conf
