// Field lines of HTTP/1 (RFC 9112 §5), the same for heads of both sides and for trailers.
#pragma once

#include <string_view>

#include "proxy/http/h1_line_reader.h"
#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::http {

// Checks one line (without its CRLF, not empty) of a message of that side and appends its field.
// Errors: 400, and 431 once there are more than `field_count_max` or the name is longer than Fields
// can keep.
ParseError append_field_line(std::string_view line, MessageSide side, std::size_t field_count_max,
                             Fields& fields);

// What is wrong with a field section whose line reader gave this status (neither line nor
// need_more).
ParseError field_section_error(H1LineReader::Status status);

// `error` as its side reports it: a server's mistake is always a 502.
ParseError for_side(MessageSide side, ParseError error);

}  // namespace sluice::http
