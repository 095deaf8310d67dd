// What the fields of an HTTP/1 head say about its body (RFC 9112 §6), strictly: whatever two
// readers could read differently is an error.
#pragma once

#include <expected>

#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::http {

// From Content-Length and Transfer-Encoding alone: known, chunked, or none if neither is there.
// Errors: 400, and 501 for a coding before `chunked` (RFC 9112 §6.1).
std::expected<BodyLength, ParseError> framing_of(const Fields& fields, Version version);

// How long the body of a response is (RFC 9112 §6.3); 502 where its fields contradict each other
// or its status. 101 and 2xx to CONNECT: a tunnel. H1ResponseParser sets ResponseHead::body by it.
std::expected<BodyLength, ParseError> response_body_length(const ResponseHead& head,
                                                           Method request_method);

}  // namespace sluice::http
