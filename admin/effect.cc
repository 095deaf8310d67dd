#include "admin/effect.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

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

class Builder {
 public:
  explicit Builder(const View& view) : view_(view) {}

  void add_route(const routing::RouteChange& change) {
    const auto before = parts(change.before);
    const auto after = parts(change.after);
    const double rate = requests_per_second(view_, change.route);
    double moved = 0;
    for (const auto& [backend, part] : after) {
      const auto known = before.find(backend);
      const double was = known == before.end() ? 0 : known->second;
      moved += std::max(0.0, part - was);
      Effect::Backend& entry = entry_of(backend);
      entry.requests_per_second_now += was * rate;
      entry.requests_per_second_then += part * rate;
      if (part > was && entry.servers_up == 0) {
        warn(fmt::format("{} has no healthy server, and {} would send it {:.4g} % of its requests",
                         backend, change.route, 100 * part));
      }
    }
    effect_.routes.push_back({change.route, moved});
    if (change.after.maintenance) {
      warn(fmt::format("{} answers 503 to every request: it is in maintenance", change.route));
    }
    if (const auto lease = view_.state.lease_of(change.route); lease != 0) {
      warn(fmt::format("the lease of revision {} on {} would end: the new weights stay", lease,
                       change.route));
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
  Effect effect_;
};

}  // namespace

Effect effect_of(const View& view, const routing::Revision& revision) {
  Builder builder(view);
  for (const routing::RouteChange& change : revision.routes) builder.add_route(change);
  return builder.finish();
}

}  // namespace sluice::admin
