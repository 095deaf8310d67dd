// Cuts a byte stream into lines ended by CRLF, wherever the stream is split.
//
// Owned by a head parser or a body decoder. A line that lies whole in the input is given as a view
// into it; only a line that straddles inputs is copied, into storage bounded by the limits and
// freed by reset() and release(). A line is judged when it is complete, or when it can no longer
// become one that fits: so the verdict depends on the bytes alone, not on how they were split.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/bytes.h"

namespace sluice::http {

class H1LineReader {
 public:
  enum class Status : std::uint8_t {
    line,              // `text` is a line without its CRLF
    need_more,         // the input is used up
    bare_lf,           // LF without CR before it
    line_too_long,     // more than line_bytes_max
    section_too_long,  // more than the section's bytes in all
  };
  struct Result {
    Status status = Status::need_more;
    std::string_view text;     // good until the next call, or until the input goes
    std::size_t consumed = 0;  // bytes of this input
  };

  // A new section of at most `section_bytes_max` bytes, line ends counted.
  void reset(std::size_t section_bytes_max);
  // Frees what is held of a line, which is not looked at any more.
  void release();
  Result next(Bytes input, std::size_t line_bytes_max);
  // Bytes of the lines given so far, line ends counted, and of the one that is incomplete.
  std::size_t section_bytes() const {
    return section_bytes_ + (partial_given_ ? 0 : partial_.size());
  }

 private:
  std::string partial_;         // the beginning of a line whose end has not come
  bool partial_given_ = false;  // true exactly when `partial_` is the line that was given last
  std::size_t section_bytes_ = 0;
  std::size_t section_bytes_max_ = 0;
};

}  // namespace sluice::http
