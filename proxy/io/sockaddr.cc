#include "proxy/io/sockaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "proxy/base/check.h"

namespace sluice::io {

socklen_t to_sockaddr(const Address& address, sockaddr_storage& storage) {
  std::memset(&storage, 0, sizeof storage);
  switch (address.family) {
    case Address::Family::ipv4: {
      auto& in = reinterpret_cast<sockaddr_in&>(storage);
      in.sin_family = AF_INET;
      in.sin_port = htons(address.port);
      std::memcpy(&in.sin_addr, address.ip.data(), 4);
      return sizeof in;
    }
    case Address::Family::ipv6: {
      auto& in = reinterpret_cast<sockaddr_in6&>(storage);
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(address.port);
      std::memcpy(&in.sin6_addr, address.ip.data(), 16);
      return sizeof in;
    }
    case Address::Family::unix_path: {
      auto& un = reinterpret_cast<sockaddr_un&>(storage);
      un.sun_family = AF_UNIX;
      SLUICE_CHECK(address.path.size() < sizeof un.sun_path);
      std::memcpy(un.sun_path, address.path.data(), address.path.size());
      return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
    }
    case Address::Family::none:
      break;
  }
  SLUICE_CHECK(!"an address without family");
  return 0;
}

Address from_sockaddr(const sockaddr_storage& storage, socklen_t length) {
  Address address;
  if (storage.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
    address.family = Address::Family::ipv4;
    address.port = ntohs(in.sin_port);
    std::memcpy(address.ip.data(), &in.sin_addr, 4);
  } else if (storage.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(storage);
    address.family = Address::Family::ipv6;
    address.port = ntohs(in.sin6_port);
    std::memcpy(address.ip.data(), &in.sin6_addr, 16);
  } else if (storage.ss_family == AF_UNIX) {
    const auto& un = reinterpret_cast<const sockaddr_un&>(storage);
    address.family = Address::Family::unix_path;
    const std::size_t used =
        length > offsetof(sockaddr_un, sun_path) ? length - offsetof(sockaddr_un, sun_path) : 0;
    address.path.assign(un.sun_path, strnlen(un.sun_path, used));
  }
  return address;
}

}  // namespace sluice::io
