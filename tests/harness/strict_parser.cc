#include "tests/harness/strict_parser.h"

#include <algorithm>
#include <array>

namespace sluice::harness {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// RFC 9110 section 5.6.2.
bool is_token_char(char c) {
  return is_digit(c) || is_alpha(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

// RFC 9110 section 5.5: VCHAR, obs-text, and SP and HTAB between them.
bool is_value_char(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

// RFC 3986: `extra` beside unreserved, sub-delims and whole percent triplets.
bool is_uri_text(std::string_view text, std::string_view extra) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
      i += 2;
    } else if (!is_digit(c) && !is_alpha(c) &&
               std::string_view("-._~!$&'()*+,;=").find(c) == std::string_view::npos &&
               extra.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool is_host(std::string_view text) {
  std::string_view port;
  std::size_t end = text.starts_with('[') ? text.find(']') : text.find(':');
  if (text.starts_with('[')) {
    if (end == std::string_view::npos) return false;
    if (!std::ranges::all_of(text.substr(1, end - 1),
                             [](char c) { return is_hex(c) || c == ':' || c == '.'; })) {
      return false;
    }
    port = text.substr(end + 1);
  } else {
    if (!is_uri_text(text.substr(0, end), "")) return false;
    if (end != std::string_view::npos) port = text.substr(end);
  }
  return port.empty() || (port.front() == ':' && std::ranges::all_of(port.substr(1), is_digit));
}

// Visible form of text in an error.
std::string shown(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 80)) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    }
  }
  return "'" + out + "'";
}

}  // namespace

StrictParser::Event StrictParser::fail(std::string why) {
  state_ = State::failed;
  error_ = std::move(why);
  return Event::failed;
}

bool StrictParser::take_line(std::string_view& input) {
  while (!input.empty()) {
    char c = input.front();
    input.remove_prefix(1);
    if (cr_) {
      if (c != '\n') {
        fail("a CR without a LF after " + shown(line_));
        return false;
      }
      cr_ = false;
      return true;
    }
    if (c == '\r') {
      cr_ = true;
    } else if (c == '\n') {
      fail("a LF without a CR after " + shown(line_));
      return false;
    } else if (line_.size() == kLineMax) {
      fail("a line longer than 128 KiB");
      return false;
    } else {
      line_ += c;
    }
  }
  return false;
}

StrictParser::Event StrictParser::next(std::string_view& input) {
  if (complete_pending_) return message_done();
  while (true) {
    switch (state_) {
      case State::failed:
        return Event::failed;
      case State::length_body:
      case State::chunk_data:
      case State::until_close_body: {
        if (input.empty()) return Event::need_more;
        std::size_t size = input.size();
        if (state_ != State::until_close_body) {
          size = static_cast<std::size_t>(std::min<std::uint64_t>(size, left_));
          left_ -= size;
          if (left_ == 0 && state_ == State::length_body) complete_pending_ = true;
          if (left_ == 0 && state_ == State::chunk_data) state_ = State::chunk_end;
        }
        body_part_ = input.substr(0, size);
        input.remove_prefix(size);
        return Event::body;
      }
      default: {
        if (!take_line(input)) {
          return state_ == State::failed ? Event::failed : Event::need_more;
        }
        Event event = after_line();
        line_.clear();
        if (event != Event::need_more) return event;
      }
    }
  }
}

// A whole line is in line_. need_more: on to the next state.
StrictParser::Event StrictParser::after_line() {
  switch (state_) {
    case State::start_line:
      head_ = {};
      trailers_ = {};
      if (!parse_start_line()) return Event::failed;
      state_ = State::field_line;
      return Event::need_more;
    case State::field_line:
      if (line_.empty()) return head_done();
      return parse_field_line(head_.fields, "field") ? Event::need_more : Event::failed;
    case State::chunk_size:
      if (!parse_chunk_size()) return Event::failed;
      state_ = left_ == 0 ? State::trailer_line : State::chunk_data;
      return Event::need_more;
    case State::chunk_end:
      if (!line_.empty()) return fail("chunk data longer than its size: " + shown(line_));
      state_ = State::chunk_size;
      return Event::need_more;
    case State::trailer_line:
      if (line_.empty()) return check_trailers() ? message_done() : Event::failed;
      return parse_field_line(trailers_, "trailer") ? Event::need_more : Event::failed;
    default:
      return fail("no line was due");
  }
}

