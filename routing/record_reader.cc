// Bodies of ledger records, read: nothing is believed of them.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>

#include "proxy/base/rfc3339.h"
#include "routing/record_body.h"
#include "routing/schedule.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kKinds{
    RevisionKind::shift,       RevisionKind::switch_to,     RevisionKind::rollback,
    RevisionKind::maintenance, RevisionKind::drain,         RevisionKind::resume,
    RevisionKind::add_server,  RevisionKind::remove_server, RevisionKind::weigh_server,
    RevisionKind::reload,      RevisionKind::renew_lease,   RevisionKind::confirm_lease,
    RevisionKind::lapse_lease};

// 100 years.
constexpr std::uint64_t kSecondsMax = 3'155'760'000;

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

  std::chrono::seconds seconds(const Json& value, const std::string& where) {
    const std::uint64_t read = number(value, where);
    if (read > kSecondsMax) fail(where, "is more than " + std::to_string(kSecondsMax) + " s");
    return std::chrono::seconds(read);
  }

  Decimal weight(const Json& value, const std::string& where) {
    const std::string read = text(value, where);
    const std::optional<Decimal> weight = Decimal::parse(read);
    if (!weight) fail(where, "is not a plain decimal number: " + in_quotes(read));
    return weight.value_or(Decimal{});
  }

  // A split is empty, or has a weight above zero.
  Split split(const Json& value, const std::string& where) {
    Split split;
    bool any_weight = false;
    for (const Json& item : array(value, where)) {
      const std::string place = where + '[' + std::to_string(split.size()) + ']';
      if (!has_keys(item, place, {"backend", "weight", "state"}, 1)) return {};
      conf::WeightedBackend share{name(item["backend"], place + ".backend"),
                                  weight(item["weight"], place + ".weight")};
      if (item.contains("state")) {
        const std::string word = text(item["state"], place + ".state");
        const std::optional<conf::ShareState> state = parse_share_state(word);
        if (!state) fail(place + ".state", "is none of active, sticky_only and off");
        share.state = state.value_or(conf::ShareState::active);
      }
      if (std::ranges::find(split, share.backend, &conf::WeightedBackend::backend) != split.end()) {
        fail(place + ".backend", "is " + in_quotes(share.backend) + " a second time");
      }
      if (split.size() == Schedule::kSharesMax) {
        fail(where, "has more than " + std::to_string(Schedule::kSharesMax) + " backends");
      }
      if (error_) return {};
      any_weight = any_weight || !share.weight.is_zero();
      split.push_back(std::move(share));
    }
    if (!split.empty() && !any_weight) fail(where, "has no weight above zero");
    return split;
  }

  std::optional<Maintenance> maintenance(const Json& value, const std::string& where) {
    if (value.is_null() || !has_keys(value, where, {"retry_after"})) return {};
    return Maintenance{seconds(value["retry_after"], where + ".retry_after")};
  }

  // Of a split: no key may belong to a backend that is not in it.
  Partition partition(const Json& value, const Split& split, const std::string& where) {
    auto read = Partition::parse(text(value, where));
    if (!read) {
      fail(where, "can't be read: " + read.error());
      return {};
    }
    for (const std::string& backend : read->backends()) {
      if (std::ranges::find(split, backend, &conf::WeightedBackend::backend) == split.end()) {
        fail(where, "gives keys to a backend that is not in the split");
      }
    }
    return std::move(*read);
  }

  RouteChange route_change(const Json& value, const std::string& where, bool reload) {
    RouteChange change;
    if (!has_keys(value, where, {"route", "before", "after", "file", "maintenance", "partition"},
                  3)) {
      return change;
    }
    change.route = name(value["route"], where + ".route");
    change.before.split = split(value["before"], where + ".before");
    change.after.split = split(value["after"], where + ".after");
    if (value.contains("file")) change.file = split(value["file"], where + ".file");
    if (value.contains("maintenance")) {
      const std::string place = where + ".maintenance";
      const Json& both = value["maintenance"];
      if (!has_keys(both, place, {"before", "after"})) return change;
      change.before.maintenance = maintenance(both["before"], place + ".before");
      change.after.maintenance = maintenance(both["after"], place + ".after");
    }
    if (value.contains("partition")) {
      const std::string place = where + ".partition";
      const Json& both = value["partition"];
      if (!has_keys(both, place, {"before", "after"})) return change;
      change.before.partition = partition(both["before"], change.before.split, place + ".before");
      change.after.partition = partition(both["after"], change.after.split, place + ".after");
    }
    const bool before_empty = change.before.split.empty();
    const bool after_empty = change.after.split.empty();
    if (!reload && (before_empty || after_empty)) {
      fail(where, "makes or forgets a route, which only a reload can");
    }
    if (!reload && value.contains("file")) {
      fail(where + ".file", "is stated, which only a reload can");
    }
    if (reload && after_empty != change.file.empty()) {
      fail(where + ".file", "must be stated exactly where " + where + ".after is not empty");
    }
    if (before_empty && after_empty) fail(where, "changes nothing");
    return change;
  }

  ServerKey server_key(const Json& value, const std::string& where) {
    return {name(value["backend"], where + ".backend"), name(value["server"], where + ".server")};
  }

  Membership membership(const Json& value, const std::string& where) {
    Membership read;
    if (!has_keys(value, where, {"added", "removed", "weight", "file_weight"}, 4)) return read;
    if (value.contains("added")) {
      read.added = Address::parse(text(value["added"], where + ".added"));
      if (!read.added) fail(where + ".added", "is no address");
    }
    if (value.contains("removed")) read.removed = truth(value["removed"], where + ".removed");
    if (value.contains("weight")) read.weight = weight(value["weight"], where + ".weight");
    if (value.contains("file_weight")) {
      read.file_weight = weight(value["file_weight"], where + ".file_weight");
    }
    return read;
  }

  DrainChange drain_change(const Json& value, const std::string& where) {
    return server_change<DrainChange>(value, where, &FieldReader::truth);
  }

  MembershipChange membership_change(const Json& value, const std::string& where) {
    return server_change<MembershipChange>(value, where, &FieldReader::membership);
  }

  Lease lease(const Json& value, const std::string& where) {
    Lease read;
    if (!has_keys(value, where, {"ttl", "deadline", "on_lapse"})) return read;
    read.ttl = seconds(value["ttl"], where + ".ttl");
    read.deadline = time(value["deadline"], where + ".deadline");
    const auto on_lapse = parse_on_lapse(text(value["on_lapse"], where + ".on_lapse"));
    if (!on_lapse) fail(where + ".on_lapse", "is neither revert nor freeze");
    read.on_lapse = on_lapse.value_or(Lease::OnLapse::revert);
    return read;
  }

  IdempotencyKey key(const Json& value, const std::string& where) {
    if (!has_keys(value, where, {"text", "digest"})) return {};
    return {name(value["text"], where + ".text"), text(value["digest"], where + ".digest")};
  }

  // `read(item, where)` for each item, until one is wrong.
  template <typename Read>
  void each(const Json& value, const std::string& where, Read&& read) {
    std::size_t index = 0;
    for (const Json& item : array(value, where)) {
      if (error_) return;
      read(item, where + '[' + std::to_string(index++) + ']');
    }
  }

 private:
  // `read` makes what stood before and after of its two sides.
  template <typename Change, typename Side>
  Change server_change(const Json& value, const std::string& where,
                       Side (FieldReader::*read)(const Json&, const std::string&)) {
    Change change;
    if (!has_keys(value, where, {"backend", "server", "before", "after"})) return change;
    change.server = server_key(value, where);
    change.before = (this->*read)(value["before"], where + ".before");
    change.after = (this->*read)(value["after"], where + ".after");
    return change;
  }

  std::optional<std::string> error_;
};

