// What both kinds of HTTP/1 connection do alike: when a body is read in large pieces, how it goes
// onto the wire, and limits out of the configuration.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "conf/config.h"
#include "proxy/base/bytes.h"
#include "proxy/http/h1_writer.h"
#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::proxy {

// Bodies beyond this many bytes are read one large buffer at a time (Transport::set_streaming()).
inline constexpr std::uint64_t kStreamingBytes = 64 * 1024;

inline http::HeadLimits head_limits(const conf::Limits& limits) {
  return {.request_line_bytes = limits.request_line_bytes,
          .field_line_bytes = limits.field_line_bytes,
          .head_bytes = limits.head_bytes,
          .field_count = limits.field_count};
}

// Calls write(Bytes) for a piece of body in its framing. `scratch` is used and left as it is.
template <typename Write>
void write_body_piece(Bytes bytes, http::BodyLength::Kind framing, std::string& scratch,
                      Write&& write) {
  if (bytes.empty() || framing == http::BodyLength::Kind::none) return;
  if (framing != http::BodyLength::Kind::chunked) {
    write(bytes);
    return;
  }
  scratch.clear();
  http::write_chunk_header(scratch, bytes.size());
  write(as_bytes(scratch));
  write(bytes);
  write(as_bytes(http::kChunkEnd));
}

// The same for the end of a body.
template <typename Write>
void write_body_end(const http::Fields& trailers, http::BodyLength::Kind framing,
                    std::string& scratch, Write&& write) {
  if (framing != http::BodyLength::Kind::chunked) return;
  scratch.clear();
  http::write_last_chunk(scratch, trailers);
  write(as_bytes(scratch));
}

}  // namespace sluice::proxy
