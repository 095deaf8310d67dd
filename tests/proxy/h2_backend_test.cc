// One HTTP/2 connection to a server, against a server that says what the test wants said.
#include "proxy/data/h2_backend.h"

#include <gtest/gtest.h>

#include "proxy/data/websocket.h"
#include "tests/proxy/backend_fixture.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using Kind = BackendFailure::Kind;

TEST_F(H2BackendTest, ARequestAndItsResponseCrossWhole) {
  Asker& asker = ask();
  turns();
  ASSERT_EQ(server_.size(), 1u);
  auto& request = at_server(0, 0);
  EXPECT_EQ(request.head.method_text, "GET");
  EXPECT_EQ(request.head.authority, "app");
  EXPECT_EQ(request.head.target, "/x");
  EXPECT_EQ(request.head.fields.find(http::FieldId::x_forwarded_for), "10.1.1.1");
  EXPECT_TRUE(request.ended) << "END_STREAM comes with the head of a request without a body";
  request.respond(200, "hello");
  turns();
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
  EXPECT_EQ(asker.body, "hello");
  EXPECT_EQ(counted(Count::backend_streams), 1u);
  EXPECT_EQ(counted(Count::backend_streams_reset), 0u);
}

TEST_F(H2BackendTest, AStreamOfAnOpenConnectionIsLeasedConnected) {
  ask();
  turns();
  at_server(0, 0).respond(204);
  turns();
  Asker& next = ask();
  EXPECT_EQ(next.log, "at once; ");
  turns();
  ASSERT_EQ(server_.size(), 1u);
  at_server(0, 1).respond(204);
  turns();
  EXPECT_EQ(next.log, "at once; head 204; end; ");
}

TEST_F(H2BackendTest, AHeadWithoutABodyIsHeldUntilItsStreamEnds) {
  for (const char* method : {"GET", "HEAD"}) {
    for (const bool body : {false, true}) {
      SCOPED_TRACE(std::string(method) + (body ? ", with a body" : ""));
      Asker& asker = ask(method);
      turns();
      auto& request = server_[0].requests.back();
      request.respond(std::string_view(method) == "HEAD" ? 200 : 304, {}, false);
      turns();
      EXPECT_FALSE(asker.over);
      EXPECT_EQ(asker.response.status, 0) << "it would be whole to a client of HTTP/1";
      if (body) request.stream->send_data(as_bytes("body"));
      request.stream->send_end({});
      turns();
      ASSERT_TRUE(asker.over);
      if (body) {
        ASSERT_TRUE(asker.failure);
        EXPECT_EQ(asker.failure->kind, BackendFailure::Kind::bad_response);
        EXPECT_NE(asker.detail, "");
        EXPECT_EQ(asker.response.status, 0);
      } else {
        EXPECT_TRUE(asker.log.ends_with("; end; ")) << asker.log;
      }
    }
  }
  EXPECT_EQ(server_.size(), 1u) << "its connection is none the worse";
}

TEST_F(H2BackendTest, BodiesAndTrailersCrossBothWays) {
  Asker& asker = ask("POST", false);
  turns();
  ASSERT_EQ(asker.log, "connected; ");
  asker.stream->send_body(as_bytes("part one, "));
  turns();
  EXPECT_EQ(at_server(0, 0).body, "part one, ");
  asker.stream->send_body(as_bytes("part two"));
  http::Fields trailers;
  trailers.append("checksum", "1");
  asker.stream->send_end(trailers);
  turns();
  auto& request = at_server(0, 0);
  EXPECT_EQ(request.body, "part one, part two");
  EXPECT_TRUE(request.ended);
  EXPECT_EQ(request.trailers, 1u);
  request.respond(200, "and back", false);
  trailers.append("grpc-status", "0");
  request.stream->send_end(trailers);
  turns();
  EXPECT_EQ(asker.log, "connected; head 200; end 2 trailers; ");
  EXPECT_EQ(asker.body, "and back");
}

