#include "proxy/data/local_service.h"

#include "proxy/http/error_response.h"

namespace sluice::proxy {

// One request that waits for its answer.
class LocalCall final : public RequestHandler {
 public:
  LocalCall(const LocalService& service, http::RequestHead& head, ClientStream& stream)
      : service_(service),
        timer_(io::Timer::calling<&LocalCall::on_timer>(this)),
        head_(head),
        stream_(stream),
        self_(std::make_shared<LocalCall*>(this)) {
    service.loop_.timers().arm(timer_, service.loop_.now() + LocalService::kBodyTime);
  }
  ~LocalCall() override { part(); }

  void serve() {
    received_ = true;
    timer_.cancel();
    service_.handler_(LocalRequest{head_, stream_.client(), std::move(body_)}, Answer(self_));
  }
  // What is known to be too large isn't waited for.
  bool refuse_announced() {
    using Kind = http::BodyLength::Kind;
    if (head_.body.kind != Kind::known || head_.body.bytes <= service_.body_bytes_max_)
      return false;
    refuse_too_large();
    return true;
  }

  void answer(const LocalReply& reply) {
    part();
    http::ResponseHead head;
    head.status = reply.status;
    head.keep_alive = received_;
    head.body = {.kind = http::BodyLength::Kind::known, .bytes = reply.body.size()};
    if (!reply.content_type.empty()) head.fields.append("Content-Type", reply.content_type);
    for (const auto& [name, value] : reply.fields) head.fields.append(name, value);
    head.fields.append("Cache-Control", "no-store");
    send(head, reply.body);
  }

  void on_request_body(Bytes bytes) override {
    if (parted()) return;
    body_.append(as_text(bytes));
    if (body_.size() > service_.body_bytes_max_) refuse_too_large();
  }
  void on_request_end(const http::Fields&) override {
    if (!parted()) serve();
  }
  void on_request_failure(int status, std::string_view reason) override {
    if (!parted()) refuse(status, reason);
  }
  void on_client_gone() override { part(); }
  void on_client_writable() override {}

 private:
  bool parted() const { return *self_ == nullptr; }
  void part() {
    timer_.cancel();
    *self_ = nullptr;
  }
  void on_timer() { refuse(408, "the body did not come in time"); }
  void refuse_too_large() { refuse(413, "the body is larger than this listener takes"); }

  void refuse(int status, std::string_view reason) {
    if (service_.refusal_handler_) {
      answer(service_.refusal_handler_({head_, stream_.client(), status, reason}));
      return;
    }
    part();
    http::ErrorResponse response = http::error_response(status, reason);
    response.head.keep_alive = false;
    send(response.head, response.body);
  }

  void send(http::ResponseHead& head, const std::string& body) {
    if (!received_) head.keep_alive = false;
    // A HEAD has a length and no body.
    if (head_.method == http::Method::head) {
      head.fields.append("Content-Length", std::to_string(body.size()));
      head.body = {};
    }
    stream_.send_head(head, ClientStream::Author::proxy);
    stream_.send_body(as_bytes(body));
    stream_.send_end({});
  }

  const LocalService& service_;
  io::Timer timer_;
  http::RequestHead& head_;
  ClientStream& stream_;
  std::shared_ptr<LocalCall*> self_;  // points to null once the stream has its answer
  std::string body_;
  bool received_ = false;
};

void Answer::operator()(LocalReply reply) const {
  if (*call_) (*call_)->answer(reply);
}

std::unique_ptr<RequestHandler> LocalService::on_request(http::RequestHead& head, bool complete,
                                                         ClientStream& stream) {
  auto call = std::make_unique<LocalCall>(*this, head, stream);
  if (call->refuse_announced()) return call;
  // No body comes before the answer to somebody who asks for a tunnel, and here there are none.
  if (complete || head.asks_for_tunnel()) call->serve();
  return call;
}

void LocalService::on_refused(const http::RequestHead& head, const ClientInfo& client, int status,
                              std::string_view reason) {
  if (refusal_handler_) refusal_handler_({head, client, status, reason});
}

}  // namespace sluice::proxy
