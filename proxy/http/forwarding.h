// What changes in a message on its way through Sluice (RFC 9110 §7.6): pure rules, and the two
// functions that write a forwarded head in one pass, straight into the output.
//
// To the server: fields of one hop removed (Connection and what it names, Keep-Alive,
// Proxy-Connection, Proxy-Authorization, Transfer-Encoding, Upgrade; TE but for `trailers`), Host
// from the authority, framing as given, Via added, X-Request-Id set, X-Forwarded-For, -Proto and
// -Host replaced and Forwarded removed; from a trusted peer For and Forwarded are appended to and
// the others kept. To the client: the same removals (Proxy-Authenticate too), Via and a missing
// Date added, framing and Connection for what the client speaks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/http/message.h"

namespace sluice::http {

// Sluice's name in Via and Proxy-Status.
inline constexpr std::string_view kProxyName = "sluice";

// A request id that a trusted peer sent is kept if it is a token of at most this many bytes.
inline constexpr std::size_t kRequestIdBytesMax = 128;

// The views are used during the call only.
struct ForwardContext {
  std::string_view client_address;          // the peer's IP address, no port; empty: not an IP peer
  std::string_view client_scheme = "http";  // what the client's connection is
  bool client_trusted = false;              // its forwarding fields and request id are believed
  std::string_view request_id;              // for requests that bring none; empty: none is added
  std::string_view default_host;            // Host for HTTP/1.0 requests that name none
  bool keep_server_connection = true;       // false: `Connection: close` is sent
};

// The status of requests that are answered here instead of being forwarded: 405 for CONNECT and
// TRACE, 204 for OPTIONS whose Max-Forwards is 0, 400 for OPTIONS with a malformed one (RFC 9110
// §7.6.2). nullopt: forward it.
std::optional<int> answered_here(const RequestHead& head);

// The request id that write_forwarded_request() will send.
std::string_view effective_request_id(const RequestHead& head, const ForwardContext& context);

// Precondition: !answered_here(head). `framing` is known, chunked or none. `Expect: 100-continue`
// is kept: the server's 100 is relayed.
void write_forwarded_request(std::string& out, const RequestHead& head,
                             const ForwardContext& context, BodyLength framing);

struct ClientFraming {
  Version client_version = Version::http_1_1;
  BodyLength body;
  bool keep_alive = true;  // the client's connection stays open after this response
  std::string_view date;   // for a response that has none (http_date.h); empty: not added
};

// How a response is framed for the client that asked, and whether its connection can stay.
// A chunked body becomes close-delimited for HTTP/1.0; a close-delimited one becomes chunked for
// HTTP/1.1, so that its end can be told from a cut. `response.keep_alive` doesn't count: it is
// about the server's connection.
ClientFraming frame_for_client(const RequestHead& request, const ResponseHead& response,
                               bool keep_alive_wanted, std::string_view date);

// For interim responses too, but for 101 (never forwarded; Upgrade is removed from requests).
// HTTP/1.0 clients get no interim response: the caller drops it (RFC 9110 §15.2).
void write_forwarded_response(std::string& out, const ResponseHead& head,
                              const ClientFraming& framing);

// An answer that Sluice made itself: framed the same way, no Via.
void write_own_response(std::string& out, const ResponseHead& head, const ClientFraming& framing);

}  // namespace sluice::http
