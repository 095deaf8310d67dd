// How requests to one server share its HTTP/2 connections.
#include "proxy/data/h2_pool.h"

#include <gtest/gtest.h>

#include "tests/proxy/backend_fixture.h"

namespace sluice::proxy {
namespace {

using admin::Count;
using Kind = BackendFailure::Kind;
using Reuse = BackendPool::Reuse;

class H2PoolTest : public H2BackendTest {
 protected:
  // A request that is answered.
  void serve_one() {
    Asker& asker = ask();
    turns();
    at_server(server_.size() - 1, server_[server_.size() - 1].requests.size() - 1).respond(204);
    turns();
    ASSERT_TRUE(asker.over);
  }
};

TEST_F(H2PoolTest, LeasesShareAConnectionThatIsStillConnecting) {
  for (int i = 0; i < 100; ++i) ask();
  turns();
  EXPECT_EQ(server_.size(), 1u);
  EXPECT_EQ(server_[0].requests.size(), 100u);
  EXPECT_EQ(counted(Count::backend_connects), 1u);
}

TEST_F(H2PoolTest, AFurtherConnectionIsMadeOnceNoneHasRoom) {
  host_.limits_.backend_streams = 3;
  for (int i = 0; i < 7; ++i) ask();
  turns();
  ASSERT_EQ(server_.size(), 3u);
  EXPECT_EQ(server_[0].requests.size(), 3u);
  EXPECT_EQ(server_[1].requests.size(), 3u);
  EXPECT_EQ(server_[2].requests.size(), 1u);
}

TEST_F(H2PoolTest, TheConnectionLimitRefuses) {
  host_.limits_.backend_streams = 1;
  host_.limits_.backend_connections = 2;
  ask();
  ask();
  Asker& third = ask();
  EXPECT_EQ(third.stream, nullptr);
  EXPECT_EQ(refusal_, "The server's connection limit is reached.");
}

TEST_F(H2PoolTest, TheServersOwnLimitHolds) {
  server_.streams_max = 2;
  serve_one();
  for (int i = 0; i < 4; ++i) ask();
  turns();
  EXPECT_EQ(server_[0].requests.size(), 3u);
  ASSERT_EQ(server_.size(), 2u);
  EXPECT_EQ(server_[1].requests.size(), 2u);
  // A stream that is over makes room at once.
  at_server(0, 1).respond(204);
  turns();
  Asker& next = ask();
  EXPECT_EQ(next.log, "at once; ");
  turns();
  EXPECT_EQ(server_[0].requests.size(), 4u);
}

TEST_F(H2PoolTest, WhatDoesNotFitOnANewConnectionIsTurnedAwayUnprocessed) {
  server_.streams_max = 2;
  for (int i = 0; i < 5; ++i) ask();
  turns(6);
  int running = 0;
  for (Asker& asker : askers_) {
    if (!asker.failure) {
      ++running;
      continue;
    }
    EXPECT_EQ(asker.failure->kind, Kind::turned_away);
    EXPECT_TRUE(asker.failure->unprocessed);
  }
  EXPECT_EQ(running, 2);
  EXPECT_EQ(server_[0].requests.size(), 2u);
}

TEST_F(H2PoolTest, WhatTheServerTookLastHoldsForConnectionsThatAreNotSetUp) {
  server_.streams_max = 2;
  serve_one();
  for (int i = 0; i < 9; ++i) ask();
  turns(8);
  ASSERT_EQ(server_.size(), 5u);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(server_[i].requests.size(), 2u);
  for (Asker& asker : askers_) EXPECT_FALSE(asker.failure);
}

TEST_F(H2PoolTest, ABurstOnAServerThatTakesFewIsServedWhenItAsksAgain) {
  server_.streams_max = 2;
  for (int i = 0; i < 30; ++i) {
    Asker& asker = ask();
    asker.on_failed = [this, &asker] {
      EXPECT_EQ(asker.failure->kind, Kind::turned_away);
      ask();
    };
  }
  turns(10);
  std::size_t arrived = 0;
  for (std::size_t i = 0; i < server_.size(); ++i) {
    for (auto& each : server_[i].requests) {
      EXPECT_FALSE(each.reset) << "none is sent that the server would have to refuse";
      ++arrived;
    }
  }
  EXPECT_EQ(arrived, 30u);
  EXPECT_EQ(server_.size(), 15u);
  EXPECT_EQ(askers_.size(), 58u) << "each was turned away once at most";
}

TEST_F(H2PoolTest, ConnectionsMadeByOtherSettingsEndWithTheirStreams) {
  host_.limits_.backend_streams = 1;
  ask();
  Asker& running = ask();
  turns();
  at_server(0, 0).respond(204);
  turns();
  Asker& connecting = ask();
  ask();  // on a third
  auto settings = std::make_shared<ServerSettings>();
  settings->protocol = conf::HttpVersion::http2;
  settings->server_name = "another";
  pool_->use_settings(settings);
  turns();
  EXPECT_FALSE(connecting.failure) << "what began by the old settings goes on";
  EXPECT_EQ(ask().log, "") << "a new connection";
  turns();
  ASSERT_EQ(server_.size(), 4u);
  at_server(1, 0).respond(204);
  turns();
  EXPECT_EQ(running.log, "connected; head 204; end; ");
  EXPECT_TRUE(server_[1].peer.saw_end());
  EXPECT_FALSE(server_[3].peer.saw_end());
}

TEST_F(H2PoolTest, NewStreamsGoWhereOthersAreSoThatTheRestCanEnd) {
  host_.limits_.backend_streams = 2;
  for (int i = 0; i < 4; ++i) ask();
  turns();
  ASSERT_EQ(server_.size(), 2u);
  // The second is full last.
  at_server(0, 0).respond(204);
  at_server(0, 1).respond(204);
  turns();
  at_server(1, 0).respond(204);
  turns();
  for (int i = 0; i < 10; ++i) {
    ask();
    turns();
    server_[1].requests.back().respond(204);
    turns();
  }
  EXPECT_EQ(server_[0].requests.size(), 2u);
  EXPECT_EQ(server_[1].requests.size(), 12u);
}

TEST_F(H2PoolTest, AnIdleConnectionEndsAfterItsTime) {
  serve_one();
  pass(host_.timeouts_.backend_idle - std::chrono::seconds(1));
  turns();
  EXPECT_FALSE(server_[0].peer.saw_end());
  serve_one();
  EXPECT_EQ(server_.size(), 1u);
  pass(host_.timeouts_.backend_idle - std::chrono::seconds(1));
  turns();
  EXPECT_FALSE(server_[0].peer.saw_end()) << "its time began anew";
  pass(std::chrono::seconds(2));
  turns();
  EXPECT_TRUE(server_[0].peer.saw_end());
  EXPECT_EQ(counted(Count::backend_connections_closed), 1u);
}

TEST_F(H2PoolTest, IdleConnectionsOfADrainingServerEndAndBusyOnesAfterTheirLastStream) {
  host_.limits_.backend_streams = 1;
  ask();
  ask();
  turns();
  at_server(0, 0).respond(204);
  turns();
  pool_->keep_idle(false);
  turns();
  EXPECT_TRUE(server_[0].peer.saw_end());
  EXPECT_FALSE(server_[1].peer.saw_end());
  at_server(1, 0).respond(204);
  turns();
  EXPECT_TRUE(server_[1].peer.saw_end());
  EXPECT_EQ(askers_[1].log, "connected; head 204; end; ");
}

TEST_F(H2PoolTest, ADrainingHostKeepsNoIdleConnections) {
  ask();
  turns();
  host_.draining_ = true;
  at_server(0, 0).respond(204);
  turns();
  EXPECT_TRUE(server_[0].peer.saw_end());
}

TEST_F(H2PoolTest, AFreshWishIsNotServedByWhatHasBeenIdle) {
  serve_one();
  Asker& first = ask("GET", true, Reuse::fresh);
  Asker& second = ask("GET", true, Reuse::fresh);
  EXPECT_EQ(first.log, "");
  turns();
  ASSERT_EQ(server_.size(), 2u) << "many that wish so share one";
  EXPECT_EQ(server_[1].requests.size(), 2u);
  EXPECT_EQ(second.log, "connected; ");
}

TEST_F(H2PoolTest, AConnectionThatIsSilentForLongIsNotLeasedAgain) {
  serve_one();
  Asker& asker = ask();
  server_.silent = true;
  turns();
  pass(H2Backend::kSilenceMax);
  Asker& other = ask();
  asker.stream->cancel();
  asker.over = true;
  turn();
  server_.silent = false;
  Asker& elsewhere = ask();
  EXPECT_EQ(elsewhere.log, "") << "a new connection";
  turns();
  ASSERT_EQ(server_.size(), 2u);
  // It was alive after all.
  server_[0].requests.back().respond(204);
  turns();
  EXPECT_EQ(other.log, "at once; head 204; end; ");
}

TEST_F(H2PoolTest, ASilentConnectionWithoutStreamsEnds) {
  serve_one();
  Asker& asker = ask();
  server_.silent = true;
  turns();
  pass(H2Backend::kSilenceMax);
  asker.stream->cancel();
  asker.over = true;
  turns();
  EXPECT_TRUE(server_[0].peer.saw_end());
}

TEST_F(H2PoolTest, AClientThatLeavesSoonSaysNothingOfTheServer) {
  serve_one();
  Asker& asker = ask();
  turns();
  asker.stream->cancel();
  asker.over = true;
  turns();
  EXPECT_EQ(ask().log, "at once; ");
}

TEST_F(H2PoolTest, AServerThatDiesUnderManyIsStaleForNoneThatItMayHaveServed) {
  for (int i = 0; i < 10; ++i) ask();
  turns();
  server_[0].peer.reset();
  turns();
  for (Asker& asker : askers_) {
    ASSERT_TRUE(asker.failure);
    EXPECT_EQ(asker.failure->kind, Kind::closed);
  }
  // The next connect is a new one.
  Asker& next = ask();
  turns();
  ASSERT_EQ(server_.size(), 2u);
  at_server(1, 0).respond(204);
  turns();
  EXPECT_EQ(next.log, "connected; head 204; end; ");
}

// Many requests, many connections, everything short, late and reordered.
TEST_F(H2PoolTest, ChaosLosesNothing) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    io::FakeNetwork network(io::FaultPlan::chaos(seed));
    BackendHost host(network);
    host.limits_.backend_streams = 4;
    auto settings = std::make_shared<ServerSettings>();
    settings->protocol = conf::HttpVersion::http2;
    const auto pool = make_pool(host, address_, settings);
    ScriptedH2Server server(network, address_);
    std::deque<Asker> askers;
    for (int i = 0; i < 20; ++i) {
      Asker& asker = askers.emplace_back();
      const auto lease = pool->lease(asker, {});
      ASSERT_NE(lease.stream, nullptr);
      asker.stream = lease.stream;
      lease.stream->send_head(request("GET", true), nullptr);
      lease.stream->send_end({});
    }
    const std::string body(50'000, 'b');
    const auto all_over = [&] {
      return std::ranges::all_of(askers, [](const Asker& asker) { return asker.over; });
    };
    for (int i = 0; i < 20'000 && !all_over(); ++i) {
      host.loop_.turn(host.loop_.now() + std::chrono::milliseconds(1));
      server.step();
      for (std::size_t c = 0; c < server.size(); ++c) {
        for (auto& each : server[c].requests) {
          if (each.ended && each.stream && each.trailers == 0) {
            each.respond(200, body);
            each.trailers = 1;  // answered
          }
        }
      }
    }
    EXPECT_TRUE(all_over());
    for (const Asker& asker : askers) EXPECT_EQ(asker.body, body) << asker.log;
    pool->keep_idle(false);
    for (int i = 0; i < 2'000 && host.loop_.attached() > 0; ++i) {
      host.loop_.turn(host.loop_.now() + std::chrono::milliseconds(100));
      server.step();
    }
    EXPECT_EQ(host.loop_.attached(), 0u);
    EXPECT_EQ(network.check_clean(), "");
  }
}

}  // namespace
}  // namespace sluice::proxy
