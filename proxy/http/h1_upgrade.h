// Tunnels in HTTP/1: which requests ask for one (Upgrade, RFC 9110 §7.8 and RFC 6455; CONNECT,
// RFC 9110 §9.3.6), and which responses open it. What the head parsers share; pure.
//
// The one protocol is `websocket`. A request to switch to anything else (`h2c` too) is an ordinary
// request, as RFC 9110 lets a server have it: Upgrade stays behind. One to switch to `websocket`
// that RFC 6455 §4.2.1 would refuse is refused here, since what follows it may not be HTTP.
#pragma once

#include <string_view>

#include "proxy/http/connection_options.h"
#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::http {

// Base64 of 16 bytes (RFC 6455 §4.1).
bool is_websocket_key(std::string_view text);

// Sets `protocol` and `body` of a head that asks for a tunnel. Its body is set from its framing
// fields before. Errors: 400.
ParseError take_tunnel(RequestHead& head, const ConnectionOptions& options);

// Whether a 101 is an answer to a request that asked for `websocket`: it names this protocol and
// no other, in Upgrade and in Connection. Errors: 502.
ParseError check_switch(const ResponseHead& head, const ConnectionOptions& options);

}  // namespace sluice::http
