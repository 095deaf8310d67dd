// The fake itself: that it replays, that its faults happen, that it sees what breaks the rules.
#include "tests/io/fake_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <set>

#include "proxy/io/loop.h"
#include "proxy/io/sockaddr.h"
#include "proxy/io/socket.h"

namespace sluice::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

const Address kAddress = *Address::parse("127.0.0.1:8000");
const Address kElsewhere = *Address::parse("127.0.0.1:9000");

struct Trace final : CompletionTarget {
  std::vector<std::pair<int, int>> results;  // tag, result
  std::vector<Completion> all;
  void on_completion(const Completion& completion) override {
    all.push_back(completion);
    results.emplace_back(completion.tag, completion.result);
  }
};

void turn(Ring& ring, TimePoint deadline = kNever) {
  for (const Completion& each : ring.enter(deadline)) each.target->on_completion(each);
}

// --- Echoes over Socket: the transport on the fake, end to end
// ------------------------------------

struct EchoServer final : Socket::Handler {
  EchoServer(Loop& loop, int fd) : socket(loop, *this) {
    socket.adopt(fd);
    socket.resume_receiving();
  }
  Socket socket;
  bool closed = false;
  int error = 0;
  void on_received(Bytes bytes) override {
    socket.write(bytes);
    if (socket.buffered() < 4096) return;
    socket.pause_receiving();
    socket.notify_when_below(1024);
  }
  void on_writable() override { socket.resume_receiving(); }
  void on_received_end() override { socket.shutdown_when_flushed(); }
  void on_error(int number) override {
    error = number;
    socket.terminate();
  }
  void on_closed() override { closed = true; }
};

struct Acceptor final : CompletionTarget {
  Acceptor(Loop& owner, int listener) : loop(owner), fd(listener) { arm(); }
  Loop& loop;
  int fd;
  bool stopping = false;
  int in_flight = 0;
  std::vector<std::unique_ptr<EchoServer>> servers;
  void arm() {
    ++in_flight;
    loop.ring().submit({.code = OpCode::accept, .fd = fd, .target = this});
  }
  void stop() {
    stopping = true;
    ++in_flight;
    loop.ring().submit(
        {.code = OpCode::cancel, .tag = 1, .cancel_whole_fd = true, .fd = fd, .target = this});
  }
  void on_completion(const Completion& completion) override {
    if (!completion.more) --in_flight;
    if (completion.tag == 0 && completion.result >= 0) {
      servers.push_back(std::make_unique<EchoServer>(loop, completion.result));
    }
    if (completion.tag == 0 && !completion.more && !stopping) arm();
  }
};

// Three scripted clients talk to an echo server; returns a line that tells the whole run apart
// from another. `whole`: all bytes must come back.
std::string echo_run(const FaultPlan& plan, bool whole) {
  FakeNetwork network(plan);
  auto ring = std::make_unique<FakeRing>(
      network, RingOptions{.small_buffer_count = 4, .small_buffer_bytes = 256});
  Loop loop(std::move(ring));
  Acceptor acceptor(loop, network.listen(kAddress));
  Chance script(plan.seed + 99);
  struct Client {
    Peer peer;
    std::string sent;
  };
  std::vector<Client> clients;
  for (int count = 0; count < 3; ++count) clients.push_back({network.connect(kAddress), {}});
  std::string log;
  for (int step = 0; step < 60; ++step) {
    Client& client = clients[script.between(0, 2)];
    const std::string bytes(script.between(1, 3000), static_cast<char>('a' + step % 26));
    client.sent += bytes;
    client.peer.write(bytes);
    if (script.happens(0.2)) client.peer.stop_reading();
    for (std::size_t turns = script.between(0, 5); turns > 0; --turns) {
      loop.turn(loop.now() + milliseconds(1));
    }
    client.peer.resume_reading();
  }
  for (Client& client : clients) client.peer.finish();
  const auto over = [](const Client& client) {
    return client.peer.saw_end() || client.peer.saw_reset();
  };
  for (int turns = 0; turns < 50'000; ++turns) {
    if (std::all_of(clients.begin(), clients.end(), over)) break;
    loop.turn(loop.now() + milliseconds(1));
  }
  for (Client& client : clients) {
    const std::string& received = client.peer.received();
    EXPECT_TRUE(over(client)) << "seed " << plan.seed;
    EXPECT_EQ(received, client.sent.substr(0, received.size())) << "seed " << plan.seed;
    if (whole) {
      EXPECT_EQ(received.size(), client.sent.size()) << "seed " << plan.seed;
      EXPECT_FALSE(client.peer.saw_reset());
    }
    log += std::to_string(received.size()) + (client.peer.saw_reset() ? "!" : ".");
  }
  acceptor.stop();
  for (auto& server : acceptor.servers) server->socket.terminate();
  const auto closed = [](const auto& server) { return server->closed; };
  for (int turns = 0; turns < 1000; ++turns) {
    if (acceptor.in_flight == 0 &&
        std::all_of(acceptor.servers.begin(), acceptor.servers.end(), closed)) {
      break;
    }
    loop.turn(loop.now());
  }
  network.close(acceptor.fd);
  EXPECT_EQ(network.check_clean(), "");
  return log + " " + std::to_string(network.now().time_since_epoch().count());
}

