#include "routing/split_reader.h"

#include <algorithm>

#include "routing/wording.h"

namespace sluice::routing {

void SplitReader::read(const StatedSplit& stated) {
  for (const auto& [backend, text] : stated.weights) read_weight(backend, text);
  for (const auto& [backend, text] : stated.states) read_state(backend, text);
  if (stated.whole) find_missing(weight_stated_, "weight", "state every backend, with 0 for none");
  if (stated.whole_states) {
    find_missing(state_stated_, "state", "state active, sticky_only or off for every backend");
  }
  const bool nothing = stated.weights.empty() && stated.states.empty();
  if (nothing && !stated.whole && !stated.whole_states) {
    add("no weight is stated: state at least one, like " + example());
  }
  // Only a split that is otherwise right is worth judging as a whole.
  if (problems_.empty()) {
    if (const auto misfit = why_unfit(split_)) add(*misfit);
  }
}

std::expected<Split, PlanError> SplitReader::result(std::string_view route) const {
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
      PlanError{unknown_ ? PlanError::Kind::unknown_backend : PlanError::Kind::bad_split, message});
}

std::string SplitReader::example() const {
  return in_quotes(split_.empty() ? "blue" : split_[0].backend) + " 90";
}

std::optional<std::size_t> SplitReader::index_of(const std::string& backend,
                                                 std::vector<bool>& stated) {
  const auto share = std::ranges::find(split_, backend, &conf::WeightedBackend::backend);
  if (share == split_.end()) {
    unknown_ = true;
    add("backend " + in_quotes(backend) + " is not in its split, " +
        suggestion(backend, backend_names(split_)));
    return {};
  }
  const auto index = static_cast<std::size_t>(share - split_.begin());
  if (stated[index]) {
    add("backend " + in_quotes(backend) + " is stated more than once");
    return {};
  }
  stated[index] = true;
  return index;
}

void SplitReader::read_weight(const std::string& backend, const std::string& text) {
  const auto index = index_of(backend, weight_stated_);
  if (!index) return;
  const std::optional<Decimal> weight = Decimal::parse(text);
  if (!weight) {
    add("weight " + in_quotes(text) + " of backend " + in_quotes(backend) +
        " is not a plain number like 90 or 0.5, up to " + std::to_string(Decimal::kIntegerMax) +
        " with at most " + std::to_string(Decimal::kScaleMax) + " digits behind the point");
    return;
  }
  split_[*index].weight = *weight;
}

void SplitReader::read_state(const std::string& backend, const std::string& text) {
  const auto index = index_of(backend, state_stated_);
  if (!index) return;
  const std::optional<conf::ShareState> state = parse_share_state(text);
  if (!state) {
    add("state " + in_quotes(text) + " of backend " + in_quotes(backend) +
        " is none of active, sticky_only and off");
    return;
  }
  split_[*index].state = *state;
}

void SplitReader::find_missing(const std::vector<bool>& stated, const char* what,
                               const char* remedy) {
  std::vector<std::string_view> missing;
  for (std::size_t i = 0; i < split_.size(); ++i) {
    if (!stated[i]) missing.push_back(split_[i].backend);
  }
  if (missing.empty()) return;
  add(std::string("no ") + what + " is stated for backend " + listed(missing) + ": " + remedy);
}

}  // namespace sluice::routing
