// One context used by many threads at once, as workers do, while its ticket keys rotate.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/tls/wire.h"
#include "tls/ticket_keys.h"

namespace sluice::tls::test {
namespace {

// Saved sessions that any thread may resume, whoever it was that got them.
class SavedSessions {
 public:
  void put(SavedSession session) {
    const std::lock_guard lock(mutex_);
    if (sessions_.size() < kMax) sessions_.push_back(std::move(session));
  }
  SavedSession take() {
    const std::lock_guard lock(mutex_);
    if (sessions_.empty()) return nullptr;
    SavedSession session = std::move(sessions_.back());
    sessions_.pop_back();
    return session;
  }

 private:
  static constexpr std::size_t kMax = 64;
  std::mutex mutex_;
  std::vector<SavedSession> sessions_;
};

TEST(ThreadsTest, HandshakesOnAllThreadsSucceedWhileKeysRotate) {
  constexpr int kThreads = 8;
  constexpr int kVisits = 40;
  const auto keys = make_ticket_keys();
  const auto server = make_server(server_options(), keys);
  const auto client = make_client(client_options());
  SavedSessions saved_sessions;
  std::atomic<int> resumed = 0;
  std::atomic<int> failed = 0;
  std::atomic<int> running = kThreads;

  const auto visits = [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    for (int i = 0; i < kVisits; ++i) {
      Wire wire(*server, *client, random() % 3 == 0 ? nullptr : saved_sessions.take());
      if (!wire.shake_hands()) {
        ++failed;
        continue;
      }
      if (wire.server.info().resumed) ++resumed;
      const std::string text = std::to_string(thread) + "." + std::to_string(i);
      wire.client_sends(text);
      wire.server_sends(text);
      wire.run();
      if (wire.at_server.plaintext != text || wire.at_client.plaintext != text) ++failed;
      saved_sessions.put(wire.client.take_saved_session());
    }
    --running;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(visits, i);
  while (running > 0) {
    keys->rotate();
    std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(resumed, 0);
}

TEST(ThreadsTest, SessionsOutliveTheContextThatAnotherThreadReplaces) {
  constexpr int kThreads = 4;
  constexpr int kVisits = 25;
  const auto keys = make_ticket_keys();
  const auto client = make_client(client_options());
  std::mutex mutex;
  auto current = make_server(server_options(), keys);
  std::atomic<int> failed = 0;
  std::atomic<int> running = kThreads;

  const auto visits = [&] {
    for (int i = 0; i < kVisits; ++i) {
      std::shared_ptr<const ServerContext> server;
      {
        const std::lock_guard lock(mutex);
        server = current;
      }
      Wire wire(*server, *client);
      server.reset();
      if (!wire.shake_hands() || wire.server_sends("x") != Status::ok) ++failed;
    }
    --running;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(visits);
  while (running > 0) {
    auto next = make_server(server_options(), keys);
    const std::lock_guard lock(mutex);
    current.swap(next);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace sluice::tls::test
