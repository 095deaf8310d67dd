#include "proxy/http/h1_head_parser.h"

#include "proxy/base/check.h"
#include "proxy/http/connection_options.h"
#include "proxy/http/h1_fields.h"
#include "proxy/http/h1_framing.h"
#include "proxy/http/h1_upgrade.h"
#include "proxy/http/path.h"
#include "proxy/http/syntax.h"
#include "proxy/http/target.h"

namespace sluice::http {
namespace {

constexpr std::size_t kVersionBytes = std::string_view("HTTP/1.1").size();

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// HTTP-version (RFC 9112 §2.3): one that is well formed but unknown is a 505.
ParseError parse_version(std::string_view text, Version& version) {
  if (text == "HTTP/1.1") {
    version = Version::http_1_1;
    return {};
  }
  if (text == "HTTP/1.0") {
    version = Version::http_1_0;
    return {};
  }
  const bool well_formed = text.size() == kVersionBytes && text.starts_with("HTTP/") &&
                           is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
  if (well_formed) return {505, "HTTP version is neither 1.0 nor 1.1"};
  return {400, "malformed HTTP version"};
}

// RFC 9112 §9.3.
bool connection_stays(const ConnectionOptions& options, Version version) {
  return !options.close() && (version == Version::http_1_1 || options.keep_alive());
}

ParseError take_target(RequestHead& head) {
  if (const char* problem = normalize_target(head.method, head.target)) return {400, problem};
  return {};
}

// http://authority/path?query (RFC 9112 §3.2.2).
ParseError parse_absolute_form(std::string_view text, RequestHead& head) {
  const std::size_t scheme_end = text.find("://");
  const std::string_view scheme = text.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos ||
      !(equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "https"))) {
    return {400, "request target is neither a path nor an http(s) URI"};
  }
  const std::string_view after_scheme = text.substr(scheme_end + 3);
  const std::size_t authority_end = after_scheme.find_first_of("/?");
  const std::string_view authority = after_scheme.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos) return {400, "userinfo in request target"};
  if (const char* problem = check_authority(authority)) return {400, problem};
  head.authority = authority;
  if (authority_end == std::string_view::npos) {
    // RFC 9112 §3.2.4 for OPTIONS.
    head.target = head.method == Method::options ? "*" : "/";
    return {};
  }
  if (after_scheme[authority_end] == '?') head.target = "/";
  head.target += after_scheme.substr(authority_end);
  return take_target(head);
}

ParseError parse_target(std::string_view text, RequestHead& head) {
  if (head.method == Method::connect) {
    if (const char* problem = check_authority_with_port(text)) return {400, problem};
    head.authority = text;
    return {};
  }
  if (!text.starts_with('/') && text != "*") return parse_absolute_form(text, head);
  head.target = text;
  return take_target(head);
}

ParseError parse_request_line(std::string_view line, RequestHead& head) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last < first + 2) return {400, "malformed request line"};
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (target.find(' ') != std::string_view::npos) return {400, "malformed request line"};
  if (!is_token(method)) return {400, "malformed method"};
  head.method_text = method;
  head.method = method_from(method);
  if (const ParseError error = parse_version(line.substr(last + 1), head.version)) return error;
  return parse_target(target, head);
}

// Sets the authority, which the target may have set already (RFC 9112 §3.2, §3.2.2).
ParseError take_host(RequestHead& head) {
  if (head.fields.count(FieldId::host) > 1) return {400, "repeated Host"};
  const auto host = head.fields.find(FieldId::host);
  if (!host) {
    if (head.version == Version::http_1_1) return {400, "no Host"};
    make_lower(head.authority);
    return {};
  }
  if (const char* problem = check_authority(*host)) return {400, problem};
  if (head.authority.empty()) {
    head.authority = *host;
  } else if (!equals_ignoring_case(head.authority, *host)) {
    return {400, "Host differs from the request target"};
  }
  make_lower(head.authority);
  return {};
}

// RFC 9110 §10.1.1.
ParseError take_expectations(RequestHead& head) {
  if (!head.fields.has(FieldId::expect)) return {};
  for (const Field field : head.fields) {
    if (field.id != FieldId::expect) continue;
    if (!equals_ignoring_case(field.value, "100-continue")) return {417, "unknown expectation"};
  }
  head.expects_continue = head.version == Version::http_1_1 && !head.asks_for_tunnel() &&
                          head.body.kind != BodyLength::Kind::none;
  return {};
}

ParseError finish_request(RequestHead& head) {
  if (const ParseError error = take_host(head)) return error;
  const auto framing = framing_of(head.fields, head.version);
  if (!framing) return framing.error();
  head.body = *framing;
  if (head.method == Method::trace && head.body.kind != BodyLength::Kind::none) {
    return {400, "TRACE with a body"};
  }
  ConnectionOptions options;
  if (const char* problem = options.read(head.fields)) return {400, problem};
  if (const ParseError error = take_tunnel(head, options)) return error;
  // What follows a refused CONNECT may be meant for the tunnel: it must not be read as a request.
  head.keep_alive = connection_stays(options, head.version) && head.method != Method::connect;
  return take_expectations(head);
}

