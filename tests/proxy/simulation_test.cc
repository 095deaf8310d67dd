// Thousands of seeds drive whole exchanges through a worker on the fake ring.
#include "tests/proxy/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace sluice::proxy {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t kShare = 20;  // sanitized runs take about twenty times as long
#else
constexpr std::uint64_t kShare = 1;
#endif

// SLUICE_SIMULATION_SEEDS asks for more (or fewer), SLUICE_SIMULATION_SEED for one alone.
std::pair<std::uint64_t, std::uint64_t> seeds(std::uint64_t count) {
  if (const char* one = std::getenv("SLUICE_SIMULATION_SEED")) {
    const std::uint64_t seed = std::strtoull(one, nullptr, 10);
    return {seed, seed + 1};
  }
  if (const char* many = std::getenv("SLUICE_SIMULATION_SEEDS")) {
    count = std::strtoull(many, nullptr, 10) * kShare;
  }
  return {1, std::max<std::uint64_t>(count / kShare, 1) + 1};
}

// HTTP/2 on the clients' side, the servers', both, or mixed, by seed.
Simulation::Options with_http2(Simulation::Options options) {
  options.http2_clients = std::array{1.0, 0.0, 1.0, 0.5}[options.plan.seed % 4];
  options.http2_servers = options.plan.seed % 4 != 0;
  return options;
}

TEST(Simulation, OnAFaultlessNetworkEveryRequestIsAnsweredOnce) {
  const auto [first, last] = seeds(250);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation({.plan = io::FaultPlan::none(seed)});
    ASSERT_EQ(simulation.run(), "");
    ASSERT_EQ(simulation.responses_cut(), 0u) << "seed " << seed;
    ASSERT_EQ(simulation.responses_whole(), 24u) << "seed " << seed;
    ASSERT_EQ(simulation.requests_at_origins(), 24u) << "seed " << seed;
  }
}

TEST(Simulation, ShortLateAndReorderedOperationsChangeNothing) {
  const auto [first, last] = seeds(1500);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation({.plan = io::FaultPlan::chaos(seed)});
    ASSERT_EQ(simulation.run(), "");
    ASSERT_EQ(simulation.responses_cut(), 0u) << "seed " << seed;
    ASSERT_EQ(simulation.responses_whole(), 24u) << "seed " << seed;
    ASSERT_EQ(simulation.requests_at_origins(), 24u) << "seed " << seed;
  }
}

TEST(Simulation, WhatBreaksIsNeverTakenForWhole) {
  const auto [first, last] = seeds(1500);
  std::size_t cut = 0;
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation({.plan = io::FaultPlan::breaking(seed)});
    ASSERT_EQ(simulation.run(), "");
    cut += simulation.responses_cut();
  }
  EXPECT_GT(cut, 0u);
}

TEST(Simulation, AbortsOfClientsAndServersAtAnyStepLeaveNothingBehind) {
  const auto [first, last] = seeds(1500);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation(
        {.plan = io::FaultPlan::chaos(seed), .client_aborts = true, .server_aborts = true});
    ASSERT_EQ(simulation.run(), "");
  }
}

TEST(Simulation, LargeBodiesFlowWithBackPressure) {
  const auto [first, last] = seeds(40);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation({.plan = io::FaultPlan::chaos(seed),
                           .clients = 2,
                           .requests_per_client = 3,
                           .body_bytes_max = 1'000'000,
                           .pipelining = false});
    ASSERT_EQ(simulation.run(), "");
    ASSERT_EQ(simulation.responses_whole(), 6u) << "seed " << seed;
  }
}

// --- HTTP/2 -------------------------------------------------------------------------------------

TEST(Simulation, EveryPairOfVersionsAnswersEveryRequestOnce) {
  const auto [first, last] = seeds(2000);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation(with_http2({.plan = io::FaultPlan::chaos(seed)}));
    ASSERT_EQ(simulation.run(), "");
    ASSERT_EQ(simulation.responses_cut(), 0u) << "seed " << seed;
    ASSERT_EQ(simulation.responses_whole(), 24u) << "seed " << seed;
    ASSERT_EQ(simulation.requests_at_origins(), 24u) << "seed " << seed;
  }
}

TEST(Simulation, WhatBreaksIsNeverTakenForWholeInHttp2Either) {
  const auto [first, last] = seeds(2000);
  std::size_t cut = 0;
  std::size_t whole = 0;
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation(with_http2({.plan = io::FaultPlan::breaking(seed)}));
    ASSERT_EQ(simulation.run(), "");
    cut += simulation.responses_cut();
    whole += simulation.responses_whole();
  }
  EXPECT_GT(cut, 0u);
  EXPECT_GT(whole, cut);
}

TEST(Simulation, AbortsOfStreamsAndConnectionsLeaveNothingBehind) {
  const auto [first, last] = seeds(2000);
  std::uint64_t resets = 0;
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation(with_http2(
        {.plan = io::FaultPlan::chaos(seed), .client_aborts = true, .server_aborts = true}));
    ASSERT_EQ(simulation.run(), "");
    resets += simulation.counted(admin::Count::h2_resets_received);
  }
  EXPECT_GT(resets, 0u);
}

// Not by chance: in each turn that a run has, for every pair of versions.
TEST(Simulation, AnAbortInAnyTurnLeavesNothingBehind) {
  using Turn = std::size_t Simulation::Options::*;
  constexpr Turn kAborts[] = {
      &Simulation::Options::clients_reset_at, &Simulation::Options::client_streams_reset_at,
      &Simulation::Options::servers_reset_at, &Simulation::Options::server_streams_reset_at};
  for (const auto& [clients, servers] :
       {std::pair(0.0, false), {1.0, false}, {0.0, true}, {1.0, true}}) {
    Simulation::Options options{.plan = io::FaultPlan::chaos(7),
                                .clients = 2,
                                .requests_per_client = 3,
                                .servers = 1,
                                .http2_clients = clients,
                                .http2_servers = servers};
    Simulation undisturbed(options);
    ASSERT_EQ(undisturbed.run(), "");
    for (const Turn abort : kAborts) {
      for (std::size_t turn = 1; turn <= undisturbed.turns(); turn += kShare) {
        Simulation::Options broken = options;
        broken.*abort = turn;
        Simulation simulation(broken);
        ASSERT_EQ(simulation.run(), "") << "in turn " << turn;
      }
    }
  }
}

TEST(Simulation, LargeBodiesShareHttp2ConnectionsWithBackPressure) {
  const auto [first, last] = seeds(80);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Simulation simulation(with_http2({.plan = io::FaultPlan::chaos(seed),
                                      .clients = 2,
                                      .requests_per_client = 5,
                                      .body_bytes_max = 300'000,
                                      .stream_buffer_bytes = 16 * 1024}));
    ASSERT_EQ(simulation.run(), "");
    ASSERT_EQ(simulation.responses_whole(), 10u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace sluice::proxy
