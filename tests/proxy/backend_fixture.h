// What the tests of connections to servers stand on: a loop on the fake ring that hosts them, the
// exchange's end of a stream, and an HTTP/2 server whose answers the test gives.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/data/backend_pool.h"
#include "proxy/data/client_connection.h"
#include "proxy/data/connection_host.h"
#include "proxy/h2/session.h"
#include "tests/io/fake_network.h"
#include "tests/io/fake_ring.h"
#include "tls/client_session.h"
#include "tls/context.h"
#include "tls/session.h"

namespace sluice::proxy {

class BackendHost final : public ConnectionHost {
 public:
  explicit BackendHost(io::FakeNetwork& network) : loop_(std::make_unique<io::FakeRing>(network)) {}

  io::Loop& loop() override { return loop_; }
  admin::WorkerCounters& counters() override { return counters_; }
  const conf::Timeouts& timeouts() const override { return timeouts_; }
  const conf::Limits& limits() const override { return limits_; }
  std::string_view http_date() override { return "Sat, 21 Nov 2026 08:00:00 GMT"; }
  void client_closed() override {}
  base::IntrusiveList<ClientConnection, IdleClientTag>& idle_clients() override { return idle_; }
  bool draining() const override { return draining_; }
  std::string& scratch() override { return scratch_; }

  io::Loop loop_;
  admin::WorkerCounters counters_;
  conf::Timeouts timeouts_;
  conf::Limits limits_;
  base::IntrusiveList<ClientConnection, IdleClientTag> idle_;
  std::string scratch_;
  bool draining_ = false;
};

// The exchange's end of one stream: writes down what it hears.
class Asker final : public ResponseHandler {
 public:
  void on_backend_connected() override { log += "connected; "; }
  void on_interim_response(http::ResponseHead& head) override {
    log += "interim " + std::to_string(head.status) + "; ";
  }
  void on_response_head(http::ResponseHead& head) override {
    log += "head " + std::to_string(head.status) + "; ";
    response = head;
    if (on_head) on_head();
  }
  void on_response_body(Bytes bytes) override { body += as_text(bytes); }
  void on_response_end(const http::Fields& trailers) override {
    log += "end" + (trailers.empty() ? "" : " " + std::to_string(trailers.size()) + " trailers");
    log += "; ";
    over = true;
  }
  void on_backend_failure(const BackendFailure& what) override {
    failure = what;
    detail = what.detail;
    log += "failed; ";
    over = true;
    if (on_failed) on_failed();
  }
  void on_backend_writable() override { log += "writable; "; }

  BackendStream* stream = nullptr;
  std::string log;
  std::string body;
  http::ResponseHead response;
  std::optional<BackendFailure> failure;
  std::string detail;
  bool over = false;
  std::function<void()> on_head;
  std::function<void()> on_failed;
};

// A scripted end with TLS on it, or without.
class ServerEnd final : private tls::SessionSink {
 public:
  explicit ServerEnd(io::Peer with, const tls::ServerContext* tls = nullptr) : peer(with) {
    if (tls) session_ = std::make_unique<tls::Session>(*tls);
  }
  // What has come since the last call.
  std::string take();
  void write(std::string_view bytes);
  tls::SessionInfo tls() const { return session_->info(); }
  // The other end said goodbye before it went.
  bool closed_cleanly() const { return clean_; }

  io::Peer peer;

 private:
  void on_plaintext(Bytes bytes) override { plain_ += as_text(bytes); }
  void on_ciphertext(Bytes bytes) override { peer.write(as_text(bytes)); }

  std::unique_ptr<tls::Session> session_;
  std::string plain_;
  std::string unsent_;  // until the handshake is done
  bool clean_ = false;
};

// An HTTP/2 server of one address: takes whatever connects, answers when the test says so.
class ScriptedH2Server {
 public:
  struct Request final : h2::StreamHandler {
    void on_response_head(http::ResponseHead&, bool) override {}
    void on_data(Bytes bytes) override { body += as_text(bytes); }
    void on_end(const http::Fields& fields) override {
      ended = true;
      trailers = fields.size();
    }
    void on_writable() override {}
    void on_closed(const h2::Reset* why) override {
      stream = nullptr;
      if (why) reset = why->code;
    }
    void respond(int status, std::string_view text = {}, bool end = true);

