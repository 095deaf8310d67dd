// Message bodies out of an HTTP/1 byte stream (RFC 9112 §6, §7): data as views into the input,
// never copied, and trailers as Fields.
//
// A connection owns one per direction and keeps it for many messages. Call consume() in a loop
// until it says need_more, done or error, with what is left of the input each time (also when
// nothing is left: a body may end where its data ended).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/bytes.h"
#include "proxy/http/h1_line_reader.h"
#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::http {

class H1BodyDecoder {
 public:
  // A chunk's size has at most this many hexadecimal digits, leading zeros counted.
  static constexpr std::size_t kChunkSizeDigitsMax = 16;
  // A line with a chunk's size and extensions, without its CRLF.
  static constexpr std::size_t kChunkLineBytesMax = 1024;
  // All chunk extensions of a message, which nobody reads.
  static constexpr std::size_t kChunkExtensionBytesMax = 8 * 1024;
  // What chunks may cost in lines and line ends, before trailers: this, and as many bytes for each
  // byte of data. A request in chunks of one byte (five bytes of framing each) is refused after
  // 8,192 of them. Servers may write as they like: they are ours, and some flush every byte.
  static constexpr std::uint64_t kChunkFramingBytesMax = 8 * 1024;
  static constexpr std::uint64_t kChunkFramingPerDataByte = 4;

  enum class Status : std::uint8_t {
    need_more,  // all of the input was consumed; no data in it, or none left
    data,       // `data` is not empty; call again
    done,   // the body has ended, trailers() are whole; what is left belongs to the next message
    error,  // final until begin(); 400 or 431 in a request, 502 in a response
  };
  struct Result {
    std::size_t consumed = 0;
    Status status = Status::need_more;
    Bytes data;  // a view into the input
    ParseError error;
  };

  // `limits` bound the trailer section.
  H1BodyDecoder(const HeadLimits& limits, MessageSide side);

  // A new body. Forgets the trailers of the one before.
  void begin(BodyLength length);
  Result consume(Bytes input);
  // The peer sent its last byte. True if the body is complete; false if it was cut short.
  bool finish();

  bool done() const { return phase_ == Phase::done; }
  // Of a chunked body, once it is done.
  const Fields& trailers() const { return trailers_; }
  // Bytes of the stream that were framing (chunk lines, line ends, trailers) and that were data.
  std::uint64_t framing_bytes() const { return framing_bytes_; }
  std::uint64_t data_bytes() const { return data_bytes_; }

 private:
  //   begin ─ none ──────────────────────────────────────────────► done
  //         ─ known ────► sized_data ────────────────────────────► done
  //         ─ until_close, tunnel ► open_data ── finish() ─────► done
  //         ─ chunked ──► chunk_line ──► chunk_data ► chunk_cr ► chunk_lf ─┐
  //                        ▲   └─ size 0 ► trailers ────────────► done     │
  //                        └───────────────────────────────────────────────┘
  enum class Phase : std::uint8_t {
    sized_data,
    open_data,
    chunk_line,
    chunk_data,
    chunk_cr,
    chunk_lf,
    trailers,
    done,
    failed,
  };
  void step(Bytes input, Result& result);
  void take_data(Bytes input, Result& result);
  void take_line_end(Bytes input, char expected, Phase next, Result& result);
  void take_line(Bytes input, Result& result);
  void on_chunk_line(std::string_view line);
  void on_trailer_line(std::string_view line);
  void fail(ParseError error);

  HeadLimits limits_;
  H1LineReader lines_;
  Fields trailers_;
  ParseError failure_;
  std::uint64_t data_left_ = 0;  // of the chunk or of the known length
  std::uint64_t data_bytes_ = 0;
  std::uint64_t framing_bytes_ = 0;
  std::size_t extension_bytes_ = 0;
  MessageSide side_;
  Phase phase_ = Phase::done;
};

}  // namespace sluice::http