TEST(FakeRing, NoFaultsLoseOrLeaveNothing) {
  echo_run(FaultPlan::none(), true);
}

TEST(FakeRing, ChaosLosesAndLeavesNothing) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) echo_run(FaultPlan::chaos(seed), true);
}

TEST(FakeRing, BrokenConnectionsLeaveNothing) {
  bool any_reset = false;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    any_reset |= echo_run(FaultPlan::breaking(seed), false).find('!') != std::string::npos;
  }
  EXPECT_TRUE(any_reset);
}

TEST(FakeRing, SameSeedSameRunOtherSeedOtherRun) {
  std::set<std::string> runs;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::string once = echo_run(FaultPlan::breaking(seed), false);
    EXPECT_EQ(echo_run(FaultPlan::breaking(seed), false), once);
    runs.insert(once);
  }
  EXPECT_GE(runs.size(), 15u);
}

// --- Faults, each alone and certain
// ---------------------------------------------------------------

struct Fault {
  const char* name;
  FaultPlan plan;
  std::function<void(FakeNetwork&, FakeRing&, Trace&, int fd, Peer&)> see;
};

void PrintTo(const Fault& fault, std::ostream* out) {
  *out << fault.name;
}

class FakeRingFaults : public testing::TestWithParam<Fault> {};

TEST_P(FakeRingFaults, Happens) {
  FakeNetwork network;
  FakeRing ring(network);
  Trace trace;
  const int listener = network.listen(kAddress);
  Peer peer = network.connect(kAddress);
  ring.submit({.code = OpCode::accept, .fd = listener, .target = &trace});
  turn(ring);
  ASSERT_EQ(trace.all.size(), 1u);
  const int fd = trace.all[0].result;
  trace = {};
  network.plan() = GetParam().plan;
  GetParam().see(network, ring, trace, fd, peer);
}

