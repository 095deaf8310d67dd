// The rules of ring.h, each tried against io_uring on real loopback sockets, the fake without
// faults, and the fake at its worst.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>

#include "proxy/io/sockaddr.h"
#include "tests/io/world.h"

namespace sluice::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kTurnsMax = 20'000;

struct Subject {
  std::string name;
  WorldMaker make;
};

void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.name;
}

std::string some_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t index = 0; index < count; ++index) {
    bytes[index] = static_cast<char>('a' + (index * 7 + index / 251) % 26);
  }
  return bytes;
}

// Keeps what it is told, takes a copy of lent buffers and (unless told to hold them) gives them
// back.
struct Recorder final : CompletionTarget {
  explicit Recorder(Ring& owner) : ring(owner) {}
  Ring& ring;
  std::vector<Completion> all;
  std::map<std::uint8_t, int> ended;  // last completions by tag
  std::string bytes;
  bool hold_buffers = false;
  std::vector<BufferId> held;

  void on_completion(const Completion& completion) override {
    all.push_back(completion);
    if (!completion.more) ++ended[completion.tag];
    if (!completion.has_buffer) return;
    const auto buffer = ring.buffer(completion.buffer);
    bytes += as_text(buffer.first(static_cast<std::size_t>(completion.result)));
    if (hold_buffers) {
      held.push_back(completion.buffer);
    } else {
      ring.recycle(completion.buffer);
    }
  }
  void forget() {
    all.clear();
    ended.clear();
    bytes.clear();
  }
  void give_back() {
    for (const BufferId id : held) ring.recycle(id);
    held.clear();
  }
  const Completion& last() const { return all.back(); }
  bool has(std::uint8_t tag) const {
    return std::any_of(all.begin(), all.end(), [&](const Completion& c) { return c.tag == tag; });
  }
  int result_of(std::uint8_t tag) const {
    for (const Completion& each : all) {
      if (each.tag == tag && !each.more) return each.result;
    }
    return 1 << 30;
  }
};

enum Tag : std::uint8_t { kAccept, kReceive, kSend, kConnect, kShutdown, kCancel, kClose, kRead };

