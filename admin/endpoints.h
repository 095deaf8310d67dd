// What the admin API has, in one table: api.cc routes by it, `GET /` prints it, and a test holds
// docs/admin-api.md to it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "conf/config.h"

namespace sluice::admin {

struct Endpoint {
  std::string_view pattern;  // below /v1 or without it; {NAME} is one path segment
  std::string_view allow;    // as the Allow field says it
  std::string_view summary;
  std::string_view example;  // what follows `curl`
  // What GET and HEAD need, and what all else needs. What a call touches or needs beyond its
  // path is looked at once it is read (refuse_command() in api.cc).
  conf::Role read_role = conf::Role::viewer;
  conf::Role write_role = conf::Role::admin;
};

inline constexpr std::size_t kEndpointCount = 28;
std::span<const Endpoint> endpoints();

}  // namespace sluice::admin