TEST_F(H2BackendTest, AnEmptyChunkedRequestEndsWhateverItsTrailers) {
  Asker& plain = ask("POST", false);
  plain.stream->send_end({});
  Asker& with_trailers = ask("POST", false);
  http::Fields trailers;
  trailers.append("checksum", "1");
  with_trailers.stream->send_end(trailers);
  turns();
  EXPECT_TRUE(at_server(0, 0).ended);
  EXPECT_TRUE(at_server(0, 1).ended);
  EXPECT_EQ(at_server(0, 1).trailers, 1u);
}

TEST_F(H2BackendTest, InterimResponsesPass) {
  Asker& asker = ask();
  turns();
  h2::Section hints;
  hints.append(":status", "103");
  at_server(0, 0).stream->send_interim(hints);
  at_server(0, 0).respond(200);
  turns();
  EXPECT_EQ(asker.log, "connected; interim 103; head 200; end; ");
}

TEST_F(H2BackendTest, ASlowServerIsToldInBufferedAndASlowReaderStopsItsStreamOnly) {
  Asker& asker = ask("POST", false);
  turns();
  // More than the server's stream window.
  asker.stream->send_body(as_bytes(std::string(100'000, 'x')));
  at_server(0, 0).stream->pause();
  turns();
  EXPECT_GT(asker.stream->buffered(), 0u);
  asker.stream->notify_when_below(10'000);
  turns();
  EXPECT_EQ(asker.log, "connected; ");
  at_server(0, 0).stream->resume();
  turns(8);
  EXPECT_EQ(asker.log, "connected; writable; ");
  EXPECT_EQ(at_server(0, 0).body.size(), 100'000u);

  asker.stream->pause_response();
  at_server(0, 0).respond(200, std::string(1'000'000, 'y'));
  Asker& other = ask();
  turns(8);
  EXPECT_LE(asker.body.size(), 130 * 1024u) << "no more than the stream's window";
  at_server(0, 1).respond(200, "quick");
  turns(8);
  EXPECT_EQ(other.body, "quick");
  asker.stream->resume_response();
  turns(100);
  EXPECT_EQ(asker.body.size(), 1'000'000u);
}

TEST_F(H2BackendTest, AResponseBeforeTheRequestsEndIsWholeAndEndsTheRequest) {
  Asker& asker = ask("POST", false);
  turns();
  asker.stream->send_body(as_bytes("begun"));
  turns();
  at_server(0, 0).respond(413, "no more");
  turns();
  EXPECT_EQ(asker.log, "connected; head 413; end; ");
  EXPECT_EQ(asker.body, "no more");
  EXPECT_EQ(at_server(0, 0).stream, nullptr) << "the server is told that no more will come";
  // The connection is as good as before.
  EXPECT_EQ(ask().log, "at once; ");
}

TEST_F(H2BackendTest, AServerThatEndsEarlyWithAResetHasAnswered) {
  Asker& asker = ask("POST", false);
  turns();
  auto& request = at_server(0, 0);
  request.respond(200, "enough");
  turns(1);
  if (request.stream) request.stream->reset(h2::ErrorCode::no_error);
  turns();
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
}

TEST_F(H2BackendTest, CancelResetsTheStreamAndNothingElse) {
  Asker& first = ask();
  Asker& second = ask();
  turns();
  first.stream->cancel();
  first.over = true;
  turns();
  EXPECT_EQ(at_server(0, 0).reset, h2::ErrorCode::cancel);
  at_server(0, 1).respond(200);
  turns();
  EXPECT_EQ(second.log, "connected; head 200; end; ");
  EXPECT_EQ(first.log, "connected; ");
}

TEST_F(H2BackendTest, CancelInsideAHandlersCall) {
  Asker& asker = ask();
  asker.on_head = [&] {
    asker.stream->cancel();
    asker.over = true;
  };
  turns();
  at_server(0, 0).respond(200, "never read");
  turns();
  EXPECT_EQ(asker.log, "connected; head 200; ");
  EXPECT_EQ(asker.body, "");
}

TEST_F(H2BackendTest, CancelBeforeTheConnectionIsOpen) {
  Asker& asker = ask();
  Asker& other = ask();
  asker.stream->cancel();
  asker.over = true;
  turns();
  ASSERT_EQ(server_[0].requests.size(), 1u);
  at_server(0, 0).respond(200);
  turns();
  EXPECT_EQ(asker.log, "");
  EXPECT_EQ(other.log, "connected; head 200; end; ");
}

// --- What goes wrong ----------------------------------------------------------------------------

TEST_F(H2BackendTest, AResetIsAFailureThatTheServerMayHaveActedOn) {
  Asker& asker = ask();
  turns();
  at_server(0, 0).stream->reset(h2::ErrorCode::internal_error);
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::closed);
  EXPECT_FALSE(asker.failure->unprocessed);
  EXPECT_FALSE(asker.failure->stale_connection);
  EXPECT_EQ(counted(Count::backend_streams_reset), 1u);
}

TEST_F(H2BackendTest, ARefusedStreamWasNotProcessed) {
  Asker& asker = ask();
  turns();
  at_server(0, 0).stream->reset(h2::ErrorCode::refused_stream);
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::turned_away);
  EXPECT_TRUE(asker.failure->unprocessed);
}

TEST_F(H2BackendTest, AGoawaySparesWhatRunsAndTurnsTheRestAway) {
  Asker& first = ask();
  turns();
  Asker& second = ask();
  server_[0].session.go_away();
  server_.step();  // before the second request reaches it
  turns();
  ASSERT_TRUE(second.failure);
  EXPECT_EQ(second.failure->kind, Kind::turned_away);
  EXPECT_TRUE(second.failure->unprocessed);
  EXPECT_EQ(counted(Count::backend_goaways), 1u);
  // No new streams here.
  Asker& third = ask();
  turns();
  ASSERT_EQ(server_.size(), 2u);
  at_server(1, 0).respond(200);
  at_server(0, 0).respond(200, "goes on");
  turns();
  EXPECT_EQ(first.log, "connected; head 200; end; ");
  EXPECT_EQ(third.log, "connected; head 200; end; ");
  turns();
  EXPECT_TRUE(server_[0].peer.saw_end()) << "it ends with its last stream";
  EXPECT_FALSE(server_[1].peer.saw_end());
}

TEST_F(H2BackendTest, ALostConnectionFailsItsStreams) {
  Asker& answered = ask();
  Asker& waiting = ask();
  turns();
  at_server(0, 0).respond(200, "half", false);
  turns();
  server_[0].peer.reset();
  turns();
  for (Asker* asker : {&answered, &waiting}) {
    ASSERT_TRUE(asker->failure);
    EXPECT_EQ(asker->failure->kind, Kind::closed);
    EXPECT_FALSE(asker->failure->unprocessed);
    EXPECT_FALSE(asker->failure->stale_connection) << "the server was there when they began";
  }
  EXPECT_EQ(answered.log, "connected; head 200; failed; ");
}

TEST_F(H2BackendTest, AConnectionThatDiedIdleIsStaleForWhoeverFindsOut) {
  ask();
  turns();
  at_server(0, 0).respond(200);
  turns();
  Asker& late = ask();
  server_[0].peer.reset();
  turns();
  ASSERT_TRUE(late.failure);
  EXPECT_TRUE(late.failure->stale_connection || late.failure->unprocessed);
  EXPECT_EQ(late.failure->kind, Kind::closed);
}

TEST_F(H2BackendTest, AnOrderlyEndFailsWhatRuns) {
  Asker& asker = ask();
  turns();
  server_[0].peer.finish();
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::closed);
}

TEST_F(H2BackendTest, AMalformedResponseFailsItsStreamOnly) {
  Asker& bad = ask();
  Asker& good = ask();
  turns();
  h2::Section section;
  section.append(":status", "99");
  at_server(0, 0).stream->send_response(section, true);
  at_server(0, 1).respond(200);
  turns();
  ASSERT_TRUE(bad.failure);
  EXPECT_EQ(bad.failure->kind, Kind::bad_response);
  EXPECT_NE(bad.detail, "");
  EXPECT_EQ(good.log, "connected; head 200; end; ");
  EXPECT_EQ(counted(Count::refused_responses), 1u);
}

TEST_F(H2BackendTest, AServerThatSpeaksHttp1IsSaidSo) {
  server_.silent = true;
  Asker& asker = ask();
  turns();
  server_[0].peer.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::bad_response);
  EXPECT_EQ(asker.detail, "The server does not speak HTTP/2.");
  EXPECT_TRUE(server_[0].peer.saw_end());
}

TEST_F(H2BackendTest, AServerThatNeverAcknowledgesSettingsIsLeft) {
  server_.silent = true;
  Asker& asker = ask();
  turns();
  server_[0].peer.write(std::string("\0\0\0\4\0\0\0\0\0", 9));  // SETTINGS of its own
  turns();
  EXPECT_EQ(asker.log, "connected; ");
  pass(std::chrono::seconds(9));
  EXPECT_FALSE(asker.over);
  pass(std::chrono::seconds(2));
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::bad_response);
  EXPECT_FALSE(asker.failure->unprocessed) << "it has been sent";
  EXPECT_EQ(asker.detail, "The server did not acknowledge our SETTINGS.");
  EXPECT_EQ(counted(Count::timeout_h2_settings), 1u);
  // GOAWAY, last stream 0, SETTINGS_TIMEOUT.
  const std::string sent = server_[0].end.take();
  EXPECT_TRUE(sent.ends_with(std::string("\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\4", 17)));
  EXPECT_TRUE(server_[0].peer.saw_end());
}