bool StrictParser::parse_start_line() {
  return kind_ == Kind::request ? parse_request_line() : parse_status_line();
}

// RFC 9112 section 3: method SP request-target SP HTTP-version.
bool StrictParser::parse_request_line() {
  std::size_t first = line_.find(' ');
  std::size_t last = line_.rfind(' ');
  if (first == std::string::npos || first == last) {
    fail("not a request line: " + shown(line_));
    return false;
  }
  head_.method = line_.substr(0, first);
  head_.target = line_.substr(first + 1, last - first - 1);
  head_.version = line_.substr(last + 1);
  if (!is_token(head_.method)) {
    fail("the method is no token: " + shown(line_));
  } else if (head_.version != "HTTP/1.1") {
    fail("the version is not HTTP/1.1: " + shown(line_));
  } else if (head_.target == "*"
                 ? head_.method != "OPTIONS"
                 : !head_.target.starts_with('/') || !is_uri_text(head_.target, "/?:@")) {
    fail("the target is not in origin form: " + shown(line_));
  }
  return state_ != State::failed;
}

// RFC 9112 section 4: HTTP-version SP status-code SP [ reason-phrase ].
bool StrictParser::parse_status_line() {
  std::string_view line = line_;
  if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) {
    fail("not a status line of HTTP/1.x: " + shown(line));
    return false;
  }
  head_.version = line.substr(0, 8);
  std::string_view code = line.substr(9, 3);
  bool three_digits = code.size() == 3 && std::ranges::all_of(code, is_digit);
  if (!three_digits || line.size() < 13 || line[12] != ' ') {
    fail("no three-digit status and space in the status line: " + shown(line));
    return false;
  }
  head_.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  head_.reason = line.substr(13);
  if (head_.status < 100 || head_.status > 599) {
    fail("a status outside 100 to 599: " + shown(line));
  } else if (!std::ranges::all_of(head_.reason, is_value_char)) {
    fail("control bytes in the reason phrase: " + shown(line));
  }
  return state_ != State::failed;
}

// RFC 9112 section 5; obs-fold and space before the colon fail as names that are no token.
bool StrictParser::parse_field_line(Fields& into, const char* where) {
  std::size_t colon = line_.find(':');
  if (colon == std::string::npos || !is_token(std::string_view(line_).substr(0, colon))) {
    fail(std::string("a ") + where + " line without a proper name: " + shown(line_));
    return false;
  }
  std::string_view value = std::string_view(line_).substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  if (!std::ranges::all_of(value, is_value_char)) {
    fail(std::string("control bytes in a ") + where + " value: " + shown(line_));
    return false;
  }
  into.add(std::string_view(line_).substr(0, colon), value);
  return true;
}

// RFC 9112 section 7.1.
bool StrictParser::parse_chunk_size() {
  std::size_t digits = 0;
  left_ = 0;
  while (digits < line_.size() && is_hex(line_[digits])) {
    char c = line_[digits++];
    int value = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
    left_ = left_ * 16 + static_cast<std::uint64_t>(value);
  }
  if (digits == 0 || digits > 15) {
    fail("not a chunk size: " + shown(line_));
    return false;
  }
  std::string_view rest = std::string_view(line_).substr(digits);
  if (rest.empty()) return true;
  if (rest.front() != ';' || !std::ranges::all_of(rest, is_value_char)) {
    fail("not a chunk extension: " + shown(line_));
    return false;
  }
  ++chunk_extensions_;
  return true;
}

bool StrictParser::says_close() const {
  if (head_.fields.lists("Connection", "close")) return true;
  return head_.version == "HTTP/1.0" && !head_.fields.lists("Connection", "keep-alive");
}

bool StrictParser::check_request_head() {
  const Fields& fields = head_.fields;
  if (fields.count("Host") != 1) {
    fail(std::to_string(fields.count("Host")) + " Host fields where there must be one");
  } else if (!is_host(*fields.get("Host"))) {
    fail("not a Host: " + shown(*fields.get("Host")));
  } else if (fields.has("TE") && !fields.lists("Connection", "TE")) {
    fail("a TE field that Connection does not list");
  } else if (fields.has("Expect") && !equal_ignoring_case(*fields.get("Expect"), "100-continue")) {
    fail("an unknown expectation: " + shown(*fields.get("Expect")));
  }
  return state_ != State::failed;
}

