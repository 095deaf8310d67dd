// The keys of one backend, and of how servers are probed.
#pragma once

#include <string>

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

Section<HealthDraft> health_section(const std::string& enabled_meaning);
// Its health must hold what [health] says before it is read.
Section<BackendDraft> backend_section();

}  // namespace sluice::conf