TEST_F(H2BackendTest, BytesAgainstTheProtocolEndTheConnectionAndSayWhy) {
  Asker& asker = ask();
  turns();
  // DATA on stream 0.
  server_[0].peer.write(std::string("\0\0\1\0\0\0\0\0\0x", 10));
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::bad_response);
  EXPECT_FALSE(asker.failure->unprocessed);
  EXPECT_NE(asker.detail, "");
  EXPECT_TRUE(server_[0].peer.saw_end());
  EXPECT_EQ(ask().log, "") << "a new connection";
}

TEST_F(H2BackendTest, ConnectFailuresReachEveryStreamThatWaits) {
  struct Case {
    int error;
    Kind kind;
  };
  for (const Case& c :
       {Case{ECONNREFUSED, Kind::connect_refused}, Case{EHOSTUNREACH, Kind::connect_failed},
        Case{EACCES, Kind::connect_failed}, Case{EPERM, Kind::connect_failed},
        Case{EMFILE, Kind::no_socket}}) {
    network_.fail_connects(address_, c.error);
    Asker& first = ask();
    Asker& second = ask("POST", false);
    turns();
    for (Asker* asker : {&first, &second}) {
      ASSERT_TRUE(asker->failure) << c.error;
      EXPECT_EQ(asker->failure->kind, c.kind);
      EXPECT_TRUE(asker->failure->unprocessed);
      EXPECT_FALSE(asker->failure->stale_connection);
      EXPECT_EQ(asker->log, "failed; ");
    }
  }
  EXPECT_EQ(counted(Count::backend_connects), 5u);
  EXPECT_EQ(counted(Count::backend_connects_failed), 5u);
  EXPECT_EQ(counted(Count::backend_connections_closed), 0u);
}

