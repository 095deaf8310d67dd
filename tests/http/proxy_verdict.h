// What the parser of PROXY headers made of some bytes, as text. For tests and fuzz targets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/check.h"
#include "proxy/http/proxy_protocol.h"

namespace sluice::http {

inline std::string describe(const ProxiedAddresses& addresses) {
  if (addresses.source.family == Address::Family::none) return "the connection's own";
  return addresses.source.to_string() + " to " + addresses.destination.to_string();
}

// `need_more`, why it is refused, or the addresses and where the header ended.
inline std::string proxy_verdict(const std::vector<std::string_view>& pieces) {
  ProxyHeaderParser parser;
  std::size_t consumed = 0;
  for (const std::string_view piece : pieces) {
    const ProxyHeaderParser::Result result = parser.consume(as_bytes(piece));
    consumed += result.consumed;
    if (result.status == ProxyHeaderParser::Status::error) return parser.reason();
    if (result.status == ProxyHeaderParser::Status::done) {
      return describe(parser.addresses()) + " after " + std::to_string(consumed);
    }
    SLUICE_CHECK(result.consumed == piece.size());
  }
  return "need_more";
}

}  // namespace sluice::http
