#include "conf/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "conf/admin_checks.h"
#include "conf/places.h"
#include "conf/section.h"
#include "conf/webhook_keys.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

bool all_zero(const Address& address) {
  return std::ranges::all_of(address.ip, [](std::uint8_t byte) { return byte == 0; });
}

// Whether a connection to `b` could arrive at `a` as well, or the other way round. Ports of 0 are
// each a port of their own.
bool overlap(const Address& a, const Address& b) {
  if (a.family != b.family || a.family == Address::Family::none) return false;
  if (a.family == Address::Family::unix_path) return a.path == b.path;
  if (a.port != b.port || a.port == 0) return false;
  return a.ip == b.ip || all_zero(a) || all_zero(b);
}

struct Place {
  std::string path;
  Address address;
  Position at;
  bool written = true;  // false: a default that the file does not mention
};

void add_admin(std::vector<Place>& places, const Entry& document, std::string_view key,
               const std::vector<Address>& addresses) {
  const Path path = {"admin", key};
  const bool written = find(document, path) != nullptr;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    places.push_back(
        {fmt::format("admin.{}", key), addresses[i], place_of_item(document, path, i), written});
  }
}

std::vector<Place> listening_places(const Entry& document, const Config& config) {
  std::vector<Place> places;
  for (const Listener& listener : config.listeners) {
    places.push_back({join_path(join_path("listeners", listener.name), "address"), listener.address,
                      place_of(document, {"listeners", listener.name, "address"})});
  }
  add_admin(places, document, "listen", config.admin.listen);
  add_admin(places, document, "read_only_listen", config.admin.read_only_listen);
  return places;
}

void check_listening_places(Reader& reader, const std::vector<Place>& places) {
  for (std::size_t late = 0; late < places.size(); ++late) {
    for (std::size_t early = 0; early < late; ++early) {
      if (!overlap(places[early].address, places[late].address)) continue;
      // A default can't be pointed at, so the error stands where the other address is.
      const Place& shown = places[late].written ? places[late] : places[early];
      const Place& other = places[late].written ? places[early] : places[late];
      reader.error(
          shown.at,
          fmt::format("{}: {} is taken by {}{} ({})", shown.path, shown.address.to_string(),
                      other.path, other.written ? "" : " by default", other.address.to_string()));
      break;
    }
  }
}

// A server that is one of our own listeners would send its requests round and round.
void check_loops(Reader& reader, const Entry& document, const Config& config) {
  for (const Backend& backend : config.backends) {
    for (std::size_t i = 0; i < backend.servers.size(); ++i) {
      const Server& server = backend.servers[i];
      for (const Listener& listener : config.listeners) {
        const bool local = server.address.is_loopback() || listener.address.ip == server.address.ip;
        if (!local || !overlap(listener.address, server.address)) continue;
        const Entry* named = find(document, {"backends", backend.name, "servers", server.name});
        const Position at = named != nullptr
                                ? named->place()
                                : place_of_item(document, {"backends", backend.name, "servers"}, i);
        reader.error(
            at, fmt::format("{}: {} is {} itself, requests would go round in circles",
                            join_path(join_path("backends", backend.name), "servers"),
                            server.address.to_string(), join_path("listeners", listener.name)));
        break;
      }
    }
  }
}

void check_split(Reader& reader, const Entry& document, const Route& route,
                 const std::unordered_set<std::string>& known,
                 const std::vector<std::string>& names) {
  for (const WeightedBackend& share : route.split) {
    if (known.contains(share.backend)) continue;
    const Entry* entry = find(document, {"routes", route.name, "split", share.backend});
    const std::string hint = reader.wants_hint() ? nearest_word(share.backend, names) : "";
    reader.error(
        entry == nullptr ? Position{} : entry->at,
        fmt::format("{}: there is no backend {}",
                    join_path(join_path("routes", route.name), "split"), in_quotes(share.backend)),
        hint);
  }
}