TEST_F(H2BackendTest, AConnectThatTakesTooLong) {
  network_.ignore_connects(address_, true);
  Asker& asker = ask();
  turns();
  EXPECT_EQ(asker.log, "");
  pass(std::chrono::seconds(4));
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::connect_timeout);
  EXPECT_TRUE(asker.failure->unprocessed);
  EXPECT_EQ(counted(Count::timeout_connect), 1u);
}

TEST_F(H2BackendTest, ASilentServerIsOneThatCannotBeConnectedTo) {
  server_.silent = true;
  Asker& asker = ask();
  turns();
  EXPECT_EQ(server_.size(), 1u);
  EXPECT_EQ(asker.log, "") << "its SETTINGS are not known";
  pass(std::chrono::seconds(4));
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::connect_timeout);
  EXPECT_FALSE(asker.failure->still_connecting);
  EXPECT_TRUE(asker.failure->unprocessed);
}

TEST_F(H2BackendTest, EachWaitsForItsOwnTimeAndTheConnectionForTheLongest) {
  network_.ignore_connects(address_, true);
  Asker& quick = ask_within(std::chrono::seconds(1));
  Asker& patient = ask_within(std::chrono::seconds(10));
  pass(std::chrono::milliseconds(1100));
  ASSERT_TRUE(quick.failure);
  EXPECT_EQ(quick.failure->kind, Kind::connect_timeout);
  EXPECT_TRUE(quick.failure->still_connecting) << "nothing is known of the server";
  EXPECT_TRUE(quick.failure->unprocessed);
  EXPECT_FALSE(patient.over);
  pass(std::chrono::seconds(6));
  Asker& late = ask_within(std::chrono::seconds(10));
  EXPECT_FALSE(patient.over);
  pass(std::chrono::seconds(3));
  for (Asker* asker : {&patient, &late}) {
    ASSERT_TRUE(asker->failure);
    EXPECT_EQ(asker->failure->kind, Kind::connect_timeout);
    EXPECT_FALSE(asker->failure->still_connecting);
  }
  EXPECT_EQ(counted(Count::backend_connects), 1u);
  EXPECT_EQ(counted(Count::backend_connects_failed), 1u);
}

