// Between our Address and the kernel's sockaddr.
#pragma once

#include <sys/socket.h>

#include "proxy/base/address.h"

namespace sluice::io {

// Returns the length that is used of `storage`. Precondition: the address has a family.
socklen_t to_sockaddr(const Address& address, sockaddr_storage& storage);
// An address without family for kinds that we don't know.
Address from_sockaddr(const sockaddr_storage& storage, socklen_t length);

}  // namespace sluice::io
