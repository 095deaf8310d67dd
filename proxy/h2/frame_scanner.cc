#include "proxy/h2/frame_scanner.h"

#include <algorithm>

namespace sluice::h2 {
namespace {

// RFC 9113 §6.
enum Type : std::uint8_t {
  kData = 0x0,
  kHeaders = 0x1,
  kPriority = 0x2,
  kRstStream = 0x3,
  kSettings = 0x4,
  kPushPromise = 0x5,
  kPing = 0x6,
  kWindowUpdate = 0x8,
  kContinuation = 0x9,
};

std::uint32_t number(Bytes bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::uint32_t>(byte);
  return value;
}

FrameHeader parse(Bytes head) {
  constexpr std::uint32_t kReservedBit = 0x8000'0000;
  return {.length = number(head.first(3)),
          .type = std::to_integer<std::uint8_t>(head[3]),
          .flags = std::to_integer<std::uint8_t>(head[4]),
          .stream_id = static_cast<std::int32_t>(number(head.subspan(5, 4)) & ~kReservedBit)};
}

}  // namespace

FrameKind FrameHeader::kind() const {
  switch (type) {
    case kData:
      return FrameKind::data;
    case kHeaders:
    case kPushPromise:
      return FrameKind::headers;
    case kPriority:
      return FrameKind::priority;
    case kRstStream:
      return FrameKind::rst_stream;
    case kSettings:
      return FrameKind::settings;
    case kPing:
      return FrameKind::ping;
    case kWindowUpdate:
      return FrameKind::window_update;
    case kContinuation:
      return FrameKind::continuation;
    default:
      return FrameKind::other;
  }
}

bool FrameHeader::ends_stream() const {
  return (type == kData || type == kHeaders) && (flags & kEndStream) != 0;
}

bool FrameHeader::has_fields() const {
  return type == kHeaders || type == kPushPromise || type == kContinuation;
}

FrameScanner::Step FrameScanner::next(Bytes input) {
  Step step;
  if (payload_left_ == 0) {
    if (kept_ == 0 && input.size() >= FrameHeader::kBytes) {
      step.head = input.first(FrameHeader::kBytes);
      step.consumed = FrameHeader::kBytes;
    } else {
      const std::size_t taken = std::min(FrameHeader::kBytes - kept_, input.size());
      std::copy_n(input.begin(), taken, head_.begin() + static_cast<std::ptrdiff_t>(kept_));
      kept_ += taken;
      step.consumed = taken;
      if (kept_ < FrameHeader::kBytes) return step;
      kept_ = 0;
      step.head = head_;
    }
    step.begins = true;
    header_ = parse(step.head);
    payload_left_ = header_.length;
  }
  step.payload =
      input.subspan(step.consumed).first(std::min(payload_left_, input.size() - step.consumed));
  step.consumed += step.payload.size();
  payload_left_ -= step.payload.size();
  step.ends = payload_left_ == 0;
  return step;
}

}  // namespace sluice::h2
