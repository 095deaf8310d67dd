#include "proxy/h2/head.h"

#include <array>
#include <charconv>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/http/field_rules.h"
#include "proxy/http/h1_framing.h"
#include "proxy/http/path.h"
#include "proxy/http/syntax.h"
#include "proxy/http/target.h"

namespace sluice::h2 {
namespace {

using http::BodyLength;
using http::FieldId;
using http::Method;
using http::ParseError;

constexpr std::string_view kConnect = "CONNECT";

// What a reader keeps of each text between sections.
constexpr std::size_t kKeptBytesMax = 256;

// RFC 9113 §8.2.2.
bool is_connection_specific(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return true;
    default:
      return false;
  }
}

bool is_white_space(char c) {
  return c == ' ' || c == '\t';
}

// nullptr, or what is wrong with it (RFC 9113 §8.2.1).
const char* check_name(std::string_view name) {
  if (name.empty()) return "empty field name";
  if (name.size() > http::Fields::kNameBytesMax) return "field name too long";
  const std::size_t bad = http::token_end(name);
  if (bad < name.size()) {
    if (name[bad] == ':') return "colon in field name";
    return is_white_space(name[bad]) ? "white space in field name" : "bad byte in field name";
  }
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') return "upper case in field name";
  }
  return nullptr;
}

const char* check_value(std::string_view value) {
  if (value.empty()) return nullptr;
  if (is_white_space(value.front()) || is_white_space(value.back())) {
    return "white space around field value";
  }
  if (http::is_field_value(value)) return nullptr;
  if (value.find_first_of("\r\n") != std::string_view::npos) return "line end in field value";
  if (value.find('\0') != std::string_view::npos) return "NUL in field value";
  return "control byte in field value";
}

bool has_white_space(std::string_view value) {
  return value.find_first_of(" \t") != std::string_view::npos;
}

bool is_scheme(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const char lower = http::to_lower(c);
    const bool letter = lower >= 'a' && lower <= 'z';
    if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.') return false;
  }
  const char first = http::to_lower(text.front());
  return first >= 'a' && first <= 'z';
}

}  // namespace

void SectionReader::begin(Kind kind) {
  kind_ = kind;
  fields_.clear();
  for (std::string* text :
       {&method_, &scheme_, &authority_, &path_, &protocol_, &status_, &cookies_}) {
    text->clear();
    if (text->capacity() > kKeptBytesMax) text->shrink_to_fit();
  }
  count_ = 0;
  bytes_ = 0;
  seen_ = 0;
  regular_seen_ = false;
  cookie_seen_ = false;
  cookie_never_indexed_ = false;
}

ParseError SectionReader::refusal(int status, const char* reason, http::HeadBound bound) const {
  return {kind_ == Kind::response ? 502 : status, reason, bound};
}

ParseError SectionReader::add(std::string_view name, std::string_view value, bool never_indexed) {
  bytes_ += name.size() + value.size() + kFieldOverheadBytes;
  if (bytes_ > limits_.head_bytes) {
    return refusal(431, "fields too long in all", http::HeadBound::head_bytes);
  }
  if (name.starts_with(':')) return add_pseudo(name, value);
  if (++count_ > limits_.field_count) {
    return refusal(431, "too many fields", http::HeadBound::field_count);
  }
  return add_regular(name, value, never_indexed);
}

