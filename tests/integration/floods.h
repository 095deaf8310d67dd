// Floods: what an HTTP/2 client may do to make its connection work for nothing, frame by frame, and
// a neighbour who looks at the clock meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/harness/h2_client.h"

namespace sluice::integration {

struct Batch {
  std::string bytes;
  std::uint64_t frames = 0;
};

struct Flood {
  const char* name;
  // Which budget it exhausts, as sluice_h2_budget_exhausted_total names it; empty: it is an error
  // of the connection, and ends with the code for that.
  std::string budget;
  // Once, before the rest.
  std::string opening;
  // `round` counts from 0; a batch of about 100 frames.
  std::function<Batch(std::uint32_t round)> batch;
};
std::vector<Flood> floods();

// A client that asks for one small thing after the other, and looks at the clock.
class Neighbour {
 public:
  explicit Neighbour(const harness::Endpoint& endpoint);
  bool ask();
  // Of what was asked since the last call.
  std::chrono::microseconds p99();

 private:
  std::unique_ptr<harness::H2Client> client_;
  std::vector<std::chrono::steady_clock::duration> times_;
};

}  // namespace sluice::integration
