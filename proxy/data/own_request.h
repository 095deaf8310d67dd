// OwnRequest: one request of the proxy's own, a probe or a webhook's call, over the pools and
// connections that exchanges use; with one time for all of it.
//
// Owned by who asks. One request at a time; destroying it gives the request up.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <string>

#include "proxy/base/clock.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/stream.h"
#include "proxy/http/message.h"

namespace sluice::proxy {

class OwnRequest final : private ResponseHandler {
 public:
  struct Call {
    http::RequestHead head;  // its `body` is set here
    std::string body;
    Duration timeout{};  // from now to the answer
    // How much of an answer's body is of use; when there is more, or with 0, the rest is not
    // waited for.
    std::size_t answer_bytes_max = 0;
  };
  struct Response {
    int status = 0;
    std::string body;  // at most answer_bytes_max
    std::optional<std::chrono::seconds> retry_after;
  };
  struct Failure {
    bool ours = false;   // this machine lacks something: nothing is known of the server
    std::string reason;  // a short phrase
  };
  using Result = std::expected<Response, Failure>;
  // May start the next request, and may destroy the OwnRequest.
  using Then = std::move_only_function<void(Result)>;

  explicit OwnRequest(ConnectionHost& host);
  OwnRequest(const OwnRequest&) = delete;
  OwnRequest& operator=(const OwnRequest&) = delete;
  ~OwnRequest();

  // On a new connection. `then` is called once, perhaps from inside. Precondition: !running().
  void start(BackendPool& pool, Call call, Then then);
  bool running() const { return then_ != nullptr; }
  // `then` isn't called any more.
  void cancel();

 private:
  void on_backend_connected() override;
  void on_interim_response(http::ResponseHead&) override {}
  void on_response_head(http::ResponseHead& head) override;
  void on_response_body(Bytes bytes) override;
  void on_response_end(const http::Fields&) override;
  void on_backend_failure(const BackendFailure& failure) override;
  void on_backend_writable() override {}
  void on_timeout();

  void send_body();
  void finish(Result result);

  ConnectionHost& host_;
  io::Timer timeout_;
  BackendStream* stream_ = nullptr;
  Call call_;
  Response response_;
  Then then_;
};

}  // namespace sluice::proxy
