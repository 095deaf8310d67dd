#include "tests/integration/any_client.h"

#include <array>
#include <cstdio>

namespace sluice::integration {

using harness::Fields;
using harness::Outcome;
using harness::Response;

std::string verdict(const Response& response) {
  switch (response.outcome) {
    case Outcome::complete:
      return std::to_string(response.status);
    case Outcome::malformed:
      return "malformed: " + response.error;
    case Outcome::timed_out:
      return "timed out";
    default:
      break;
  }
  if (response.error.starts_with("RST_STREAM ")) return response.error;
  // With the peer's own words behind it.
  constexpr std::string_view kGoAway = "GOAWAY ";
  if (response.error.starts_with(kGoAway)) {
    return response.error.substr(0, response.error.find(' ', kGoAway.size()));
  }
  return "cut";
}

Response AnyClient::request(std::string_view method, std::string_view target, std::string_view body,
                            const Fields& fields) {
  return h2_ ? h2_->request(method, target, body, fields)
             : h1_->request(method, target, body, fields);
}

void AnyClient::begin(std::string_view method, std::string_view target,
                      std::optional<std::uint64_t> length, const Fields& fields) {
  method_ = method;
  Fields all = fields;
  if (length) all.add("content-length", std::to_string(*length));
  if (h2_) {
    stream_ =
        h2_->begin({.method = method_, .target = std::string(target), .fields = all, .end = false});
    told_ = 0;
    h2_->send("");
    return;
  }
  chunked_ = !length;
  if (chunked_) all.add("Transfer-Encoding", "chunked");
  if (!all.has("Host")) all.add("Host", "localhost");
  h1_->send(method_ + " " + std::string(target) + " HTTP/1.1\r\n" + all.text() + "\r\n");
}

bool AnyClient::put(std::string_view bytes) {
  if (h2_) {
    h2_->put(stream_, bytes, false);
    return h2_->sent(stream_);
  }
  if (!chunked_) return h1_->send(bytes);
  std::array<char, 20> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return h1_->send(size.data() + std::string(bytes) + "\r\n");
}

bool AnyClient::end(const Fields& trailers) {
  if (h2_) {
    if (trailers.lines.empty()) {
      h2_->put(stream_, "", true);
    } else {
      h2_->put_trailers(stream_, trailers);
    }
    return h2_->sent(stream_);
  }
  return !chunked_ || h1_->send("0\r\n" + trailers.text() + "\r\n");
}

Response AnyClient::finish() {
  return h2_ ? h2_->finish(stream_) : h1_->read_response({.method = method_});
}

int AnyClient::wait_for_status() {
  if (!h2_) return h1_->read_response({.method = method_, .interim_too = true}).status;
  const auto& response = h2_->response(stream_);
  h2_->wait_until([&] {
    return response.interim.size() > told_ || response.status != 0 || h2_->over(stream_);
  });
  return response.interim.size() > told_ ? response.interim[told_++].status : response.status;
}

void AnyClient::abort() {
  if (!h2_) return h1_->reset();
  h2_->cancel(stream_);
  h2_->send("");
}

}  // namespace sluice::integration