class RingContract : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override {
    if (world_) {
      EXPECT_EQ(world_->check_clean(), "");
    }
  }

  void start(const RingOptions& options) {
    recorder_.reset();
    world_.reset();
    world_ = GetParam().make(options);
    recorder_ = std::make_unique<Recorder>(world_->ring());
  }
  Ring& ring() { return world_->ring(); }
  Recorder& seen() { return *recorder_; }

  void turn(TimePoint deadline) {
    for (const Completion& each : ring().enter(deadline)) each.target->on_completion(each);
  }
  // Turns until `done`; false (and a failed test) when it never happens.
  template <typename Condition>
  bool turn_until(Condition done) {
    for (int turns = 0; turns < kTurnsMax; ++turns) {
      if (done()) return true;
      turn(ring().now() + milliseconds(1));
    }
    ADD_FAILURE() << "still not so after " << kTurnsMax << " turns";
    return false;
  }
  void submit(Submission submission, Tag tag) {
    submission.tag = tag;
    if (submission.target == nullptr) submission.target = recorder_.get();
    ring().submit(submission);
  }
  bool ended(Tag tag) { return seen().ended[tag] > 0; }

  void accept_on(int listener) { submit({.code = OpCode::accept, .fd = listener}, kAccept); }
  // A connection to the ring: its descriptor here, its other end there.
  std::pair<int, std::unique_ptr<RemoteEnd>> connected() {
    recorder_->forget();
    Address address;
    const int listener = world_->listen(address);
    auto remote = world_->connect(address);
    accept_on(listener);
    turn_until([&] { return seen().has(kAccept); });
    const int fd = seen().all.front().result;
    EXPECT_GE(fd, 0);
    if (!ended(kAccept)) {
      submit({.code = OpCode::cancel, .cancel_whole_fd = true, .fd = listener}, kCancel);
      turn_until([&] { return ended(kAccept) && ended(kCancel); });
    }
    close(listener);
    recorder_->forget();
    return {fd, std::move(remote)};
  }
  void close(int fd) {
    const int before = seen().ended[kClose];
    submit({.code = OpCode::close, .fd = fd}, kClose);
    turn_until([&] { return seen().ended[kClose] > before; });
    EXPECT_EQ(seen().last().result, 0);
  }
  void cancel_all(int fd) {
    const int before = seen().ended[kCancel];
    submit({.code = OpCode::cancel, .cancel_whole_fd = true, .fd = fd}, kCancel);
    turn_until([&] { return seen().ended[kCancel] > before; });
  }
  void receive(int fd, bool multishot, std::uint32_t length = 0) {
    submit({.code = OpCode::receive, .multishot = multishot, .fd = fd, .length = length}, kReceive);
  }
  // Receives until the end or an error, arming again whenever a receive ends early.
  int receive_all(int fd) {
    receive(fd, true);
    int ends = seen().ended[kReceive];
    int result = 1;
    turn_until([&] {
      if (seen().ended[kReceive] == ends) return false;
      ends = seen().ended[kReceive];
      for (const Completion& each : seen().all) {
        if (each.tag == kReceive && !each.more) result = each.result;
      }
      if (result > 0 || result == -ENOBUFS) {
        receive(fd, true);
        return false;
      }
      return true;
    });
    return result;
  }
  // Sends all of `bytes`, part by part; the result of the send that failed, or 0.
  int send_all(int fd, std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const int ends = seen().ended[kSend];
      submit({.code = OpCode::send,
              .fd = fd,
              .data = bytes.data() + sent,
              .length = static_cast<std::uint32_t>(bytes.size() - sent)},
             kSend);
      if (!turn_until([&] { return seen().ended[kSend] > ends; })) return -ETIME;
      const int result = last_of(kSend);
      if (result < 0) return result;
      EXPECT_GT(result, 0);
      sent += static_cast<std::size_t>(result);
    }
    return 0;
  }
  int last_of(Tag tag) {
    for (auto each = seen().all.rbegin(); each != seen().all.rend(); ++each) {
      if (each->tag == tag) return each->result;
    }
    return 1 << 30;
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<Recorder> recorder_;
};

TEST_P(RingContract, OneAcceptReportsEveryConnection) {
  Address address;
  const int listener = world_->listen(address);
  accept_on(listener);
  std::vector<std::unique_ptr<RemoteEnd>> remotes;
  for (int count = 0; count < 5; ++count) remotes.push_back(world_->connect(address));
  std::vector<int> accepted;
  std::size_t looked_at = 0;
  turn_until([&] {
    for (; looked_at < seen().all.size(); ++looked_at) {
      const Completion& each = seen().all[looked_at];
      EXPECT_GE(each.result, 0);
      EXPECT_TRUE(each.more || world_->faulty());
      accepted.push_back(each.result);
      if (!each.more) accept_on(listener);
    }
    return accepted.size() == 5;
  });
  for (const int fd : accepted) {
    EXPECT_EQ(ring().local_address(fd), address);
    EXPECT_EQ(ring().peer_address(fd).ip_to_string(), "127.0.0.1");
    EXPECT_NE(ring().peer_address(fd).port, 0);
    ring().tune_stream(fd);
  }
  const int ends = seen().ended[kAccept];
  cancel_all(listener);
  turn_until([&] { return seen().ended[kAccept] > ends; });
  EXPECT_EQ(last_of(kAccept), -ECANCELED);
  for (const int fd : accepted) close(fd);
  close(listener);
}

