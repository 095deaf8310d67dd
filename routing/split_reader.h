// SplitReader: reads what a caller states of a split against the split that it is to change, and
// collects everything that is wrong with it. Made for one call.
#pragma once

#include <string>
#include <vector>

#include "routing/state.h"

namespace sluice::routing {

class SplitReader {
 public:
  explicit SplitReader(const Split& before)
      : split_(before), weight_stated_(before.size(), false), state_stated_(before.size(), false) {}

  void read(const StatedSplit& stated);
  // The error names the route and, up to a bound, all that is wrong.
  std::expected<Split, PlanError> result(std::string_view route) const;

 private:
  static constexpr std::size_t kProblemsMax = 8;

  void add(std::string problem) { problems_.push_back(std::move(problem)); }
  std::string example() const;
  // Its index, or nullopt where it is unknown or stated before.
  std::optional<std::size_t> index_of(const std::string& backend, std::vector<bool>& stated);
  void read_weight(const std::string& backend, const std::string& text);
  void read_state(const std::string& backend, const std::string& text);
  void find_missing(const std::vector<bool>& stated, const char* what, const char* remedy);

  Split split_;
  std::vector<bool> weight_stated_;
  std::vector<bool> state_stated_;
  std::vector<std::string> problems_;
  bool unknown_ = false;
};

}  // namespace sluice::routing
