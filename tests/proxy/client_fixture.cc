#include "tests/proxy/client_fixture.h"

#include "tests/io/fake_ring.h"

namespace sluice::proxy {
namespace {

class ScriptedHandler final : public RequestHandler {
 public:
  explicit ScriptedHandler(std::shared_ptr<Asked> asked) : asked_(std::move(asked)) {}
  ~ScriptedHandler() override { asked_->parted = true; }
  void on_request_body(Bytes bytes) override { asked_->body += as_text(bytes); }
  void on_request_end(const http::Fields& trailers) override {
    asked_->log += "end";
    if (!trailers.empty()) asked_->log += " " + std::to_string(trailers.size()) + " trailers";
    asked_->log += "; ";
  }
  void on_request_failure(int status, std::string_view) override {
    asked_->log += "failure " + std::to_string(status) + "; ";
  }
  void on_client_gone() override { asked_->log += "gone; "; }
  void on_client_writable() override { asked_->log += "writable; "; }

 private:
  std::shared_ptr<Asked> asked_;
};

}  // namespace

std::unique_ptr<RequestHandler> ScriptedService::on_request(http::RequestHead& head, bool complete,
                                                            ClientStream& stream) {
  auto made = std::make_shared<Asked>();
  const ClientInfo& client = stream.client();
  made->head = head.method_text + " " + head.authority + " " + head.target;
  made->peer_ip = client.peer_ip;
  made->log_peer = client.peer.to_string();
  made->local = client.local.to_string();
  made->trusted = client.trusted;
  made->is_tls = client.is_tls;
  if (complete) made->log = "complete; ";
  made->stream = &stream;
  asked.push_back(made);
  if (on_each) on_each(*made);
  return std::make_unique<ScriptedHandler>(made);
}

void ScriptedService::on_refused(const http::RequestHead& head, const ClientInfo& client,
                                 int status, std::string_view reason) {
  refused += std::to_string(status) + " " + head.method_text + " " + std::string(client.peer_ip) +
             " " + std::string(reason) + "; ";
}

http::ResponseHead response(int status, http::BodyLength::Kind kind, std::uint64_t bytes) {
  http::ResponseHead head;
  head.status = status;
  head.body = {kind, bytes};
  if (kind == http::BodyLength::Kind::known) {
    head.fields.append("Content-Length", std::to_string(bytes));
  }
  return head;
}

void answer(Asked& asked, std::string_view body, int status) {
  asked.stream->send_head(response(status, http::BodyLength::Kind::known, body.size()),
                          ClientStream::Author::server);
  asked.stream->send_body(as_bytes(body));
  asked.stream->send_end({});
}

ClientTest::ClientTest() {
  network_.hold_time(true);
  settings_->listener = "http";
  reactor_ = std::make_unique<Reactor>(std::make_unique<io::FakeRing>(network_), counters_,
                                       connections_, config_);
}

ClientTest::~ClientTest() {
  reactor_->drain();
  reactor_->cut_clients();
  for (int i = 0; i < 100 && reactor_->loop().attached() > 0; ++i) turn();
  EXPECT_EQ(network_.check_clean(), "");
  EXPECT_EQ(reactor_->loop().blocks().lent(), 0u);
}

void ClientTest::listen() {
  reactor_->listen("http", io::FileDescriptor(network_.listen(address_)), settings_, service_);
  turn();
}

void ClientTest::use_tls() {
  const tls::SelfSigned made = tls::make_self_signed({"app"}, 1);
  tls::ServerOptions options;
  options.certificate_pem = made.certificate_pem;
  options.key_pem = made.key_pem;
  settings_->tls = tls::ServerContext::make(options, tls::make_ticket_keys()).value();
}

}  // namespace sluice::proxy