ParseError SectionReader::add_pseudo(std::string_view name, std::string_view value) {
  struct Known {
    std::string_view name;
    Pseudo pseudo;
    std::string SectionReader::*text;
    Kind kind;
  };
  static constexpr auto kKnown = std::to_array<Known>({
      {":path", kPath, &SectionReader::path_, Kind::request},
      {":method", kMethod, &SectionReader::method_, Kind::request},
      {":scheme", kScheme, &SectionReader::scheme_, Kind::request},
      {":authority", kAuthority, &SectionReader::authority_, Kind::request},
      {":protocol", kProtocol, &SectionReader::protocol_, Kind::request},
      {":status", kStatus, &SectionReader::status_, Kind::response},
  });
  if (kind_ == Kind::trailers) return refusal(kMalformed, "pseudo-header field in trailers");
  if (regular_seen_) return refusal(kMalformed, "pseudo-header field behind another field");
  for (const Known& known : kKnown) {
    if (known.kind != kind_ || known.name != name) continue;
    if (has(known.pseudo)) return refusal(kMalformed, "repeated pseudo-header field");
    if (value.empty()) return refusal(kMalformed, "empty pseudo-header field");
    if (const char* problem = check_value(value)) return refusal(kMalformed, problem);
    if (has_white_space(value)) return refusal(kMalformed, "space in pseudo-header field");
    seen_ = static_cast<std::uint8_t>(seen_ | known.pseudo);
    this->*known.text = value;
    return {};
  }
  return refusal(kMalformed, "unknown pseudo-header field");
}

ParseError SectionReader::add_regular(std::string_view name, std::string_view value,
                                      bool never_indexed) {
  regular_seen_ = true;
  if (const char* problem = check_name(name)) return refusal(kMalformed, problem);
  if (const char* problem = check_value(value)) return refusal(kMalformed, problem);
  if (name.size() + value.size() > limits_.field_line_bytes) {
    return refusal(431, "field line too long", http::HeadBound::field_line_bytes);
  }
  const FieldId id = http::field_id(name);
  if (is_connection_specific(id)) return refusal(kMalformed, "field of an HTTP/1 connection");
  if (id == FieldId::te && !http::equals_ignoring_case(value, "trailers")) {
    return refusal(kMalformed, "te other than trailers");
  }
  if (kind_ == Kind::request && http::is_disguised(name)) {
    return {400, "field name disguises another"};
  }
  if (kind_ == Kind::trailers && !http::may_be_trailer({name, value, id})) {
    return refusal(kMalformed, "forbidden trailer field");
  }
  if (id == FieldId::cookie) {
    if (cookie_seen_) cookies_ += "; ";
    cookies_ += value;
    cookie_seen_ = true;
    cookie_never_indexed_ = cookie_never_indexed_ || never_indexed;
    return {};
  }
  fields_.append(name, value, id, never_indexed);
  return {};
}

// Crumbs are one field to whoever comes next (RFC 9113 §8.2.3).
void SectionReader::put_cookies() {
  if (cookie_seen_) fields_.append("cookie", cookies_, FieldId::cookie, cookie_never_indexed_);
}

void SectionReader::salvage(http::RequestHead& head) {
  head.clear();
  head.version = http::Version::http_2;
  head.method_text = method_;
  head.method = http::method_from(method_);
  head.authority = authority_;
  head.target = path_;
  put_cookies();
  cookie_seen_ = false;
  std::swap(head.fields, fields_);
}

// Which pseudo-header fields there must be (RFC 9113 §8.3.1, §8.5; RFC 8441 §4).
ParseError SectionReader::check_form() const {
  if (!has(kMethod)) return {kMalformed, "no :method"};
  if (!http::is_token(method_)) return {kMalformed, "malformed :method"};
  const bool connect = method_ == kConnect;
  if (has(kProtocol) && !connect) return {kMalformed, ":protocol without CONNECT"};
  if (connect && !has(kAuthority)) return {kMalformed, "CONNECT without :authority"};
  if (connect && !has(kProtocol)) {
    if (has(kScheme) || has(kPath)) return {kMalformed, "CONNECT with :scheme or :path"};
    return {};
  }
  if (!has(kScheme)) return {kMalformed, "no :scheme"};
  if (!is_scheme(scheme_)) return {kMalformed, "malformed :scheme"};
  if (!has(kPath)) return {kMalformed, "no :path"};
  return {};
}

