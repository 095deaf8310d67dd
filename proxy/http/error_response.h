// The answers that Sluice makes itself when it can't forward: short, readable, and marked with
// Proxy-Status (RFC 9209), so that nobody takes them for the server's.
#pragma once

#include <string>
#include <string_view>

#include "proxy/http/message.h"

namespace sluice::http {

struct ErrorResponse {
  ResponseHead head;  // text/plain, Content-Length in the fields; write_own_response() writes it
  std::string body;   // "404 Not Found: no route for this host and path\n"; not sent to HEAD
};

// `detail` says what and, where that helps, what would be right; printable ASCII (other bytes
// become '?'), may be empty. `error` is a proxy error type of RFC 9209 §2.3; empty: the usual one
// of that status. 405 carries Allow; 400, 408, 413, 414, 417, 431, 500, 501 and 505 end the
// connection (head.keep_alive is false), since where the next request begins can't be known or
// the client would have to be waited for. 204 (see answered_here()) has Allow and no body.
ErrorResponse error_response(int status, std::string_view detail, std::string_view error = {});

// The same for a call of gRPC (grpc.h), whose clients look for gRPC's status: 200 with
// `grpc-status` and `grpc-message` among its fields, and no body ("trailers only"). `detail` may
// be any text.
ErrorResponse grpc_error_response(int status, std::string_view detail, std::string_view error = {});

}  // namespace sluice::http