TEST_F(H2BackendTest, AServerThatDiesUnderItsFirstRequestIsNotStale) {
  Asker& asker = ask();
  turns();
  ASSERT_EQ(asker.log, "connected; ");
  server_[0].peer.reset();
  turns();
  ASSERT_TRUE(asker.failure);
  EXPECT_FALSE(asker.failure->stale_connection) << "it may have acted on it";
  EXPECT_FALSE(asker.failure->unprocessed);
}

TEST_F(H2BackendTest, WhoeverFailsMayAskAgainAtOnce) {
  network_.fail_connects(address_, ECONNREFUSED);
  Asker& asker = ask();
  asker.on_failed = [&] {
    network_.fail_connects(address_, 0);
    ask();
  };
  turns();
  ASSERT_EQ(askers_.size(), 2u);
  ASSERT_EQ(server_.size(), 1u);
  at_server(0, 0).respond(200);
  turns();
  EXPECT_EQ(askers_[1].log, "connected; head 200; end; ");
}

// --- TLS ----------------------------------------------------------------------------------------

class H2TlsTest : public H2BackendTest {
 protected:
  void use_tls(const std::string& served_alpn, const std::string& name = "app.test") {
    server_.tls = server_tls(served_alpn);
    make(ServerSettings{
        .protocol = conf::HttpVersion::http2, .tls = client_tls("h2"), .server_name = name});
  }
};

