// HTTP/1 bytes from messages (RFC 9112). Everything is appended to `out`.
//
// No byte of CR, LF or NUL comes from a name or a value: that is checked (SLUICE_CHECK), since the
// parsers, the configuration and every rule that adds a field have refused such bytes before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/message.h"

namespace sluice::http {

// A request of Sluice's own: probes, control calls. What crosses Sluice is written by forwarding.h.
// Host comes from `authority` and the framing fields from `body`, whatever `fields` says of them,
// so that a head can't contradict itself. `Connection: close` unless keep_alive.
void write_request_head(std::string& out, const RequestHead& head);

// Pieces.
void write_request_line(std::string& out, std::string_view method, std::string_view target);
void write_status_line(std::string& out, int status, std::string_view reason);
void write_field(std::string& out, std::string_view name, std::string_view value);
// Content-Length or Transfer-Encoding; nothing for none and until_close.
void write_framing(std::string& out, BodyLength body);
void write_decimal(std::string& out, std::uint64_t value);

// A chunked body is, for each piece of data: write_chunk_header(), the data, kChunkEnd; and at the
// end write_last_chunk(). `bytes` > 0.
void write_chunk_header(std::string& out, std::uint64_t bytes);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::size_t kChunkHeaderBytesMax = 18;
void write_last_chunk(std::string& out, const Fields& trailers);

// "Not Found" for 404; "Unknown" where RFC 9110 names none.
std::string_view reason_phrase(int status);

}  // namespace sluice::http
