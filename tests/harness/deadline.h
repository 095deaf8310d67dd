// Deadline: the moment by which a blocking step of a test must be over. Passed by value.
#pragma once

#include <algorithm>
#include <chrono>

namespace sluice::harness {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Long enough for a sanitized build on a busy machine; a healthy test never gets near it.
inline constexpr milliseconds kPatience = seconds(30);

class Deadline {
 public:
  explicit Deadline(milliseconds from_now = kPatience)
      : at_(std::chrono::steady_clock::now() + from_now) {}

  std::chrono::steady_clock::time_point at() const { return at_; }
  bool over() const { return std::chrono::steady_clock::now() >= at_; }
  // What poll() takes; 0 once over.
  int remaining_ms() const {
    auto left = std::chrono::ceil<milliseconds>(at_ - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 1'000'000'000));
  }

 private:
  std::chrono::steady_clock::time_point at_;
};

}  // namespace sluice::harness
