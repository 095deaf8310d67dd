// VainTime: the CPU time that an HTTP/2 connection has cost since it last did something useful. A
// share of all time is forgiven; whoever goes on beyond that has the connection ended
// (docs/limits.md). Pure: its owner measures, and only while must_measure(), since the clock of a
// thread costs a system call.
#pragma once

#include <algorithm>
#include <utility>

#include "proxy/base/clock.h"

namespace sluice::h2 {

class VainTime {
 public:
  static constexpr Duration kMax = std::chrono::milliseconds(100);
  // What may be spent so for ever: one part of all time in so many.
  static constexpr int kForgivenDivisor = 100;
  // Reads in vain that nobody measures.
  static constexpr unsigned kReadsFree = 32;

  // Before each read. True: its CPU time is to be told to spend().
  bool begin_read(TimePoint now) {
    spent_ -= std::min(spent_, (now - std::exchange(since_, now)) / kForgivenDivisor);
    if (++reads_ > kReadsFree) return true;
    spent_ = {};
    return false;
  }
  void spend(Duration cpu_time) { spent_ += cpu_time; }
  // A request was answered, data taken or sent.
  void note_useful() { reads_ = 0; }
  // After the read that was told to spend(); never if it was good for something.
  bool exhausted() const { return reads_ > 0 && spent_ > kMax; }

 private:
  Duration spent_{};
  TimePoint since_{};  // when some of it was last forgiven
  unsigned reads_ = 0;
};

}  // namespace sluice::h2
