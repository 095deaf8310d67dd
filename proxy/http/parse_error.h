// Why a peer's bytes were refused, as codecs report it, and the bounds that they refuse by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::http {

// Which of HeadLimits was exceeded.
enum class HeadBound : std::uint8_t {
  none,
  request_line_bytes,
  field_line_bytes,
  head_bytes,
  field_count,
};

struct ParseError {
  // What the client is to be answered: 4xx or 5xx for a request; always 502 for a response.
  // 0: no error.
  int status = 0;
  // Short and stable, for log, metric and answer: "bare LF in head". Static storage.
  const char* reason = "";
  HeadBound bound = HeadBound::none;

  explicit operator bool() const { return status != 0; }
  bool operator==(const ParseError& other) const {
    return status == other.status && std::string_view(reason) == other.reason;
  }
};

// Whose message it is: the client's request or the server's response.
enum class MessageSide : std::uint8_t { request, response };

// Bounds on a head and, each anew, on a trailer section. Lines count without their CRLF.
struct HeadLimits {
  // None of the byte limits counts for more than this.
  static constexpr std::size_t kBytesMax = 16 * 1024 * 1024;

  std::size_t request_line_bytes = 8 * 1024;  // of a response: the status line
  std::size_t field_line_bytes = 8 * 1024;
  std::size_t head_bytes = 32 * 1024;  // line ends counted
  std::size_t field_count = 100;

  HeadLimits clamped() const;
};

}  // namespace sluice::http
