// HTTP/1 heads from bytes, strictly (RFC 9112 §2–§6; docs/decisions/0005-h1-parser.md says what is
// refused and why).
//
// A connection owns one parser and feeds it whatever arrives; the parser fills a head that the
// caller owns and does no I/O. Input may be split anywhere: the verdict and the head are functions
// of the bytes alone. Between messages a parser holds no memory outside itself.
//
//   parser.reset();
//   HeadResult r = parser.consume(input, head);   // the same head until `done`
//   input = input.subspan(r.consumed);            // what follows a head is its body
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/bytes.h"
#include "proxy/http/h1_line_reader.h"
#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::http {

enum class HeadStatus : std::uint8_t {
  need_more,  // all of the input was consumed
  done,       // consumed up to and including the empty line
  error,      // final until reset(); the connection can't be used for another message
};

struct HeadResult {
  std::size_t consumed = 0;
  HeadStatus status = HeadStatus::need_more;
  ParseError error;  // meaningful with HeadStatus::error
};

// What request and response parsers share: lines, limits, fields, and where in the head they are.
class H1HeadParser {
 public:
  // True while no byte of a message has been seen since reset().
  bool idle() const { return phase_ == Phase::start && lines_.section_bytes() == 0; }

 protected:
  H1HeadParser(const HeadLimits& limits, MessageSide side);
  ~H1HeadParser() = default;
  void restart();
  template <typename OnStart, typename OnEnd>
  HeadResult run(Bytes input, Fields& fields, OnStart on_start, OnEnd on_end);

 private:
  enum class Phase : std::uint8_t { start, fields, done, failed };
  template <typename OnStart, typename OnEnd>
  ParseError on_line(std::string_view line, Fields& fields, OnStart on_start, OnEnd on_end);
  ParseError bad_line(H1LineReader::Status status) const;
  ParseError bad_first_byte(Bytes input) const;

  HeadLimits limits_;
  H1LineReader lines_;
  ParseError failure_;
  MessageSide side_;
  Phase phase_ = Phase::start;
  bool empty_line_skipped_ = false;
};

// The head must be new or cleared when a message begins; its `scheme` is left alone.
// Errors: 400, 414, 417, 431, 501, 505. On `done` the head is whole: authority, target, framing,
// expects_continue and keep_alive are set. On `error` what the head holds is for the log only.
class H1RequestParser : public H1HeadParser {
 public:
  explicit H1RequestParser(const HeadLimits& limits) : H1HeadParser(limits, MessageSide::request) {}
  // Ready for the next message.
  void reset() { restart(); }
  HeadResult consume(Bytes input, RequestHead& head);
};

// The head must be new or cleared when a message begins. Errors: always 502. An interim response
// (1xx, but for 101) is a head of its own: reset() again for the next.
class H1ResponseParser : public H1HeadParser {
 public:
  explicit H1ResponseParser(const HeadLimits& limits)
      : H1HeadParser(limits, MessageSide::response) {}
  // `request_method` decides whether a body follows (h1_framing.h): 2xx to CONNECT opens a tunnel.
  // `upgrade_asked`: the request asked for `websocket`, which a 101 may open; without, 101 is an
  // error.
  void reset(Method request_method, bool upgrade_asked = false) {
    restart();
    request_method_ = request_method;
    may_switch_ = upgrade_asked;
  }
  HeadResult consume(Bytes input, ResponseHead& head);

 private:
  Method request_method_ = Method::get;
  bool may_switch_ = false;
};

}  // namespace sluice::http
