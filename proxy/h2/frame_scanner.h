// FrameScanner: where frames begin and end in received bytes (RFC 9113 §4.1), so that each can be
// judged before anything acts on it. A session owns one. Pure.
//
//   while (!input.empty()) {
//     const FrameScanner::Step step = scanner.next(input);
//     input = input.subspan(step.consumed);
//     // step.begins: step.header is a new frame's; hand on step.head, then step.payload
//   }
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/base/bytes.h"
#include "proxy/h2/budget.h"

namespace sluice::h2 {

struct FrameHeader {
  static constexpr std::size_t kBytes = 9;
  static constexpr std::uint8_t kEndStream = 0x1;
  static constexpr std::uint8_t kEndHeaders = 0x4;

  std::uint32_t length = 0;  // of the payload
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::int32_t stream_id = 0;

  FrameKind kind() const;
  bool ends_stream() const;
  // It opens or goes on with a field section.
  bool has_fields() const;
  // It has fields, and they are its section's last.
  bool ends_section() const { return has_fields() && (flags & kEndHeaders) != 0; }
};

class FrameScanner {
 public:
  struct Step {
    std::size_t consumed = 0;
    bool begins = false;  // a frame's header is whole: `header` and `head`
    bool ends = false;    // the frame is whole
    Bytes head;           // its kBytes; directly before `payload` if they came together
    Bytes payload;        // what there is of it
  };

  // Takes the rest of the frame that has begun, as far as it has come, or a header and what there
  // is behind it. A header that isn't whole yet is kept, and nothing is handed out. Views are good
  // until the next call, and as long as `input`.
  Step next(Bytes input);
  // Of the frame that began last.
  const FrameHeader& header() const { return header_; }
  // Between two frames.
  bool at_boundary() const { return payload_left_ == 0 && kept_ == 0; }

 private:
  FrameHeader header_;
  std::array<std::byte, FrameHeader::kBytes> head_{};
  std::size_t kept_ = 0;  // bytes of head_ that a header not yet whole has filled
  std::size_t payload_left_ = 0;
};

}  // namespace sluice::h2