std::optional<Revision> read_revision(FieldReader& reader, const Json& json) {
  Revision revision;
  if (!reader.has_keys(
          json, "the body",
          {"number", "parent", "kind", "time", "identity", "author", "reason", "weights", "drains",
           "result", "members", "lease", "of", "key", "conflicts"},
          5)) {
    return {};
  }
  revision.number = reader.number(json["number"], "number");
  revision.parent = reader.number(json["parent"], "parent");
  revision.kind = reader.kind(json["kind"], "kind");
  revision.time = reader.time(json["time"], "time");
  revision.origin.identity = reader.text(json["identity"], "identity");
  revision.origin.author = reader.text(json["author"], "author");
  revision.origin.reason = reader.text(json["reason"], "reason");
  revision.result = reader.name(json["result"], "result");
  const bool reload = revision.kind == RevisionKind::reload;
  reader.each(json["weights"], "weights", [&](const Json& item, const std::string& where) {
    revision.routes.push_back(reader.route_change(item, where, reload));
  });
  reader.each(json["drains"], "drains", [&](const Json& item, const std::string& where) {
    revision.drains.push_back(reader.drain_change(item, where));
  });
  if (json.contains("members")) {
    reader.each(json["members"], "members", [&](const Json& item, const std::string& where) {
      revision.members.push_back(reader.membership_change(item, where));
    });
  }
  if (json.contains("lease")) revision.lease = reader.lease(json["lease"], "lease");
  if (json.contains("of")) revision.of = reader.number(json["of"], "of");
  if (json.contains("key")) revision.key = reader.key(json["key"], "key");
  if (json.contains("conflicts")) {
    reader.each(json["conflicts"], "conflicts", [&](const Json& item, const std::string& where) {
      revision.conflicts.push_back(reader.text(item, where));
    });
  }
  return revision;
}

