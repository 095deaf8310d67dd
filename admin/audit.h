// The audit log: who, from where, what, when, before, after, with what result; refusals too.
#pragma once

#include <string>

#include "admin/api.h"
#include "proxy/base/clock.h"
#include "routing/revision.h"

namespace sluice::admin {

// A longer path is cut in the log.
inline constexpr std::size_t kAuditPathBytesMax = 1024;

// Whether control writes a line: for every write, and for every read that was refused or failed.
bool is_audited(const Request& request, const Reply& reply);

// One line of JSON with its line feed. `revision`: what the call made, nullptr if it made none.
std::string audit_line(const Request& request, const Reply& reply,
                       const routing::Revision* revision, WallTime now);

}  // namespace sluice::admin