const Fault kFaults[] = {
    {"ShortReceive",
     {.short_receive = 1},
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       peer.write(std::string(4000, 'x'));
       ring.submit({.code = OpCode::receive, .fd = fd, .target = &trace});
       turn(ring);
       ASSERT_EQ(trace.all.size(), 1u);
       EXPECT_LT(trace.all[0].result, 4000);
       EXPECT_GT(trace.all[0].result, 0);
     }},
    {"ShortSend",
     {.short_send = 1},
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       std::string bytes(4000, 'x');
       ring.submit({.code = OpCode::send,
                    .fd = fd,
                    .target = &trace,
                    .data = bytes.data(),
                    .length = 4000});
       turn(ring);
       ASSERT_EQ(trace.all.size(), 1u);
       EXPECT_LT(trace.all[0].result, 4000);
       EXPECT_EQ(peer.received().size(), static_cast<std::size_t>(trace.all[0].result));
     }},
    {"NoBuffers",
     {.no_buffers = 1},
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       peer.write("x");
       ring.submit({.code = OpCode::receive, .multishot = true, .fd = fd, .target = &trace});
       turn(ring);
       EXPECT_THAT(trace.results, ElementsAre(std::pair(0, -ENOBUFS)));
       EXPECT_FALSE(trace.all[0].more);
     }},
    {"MultishotEndsWithData",
     {.multishot_end = 1},
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       peer.write("x");
       ring.submit({.code = OpCode::receive, .multishot = true, .fd = fd, .target = &trace});
       turn(ring);
       EXPECT_THAT(trace.results, ElementsAre(std::pair(0, 1)));
       EXPECT_FALSE(trace.all[0].more);
     }},
    {"Reset",
     {.reset = 1},
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       std::string bytes = "x";
       ring.submit(
           {.code = OpCode::send, .fd = fd, .target = &trace, .data = bytes.data(), .length = 1});
       turn(ring);
       ASSERT_EQ(trace.all.size(), 1u);
       EXPECT_THAT(trace.all[0].result, testing::AnyOf(-ECONNRESET, -ETIMEDOUT));
       EXPECT_TRUE(peer.saw_reset());
     }},
    {"OpenError",
     {.open_error = 1},
     [](FakeNetwork&, FakeRing& ring, Trace&, int, Peer&) {
       EXPECT_EQ(ring.open_socket(kElsewhere).error(), EMFILE);
     }},
    {"AcceptError",
     {.accept_error = 1},
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int, Peer&) {
       const int other = network.listen(kElsewhere);
       network.connect(kElsewhere);
       ring.submit({.code = OpCode::accept, .fd = other, .target = &trace});
       turn(ring);
       ASSERT_EQ(trace.all.size(), 1u);
       EXPECT_THAT(trace.all[0].result, testing::AnyOf(-ECONNABORTED, -EMFILE));
     }},
    {"LateButDelivered",
     {.late = 1},
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int fd, Peer&) {
       const TimePoint before = network.now();
       ring.submit({.code = OpCode::shutdown, .fd = fd, .how = SHUT_WR, .target = &trace});
       turn(ring, before + seconds(1));
       EXPECT_EQ(trace.all.size(), 1u) << "with nothing else to do, late is now";
       EXPECT_EQ(network.now(), before);
     }},
    {"CancelLosesTheRace",
     {.cancel_race = 1},
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       ring.submit({.code = OpCode::receive, .fd = fd, .target = &trace});
       turn(ring, network.now());
       peer.write("quicker");
       ring.submit(
           {.code = OpCode::cancel, .tag = 1, .cancel_whole_fd = true, .fd = fd, .target = &trace});
       turn(ring);
       EXPECT_THAT(trace.results, ElementsAre(std::pair(0, 7), std::pair(1, -ENOENT)));
     }},
    {"CancelWinsTheRace",
     {},
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       ring.submit({.code = OpCode::receive, .fd = fd, .target = &trace});
       turn(ring, network.now());
       peer.write("too late");
       ring.submit(
           {.code = OpCode::cancel, .tag = 1, .cancel_whole_fd = true, .fd = fd, .target = &trace});
       turn(ring);
       EXPECT_THAT(trace.results, ElementsAre(std::pair(0, -ECANCELED), std::pair(1, 1)));
     }},
    {"ResetLosesUnreadData",
     {.reset_loses_data = 1},
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd, Peer& peer) {
       peer.write(std::string(100, 'x'));
       peer.reset();
       int total = 0;
       do {
         ring.submit({.code = OpCode::receive, .fd = fd, .target = &trace});
         turn(ring);
         if (trace.all.back().result > 0) total += trace.all.back().result;
       } while (trace.all.back().result > 0);
       EXPECT_LT(total, 100);
       EXPECT_EQ(trace.all.back().result, -ECONNRESET);
     }},
};

