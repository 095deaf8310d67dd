// StrictParser: an HTTP/1.1 message parser that refuses whatever RFC 9112 does not allow a sender
// to generate. It is the tests' second opinion: written byte by byte from the RFC, shares nothing
// with the proxy, and gains nothing from being lenient.
//
// One parser reads the messages of one connection, one after the other. Owned by whoever reads the
// connection. Sans I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/harness/fields.h"

namespace sluice::harness {

class StrictParser {
 public:
  enum class Kind { request, response };
  enum class Event {
    need_more,  // all input is taken, the message goes on
    head,       // head() is whole; the body follows, if framing() says so
    body,       // body_part() holds the next piece of content
    complete,   // the message is over; the next call to next() starts another
    failed,     // error() says why; for good
  };
  enum class Framing { none, length, chunked, until_close };

  struct Head {
    std::string method;   // requests
    std::string target;   // requests
    std::string version;  // `HTTP/1.1`
    int status = 0;       // responses
    std::string reason;   // responses
    Fields fields;
  };

  explicit StrictParser(Kind kind) : kind_(kind) {}

  // Of the request that the next response answers: HEAD has no body whatever its fields say.
  // Call before a response's head; it stays for those after it.
  void set_request_method(std::string_view method) { request_method_ = method; }

  // Takes bytes off the front of `input` up to the next event.
  Event next(std::string_view& input);
  // The peer sent its end of stream. Complete if that ends this message, need_more if no message
  // had begun, otherwise failed: the message is cut short.
  Event end_of_stream();

  const Head& head() const { return head_; }
  Framing framing() const { return framing_; }
  std::uint64_t content_length() const { return content_length_; }
  // Valid until `input`'s bytes go.
  std::string_view body_part() const { return body_part_; }
  const Fields& trailers() const { return trailers_; }
  std::uint64_t chunk_extensions() const { return chunk_extensions_; }
  const std::string& error() const { return error_; }
  // True between the first byte of a message and its last.
  bool mid_message() const { return state_ != State::start_line || !line_.empty() || cr_; }
  bool mid_head() const { return mid_message() && state_ <= State::field_line; }
  // The message says that its connection ends after it.
  bool says_close() const;

 private:
  enum class State {
    start_line,
    field_line,
    length_body,
    until_close_body,
    chunk_size,
    chunk_data,
    chunk_end,
    trailer_line,
    failed,
  };
  static constexpr std::size_t kLineMax = 128 * 1024;

  Event fail(std::string why);
  // nullopt until a whole CRLF-ended line is in line_ (or the parser failed).
  bool take_line(std::string_view& input);
  Event after_line();
  bool parse_start_line();
  bool parse_request_line();
  bool parse_status_line();
  bool parse_field_line(Fields& into, const char* where);
  bool parse_chunk_size();
  bool check_request_head();
  bool check_response_head();
  bool find_framing();
  bool check_trailers();
  Event head_done();
  Event message_done();

  Kind kind_;
  State state_ = State::start_line;
  std::string request_method_ = "GET";
  std::string line_;
  bool cr_ = false;  // the last byte taken was a CR that a LF must follow
  Head head_;
  Fields trailers_;
  Framing framing_ = Framing::none;
  bool complete_pending_ = false;  // the message without a body is over, but head came first
  std::uint64_t content_length_ = 0;
  std::uint64_t left_ = 0;  // of the body or the chunk
  std::uint64_t chunk_extensions_ = 0;
  std::string_view body_part_;
  std::string error_;
};

}  // namespace sluice::harness
