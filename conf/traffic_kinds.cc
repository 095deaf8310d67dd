#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "conf/kinds.h"
#include "conf/parser.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

constexpr int kStatusMin = 100;
constexpr int kStatusMax = 599;

std::string write_status(const StatusRange& range) {
  if (range.min == range.max) return fmt::format("{}", range.min);
  return fmt::format("\"{}-{}\"", range.min, range.max);
}

// Three digits; 0 for anything else.
int parse_status(std::string_view text) {
  int status = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, status);
  return text.size() == 3 && error == std::errc{} && stop == end ? status : 0;
}

std::optional<StatusRange> read_status(Reader& reader, const Value& value,
                                       const std::string& path) {
  StatusRange range{0, 0};
  std::string written;
  if (value.type == Value::Type::integer) {
    written = fmt::format("{}", value.integer);
    if (value.integer >= kStatusMin && value.integer <= kStatusMax) {
      range.min = range.max = static_cast<int>(value.integer);
    }
  } else if (value.type == Value::Type::string) {
    written = in_quotes(value.text);
    const std::string_view text = value.text;
    const std::size_t dash = text.find('-');
    range.min = parse_status(text.substr(0, dash));
    range.max = dash == std::string_view::npos ? range.min : parse_status(text.substr(dash + 1));
  } else {
    reader.wrong_type(value, path, "a status or a range like \"200-299\"");
    return {};
  }
  if (range.min >= kStatusMin && range.max <= kStatusMax && range.min <= range.max) return range;
  reader.error(value.at,
               fmt::format("{} is {} but must be a status from {} to {} or a rising range "
                           "like \"200-299\"",
                           path, written, kStatusMin, kStatusMax));
  return {};
}

std::string weight_bounds() {
  return fmt::format("a weight is from 0 to {} with at most {} digits behind the point",
                     Decimal::kIntegerMax, Decimal::kScaleMax);
}

// The value as its writer saw it: for a TOML float the shortest decimal that reads back to it.
std::optional<std::string> weight_text(const Value& value) {
  switch (value.type) {
    case Value::Type::string:
      return value.text;
    case Value::Type::integer:
      return fmt::format("{}", value.integer);
    case Value::Type::floating: {
      // The longest fixed form of a double has some 330 characters.
      std::array<char, 400> buffer;
      const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                              value.floating, std::chars_format::fixed);
      if (error != std::errc{}) return {};
      return std::string(buffer.data(), end);
    }
    default:
      return {};
  }
}

std::optional<Decimal> read_weight(Reader& reader, const Value& value, const std::string& path) {
  const auto text = weight_text(value);
  if (!text) {
    reader.wrong_type(value, path, "a weight like 90 or \"0.5\"");
    return {};
  }
  if (const auto weight = Decimal::parse(*text)) return weight;
  std::string hint;
  if (text->ends_with('%') && Decimal::parse(text->substr(0, text->size() - 1))) {
    hint = text->substr(0, text->size() - 1);
  }
  const std::string shown = value.type == Value::Type::string ? in_quotes(*text) : *text;
  reader.error(value.at, fmt::format("{} is {}: {}", path, shown, weight_bounds()), hint);
  return {};
}

constexpr std::size_t kServersMax = 1024;  // of one backend

// Adds servers one by one, refusing an address or a name that is already there.
class ServerList {
 public:
  ServerList(Reader& reader, const std::string& path) : reader_(reader), path_(path) {}

  // `value`: an address, or a table of an address and a weight.
  void add(const Value& value, const std::string& path, std::string name) {
    if (value.type != Value::Type::table) {
      add(value, path, std::move(name), Decimal{1, 0});
      return;
    }
    const Entry* address = value.find("address");
    Decimal weight{1, 0};
    for (const Entry& entry : value.entries) {
      const std::string entry_path = join_path(path, entry.key);
      if (entry.key == "weight") {
        const auto read = read_weight(reader_, entry.value, entry_path);
        sound_ = sound_ && read.has_value();
        weight = read.value_or(weight);
      } else if (entry.key != "address") {
        reader_.error(entry.at, fmt::format("{} is unknown: a server has an address and a weight",
                                            entry_path));
        sound_ = false;
      }
    }
    if (address == nullptr) {
      reader_.error(value.at, fmt::format("the key {} is missing", join_path(path, "address")));
      sound_ = false;
      return;
    }
    add(address->value, join_path(path, "address"), std::move(name), weight);
  }

  std::optional<std::vector<Server>> take(const Value& value) {
    const bool all_zero =
        std::ranges::all_of(servers_, [](const Server& server) { return server.weight.is_zero(); });
    if (sound_ && all_zero) {
      reader_.error(value.at, fmt::format("{}: all weights are zero, so no server would get a "
                                          "request; raise one",
                                          path_));
      sound_ = false;
    }
    return sound_ ? std::optional(std::move(servers_)) : std::nullopt;
  }

