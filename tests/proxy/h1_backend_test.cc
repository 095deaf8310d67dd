// Connections to HTTP/1 servers: what comes before the first request, tunnels, and ends.
#include "proxy/data/h1_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/data/server_connect.h"
#include "proxy/data/websocket.h"
#include "tests/proxy/backend_fixture.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Kind = BackendFailure::Kind;

class H1BackendTest : public BackendTest {
 protected:
  H1BackendTest() {
    network_.listen_scripted(address_);
    make(conf::HttpVersion::http1);
  }
  // Turns, and takes what has come to all servers' ends.
  void turns(int times = 12) {
    for (int i = 0; i < times; ++i) {
      turn(1);
      while (const auto peer = network_.accept(address_)) {
        ends_.push_back({std::make_unique<ServerEnd>(*peer, tls_.get()), {}});
      }
      for (End& each : ends_) each.received += each.end->take();
    }
  }
  void answer(std::size_t connection, std::string_view bytes) {
    ends_.at(connection).end->write(bytes);
    turns();
  }
  std::string received(std::size_t connection) {
    return std::exchange(ends_.at(connection).received, {});
  }
  Asker& ask_for(const ClientInfo* client) {
    Asker& asker = askers_.emplace_back();
    const auto lease = pool_->lease(asker, {.client = client});
    asker.stream = lease.stream;
    const http::ForwardContext context{.client_address = "10.1.1.1", .request_id = "id"};
    lease.stream->send_head(request("GET", true), client ? &context : nullptr);
    lease.stream->send_end({});
    return asker;
  }

  struct End {
    std::unique_ptr<ServerEnd> end;
    std::string received;
  };
  std::vector<End> ends_;
  std::shared_ptr<const tls::ServerContext> tls_;
};

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// --- PROXY headers ------------------------------------------------------------------------------

class H1ProxyHeaderTest : public H1BackendTest {
 protected:
  void send(conf::ProxyProtocol version) {
    make(ServerSettings{.protocol = conf::HttpVersion::http1,
                        .tls = nullptr,
                        .server_name = {},
                        .send_proxy_protocol = version});
    client_.peer = *Address::parse("203.0.113.7:4711");
    client_.local = *Address::parse("198.51.100.1:443");
  }
  ClientInfo client_;
};

TEST_F(H1ProxyHeaderTest, SaysWhoTheClientIsBeforeTheFirstByte) {
  send(conf::ProxyProtocol::v1);
  ask_for(&client_);
  turns();
  EXPECT_THAT(received(0),
              StartsWith("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\nGET /x HTTP/1.1\r\n"));
  send(conf::ProxyProtocol::v2);
  ask_for(&client_);
  turns();
  EXPECT_THAT(received(1), StartsWith(std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14)));
}

TEST_F(H1ProxyHeaderTest, AProbeSpeaksForNobody) {
  send(conf::ProxyProtocol::v2);
  ask_for(nullptr);
  turns();
  EXPECT_THAT(received(0), StartsWith(std::string("\r\n\r\n\0\r\nQUIT\n\x20", 13)));
  send(conf::ProxyProtocol::v1);
  ask_for(nullptr);
  turns();
  EXPECT_THAT(received(1), StartsWith("PROXY UNKNOWN\r\n"));
}

TEST_F(H1ProxyHeaderTest, AConnectionServesOneClientOnly) {
  send(conf::ProxyProtocol::v1);
  Asker& first = ask_for(&client_);
  turns();
  EXPECT_THAT(received(0), HasSubstr("Connection: close\r\n"));
  answer(0, kAnswer);
  EXPECT_EQ(first.log, "connected; head 200; end; ");
  client_.peer = *Address::parse("203.0.113.8:1");
  ask_for(&client_);
  turns();
  ASSERT_EQ(ends_.size(), 2u);
  EXPECT_THAT(received(1), StartsWith("PROXY TCP4 203.0.113.8 "));
  EXPECT_TRUE(ends_[0].end->peer.saw_end());
}

TEST_F(H1BackendTest, WithoutPROXYHeadersConnectionsAreUsedAgain) {
  ask();
  turns();
  answer(0, kAnswer);
  EXPECT_EQ(ask().log, "at once; ");
}

// --- Bytes behind the end of a response
// -----------------------------------------------------------

