#include "conf/kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "conf/words.h"

namespace sluice::conf {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

template <typename Amount>
struct Unit {
  std::string_view name;
  Amount amount;
};

constexpr std::array<Unit<Duration>, 4> kTimeUnits{
    {{"ms", milliseconds(1)}, {"s", seconds(1)}, {"m", minutes(1)}, {"h", hours(1)}}};
constexpr std::array<Unit<std::uint64_t>, 4> kSizeUnits{
    {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}};

struct Quantity {
  std::uint64_t number = 0;
  std::string_view unit;
};

constexpr std::size_t kQuantityDigitsMax = 12;  // times any unit fits into 64 bits

// `64KiB` as 64 and `KiB`. nullopt without digits, or with too many.
std::optional<Quantity> split_quantity(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > kQuantityDigitsMax) return {};
  Quantity quantity{.unit = text.substr(digits)};
  std::from_chars(text.data(), text.data() + digits, quantity.number);
  return quantity;
}

template <typename Units>
auto find_unit(const Units& units, std::string_view name) {
  return std::ranges::find(units, name, &Units::value_type::name);
}

// The unit that `sec`, `MINUTES` or ` s` stand for; empty if none.
std::string_view meant_time_unit(std::string_view text) {
  std::string word = lowered(text);
  std::erase(word, ' ');
  if (word.find_first_of("0123456789") != std::string::npos) return "";
  if (word.empty() || word.starts_with('s')) return "s";
  if (word == "ms" || word.starts_with("mil") || word.starts_with("msec")) return "ms";
  if (word == "m" || word.starts_with("min")) return "m";
  if (word.starts_with('h')) return "h";
  return "";
}

// The unit that `k`, `KB` or `mb` stand for; empty if none.
std::string_view meant_size_unit(std::string_view text) {
  const std::size_t letter = text.find_first_not_of(' ');
  if (letter == std::string_view::npos) return "B";
  switch (text[letter]) {
    case 'b':
    case 'B':
      return "B";
    case 'k':
    case 'K':
      return "KiB";
    case 'm':
    case 'M':
      return "MiB";
    case 'g':
    case 'G':
      return "GiB";
    default:
      return "";
  }
}

std::string hinted(std::string_view text, std::string_view unit) {
  const auto quantity = split_quantity(text);
  return quantity && !unit.empty() ? fmt::format("{}{}", quantity->number, unit) : "";
}

std::string write_duration(Duration value) {
  constexpr seconds kWrittenInSeconds(120);  // `90s` reads better than `1m30s` would
  if (value % seconds(1) != Duration::zero())
    return fmt::format("\"{}ms\"", value / milliseconds(1));
  if (value % hours(1) == Duration::zero() && value != Duration::zero()) {
    return fmt::format("\"{}h\"", value / hours(1));
  }
  if (value % minutes(1) == Duration::zero() && value > kWrittenInSeconds) {
    return fmt::format("\"{}m\"", value / minutes(1));
  }
  return fmt::format("\"{}s\"", value / seconds(1));
}

std::optional<Duration> read_duration(Reader& reader, const Value& value, const std::string& path,
                                      bool zero_allowed) {
  if (value.type != Value::Type::string) {
    const bool number = value.type == Value::Type::integer && value.integer >= 0;
    reader.wrong_type(value, path, "a duration with its unit, like \"30s\"",
                      number ? fmt::format("{}s", value.integer) : "");
    return {};
  }
  const auto quantity = split_quantity(value.text);
  const auto unit = find_unit(kTimeUnits, quantity ? quantity->unit : "");
  if (!quantity || unit == kTimeUnits.end()) {
    const std::string_view rest = quantity ? quantity->unit : "?";
    reader.error(value.at,
                 fmt::format("{}: {} is not a duration: write a whole number and ms, s, m or h, "
                             "like \"30s\"",
                             path, in_quotes(value.text)),
                 hinted(value.text, meant_time_unit(rest)));
    return {};
  }
  const bool small_enough =
      quantity->number <= static_cast<std::uint64_t>(kDurationMax / unit->amount);
  const Duration result =
      small_enough ? static_cast<std::int64_t>(quantity->number) * unit->amount : Duration::max();
  if (zero_allowed && result == Duration::zero()) return result;
  if (result >= kDurationMin && result <= kDurationMax) return result;
  reader.error(value.at,
               fmt::format("{} is {} but must be from {} to {}{}", path, in_quotes(value.text),
                           write_duration(kDurationMin), write_duration(kDurationMax),
                           zero_allowed ? ", or \"0s\" for none" : ""));
  return {};
}

Kind<Duration> duration_kind(bool zero_allowed) {
  return {.type = "duration",
          .schema = Json{{"type", "string"}, {"pattern", "^[0-9]{1,12}(ms|s|m|h)$"}},
          .read =
              [zero_allowed](Reader& reader, const Value& value, const std::string& path) {
                return read_duration(reader, value, path, zero_allowed);
              },
          .to_toml = write_duration};
}