    h2::Stream* stream = nullptr;  // null once it is closed
    http::RequestHead head;
    std::string body;
    std::size_t trailers = 0;
    bool ended = false;
    std::optional<h2::ErrorCode> reset;
  };

  class Connection final : public h2::SessionHandler, public h2::Output {
   public:
    Connection(io::Peer peer, std::uint32_t streams_max, const tls::ServerContext* tls);
    void step(TimePoint now);
    h2::StreamHandler* on_request(h2::Stream& stream, http::RequestHead&& head,
                                  bool complete) override;
    void on_refused_request(h2::Stream&, const http::RequestHead&,
                            const http::ParseError& error) override;
    void on_goaway() override {}
    void on_settings() override {}
    void write(Bytes bytes) override { end.write(as_text(bytes)); }
    bool has_room() const override { return true; }

    ServerEnd end;
    io::Peer& peer = end.peer;
    h2::Session session;
    std::deque<Request> requests;
    std::string refused;  // why a request was
    bool broken = false;
  };

  ScriptedH2Server(io::FakeNetwork& network, const Address& address)
      : network_(network), address_(address) {
    network_.listen_scripted(address);
  }
  // Takes in what has come, and sends what was said. Accepts.
  void step();
  std::size_t size() const { return connections_.size(); }
  Connection& operator[](std::size_t index) { return *connections_[index]; }

  std::uint32_t streams_max = 100;
  bool silent = false;  // accepts, and says nothing at all
  std::shared_ptr<const tls::ServerContext> tls;

 private:
  io::FakeNetwork& network_;
  Address address_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

class BackendTest : public testing::Test {
 protected:
  BackendTest();
  ~BackendTest() override;

  void make(conf::HttpVersion protocol);
  void make(const ServerSettings& settings);
  // A context that trusts certificate_, and one that serves it.
  std::shared_ptr<const tls::ClientContext> client_tls(const std::string& alpn) const;
  std::shared_ptr<const tls::ServerContext> server_tls(const std::string& alpn) const;
  // A few turns of the loop and steps of the server.
  void turn(int times = 4);
  void pass(Duration time);
  // Leases and sends a head, and the end if there is no body to come.
  Asker& ask(std::string_view method = "GET", bool complete = true,
             BackendPool::Reuse reuse = BackendPool::Reuse::allowed);
  Asker& ask_within(Duration connect_timeout);
  Asker& ask_for_tunnel(http::RequestHead head);
  http::RequestHead request(std::string_view method, bool complete) const;
  std::uint64_t counted(admin::Count what) const { return host_.counters_.get(what); }

  io::FakeNetwork network_;
  BackendHost host_{network_};
  const Address address_ = *Address::parse("10.0.0.1:80");
  std::shared_ptr<BackendPool> pool_;
  std::deque<Asker> askers_;
  std::string refusal_;
  const tls::SelfSigned certificate_ = tls::make_self_signed({"app.test", "10.0.0.1"}, 1);
  const std::shared_ptr<tls::TicketKeys> ticket_keys_ = tls::make_ticket_keys();
};

class H2BackendTest : public BackendTest {
 protected:
  H2BackendTest() { make(conf::HttpVersion::http2); }
  void turns(int times = 6) {
    for (int i = 0; i < times; ++i) {
      turn(1);
      server_.step();
    }
  }
  // Of the server's n-th connection.
  ScriptedH2Server::Request& at_server(std::size_t connection, std::size_t request) {
    return server_[connection].requests.at(request);
  }

  ScriptedH2Server server_{network_, address_};
};

}  // namespace sluice::proxy
