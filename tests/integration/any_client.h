// AnyClient: one client connection of either HTTP version, for tests that say the same of both.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/harness/h2_client.h"
#include "tests/harness/http_client.h"

namespace sluice::integration {

// What came of a request, exactly: `200`, `RST_STREAM PROTOCOL_ERROR`, `GOAWAY FRAME_SIZE_ERROR`,
// `cut`, `malformed: …`, `timed out`.
std::string verdict(const harness::Response& response);

class AnyClient {
 public:
  explicit AnyClient(std::unique_ptr<harness::HttpClient> client) : h1_(std::move(client)) {}
  explicit AnyClient(std::unique_ptr<harness::H2Client> client) : h2_(std::move(client)) {}

  harness::Response request(std::string_view method, std::string_view target,
                            std::string_view body = {}, const harness::Fields& fields = {});
  harness::Response get(std::string_view target) { return request("GET", target); }

  // One request in pieces. Without a length the body is chunked, or just DATA.
  void begin(std::string_view method, std::string_view target,
             std::optional<std::uint64_t> length = std::nullopt,
             const harness::Fields& fields = {});
  // False: the peer takes no more.
  bool put(std::string_view bytes);
  bool end(const harness::Fields& trailers = {});
  harness::Response finish();
  // The next interim response's status, or the final one's.
  int wait_for_status();
  // The client gives up this request: RST_STREAM, or RST of its connection.
  void abort();

  harness::HttpClient& h1() { return *h1_; }
  harness::H2Client& h2() { return *h2_; }
  std::uint32_t stream() const { return stream_; }
  bool is_h2() const { return h2_ != nullptr; }

 private:
  std::unique_ptr<harness::HttpClient> h1_;
  std::unique_ptr<harness::H2Client> h2_;
  std::uint32_t stream_ = 0;
  std::size_t told_ = 0;  // interim responses that wait_for_status() has told of
  std::string method_;
  bool chunked_ = false;
};

}  // namespace sluice::integration