std::string write_size(std::uint64_t value) {
  for (auto unit = kSizeUnits.rbegin(); unit != kSizeUnits.rend(); ++unit) {
    if (unit->amount > 1 && value != 0 && value % unit->amount == 0) {
      return fmt::format("\"{}{}\"", value / unit->amount, unit->name);
    }
  }
  return fmt::format("{}", value);
}

// An integer, or a string of number and unit. nullopt, and an error, for anything else.
std::optional<std::uint64_t> read_bytes(Reader& reader, const Value& value,
                                        const std::string& path) {
  if (value.type == Value::Type::integer) {
    if (value.integer >= 0) return static_cast<std::uint64_t>(value.integer);
    reader.error(value.at, fmt::format("{} must not be negative", path));
    return {};
  }
  if (value.type != Value::Type::string) {
    reader.wrong_type(value, path, "a number of bytes or a size like \"64KiB\"");
    return {};
  }
  const auto quantity = split_quantity(value.text);
  const auto unit = find_unit(kSizeUnits, quantity ? quantity->unit : "");
  if (!quantity || unit == kSizeUnits.end()) {
    const std::string_view rest = quantity ? quantity->unit : "?";
    reader.error(value.at,
                 fmt::format("{}: {} is not a size: write a number of bytes, or a whole number and "
                             "B, KiB, MiB or GiB, like \"64KiB\"",
                             path, in_quotes(value.text)),
                 hinted(value.text, meant_size_unit(rest)));
    return {};
  }
  const bool small_enough =
      quantity->number <= std::numeric_limits<std::uint64_t>::max() / unit->amount;
  return small_enough ? quantity->number * unit->amount : std::numeric_limits<std::uint64_t>::max();
}

Kind<std::uint64_t> size_kind(std::uint64_t min, std::uint64_t max, bool zero_allowed) {
  const Json number{{"type", "integer"}, {"minimum", zero_allowed ? 0 : min}, {"maximum", max}};
  const Json text{{"type", "string"}, {"pattern", "^[0-9]{1,12}(B|KiB|MiB|GiB)$"}};
  Kind<std::uint64_t> kind;
  kind.type = "size";
  kind.schema = Json{{"anyOf", Json::array({number, text})}};
  kind.to_toml = write_size;
  kind.read = [=](Reader& reader, const Value& value,
                  const std::string& path) -> std::optional<std::uint64_t> {
    const auto bytes = read_bytes(reader, value, path);
    if (!bytes || (*bytes >= min && *bytes <= max) || (zero_allowed && *bytes == 0)) return bytes;
    reader.error(value.at, fmt::format("{} is {} but must be from {} to {}{}", path,
                                       write_size(*bytes), write_size(min), write_size(max),
                                       zero_allowed ? ", or 0 for no limit" : ""));
    return {};
  };
  return kind;
}

template <typename V>
Kind<V> integer_kind(std::string type, V min, V max) {
  Kind<V> kind;
  kind.type = std::move(type);
  kind.schema = Json{{"type", "integer"}, {"minimum", min}, {"maximum", max}};
  kind.to_toml = [](const V& value) { return fmt::format("{}", value); };
  kind.read = [min, max](Reader& reader, const Value& value,
                         const std::string& path) -> std::optional<V> {
    if (value.type != Value::Type::integer) {
      reader.wrong_type(value, path, "a whole number");
      return {};
    }
    if (std::cmp_greater_equal(value.integer, min) && std::cmp_less_equal(value.integer, max)) {
      return static_cast<V>(value.integer);
    }
    reader.error(value.at,
                 fmt::format("{} is {} but must be from {} to {}", path, value.integer, min, max));
    return {};
  };
  return kind;
}

// Text that can be handed to the system as a path. An error otherwise.
bool check_path_text(Reader& reader, const Value& value, const std::string& path) {
  if (value.type != Value::Type::string) {
    reader.wrong_type(value, path, "a path, in quotes");
    return false;
  }
  const bool printable = std::ranges::none_of(
      value.text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (!value.text.empty() && value.text.size() <= kTextBytesMax && printable) return true;
  reader.error(value.at, fmt::format("{}: {} is not a path: write 1 to {} bytes without control "
                                     "characters",
                                     path, in_quotes(value.text), kTextBytesMax));
  return false;
}

const Json kPathSchema{{"type", "string"}, {"minLength", 1}, {"maxLength", kTextBytesMax}};

std::string write_text(const std::string& text) {
  return in_quotes(text);
}

}  // namespace

SchemaPart list_schema(const SchemaPart& item) {
  return Json{{"type", "array"},
              {"items", item.json()},
              {"maxItems", kListItemsMax},
              {"uniqueItems", true}};
}

void report_repeated(Reader& reader, const Value& item, const std::string& path,
                     const std::string& written) {
  reader.error(item.at, fmt::format("{} names {} twice", path, written));
}

Kind<Duration> duration() {
  return duration_kind(false);
}

Kind<Duration> duration_or_zero() {
  return duration_kind(true);
}