INSTANTIATE_TEST_SUITE_P(Each, FakeRingFaults, testing::ValuesIn(kFaults),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(FakeRing, LateCompletionsChangeTheOrderBetweenOperationsOnly) {
  bool reordered = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    FaultPlan plan = FaultPlan::none(seed);
    plan.late = 0.5;
    FakeNetwork network(plan);
    FakeRing ring(network);
    Trace trace;
    const int one = *ring.open_socket(kAddress);
    const int two = *ring.open_socket(kAddress);
    for (int round = 0; round < 5; ++round) {
      ring.submit({.code = OpCode::shutdown, .tag = 1, .fd = one, .target = &trace});
      ring.submit({.code = OpCode::shutdown, .tag = 2, .fd = two, .target = &trace});
    }
    while (ring.in_flight() > 0 || trace.all.empty()) turn(ring);
    ASSERT_EQ(trace.all.size(), 10u);
    for (std::size_t index = 0; index < 10; ++index) {
      reordered |= trace.all[index].tag != 1 + index % 2;
    }
  }
  EXPECT_TRUE(reordered);
}

// --- Connecting
// -----------------------------------------------------------------------------------

TEST(FakeRing, ConnectFailsAsTheTestWishes) {
  FakeNetwork network;
  FakeRing ring(network);
  Trace trace;
  network.listen_scripted(kElsewhere);
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(kElsewhere, storage);
  const auto connect = [&](int fd) {
    ring.submit(
        {.code = OpCode::connect, .fd = fd, .target = &trace, .data = &storage, .length = length});
    turn(ring, network.now());
  };
  network.fail_connects(kElsewhere, ETIMEDOUT);
  connect(*ring.open_socket(kElsewhere));
  EXPECT_THAT(trace.results, ElementsAre(std::pair(0, -ETIMEDOUT)));
  EXPECT_EQ(network.connect(kElsewhere).connect_error(), ETIMEDOUT);
  trace = {};

  network.fail_connects(kElsewhere, 0);
  network.ignore_connects(kElsewhere, true);
  const int fd = *ring.open_socket(kElsewhere);
  connect(fd);
  EXPECT_TRUE(trace.all.empty());
  network.ignore_connects(kElsewhere, false);
  turn(ring);
  EXPECT_THAT(trace.results, ElementsAre(std::pair(0, 0)));
  EXPECT_EQ(ring.peer_address(fd), kElsewhere);
  const auto peer = network.accept(kElsewhere);
  ASSERT_TRUE(peer.has_value());
  EXPECT_EQ(peer->remote(), ring.local_address(fd));
  EXPECT_FALSE(network.accept(kElsewhere).has_value());

  network.stop_listening_scripted(kElsewhere);
  EXPECT_EQ(network.connect(kElsewhere).connect_error(), ECONNREFUSED);
}

TEST(FakeRing, ListenersOfOneAddressShareItsConnections) {
  FakeNetwork network;
  FakeRing ring(network);
  Trace first;
  Trace second;
  ring.submit({.code = OpCode::accept, .fd = network.listen(kAddress), .target = &first});
  ring.submit({.code = OpCode::accept, .fd = network.listen(kAddress), .target = &second});
  for (int count = 0; count < 40; ++count) network.connect(kAddress);
  turn(ring);
  EXPECT_EQ(first.all.size() + second.all.size(), 40u);
  EXPECT_GT(first.all.size(), 8u);
  EXPECT_GT(second.all.size(), 8u);
}

// --- Time
// -----------------------------------------------------------------------------------------

TEST(FakeRing, NothingToDoJumpsToTheDeadline) {
  FakeNetwork network;
  FakeRing ring(network);
  const TimePoint before = ring.now();
  ring.enter(before + hours(7));
  EXPECT_EQ(ring.now(), before + hours(7));
  ring.enter(kNever);
  ring.enter(before);
  EXPECT_EQ(ring.now(), before + hours(7));
  EXPECT_GE(ring.wall_now() - WallTime{}, hours(24 * 365 * 50));
}

