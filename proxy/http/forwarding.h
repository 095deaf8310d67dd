// What changes in a message on its way through Sluice (RFC 9110 §7.6): pure rules, the functions
// that write a forwarded HTTP/1 head in one pass, straight into the output, and those that give the
// fields of an HTTP/2 one.
//
// To the server: fields of one hop removed (Connection and what it names, Keep-Alive,
// Proxy-Connection, Proxy-Authorization, Transfer-Encoding, Upgrade, HTTP2-Settings; TE but for
// `trailers`), Host from the authority, framing as given, Via added, X-Request-Id set, Forwarded
// and X-Forwarded-For, -Proto and -Host replaced, other fields that tell of the client removed
// (X-Real-IP, X-Forwarded-Port…: field_rules.h); from a trusted peer Forwarded and -For are
// appended to and the others kept. To the client: the same removals (Proxy-Authenticate too), Via
// and a missing Date added, framing and Connection for what the client speaks.
//
// A tunnel's Upgrade is made anew for each HTTP/1 hop. Between two of these the fields of RFC 6455
// pass as they came; HTTP/2 has neither Sec-WebSocket-Key nor -Accept (RFC 8441 §5), so the side
// that speaks to the server makes what is missing (proxy/data/websocket.h): a key for an HTTP/1
// server, whose answer it checks, and an answer for an HTTP/1 client.
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

// How the client's address is told to the server. What isn't sent is removed, whoever sent it.
enum class ForwardedFields : std::uint8_t { both, x_forwarded, forwarded };

// The views are used during the call only.
struct ForwardContext {
  std::string_view client_address;          // the peer's IP address, no port; empty: not an IP peer
  std::string_view local_address;           // `by` in Forwarded, likewise; empty: not told
  std::string_view client_scheme = "http";  // what the client's connection is
  bool client_trusted = false;              // its forwarding fields and request id are believed
  std::string_view request_id;              // for requests that bring none; empty: none is added
  std::string_view default_host;            // Host for HTTP/1.0 requests that name none
  bool keep_server_connection = true;       // false: `Connection: close` is sent
  ForwardedFields forwarded = ForwardedFields::both;
  // Sec-WebSocket-Key for an upgrade that came by HTTP/2 and goes on by HTTP/1. Else empty.
  std::string_view websocket_key;
};

// The status of requests that are answered here instead of being forwarded, whatever their route:
// 405 for TRACE, 204 for OPTIONS whose Max-Forwards is 0, 400 for OPTIONS with a malformed one
// (RFC 9110 §7.6.2). nullopt: forward it. CONNECT isn't among them: the route says whether it may
// be forwarded.
std::optional<int> answered_here(const RequestHead& head);

// The request id that write_forwarded_request() will send.
std::string_view effective_request_id(const RequestHead& head, const ForwardContext& context);

// Precondition: !answered_here(head). `framing` is known, chunked, none or tunnel. `Expect:
// 100-continue` is kept: the server's 100 is relayed.
void write_forwarded_request(std::string& out, const RequestHead& head,
                             const ForwardContext& context, BodyLength framing);
// The same for HTTP/2: appends fields, names in lower case, without pseudo-header fields, Host and
// what HTTP/2 forbids. Content-Length where the length is known.
void forward_request_fields(Fields& out, const RequestHead& head, const ForwardContext& context,
                            BodyLength framing);

struct ClientFraming {
  Version client_version = Version::http_1_1;
  BodyLength body;
  bool keep_alive = true;  // the client's connection stays open after this response
  std::string_view date;   // for a response that has none (http_date.h); empty: not added
};

// How a response is framed for the client that asked, and whether its connection can stay.
// A chunked body becomes close-delimited for HTTP/1.0; a close-delimited one becomes chunked for
// HTTP/1.1 and HTTP/2, so that its end can be told from a cut. A tunnel takes an HTTP/1 connection
// with it: keep_alive is false. `response.keep_alive` doesn't count: it is about the server's
// connection.
ClientFraming frame_for_client(const RequestHead& request, const ResponseHead& response,
                               bool keep_alive_wanted, std::string_view date);

// For interim responses too. HTTP/1.0 clients get none: the caller drops it (RFC 9110 §15.2). 101
// goes to a client that asked to upgrade only; it is written for `websocket`.
void write_forwarded_response(std::string& out, const ResponseHead& head,
                              const ClientFraming& framing);
// The same for HTTP/2; see forward_request_fields(). Content-Length also where it tells of a body
// that isn't sent (HEAD, 304).
void forward_response_fields(Fields& out, const ResponseHead& head, const ClientFraming& framing);

// An answer that Sluice made itself: framed the same way, no Via.
void write_own_response(std::string& out, const ResponseHead& head, const ClientFraming& framing);
void own_response_fields(Fields& out, const ResponseHead& head, const ClientFraming& framing);

}  // namespace sluice::http
