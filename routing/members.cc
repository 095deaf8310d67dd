// Servers at run time: drains, and servers that come, go and change their weight without a reload.
#include <algorithm>

#include "conf/names.h"
#include "proxy/base/check.h"
#include "routing/state.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

std::expected<const conf::Backend*, PlanError> backend_in(const conf::Config& config,
                                                          std::string_view name) {
  const auto found = std::ranges::find(config.backends, name, &conf::Backend::name);
  if (found != config.backends.end()) return &*found;
  std::vector<std::string_view> names;
  for (const conf::Backend& known : config.backends) names.push_back(known.name);
  return refuse(PlanError::Kind::unknown_backend,
                "no backend is named " + in_quotes(name) + ": " + suggestion(name, names));
}

std::expected<ServerKey, PlanError> server_in(const conf::Backend& backend, std::string_view name) {
  if (const conf::Server* found = find_server(backend, name)) {
    return ServerKey{backend.name, found->name};
  }
  std::vector<std::string_view> names;
  for (const conf::Server& known : backend.servers) names.push_back(known.name);
  return refuse(PlanError::Kind::unknown_server, "backend " + in_quotes(backend.name) +
                                                     " has no server " + in_quotes(name) + ": " +
                                                     suggestion(name, names));
}

std::expected<ServerKey, PlanError> key_in(const conf::Config& config, const ServerKey& server) {
  auto backend = backend_in(config, server.backend);
  if (!backend) return std::unexpected(std::move(backend.error()));
  return server_in(**backend, server.server);
}

std::expected<Decimal, PlanError> read_weight(std::string_view text) {
  if (const auto weight = Decimal::parse(text)) return *weight;
  return refuse(PlanError::Kind::bad_server,
                "weight " + in_quotes(text) + " is not a plain number like 1 or 0.5, up to " +
                    std::to_string(Decimal::kIntegerMax) + " with at most " +
                    std::to_string(Decimal::kScaleMax) + " digits behind the point");
}

// One of our own listeners would send its requests round and round.
bool is_listener(const conf::Config& config, const Address& address) {
  return std::ranges::any_of(config.listeners, [&](const conf::Listener& listener) {
    const bool every_address =
        std::ranges::all_of(listener.address.ip, [](std::uint8_t byte) { return byte == 0; });
    if (listener.address.family != address.family) return false;
    if (address.family == Address::Family::unix_path) return listener.address.path == address.path;
    return listener.address.port == address.port &&
           (listener.address.ip == address.ip || (every_address && address.is_loopback()));
  });
}

}  // namespace

const conf::Server* find_server(const conf::Backend& backend, std::string_view name) {
  const auto by_name = std::ranges::find(backend.servers, name, &conf::Server::name);
  if (by_name != backend.servers.end()) return &*by_name;
  const std::optional<Address> address = Address::parse(name);
  if (!address) return nullptr;
  const auto by_address = std::ranges::find(backend.servers, *address, &conf::Server::address);
  return by_address != backend.servers.end() ? &*by_address : nullptr;
}

conf::Config with_members(const conf::Config& file, const State& state) {
  conf::Config config = file;
  for (conf::Backend& backend : config.backends) {
    std::erase_if(backend.servers, [&](const conf::Server& server) {
      return state.membership({backend.name, server.name}).removed;
    });
    for (conf::Server& server : backend.servers) {
      const Membership said = state.membership({backend.name, server.name});
      server.weight = said.weight.value_or(server.weight);
    }
  }
  for (const auto& [key, member] : state.image().members) {
    if (!member.membership.added) continue;
    const auto backend = std::ranges::find(config.backends, key.backend, &conf::Backend::name);
    if (backend == config.backends.end()) continue;  // until a reload has taken notice
    backend->servers.push_back(
        {key.server, *member.membership.added, member.membership.weight.value_or(Decimal{1, 0})});
  }
  return config;
}

// --- Drains -------------------------------------------------------------------------------------

