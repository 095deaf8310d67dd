// The one table of keys: everything a configuration file may say. parse() reads by it,
// json_schema() and describe_keys() are made from it.
#pragma once

#include <vector>

#include "conf/config.h"
#include "conf/section.h"

namespace sluice::conf {

struct HealthDraft {
  HealthCheck check;
  bool enabled = true;
};

struct BackendDraft {
  Backend backend;  // its health still to be set
  HealthDraft health;
};

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
