// Authorities, checked (RFC 3986 §3.2, RFC 9110 §4.2, §7.1): what the HTTP versions share; paths
// are in path.h. Each function returns nullptr, or why the text is refused (static storage).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::http {

// A host name in an authority, without its port; brackets of an IPv6 address counted.
inline constexpr std::size_t kHostBytesMax = 255;

// host [":" port]: a name of letters, digits and `-._~`, an IPv4 address, or a bracketed IPv6
// address; a port of 1 to 65535. Stricter than RFC 3986: no percent-encoding, no sub-delims, no
// empty host or port, since no server is called so and two readers might read them differently.
const char* check_authority(std::string_view text);

// The same with the port required (RFC 9112 §3.2.3).
const char* check_authority_with_port(std::string_view text);

}  // namespace sluice::http
