#include "admin/effect.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "admin/parts.h"

namespace sluice::admin {
namespace {

// Fewer of a backend's servers than this part of them is worth a warning.
constexpr double kServersUpMin = 0.5;

// Each backend's part of the requests that are given out by weight.
std::map<std::string, double> parts(const routing::RouteSetting& setting) {
  std::map<std::string, double> parts;
  double sum = 0;
  for (const conf::WeightedBackend& share : setting.split) {
    const double weight = share.state == conf::ShareState::active ? share.weight.to_double() : 0;
    parts[share.backend] = weight;
    sum += weight;
  }
  for (auto& [backend, part] : parts) part = sum > 0 ? part / sum : 0;
  return parts;
}

double requests_per_second(const View& view, std::string_view route) {
  const auto found = view.observed.find(route);
  if (found == view.observed.end()) return 0;
  const routing::ObservedWindow& window = found->second.last_minute;
  const double seconds = std::chrono::duration<double>(window.span).count();
  return seconds > 0 ? static_cast<double>(window.requests) / seconds : 0;
}

bool is_off(const routing::Split& split, std::string_view backend) {
  const auto share = std::ranges::find(split, backend, &conf::WeightedBackend::backend);
  return share != split.end() && share->state == conf::ShareState::off;
}

// The part of a sticky route's keys that other servers would serve: those that change hands, and
// those whose backend is turned off or on again. nullopt: it is not sticky.
std::optional<double> moved_keys(const routing::RouteChange& change) {
  const routing::Partition& before = change.before.partition;
  const routing::Partition& after = change.after.partition;
  if (before.empty() || after.empty()) return {};
  std::uint64_t points = after.moved_from(before);
  for (const std::string& backend : before.backends()) {
    if (is_off(change.before.split, backend) == is_off(change.after.split, backend)) continue;
    points += std::min(before.points_of(backend), after.points_of(backend));
  }
  return static_cast<double>(points) / static_cast<double>(routing::Partition::kPoints);
}

class Builder {
 public:
  Builder(const View& view, const routing::Revision& revision) : view_(view), revision_(revision) {}

  void add_route(const routing::RouteChange& change) {
    const auto before = parts(change.before);
    const auto after = parts(change.after);
    const double rate = requests_per_second(view_, change.route);
    double moved = 0;  // by weight
    for (const auto& [backend, part] : after) {
      const auto known = before.find(backend);
      const double was = known == before.end() ? 0 : known->second;
      moved += std::max(0.0, part - was);
      Effect::Backend& entry = entry_of(backend);
      entry.requests_per_second_now += was * rate;
      entry.requests_per_second_then += part * rate;
      const bool reopens = !routing::sends_to(change.before, backend) &&
                           routing::sends_to(change.after, backend) && part > 0;
      if ((part > was || reopens) && !change.after.maintenance && entry.servers_up == 0) {
        warn(fmt::format("{} has no healthy server, and {} would send it {:.4g} % of its requests",
                         backend, change.route, 100 * part));
      }
    }
    effect_.routes.push_back({change.route, moved_keys(change).value_or(moved)});
    if (change.after.maintenance) {
      warn(fmt::format("{} answers 503 to every request: it is in maintenance", change.route));
    }
    if (const auto lease = view_.state.lease_of(change.route); lease != 0) {
      warn(revision_.lease
               ? fmt::format("{} is under the lease of revision {} already: should the new one "
                             "lapse, both are taken back",
                             change.route, lease)
               : fmt::format("the lease of revision {} on {} would end: what is stated stays",
                             lease, change.route));
    }
  }

  // Whether it could still serve when its servers are as the revision has them.
  void add_backend(const std::string& backend) {
    std::size_t up = 0;
    std::size_t lost = 0;
    for (const ServerView& server : view_.servers) {
      if (server.key.backend != backend || !takes_new_work(server)) continue;
      ++up;
      lost += routing::takes_away(revision_, server.key) ? 1 : 0;
    }
    if (lost == 0 || lost < up) return;
    for (const auto& [name, route] : view_.state.routes()) {
      const auto shares = parts(route.setting);
      const auto share = shares.find(backend);
      if (share == shares.end() || !routing::sends_to(route.setting, backend)) continue;
      warn(fmt::format(
          "{} would have no server that takes requests, and {} sends it {}", backend, name,
          share->second == 0 ? "those that belong to it"
                             : fmt::format("{:.4g} % of its requests", 100 * share->second)));
    }
  }

  Effect finish() {
    for (const Effect::Backend& backend : effect_.backends) {
      const bool grows = backend.requests_per_second_then > backend.requests_per_second_now;
      const double up = backend.servers == 0 ? 0
                                             : static_cast<double>(backend.servers_up) /
                                                   static_cast<double>(backend.servers);
      if (backend.servers_up > 0 && grows && up < kServersUpMin) {
        warn(fmt::format("only {} of {} servers of {} take requests", backend.servers_up,
                         backend.servers, backend.backend));
      }
    }
    return std::move(effect_);
  }

 private:
  void warn(std::string sentence) { effect_.warnings.push_back(std::move(sentence)); }

  Effect::Backend& entry_of(const std::string& name) {
    const auto found = std::ranges::find(effect_.backends, name, &Effect::Backend::backend);
    if (found != effect_.backends.end()) return *found;
    Effect::Backend entry{.backend = name};
    for (const ServerView& server : view_.servers) {
      if (server.key.backend != name) continue;
      ++entry.servers;
      entry.servers_up += takes_new_work(server) ? 1 : 0;
      entry.running += server.running;
    }
    return effect_.backends.emplace_back(std::move(entry));
  }

  const View& view_;
  const routing::Revision& revision_;
  Effect effect_;
};

}  // namespace

Effect effect_of(const View& view, const routing::Revision& revision) {
  Builder builder(view, revision);
  for (const routing::RouteChange& change : revision.routes) builder.add_route(change);
  for (const conf::Backend& backend : view.config.backends) builder.add_backend(backend.name);
  return builder.finish();
}

}  // namespace sluice::admin
