// Response heads: the verdict doesn't depend on how the bytes are split, and what is forwarded to a
// client reads back as the same response, framed as was meant.
#include <cstdint>

#include "proxy/base/check.h"
#include "proxy/http/forwarding.h"
#include "tests/fuzz/h1_split.h"

namespace sluice::http {
namespace {

constexpr HeadLimits kLimits{
    .request_line_bytes = 256, .field_line_bytes = 256, .head_bytes = 1024, .field_count = 16};

struct Asked {
  Method method;
  bool upgrade;
};

void check_forwarding(const ResponseHead& head, Asked asked, Version client_version) {
  const bool switches = head.status == kSwitchingProtocols;
  if ((head.is_interim() || switches) && client_version == Version::http_1_0) return;
  RequestHead request;
  request.method = asked.method;
  request.version = client_version;
  const ClientFraming framing = frame_for_client(request, head, true, "now");
  std::string out;
  write_forwarded_response(out, head, framing);

  H1ResponseParser parser{HeadLimits{}};
  parser.reset(asked.method, asked.upgrade);
  ResponseHead read;
  const HeadResult result = parser.consume(as_bytes(out), read);
  SLUICE_CHECK(result.status == HeadStatus::done);
  SLUICE_CHECK(result.consumed == out.size());
  SLUICE_CHECK(read.status == head.status && read.reason == head.reason);
  SLUICE_CHECK(read.body.kind == framing.body.kind && read.body.bytes == framing.body.bytes);
  SLUICE_CHECK(head.is_interim() || read.keep_alive == framing.keep_alive);
  SLUICE_CHECK(head.is_interim() || read.fields.find(FieldId::date));
  for (const FieldId kept : {FieldId::set_cookie, FieldId::location, FieldId::www_authenticate}) {
    SLUICE_CHECK(read.fields.count(kept) == head.fields.count(kept));
  }
}

}  // namespace
}  // namespace sluice::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Asked asked : {Asked{Method::get, false}, Asked{Method::head, false},
                            Asked{Method::get, true}, Asked{Method::connect, false}}) {
    const std::string whole = response_verdict({text}, asked.method, kLimits, asked.upgrade);
    for (const auto& pieces : splits_of(text)) {
      SLUICE_CHECK(response_verdict(pieces, asked.method, kLimits, asked.upgrade) == whole);
    }
    H1ResponseParser parser{kLimits};
    parser.reset(asked.method, asked.upgrade);
    ResponseHead head;
    if (parser.consume(sluice::as_bytes(text), head).status == HeadStatus::done) {
      check_forwarding(head, asked, Version::http_1_1);
      check_forwarding(head, asked, Version::http_1_0);
    }
  }
  return 0;
}
