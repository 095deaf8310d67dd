// LimitsTest: Sluice with a listener `narrow` that has bounds of its own, beside `http`, which has
// the file's; both speak both versions. What the tests of limits and times stand on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/harness/raw_origin.h"
#include "tests/integration/any_client.h"
#include "tests/integration/pair_test.h"

namespace sluice::integration {

// How long something took at the least: begun before, looked at after.
class Stopwatch {
 public:
  milliseconds elapsed() const {
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began_);
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

class LimitsTest : public SluiceTest {
 protected:
  // `narrow`: more lines of that listener.
  void start_narrow(Scenario scenario, const std::string& narrow);
  AnyClient connect_to(const std::string& listener, bool h2, harness::H2Client::Options options);
  AnyClient connect_to(const std::string& listener, bool h2) {
    return connect_to(listener, h2, harness::H2Client::Options{});
  }
};

// A connection that is asked with either version.
class EachVersion : public LimitsTest, public testing::WithParamInterface<bool> {
 protected:
  bool h2() const { return GetParam(); }
};

// `H1` or `H2`.
std::string version_name(const testing::TestParamInfo<bool>& h2);

// True when an answer to the request that was begun, or the end of its connection or stream, has
// come within the time.
bool answered_within(AnyClient& client, milliseconds time);
// The client's connection is at its end, by the proxy's will.
Ending end_of(AnyClient& client);
// A field that makes the strict origins behave so, whatever the path.
Fields behaving(const std::string& behaviour);

// The script of an HTTP/2 server that answers the head of each request with these frames, and more
// data of it with what `on_data` says of all that has come of that stream so far.
harness::RawOrigin::Script h2_server(
    std::function<std::string(std::uint32_t stream)> on_head,
    std::function<std::string(std::uint32_t stream, std::uint64_t bytes)> on_data = {});

}  // namespace sluice::integration