TEST(FakeRing, HeldTimeMovesByHandOnly) {
  FakeNetwork network;
  FakeRing ring(network);
  const TimePoint before = ring.now();
  network.hold_time(true);
  ring.enter(before + hours(7));
  EXPECT_EQ(ring.now(), before);
  network.advance(seconds(3));
  EXPECT_EQ(ring.now(), before + seconds(3));
}

TEST(FakeRing, WakeKeepsTheClockFromJumping) {
  FakeNetwork network;
  FakeRing ring(network);
  const TimePoint before = ring.now();
  ring.wake();
  ring.enter(before + hours(1));
  EXPECT_EQ(ring.now(), before);
}

TEST(FakeRing, ClockWaitsForTheRingWithTheEarliestDeadline) {
  FakeNetwork network;
  FakeRing slow(network);
  FakeRing fast(network);
  const TimePoint start = network.now();
  std::vector<TimePoint> fast_saw;
  for (int round = 0; round < 5; ++round) {
    slow.enter(start + seconds(100));
    fast.enter(start + seconds(10 * (round + 1)));
    fast_saw.push_back(network.now());
  }
  for (std::size_t round = 0; round < 5; ++round) {
    EXPECT_LE(fast_saw[round], start + seconds(10 * (round + 1)));
  }
  // A ring that nobody drives any more doesn't hold the others up.
  for (int round = 0; round < 5; ++round) slow.enter(start + seconds(100));
  EXPECT_EQ(network.now(), start + seconds(100));
}

TEST(FakeRing, WorkOfAnotherRingComesBeforeTheClock) {
  FakeNetwork network;
  FakeRing one(network);
  FakeRing two(network);
  Trace trace;
  one.enter(network.now());
  two.enter(kNever);
  const TimePoint before = network.now();
  const int listener = network.listen(kAddress);
  two.submit({.code = OpCode::accept, .fd = listener, .target = &trace});
  network.connect(kAddress);
  one.enter(before + hours(1));
  EXPECT_EQ(network.now(), before);
  turn(two);
  EXPECT_EQ(trace.all.size(), 1u);
  one.enter(before + hours(1));
  EXPECT_EQ(network.now(), before + hours(1));
}

// --- What it sees
// ---------------------------------------------------------------------------------

struct Misuse {
  const char* name;
  const char* says;
  std::function<void(FakeNetwork&, FakeRing&, Trace&, int fd)> commit;
};

void PrintTo(const Misuse& misuse, std::ostream* out) {
  *out << misuse.name;
}

class FakeRingWatch : public testing::TestWithParam<Misuse> {};

std::string four_bytes = "four";

Submission send_of(int fd, Trace& trace) {
  return {.code = OpCode::send, .fd = fd, .target = &trace, .data = four_bytes.data(), .length = 4};
}

TEST_P(FakeRingWatch, Tells) {
  FakeNetwork network({.seed = 4711});
  FakeRing ring(network);
  Trace trace;
  const int listener = network.listen(kAddress);
  network.connect(kAddress);
  ring.submit({.code = OpCode::accept, .fd = listener, .target = &trace});
  turn(ring);
  ring.submit({.code = OpCode::cancel, .cancel_whole_fd = true, .fd = listener, .target = &trace});
  turn(ring);
  network.close(listener);
  const int fd = trace.all[0].result;
  trace = {};
  EXPECT_THAT(network.check_clean(), HasSubstr("still open: descriptor " + std::to_string(fd)));
  GetParam().commit(network, ring, trace, fd);
  EXPECT_THAT(network.check_clean(), HasSubstr(GetParam().says));
  EXPECT_THAT(network.check_clean(), HasSubstr("seed 4711"));
}