Kind<std::uint64_t> size(std::uint64_t min, std::uint64_t max) {
  return size_kind(min, max, false);
}

Kind<std::uint64_t> size_or_zero(std::uint64_t max) {
  return size_kind(1, max, true);
}

Kind<std::uint64_t> count(std::uint64_t min, std::uint64_t max) {
  return integer_kind<std::uint64_t>("count", min, max);
}

Kind<int> small_count(int min, int max) {
  return integer_kind<int>("count", min, max);
}

Kind<bool> boolean() {
  return {.type = "boolean",
          .schema = Json{{"type", "boolean"}},
          .read = [](Reader& reader, const Value& value,
                     const std::string& path) -> std::optional<bool> {
            if (value.type == Value::Type::boolean) return value.boolean;
            reader.wrong_type(value, path, "true or false, without quotes");
            return {};
          },
          .to_toml = [](const bool& value) { return std::string(value ? "true" : "false"); }};
}

Kind<std::string> choice(std::vector<std::string> words) {
  Kind<std::string> kind;
  std::vector<std::string> all_words;
  for (const std::string& word : words) all_words.push_back(in_quotes(word));
  const std::string all = fmt::format("{}", fmt::join(all_words, " or "));
  kind.type = all;
  kind.schema = Json{{"type", "string"}, {"enum", words}};
  kind.to_toml = write_text;
  kind.read = [words = std::move(words), all](
                  Reader& reader, const Value& value,
                  const std::string& path) -> std::optional<std::string> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, all);
      return {};
    }
    if (std::ranges::find(words, value.text) != words.end()) return value.text;
    reader.error(value.at, fmt::format("{} is {} but must be {}", path, in_quotes(value.text), all),
                 nearest_word(value.text, words));
    return {};
  };
  return kind;
}

Kind<std::optional<unsigned>> worker_count() {
  constexpr unsigned kWorkersMax = 1024;
  const Kind<unsigned> number = integer_kind<unsigned>("count", 1, kWorkersMax);
  Kind<std::optional<unsigned>> kind;
  kind.type = "\"auto\" or count";
  kind.schema = Json{
      {"anyOf", Json::array({Json{{"type", "string"}, {"enum", {"auto"}}}, number.schema.json()})}};
  kind.to_toml = [](const std::optional<unsigned>& value) {
    return value ? fmt::format("{}", *value) : "\"auto\"";
  };
  kind.read = [number](Reader& reader, const Value& value,
                       const std::string& path) -> std::optional<std::optional<unsigned>> {
    if (value.type == Value::Type::integer) return number.read(reader, value, path);
    if (value.type == Value::Type::string && value.text == "auto") return std::optional<unsigned>();
    if (value.type == Value::Type::string) {
      const std::vector<std::string> known{"auto"};
      reader.error(value.at,
                   fmt::format("{} is {} but must be \"auto\" or a whole number without quotes",
                               path, in_quotes(value.text)),
                   nearest_word(value.text, known));
    } else {
      reader.wrong_type(value, path, "\"auto\" or a whole number");
    }
    return {};
  };
  return kind;
}

Kind<std::string> file_path() {
  return {.type = "path",
          .schema = kPathSchema,
          .read = [](Reader& reader, const Value& value,
                     const std::string& path) -> std::optional<std::string> {
            if (!check_path_text(reader, value, path)) return {};
            return reader.resolve(value.text);
          },
          .to_toml = write_text};
}

Kind<std::string> log_sink() {
  return {.type = "\"stdout\" or \"stderr\" or path",
          .schema = kPathSchema,
          .read = [](Reader& reader, const Value& value,
                     const std::string& path) -> std::optional<std::string> {
            if (!check_path_text(reader, value, path)) return {};
            const bool stream = value.text == "stdout" || value.text == "stderr";
            return stream ? value.text : reader.resolve(value.text);
          },
          .to_toml = write_text};
}

Kind<unsigned> file_mode() {
  Kind<unsigned> kind;
  kind.type = "file mode";
  kind.schema = Json{{"type", "string"}, {"pattern", "^0?[0-7]{3}$"}};
  kind.to_toml = [](const unsigned& value) { return fmt::format("\"{:04o}\"", value); };
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<unsigned> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, "a file mode in quotes, like \"0660\"");
      return {};
    }
    std::string_view digits = value.text;
    if (digits.size() == 4 && digits.starts_with('0')) digits.remove_prefix(1);
    unsigned mode = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, mode, 8);
    if (digits.size() == 3 && error == std::errc{} && stop == end) return mode;
    reader.error(value.at, fmt::format("{}: {} is not a file mode: write three octal digits, like "
                                       "\"0660\"",
                                       path, in_quotes(value.text)));
    return {};
  };
  return kind;
}

Kind<std::vector<std::uint32_t>> uid_list() {
  // The highest number means "no user" to the system.
  constexpr std::uint32_t kUidMax = std::numeric_limits<std::uint32_t>::max() - 1;
  return list_of("list of user ids", integer_kind<std::uint32_t>("user id", 0, kUidMax));
}

}  // namespace sluice::conf
