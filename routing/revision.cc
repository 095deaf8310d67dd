#include "routing/revision.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::routing {
namespace {

constexpr std::array<std::pair<conf::ShareState, std::string_view>, 3> kShareStates = {
    {{conf::ShareState::active, "active"},
     {conf::ShareState::sticky_only, "sticky_only"},
     {conf::ShareState::off, "off"}}};

constexpr std::array<std::pair<Lease::OnLapse, std::string_view>, 2> kOnLapse = {
    {{Lease::OnLapse::revert, "revert"}, {Lease::OnLapse::freeze, "freeze"}}};

template <typename Value, std::size_t kCount>
std::string_view word_of(const std::array<std::pair<Value, std::string_view>, kCount>& words,
                         Value value) {
  for (const auto& [known, word] : words) {
    if (known == value) return word;
  }
  SLUICE_CHECK(false && "a value without a word");
}

template <typename Value, std::size_t kCount>
std::optional<Value> value_of(const std::array<std::pair<Value, std::string_view>, kCount>& words,
                              std::string_view text) {
  for (const auto& [value, word] : words) {
    if (word == text) return value;
  }
  return {};
}

}  // namespace

std::string_view to_string(RevisionKind kind) {
  switch (kind) {
    case RevisionKind::shift:
      return "shift";
    case RevisionKind::switch_to:
      return "switch";
    case RevisionKind::rollback:
      return "rollback";
    case RevisionKind::maintenance:
      return "maintenance";
    case RevisionKind::drain:
      return "drain";
    case RevisionKind::resume:
      return "resume";
    case RevisionKind::add_server:
      return "add_server";
    case RevisionKind::remove_server:
      return "remove_server";
    case RevisionKind::weigh_server:
      return "weigh_server";
    case RevisionKind::reload:
      return "reload";
    case RevisionKind::renew_lease:
      return "renew_lease";
    case RevisionKind::confirm_lease:
      return "confirm_lease";
    case RevisionKind::lapse_lease:
      return "lapse_lease";
  }
  SLUICE_CHECK(false && "a revision of no kind");
}

std::string_view to_string(conf::ShareState state) {
  return word_of(kShareStates, state);
}

std::optional<conf::ShareState> parse_share_state(std::string_view text) {
  return value_of(kShareStates, text);
}

std::string_view to_string(Lease::OnLapse on_lapse) {
  return word_of(kOnLapse, on_lapse);
}

std::optional<Lease::OnLapse> parse_on_lapse(std::string_view text) {
  return value_of(kOnLapse, text);
}

void settle_partition(RouteSetting& setting, const Partition& before, bool sticky) {
  if (!sticky) {
    setting.partition = {};
    return;
  }
  const Partition& from = setting.partition.empty() ? before : setting.partition;
  setting.partition = from.rebalance(setting.split);
}

bool takes_away(const Revision& revision, const ServerKey& server) {
  const bool drained = std::ranges::any_of(revision.drains, [&](const DrainChange& change) {
    return change.server == server && change.after && !change.before;
  });
  return drained || std::ranges::any_of(revision.members, [&](const MembershipChange& change) {
           const Membership& after = change.after;
           const bool gone = !after.added && (after.removed || change.before.added);
           return change.server == server && (gone || (after.weight && after.weight->is_zero()));
         });
}

bool sends_to(const RouteSetting& setting, std::string_view backend) {
  const auto share = std::ranges::find(setting.split, backend, &conf::WeightedBackend::backend);
  return !setting.maintenance && share != setting.split.end() && !share->weight.is_zero() &&
         share->state != conf::ShareState::off;
}

bool only_remembers(const Revision& revision) {
  return revision.result == kUnchanged;
}

bool is_about_lease(const Revision& revision) {
  return revision.kind == RevisionKind::renew_lease ||
         revision.kind == RevisionKind::confirm_lease || revision.kind == RevisionKind::lapse_lease;
}

bool changes_nothing(const Revision& revision) {
  const auto same = [](const auto& change) { return change.before == change.after; };
  return !is_about_lease(revision) && !revision.lease &&
         std::ranges::all_of(revision.routes, same) && std::ranges::all_of(revision.drains, same) &&
         std::ranges::all_of(revision.members, same);
}

}  // namespace sluice::routing
