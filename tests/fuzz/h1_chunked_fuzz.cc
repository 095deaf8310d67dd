// Chunked bodies: data and verdict don't depend on how the bytes are split, and what was decoded,
// written again as one chunk, decodes to the same.
#include <cstdint>

#include "proxy/base/check.h"
#include "proxy/http/h1_writer.h"
#include "tests/fuzz/h1_split.h"

namespace sluice::http {
namespace {

constexpr HeadLimits kLimits{.field_line_bytes = 64, .head_bytes = 256, .field_count = 8};
constexpr BodyLength kChunked{BodyLength::Kind::chunked};

void check_rewriting(std::string_view text) {
  H1BodyDecoder decoder(kLimits, MessageSide::request);
  decoder.begin(kChunked);
  std::string data;
  for (;;) {
    const H1BodyDecoder::Result result = decoder.consume(as_bytes(text));
    text.remove_prefix(result.consumed);
    data += as_text(result.data);
    if (result.status == H1BodyDecoder::Status::done) break;
    if (result.status != H1BodyDecoder::Status::data) return;
  }
  std::string out;
  if (!data.empty()) {
    write_chunk_header(out, data.size());
    out.append(data).append(kChunkEnd);
  }
  write_last_chunk(out, decoder.trailers());
  SLUICE_CHECK(body_verdict({out}, kChunked) == "'" + data + "' done after " +
                                                    std::to_string(out.size()) + " " +
                                                    describe(decoder.trailers()));
}

}  // namespace
}  // namespace sluice::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string whole = body_verdict({text}, kChunked, MessageSide::request, kLimits);
  for (const auto& pieces : splits_of(text)) {
    SLUICE_CHECK(body_verdict(pieces, kChunked, MessageSide::request, kLimits) == whole);
  }
  check_rewriting(text);
  return 0;
}