// HTTP/1.1 SP 3DIGIT SP [reason] (RFC 9112 §4).
ParseError parse_status_line(std::string_view line, ResponseHead& head) {
  constexpr std::size_t kStatusAt = kVersionBytes + 1;
  constexpr std::size_t kReasonAt = kStatusAt + 4;
  if (const ParseError error = parse_version(line.substr(0, kVersionBytes), head.version)) {
    return error;
  }
  const bool well_formed = line.size() >= kReasonAt && line[kStatusAt - 1] == ' ' &&
                           is_digit(line[kStatusAt]) && is_digit(line[kStatusAt + 1]) &&
                           is_digit(line[kStatusAt + 2]) && line[kReasonAt - 1] == ' ';
  if (!well_formed) return {502, "malformed status line"};
  for (std::size_t at = kStatusAt; at < kStatusAt + 3; ++at) {
    head.status = head.status * 10 + (line[at] - '0');
  }
  if (head.status < 100 || head.status > 599) return {502, "status out of range"};
  const std::string_view reason = line.substr(kReasonAt);
  if (!is_field_value(reason)) return {502, "control byte in reason phrase"};
  head.reason = reason;
  return {};
}

ParseError finish_response(ResponseHead& head, Method request_method, bool may_switch) {
  const bool switches = head.status == kSwitchingProtocols;
  if (switches && !may_switch) return {502, "101 without a request to upgrade"};
  const auto body = response_body_length(head, request_method);
  if (!body) return body.error();
  head.body = *body;
  ConnectionOptions options;
  if (const char* problem = options.read(head.fields)) return {502, problem};
  // RFC 9112 §9.6 knows it in final responses only; some readers expect nothing behind it.
  if (head.is_interim() && options.close()) return {502, "close in an interim response"};
  if (switches) {
    if (const ParseError error = check_switch(head, options)) return error;
  }
  head.keep_alive = connection_stays(options, head.version) &&
                    head.body.kind != BodyLength::Kind::until_close &&
                    head.body.kind != BodyLength::Kind::tunnel;
  return {};
}

}  // namespace

H1HeadParser::H1HeadParser(const HeadLimits& limits, MessageSide side)
    : limits_(limits.clamped()), side_(side) {
  restart();
}

void H1HeadParser::restart() {
  lines_.reset(limits_.head_bytes);
  failure_ = {};
  phase_ = Phase::start;
  empty_line_skipped_ = false;
}

ParseError H1HeadParser::bad_line(H1LineReader::Status status) const {
  if (phase_ == Phase::fields) return field_section_error(status);
  switch (status) {
    case H1LineReader::Status::line_too_long:
      return {414, "first line too long", HeadBound::request_line_bytes};
    case H1LineReader::Status::bare_lf:
      return {400, "bare LF in first line"};
    default:
      return field_section_error(status);
  }
}

// What no first line begins with is refused at its first byte: it may have no line end to wait for.
ParseError H1HeadParser::bad_first_byte(Bytes input) const {
  constexpr char kTlsHandshake = 0x16;
  const std::size_t line_begin = empty_line_skipped_ ? std::string_view("\r\n").size() : 0;
  if (phase_ != Phase::start || input.empty() || lines_.section_bytes() != line_begin) return {};
  const char first = as_text(input).front();
  if (side_ == MessageSide::response) {
    return first == 'H' ? ParseError{} : ParseError{502, "not an HTTP response"};
  }
  if (is_tchar(first) || first == '\r' || first == '\n') return {};
  if (first == kTlsHandshake) return {400, "TLS handshake where plain HTTP is spoken"};
  return {400, "not an HTTP request"};
}

template <typename OnStart, typename OnEnd>
ParseError H1HeadParser::on_line(std::string_view line, Fields& fields, OnStart on_start,
                                 OnEnd on_end) {
  if (phase_ == Phase::start) {
    // One empty line before a request: old clients sent it after a body (RFC 9112 §2.2).
    if (line.empty() && side_ == MessageSide::request && !empty_line_skipped_) {
      empty_line_skipped_ = true;
      return {};
    }
    phase_ = Phase::fields;
    SLUICE_CHECK(fields.empty());
    return on_start(line);
  }
  if (!line.empty()) return append_field_line(line, side_, limits_.field_count, fields);
  phase_ = Phase::done;
  return on_end();
}

template <typename OnStart, typename OnEnd>
HeadResult H1HeadParser::run(Bytes input, Fields& fields, OnStart on_start, OnEnd on_end) {
  std::size_t consumed = 0;
  while (phase_ == Phase::start || phase_ == Phase::fields) {
    if ((failure_ = bad_first_byte(input.subspan(consumed)))) {
      phase_ = Phase::failed;
      break;
    }
    const std::size_t line_bytes_max =
        phase_ == Phase::start ? limits_.request_line_bytes : limits_.field_line_bytes;
    const H1LineReader::Result line = lines_.next(input.subspan(consumed), line_bytes_max);
    consumed += line.consumed;
    if (line.status == H1LineReader::Status::need_more) {
      return {consumed, HeadStatus::need_more, {}};
    }
    const ParseError error = line.status == H1LineReader::Status::line
                                 ? on_line(line.text, fields, on_start, on_end)
                                 : bad_line(line.status);
    if (error) {
      failure_ = for_side(side_, error);
      phase_ = Phase::failed;
    }
  }
  lines_.release();
  if (phase_ == Phase::failed) return {consumed, HeadStatus::error, failure_};
  return {consumed, HeadStatus::done, {}};
}

HeadResult H1RequestParser::consume(Bytes input, RequestHead& head) {
  return run(
      input, head.fields, [&](std::string_view line) { return parse_request_line(line, head); },
      [&] { return finish_request(head); });
}

HeadResult H1ResponseParser::consume(Bytes input, ResponseHead& head) {
  return run(
      input, head.fields, [&](std::string_view line) { return parse_status_line(line, head); },
      [&] { return finish_response(head, request_method_, may_switch_); });
}

}  // namespace sluice::http
