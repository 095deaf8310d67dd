// What an idle session costs in heap. Idle connections are many, so this is a promise.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstddef>
#include <cstdio>
#include <vector>

#include "tests/tls/wire.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLUICE_TEST_SANITIZED 1
#endif
#endif

#ifdef SLUICE_TEST_SANITIZED
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace sluice::tls::test {
namespace {

constexpr std::size_t kIdleBytesMax = 6 * 1024;

std::size_t heap_bytes() {
#ifdef SLUICE_TEST_SANITIZED
  return __sanitizer_get_current_allocated_bytes();
#else
  return mallinfo2().uordblks;
#endif
}

struct Costs {
  double fresh = 0;      // made, nothing received
  double shaken = 0;     // hands shaken, tickets not yet sent
  double idle = 0;       // after the first answer
  double idle_busy = 0;  // after a large transfer both ways
};

Costs measure(Versions versions, bool resumed) {
  constexpr int kSessions = 50;
  ServerOptions options = server_options();
  options.allow_tls12 = true;
  const auto server = make_server(options);
  ClientOptions client_side = client_options();
  client_side.versions = versions;
  const auto client = make_client(client_side);

  SavedSession saved;
  const std::string large(300'000, 'l');
  // The clients go first, with their memory: what is left is the server's.
  const auto cost = [&](int steps) {
    std::vector<Session> sessions;
    sessions.reserve(kSessions);
    const std::size_t before = heap_bytes();
    for (int i = 0; i < kSessions; ++i) {
      Wire wire(*server, *client, resumed ? saved : nullptr);
      EXPECT_EQ(steps >= 1 && wire.shake_hands(), steps >= 1);
      if (steps >= 2) wire.server_sends("an answer");
      if (steps >= 3) {
        wire.server_sends(large);
        wire.client_sends(large);
      }
      wire.run();
      if (steps >= 1) {
        EXPECT_EQ(wire.server.info().resumed, resumed && saved != nullptr);
      }
      sessions.push_back(std::move(wire.server));
    }
    return static_cast<double>(heap_bytes() - before) / kSessions;
  };
  cost(2);  // what the library and this thread allocate once
  if (resumed) {
    Wire wire(*server, *client);
    EXPECT_TRUE(wire.shake_hands());
    wire.server_sends("an answer");
    wire.run();
    saved = wire.client.take_saved_session();
  }
  return {.fresh = cost(0), .shaken = cost(1), .idle = cost(2), .idle_busy = cost(3)};
}

TEST(MemoryTest, AnIdleSessionCostsLittleHeap) {
  for (const Versions versions : {Versions::tls13, Versions::tls12}) {
    for (const bool resumed : {false, true}) {
      const Costs costs = measure(versions, resumed);
      std::printf("%s%s: fresh %.0f, hands shaken %.0f, idle %.0f, idle after 300 kB %.0f bytes\n",
                  versions == Versions::tls13 ? "TLS 1.3" : "TLS 1.2", resumed ? " resumed" : "",
                  costs.fresh, costs.shaken, costs.idle, costs.idle_busy);
      EXPECT_LT(costs.shaken, kIdleBytesMax);
      EXPECT_LT(costs.idle, kIdleBytesMax);
      EXPECT_LT(costs.idle_busy, kIdleBytesMax);
    }
  }
}

}  // namespace
}  // namespace sluice::tls::test
