#include "routing/state.h"

#include <algorithm>

#include "proxy/base/check.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

PlanError error(PlanError::Kind kind, std::string message) {
  return {kind, std::move(message)};
}

std::vector<std::string_view> route_names(
    const std::map<std::string, RouteState, std::less<>>& routes) {
  std::vector<std::string_view> names;
  for (const auto& [name, route] : routes) names.push_back(name);
  return names;
}

std::unexpected<PlanError> unknown_route(
    std::string_view name, const std::map<std::string, RouteState, std::less<>>& routes) {
  return std::unexpected(
      error(PlanError::Kind::unknown_route,
            "no route is named " + in_quotes(name) + ": " + suggestion(name, route_names(routes))));
}

PlanError stale(std::string_view name, RevisionNumber stated, RevisionNumber actual) {
  return error(PlanError::Kind::stale,
               "route " + in_quotes(name) + " is at revision " + std::to_string(actual) + ", not " +
                   std::to_string(stated) + ": look at it again and state that revision");
}

const conf::Server* find_server(const conf::Backend& backend, std::string_view name) {
  const auto by_name = std::ranges::find(backend.servers, name, &conf::Server::name);
  if (by_name != backend.servers.end()) return &*by_name;
  const std::optional<Address> address = Address::parse(name);
  if (!address) return nullptr;
  const auto by_address = std::ranges::find(backend.servers, *address, &conf::Server::address);
  return by_address != backend.servers.end() ? &*by_address : nullptr;
}

// Reads one request for new weights against the split it is to change, and collects everything
// that is wrong with it.
class SplitReader {
 public:
  explicit SplitReader(const Split& before) : split_(before), stated_(before.size(), false) {}

  void read(const SplitRequest& request) {
    for (const auto& [backend, text] : request.weights) read_weight(backend, text);
    if (request.whole) {
      find_missing();
    } else if (request.weights.empty()) {
      add("no weight is stated: state at least one, like " + example());
    }
    // Only a split that is otherwise right is worth judging as a whole.
    if (problems_.empty()) {
      if (const auto misfit = why_unfit(split_)) add(*misfit);
    }
  }

  std::expected<Split, PlanError> result(std::string_view route) const {
    if (problems_.empty()) return split_;
    std::string message = "the weights for route " + in_quotes(route) + " are refused: ";
    const std::size_t shown = std::min(problems_.size(), kProblemsMax);
    for (std::size_t i = 0; i < shown; ++i) {
      if (i > 0) message += "; ";
      message += problems_[i];
    }
    if (problems_.size() > shown) {
      message += "; and " + std::to_string(problems_.size() - shown) + " more";
    }
    return std::unexpected(
        error(unknown_ ? PlanError::Kind::unknown_backend : PlanError::Kind::bad_split, message));
  }

 private:
  static constexpr std::size_t kProblemsMax = 8;

  void add(std::string problem) { problems_.push_back(std::move(problem)); }

  std::string example() const {
    return in_quotes(split_.empty() ? "blue" : split_[0].backend) + " 90";
  }

  void read_weight(const std::string& backend, const std::string& text) {
    const auto share = std::ranges::find(split_, backend, &conf::WeightedBackend::backend);
    if (share == split_.end()) {
      unknown_ = true;
      add("backend " + in_quotes(backend) + " is not in its split, " +
          suggestion(backend, backend_names(split_)));
      return;
    }
    const auto index = static_cast<std::size_t>(share - split_.begin());
    if (stated_[index]) {
      add("backend " + in_quotes(backend) + " is stated more than once");
      return;
    }
    stated_[index] = true;
    const std::optional<Decimal> weight = Decimal::parse(text);
    if (!weight) {
      add("weight " + in_quotes(text) + " of backend " + in_quotes(backend) +
          " is not a plain number like 90 or 0.5, up to " + std::to_string(Decimal::kIntegerMax) +
          " with at most " + std::to_string(Decimal::kScaleMax) + " digits behind the point");
      return;
    }
    share->weight = *weight;
  }

  void find_missing() {
    std::vector<std::string_view> missing;
    for (std::size_t i = 0; i < split_.size(); ++i) {
      if (!stated_[i]) missing.push_back(split_[i].backend);
    }
    if (missing.empty()) return;
    add("no weight is stated for backend " + listed(missing) +
        ": state every backend, with 0 for none");
  }

  Split split_;
  std::vector<bool> stated_;
  std::vector<std::string> problems_;
  bool unknown_ = false;
};

}  // namespace

std::optional<std::string> why_unfit(const Split& split) {
  std::vector<Decimal> weights;
  std::size_t non_zero = 0;
  for (const conf::WeightedBackend& share : split) {
    weights.push_back(share.weight);
    if (!share.weight.is_zero()) ++non_zero;
  }
  if (non_zero == 0) return "its weights are all zero: at least one must be more";
  if (split.size() > Schedule::kSharesMax) {
    return "it has " + std::to_string(split.size()) + " backends: at most " +
           std::to_string(Schedule::kSharesMax) + " are possible";
  }
  const std::vector<std::uint64_t> units = to_common_units(weights);
  if (Schedule::fits(units)) return {};
  std::uint64_t period = 0;
  for (std::uint64_t unit : units) period += unit;
  return "the exact order of these " + std::to_string(non_zero) + " weights repeats only after " +
         std::to_string(period) + " requests, and with more than " +
         std::to_string(Schedule::kStatelessSharesMax) + " backends above zero it must within " +
         std::to_string(Schedule::kTablePeriodMax) +
         ": use weights with fewer digits, or whole numbers that sum to at most that";
}

