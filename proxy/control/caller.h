// Who is at the other end of an admin connection, as the kernel tells it.
#pragma once

#include "admin/api.h"
#include "proxy/data/stream.h"

namespace sluice::proxy {

// A Unix socket's peer by SO_PEERCRED; a loopback TCP peer by asking the kernel's socket diagnosis
// for the owner of the socket at the other end. A uid that can't be found out is left open, and the
// access rules refuse it. Over TLS nobody's uid is asked for.
admin::Caller identify_caller(const ClientInfo& client);

}  // namespace sluice::proxy
