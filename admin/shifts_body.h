// The body of `POST /shifts`: what it states of several routes.
//
//   {"routes": {"app": {"weights": {"blue": 90, "green": 10}, "states": {"blue": "off"},
//                       "if_match": 41},
//               "api": {"to": "green"}},
//    "author": "ci", "ttl": "60s"}
//
// or a form, `app/blue=90&app/green=10&api/blue=1&author=ci`, which states weights only.
#pragma once

#include <expected>
#include <span>
#include <string_view>
#include <vector>

#include "admin/form.h"
#include "routing/state.h"

namespace sluice::admin {

// Routes of one call.
inline constexpr std::size_t kShiftRoutesMax = 256;

struct StatedShifts {
  std::vector<routing::RouteWish> routes;
  Parameters parameters;
};
// `names`: what may be said beside the routes, there or in the query. The error is 400, 413, 415
// or 422.
std::expected<StatedShifts, Reply> read_shifts(const Request& request, std::string_view query,
                                               std::span<const std::string_view> names);

}  // namespace sluice::admin
