// Answers that stream (LocalBody), over HTTP/1 and HTTP/2, and the clients of GET /events: scripted
// clients on a fake network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "admin/json_writer.h"
#include "proxy/control/event_streams.h"
#include "proxy/data/local_service.h"
#include "proxy/data/reactor.h"
#include "tests/io/fake_ring.h"
#include "tests/proxy/h2_peer.h"

namespace sluice::proxy {
namespace {

using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

const Address kListen = *Address::parse("10.0.0.1:80");

// A body whose pieces the test puts in.
class ScriptedBody final : public LocalBody {
 public:
  struct Script {
    std::string ready;
    bool over = false;
    bool alive = true;
    int stuck = 0;
    int client_ended = 0;
    std::size_t taken = 0;
    Reader* reader = nullptr;
    void put(std::string_view bytes) {
      ready += bytes;
      reader->on_more();
    }
    void end() {
      over = true;
      reader->on_more();
    }
  };
  explicit ScriptedBody(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~ScriptedBody() override { script_->alive = false; }
  void begin(Reader& reader) override { script_->reader = &reader; }
  bool take(std::string& piece, std::size_t bytes_max) override {
    piece += script_->ready.substr(0, bytes_max);
    script_->ready.erase(0, bytes_max);
    script_->taken += piece.size();
    return !script_->over || !script_->ready.empty();
  }
  void on_stuck() override { ++script_->stuck; }
  void on_client_ended() override {
    ++script_->client_ended;
    script_->over = true;
  }

 private:
  std::shared_ptr<Script> script_;
};

class LocalStreamTest : public testing::Test {
 protected:
  LocalStreamTest() {
    network_.hold_time(true);
    settings_->listener = "admin";
    settings_->http2 = true;
    settings_->timeouts.stream = std::chrono::hours(1);
    reactor_ = std::make_unique<Reactor>(std::make_unique<io::FakeRing>(network_), counters_,
                                         connections_, config_);
    service_ = std::make_unique<LocalService>(
        reactor_->loop(), 1024,
        [this](LocalRequest request, Answer answer) { on_request(request, std::move(answer)); });
    reactor_->listen("admin", io::FileDescriptor(network_.listen(kListen)), settings_, *service_);
    settle();
  }
  ~LocalStreamTest() override {
    if (streams_) streams_->stop();
    reactor_->drain();
    reactor_->cut_clients();
    for (int i = 0; i < 200 && reactor_->loop().attached() > 0; ++i) turn();
    EXPECT_EQ(network_.check_clean(), "");
    EXPECT_EQ(reactor_->loop().blocks().lent(), 0u);
  }

