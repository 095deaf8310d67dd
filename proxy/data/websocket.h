// The handshake's key and its answer (RFC 6455 §1.3), for tunnels that cross from one HTTP version
// to the other: HTTP/2 has neither (RFC 8441 §5). From HTTP/2 to an HTTP/1 server a key is made
// and the server's answer compared; from HTTP/1 to HTTP/2 the client's key is answered here.
// Pure functions, for any thread.
#pragma once

#include <string>
#include <string_view>

namespace sluice::proxy {

// A new Sec-WebSocket-Key.
std::string make_websocket_key();

// The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.
std::string websocket_accept_for(std::string_view key);

}  // namespace sluice::proxy