std::optional<StateImage> read_checkpoint(FieldReader& reader, const Json& json) {
  StateImage image;
  if (!reader.has_keys(json, "the checkpoint",
                       {"number", "kind", "routes", "drains", "members", "leases", "keys"})) {
    return {};
  }
  image.revision = reader.number(json["number"], "number");
  reader.each(json["routes"], "routes", [&](const Json& item, const std::string& where) {
    if (!reader.has_keys(item, where,
                         {"route", "split", "file", "revision", "maintenance", "partition"}, 2)) {
      return;
    }
    RouteState& route = image.routes[reader.name(item["route"], where + ".route")];
    route.setting.split = reader.split(item["split"], where + ".split");
    if (route.setting.split.empty()) reader.fail(where + ".split", "is empty");
    route.file_split = reader.split(item["file"], where + ".file");
    route.revision = reader.number(item["revision"], where + ".revision");
    if (item.contains("maintenance")) {
      route.setting.maintenance = reader.maintenance(item["maintenance"], where + ".maintenance");
    }
    if (item.contains("partition")) {
      route.setting.partition =
          reader.partition(item["partition"], route.setting.split, where + ".partition");
    }
  });
  reader.each(json["drains"], "drains", [&](const Json& item, const std::string& where) {
    if (!reader.has_keys(item, where, {"backend", "server", "draining", "revision"})) return;
    image.drains[reader.server_key(item, where)] = {
        reader.truth(item["draining"], where + ".draining"),
        reader.number(item["revision"], where + ".revision")};
  });
  reader.each(json["members"], "members", [&](const Json& item, const std::string& where) {
    if (!reader.has_keys(item, where, {"backend", "server", "membership", "revision"})) return;
    image.members[reader.server_key(item, where)] = {
        reader.membership(item["membership"], where + ".membership"),
        reader.number(item["revision"], where + ".revision")};
  });
  reader.each(json["leases"], "leases", [&](const Json& item, const std::string& where) {
    if (!reader.has_keys(item, where, {"revision", "lease", "weights"})) return;
    LeaseState& lease = image.leases[reader.number(item["revision"], where + ".revision")];
    lease.lease = reader.lease(item["lease"], where + ".lease");
    reader.each(item["weights"], where + ".weights",
                [&](const Json& change, const std::string& at) {
                  lease.routes.push_back(reader.route_change(change, at, false));
                });
  });
  reader.each(json["keys"], "keys", [&](const Json& item, const std::string& where) {
    if (!reader.has_keys(item, where, {"key", "revision"})) return;
    image.keys.push_back({reader.key(item["key"], where + ".key"),
                          reader.number(item["revision"], where + ".revision")});
  });
  if (image.keys.size() > State::kKeysMax) reader.fail("keys", "are too many");
  return image;
}

}  // namespace

std::expected<RecordBody, std::string> decode_body(std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return std::unexpected("the body is not JSON");
  FieldReader reader;
  const bool checkpoint = json.is_object() && json.contains("kind") && json["kind"] == "checkpoint";
  if (checkpoint) {
    auto image = read_checkpoint(reader, json);
    if (reader.error()) return std::unexpected(*reader.error());
    return std::move(*image);
  }
  auto revision = read_revision(reader, json);
  if (reader.error()) return std::unexpected(*reader.error());
  return std::move(*revision);
}

}  // namespace sluice::routing
