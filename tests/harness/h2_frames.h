// HTTP/2 frames as bytes (RFC 9113 section 4, RFC 7541), right or wrong, and back: what the HTTP/2
// client and origin of the tests are made of. Pure. Shares nothing with the proxy; field sections
// are decoded by nghttp2 and written by a few lines here, so that a test can send any of them.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/harness/fields.h"

namespace sluice::harness::h2 {

enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kResetStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

enum Flag : std::uint8_t {
  kEndStream = 0x1,
  kAck = 0x1,
  kEndHeaders = 0x4,
  kPadded = 0x8,
  kHasPriority = 0x20,
};

enum Code : std::uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kSettingsTimeout = 4,
  kStreamClosed = 5,
  kFrameSizeError = 6,
  kRefusedStream = 7,
  kCancel = 8,
  kCompressionError = 9,
  kConnectError = 10,
  kEnhanceYourCalm = 11,
  kHttp11Required = 13,
};
std::string code_name(std::uint32_t code);

enum Setting : std::uint16_t {
  kHeaderTableSize = 1,
  kEnablePush = 2,
  kMaxConcurrentStreams = 3,
  kInitialWindowSize = 4,
  kMaxFrameSize = 5,
  kMaxHeaderListSize = 6,
  kEnableConnectProtocol = 8,
};
using Settings = std::vector<std::pair<std::uint16_t, std::uint32_t>>;

inline constexpr std::size_t kFrameHeadBytes = 9;
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

// One frame with its head, whatever it says.
std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload = {});
std::string number(std::uint32_t value);  // four bytes
// A field section of literals that enter no table (RFC 7541 section 6.2.2), without Huffman coding:
// any bytes may be in names and values.
std::string section(const Fields& fields);
std::string headers(std::uint32_t stream, const Fields& fields, bool end_stream);
std::string data(std::uint32_t stream, std::string_view bytes, bool end_stream = false);
std::string settings(const Settings& settings);
std::string reset(std::uint32_t stream, std::uint32_t code);
std::string window_update(std::uint32_t stream, std::uint32_t bytes);
std::string go_away(std::uint32_t last_stream, std::uint32_t code);
std::uint32_t number_at(std::string_view payload, std::size_t at = 0);

// Frames out of bytes.
class FrameReader {
 public:
  void add(std::string_view bytes) { input_ += bytes; }
  std::optional<Frame> next();

 private:
  std::string input_;
  std::size_t taken_ = 0;
};

// Field sections of one connection, in order.
class SectionDecoder {
 public:
  SectionDecoder();
  ~SectionDecoder();
  SectionDecoder(const SectionDecoder&) = delete;
  SectionDecoder& operator=(const SectionDecoder&) = delete;
  std::expected<Fields, std::string> decode(std::string_view section);

 private:
  nghttp2_hd_inflater* inflater_ = nullptr;
};

}  // namespace sluice::harness::h2
