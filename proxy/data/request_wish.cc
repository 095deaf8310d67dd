#include "proxy/data/request_wish.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "routing/wording.h"
#include "tls/digest.h"

namespace sluice::proxy {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The client's address without port: the connection's, or what a trusted proxy says last. Empty:
// not known.
std::string_view address_of(const http::RequestHead& head, const ClientInfo& client) {
  if (!client.trusted) return client.peer_ip;
  std::string_view last = client.peer_ip;
  for (const http::Field field : head.fields) {
    if (field.id != http::FieldId::x_forwarded_for) continue;
    http::for_each_list_element(field.value, [&](std::string_view element) { last = element; });
  }
  return last;
}

bool may_force(const conf::Force& force, const http::RequestHead& head, const ClientInfo& client) {
  const std::string_view text = address_of(head, client);
  Address address = client.peer;
  if (text != client.peer_ip) {
    const auto told = AddressBlock::parse(text);
    if (!told) return false;
    address = told->base;
  }
  return std::ranges::any_of(force.allow_from,
                             [&](const AddressBlock& block) { return block.contains(address); });
}

std::optional<std::size_t> share_named(const routing::SnapshotRoute& route, std::string_view name) {
  const auto share = std::ranges::find(route.split, name, &conf::WeightedBackend::backend);
  if (share == route.split.end() || share->state == conf::ShareState::off) return {};
  return static_cast<std::size_t>(share - route.split.begin());
}

void read_force(const conf::Force& force, const routing::SnapshotRoute& route,
                const http::RequestHead& head, const ClientInfo& client, RequestWish& asked) {
  const auto field = head.fields.find(force.header);
  const auto cookie = field ? std::nullopt : find_cookie(head.fields, force.cookie);
  if ((!field && !cookie) || !may_force(force, head, client)) return;
  asked.wish.forced = share_named(route, field ? *field : *cookie);
  if (!field || asked.wish.forced) return;
  std::vector<std::string_view> names;
  for (const conf::WeightedBackend& share : route.split) {
    if (share.state != conf::ShareState::off) names.push_back(share.backend);
  }
  asked.refusal =
      fmt::format("{} names {}, which this route does not have or has turned off: {}", force.header,
                  routing::in_quotes(*field), routing::suggestion(*field, names));
}

void read_cookie(const conf::Route& config, const http::RequestHead& head, const StickyKeys* keys,
                 WallTime now, RequestWish& asked) {
  if (keys == nullptr) return;
  const conf::Sticky& sticky = *config.sticky;
  const std::string name =
      sticky.cookie_name.empty() ? "sluice_" + config.name : sticky.cookie_name;
  const auto cookie = find_cookie(head.fields, name);
  if (cookie) {
    const auto opened = keys->open(config.name, *cookie);
    const Duration max_age = sticky.cookie_max_age;
    const bool ages = max_age > Duration::zero();
    // A clock that was ahead is no reason to lose a client.
    const Duration age = opened ? std::max(now - opened->issued, Duration::zero()) : Duration();
    if (opened && (!ages || age <= max_age)) {
      asked.wish.key = opened->key;
      asked.renew_cookie = !opened->by_current || (ages && age > max_age / 2);
      return;
    }
    asked.cookie_refused = true;
  }
  asked.wants_cookie = true;
}

// The parts together; nullopt: the request lacks one.
std::optional<std::string> joined(const conf::StickyWay& parts, const http::RequestHead& head,
                                  const ClientInfo& client) {
  std::string text;
  for (const conf::StickyPart& part : parts) {
    std::string_view value;
    if (part.kind == conf::StickyPart::Kind::client) {
      value = address_of(head, client);
    } else if (const auto field = head.fields.find(part.header)) {
      value = *field;
    }
    if (value.empty()) return {};
    if (&part != &parts.front()) text += '\0';
    text += value;
  }
  return text;
}

}  // namespace

std::optional<std::string_view> find_cookie(const http::Fields& fields, std::string_view name) {
  if (name.empty() || !fields.has(http::FieldId::cookie)) return {};
  for (const http::Field field : fields) {
    if (field.id != http::FieldId::cookie) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos || trimmed(pair.substr(0, equals)) != name) continue;
      std::string_view value = trimmed(pair.substr(equals + 1));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
      }
      return value;
    }
  }
  return {};
}

routing::StickyKey key_of(std::string_view text) {
  const tls::Sha256 digest = tls::sha256(text);
  routing::StickyKey key = 0;
  for (std::size_t i = 0; i < 4; ++i) key = key << 8 | digest[i];
  return key;
}

RequestWish read_wish(const conf::Route& config, const routing::SnapshotRoute& route,
                      const http::RequestHead& head, const ClientInfo& client,
                      const StickyKeys* keys, WallTime now) {
  RequestWish asked;
  if (config.force) read_force(*config.force, route, head, client, asked);
  if (!config.sticky || !route.keys || asked.wish.forced || asked.refusal) return asked;
  for (const auto& way : config.sticky->by) {
    if (way.front().kind == conf::StickyPart::Kind::cookie) {
      read_cookie(config, head, keys, now, asked);
    } else if (const auto text = joined(way, head, client)) {
      asked.wish.key = key_of(*text);
    }
    if (asked.wish.key) {
      asked.bound_by = &way;
      break;
    }
  }
  if (asked.wish.key) asked.wants_cookie = false;
  return asked;
}

std::string set_cookie(const conf::Route& config, std::string_view value, bool tls) {
  const conf::Sticky& sticky = *config.sticky;
  std::string text = sticky.cookie_name.empty() ? "sluice_" + config.name : sticky.cookie_name;
  text += fmt::format("={}; Path={}", value, config.path_prefix);
  if (sticky.cookie_max_age > Duration::zero()) {
    const auto age = std::chrono::ceil<std::chrono::seconds>(sticky.cookie_max_age);
    text += fmt::format("; Max-Age={}", age.count());
  }
  const bool secure = sticky.cookie_secure == conf::SecureCookie::always ||
                      (sticky.cookie_secure == conf::SecureCookie::automatic && tls);
  // Browsers take no other one for the requests of other sites.
  if (secure || sticky.cookie_same_site == "None") text += "; Secure";
  if (sticky.cookie_http_only) text += "; HttpOnly";
  return text + "; SameSite=" + sticky.cookie_same_site;
}

}  // namespace sluice::proxy
