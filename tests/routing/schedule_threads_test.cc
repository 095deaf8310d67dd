// Real threads on what workers share: the ticket counter and the runtimes' cells.
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "routing/picker.h"
#include "routing/schedule.h"
#include "routing/snapshot.h"

namespace sluice::routing {
namespace {

TEST(ScheduleThreads, EveryTicketIsGivenOnceAndEveryShareIsExact) {
  constexpr std::size_t kPerThread = 20'000;
  for (std::size_t workers : {1, 2, 16}) {
    TicketCounter counter;
    const Schedule schedule(std::vector<std::uint64_t>{6, 3, 1});
    std::vector<std::vector<Ticket>> taken(workers);
    std::vector<std::vector<std::uint64_t>> counts(workers, std::vector<std::uint64_t>(3));
    std::barrier together(static_cast<std::ptrdiff_t>(workers));
    {
      std::vector<std::jthread> threads;
      for (std::size_t worker = 0; worker < workers; ++worker) {
        threads.emplace_back([&, worker] {
          taken[worker].reserve(kPerThread);
          together.arrive_and_wait();
          for (std::size_t i = 0; i < kPerThread; ++i) {
            const Ticket ticket = counter.take();
            taken[worker].push_back(ticket);
            ++counts[worker][schedule.pick(ticket)];
          }
        });
      }
    }
    std::vector<Ticket> all;
    std::vector<std::uint64_t> sum(3);
    for (std::size_t worker = 0; worker < workers; ++worker) {
      EXPECT_TRUE(std::ranges::is_sorted(taken[worker]));
      all.insert(all.end(), taken[worker].begin(), taken[worker].end());
      for (std::size_t share = 0; share < 3; ++share) sum[share] += counts[worker][share];
    }
    std::ranges::sort(all);
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], i);
    const std::uint64_t tenth = workers * kPerThread / 10;
    EXPECT_EQ(sum, (std::vector<std::uint64_t>{6 * tenth, 3 * tenth, tenth}));
  }
}

// Workers pick while control reads the totals, changes which servers are up and builds the next
// snapshot: what TSan is to judge, and no count may be lost.
TEST(ScheduleThreads, CountsAreReadWhileWorkersPick) {
  constexpr std::size_t kWorkers = 4;
  constexpr std::size_t kPerWorker = 20'000;
  auto config = std::make_shared<conf::Config>();
  const Address address = *Address::parse("127.0.0.1:80");
  config->backends = {{"blue", {{"b1", address}, {"b2", address}}, {}},
                      {"green", {{"g1", address}}, {}}};
  config->routes = {{"app", {}, "/", {{"blue", {90, 0}}, {"green", {10, 0}}}}};
  State state;
  state.apply(*state.plan_reload(*config, {}).revision);
  Registry registry(kWorkers);
  const std::shared_ptr<const Snapshot> snapshot = registry.build(config, state, 1);
  RouteRuntime& runtime = *snapshot->routes[0].runtime;
  {
    std::vector<std::jthread> threads;
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
      threads.emplace_back([&, worker] {
        Picker picker(worker);
        picker.adopt(*snapshot);
        for (std::size_t i = 0; i < kPerWorker; ++i) {
          const Choice choice = picker.pick(*snapshot, 0);
          if (choice.server && i % 64 == 0) {
            snapshot->backends[choice.backend].servers[*choice.server].runtime->up.store(false);
          }
        }
      });
    }
    std::uint64_t seen = 0;
    for (std::uint64_t epoch = 2; epoch < 200; ++epoch) {
      const std::uint64_t now = runtime.total(0) + runtime.total(1);
      EXPECT_GE(now, seen);
      seen = now;
      snapshot->backends[0].servers[0].runtime->up.store(true);
      EXPECT_EQ(registry.build(config, state, epoch)->routes[0].runtime.get(), &runtime);
    }
  }
  EXPECT_EQ(runtime.tickets_taken(), kWorkers * kPerWorker);
  EXPECT_EQ(runtime.total(0), kWorkers * kPerWorker * 9 / 10);
  EXPECT_EQ(runtime.total(1), kWorkers * kPerWorker / 10);
}

}  // namespace
}  // namespace sluice::routing
