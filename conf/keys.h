// The one table of keys: everything a configuration file may say. parse() reads by it,
// json_schema() and describe_keys() are made from it.
#pragma once

#include <vector>

#include "conf/backend_keys.h"
#include "conf/config.h"
#include "conf/section.h"

namespace sluice::conf {

// A Config while it is read: the backends stand apart until it is known what they inherit.
struct Draft {
  Config config;
  HealthDraft health;  // what backends start from
  std::vector<BackendDraft> backends;

  Draft();  // what an empty file means
  Config finish() &&;
};

// Made at the first call; any thread.
const Section<Draft>& file_section();

}  // namespace sluice::conf