// In one read with the end: nothing that would make the response whole is handed on.
TEST_F(H1BackendTest, BytesThatComeWithTheEndMakeABadResponse) {
  const struct {
    std::string_view first;
    std::string_view second;
    std::string_view log;
    std::string_view body;
  } cases[] = {
      {"HTTP/1.1 204 X\r\n\r\n!", "", "connected; failed; ", ""},
      {"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n!", "", "connected; failed; ", ""},
      {"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok!", "", "connected; head 200; failed; ", ""},
      {"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\no", "k!", "connected; head 200; failed; ", "o"},
      {"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "0\r\n\r\n!",
       "connected; head 200; failed; ", "ok"},
  };
  std::size_t connection = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.first);
    Asker& asker = ask();
    turns();
    answer(connection, c.first);
    if (!c.second.empty()) answer(connection, c.second);
    EXPECT_EQ(asker.log, c.log);
    EXPECT_EQ(asker.body, c.body);
    ASSERT_TRUE(asker.failure);
    EXPECT_EQ(asker.failure->kind, Kind::bad_response);
    EXPECT_EQ(counted(Count::refused_responses), ++connection);
    EXPECT_TRUE(ends_.at(connection - 1).end->peer.saw_end()) << "not pooled again";
  }
}

// Later, the exchange is over, and only the connection dies.
TEST_F(H1BackendTest, BytesThatComeLaterEndTheConnectionAlone) {
  Asker& asker = ask();
  turns();
  answer(0, kAnswer);
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
  answer(0, "!");
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
  EXPECT_TRUE(ends_[0].end->peer.saw_end());
  EXPECT_EQ(counted(Count::refused_responses), 1u);
  ask();
  turns();
  EXPECT_EQ(ends_.size(), 2u);
}

// --- TLS ----------------------------------------------------------------------------------------

class H1TlsTest : public H1BackendTest {
 protected:
  void use_tls(const std::string& name) {
    tls_ = server_tls("http/1.1");
    make(ServerSettings{
        .protocol = conf::HttpVersion::http1, .tls = client_tls("http/1.1"), .server_name = name});
  }
};

TEST_F(H1TlsTest, ARequestCrossesAndTheNextConnectionResumes) {
  use_tls("app.test");
  Asker& asker = ask();
  turns();
  EXPECT_THAT(received(0), StartsWith("GET /x HTTP/1.1\r\n"));
  answer(0, kAnswer);
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
  pool_->keep_idle(false);
  turns();
  EXPECT_TRUE(ends_[0].end->closed_cleanly()) << "an idle connection ends with close_notify";
  pool_->keep_idle(true);
  ask();
  turns();
  EXPECT_TRUE(ends_.at(1).end->tls().resumed);
  EXPECT_EQ(counted(Count::backend_tls_full), 1u);
  EXPECT_EQ(counted(Count::backend_tls_resumed), 1u);
}

TEST_F(H1TlsTest, NewSettingsBeginNewSessions) {
  use_tls("app.test");
  ask();
  turns();
  answer(0, kAnswer);
  pool_->keep_idle(false);
  turns();
  pool_->use_settings(std::make_shared<const ServerSettings>(
      ServerSettings{.tls = client_tls("http/1.1"), .server_name = "10.0.0.1"}));
  ask();
  turns();
  EXPECT_FALSE(ends_.at(1).end->tls().resumed);
}

TEST_F(H1TlsTest, ASessionMadeByOtherSettingsIsNotResumed) {
  use_tls("app.test");
  Asker& asker = ask();
  turns();
  pool_->use_settings(std::make_shared<const ServerSettings>(
      ServerSettings{.tls = client_tls("http/1.1"), .server_name = "other.test"}));
  answer(0, kAnswer);
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
  EXPECT_TRUE(ends_[0].end->closed_cleanly()) << "nobody else is to use it";
  Asker& next = ask();
  turns();
  ASSERT_TRUE(next.failure);
  EXPECT_EQ(next.failure->kind, Kind::certificate_refused);
}

TEST_F(H1TlsTest, OtherSettingsEndIdleConnectionsAndTheSameKeepThem) {
  use_tls("app.test");
  ask();
  turns();
  answer(0, kAnswer);
  pool_->use_settings(std::make_shared<const ServerSettings>(
      ServerSettings{.tls = client_tls("http/1.1"), .server_name = "app.test"}));
  EXPECT_EQ(ask().log, "at once; ");
  turns();
  answer(0, kAnswer);
  tls::ClientOptions options;
  options.insecure = true;
  options.alpn = {"http/1.1"};
  pool_->use_settings(std::make_shared<const ServerSettings>(
      ServerSettings{.tls = tls::ClientContext::make(options).value(), .server_name = "app.test"}));
  turns();
  EXPECT_TRUE(ends_[0].end->closed_cleanly());
  ask();
  turns();
  EXPECT_FALSE(ends_.at(1).end->tls().resumed);
}

TEST_F(H1TlsTest, WhatHasNoBodyIsSentOnceTheHandshakeIsDone) {
  use_tls("app.test");
  ClientInfo client;
  for (const ClientInfo* of :
       {static_cast<const ClientInfo*>(&client), static_cast<const ClientInfo*>(nullptr)}) {
    SCOPED_TRACE(of ? "a client's request" : "a probe");
    pool_->keep_idle(false);
    Asker& asker = ask_for(of);
    turns();
    EXPECT_THAT(received(ends_.size() - 1), StartsWith("GET /x HTTP/1.1\r\n"));
    answer(ends_.size() - 1, kAnswer);
    EXPECT_EQ(asker.log, "connected; head 200; end; ");
  }
}

