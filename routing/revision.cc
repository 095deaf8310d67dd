#include "routing/revision.h"

#include "proxy/base/check.h"

namespace sluice::routing {

std::string_view to_string(RevisionKind kind) {
  switch (kind) {
    case RevisionKind::shift:
      return "shift";
    case RevisionKind::switch_to:
      return "switch";
    case RevisionKind::drain:
      return "drain";
    case RevisionKind::resume:
      return "resume";
    case RevisionKind::reload:
      return "reload";
  }
  SLUICE_CHECK(false && "a revision of no kind");
}

}  // namespace sluice::routing