 private:
  void add(const Value& value, const std::string& path, std::string name, Decimal weight) {
    static const Kind<Address> kAddress = address(AddressUse::server);
    const auto address = kAddress.read(reader_, value, path);
    if (!address) {
      sound_ = false;
      return;
    }
    if (!addresses_.insert(*address).second) {
      report_repeated(reader_, value, path_, address->to_string());
      sound_ = false;
      return;
    }
    if (name.empty()) name = address->to_string();
    servers_.push_back({std::move(name), *address, weight});
  }

  Reader& reader_;
  const std::string& path_;
  std::set<Address> addresses_;
  std::vector<Server> servers_;
  bool sound_ = true;
};

std::optional<std::vector<Server>> read_servers(Reader& reader, const Value& value,
                                                const std::string& path) {
  const bool list = value.type == Value::Type::array;
  if (!list && value.type != Value::Type::table) {
    reader.wrong_type(value, path, "a list of addresses or a table of names and addresses");
    return {};
  }
  const std::size_t count = list ? value.items.size() : value.entries.size();
  if (count == 0 || count > kServersMax) {
    reader.error(value.at,
                 fmt::format("{} has {} servers; a backend has 1 to {}", path, count, kServersMax));
    return {};
  }
  ServerList servers(reader, path);
  for (const Value& item : value.items) servers.add(item, path, "");
  for (const Entry& entry : value.entries) {
    check_name(reader, entry, path);
    servers.add(entry.value, join_path(path, entry.key), entry.key);
  }
  return servers.take(value);
}

// Why no order of tickets can be kept for these weights; empty if one can.
std::string why_no_schedule(const std::vector<WeightedBackend>& shares) {
  std::vector<Decimal> weights;
  for (const WeightedBackend& share : shares) weights.push_back(share.weight);
  const std::vector<std::uint64_t> units = to_common_units(weights);
  const std::uint64_t total = std::accumulate(units.begin(), units.end(), std::uint64_t{0});
  const auto non_zero = std::ranges::count_if(units, [](std::uint64_t unit) { return unit > 0; });
  if (total == 0) return "all weights are zero, so nobody would answer; raise one";
  if (static_cast<std::size_t>(non_zero) <= kStatelessSharesMax || total <= kSchedulePeriodMax) {
    return "";
  }
  return fmt::format(
      "more than {} backends share in the split, so its weights as integers without common divisor "
      "may sum to at most {}; these sum to {}. Use rounder weights",
      kStatelessSharesMax, kSchedulePeriodMax, total);
}

std::optional<std::vector<WeightedBackend>> read_split(Reader& reader, const Value& value,
                                                       const std::string& path) {
  if (value.type != Value::Type::table) {
    reader.wrong_type(value, path,
                      "a table of backends and weights like { blue = 90, green = 10 }");
    return {};
  }
  if (value.entries.empty() || value.entries.size() > kSharesMax) {
    reader.error(value.at, fmt::format("{} has {} backends; a split has 1 to {}", path,
                                       value.entries.size(), kSharesMax));
    return {};
  }
  std::vector<WeightedBackend> shares;
  bool sound = true;
  for (const Entry& entry : value.entries) {
    const auto weight = read_weight(reader, entry.value, join_path(path, entry.key));
    sound = sound && weight.has_value();
    shares.push_back({entry.key, weight.value_or(Decimal{})});
  }
  // With a wrong weight the sums mean nothing, but the names still do.
  if (!sound) return shares;
  const std::string why_not = why_no_schedule(shares);
  if (!why_not.empty()) reader.error(value.at, fmt::format("{}: {}", path, why_not));
  return shares;
}

Json weight_schema() {
  const Json number{{"type", "number"}, {"minimum", 0}, {"maximum", Decimal::kIntegerMax}};
  const Json text{{"type", "string"}, {"pattern", "^[0-9]{1,10}([.][0-9]{1,6})?$"}};
  return {{"anyOf", Json::array({number, text})}};
}

}  // namespace

Kind<StatusRange> status_range() {
  const Json number{{"type", "integer"}, {"minimum", kStatusMin}, {"maximum", kStatusMax}};
  const Json text{{"type", "string"}, {"pattern", "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"}};
  return {.type = "status or range",
          .schema = Json{{"anyOf", Json::array({number, text})}},
          .read = read_status,
          .to_toml = write_status};
}

Kind<std::vector<Server>> servers() {
  const Json server = address(AddressUse::server).schema.json();
  const Json list{{"type", "array"},
                  {"items", server},
                  {"minItems", 1},
                  {"maxItems", kServersMax},
                  {"uniqueItems", true}};
  const Json weighted{{"type", "object"},
                      {"properties", {{"address", server}, {"weight", weight_schema()}}},
                      {"required", Json::array({"address"})},
                      {"additionalProperties", false}};
  const Json either{{"anyOf", Json::array({server, weighted})}};
  return {.type = "list of addresses, or table name = address or { address, weight }",
          .schema = Json{{"anyOf", Json::array({list, named_schema(either, kServersMax).json()})}},
          .read = read_servers,
          .to_toml = {}};
}

Kind<std::vector<WeightedBackend>> split() {
  return {.type = "table backend = weight",
          .schema = named_schema(weight_schema(), kSharesMax),
          .read = read_split,
          .to_toml = {}};
}

}  // namespace sluice::conf