const RouteState* State::route(std::string_view name) const {
  const auto found = routes_.find(name);
  return found == routes_.end() ? nullptr : &found->second;
}

bool State::is_draining(const ServerKey& server) const {
  const auto found = drains_.find(server);
  return found != drains_.end() && found->second.first;
}

RevisionNumber State::drain_revision(const ServerKey& server) const {
  const auto found = drains_.find(server);
  return found == drains_.end() ? 0 : found->second.second;
}

Revision State::next(RevisionKind kind, Origin origin, WallTime now) const {
  Revision revision;
  revision.number = revision_ + 1;
  revision.parent = revision_;
  revision.kind = kind;
  revision.time = now;
  revision.origin = std::move(origin);
  return revision;
}

std::expected<Revision, PlanError> State::plan_shift(const SplitRequest& request, Origin origin,
                                                     WallTime now) const {
  const RouteState* current = route(request.route);
  if (current == nullptr) return unknown_route(request.route, routes_);
  if (request.if_match && *request.if_match != current->revision) {
    return std::unexpected(stale(request.route, *request.if_match, current->revision));
  }
  SplitReader reader(current->weights);
  reader.read(request);
  std::expected<Split, PlanError> after = reader.result(request.route);
  if (!after) return std::unexpected(after.error());
  Revision revision = next(RevisionKind::shift, std::move(origin), now);
  revision.weights.push_back({request.route, current->weights, std::move(*after), {}});
  return revision;
}

std::expected<Revision, PlanError> State::plan_switch(std::string_view name, std::string_view to,
                                                      std::optional<RevisionNumber> if_match,
                                                      Origin origin, WallTime now) const {
  const RouteState* current = route(name);
  if (current == nullptr) return unknown_route(name, routes_);
  if (if_match && *if_match != current->revision) {
    return std::unexpected(stale(name, *if_match, current->revision));
  }
  Split after = current->weights;
  bool found = false;
  for (conf::WeightedBackend& share : after) {
    const bool chosen = share.backend == to;
    share.weight = chosen ? Decimal{100, 0} : Decimal{};
    found = found || chosen;
  }
  if (!found) {
    return std::unexpected(
        error(PlanError::Kind::unknown_backend,
              "route " + in_quotes(name) + " can't switch to backend " + in_quotes(to) +
                  ", which is not in its split: " + suggestion(to, backend_names(after))));
  }
  Revision revision = next(RevisionKind::switch_to, std::move(origin), now);
  revision.weights.push_back({std::string(name), current->weights, std::move(after), {}});
  return revision;
}

std::expected<Revision, PlanError> State::plan_drain(const conf::Config& config,
                                                     const ServerKey& server, bool draining,
                                                     Origin origin, WallTime now) const {
  const auto backend = std::ranges::find(config.backends, server.backend, &conf::Backend::name);
  if (backend == config.backends.end()) {
    std::vector<std::string_view> names;
    for (const conf::Backend& known : config.backends) names.push_back(known.name);
    return std::unexpected(
        error(PlanError::Kind::unknown_backend, "no backend is named " + in_quotes(server.backend) +
                                                    ": " + suggestion(server.backend, names)));
  }
  const conf::Server* found = find_server(*backend, server.server);
  if (found == nullptr) {
    std::vector<std::string_view> names;
    for (const conf::Server& known : backend->servers) names.push_back(known.name);
    return std::unexpected(
        error(PlanError::Kind::unknown_server, "backend " + in_quotes(server.backend) +
                                                   " has no server " + in_quotes(server.server) +
                                                   ": " + suggestion(server.server, names)));
  }
  const ServerKey key{backend->name, found->name};
  Revision revision =
      next(draining ? RevisionKind::drain : RevisionKind::resume, std::move(origin), now);
  revision.drains.push_back({key, is_draining(key), draining});
  return revision;
}

void State::apply(const Revision& revision) {
  SLUICE_CHECK(revision.number > revision_);
  revision_ = revision.number;
  for (const WeightChange& change : revision.weights) {
    if (change.after.empty()) {
      routes_.erase(change.route);
      continue;
    }
    RouteState& route = routes_[change.route];
    // A reload that only takes the file's text over leaves the route's ETag alone.
    const bool moved = revision.kind != RevisionKind::reload ||
                       !std::ranges::is_permutation(change.before, change.after);
    if (moved) route.revision = revision.number;
    route.weights = change.after;
    if (!change.file.empty()) route.file_split = change.file;
  }
  for (const DrainChange& change : revision.drains) {
    if (revision.kind == RevisionKind::reload) {
      drains_.erase(change.server);
    } else if (change.before != change.after || !drains_.contains(change.server)) {
      drains_[change.server] = {change.after, revision.number};
    }
  }
}

}  // namespace sluice::routing
