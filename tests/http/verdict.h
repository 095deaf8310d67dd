// What a parser made of some bytes, as text that can be compared. For tests and fuzz targets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/bytes.h"
#include "proxy/base/check.h"
#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_head_parser.h"

namespace sluice::http {

inline std::string describe(BodyLength body) {
  switch (body.kind) {
    case BodyLength::Kind::none:
      return "none";
    case BodyLength::Kind::known:
      return "known " + std::to_string(body.bytes);
    case BodyLength::Kind::chunked:
      return "chunked";
    case BodyLength::Kind::until_close:
      return "until_close";
    case BodyLength::Kind::tunnel:
      return "tunnel";
  }
  return "?";
}

inline std::string describe(const Fields& fields) {
  std::string text;
  for (const Field field : fields) {
    text.append("[").append(field.name).append("|").append(field.value).append("]");
  }
  return text;
}

inline std::string describe(const RequestHead& head) {
  return head.method_text + " " + head.target + " at '" + head.authority + "' " +
         (head.version == Version::http_1_1 ? "1.1" : "1.0") + " body " + describe(head.body) +
         (head.keep_alive ? " keep" : " close") + (head.expects_continue ? " expect" : "") +
         (head.protocol.empty() ? "" : " to " + head.protocol) + " " + describe(head.fields);
}

inline std::string describe(const ResponseHead& head) {
  return std::to_string(head.status) + " '" + head.reason + "' " +
         (head.version == Version::http_1_1 ? "1.1" : "1.0") + " body " + describe(head.body) +
         (head.keep_alive ? " keep" : " close") + " " + describe(head.fields);
}

inline std::string describe(const ParseError& error) {
  return std::to_string(error.status) + " " + error.reason;
}

// `need_more`, `STATUS reason`, or the head and where it ended.
template <typename Parser, typename Head>
std::string parse_pieces(Parser& parser, const std::vector<std::string_view>& pieces) {
  Head head;
  std::size_t consumed = 0;
  for (const std::string_view piece : pieces) {
    const HeadResult result = parser.consume(as_bytes(piece), head);
    consumed += result.consumed;
    if (result.status == HeadStatus::error) return describe(result.error);
    if (result.status == HeadStatus::done) {
      return describe(head) + " after " + std::to_string(consumed);
    }
    SLUICE_CHECK(result.consumed == piece.size());
  }
  return "need_more";
}

inline std::string request_verdict(const std::vector<std::string_view>& pieces,
                                   const HeadLimits& limits = {}) {
  H1RequestParser parser(limits);
  return parse_pieces<H1RequestParser, RequestHead>(parser, pieces);
}

inline std::string response_verdict(const std::vector<std::string_view>& pieces, Method method,
                                    const HeadLimits& limits = {}, bool upgrade_asked = false) {
  H1ResponseParser parser(limits);
  parser.reset(method, upgrade_asked);
  return parse_pieces<H1ResponseParser, ResponseHead>(parser, pieces);
}

// The data, then how it ended: `done after N [trailers]`, `need_more`, or `STATUS reason`.
inline std::string body_verdict(const std::vector<std::string_view>& pieces, BodyLength length,
                                MessageSide side = MessageSide::request,
                                const HeadLimits& limits = {}) {
  H1BodyDecoder decoder(limits, side);
  decoder.begin(length);
  std::string data;
  std::size_t consumed = 0;
  for (const std::string_view piece : pieces) {
    std::string_view rest = piece;
    for (;;) {
      const H1BodyDecoder::Result result = decoder.consume(as_bytes(rest));
      rest.remove_prefix(result.consumed);
      consumed += result.consumed;
      data += as_text(result.data);
      if (result.status == H1BodyDecoder::Status::need_more) break;
      if (result.status == H1BodyDecoder::Status::error) {
        return "'" + data + "' " + describe(result.error);
      }
      if (result.status == H1BodyDecoder::Status::done) {
        SLUICE_CHECK(decoder.data_bytes() == data.size());
        SLUICE_CHECK(decoder.framing_bytes() + decoder.data_bytes() == consumed);
        return "'" + data + "' done after " + std::to_string(consumed) + " " +
               describe(decoder.trailers());
      }
    }
    SLUICE_CHECK(rest.empty());
  }
  return "'" + data + "' need_more";
}

}  // namespace sluice::http