std::expected<Revision, PlanError> State::plan_drain(const conf::Config& config,
                                                     const ServerKey& server, bool draining,
                                                     Origin origin, WallTime now) const {
  auto key = key_in(config, server);
  if (!key) return std::unexpected(std::move(key.error()));
  Revision revision =
      next(draining ? RevisionKind::drain : RevisionKind::resume, std::move(origin), now);
  revision.drains.push_back({*key, is_draining(*key), draining});
  return revision;
}

std::expected<Revision, PlanError> State::plan_drain_all(const conf::Config& config,
                                                         std::string_view name, bool draining,
                                                         Origin origin, WallTime now) const {
  auto backend = backend_in(config, name);
  if (!backend) return std::unexpected(std::move(backend.error()));
  Revision revision =
      next(draining ? RevisionKind::drain : RevisionKind::resume, std::move(origin), now);
  for (const conf::Server& server : (*backend)->servers) {
    const ServerKey key{(*backend)->name, server.name};
    revision.drains.push_back({key, is_draining(key), draining});
  }
  return revision;
}

// --- The guard ----------------------------------------------------------------------------------

bool can_serve(const Facts& facts, std::string_view name) {
  if (!facts.takes_requests) return true;
  const auto backend = std::ranges::find(facts.config.backends, name, &conf::Backend::name);
  return backend != facts.config.backends.end() &&
         std::ranges::any_of(backend->servers, [&](const conf::Server& server) {
           return facts.takes_requests({backend->name, server.name});
         });
}

namespace {

// Some of its servers take requests now, and none would.
bool is_left_without(const conf::Backend& backend, const Revision& revision, const Facts& facts) {
  bool loses = false;
  for (const conf::Server& server : backend.servers) {
    const ServerKey key{backend.name, server.name};
    if (!facts.takes_requests(key)) continue;
    if (!takes_away(revision, key)) return false;
    loses = true;
  }
  return loses;
}

bool concerns(const Revision& revision, std::string_view backend) {
  const auto is_of = [&](const auto& change) { return change.server.backend == backend; };
  return std::ranges::any_of(revision.drains, is_of) ||
         std::ranges::any_of(revision.members, is_of);
}

}  // namespace

std::optional<PlanError> State::unserved(const Revision& revision, const Facts& facts) const {
  if (!facts.takes_requests) return {};
  for (const conf::Backend& backend : facts.config.backends) {
    if (!concerns(revision, backend.name) || !is_left_without(backend, revision, facts)) continue;
    std::vector<std::string_view> routes;
    for (const auto& [name, route] : image_.routes) {
      if (sends_to(route.setting, backend.name)) routes.push_back(name);
    }
    if (routes.empty()) continue;
    const bool one = routes.size() == 1;
    return PlanError{PlanError::Kind::no_healthy_server,
                     "backend " + in_quotes(backend.name) +
                         " would be left without a server that takes requests, and " +
                         (one ? "route " : "routes ") + listed(routes) +
                         (one ? " sends" : " send") +
                         " to it: shift the traffic away first, bring another server up, or say "
                         "force=true"};
  }
  return {};
}

// --- Servers that come and go -------------------------------------------------------------------

