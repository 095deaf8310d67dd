// What `sluice status` makes of the admin API's answers. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "proxy/base/clock.h"
#include "proxy/cli/show.h"

namespace sluice::cli {

// Objects as the API has them; empty ones where this Sluice doesn't know the call, or the caller
// may not make it.
struct StatusAnswers {
  Json index = Json::object();      // GET /
  Json weights = Json::object();    // GET /weights
  Json backends = Json::object();   // GET /backends
  Json leases = Json::object();     // GET /leases
  Json history = Json::object();    // GET /history?limit=…
  Json conflicts = Json::object();  // GET /conflicts
  Json webhooks = Json::object();   // GET /webhooks
};

struct Status {
  std::vector<std::string> wrong;  // sentences; empty: it is well
};

Status judge_status(const StatusAnswers& answers);
std::string status_text(const StatusAnswers& answers, const Status& status, WallTime now);
// One document: `healthy`, `wrong`, and every answer as it came.
std::string status_json(const StatusAnswers& answers, const Status& status);

}  // namespace sluice::cli