TEST_F(H2TlsTest, SpeaksHttp2InTlsAndResumesItsSession) {
  use_tls("h2");
  Asker& asker = ask();
  turns(12);
  EXPECT_EQ(server_[0].end.tls().alpn, "h2");
  at_server(0, 0).respond(200, "secret");
  turns(8);
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
  EXPECT_EQ(asker.body, "secret");
  EXPECT_EQ(counted(Count::backend_tls_full), 1u);
  pool_->keep_idle(false);
  turns(8);
  EXPECT_TRUE(server_[0].end.closed_cleanly());
  pool_->keep_idle(true);
  ask();
  turns(12);
  ASSERT_EQ(server_.size(), 2u);
  EXPECT_TRUE(server_[1].end.tls().resumed);
  EXPECT_EQ(counted(Count::backend_tls_resumed), 1u);
}

TEST_F(H2TlsTest, ASessionMadeByOtherSettingsIsNotResumed) {
  use_tls("h2");
  Asker& asker = ask();
  turns(12);
  pool_->use_settings(std::make_shared<const ServerSettings>(ServerSettings{
      .protocol = conf::HttpVersion::http2, .tls = client_tls("h2"), .server_name = "other.test"}));
  at_server(0, 0).respond(200);
  turns(8);
  EXPECT_EQ(asker.log, "connected; head 200; end; ");
  EXPECT_TRUE(server_[0].end.closed_cleanly()) << "nobody else is to use it";
  Asker& next = ask();
  turns(12);
  ASSERT_TRUE(next.failure);
  EXPECT_EQ(next.failure->kind, Kind::certificate_refused);
}

TEST_F(H2TlsTest, SettingsOfTheSameContentKeepConnectionsAndSessions) {
  use_tls("h2");
  ask();
  turns(12);
  at_server(0, 0).respond(200);
  turns(8);
  const auto again = [&] {
    return std::make_shared<const ServerSettings>(ServerSettings{
        .protocol = conf::HttpVersion::http2, .tls = client_tls("h2"), .server_name = "app.test"});
  };
  pool_->use_settings(again());
  EXPECT_EQ(ask().log, "at once; ");
  turns(8);
  at_server(0, 1).respond(200);
  pool_->keep_idle(false);
  turns(8);
  pool_->keep_idle(true);
  pool_->use_settings(again());
  ask();
  turns(12);
  ASSERT_EQ(server_.size(), 2u);
  EXPECT_TRUE(server_[1].end.tls().resumed);
}

TEST_F(H2TlsTest, TheServersAddressIsItsNameWithoutAnother) {
  use_tls("h2", "");
  Asker& asker = ask();
  turns(12);
  EXPECT_EQ(asker.log, "connected; ");
}

TEST_F(H2TlsTest, AServerWithoutHttp2InAlpnIsAFailedConnect) {
  use_tls("http/1.1");
  Asker& asker = ask();
  turns(12);
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::tls_failed);
  EXPECT_TRUE(asker.failure->unprocessed);
  EXPECT_EQ(asker.log, "failed; ");
  EXPECT_NE(asker.detail, "");
  EXPECT_EQ(counted(Count::backend_connects_failed), 1u);
  EXPECT_EQ(counted(Count::backend_tls_failed), 1u);
}

TEST_F(H2TlsTest, ACertificateForAnotherNameIsRefused) {
  use_tls("h2", "other.test");
  Asker& asker = ask();
  turns(12);
  ASSERT_TRUE(asker.failure);
  EXPECT_EQ(asker.failure->kind, Kind::certificate_refused);
  EXPECT_TRUE(asker.failure->unprocessed);
  EXPECT_NE(asker.detail.find("ostname mismatch"), std::string::npos) << asker.detail;
}

// --- Tunnels ------------------------------------------------------------------------------------

