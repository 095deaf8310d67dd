// Effect: what a revision would do to the traffic, for `?dry_run=true`: which share of requests
// would go elsewhere, what each backend would have to take against what it takes now, and what an
// operator should know before. Pure; of the view as it is.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "admin/view.h"
#include "routing/revision.h"

namespace sluice::admin {

struct Effect {
  struct Route {
    std::string route;
    double moved_share = 0;  // of its requests, 0 to 1
  };
  struct Backend {
    std::string backend;
    std::size_t servers = 0;
    std::size_t servers_up = 0;  // that take new work
    std::uint64_t running = 0;
    // Over the last minute, and with the same requests by the new weights.
    double requests_per_second_now = 0;
    double requests_per_second_then = 0;
  };
  std::vector<Route> routes;
  std::vector<Backend> backends;  // of these routes' splits
  std::vector<std::string> warnings;
};

Effect effect_of(const View& view, const routing::Revision& revision);

}  // namespace sluice::admin