const Misuse kMisuses[] = {
    {"SubmissionOnAClosedDescriptor", "broken rule: send on descriptor 1000001 (closed)",
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd) {
       ring.submit({.code = OpCode::close, .fd = fd, .target = &trace});
       turn(ring);
       ring.submit(send_of(fd, trace));
       turn(ring);
       EXPECT_EQ(trace.all.back().result, -EBADF);
     }},
    {"TwoSendsAtOnce", "broken rule: a second send at once",
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd) {
       ring.submit(send_of(fd, trace));
       ring.submit(send_of(fd, trace));
       turn(ring);
     }},
    {"TwoReceivesAtOnce", "broken rule: a second receive at once",
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int fd) {
       ring.submit({.code = OpCode::receive, .multishot = true, .fd = fd, .target = &trace});
       turn(ring, network.now());
       ring.submit({.code = OpCode::receive, .fd = fd, .target = &trace});
       turn(ring, network.now());
     }},
    {"BufferGivenBackThatWasNotLent", "buffer 3 of group 0 was given back and is not lent",
     [](FakeNetwork& network, FakeRing& ring, Trace&, int) {
       ring.recycle({.group = BufferGroup::small, .index = 3});
       turn(ring, network.now());
     }},
    {"BytesChangedDuringTheSend", "bytes changed while they were being sent",
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int fd) {
       network.plan().late = 1;
       for (int round = 0; round < 20; ++round) {
         std::string bytes = "good";
         trace = {};
         ring.submit({.code = OpCode::send,
                      .tag = 7,
                      .fd = fd,
                      .target = &trace,
                      .data = bytes.data(),
                      .length = 4});
         for (int others = 0; others < 8; ++others) {
           ring.submit({.code = OpCode::cancel, .cancel_tag = 1, .target = &trace});
         }
         turn(ring);
         // Unless the send was among the first to be reported, its bytes still belong to it.
         bytes = "evil";
         while (ring.in_flight() > 0) turn(ring);
       }
     }},
    {"CloseWithAnOperationInFlight", "broken rule: close with a receive in flight",
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd) {
       ring.submit({.code = OpCode::receive, .fd = fd, .target = &trace});
       ring.submit({.code = OpCode::close, .fd = fd, .target = &trace});
       turn(ring);
     }},
    {"OperationNeverJoined", "ring 0: receive (tag 5) in flight",
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int fd) {
       ring.submit({.code = OpCode::receive, .tag = 5, .fd = fd, .target = &trace});
       turn(ring, network.now());
     }},
    {"SubmissionNeverHandedOver", "shutdown (tag 6) queued and never handed over",
     [](FakeNetwork&, FakeRing& ring, Trace& trace, int fd) {
       ring.submit({.code = OpCode::shutdown, .tag = 6, .fd = fd, .target = &trace});
     }},
    {"BufferNeverGivenBack", "1 buffers lent and not given back",
     [](FakeNetwork& network, FakeRing& ring, Trace& trace, int fd) {
       const int listener = network.listen(kElsewhere);
       network.connect(kElsewhere).write("x");
       ring.submit({.code = OpCode::accept, .fd = listener, .target = &trace});
       turn(ring);
       ring.submit({.code = OpCode::receive, .fd = trace.all.back().result, .target = &trace});
       turn(ring);
       EXPECT_NE(fd, listener);
     }},
};

INSTANTIATE_TEST_SUITE_P(Each, FakeRingWatch, testing::ValuesIn(kMisuses),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(FakeRing, BufferIsGarbageOnceItWasGivenBack) {
  FakeNetwork network;
  FakeRing ring(network);
  Trace trace;
  const int listener = network.listen(kAddress);
  Peer peer = network.connect(kAddress);
  ring.submit({.code = OpCode::accept, .fd = listener, .target = &trace});
  turn(ring);
  peer.write("hello");
  ring.submit({.code = OpCode::receive, .fd = trace.all[0].result, .target = &trace});
  turn(ring);
  const auto buffer = ring.buffer(trace.all[1].buffer);
  EXPECT_EQ(as_text(buffer.first(5)), "hello");
  EXPECT_NE(as_text(buffer.subspan(5, 1)), "h");
  ring.recycle(trace.all[1].buffer);
  turn(ring, network.now());
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_DEATH(
      {
        volatile std::byte seen = buffer[0];
        (void)seen;
      },
      "use-after-poison");
#else
  EXPECT_NE(as_text(buffer.first(5)), "hello");
#endif
}

}  // namespace
}  // namespace sluice::io