http::RequestHead websocket(bool with_key) {
  http::RequestHead head;
  head.method_text = "GET";
  head.method = http::Method::get;
  head.authority = "app";
  head.target = "/chat";
  head.protocol = "websocket";
  if (with_key) head.fields.append("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  return head;
}

TEST_F(H2BackendTest, AWebSocketGoesByExtendedConnectAndItsKeyIsAnswered) {
  Asker& asker = ask_for_tunnel(websocket(true));
  turns();
  EXPECT_EQ(asker.log, "connected; ") << "once the server's SETTINGS are known";
  auto& request = at_server(0, 0);
  EXPECT_EQ(request.head.protocol, "websocket");
  EXPECT_FALSE(request.head.fields.has(http::FieldId::sec_websocket_key));
  request.respond(200, {}, false);
  turns();
  EXPECT_EQ(asker.log, "connected; head 101; ");
  EXPECT_EQ(asker.response.fields.find(http::FieldId::sec_websocket_accept),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  asker.stream->send_body(as_bytes("ping"));
  request.stream->send_data(as_bytes("pong"));
  turns();
  EXPECT_EQ(request.body, "ping");
  EXPECT_EQ(asker.body, "pong");
  asker.stream->send_end({});
  turns();
  EXPECT_TRUE(request.ended);
  request.stream->send_end({});
  turns();
  EXPECT_EQ(asker.log, "connected; head 101; end; ");
}

TEST_F(H2BackendTest, AClientWithoutAKeyGetsNoAnswerToOne) {
  Asker& asker = ask_for_tunnel(websocket(false));
  turns();
  at_server(0, 0).respond(200, {}, false);
  turns();
  EXPECT_EQ(asker.log, "connected; head 101; ");
  EXPECT_FALSE(asker.response.fields.has(http::FieldId::sec_websocket_accept));
}

TEST_F(H2BackendTest, ATunnelThatIsRefusedIsAnOrdinaryResponse) {
  Asker& asker = ask_for_tunnel(websocket(true));
  turns();
  at_server(0, 0).respond(403, "no");
  turns();
  EXPECT_EQ(asker.log, "connected; head 403; end; ");
  EXPECT_EQ(asker.body, "no");
  EXPECT_EQ(at_server(0, 0).stream, nullptr);
  EXPECT_NE(at_server(0, 0).reset, h2::ErrorCode::cancel);
}

TEST_F(H2BackendTest, ATunnelThatTheServerEndsIsOver) {
  Asker& asker = ask_for_tunnel(websocket(true));
  turns();
  at_server(0, 0).respond(200, {}, false);
  at_server(0, 0).stream->send_end({});
  turns();
  EXPECT_EQ(asker.log, "connected; head 101; end; ");
  EXPECT_EQ(at_server(0, 0).stream, nullptr);
}

// SETTINGS without ENABLE_CONNECT_PROTOCOL, from a server that says nothing else.
constexpr std::string_view kBareSettings("\0\0\0\4\0\0\0\0\0", 9);

TEST_F(H2BackendTest, AServerWithoutExtendedConnectRefusesTheUpgrade) {
  server_.silent = true;
  Asker& first = ask_for_tunnel(websocket(true));
  turns();
  EXPECT_EQ(first.log, "") << "nothing is known yet";
  server_[0].peer.write(kBareSettings);
  turns();
  ASSERT_TRUE(first.failure);
  EXPECT_EQ(first.failure->kind, Kind::upgrade_refused);
  EXPECT_TRUE(first.failure->unprocessed);
  // The connection is there already.
  Asker& second = ask_for_tunnel(websocket(true));
  EXPECT_EQ(second.log, "at once; ");
  turns();
  ASSERT_TRUE(second.failure);
  EXPECT_EQ(second.failure->kind, Kind::upgrade_refused);
  EXPECT_EQ(server_.size(), 1u);
}

TEST_F(H2BackendTest, ConnectNeedsNothingOfTheServersSettings) {
  server_.silent = true;
  http::RequestHead head;
  head.method_text = "CONNECT";
  head.method = http::Method::connect;
  head.authority = "db:5432";
  Asker& asker = ask_for_tunnel(head);
  turns();
  server_[0].peer.write(kBareSettings);
  turns();
  EXPECT_EQ(asker.log, "connected; ");
}

}  // namespace
}  // namespace sluice::proxy