// What is said of a route's backends beside their weights.
void check_share_states(Reader& reader, const Entry& document, const Route& route) {
  const Entry* states = find(document, {"routes", route.name, "states"});
  if (states == nullptr || states->value.type != Value::Type::table) return;
  std::vector<std::string> names;
  for (const WeightedBackend& share : route.split) names.push_back(share.backend);
  for (const Entry& entry : states->value.entries) {
    if (std::ranges::find(names, entry.key) != names.end()) continue;
    const std::string hint = reader.wants_hint() ? nearest_word(entry.key, names) : "";
    reader.error(
        entry.at,
        fmt::format("{}: there is no backend {} in the split",
                    join_path(join_path("routes", route.name), "states"), in_quotes(entry.key)),
        hint);
  }
  const bool some_active = std::ranges::any_of(route.split, [](const WeightedBackend& share) {
    return share.state == ShareState::active && !share.weight.is_zero();
  });
  if (some_active || route.split.empty()) return;
  reader.error(states->at, fmt::format("{} leaves no active backend with a weight above zero, so "
                                       "nobody would answer new requests",
                                       join_path(join_path("routes", route.name), "states")));
}

void check_fallback(Reader& reader, const Entry& document, const Route& route,
                    const std::vector<std::string>& names) {
  const std::string path = join_path("routes", route.name);
  const Entry* entry = find(document, {"routes", route.name, "fallback"});
  if (route.on_unhealthy == OnUnhealthy::fallback && entry == nullptr) {
    reader.error(place_of(document, {"routes", route.name, "on_unhealthy"}),
                 fmt::format("the key {}.fallback is missing: the backend that on_unhealthy = "
                             "\"fallback\" is about",
                             path));
  }
  if (entry == nullptr || route.fallback.empty()) return;
  if (route.on_unhealthy != OnUnhealthy::fallback) {
    reader.error(entry->at, fmt::format("{}.fallback is of no use without on_unhealthy = "
                                        "\"fallback\"; leave it out or say so",
                                        path));
  }
  if (std::ranges::find(names, route.fallback) != names.end()) return;
  reader.error(entry->at,
               fmt::format("{}.fallback: there is no backend {}", path, in_quotes(route.fallback)),
               reader.wants_hint() ? nearest_word(route.fallback, names) : "");
}

void check_sticky(Reader& reader, const Entry& document, const Route& route) {
  if (!route.sticky) return;
  const std::string path = join_path(join_path("routes", route.name), "sticky");
  if (route.sticky->cookie_same_site == "None" &&
      route.sticky->cookie_secure == SecureCookie::never) {
    reader.error(place_of(document, {"routes", route.name, "sticky", "cookie_same_site"}),
                 fmt::format("{}.cookie_same_site = \"None\" is not possible with cookie_secure = "
                             "\"never\": browsers drop such a cookie",
                             path));
  }
}

class ClaimedPaths {
 public:
  ClaimedPaths(Reader& reader, const Entry& document) : reader_(reader), document_(document) {}

  void claim(const Route& route) {
    if (route.hosts.empty()) claim(route, "", place_of(document_, {"routes", route.name, "path"}));
    const bool list = find(document_, {"routes", route.name, "hosts"}) != nullptr;
    for (std::size_t i = 0; i < route.hosts.size(); ++i) {
      claim(route, route.hosts[i],
            place_of_item(document_, {"routes", route.name, list ? "hosts" : "host"}, i));
    }
  }

 private:
  void claim(const Route& route, const std::string& host, Position at) {
    const auto [claimed, fresh] = owners_.try_emplace({host, route.path_prefix}, route.name);
    if (fresh) return;
    reader_.error(
        at, fmt::format("{} is for {}{}, which {} is for already; a request could go "
                        "either way",
                        join_path("routes", route.name), host.empty() ? "any host and " : host,
                        route.path_prefix, join_path("routes", claimed->second)));
  }

  Reader& reader_;
  const Entry& document_;
  std::map<std::pair<std::string, std::string>, std::string> owners_;
};

