// What tests ask of a Reply.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "admin/api.h"

namespace sluice::admin::testing {

std::string field(const Reply& reply, std::string_view name);
// The body as JSON; a test failure where it is none.
nlohmann::json json_of(const Reply& reply);
// "404 unknown_route", or "200" for what is no problem.
std::string outcome(const Reply& reply);

}  // namespace sluice::admin::testing
