// GET /explain: which route, which backend and which servers a request would get, and why. Takes
// no ticket, counts nothing.
#pragma once

#include <string_view>

#include "admin/api.h"
#include "admin/view.h"

namespace sluice::admin {

// Routes that are listed with why they are not it.
inline constexpr std::size_t kExplainedRoutesMax = 64;

// `host=`, `path=` (with its query), `method=`, `header=NAME:VALUE` (any number of them),
// `client=IP`, `cookie=`, `format=`. Precondition: view.snapshot,
// view.normalize_target and view.read_wish.
Reply explain(const Request& request, std::string_view query, const View& view);

}  // namespace sluice::admin
