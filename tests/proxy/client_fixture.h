// What the tests of clients' connections stand on: a reactor on the fake network, and a service
// that writes down what it is asked and answers when the test says so.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/data/client_connection.h"
#include "proxy/data/reactor.h"
#include "tests/io/fake_network.h"
#include "tls/client_session.h"

namespace sluice::proxy {

// One request as the service heard it, and the way to answer it.
struct Asked {
  std::string head;  // "GET app /x"
  std::string peer_ip;
  std::string log_peer;
  std::string local;
  bool trusted = false;
  bool is_tls = false;
  std::string body;
  std::string
      log;  // "complete", "end", "end 1 trailers", "gone", "writable", each followed by "; "
  ClientStream* stream = nullptr;
  bool parted = false;  // its handler is freed
};

class ScriptedService final : public Service {
 public:
  std::unique_ptr<RequestHandler> on_request(http::RequestHead& head, bool complete,
                                             ClientStream& stream) override;
  void on_refused(const http::RequestHead& head, const ClientInfo& client, int status,
                  std::string_view reason) override;

  std::vector<std::shared_ptr<Asked>> asked;
  std::string refused;  // "400 GET 192.0.2.7 malformed; "
  std::function<void(Asked&)> on_each;
};

// With the Content-Length that belongs to it.
http::ResponseHead response(int status,
                            http::BodyLength::Kind kind = http::BodyLength::Kind::chunked,
                            std::uint64_t bytes = 0);
void answer(Asked& asked, std::string_view body = "hello", int status = 200);

class ClientTest : public testing::Test {
 protected:
  ClientTest();
  ~ClientTest() override;

  void listen();
  void turn() { reactor_->loop().turn(reactor_->loop().now()); }
  void settle() {
    for (int i = 0; i < 20; ++i) turn();
  }
  void use_tls();
  Asked& asked(std::size_t index) { return *service_.asked.at(index); }
  std::uint64_t count(admin::Count what) const { return counters_.get(what); }

  const Address address_ = *Address::parse("10.0.0.1:80");
  std::shared_ptr<conf::Config> config_ = std::make_shared<conf::Config>();
  std::shared_ptr<ConnectionSettings> settings_ = std::make_shared<ConnectionSettings>();
  io::FakeNetwork network_;
  admin::WorkerCounters counters_;
  ConnectionCount connections_;
  ScriptedService service_;
  std::unique_ptr<Reactor> reactor_;
};

// A TLS client whose bytes a test carries.
struct TlsClient final : tls::SessionSink {
  explicit TlsClient(const std::string& name = "app")
      : context(tls::ClientContext::make({.trust_anchors_pem = {},
                                          .insecure = true,
                                          .versions = tls::Versions::tls13,
                                          .alpn = {}})
                    .value()),
        session(*context, name) {}
  void on_plaintext(Bytes bytes) override { plaintext += as_text(bytes); }
  void on_ciphertext(Bytes bytes) override { to_send += as_text(bytes); }

  std::shared_ptr<const tls::ClientContext> context;
  tls::ClientSession session;
  std::string plaintext;
  std::string to_send;
};

// Clients whose bytes the test gives.
class ClientConnectionTest : public ClientTest {
 protected:
  static constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: app\r\n\r\n";

  void wait(Duration by) {
    network_.advance(by);
    settle();
  }
  io::Peer connect(const Address& from = {}) {
    io::Peer peer = network_.connect(address_, from);
    settle();
    return peer;
  }
  void say(io::Peer& peer, std::string_view bytes) {
    peer.write(bytes);
    settle();
  }
  // What has come is taken, and what that brings about is sent.
  tls::Session::Status exchange(io::Peer& peer, TlsClient& client) {
    const auto status = client.session.receive(as_bytes(peer.take()), client);
    say(peer, std::exchange(client.to_send, {}));
    return status;
  }
};

}  // namespace sluice::proxy