  void on_request(const LocalRequest& request, Answer answer) {
    if (streams_) {
      admin::Follow follow{.start = bus_->log().oldest(), .types = admin::EventTypes::all()};
      follow.follow = request.head.target != "/once";
      if (follow.follow && !streams_->has_room()) {
        answer({.status = 503, .content_type = {}, .fields = {}, .body = "full"});
      } else {
        streams_->open(follow, answer);
      }
      return;
    }
    script_ = std::make_shared<ScriptedBody::Script>();
    script_->ready = "hello ";
    answer.stream({.status = 200, .content_type = "text/x", .fields = {}, .body = {}},
                  std::make_unique<ScriptedBody>(script_));
  }
  void follow_events() {
    bus_ = std::make_unique<EventBus>(reactor_->loop(), WallTime(seconds(1'795'000'000)));
    streams_ = std::make_unique<EventStreams>(reactor_->loop(), *bus_);
  }
  void publish(int number, std::size_t size = 1) {
    bus_->publish({.type = admin::EventType::shift,
                   .write =
                       [&](admin::JsonWriter& json) {
                         json.key("number").value(number);
                         json.key("text").value(std::string(size, 'x'));
                       },
                   .alert = {}});
    settle();
  }

  void turn() { reactor_->loop().turn(reactor_->loop().now()); }
  void settle() {
    for (int i = 0; i < 20; ++i) turn();
  }
  void wait(Duration by) {
    network_.advance(by);
    settle();
  }
  io::Peer ask(std::string_view target = "/", std::string_view method = "GET",
               std::string_view version = "HTTP/1.1") {
    io::Peer peer = network_.connect(kListen);
    settle();
    peer.write(std::string(method) + " " + std::string(target) + " " + std::string(version) +
               "\r\nHost: localhost\r\n\r\n");
    settle();
    return peer;
  }

  std::shared_ptr<conf::Config> config_ = std::make_shared<conf::Config>();
  std::shared_ptr<ConnectionSettings> settings_ = std::make_shared<ConnectionSettings>();
  io::FakeNetwork network_;
  admin::WorkerCounters counters_;
  ConnectionCount connections_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<LocalService> service_;
  std::shared_ptr<ScriptedBody::Script> script_;
  std::unique_ptr<EventBus> bus_;
  std::unique_ptr<EventStreams> streams_;
};

TEST_F(LocalStreamTest, SendsHeadThenPiecesAsTheyCome) {
  io::Peer peer = ask();
  EXPECT_THAT(peer.received(), HasSubstr("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(peer.received(), HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(peer.take(), EndsWith("\r\n\r\n6\r\nhello \r\n"));
  script_->put("world");
  settle();
  EXPECT_EQ(peer.take(), "5\r\nworld\r\n");
  script_->end();
  settle();
  EXPECT_EQ(peer.take(), "0\r\n\r\n");
  EXPECT_FALSE(script_->alive);
  // The connection goes on.
  peer.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  settle();
  EXPECT_THAT(peer.received(), EndsWith("6\r\nhello \r\n"));
}

TEST_F(LocalStreamTest, ToHttp10ItEndsWithTheConnection) {
  io::Peer peer = ask("/", "GET", "HTTP/1.0");
  EXPECT_THAT(peer.received(), Not(HasSubstr("chunked")));
  EXPECT_THAT(peer.received(), EndsWith("\r\n\r\nhello "));
  script_->end();
  settle();
  EXPECT_TRUE(peer.saw_end());
}

TEST_F(LocalStreamTest, AHeadGetsTheHead) {
  io::Peer peer = ask("/", "HEAD");
  EXPECT_THAT(peer.received(), HasSubstr("Content-Type: text/x\r\n"));
  EXPECT_THAT(peer.received(), EndsWith("\r\n\r\n"));
  EXPECT_FALSE(script_->alive);
  EXPECT_EQ(script_->taken, 0u);
}

TEST_F(LocalStreamTest, ASlowClientIsAskedForNoMoreThanItTakes) {
  io::Peer peer = ask();
  peer.stop_reading();
  const std::string megabyte(1 << 20, 'x');
  for (int i = 0; i < 16; ++i) script_->put(megabyte);
  settle();
  const std::size_t room = settings_->limits.stream_buffer_bytes + network_.plan().pipe_bytes;
  EXPECT_LE(script_->taken, room + 2 * LocalService::kPieceBytes);
  peer.resume_reading();
  script_->end();
  for (int i = 0; i < 400; ++i) settle();
  EXPECT_EQ(script_->taken, 16 * megabyte.size() + 6);
  EXPECT_THAT(peer.received(), EndsWith("0\r\n\r\n"));
}

TEST_F(LocalStreamTest, AClientThatTakesNothingIsCut) {
  io::Peer peer = ask();
  peer.stop_reading();
  script_->put(std::string(1 << 20, 'x'));
  wait(LocalService::kStuckTime - seconds(1));
  EXPECT_TRUE(script_->alive);
  // What it took at first was seen to move once.
  wait(seconds(2));
  wait(LocalService::kStuckTime + seconds(1));
  EXPECT_FALSE(script_->alive);
  EXPECT_EQ(script_->stuck, 1);
  peer.resume_reading();
  for (int i = 0; i < 50; ++i) wait(seconds(1));
  EXPECT_THAT(peer.received(), Not(EndsWith("0\r\n\r\n"))) << "a cut is no end";
}

TEST_F(LocalStreamTest, AClientThatTakesALittleIsNotCut) {
  io::Peer peer = ask();
  peer.stop_reading();
  script_->put(std::string(4 << 20, 'x'));
  for (int i = 0; i < 10; ++i) {
    wait(seconds(40));
    peer.resume_reading();
    turn();
    peer.stop_reading();
    settle();
  }
  EXPECT_TRUE(script_->alive);
  EXPECT_EQ(script_->stuck, 0);
}

TEST_F(LocalStreamTest, AnIdleStreamIsNotCut) {
  io::Peer peer = ask();
  for (int i = 0; i < 10; ++i) wait(seconds(600));
  EXPECT_TRUE(script_->alive);
  script_->put("still here");
  settle();
  EXPECT_THAT(peer.received(), HasSubstr("still here"));
}

TEST_F(LocalStreamTest, AClientThatResetsIsForgotten) {
  io::Peer peer = ask();
  peer.reset();
  settle();
  EXPECT_FALSE(script_->alive);
}

TEST_F(LocalStreamTest, AClientThatEndsItsSideGetsWhatIsThereAndTheEnd) {
  io::Peer peer = ask();
  peer.finish();
  settle();
  EXPECT_EQ(script_->client_ended, 1);
  EXPECT_FALSE(script_->alive);
  EXPECT_THAT(peer.received(), EndsWith("6\r\nhello \r\n0\r\n\r\n"));
  EXPECT_TRUE(peer.saw_end());
}

TEST_F(LocalStreamTest, TwoStreamOverOneHttp2Connection) {
  H2Peer client(network_.connect(kListen));
  const auto steps = [&] {
    for (int i = 0; i < 20; ++i) {
      turn();
      client.step();
    }
  };
  const std::uint32_t first = client.ask(H2Peer::get("/a"));
  steps();
  const auto first_script = script_;
  const std::uint32_t second = client.ask(H2Peer::get("/b"));
  steps();
  EXPECT_EQ(client.stream(first).status(), "200");
  EXPECT_EQ(client.stream(first).body, "hello ");
  script_->put("two");
  first_script->put("one");
  steps();
  EXPECT_EQ(client.stream(first).body, "hello one");
  EXPECT_EQ(client.stream(second).body, "hello two");
  client.reset(first);
  steps();
  EXPECT_FALSE(first_script->alive);
  script_->end();
  steps();
  EXPECT_TRUE(client.stream(second).ended);
  EXPECT_EQ(client.complaint(), "");
}

TEST_F(LocalStreamTest, AnHttp2ClientThatOpensNoWindowIsCutAndTheOthersAreNot) {
  H2Peer client(network_.connect(kListen), {.settings = {}, .opens_windows = false});
  const auto steps = [&] {
    for (int i = 0; i < 40; ++i) {
      turn();
      client.step();
    }
  };
  const std::uint32_t stuck = client.ask(H2Peer::get("/a"));
  steps();
  script_->put(std::string(1 << 20, 'x'));
  steps();
  EXPECT_LE(script_->taken,
            65'535 + settings_->limits.stream_buffer_bytes + 2 * LocalService::kPieceBytes);
  for (int look = 0; look < 2; ++look) {
    network_.advance(LocalService::kStuckTime + seconds(1));
    steps();
  }
  EXPECT_EQ(script_->stuck, 1);
  EXPECT_TRUE(client.stream(stuck).reset.has_value());
}

// --- Events -------------------------------------------------------------------------------------

TEST_F(LocalStreamTest, EventsComeToAllWhoFollow) {
  follow_events();
  publish(1);
  io::Peer one = ask();
  io::Peer two = ask();
  publish(2);
  for (io::Peer* peer : {&one, &two}) {
    EXPECT_THAT(peer->received(), HasSubstr("Content-Type: text/event-stream\r\n"));
    EXPECT_THAT(peer->received(), HasSubstr("\"number\": 1"));
    EXPECT_THAT(peer->received(), HasSubstr("\"number\": 2"));
  }
  EXPECT_EQ(streams_->size(), 2u);
  one.reset();
  settle();
  EXPECT_EQ(streams_->size(), 1u);
  streams_->stop();
  settle();
  EXPECT_THAT(two.received(), EndsWith("0\r\n\r\n"));
  EXPECT_EQ(streams_->size(), 0u);
}

TEST_F(LocalStreamTest, WhatIsNotToFollowEndsWithWhatIsThere) {
  follow_events();
  publish(1);
  io::Peer peer = ask("/once");
  EXPECT_THAT(peer.received(), HasSubstr("\"number\": 1"));
  EXPECT_THAT(peer.received(), EndsWith("0\r\n\r\n"));
  EXPECT_EQ(streams_->size(), 0u);
}

TEST_F(LocalStreamTest, ThereAreAtMostSixtyFourAndOneThatEndsMakesRoom) {
  follow_events();
  std::vector<io::Peer> peers;
  for (std::size_t i = 0; i < EventStreams::kStreamsMax; ++i) peers.push_back(ask());
  EXPECT_THAT(ask().received(), HasSubstr("503"));
  EXPECT_THAT(ask("/once").received(), HasSubstr("200"));
  peers.front().reset();
  settle();
  EXPECT_THAT(ask().received(), HasSubstr("200"));
}

TEST_F(LocalStreamTest, AQuietStreamShowsThatItLives) {
  follow_events();
  io::Peer peer = ask();
  peer.take();
  wait(EventStreams::kHeartbeatTime + seconds(1));
  EXPECT_EQ(peer.take(), "3\r\n:\n\n\r\n");
}

// A stuck reader holds its place and nothing else: others go on, and it hears what it missed.
TEST_F(LocalStreamTest, G9AStuckReaderHoldsUpNobodyAndIsToldWhatItMissed) {
  follow_events();
  io::Peer stuck = ask();
  io::Peer good = ask();
  stuck.stop_reading();
  for (int i = 1; i <= 3000; ++i) {
    publish(i, 500);
    ASSERT_THAT(good.take(), HasSubstr("\"number\": " + std::to_string(i) + ",")) << i;
  }
  stuck.resume_reading();
  for (int i = 0; i < 200; ++i) settle();
  EXPECT_THAT(stuck.received(), HasSubstr("event: missed\n"));
  EXPECT_THAT(stuck.received(), HasSubstr("too_slow"));
  EXPECT_THAT(stuck.received(), HasSubstr("\"number\": 3000"));
  stuck.reset();
  settle();
  EXPECT_GT(streams_->counts().missed, 1000u);
}

}  // namespace
}  // namespace sluice::proxy
