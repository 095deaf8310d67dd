// Why a peer's bytes were refused, as codecs report it.
#pragma once

#include <cstddef>

namespace sluice::http {

struct ParseError {
  // What the client is to be answered: 4xx or 5xx for a request; always 502 for a response.
  int status = 0;
  // Short and stable, for log, metric and answer: "bare LF in head". Static storage.
  const char* reason = "";

  bool operator==(const ParseError& other) const;
};

// Whose message it is: the client's request or the server's response.
enum class MessageSide : unsigned char { request, response };

// Bounds on a head and, each anew, on a trailer section. Lines count without their CRLF.
struct HeadLimits {
  std::size_t request_line_bytes = 8 * 1024;  // the status line of a response too
  std::size_t field_line_bytes = 8 * 1024;
  std::size_t head_bytes = 32 * 1024;  // with line ends; at most kHeadBytesMax counts
  std::size_t field_count = 100;

  static constexpr std::size_t kHeadBytesMax = 16 * 1024 * 1024;
};

}  // namespace sluice::http
