// The ring on io_uring (Linux 6.1 and later): a worker's only way to the kernel.
//
// Made on the thread that will use it, owned by that thread's loop, destroyed there after every
// operation was joined. wake() alone may come from elsewhere.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "proxy/io/ring.h"

namespace sluice::io {

// The error is a sentence for the operator: what refused, why, and what would help.
std::expected<std::unique_ptr<Ring>, std::string> make_uring_ring(const RingOptions& options = {});

}  // namespace sluice::io
