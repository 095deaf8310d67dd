#include "tests/harness/h2_frames.h"

#include <array>

#include "proxy/base/check.h"

namespace sluice::harness::h2 {
namespace {

// RFC 7541 section 5.1, behind `prefix_bits` bits that are all this byte has to say.
std::string integer(std::uint8_t first, int prefix_bits, std::size_t value) {
  const std::size_t limit = (1u << prefix_bits) - 1;
  std::string out;
  if (value < limit) return out += static_cast<char>(first | value);
  out += static_cast<char>(first | limit);
  for (value -= limit; value >= 128; value /= 128) out += static_cast<char>(value % 128 + 128);
  return out += static_cast<char>(value);
}

}  // namespace

std::string code_name(std::uint32_t code) {
  static constexpr std::array kNames = {"NO_ERROR",
                                        "PROTOCOL_ERROR",
                                        "INTERNAL_ERROR",
                                        "FLOW_CONTROL_ERROR",
                                        "SETTINGS_TIMEOUT",
                                        "STREAM_CLOSED",
                                        "FRAME_SIZE_ERROR",
                                        "REFUSED_STREAM",
                                        "CANCEL",
                                        "COMPRESSION_ERROR",
                                        "CONNECT_ERROR",
                                        "ENHANCE_YOUR_CALM",
                                        "INADEQUATE_SECURITY",
                                        "HTTP_1_1_REQUIRED"};
  return code < kNames.size() ? kNames[code] : "code " + std::to_string(code);
}

std::string number(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::uint32_t number_at(std::string_view payload, std::size_t at) {
  if (payload.size() < at + 4) return 0;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(payload[at + i]);
  }
  return value;
}

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload) {
  SLUICE_CHECK(payload.size() < 1u << 24);
  std::string out = number(static_cast<std::uint32_t>(payload.size())).substr(1);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  out += number(stream);
  return out += payload;
}

std::string section(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields.lines) {
    out += '\0';
    out += integer(0, 7, name.size()) + name;
    out += integer(0, 7, value.size()) + value;
  }
  return out;
}

std::string headers(std::uint32_t stream, const Fields& fields, bool end_stream) {
  const std::string block = section(fields);
  constexpr std::size_t kPieceMax = 16'384;
  std::string out;
  std::size_t at = 0;
  do {
    const std::string_view piece = std::string_view(block).substr(at, kPieceMax);
    const bool first = at == 0;
    at += piece.size();
    int flags = at == block.size() ? kEndHeaders : 0;
    if (first && end_stream) flags |= kEndStream;
    out += frame(first ? kHeaders : kContinuation, static_cast<std::uint8_t>(flags), stream, piece);
  } while (at < block.size());
  return out;
}

std::string data(std::uint32_t stream, std::string_view bytes, bool end_stream) {
  return frame(kData, end_stream ? kEndStream : 0, stream, bytes);
}

std::string settings(const Settings& settings) {
  std::string payload;
  for (const auto& [name, value] : settings) {
    payload += static_cast<char>(name >> 8);
    payload += static_cast<char>(name);
    payload += number(value);
  }
  return frame(kSettings, 0, 0, payload);
}

std::string reset(std::uint32_t stream, std::uint32_t code) {
  return frame(kResetStream, 0, stream, number(code));
}

std::string window_update(std::uint32_t stream, std::uint32_t bytes) {
  return frame(kWindowUpdate, 0, stream, number(bytes));
}

std::string go_away(std::uint32_t last_stream, std::uint32_t code) {
  return frame(kGoAway, 0, 0, number(last_stream) + number(code));
}

std::optional<Frame> FrameReader::next() {
  const std::string_view rest = std::string_view(input_).substr(taken_);
  if (rest.size() < kFrameHeadBytes) return std::nullopt;
  const std::size_t size = number_at(rest) >> 8;
  if (rest.size() < kFrameHeadBytes + size) return std::nullopt;
  Frame frame{.type = static_cast<std::uint8_t>(rest[3]),
              .flags = static_cast<std::uint8_t>(rest[4]),
              .stream = number_at(rest, 5) & 0x7fff'ffff,
              .payload = std::string(rest.substr(kFrameHeadBytes, size))};
  taken_ += kFrameHeadBytes + size;
  if (taken_ == input_.size() || taken_ > 1 << 20) {
    input_.erase(0, taken_);
    taken_ = 0;
  }
  return frame;
}

SectionDecoder::SectionDecoder() {
  SLUICE_CHECK(nghttp2_hd_inflate_new(&inflater_) == 0);
}

SectionDecoder::~SectionDecoder() {
  nghttp2_hd_inflate_del(inflater_);
}

std::expected<Fields, std::string> SectionDecoder::decode(std::string_view section) {
  Fields fields;
  const auto* in = reinterpret_cast<const std::uint8_t*>(section.data());
  std::size_t left = section.size();
  while (true) {
    nghttp2_nv field{};
    int flags = 0;
    const ssize_t n = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, in, left, 1);
    if (n < 0) return std::unexpected(nghttp2_strerror(static_cast<int>(n)));
    in += n;
    left -= static_cast<std::size_t>(n);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      fields.add({reinterpret_cast<const char*>(field.name), field.namelen},
                 {reinterpret_cast<const char*>(field.value), field.valuelen});
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
      nghttp2_hd_inflate_end_headers(inflater_);
      return fields;
    }
  }
}

}  // namespace sluice::harness::h2
