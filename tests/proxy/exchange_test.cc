// The exchange between two scripted streams: what it forwards, and what it answers itself.
#include "tests/proxy/exchange_fixture.h"

namespace sluice::proxy {
namespace {

using Kind = BackendFailure::Kind;

TEST_F(ExchangeTest, ForwardsBothWaysAndEnds) {
  begin("POST", false);
  exchange_->on_request_body(as_bytes("hello"));
  http::Fields trailers;
  exchange_->on_request_end(trailers);
  ScriptedBackend& backend = stream(0);
  EXPECT_EQ(backend.log, "POST /x; end; ");
  EXPECT_EQ(backend.body, "hello");
  EXPECT_EQ(running(), 1u);
  respond(backend, 200, "world");
  EXPECT_EQ(client_.log, "head 200; end; ");
  EXPECT_EQ(client_.body, "world");
  EXPECT_EQ(running(), 0u);
  EXPECT_EQ(counters_.get(admin::Count::responses_2xx), 1u);
}

TEST_F(ExchangeTest, NoRouteIsA404AndNoServerA503) {
  begin("GET", true, "other");
  EXPECT_EQ(client_.log, "own 404; end; ");
  exchange_.reset();
  client_.log.clear();
  for (const auto& server : snapshot_->backends[0].servers) server.runtime->up = false;
  begin("GET", true);
  EXPECT_EQ(client_.log, "own 503; end; ");
  EXPECT_EQ(streams(), 0u);
}

TEST_F(ExchangeTest, ARefusedConnectSendsTheRequestElsewhereBodyAndAll) {
  connect_later();
  begin("POST", false);
  exchange_->on_request_body(as_bytes("held"));
  exchange_->on_request_end({});
  ScriptedBackend& first = stream(0);
  EXPECT_EQ(first.body, "") << "nothing of the body before the server is connected";
  fail(first, {.kind = Kind::connect_refused,
               .unprocessed = true,
               .stale_connection = false,
               .detail = {}});
  EXPECT_EQ(failed_, "blue/one; ");
  EXPECT_FALSE(snapshot_->backends[0].servers[0].runtime->up);
  ASSERT_EQ(streams(), 2u);
  ScriptedBackend& second = stream(1);
  second.handler->on_backend_connected();
  EXPECT_EQ(second.log, "POST /x; end; ");
  EXPECT_EQ(second.body, "held");
  respond(second, 201, "");
  EXPECT_EQ(client_.log, "head 201; end; ");
  EXPECT_EQ(counters_.get(admin::Count::retries), 1u);
}

TEST_F(ExchangeTest, WhoeverDidNotWaitForTheConnectionSaysNothingOfTheServer) {
  connect_later();
  begin("GET", true);
  fail(stream(0), {.kind = Kind::connect_timeout,
                   .unprocessed = true,
                   .stale_connection = false,
                   .still_connecting = true,
                   .detail = {}});
  EXPECT_EQ(failed_, "");
  EXPECT_TRUE(snapshot_->backends[0].servers[0].runtime->up);
  EXPECT_EQ(streams(), 2u) << "another server is tried";
}

TEST_F(ExchangeTest, WhenNoServerIsLeftTheAnswerSaysWhyTheLastOneFailed) {
  connect_later();
  begin("GET", true);
  fail(stream(0), {.kind = Kind::connect_refused,
                   .unprocessed = true,
                   .stale_connection = false,
                   .detail = {}});
  fail(stream(1), {.kind = Kind::connect_timeout,
                   .unprocessed = true,
                   .stale_connection = false,
                   .detail = {}});
  EXPECT_EQ(client_.log, "own 504; end; ");
  EXPECT_EQ(counters_.get(admin::Count::retries), 1u);
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, AStaleConnectionRepeatsGetButNeverPost) {
  const BackendFailure stale{
      .kind = Kind::closed, .unprocessed = false, .stale_connection = true, .detail = {}};
  begin("GET", true);
  fail(stream(0), stale);
  EXPECT_EQ(streams(), 2u);
  EXPECT_EQ(failed_, "") << "a server that closed an idle connection has not failed";
  EXPECT_EQ(pools_[1]->reuses, std::vector{BackendPool::Reuse::fresh})
      << "the next idle connection may be as dead";
  respond(stream(1), 200, "");
  exchange_.reset();
  client_.log.clear();
  const std::size_t before = streams();
  begin("POST", true);
  for (const auto& pool : pools_) {
    for (const auto& each : pool->streams) {
      if (each->handler && each->log == "POST /x; end; ") fail(*each, stale);
    }
  }
  EXPECT_EQ(streams(), before + 1);
  EXPECT_EQ(client_.log, "own 502; end; ");
}

TEST_F(ExchangeTest, ACutResponseIsAVisibleAbort) {
  begin("GET", true);
  ScriptedBackend& backend = stream(0);
  http::ResponseHead head;
  head.status = 200;
  backend.handler->on_response_head(head);
  backend.handler->on_response_body(as_bytes("half"));
  fail(backend,
       {.kind = Kind::closed, .unprocessed = false, .stale_connection = false, .detail = {}});
  EXPECT_EQ(client_.log, "head 200; abort; ");
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, WhatBreaksBeforeAnyOfItHasLeftIsA502) {
  begin("GET", true);
  client_.left = false;
  ScriptedBackend& backend = stream(0);
  http::ResponseHead head;
  head.status = 200;
  backend.handler->on_response_head(head);
  backend.handler->on_response_body(as_bytes("half"));
  fail(backend,
       {.kind = Kind::closed, .unprocessed = false, .stale_connection = false, .detail = {}});
  EXPECT_EQ(client_.log, "head 200; taken back; own 502; end; ");
  EXPECT_EQ(streams(), 1u) << "the server has acted on it";
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, ASlowServerPausesTheClientAndASlowClientTheServer) {
  begin("POST", false);
  ScriptedBackend& backend = stream(0);
  exchange_->on_request_body(as_bytes(std::string(101, 'x')));
  EXPECT_TRUE(client_.paused);
  EXPECT_TRUE(backend.notify);
  EXPECT_EQ(backend.low_watermark, 50u) << "half of what the listener lets wait";
  backend.waiting = 0;
  backend.handler->on_backend_writable();
  EXPECT_FALSE(client_.paused);

  http::ResponseHead head;
  head.status = 200;
  backend.handler->on_response_head(head);
  backend.handler->on_response_body(as_bytes(std::string(101, 'y')));
  EXPECT_TRUE(backend.paused);
  EXPECT_TRUE(client_.notify);
  exchange_->on_client_writable();
  EXPECT_FALSE(backend.paused);
  exchange_->on_client_gone();
  EXPECT_EQ(backend.log, "POST /x; cancel; ");
  EXPECT_EQ(running(), 0u);
}

TEST_F(ExchangeTest, InterimResponsesPass) {
  begin("GET", true);
  http::ResponseHead interim;
  interim.status = 103;
  stream(0).handler->on_interim_response(interim);
  EXPECT_EQ(client_.log, "interim 103; ");
  respond(stream(0), 200, "");
  EXPECT_EQ(client_.log, "interim 103; head 200; end; ");
}

TEST_F(ExchangeTest, AnErrorIsAGrpcStatusForThoseWhoSpeakIt) {
  head_.fields.append("content-type", "application/grpc");
  begin("POST", true, "other");
  EXPECT_EQ(client_.log, "own 200; end; ");
  EXPECT_EQ(client_.body, "");
  EXPECT_EQ(counters_.get(admin::Count::responses_4xx), 1u)
      << "what the answer stands for is what is counted";
}

TEST_F(ExchangeTest, EndlessInterimResponsesEnd) {
  begin("GET", true);
  ScriptedBackend& backend = stream(0);
  for (unsigned i = 0; i <= Exchange::kInterimMax && backend.handler; ++i) {
    http::ResponseHead interim;
    interim.status = 102;
    backend.handler->on_interim_response(interim);
  }
  EXPECT_EQ(backend.handler, nullptr);
  EXPECT_TRUE(client_.log.ends_with("own 502; end; ")) << client_.log;
}

TEST_F(ExchangeTest, WhatStopsBeingARequestIsAnsweredWithItsStatus) {
  begin("POST", false);
  exchange_->on_request_failure(400, "bad chunk");
  EXPECT_EQ(client_.log, "own 400 close; end; ");
  EXPECT_EQ(stream(0).log, "POST /x; cancel; ");
}

TEST_F(ExchangeTest, AFullPoolIsA503) {
  for (const auto& pool : pools_) pool->refuse = true;
  begin("GET", true);
  EXPECT_EQ(client_.log, "own 503; end; ");
  EXPECT_EQ(failed_, "") << "our own shortage says nothing about the server";
  EXPECT_EQ(running(), 0u);
}

}  // namespace
}  // namespace sluice::proxy
