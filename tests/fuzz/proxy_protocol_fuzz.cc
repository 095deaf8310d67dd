// PROXY headers: the verdict doesn't depend on how the bytes are split, and what was read is
// written, in either version, so that it reads back as the same.
#include <cstdint>

#include "proxy/base/check.h"
#include "tests/fuzz/h1_split.h"
#include "tests/http/proxy_verdict.h"

namespace sluice::http {
namespace {

void check_writing(const ProxiedAddresses& read) {
  for (const ProxyVersion version : {ProxyVersion::v1, ProxyVersion::v2}) {
    std::string first;
    write_proxy_header(first, version, read.source, read.destination);
    ProxyHeaderParser parser;
    const ProxyHeaderParser::Result result = parser.consume(as_bytes(first));
    SLUICE_CHECK(result.status == ProxyHeaderParser::Status::done);
    SLUICE_CHECK(result.consumed == first.size());
    // IPv4-mapped addresses have lost their IPv6 form: what is written again is the same.
    std::string second;
    write_proxy_header(second, version, parser.addresses().source, parser.addresses().destination);
    SLUICE_CHECK(second == first);
  }
}

}  // namespace
}  // namespace sluice::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string whole = proxy_verdict({text});
  for (const auto& pieces : splits_of(text)) SLUICE_CHECK(proxy_verdict(pieces) == whole);
  ProxyHeaderParser parser;
  const auto result = parser.consume(sluice::as_bytes(text));
  SLUICE_CHECK(result.consumed <= kProxyV2BytesMax);
  if (result.status == ProxyHeaderParser::Status::done) check_writing(parser.addresses());
  return 0;
}
