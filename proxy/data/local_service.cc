#include "proxy/data/local_service.h"

#include <algorithm>
#include <utility>

#include "proxy/http/error_response.h"
#include "proxy/http/h1_writer.h"

namespace sluice::proxy {

// One request that waits for its answer.
class LocalCall final : public RequestHandler, private LocalBody::Reader {
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
  void refuse_announced() {
    using Kind = http::BodyLength::Kind;
    if (head_.body.kind == Kind::known && head_.body.bytes > service_.body_bytes_max_) {
      refuse_too_large();
    }
  }

  void answer(const LocalReply& reply) {
    part();
    http::ResponseHead head = make_head(reply);
    head.keep_alive = received_;
    head.body = {.kind = http::BodyLength::Kind::known, .bytes = reply.body.size()};
    send(head, reply.body);
  }

  void answer_in_pieces(const LocalReply& reply, std::unique_ptr<LocalBody> body) {
    part();
    http::ResponseHead head = make_head(reply);
    if (!received_) head.keep_alive = false;
    const bool wants_body = head_.method != http::Method::head;
    if (wants_body) head.body.kind = http::BodyLength::Kind::chunked;
    stream_.send_head(head, ClientStream::Author::proxy);
    if (!wants_body) {
      stream_.send_end({});
      return;
    }
    streamed_ = std::move(body);
    streamed_->begin(*this);
    pump();
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
  void on_client_gone() override {
    part();
    streamed_.reset();
  }
  void on_client_writable() override { pump(); }
  void on_client_ended() override {
    if (!streamed_) return;
    streamed_->on_client_ended();
    pump();
  }

 private:
  bool parted() const { return *self_ == nullptr; }
  void part() {
    timer_.cancel();
    *self_ = nullptr;
  }
  void refuse_too_large() { refuse(413, "the body is larger than this listener takes"); }
  void on_timer() {
    if (streamed_) {
      look_at_client();
    } else {
      refuse(408, "the body did not come in time");
    }
  }

  // --- A streamed answer --------------------------------------------------------------------

  void on_more() override { pump(); }

  // As much as the client has room for.
  void pump() {
    const std::size_t full = stream_.client().stream_buffer_bytes;
    while (streamed_ && stream_.buffered() < full) {
      piece_.clear();
      const bool more_to_come = streamed_->take(piece_, LocalService::kPieceBytes);
      if (!piece_.empty()) stream_.send_body(as_bytes(piece_));
      sent_ += piece_.size();
      if (!more_to_come) {
        streamed_.reset();
        timer_.cancel();
        stream_.send_end({});
        return;
      }
      if (piece_.empty()) break;
    }
    if (!streamed_ || stream_.buffered() == 0) return;
    if (stream_.buffered() >= full) stream_.notify_when_writable();
    if (!timer_.armed()) watch_client();
  }

  void watch_client() {
    taken_ = taken();
    service_.loop_.timers().arm(timer_, service_.loop_.now() + LocalService::kStuckTime);
  }
  void look_at_client() {
    if (stream_.buffered() == 0) return;
    if (taken() > taken_) {
      watch_client();
      return;
    }
    streamed_->on_stuck();
    streamed_.reset();
    stream_.abort();
  }
  std::uint64_t taken() const {
    const std::uint64_t waiting = stream_.buffered();
    return sent_ - std::min(sent_, waiting);
  }

  // --- Answers ------------------------------------------------------------------------------

  static http::ResponseHead make_head(const LocalReply& reply) {
    http::ResponseHead head;
    head.status = reply.status;
    head.reason = http::reason_phrase(reply.status);
    if (!reply.content_type.empty()) head.fields.append("Content-Type", reply.content_type);
    for (const auto& [name, value] : reply.fields) head.fields.append(name, value);
    head.fields.append("Cache-Control", "no-store");
    return head;
  }

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
  io::Timer timer_;  // until the body is whole; then for a client that takes nothing
  http::RequestHead& head_;
  ClientStream& stream_;
  std::shared_ptr<LocalCall*> self_;  // points to null once the stream has its answer
  std::string body_;
  bool received_ = false;
  std::unique_ptr<LocalBody> streamed_;  // there exactly while an answer is streamed
  std::string piece_;
  std::uint64_t sent_ = 0;   // bytes of it, ever
  std::uint64_t taken_ = 0;  // likewise by the client, when it was last looked at
};

void Answer::operator()(LocalReply reply) const {
  if (*call_) (*call_)->answer(reply);
}

void Answer::stream(LocalReply head, std::unique_ptr<LocalBody> body) const {
  if (*call_) (*call_)->answer_in_pieces(head, std::move(body));
}

std::unique_ptr<RequestHandler> LocalService::on_request(http::RequestHead& head, bool complete,
                                                         ClientStream& stream) {
  auto call = std::make_unique<LocalCall>(*this, head, stream);
  // No body comes before the answer to somebody who asks for a tunnel, and here there are none.
  if (complete || head.asks_for_tunnel()) {
    call->serve();
  } else if (auto refused = admission_ ? admission_(head, stream.client()) : std::nullopt) {
    call->answer(*refused);
  } else {
    call->refuse_announced();
  }
  return call;
}

void LocalService::on_refused(const http::RequestHead& head, const ClientInfo& client, int status,
                              std::string_view reason) {
  if (refusal_handler_) refusal_handler_({head, client, status, reason});
}

}  // namespace sluice::proxy
