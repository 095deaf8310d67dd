// What ring_contract_test can't ask of a fake: other address families, the kernel's batches and
// refusals.
#include "proxy/io/uring_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "proxy/io/listening_socket.h"
#include "proxy/io/sockaddr.h"

namespace sluice::io {
namespace {

using std::chrono::seconds;

struct Last final : CompletionTarget {
  std::vector<Completion> all;
  void on_completion(const Completion& completion) override { all.push_back(completion); }
};

std::unique_ptr<Ring> make_ring() {
  auto ring = make_uring_ring();
  EXPECT_TRUE(ring.has_value()) << ring.error();
  return std::move(*ring);
}

void turn_until(Ring& ring, Last& target, std::size_t count) {
  const TimePoint limit = ring.now() + seconds(30);
  while (target.all.size() < count) {
    ASSERT_LT(ring.now(), limit);
    for (const Completion& each : ring.enter(limit)) each.target->on_completion(each);
  }
}

class UringAddresses : public testing::TestWithParam<std::string> {};

TEST_P(UringAddresses, ConnectAcceptAndNameBothEnds) {
  const auto wanted = Address::parse(GetParam());
  ASSERT_TRUE(wanted.has_value());
  auto listener = open_listening_socket(*wanted);
  if (!listener && listener.error().find("IPv6 is disabled") != std::string::npos) {
    GTEST_SKIP() << listener.error();
  }
  ASSERT_TRUE(listener.has_value()) << listener.error();
  const Address address = bound_address(listener->get());
  auto ring = make_ring();
  const auto fd = ring->open_socket(address);
  ASSERT_TRUE(fd.has_value());
  ring->tune_stream(*fd);
  Last accepted;
  Last connected;
  ring->submit({.code = OpCode::accept, .fd = listener->get(), .target = &accepted});
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(address, storage);
  ring->submit({.code = OpCode::connect,
                .fd = *fd,
                .target = &connected,
                .data = &storage,
                .length = length});
  turn_until(*ring, connected, 1);
  turn_until(*ring, accepted, 1);
  EXPECT_EQ(connected.all[0].result, 0);
  const FileDescriptor client(*fd);
  const FileDescriptor server(accepted.all[0].result);
  ASSERT_TRUE(server);
  EXPECT_EQ(ring->peer_address(client.get()), address);
  EXPECT_EQ(ring->local_address(server.get()), address);
  EXPECT_EQ(ring->peer_address(server.get()), ring->local_address(client.get()));
  EXPECT_EQ(ring->peer_address(server.get()).family, address.family);
  ring->submit({.code = OpCode::cancel,
                .cancel_whole_fd = true,
                .fd = listener->get(),
                .target = &connected});
  turn_until(*ring, accepted, 2);
  turn_until(*ring, connected, 2);
  if (address.family == Address::Family::unix_path) std::filesystem::remove(address.path);
}

std::string unix_path() {
  return "unix:" + testing::TempDir() + "sluice-uring-" + std::to_string(::getpid());
}

INSTANTIATE_TEST_SUITE_P(Families, UringAddresses,
                         testing::Values("127.0.0.1:0", "[::1]:0", unix_path()));

TEST(UringRing, AddressOfNoSocketIsNone) {
  auto ring = make_ring();
  EXPECT_EQ(ring->peer_address(-1), Address{});
  EXPECT_EQ(ring->local_address(STDIN_FILENO + 100'000), Address{});
}

TEST(UringRing, FloodOfCompletionsComesInBoundedBatches) {
  auto ring = make_ring();
  Last target;
  constexpr std::size_t kCount = 5000;
  for (std::size_t count = 0; count < kCount; ++count) {
    ring->submit({.code = OpCode::cancel, .cancel_tag = 1, .target = &target});
  }
  std::size_t turns = 0;
  while (target.all.size() < kCount) {
    const auto batch = ring->enter(kNever);
    EXPECT_LE(batch.size(), 1024u);
    ASSERT_FALSE(batch.empty());
    for (const Completion& each : batch) each.target->on_completion(each);
    ++turns;
  }
  EXPECT_GE(turns, kCount / 1024);
  EXPECT_TRUE(ring->enter(ring->now()).empty());
}

TEST(UringRing, OperationOnABadDescriptorIsAResult) {
  auto ring = make_ring();
  Last target;
  ring->submit({.code = OpCode::receive, .multishot = true, .fd = 1'000'000, .target = &target});
  turn_until(*ring, target, 1);
  EXPECT_EQ(target.all[0].result, -EBADF);
  EXPECT_FALSE(target.all[0].more);
  EXPECT_FALSE(target.all[0].has_buffer);
}

TEST(UringRing, TagAndTargetTravelTogether) {
  auto ring = make_ring();
  Last targets[3];
  for (std::uint8_t tag = 0; tag <= CompletionTarget::kTagMax; ++tag) {
    ring->submit({.code = OpCode::close, .tag = tag, .fd = -1, .target = &targets[tag % 3]});
  }
  for (std::size_t index = 0; index < 3; ++index) {
    turn_until(*ring, targets[index], index == 0 ? 6 : 5);
    std::uint8_t expected = static_cast<std::uint8_t>(index);
    for (const Completion& each : targets[index].all) {
      EXPECT_EQ(each.tag, expected);
      expected = static_cast<std::uint8_t>(expected + 3);
    }
  }
}

// The ring does shutdowns itself, so it has to keep them behind what was queued first.
TEST(UringRing, ShutdownOvertakesNoSendOfItsTurn) {
  auto listener = open_listening_socket(*Address::parse("127.0.0.1:0"));
  ASSERT_TRUE(listener.has_value());
  const Address address = bound_address(listener->get());
  auto ring = make_ring();
  const FileDescriptor client(*ring->open_socket(address));
  Last target;
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(address, storage);
  ring->submit({.code = OpCode::connect,
                .fd = client.get(),
                .target = &target,
                .data = &storage,
                .length = length});
  turn_until(*ring, target, 1);
  const FileDescriptor server(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::string bytes = "last words";
  ring->submit({.code = OpCode::send,
                .tag = 1,
                .fd = client.get(),
                .target = &target,
                .data = bytes.data(),
                .length = 10});
  ring->submit(
      {.code = OpCode::shutdown, .tag = 2, .fd = client.get(), .how = SHUT_WR, .target = &target});
  turn_until(*ring, target, 3);
  char received[16];
  EXPECT_EQ(::recv(server.get(), received, sizeof received, MSG_WAITALL), 10);
  EXPECT_EQ(::recv(server.get(), received, sizeof received, 0), 0);
}

TEST(UringRing, BufferGivenBackTwiceIsABrokenInvariant) {
  EXPECT_DEATH(
      {
        auto ring = make_ring();
        ring->recycle({.group = BufferGroup::small, .index = 3});  // was never lent
        ring->enter(ring->now());
      },
      "broken invariant");
}

TEST(UringRing, RefusalByTheSystemIsASentence) {
  // Also lets UBSan look at the type once: it needs descriptors of its own to do so.
  make_ring();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto ring = make_uring_ring();
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(ring.has_value());
  EXPECT_THAT(ring.error(), testing::HasSubstr("io_uring can't be set up: "));
  EXPECT_THAT(ring.error(), testing::HasSubstr("ulimit -n"));
}

TEST(UringRing, DestroyedWithAnArmedWakeAndMadeAgainManyTimes) {
  for (int round = 0; round < 20; ++round) {
    auto ring = make_ring();
    ring->enter(ring->now());
    ring->wake();
  }
}

}  // namespace
}  // namespace sluice::io