void check_routes(Reader& reader, const Entry& document, const Config& config) {
  std::vector<std::string> names;
  for (const Backend& backend : config.backends) names.push_back(backend.name);
  const std::unordered_set<std::string> known(names.begin(), names.end());
  ClaimedPaths claimed(reader, document);
  for (const Route& route : config.routes) {
    const Entry* host = find(document, {"routes", route.name, "host"});
    if (host != nullptr && find(document, {"routes", route.name, "hosts"}) != nullptr) {
      reader.error(host->at, fmt::format("{} has both host and hosts; keep one of them",
                                         join_path("routes", route.name)));
    }
    check_split(reader, document, route, known, names);
    check_share_states(reader, document, route);
    check_fallback(reader, document, route, names);
    check_sticky(reader, document, route);
    claimed.claim(route);
  }
}

// `table`: where `limits` stand at this level, `path`; null: it says nothing of its own.
void check_limits(Reader& reader, const Entry* table, const std::string& path,
                  const Limits& limits) {
  if (table == nullptr) return;
  const auto check = [&](std::string_view key, std::uint64_t part, std::string_view whole_key,
                         std::uint64_t whole) {
    const Entry* written = table->value.find(key);
    if (written == nullptr) written = table->value.find(whole_key);
    if (part <= whole || written == nullptr) return;
    reader.error(written->place(),
                 fmt::format("{} ({}) must not be larger than {} ({})", join_path(path, key), part,
                             join_path(path, whole_key), whole));
  };
  check("request_line_bytes", limits.request_line_bytes, "head_bytes", limits.head_bytes);
  check("field_line_bytes", limits.field_line_bytes, "head_bytes", limits.head_bytes);
  check("backend_idle_connections", limits.backend_idle_connections, "backend_connections",
        limits.backend_connections);
}

void check_all_limits(Reader& reader, const Entry& document, const Config& config) {
  check_limits(reader, find(document, {"limits"}), "limits", config.limits);
  for (const Listener& listener : config.listeners) {
    check_limits(reader, find(document, {"listeners", listener.name, "limits"}),
                 join_path(join_path("listeners", listener.name), "limits"), listener.limits);
  }
}

void check_backend_tls(Reader& reader, const Entry& document, const Backend& backend) {
  const BackendTls& tls = *backend.tls;
  const std::string path = join_path(join_path("backends", backend.name), "tls");
  const Entry* ca_file = find(document, {"backends", backend.name, "tls", "ca_file"});
  if (!tls.verify && ca_file != nullptr) {
    reader.error(
        ca_file->place(),
        fmt::format("{}.ca_file is of no use with verify = false; leave one of them out", path));
  }
  if (!tls.verify) return;
  const Position table = place_of(document, {"backends", backend.name, "tls"});
  if (ca_file == nullptr) {
    reader.error(table, fmt::format("the key {}.ca_file is missing: certificates, PEM, of those "
                                    "who may have signed the servers' own",
                                    path));
  }
  const bool named = find(document, {"backends", backend.name, "tls", "server_name"}) != nullptr;
  const auto on_unix_socket = [](const Server& server) {
    return server.address.family == Address::Family::unix_path;
  };
  const auto unnamed = std::ranges::find_if(backend.servers, on_unix_socket);
  if (named || unnamed == backend.servers.end()) return;
  reader.error(table, fmt::format("the key {}.server_name is missing: {} has no address that a "
                                  "certificate could be for",
                                  path, unnamed->address.to_string()));
}

void check_backends(Reader& reader, const Entry& document, const Config& config) {
  for (const Backend& backend : config.backends) {
    if (backend.tls) check_backend_tls(reader, document, backend);
    if (backend.protocol == HttpVersion::http1) continue;
    if (backend.send_proxy_protocol == ProxyProtocol::off) continue;
    reader.error(
        place_of(document, {"backends", backend.name, "send_proxy_protocol"}),
        fmt::format("{}.send_proxy_protocol is not possible with protocol = \"h2\": one connection "
                    "carries the requests of many clients, and a PROXY header could name only one",
                    join_path("backends", backend.name)));
  }
}

}  // namespace

void check_together(Reader& reader, const Entry& document, const Config& config) {
  check_all_limits(reader, document, config);
  check_listening_places(reader, listening_places(document, config));
  check_loops(reader, document, config);
  check_backends(reader, document, config);
  check_routes(reader, document, config);
  check_admin(reader, document, config);
  check_webhooks(reader, document, config);
}

}  // namespace sluice::conf