TEST(ConnectFailures, WhoRaisedItTellsWhoseCertificateItIsAbout) {
  using Failure = Transport::Failure;
  EXPECT_EQ(connect_failure_kind(Failure::tls, "certificate verify failed"),
            Kind::certificate_refused);
  EXPECT_EQ(connect_failure_kind(Failure::tls, "peer alert: certificate required"),
            Kind::tls_failed);
  EXPECT_EQ(connect_failure_kind(Failure::tls, "wrong version number"), Kind::tls_failed);
}

TEST_F(H1TlsTest, ACertificateForAnotherNameIsAConnectFailure) {
  use_tls("other.test");
  Asker& asker = ask();
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::certificate_refused);
  EXPECT_TRUE(asker.failure->unprocessed);
  EXPECT_THAT(asker.detail, HasSubstr("ostname mismatch"));
  EXPECT_EQ(counted(Count::backend_connects_failed), 1u);
  EXPECT_EQ(counted(Count::backend_connections_closed), 0u);
  EXPECT_EQ(counted(Count::backend_tls_failed), 1u);
}

TEST_F(H1TlsTest, AServerWithoutTlsIsAConnectFailure) {
  use_tls("app.test");
  tls_ = nullptr;
  Asker& asker = ask();
  turns();
  answer(0, "HTTP/1.1 400 Bad Request\r\n\r\n");
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::tls_failed);
  EXPECT_NE(asker.detail, "");
}

TEST_F(H1TlsTest, AServerThatLeavesDuringTheHandshakeIsAConnectFailure) {
  use_tls("app.test");
  tls_ = nullptr;
  Asker& asker = ask();
  turns();
  ends_.at(0).end->peer.finish();
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::tls_failed);
  EXPECT_TRUE(asker.failure->unprocessed);
}

// --- Tunnels ------------------------------------------------------------------------------------

// As it comes from a client of HTTP/2: without a key.
http::RequestHead websocket() {
  http::RequestHead head;
  head.method_text = "GET";
  head.method = http::Method::get;
  head.version = http::Version::http_2;
  head.authority = "app";
  head.target = "/chat";
  head.protocol = "websocket";
  return head;
}

std::string key_in(const std::string& request) {
  constexpr std::string_view kField = "\r\nSec-WebSocket-Key: ";
  const std::size_t at = request.find(kField);
  return at == request.npos ? "" : request.substr(at + kField.size(), 24);
}

std::string switching(std::string_view accept) {
  return "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Accept: " +
         std::string(accept) + "\r\n\r\n";
}

TEST_F(H1BackendTest, AKeyIsMadeForAClientThatHasNoneAndItsAnswerChecked) {
  Asker& asker = ask_for_tunnel(websocket());
  turns();
  const std::string key = key_in(received(0));
  ASSERT_EQ(key.size(), 24u);
  answer(0, switching(websocket_accept_for(key)) + "pong");
  EXPECT_EQ(asker.log, "connected; head 101; ");
  EXPECT_EQ(asker.body, "pong");
  asker.stream->send_body(as_bytes("ping"));
  turns();
  EXPECT_EQ(received(0), "ping");
  asker.stream->send_end({});
  turns();
  EXPECT_TRUE(ends_[0].end->peer.saw_end()) << "the client's half has ended";
  answer(0, "more");
  EXPECT_EQ(asker.body, "pongmore");
  ends_[0].end->peer.finish();
  turns();
  EXPECT_EQ(asker.log, "connected; head 101; end; ");
}

TEST_F(H1BackendTest, AnAnswerToAnotherKeyIsNone) {
  Asker& asker = ask_for_tunnel(websocket());
  turns();
  answer(0, switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::bad_response);
  EXPECT_EQ(asker.log, "connected; failed; ");
  EXPECT_EQ(counted(Count::refused_responses), 1u);
}

TEST_F(H1BackendTest, TheClientsOwnKeyPasses) {
  http::RequestHead head = websocket();
  head.fields.append("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  Asker& asker = ask_for_tunnel(head);
  turns();
  EXPECT_EQ(key_in(received(0)), "dGhlIHNhbXBsZSBub25jZQ==");
  answer(0, switching("which is the client's to judge"));
  EXPECT_EQ(asker.log, "connected; head 101; ");
}

TEST_F(H1BackendTest, ARefusedUpgradeLeavesTheConnectionForOthers) {
  Asker& asker = ask_for_tunnel(websocket());
  turns();
  answer(0, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  EXPECT_EQ(asker.log, "connected; head 403; end; ");
  EXPECT_EQ(asker.body, "no");
  EXPECT_EQ(ask().log, "at once; ");
}

}  // namespace
}  // namespace sluice::proxy
