// BoringSSL's error queue, as words. Private to this room.
#pragma once

#include <string>

namespace sluice::tls {

// The cause of the failure that was just seen, in a few stable lower-case words; "unknown" where
// the queue is empty. Empties the thread's queue.
std::string take_error();

}  // namespace sluice::tls