std::expected<Revision, PlanError> State::plan_add(const conf::Config& config,
                                                   const NewServer& server, Origin origin,
                                                   WallTime now) const {
  auto found = backend_in(config, server.backend);
  if (!found) return std::unexpected(std::move(found.error()));
  const conf::Backend& backend = **found;
  const std::optional<Address> address = Address::parse(server.address);
  if (!address || (address->family != Address::Family::unix_path && address->port == 0)) {
    return refuse(PlanError::Kind::bad_server, "address " + in_quotes(server.address) +
                                                   " can't be used: write IP:PORT or unix:/PATH");
  }
  const std::string name = server.name.empty() ? address->to_string() : server.name;
  if (!server.name.empty() && !conf::is_name(name)) {
    return refuse(PlanError::Kind::bad_server,
                  "name " + in_quotes(name) + " is not 1 to 64 of a-z, 0-9, '.', '_' and '-'");
  }
  if (is_listener(config, *address)) {
    return refuse(PlanError::Kind::bad_server,
                  "address " + in_quotes(server.address) +
                      " is Sluice itself: requests would go round in circles");
  }
  if (find_server(backend, name) != nullptr ||
      find_server(backend, address->to_string()) != nullptr) {
    return refuse(PlanError::Kind::server_exists,
                  "backend " + in_quotes(backend.name) + " has a server of that name or address");
  }
  if (backend.servers.size() >= kServersMax || image_.members.size() >= kMembersMax) {
    return refuse(PlanError::Kind::bad_server,
                  "there are too many servers: at most " + std::to_string(kServersMax) +
                      " in a backend, and " + std::to_string(kMembersMax) + " made at run time");
  }
  auto weight = read_weight(server.weight.empty() ? "1" : server.weight);
  if (!weight) return std::unexpected(std::move(weight.error()));
  const ServerKey key{backend.name, name};
  const Membership before = membership(key);
  Revision revision = next(RevisionKind::add_server, std::move(origin), now);
  // One of the file that was removed stays so: this one stands in its place.
  Membership after{.added = *address, .removed = before.removed, .weight = {}};
  if (*weight != Decimal{1, 0}) after.weight = *weight;
  revision.members.push_back({key, before, std::move(after)});
  return revision;
}

std::expected<Revision, PlanError> State::plan_remove(const Facts& facts, const ServerKey& server,
                                                      bool force, Origin origin,
                                                      WallTime now) const {
  auto key = key_in(facts.config, server);
  if (!key) return std::unexpected(std::move(key.error()));
  const conf::Backend& backend = **backend_in(facts.config, key->backend);
  if (backend.servers.size() == 1) {
    return refuse(PlanError::Kind::last_server, "server " + in_quotes(key->to_string()) +
                                                    " is the last of its backend: add another "
                                                    "first, or take the backend out of the file");
  }
  const bool safe = !facts.is_safe_to_stop || facts.is_safe_to_stop(*key);
  if (!safe && !force) {
    return refuse(PlanError::Kind::not_drained,
                  "server " + in_quotes(key->to_string()) +
                      " is not safe to stop: drain it first (POST /servers/" + key->backend + "/" +
                      key->server + "/drain?wait=60s), or say force=true");
  }
  const Membership before = membership(*key);
  Revision revision = next(RevisionKind::remove_server, std::move(origin), now);
  Membership after{.added = {}, .removed = before.removed || !before.added, .weight = {}};
  revision.members.push_back({*key, before, std::move(after)});
  // Should it come back, it comes as one that works.
  if (is_draining(*key)) revision.drains.push_back({*key, true, false});
  return revision;
}

std::expected<Revision, PlanError> State::plan_weigh(const conf::Config& config,
                                                     const ServerKey& server,
                                                     std::string_view weight, Origin origin,
                                                     WallTime now) const {
  auto key = key_in(config, server);
  if (!key) return std::unexpected(std::move(key.error()));
  auto read = read_weight(weight);
  if (!read) return std::unexpected(std::move(read.error()));
  const Membership before = membership(*key);
  if (before.is_plain() && image_.members.size() >= kMembersMax) {
    return refuse(PlanError::Kind::bad_server, "the weights of " + std::to_string(kMembersMax) +
                                                   " servers were set at run time already");
  }
  const conf::Backend& backend = **backend_in(config, key->backend);
  const bool last = std::ranges::none_of(backend.servers, [&](const conf::Server& other) {
    return other.name != key->server && !other.weight.is_zero();
  });
  if (read->is_zero() && last) {
    return refuse(PlanError::Kind::last_server,
                  "server " + in_quotes(key->to_string()) +
                      " is the last of its backend with a weight: give another one weight first, "
                      "or drain this one");
  }
  Revision revision = next(RevisionKind::weigh_server, std::move(origin), now);
  Membership after = before;
  after.weight = *read;
  if (!before.added && !before.weight) {
    after.file_weight = find_server(backend, key->server)->weight;
  }
  revision.members.push_back({*key, before, std::move(after)});
  return revision;
}