TEST_P(RingContract, MultishotReceiveDeliversAllBytesInOrderAndThenTheEnd) {
  auto [fd, remote] = connected();
  const std::string bytes = some_bytes(30'000);
  for (std::size_t at = 0; at < bytes.size(); at += 1000) remote->write(bytes.substr(at, 1000));
  remote->finish();
  EXPECT_EQ(receive_all(fd), 0);
  EXPECT_EQ(seen().bytes, bytes);
  close(fd);
}

TEST_P(RingContract, OneShotReceiveCompletesOnceAndTakesAtMostItsLength) {
  auto [fd, remote] = connected();
  remote->write("hello, world");
  receive(fd, false, 5);
  turn_until([&] { return ended(kReceive); });
  EXPECT_FALSE(seen().last().more);
  EXPECT_TRUE(seen().last().has_buffer);
  EXPECT_LE(seen().last().result, 5);
  EXPECT_EQ(seen().bytes, std::string("hello, world").substr(0, seen().bytes.size()));
  turn(ring().now());
  turn(ring().now());
  EXPECT_EQ(seen().all.size(), 1u);
  close(fd);
}

TEST_P(RingContract, LargeBuffersAreAGroupOfTheirOwn) {
  auto [fd, remote] = connected();
  remote->write("x");
  submit({.code = OpCode::receive, .group = BufferGroup::large, .fd = fd}, kReceive);
  turn_until([&] { return ended(kReceive); });
  EXPECT_EQ(seen().last().buffer.group, BufferGroup::large);
  EXPECT_EQ(ring().buffer(seen().last().buffer).size(), RingOptions{}.large_buffer_bytes);
  EXPECT_EQ(seen().bytes, "x");
  close(fd);
}

TEST_P(RingContract, ExhaustedBuffersEndTheReceiveUntilSomeComeBack) {
  start({.small_buffer_count = 4, .small_buffer_bytes = 512});
  auto [fd, remote] = connected();
  const std::string bytes = some_bytes(4000);
  remote->write(bytes);
  remote->finish();
  seen().hold_buffers = true;
  receive(fd, true);
  turn_until([&] {
    if (!ended(kReceive) || last_of(kReceive) == -ENOBUFS) return ended(kReceive);
    seen().ended[kReceive] = 0;  // ended early, with buffers left
    receive(fd, true);
    return false;
  });
  EXPECT_EQ(last_of(kReceive), -ENOBUFS);
  if (!world_->faulty()) {
    EXPECT_EQ(seen().held.size(), 4u);
  }
  seen().hold_buffers = false;
  seen().give_back();
  seen().ended[kReceive] = 0;
  EXPECT_EQ(receive_all(fd), 0);
  EXPECT_EQ(seen().bytes, bytes);
  close(fd);
}

TEST_P(RingContract, BuffersGoRoundManyTimes) {
  start({.small_buffer_count = 2, .small_buffer_bytes = 64});
  auto [fd, remote] = connected();
  const std::string bytes = some_bytes(20'000);
  remote->write(bytes);
  remote->finish();
  EXPECT_EQ(receive_all(fd), 0);
  EXPECT_EQ(seen().bytes, bytes);
  close(fd);
}

TEST_P(RingContract, SendDeliversBytesAndVectors) {
  auto [fd, remote] = connected();
  std::string plain = "plain ";
  EXPECT_EQ(send_all(fd, plain), 0);
  std::string one = "one ";
  std::string two = "two";
  std::size_t sent = 0;
  while (sent < 7) {
    Ring::SendVector& vector = ring().vector_scratch();
    const std::size_t from_one = std::min<std::size_t>(sent, 4);
    vector.parts[0] = {one.data() + from_one, 4 - from_one};
    vector.parts[1] = {two.data() + (sent - from_one), 3 - (sent - from_one)};
    vector.header.msg_iov = vector.parts;
    vector.header.msg_iovlen = 2;
    const int ends = seen().ended[kSend];
    submit({.code = OpCode::send, .fd = fd, .message = &vector.header}, kSend);
    ASSERT_TRUE(turn_until([&] { return seen().ended[kSend] > ends; }));
    ASSERT_GT(last_of(kSend), 0);
    sent += static_cast<std::size_t>(last_of(kSend));
  }
  turn_until([&] { return remote->received() == "plain one two"; });
  close(fd);
}

TEST_P(RingContract, SendWaitsForAReaderAndLosesNothing) {
  auto [fd, remote] = connected();
  remote->stop_reading();
  // More than both ends' kernel buffers, or the fake's pipe, can hold.
  std::string bytes = some_bytes(world_->faulty() ? 256 << 10 : 16 << 20);
  std::size_t sent = 0;
  const auto send_rest = [&] {
    submit({.code = OpCode::send,
            .fd = fd,
            .data = bytes.data() + sent,
            .length = static_cast<std::uint32_t>(bytes.size() - sent)},
           kSend);
  };
  send_rest();
  int ends = 0;
  const auto take_results = [&] {
    if (seen().ended[kSend] == ends) return;
    ends = seen().ended[kSend];
    ASSERT_GT(last_of(kSend), 0);
    sent += static_cast<std::size_t>(last_of(kSend));
    if (sent < bytes.size()) send_rest();
  };
  for (int turns = 0; turns < 50; ++turns) {  // until the window is full, and then some
    turn(ring().now() + milliseconds(1));
    take_results();
  }
  EXPECT_LT(sent, bytes.size());
  remote->resume_reading();
  turn_until([&] {
    take_results();
    return remote->received().size() == bytes.size();
  });
  turn_until([&] { return take_results(), sent == bytes.size(); });
  EXPECT_TRUE(remote->received() == bytes);
  close(fd);
}

TEST_P(RingContract, ConnectReachesAListener) {
  const Address address = world_->listen_remotely();
  const auto fd = ring().open_socket(address);
  ASSERT_TRUE(fd.has_value());
  {
    sockaddr_storage storage;  // read during enter() only
    const socklen_t length = to_sockaddr(address, storage);
    submit({.code = OpCode::connect, .fd = *fd, .data = &storage, .length = length}, kConnect);
    turn(ring().now());
  }
  turn_until([&] { return ended(kConnect); });
  EXPECT_EQ(seen().result_of(kConnect), 0);
  EXPECT_EQ(ring().peer_address(*fd), address);
  EXPECT_NE(ring().local_address(*fd).port, 0);
  std::unique_ptr<RemoteEnd> remote;
  turn_until([&] { return (remote = world_->accept()) != nullptr; });
  std::string hello = "hello";
  EXPECT_EQ(send_all(*fd, hello), 0);
  turn_until([&] { return remote->received() == hello; });
  close(*fd);
}

TEST_P(RingContract, ConnectWithoutListenerIsRefused) {
  const Address address = world_->address_without_listener();
  const auto fd = ring().open_socket(address);
  ASSERT_TRUE(fd.has_value());
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(address, storage);
  submit({.code = OpCode::connect, .fd = *fd, .data = &storage, .length = length}, kConnect);
  turn_until([&] { return ended(kConnect); });
  EXPECT_EQ(seen().result_of(kConnect), -ECONNREFUSED);
  close(*fd);
}

TEST_P(RingContract, CancelByDescriptorEndsEveryOperationOnce) {
  auto [fd, remote] = connected();
  remote->stop_reading();
  std::string bytes = some_bytes(16 << 20);
  receive(fd, true);
  submit({.code = OpCode::send,
          .fd = fd,
          .data = bytes.data(),
          .length = static_cast<std::uint32_t>(bytes.size())},
         kSend);
  // Sends until one is stuck for good.
  for (int turns = 0; turns < 200; ++turns) {
    const int ends = seen().ended[kSend];
    turn(ring().now() + milliseconds(1));
    if (seen().ended[kSend] == ends) continue;
    submit({.code = OpCode::send,
            .fd = fd,
            .data = bytes.data(),
            .length = static_cast<std::uint32_t>(bytes.size())},
           kSend);
  }
  const int sends = seen().ended[kSend];
  cancel_all(fd);
  turn_until([&] { return seen().ended[kSend] > sends && ended(kReceive); });
  EXPECT_EQ(last_of(kSend), -ECANCELED);
  EXPECT_EQ(last_of(kReceive), -ECANCELED);
  turn(ring().now());
  EXPECT_EQ(seen().ended[kSend], sends + 1);
  EXPECT_EQ(seen().ended[kReceive], 1);
  EXPECT_EQ(seen().ended[kCancel], 1);
  ring().reset_on_close(fd);
  close(fd);
}

TEST_P(RingContract, CancelOfOneOperationLeavesTheOthers) {
  auto [first, first_remote] = connected();
  auto [second, second_remote] = connected();
  Recorder other(ring());
  receive(first, true);
  submit({.code = OpCode::receive, .multishot = true, .fd = second, .target = &other}, kReceive);
  turn(ring().now());
  submit({.code = OpCode::cancel, .cancel_tag = kReceive}, kCancel);
  turn_until([&] { return ended(kReceive) && ended(kCancel); });
  EXPECT_EQ(last_of(kReceive), -ECANCELED);
  EXPECT_TRUE(other.all.empty());
  second_remote->write("still here");
  turn_until([&] {
    if (other.ended[kReceive] > 0 && other.bytes.size() < 10) {
      other.ended[kReceive] = 0;
      submit({.code = OpCode::receive, .multishot = true, .fd = second, .target = &other},
             kReceive);
    }
    return other.bytes == "still here";
  });
  if (other.ended[kReceive] == 0) {
    cancel_all(second);
    turn_until([&] { return other.ended[kReceive] > 0; });
  }
  close(first);
  close(second);
}

TEST_P(RingContract, CancelOfNothingCompletesToo) {
  auto [fd, remote] = connected();
  cancel_all(fd);
  EXPECT_EQ(seen().all.size(), 1u);
  EXPECT_LE(seen().last().result, 0);
  close(fd);
}

TEST_P(RingContract, ShutdownIsTheOrderlyEndAfterAllBytes) {
  auto [fd, remote] = connected();
  std::string bytes = some_bytes(1000);
  EXPECT_EQ(send_all(fd, bytes), 0);
  submit({.code = OpCode::shutdown, .fd = fd, .how = SHUT_WR}, kShutdown);
  turn_until([&] { return ended(kShutdown); });
  EXPECT_EQ(seen().result_of(kShutdown), 0);
  turn_until([&] { return remote->saw_end(); });
  EXPECT_EQ(remote->received(), bytes);
  std::string more = "more";
  EXPECT_EQ(send_all(fd, more), -EPIPE);
  remote->write("the other direction still works");
  remote->finish();
  EXPECT_EQ(receive_all(fd), 0);
  EXPECT_EQ(seen().bytes, "the other direction still works");
  close(fd);
}

TEST_P(RingContract, ShutdownOfReadingEndsAnArmedReceive) {
  auto [fd, remote] = connected();
  receive(fd, true);
  turn(ring().now());
  submit({.code = OpCode::shutdown, .fd = fd, .how = SHUT_RDWR}, kShutdown);
  turn_until([&] { return ended(kShutdown) && ended(kReceive); });
  EXPECT_EQ(seen().result_of(kReceive), 0);
  turn_until([&] { return remote->saw_end(); });
  close(fd);
}

TEST_P(RingContract, ResetByTheOtherEndIsAnError) {
  auto [fd, remote] = connected();
  receive(fd, true);
  turn(ring().now());
  remote->reset();
  turn_until([&] { return ended(kReceive); });
  EXPECT_EQ(seen().result_of(kReceive), -ECONNRESET);
  std::string bytes = "x";
  EXPECT_EQ(send_all(fd, bytes), -EPIPE);
  close(fd);
}

TEST_P(RingContract, CloseIsOrderlyUnlessAResetIsAskedFor) {
  auto [orderly, orderly_remote] = connected();
  close(orderly);
  turn_until([&] { return orderly_remote->saw_end(); });
  EXPECT_FALSE(orderly_remote->saw_reset());

  auto [abrupt, abrupt_remote] = connected();
  ring().reset_on_close(abrupt);
  close(abrupt);
  turn_until([&] { return abrupt_remote->saw_reset(); });
  EXPECT_FALSE(abrupt_remote->saw_end());
}

TEST_P(RingContract, EventIsReadIntoTheCallersMemory) {
  const int event = world_->open_event();
  std::uint64_t count = 0;
  submit({.code = OpCode::read, .fd = event, .data = &count, .length = sizeof count}, kRead);
  turn(ring().now());
  EXPECT_FALSE(ended(kRead));
  world_->signal(event);
  turn_until([&] { return ended(kRead); });
  EXPECT_EQ(seen().result_of(kRead), 8);
  EXPECT_EQ(count, 1u);
  close(event);
}

TEST_P(RingContract, SubmissionWithoutTargetIsCarriedOutInSilence) {
  auto [fd, remote] = connected();
  ring().submit({.code = OpCode::shutdown, .fd = fd, .how = SHUT_WR});
  ring().submit({.code = OpCode::close, .fd = fd});
  turn_until([&] { return remote->saw_end(); });
  turn_until([&] { return world_->check_clean().empty(); });
  EXPECT_TRUE(seen().all.empty());
}

TEST_P(RingContract, MoreSubmissionsThanTheQueuesHoldCompleteOnceEach) {
  start({.submission_entries = 8, .completion_entries = 16});
  constexpr int kCount = 5000;
  for (int count = 0; count < kCount; ++count) {
    submit({.code = OpCode::cancel, .cancel_tag = kRead}, kCancel);
  }
  turn_until([&] { return seen().ended[kCancel] == kCount; });
  turn(ring().now());
  EXPECT_EQ(seen().all.size(), static_cast<std::size_t>(kCount));
}

TEST_P(RingContract, PastDeadlineDoesNotWait) {
  const auto started = std::chrono::steady_clock::now();
  const TimePoint before = ring().now();
  EXPECT_TRUE(ring().enter(TimePoint::min()).empty());
  EXPECT_TRUE(ring().enter(before).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(5));
}

TEST_P(RingContract, DeadlineEndsTheWaitAndIsNotEarly) {
  for (const auto wait : {milliseconds(1), milliseconds(7), milliseconds(20)}) {
    const TimePoint deadline = ring().now() + wait;
    const WallTime wall_before = ring().wall_now();
    EXPECT_TRUE(ring().enter(deadline).empty());
    EXPECT_GE(ring().now(), deadline);
    EXPECT_GT(ring().wall_now(), wall_before);
  }
}

TEST_P(RingContract, ClockStandsStillBetweenEnters) {
  const TimePoint now = ring().now();
  const WallTime wall_now = ring().wall_now();
  std::uint64_t burnt = 0;
  for (std::uint64_t step = 0; step < 100'000; ++step) burnt = burnt * 31 + step;
  EXPECT_NE(burnt, 0u);
  EXPECT_EQ(ring().now(), now);
  EXPECT_EQ(ring().wall_now(), wall_now);
}

TEST_P(RingContract, WakeEndsTheNextWaitAndOnlyThat) {
  for (int round = 0; round < 3; ++round) {
    ring().wake();
    ring().wake();
    const TimePoint before = ring().now();
    EXPECT_TRUE(ring().enter(before + seconds(600)).empty());
    EXPECT_LT(ring().now(), before + seconds(600));
    const TimePoint deadline = ring().now() + milliseconds(2);
    EXPECT_TRUE(ring().enter(deadline).empty());
    EXPECT_GE(ring().now(), deadline);
  }
}

std::vector<Subject> subjects() {
  std::vector<Subject> all{{"Kernel", &make_kernel_world},
                           {"FakeCalm", [](const RingOptions& options) {
                              return make_fake_world(FaultPlan::none(), options);
                            }}};
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    all.push_back({"FakeChaos" + std::to_string(seed), [seed](const RingOptions& options) {
                     return make_fake_world(FaultPlan::chaos(seed), options);
                   }});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Rings, RingContract, testing::ValuesIn(subjects()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace sluice::io