bool StrictParser::check_response_head() {
  const Fields& fields = head_.fields;
  bool bodiless = head_.status < 200 || head_.status == 204;
  if (bodiless && (fields.has("Content-Length") || fields.has("Transfer-Encoding"))) {
    fail("Content-Length or Transfer-Encoding in a " + std::to_string(head_.status));
  } else if (fields.has("Transfer-Encoding") && head_.version == "HTTP/1.0") {
    fail("Transfer-Encoding in HTTP/1.0");
  }
  return state_ != State::failed;
}

// RFC 9112 section 6.3, with everything refused that a sender must not generate.
bool StrictParser::find_framing() {
  std::vector<std::string> codings = head_.fields.all("Transfer-Encoding");
  std::vector<std::string> lengths = head_.fields.all("Content-Length");
  content_length_ = 0;
  framing_ = Framing::none;
  if (codings.size() + lengths.size() > 1) {
    fail("more than one of Content-Length and Transfer-Encoding");
    return false;
  }
  if (!codings.empty()) {
    if (!equal_ignoring_case(codings.front(), "chunked")) {
      fail("a transfer coding other than chunked: " + shown(codings.front()));
      return false;
    }
    framing_ = Framing::chunked;
  } else if (!lengths.empty()) {
    const std::string& text = lengths.front();
    if (text.empty() || text.size() > 18 || !std::ranges::all_of(text, is_digit)) {
      fail("not a Content-Length: " + shown(text));
      return false;
    }
    content_length_ = std::stoull(text);
    framing_ = Framing::length;
  }
  if (kind_ == Kind::response) {
    bool bodiless = head_.status < 200 || head_.status == 204 || head_.status == 304 ||
                    request_method_ == "HEAD";
    if (bodiless) {
      framing_ = Framing::none;
    } else if (framing_ == Framing::none) {
      framing_ = Framing::until_close;
    }
  }
  return true;
}

StrictParser::Event StrictParser::head_done() {
  for (const char* name : {"Keep-Alive", "Proxy-Connection"}) {
    if (head_.fields.has(name)) return fail(std::string("the hop-by-hop field ") + name);
  }
  if (head_.fields.has("Upgrade") && !head_.fields.lists("Connection", "upgrade")) {
    return fail("an Upgrade field that Connection does not list");
  }
  if (!(kind_ == Kind::request ? check_request_head() : check_response_head())) {
    return Event::failed;
  }
  if (!find_framing()) return Event::failed;
  switch (framing_) {
    case Framing::none:
      complete_pending_ = true;
      break;
    case Framing::length:
      left_ = content_length_;
      complete_pending_ = left_ == 0;
      state_ = State::length_body;
      break;
    case Framing::chunked:
      state_ = State::chunk_size;
      break;
    case Framing::until_close:
      state_ = State::until_close_body;
      break;
  }
  return Event::head;
}

// RFC 9110 section 6.5.1: fields that frame, route or modify a message may not come after it.
bool StrictParser::check_trailers() {
  static constexpr std::array<const char*, 11> kForbidden = {"Content-Length", "Transfer-Encoding",
                                                             "Host",           "Trailer",
                                                             "Connection",     "TE",
                                                             "Upgrade",        "Expect",
                                                             "Content-Type",   "Content-Encoding",
                                                             "Authorization"};
  for (const char* name : kForbidden) {
    if (trailers_.has(name)) {
      fail(std::string("a trailer field that must not be one: ") + name);
      return false;
    }
  }
  return true;
}

StrictParser::Event StrictParser::message_done() {
  complete_pending_ = false;
  state_ = State::start_line;
  line_.clear();
  return Event::complete;
}

StrictParser::Event StrictParser::end_of_stream() {
  if (state_ == State::failed) return Event::failed;
  if (complete_pending_ || state_ == State::until_close_body) return message_done();
  if (!mid_message()) return Event::need_more;
  return fail("the stream ended inside a message");
}

}  // namespace sluice::harness