// --- Reload -------------------------------------------------------------------------------------

namespace {

// What was said of a server at run time, against what the file says of it now.
struct MemberReload {
  bool stays = true;
  Membership after = {};      // where it does not stay
  std::string conflict = {};  // a sentence; empty: nothing is lost
};

std::string set_by(const Decimal& weight, RevisionNumber revision) {
  return weight.to_string() + ", set by revision " + std::to_string(revision);
}

// One that a call has added. `in_file`: of its name, else of its address; null: there is none.
MemberReload reload_added(const ServerKey& key, const MemberState& member, bool backend_stays,
                          const conf::Server* in_file) {
  const Membership& said = member.membership;
  const Address& address = *said.added;
  const std::string who = "server " + in_quotes(key.to_string());
  const std::string added = ", added by revision " + std::to_string(member.revision);
  if (in_file == nullptr && backend_stays) return {};
  if (in_file == nullptr) {
    return {.stays = false,
            .conflict = who + added + ": its backend is no longer in the file, which forgets it"};
  }
  const Decimal weight = said.weight.value_or(Decimal{1, 0});
  if (in_file->name != key.server || in_file->address != address) {
    return {.stays = false,
            .conflict = who + " at " + address.to_string() + added + ": the file has " +
                        in_quotes(in_file->name) + " at " + in_file->address.to_string() +
                        " in its place, which replaces it"};
  }
  if (in_file->weight == weight) return {.stays = false};
  return {.stays = false,
          .conflict = who + ": its weight in the file is " + in_file->weight.to_string() +
                      ", which replaces " + set_by(weight, member.revision)};
}

// One of the file's. The rule is that of splits: what was set at run time stays unless the text in
// the file has changed.
MemberReload reload_listed(const ServerKey& key, const MemberState& member,
                           const conf::Server* in_file) {
  const Membership& said = member.membership;
  const std::string who = "server " + in_quotes(key.to_string());
  const bool is_set = said.weight && said.file_weight && *said.weight != *said.file_weight;
  if (in_file == nullptr || in_file->name != key.server) {
    if (!is_set) return {.stays = false};
    return {.stays = false,
            .conflict = who + ": it is no longer in the file (where its weight was " +
                        said.file_weight->to_string() + "), which forgets " +
                        set_by(*said.weight, member.revision)};
  }
  if (!said.weight || !said.file_weight || in_file->weight == *said.file_weight) return {};
  MemberReload reload{.stays = false, .after = said};
  reload.after.weight = {};
  reload.after.file_weight = in_file->weight;  // kept, so that the server's revision never falls
  if (is_set && in_file->weight != *said.weight) {
    reload.conflict = who + ": its weight in the file changed from " +
                      said.file_weight->to_string() + " to " + in_file->weight.to_string() +
                      ", which replaces " + set_by(*said.weight, member.revision);
  }
  return reload;
}

}  // namespace

void State::reload_members(const conf::Config& config, Revision& revision,
                           std::vector<std::string>& conflicts) const {
  for (const auto& [key, member] : image_.members) {
    const Membership& said = member.membership;
    const auto backend = std::ranges::find(config.backends, key.backend, &conf::Backend::name);
    const bool backend_stays = backend != config.backends.end();
    const conf::Server* in_file = backend_stays ? find_server(*backend, key.server) : nullptr;
    if (in_file == nullptr && said.added && backend_stays) {
      in_file = find_server(*backend, said.added->to_string());
    }
    MemberReload reload = said.added ? reload_added(key, member, backend_stays, in_file)
                                     : reload_listed(key, member, in_file);
    if (reload.stays) continue;
    revision.members.push_back({key, said, std::move(reload.after)});
    if (!reload.conflict.empty()) conflicts.push_back(std::move(reload.conflict));
  }
}

}  // namespace sluice::routing