ParseError SectionReader::take_authority(http::RequestHead& head) const {
  if (head.fields.count(FieldId::host) > 1) return {400, "repeated Host"};
  const auto host = head.fields.find(FieldId::host);
  if (!has(kAuthority)) {
    if (!host) return {kMalformed, "neither :authority nor Host"};
    head.authority = *host;
  }
  if (head.authority.contains('@')) return {400, "userinfo in :authority"};
  const bool port_required = head.method == Method::connect;
  const char* problem = port_required ? http::check_authority_with_port(head.authority)
                                      : http::check_authority(head.authority);
  if (problem) return {400, problem};
  if (host && !http::equals_ignoring_case(*host, head.authority)) {
    return {400, "Host differs from :authority"};
  }
  http::make_lower(head.authority);
  return {};
}

// RFC 9113 §8.1.1 for the length, RFC 9110 §10.1.1 for expectations.
ParseError SectionReader::take_body(bool complete, http::RequestHead& head) const {
  const bool has_length = head.fields.has(FieldId::content_length);
  if (head.fields.count(FieldId::content_length) > 1) {
    return {kMalformed, "repeated Content-Length"};
  }
  if (head.method == Method::connect || has(kProtocol)) {
    if (has_length) return {400, "Content-Length in a request for a tunnel"};
    if (complete) return {400, "request for a tunnel that ends at once"};
    head.body = {BodyLength::Kind::tunnel};
  } else if (has_length) {
    const auto bytes = http::parse_decimal(*head.fields.find(FieldId::content_length));
    if (!bytes) return {kMalformed, "malformed Content-Length"};
    if (complete && *bytes > 0) return {kMalformed, "body shorter than Content-Length"};
    head.body = {BodyLength::Kind::known, *bytes};
  } else if (!complete) {
    head.body = {BodyLength::Kind::chunked};
  }
  if (head.method == Method::trace && head.body.kind != BodyLength::Kind::none) {
    return {400, "TRACE with a body"};
  }
  if (!head.fields.has(FieldId::expect)) return {};
  for (const http::Field field : head.fields) {
    if (field.id != FieldId::expect) continue;
    if (!http::equals_ignoring_case(field.value, "100-continue")) {
      return {417, "unknown expectation"};
    }
  }
  head.expects_continue = !complete && !head.asks_for_tunnel();
  return {};
}

ParseError SectionReader::finish_request(bool complete, std::string_view scheme,
                                         http::RequestHead& head) {
  salvage(head);
  if (const ParseError error = check_form()) return error;
  if (has(kProtocol)) {
    head.protocol = protocol_;
    http::make_lower(head.protocol);
    head.method = Method::get;
    head.method_text = "GET";
  }
  if (has(kScheme) && !http::equals_ignoring_case(scheme_, scheme)) {
    return {400, ":scheme is not the connection's"};
  }
  if (const ParseError error = take_authority(head)) return error;
  if (has(kPath)) {
    if (head.target.size() > limits_.request_line_bytes) {
      return {414, ":path too long", http::HeadBound::request_line_bytes};
    }
    if (const char* problem = http::normalize_target(head.method, head.target)) {
      return {400, problem};
    }
  }
  if (const ParseError error = take_body(complete, head)) return error;
  if (!head.protocol.empty() && head.protocol != http::kWebSocket) {
    return {501, "unknown :protocol"};
  }
  return {};
}

