#include "routing/picker.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::routing {
namespace {

bool gets_new_requests(const conf::WeightedBackend& share) {
  return share.state == conf::ShareState::active && !share.weight.is_zero();
}

// A bijection of 64 bits that leaves no pattern (the finaliser of SplitMix64). No secret is kept
// by it.
std::uint64_t scrambled(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::uint64_t hash_of(std::string_view text) {  // FNV-1a
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

bool is_off(const SnapshotRoute& route, const Choice& choice) {
  return route.split[choice.share].state == conf::ShareState::off;
}

// Where a request goes whose own backend can't serve it; nullopt: nowhere. Among the others of the
// split it is the one with the highest score of its own for this request, by weight (rendezvous
// hashing): always the same one, and when somebody leaves or returns nobody else's request moves.
std::optional<Choice> elsewhere(const Snapshot& snapshot, const SnapshotRoute& route, Choice choice,
                                std::uint64_t spread, const TriedServers& tried) {
  const bool off = is_off(route, choice);
  if (route.on_unhealthy == conf::OnUnhealthy::fallback && !off) {
    if (!any_may_serve(snapshot.backends[*route.fallback], tried)) return {};
    const auto inside = std::ranges::find(route.backends, *route.fallback);
    choice.share = inside == route.backends.end()
                       ? Choice::kNoShare
                       : static_cast<std::size_t>(inside - route.backends.begin());
    choice.backend = *route.fallback;
    choice.by = ChosenBy::fallback;
    return choice;
  }
  if (route.on_unhealthy != conf::OnUnhealthy::redistribute && !off) return {};
  std::optional<std::size_t> best;
  double best_score = 0;
  for (std::size_t i = 0; i < route.split.size(); ++i) {
    if (i == choice.share || !gets_new_requests(route.split[i])) continue;
    if (!any_may_serve(snapshot.backends[route.backends[i]], tried)) continue;
    const std::uint64_t hash = scrambled(scrambled(spread) ^ hash_of(route.split[i].backend));
    const double even = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;  // in (0, 1)
    const double score = route.split[i].weight.to_double() / -std::log(even);
    if (best && score <= best_score) continue;
    best = i;
    best_score = score;
  }
  if (!best) return {};
  choice.share = *best;
  choice.backend = route.backends[*best];
  choice.by = ChosenBy::redistributed;
  return choice;
}

// By force or by its key; nullopt: it has neither, and needs a ticket.
std::optional<Choice> bound_choice(const SnapshotRoute& route, const Wish& wish) {
  Choice choice;
  if (wish.forced) {
    choice.by = ChosenBy::forced;
    choice.share = *wish.forced;
  } else if (wish.key && route.keys) {
    choice.by = ChosenBy::sticky;
    choice.share = route.keys->share_of(*wish.key);
  } else {
    return {};
  }
  choice.backend = route.backends[choice.share];
  return choice;
}

}  // namespace

Forecast forecast(const Snapshot& snapshot, std::size_t route_index, const Wish& wish) {
  const SnapshotRoute& route = snapshot.routes[route_index];
  const Ticket ticket = route.runtime->tickets_taken();
  Forecast told;
  if (const auto bound = bound_choice(route, wish)) {
    told.own = *bound;
  } else {
    told.own.share = route.schedule.pick(ticket);
    told.own.backend = route.backends[told.own.share];
  }
  told.choice = told.own;
  told.served = !is_off(route, told.own) && any_may_serve(snapshot.backends[told.own.backend], {});
  if (told.served || told.own.by == ChosenBy::forced) return told;
  const std::uint64_t spread = told.own.by == ChosenBy::sticky ? *wish.key : ticket;
  if (const auto other = elsewhere(snapshot, route, told.own, spread, {})) {
    told.choice = *other;
    told.served = true;
  }
  return told;
}

void Picker::adopt(const Snapshot& snapshot) {
  const bool same =
      std::ranges::equal(backend_names_, snapshot.backends, {}, {}, &SnapshotBackend::name);
  if (!same) {
    std::unordered_map<std::string, ServerTurns> known;
    for (std::size_t i = 0; i < backend_names_.size(); ++i) {
      known.emplace(std::move(backend_names_[i]), std::move(turns_[i]));
    }
    backend_names_.clear();
    turns_.clear();
    for (const SnapshotBackend& backend : snapshot.backends) {
      const auto found = known.find(backend.name);
      // Each worker begins elsewhere, so that together they don't all begin with the first server.
      turns_.push_back(found != known.end() ? std::move(found->second) : ServerTurns(worker_));
      backend_names_.push_back(backend.name);
    }
  }
  for (std::size_t i = 0; i < turns_.size(); ++i) turns_[i].adopt(snapshot.backends[i]);
}

Choice Picker::pick(const Snapshot& snapshot, std::size_t route, const Wish& wish) {
  return choose(snapshot, snapshot.routes[route], wish, nullptr, {});
}

Choice Picker::pick_again(const Snapshot& snapshot, std::size_t route, std::string_view backend,
                          ChosenBy by, const TriedServers& tried, const Wish& wish) {
  const Before before{backend, by};
  return choose(snapshot, snapshot.routes[route], wish, &before, tried);
}

Choice Picker::choose(const Snapshot& snapshot, const SnapshotRoute& route, const Wish& wish,
                      const Before* before, const TriedServers& tried) {
  SLUICE_CHECK(turns_.size() == snapshot.backends.size());  // the snapshot has been adopted
  std::uint64_t spread = 0;
  bool ticket_taken = false;
  Choice choice = own_share(route, wish, before, spread, ticket_taken);
  const bool off = is_off(route, choice);
  if (!off) serve(snapshot, choice, tried, wish.now);
  const bool stranded = !choice.server && choice.by != ChosenBy::forced && !wish.same_backend_only;
  if (off || stranded) {
    if (const auto other = elsewhere(snapshot, route, choice, spread, tried)) {
      choice = *other;
      serve(snapshot, choice, tried, wish.now);
    }
  }
  if (choice.by == ChosenBy::ticket) {
    if (ticket_taken && !wish.same_backend_only) route.runtime->count(worker_, choice.share);
  } else if (before == nullptr || before->by != choice.by) {
    route.runtime->count_by(worker_, choice.by);
  }
  return choice;
}

Choice Picker::own_share(const SnapshotRoute& route, const Wish& wish, const Before* before,
                         std::uint64_t& spread, bool& ticket_taken) {
  if (const auto bound = bound_choice(route, wish)) {
    if (bound->by == ChosenBy::sticky) spread = *wish.key;
    return *bound;
  }
  Choice choice;
  const auto stays = [&](const conf::WeightedBackend& share) {
    return before != nullptr && share.backend == before->backend && gets_new_requests(share) &&
           (before->by == ChosenBy::ticket || before->by == ChosenBy::redistributed);
  };
  const auto kept = std::ranges::find_if(route.split, stays);
  if (kept != route.split.end()) {
    choice.share = static_cast<std::size_t>(kept - route.split.begin());
    choice.by = before->by;
    spread = hash_of(before->backend);
  } else {
    const Ticket ticket = route.runtime->take_ticket();
    choice.share = route.schedule.pick(ticket);
    spread = ticket;
    ticket_taken = true;
  }
  choice.backend = route.backends[choice.share];
  return choice;
}

void Picker::serve(const Snapshot& snapshot, Choice& choice, const TriedServers& tried,
                   TimePoint now) {
  choice.server = turns_[choice.backend].next(snapshot.backends[choice.backend], tried, now);
}

}  // namespace sluice::routing
