#include "routing/record_body.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "proxy/base/rfc3339.h"
#include "routing/schedule.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

// Keeps the order in which keys are written, so that a record begins with its number.
using Json = nlohmann::ordered_json;

Json to_json(const Split& split) {
  Json array = Json::array();
  for (const conf::WeightedBackend& share : split) {
    array.push_back({{"backend", share.backend}, {"weight", share.weight.to_string()}});
  }
  return array;
}

Json to_json(const WeightChange& change) {
  Json object = {{"route", change.route},
                 {"before", to_json(change.before)},
                 {"after", to_json(change.after)}};
  if (!change.file.empty()) object["file"] = to_json(change.file);
  return object;
}

Json to_json(const DrainChange& change) {
  return {{"backend", change.server.backend},
          {"server", change.server.server},
          {"before", change.before},
          {"after", change.after}};
}

constexpr std::array kKinds{RevisionKind::shift, RevisionKind::switch_to, RevisionKind::drain,
                            RevisionKind::resume, RevisionKind::reload};

// Reads a body's fields. The first wrong one is kept as the error; what is read after it is of no
// use, but always safe to read.
class FieldReader {
 public:
  const std::optional<std::string>& error() const { return error_; }

  void fail(const std::string& where, const std::string& what) {
    if (!error_) error_ = where + ' ' + what;
  }

  // `keys`: all that `object` may have; the last `optional_count` of them may be missing.
  bool has_keys(const Json& object, const std::string& where,
                std::initializer_list<std::string_view> keys, std::size_t optional_count = 0) {
    if (!object.is_object()) {
      fail(where, "is not an object");
      return false;
    }
    std::size_t index = 0;
    for (std::string_view key : keys) {
      const bool optional = index++ >= keys.size() - optional_count;
      if (!optional && !object.contains(key)) fail(where, "has no key " + in_quotes(key));
    }
    for (const auto& [key, value] : object.items()) {
      if (std::ranges::find(keys, key) == keys.end()) {
        fail(where, "has the key " + in_quotes(key) +
                        ", which this version does not know (a newer one may have written it)");
      }
    }
    return !error_;
  }

  std::uint64_t number(const Json& value, const std::string& where) {
    if (value.is_number_unsigned()) return value.get<std::uint64_t>();
    fail(where, "is not a whole number from 0 to 2^64 - 1");
    return 0;
  }

  bool truth(const Json& value, const std::string& where) {
    if (value.is_boolean()) return value.get<bool>();
    fail(where, "is neither true nor false");
    return false;
  }

  std::string text(const Json& value, const std::string& where) {
    if (value.is_string()) return value.get<std::string>();
    fail(where, "is not a string");
    return {};
  }

  std::string name(const Json& value, const std::string& where) {
    std::string read = text(value, where);
    if (read.empty()) fail(where, "is empty");
    return read;
  }

  const Json& array(const Json& value, const std::string& where) {
    static const Json kNone = Json::array();
    if (value.is_array()) return value;
    fail(where, "is not an array");
    return kNone;
  }

  WallTime time(const Json& value, const std::string& where) {
    const std::string read = text(value, where);
    const std::optional<WallTime> time = parse_rfc3339(read);
    if (!time) fail(where, "is not a UTC time with nanoseconds: " + in_quotes(read));
    return time.value_or(WallTime{});
  }

  RevisionKind kind(const Json& value, const std::string& where) {
    const std::string read = text(value, where);
    for (RevisionKind kind : kKinds) {
      if (to_string(kind) == read) return kind;
    }
    fail(where, "is " + in_quotes(read) +
                    ", which this version does not know (a newer one may have written it)");
    return RevisionKind::shift;
  }

