#include "proxy/http/h1_framing.h"

#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

// Transfer-Encoding is accepted as the one word `chunked`; this tells what is wrong with any other.
ParseError refuse_codings(std::string_view value) {
  constexpr std::string_view kChunked = "chunked";
  bool chunked_before = false;
  for (;;) {
    const std::size_t comma = value.find(',');
    const std::string_view coding = trim_white_space(value.substr(0, comma));
    if (!is_token(coding)) return {400, "malformed Transfer-Encoding"};
    const bool is_chunked = equals_ignoring_case(coding, kChunked);
    if (is_chunked && chunked_before) return {400, "chunked twice in Transfer-Encoding"};
    chunked_before = chunked_before || is_chunked;
    if (comma == std::string_view::npos) {
      if (!is_chunked) return {400, "chunked is not the last transfer coding"};
      return {501, "unknown transfer coding"};
    }
    value.remove_prefix(comma + 1);
  }
}

}  // namespace

std::expected<BodyLength, ParseError> framing_of(const Fields& fields, Version version) {
  if (fields.count(FieldId::content_length) > 1) {
    return std::unexpected(ParseError{400, "repeated Content-Length"});
  }
  if (fields.count(FieldId::transfer_encoding) > 1) {
    return std::unexpected(ParseError{400, "repeated Transfer-Encoding"});
  }
  const auto length = fields.find(FieldId::content_length);
  const auto coding = fields.find(FieldId::transfer_encoding);
  if (coding) {
    if (length) return std::unexpected(ParseError{400, "Content-Length with Transfer-Encoding"});
    if (version == Version::http_1_0) {
      return std::unexpected(ParseError{400, "Transfer-Encoding in HTTP/1.0"});
    }
    if (!equals_ignoring_case(*coding, "chunked")) return std::unexpected(refuse_codings(*coding));
    return BodyLength{BodyLength::Kind::chunked};
  }
  if (!length) return BodyLength{};
  const auto bytes = parse_decimal(*length);
  if (!bytes) return std::unexpected(ParseError{400, "malformed Content-Length"});
  return BodyLength{BodyLength::Kind::known, *bytes};
}

std::expected<BodyLength, ParseError> response_body_length(const ResponseHead& head,
                                                           Method request_method) {
  const auto framing = framing_of(head.fields, head.version);
  if (!framing) return std::unexpected(ParseError{502, framing.error().reason});
  const bool connected = request_method == Method::connect && head.status / 100 == 2;
  const bool tunnel = connected || head.status == kSwitchingProtocols;
  if (tunnel || head.is_interim() || head.status == 204) {
    // `Content-Length: 0` is common here, wrong as it is, and leaves nothing to misread.
    if (!framing->is_empty()) {
      return std::unexpected(ParseError{502, connected ? "body announced in an answer to CONNECT"
                                                       : "body announced in 1xx or 204"});
    }
    return BodyLength{tunnel ? BodyLength::Kind::tunnel : BodyLength::Kind::none};
  }
  if (request_method == Method::head || head.status == 304) return BodyLength{};
  if (framing->kind == BodyLength::Kind::none) return BodyLength{BodyLength::Kind::until_close};
  return *framing;
}

}  // namespace sluice::http