ParseError SectionReader::finish_response(bool complete, const Asked& asked,
                                          http::ResponseHead& head) {
  head.clear();
  head.version = http::Version::http_2;
  put_cookies();
  std::swap(head.fields, fields_);
  if (!has(kStatus)) return {502, "no :status"};
  const auto status = status_.size() == 3 ? http::parse_decimal(status_) : std::nullopt;
  if (!status) return {502, "malformed :status"};
  if (*status < 100 || *status > 599) return {502, "status out of range"};
  head.status = static_cast<int>(*status);
  if (head.status == http::kSwitchingProtocols) return {502, "101 in HTTP/2"};
  if (head.is_interim() && complete) return {502, "interim response that ends the stream"};
  if (asked.tunnel && head.status / 100 == 2) {
    head.body = {BodyLength::Kind::tunnel};
    if (asked.upgrade) head.status = http::kSwitchingProtocols;
    return {};
  }
  // A tunnel that doesn't open is an ordinary response, to a GET as good as any.
  const Method method = asked.tunnel ? Method::get : asked.method;
  const auto body = http::response_body_length(head, method);
  if (!body) return body.error();
  head.body = *body;
  if (head.body.kind == BodyLength::Kind::until_close) {
    head.body.kind = complete ? BodyLength::Kind::known : BodyLength::Kind::chunked;
  }
  if (complete && head.body.kind == BodyLength::Kind::known && head.body.bytes > 0) {
    return {502, "body shorter than Content-Length"};
  }
  return {};
}

ParseError SectionReader::finish_trailers(http::Fields& trailers) {
  trailers.clear();
  std::swap(trailers, fields_);
  return {};
}

// --- Sections to send ---------------------------------------------------------------------------

namespace {

// A request of the proxy's own goes as it stands, but for what HTTP/2 says otherwise.
void append_own_request_fields(Section& out, const http::RequestHead& head) {
  for (const http::Field field : head.fields) {
    if (is_connection_specific(field.id) || field.id == FieldId::host) continue;
    out.append_lower(field);
  }
  if (head.body.kind != BodyLength::Kind::known || head.fields.has(FieldId::content_length)) return;
  std::array<char, 20> digits;
  const auto last = std::to_chars(digits.begin(), digits.end(), head.body.bytes).ptr;
  out.append("content-length", {digits.data(), last}, FieldId::content_length);
}

std::string_view authority_to_server(const http::RequestHead& head,
                                     const http::ForwardContext* context) {
  if (!head.authority.empty()) return head.authority;
  if (context) return context->default_host;
  return head.fields.find(FieldId::host).value_or(std::string_view{});
}

void append_status(Section& out, int status) {
  if (status == http::kSwitchingProtocols) status = 200;
  SLUICE_CHECK(status >= 100 && status <= 999);
  std::array<char, 3> digits;
  std::to_chars(digits.begin(), digits.end(), status);
  out.append(":status", {digits.data(), digits.size()}, FieldId::other);
}

}  // namespace

void write_request_section(Section& out, const http::RequestHead& head,
                           const http::ForwardContext* context, std::string_view scheme) {
  out.clear();
  const bool upgrade = !head.protocol.empty() && head.asks_for_tunnel();
  const bool connect = head.method == Method::connect;
  out.append(":method", upgrade ? kConnect : std::string_view(head.method_text), FieldId::other);
  if (upgrade) out.append(":protocol", head.protocol, FieldId::other);
  if (!connect) out.append(":scheme", scheme, FieldId::other);
  const std::string_view authority = authority_to_server(head, context);
  if (!authority.empty()) out.append(":authority", authority, FieldId::other);
  if (!connect) out.append(":path", head.target, FieldId::other);
  if (context) {
    http::forward_request_fields(out, head, *context, head.body);
  } else {
    append_own_request_fields(out, head);
  }
}

void write_response_section(Section& out, const http::ResponseHead& head,
                            const http::ClientFraming& framing) {
  out.clear();
  append_status(out, head.status);
  http::forward_response_fields(out, head, framing);
}

void write_own_response_section(Section& out, const http::ResponseHead& head,
                                const http::ClientFraming& framing) {
  out.clear();
  append_status(out, head.status);
  http::own_response_fields(out, head, framing);
}

void write_trailer_section(Section& out, const http::Fields& trailers) {
  out.clear();
  for (const http::Field field : trailers) {
    if (is_connection_specific(field.id) || !http::may_be_trailer(field)) continue;
    out.append_lower(field);
  }
}

}  // namespace sluice::h2
