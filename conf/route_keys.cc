#include "conf/route_keys.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "conf/bound_keys.h"
#include "conf/kinds.h"

namespace sluice::conf {
namespace {

// Names of backends that are not in the split are left to checks.cc.
void set_states(Route& route, const std::vector<std::pair<std::string, ShareState>>& states) {
  for (const auto& [backend, state] : states) {
    const auto share = std::ranges::find(route.split, backend, &WeightedBackend::backend);
    if (share != route.split.end()) share->state = state;
  }
}

Section<Sticky> sticky_section() {
  return Section(Sticky{})
      .value("by", sticky_by(), &Sticky::by,
             "What binds a request: `\"cookie\"`, made and signed by Sluice, `\"header:NAME\"`, "
             "`\"client\"` (its address), or several of the latter joined by `+`; the first in the "
             "list that a request has counts")
      .optional(
          "cookie_name", cookie_name(),
          [](Sticky& sticky, std::string name) { sticky.cookie_name = std::move(name); },
          "Without it `sluice_` and the route's name")
      .value("cookie_max_age", duration_or_zero(), &Sticky::cookie_max_age,
             "How long a cookie is good after the last visit (it is renewed after half of that); "
             "`\"0s\"` is until the browser ends")
      .value("cookie_secure",
             word_for<SecureCookie>({{"auto", SecureCookie::automatic},
                                     {"always", SecureCookie::always},
                                     {"never", SecureCookie::never}}),
             &Sticky::cookie_secure,
             "Whether clients may send it over TLS only; `auto` is where they got it over TLS")
      .value("cookie_same_site", choice({"Lax", "Strict", "None"}), &Sticky::cookie_same_site,
             "Whether browsers send it with requests that other sites cause")
      .value("cookie_http_only", boolean(), &Sticky::cookie_http_only,
             "Keep it from the scripts of a page")
      .optional(
          "key_file", file_path(),
          [](Sticky& sticky, std::string path) { sticky.key_file = std::move(path); },
          "The keys that cookies are signed with, the current one first; without it `sticky.key` "
          "in runtime.state_directory, which is made if it is missing");
}

Section<Force> force_section() {
  return Section(Force{})
      .value("header", field_name(), &Force::header, "The field that names a backend")
      .value("cookie", cookie_name(), &Force::cookie, "The cookie that does; the field goes first")
      .required(
          "allow_from", block_list(),
          [](Force& force, std::vector<AddressBlock> blocks) {
            force.allow_from = std::move(blocks);
          },
          "Clients who may; of all others both are ignored");
}

}  // namespace

Section<Route> route_section() {
  return Section(Route{})
      .optional(
          "host", host_name(true),
          [](Route& route, std::string host) { route.hosts.push_back(std::move(host)); },
          "The host it is for, exact or `*.suffix`; without host and hosts any")
      .optional(
          "hosts", host_name_list(true),
          [](Route& route, std::vector<std::string> hosts) { route.hosts = std::move(hosts); },
          "The same for several hosts")
      .value("path", path_prefix(), &Route::path_prefix,
             "The path it is for, with all that is below it, segment by segment")
      .required(
          "split", split(),
          [](Route& route, std::vector<WeightedBackend> split) { route.split = std::move(split); },
          "The weight of each backend: not negative, any sum, at most six digits behind the point")
      // After `split`, whose backends it is about.
      .optional(
          "states", share_states(), set_states,
          "What each backend of the split is for: `\"active\"` for all requests, "
          "`\"sticky_only\"` for those that are bound to it already, `\"off\"` for none; those "
          "that are not named are active")
      .value("upgrades", upgrade_list(), &Route::upgrades,
             "Protocols that clients may switch to, with the server's consent; an empty list turns "
             "it off")
      .value("connect", boolean(), &Route::allow_connect,
             "Pass CONNECT on to the backend's server; otherwise it gets 405")
      .value("require_if_match", boolean(), &Route::require_if_match,
             "Refuse changes of its split that don't state its revision in If-Match")
      .table(
          "sticky", sticky_section(),
          [](Route& route, const Entry& entry) -> Sticky& {
            Sticky& sticky = route.sticky.emplace();
            sticky.line = entry.at.line;
            return sticky;
          },
          "Requests of one key go to one backend; without this table each goes where the split's "
          "order says")
      .table(
          "force", force_section(),
          [](Route& route, const Entry&) -> Force& { return route.force.emplace(); },
          "Testers may name the backend that serves them; without this table nobody may")
      .value("on_unhealthy",
             word_for<OnUnhealthy>({{"fail", OnUnhealthy::fail},
                                    {"redistribute", OnUnhealthy::redistribute},
                                    {"fallback", OnUnhealthy::fallback}}),
             &Route::on_unhealthy,
             "What becomes of a request whose backend has no server that takes work: a 503, "
             "another backend of the split by weight, or the backend that fallback names")
      .optional(
          "fallback", backend_name(),
          [](Route& route, std::string backend) { route.fallback = std::move(backend); },
          "The backend for on_unhealthy = \"fallback\", of the split or not")
      .table(
          "timeouts", timeouts_section(Level::route),
          [](Route& route, const Entry&) -> Timeouts& { return route.timeouts; },
          "How long this route's requests may take; what is not said here is as [timeouts] says")
      .table(
          "limits", limits_section(Level::route),
          [](Route& route, const Entry&) -> Limits& { return route.limits; },
          "What this route's requests may use; what is not said here is as [limits] says");
}

}  // namespace sluice::conf