  // A split is empty, or has a weight above zero.
  Split split(const Json& value, const std::string& where) {
    Split split;
    bool any_weight = false;
    for (const Json& item : array(value, where)) {
      const std::string place = where + '[' + std::to_string(split.size()) + ']';
      if (!has_keys(item, place, {"backend", "weight"})) return {};
      std::string backend = name(item["backend"], place + ".backend");
      const std::string number = text(item["weight"], place + ".weight");
      const std::optional<Decimal> weight = Decimal::parse(number);
      if (!weight) fail(place + ".weight", "is not a plain decimal number: " + in_quotes(number));
      if (std::ranges::find(split, backend, &conf::WeightedBackend::backend) != split.end()) {
        fail(place + ".backend", "is " + in_quotes(backend) + " a second time");
      }
      if (split.size() == Schedule::kSharesMax) {
        fail(where, "has more than " + std::to_string(Schedule::kSharesMax) + " backends");
      }
      if (error_) return {};
      any_weight = any_weight || !weight->is_zero();
      split.push_back({std::move(backend), *weight});
    }
    if (!split.empty() && !any_weight) fail(where, "has no weight above zero");
    return split;
  }

  WeightChange weight_change(const Json& value, const std::string& where, RevisionKind kind) {
    WeightChange change;
    if (!has_keys(value, where, {"route", "before", "after", "file"}, 1)) return change;
    const bool reload = kind == RevisionKind::reload;
    change.route = name(value["route"], where + ".route");
    change.before = split(value["before"], where + ".before");
    change.after = split(value["after"], where + ".after");
    if (value.contains("file")) change.file = split(value["file"], where + ".file");
    if (!reload && (change.before.empty() || change.after.empty())) {
      fail(where, "makes or forgets a route, which only a reload can");
    }
    if (!reload && value.contains("file")) {
      fail(where + ".file", "is stated, which only a reload can");
    }
    if (reload && change.after.empty() != change.file.empty()) {
      fail(where + ".file", "must be stated exactly where " + where + ".after is not empty");
    }
    if (change.before.empty() && change.after.empty()) fail(where, "changes nothing");
    return change;
  }

  DrainChange drain_change(const Json& value, const std::string& where) {
    DrainChange change;
    if (!has_keys(value, where, {"backend", "server", "before", "after"})) return change;
    change.server.backend = name(value["backend"], where + ".backend");
    change.server.server = name(value["server"], where + ".server");
    change.before = truth(value["before"], where + ".before");
    change.after = truth(value["after"], where + ".after");
    return change;
  }

 private:
  std::optional<std::string> error_;
};

}  // namespace

std::string encode_body(const Revision& revision) {
  Json weights = Json::array();
  for (const WeightChange& change : revision.weights) weights.push_back(to_json(change));
  Json drains = Json::array();
  for (const DrainChange& change : revision.drains) drains.push_back(to_json(change));
  const Json body = {{"number", revision.number},
                     {"parent", revision.parent},
                     {"kind", to_string(revision.kind)},
                     {"time", to_rfc3339(revision.time)},
                     {"identity", revision.origin.identity},
                     {"author", revision.origin.author},
                     {"reason", revision.origin.reason},
                     {"weights", std::move(weights)},
                     {"drains", std::move(drains)},
                     {"result", revision.result}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::expected<Revision, std::string> decode_body(std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return std::unexpected("the body is not JSON");
  FieldReader reader;
  Revision revision;
  if (!reader.has_keys(json, "the body",
                       {"number", "parent", "kind", "time", "identity", "author", "reason",
                        "weights", "drains", "result"})) {
    return std::unexpected(*reader.error());
  }
  revision.number = reader.number(json["number"], "number");
  revision.parent = reader.number(json["parent"], "parent");
  revision.kind = reader.kind(json["kind"], "kind");
  revision.time = reader.time(json["time"], "time");
  revision.origin.identity = reader.text(json["identity"], "identity");
  revision.origin.author = reader.text(json["author"], "author");
  revision.origin.reason = reader.text(json["reason"], "reason");
  revision.result = reader.name(json["result"], "result");
  for (const Json& item : reader.array(json["weights"], "weights")) {
    const std::string where = "weights[" + std::to_string(revision.weights.size()) + ']';
    revision.weights.push_back(reader.weight_change(item, where, revision.kind));
    if (reader.error()) break;
  }
  for (const Json& item : reader.array(json["drains"], "drains")) {
    const std::string where = "drains[" + std::to_string(revision.drains.size()) + ']';
    revision.drains.push_back(reader.drain_change(item, where));
    if (reader.error()) break;
  }
  if (reader.error()) return std::unexpected(*reader.error());
  return revision;
}

}  // namespace sluice::routing
