// Request heads: the verdict doesn't depend on how the bytes are split, and what is forwarded reads
// back, by the same strict parser, as the same request.
#include <algorithm>
#include <cstdint>

#include "proxy/base/check.h"
#include "proxy/http/forwarding.h"
#include "tests/fuzz/h1_split.h"

namespace sluice::http {
namespace {

// Small enough that the limits are met too.
constexpr HeadLimits kLimits{
    .request_line_bytes = 256, .field_line_bytes = 256, .head_bytes = 1024, .field_count = 16};

void check_forwarding(const RequestHead& head, bool trusted) {
  if (answered_here(head)) return;
  const ForwardContext context{.client_address = "2001:db8::1",
                               .client_scheme = "https",
                               .client_trusted = trusted,
                               .request_id = "generated-1",
                               .default_host = "default:80"};
  std::string out;
  write_forwarded_request(out, head, context, head.body);

  H1RequestParser parser{HeadLimits{}};
  RequestHead read;
  const HeadResult result = parser.consume(as_bytes(out), read);
  SLUICE_CHECK(result.status == HeadStatus::done);
  SLUICE_CHECK(result.consumed == out.size());
  SLUICE_CHECK(read.method_text == head.method_text);
  SLUICE_CHECK(read.target == head.target);
  SLUICE_CHECK(read.authority == (head.authority.empty() ? "default:80" : head.authority));
  SLUICE_CHECK(read.body.kind == head.body.kind && read.body.bytes == head.body.bytes);
  SLUICE_CHECK(read.expects_continue == head.expects_continue);
  SLUICE_CHECK(read.protocol == head.protocol);
  SLUICE_CHECK(read.keep_alive || head.method == Method::connect);
  SLUICE_CHECK(read.fields.count(FieldId::x_forwarded_for) == 1);
  SLUICE_CHECK(trusted || read.fields.find(FieldId::x_forwarded_for) == context.client_address);
  SLUICE_CHECK(read.fields.count(FieldId::x_request_id) == 1);
  SLUICE_CHECK(read.fields.count(FieldId::upgrade) == (head.protocol.empty() ? 0 : 1));
  for (const FieldId gone : {FieldId::keep_alive, FieldId::proxy_connection,
                             FieldId::http2_settings, FieldId::proxy_authorization}) {
    SLUICE_CHECK(read.fields.count(gone) == 0);
  }
  for (const FieldId kept : {FieldId::cookie, FieldId::authorization, FieldId::content_type}) {
    SLUICE_CHECK(read.fields.count(kept) == head.fields.count(kept));
  }
}

}  // namespace
}  // namespace sluice::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string whole = request_verdict({text}, kLimits);
  for (const auto& pieces : splits_of(text)) {
    SLUICE_CHECK(request_verdict(pieces, kLimits) == whole);
  }
  H1RequestParser parser{kLimits};
  RequestHead head;
  if (parser.consume(sluice::as_bytes(text), head).status == HeadStatus::done) {
    check_forwarding(head, false);
    check_forwarding(head, true);
  }
  return 0;
}
