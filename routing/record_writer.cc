// Bodies of ledger records, written. What is not there, or as it mostly is, is left out where the
// first version did not know it: so the records of a plain shift are what they always were.
#include <nlohmann/json.hpp>

#include "proxy/base/rfc3339.h"
#include "routing/record_body.h"

namespace sluice::routing {
namespace {

// Keeps the order in which keys are written, so that a record begins with its number.
using Json = nlohmann::ordered_json;

Json to_json(const Split& split) {
  Json array = Json::array();
  for (const conf::WeightedBackend& share : split) {
    Json item = {{"backend", share.backend}, {"weight", share.weight.to_string()}};
    if (share.state != conf::ShareState::active) item["state"] = to_string(share.state);
    array.push_back(std::move(item));
  }
  return array;
}

Json to_json(const std::optional<Maintenance>& maintenance) {
  if (!maintenance) return nullptr;
  return {{"retry_after", static_cast<std::uint64_t>(maintenance->retry_after.count())}};
}

Json to_json(const RouteChange& change) {
  Json object = {{"route", change.route},
                 {"before", to_json(change.before.split)},
                 {"after", to_json(change.after.split)}};
  if (!change.file.empty()) object["file"] = to_json(change.file);
  if (change.before.maintenance || change.after.maintenance) {
    object["maintenance"] = {{"before", to_json(change.before.maintenance)},
                             {"after", to_json(change.after.maintenance)}};
  }
  if (!change.before.partition.empty() || !change.after.partition.empty()) {
    object["partition"] = {{"before", change.before.partition.to_string()},
                           {"after", change.after.partition.to_string()}};
  }
  return object;
}

Json to_json(const DrainChange& change) {
  return {{"backend", change.server.backend},
          {"server", change.server.server},
          {"before", change.before},
          {"after", change.after}};
}

Json to_json(const Membership& membership) {
  Json object = Json::object();
  if (membership.added) object["added"] = membership.added->to_string();
  if (membership.removed) object["removed"] = true;
  if (membership.weight) object["weight"] = membership.weight->to_string();
  if (membership.file_weight) object["file_weight"] = membership.file_weight->to_string();
  return object;
}

Json to_json(const MembershipChange& change) {
  return {{"backend", change.server.backend},
          {"server", change.server.server},
          {"before", to_json(change.before)},
          {"after", to_json(change.after)}};
}

Json to_json(const Lease& lease) {
  return {{"ttl", static_cast<std::uint64_t>(lease.ttl.count())},
          {"deadline", to_rfc3339(lease.deadline)},
          {"on_lapse", to_string(lease.on_lapse)}};
}

Json to_json(const IdempotencyKey& key) {
  return {{"text", key.text}, {"digest", key.digest}};
}

template <typename Items>
Json to_array(const Items& items) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(to_json(item));
  return array;
}

std::string dump(const Json& body) {
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string encode_body(const Revision& revision) {
  Json body = {{"number", revision.number},
               {"parent", revision.parent},
               {"kind", to_string(revision.kind)},
               {"time", to_rfc3339(revision.time)},
               {"identity", revision.origin.identity},
               {"author", revision.origin.author},
               {"reason", revision.origin.reason},
               {"weights", to_array(revision.routes)},
               {"drains", to_array(revision.drains)}};
  if (!revision.members.empty()) body["members"] = to_array(revision.members);
  if (revision.lease) body["lease"] = to_json(*revision.lease);
  if (revision.of != 0) body["of"] = revision.of;
  if (revision.key) body["key"] = to_json(*revision.key);
  if (!revision.conflicts.empty()) body["conflicts"] = revision.conflicts;
  body["result"] = revision.result;
  return dump(body);
}

std::string encode_body(const StateImage& checkpoint) {
  Json routes = Json::array();
  for (const auto& [name, route] : checkpoint.routes) {
    Json object = {{"route", name},
                   {"split", to_json(route.setting.split)},
                   {"file", to_json(route.file_split)},
                   {"revision", route.revision}};
    if (route.setting.maintenance) object["maintenance"] = to_json(route.setting.maintenance);
    if (!route.setting.partition.empty()) {
      object["partition"] = route.setting.partition.to_string();
    }
    routes.push_back(std::move(object));
  }
  Json drains = Json::array();
  for (const auto& [server, drain] : checkpoint.drains) {
    drains.push_back({{"backend", server.backend},
                      {"server", server.server},
                      {"draining", drain.draining},
                      {"revision", drain.revision}});
  }
  Json members = Json::array();
  for (const auto& [server, member] : checkpoint.members) {
    members.push_back({{"backend", server.backend},
                       {"server", server.server},
                       {"membership", to_json(member.membership)},
                       {"revision", member.revision}});
  }
  Json leases = Json::array();
  for (const auto& [number, lease] : checkpoint.leases) {
    leases.push_back({{"revision", number},
                      {"lease", to_json(lease.lease)},
                      {"weights", to_array(lease.routes)}});
  }
  Json keys = Json::array();
  for (const KnownKey& known : checkpoint.keys) {
    keys.push_back({{"key", to_json(known.key)}, {"revision", known.revision}});
  }
  return dump({{"number", checkpoint.revision},
               {"kind", "checkpoint"},
               {"routes", std::move(routes)},
               {"drains", std::move(drains)},
               {"members", std::move(members)},
               {"leases", std::move(leases)},
               {"keys", std::move(keys)}});
}

}  // namespace sluice::routing
