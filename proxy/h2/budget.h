// Budget: how much a peer may make an HTTP/2 connection work without doing anything useful
// (RFC 9113 §10.5). Every frame costs; requests that are answered, data that is taken and data that
// is sent pay back, and so does time. Whoever runs out gets GOAWAY(ENHANCE_YOUR_CALM). Pure: the
// session, which owns it, tells it what happened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/clock.h"

namespace sluice::h2 {

// What a connection may do in vain. docs/limits.md publishes them.
struct BudgetLimits {
  std::uint32_t resets = 200;            // streams reset before they were answered, by either side
  std::uint32_t resets_per_second = 20;  // that are forgiven
  std::uint32_t empty_data = 100;        // DATA without data and without END_STREAM
  std::uint32_t control_frames = 1000;   // SETTINGS, PING, PRIORITY, unknown: unearned
  std::uint32_t control_per_second = 50;
  std::uint32_t window_updates = 2000;  // beyond what sent data explains
  std::uint32_t continuations = 16;     // frames of one field section
  std::uint64_t useless_bytes = 1024 * 1024;
  std::uint64_t useless_frames = 10'000;
  std::uint32_t useless_bytes_per_second = 4096;
  std::uint32_t useless_frames_per_second = 50;
};

enum class Exhausted : std::uint8_t {
  none,
  resets,
  empty_data,
  control_frames,
  window_updates,
  continuations,
  useless_bytes,
  useless_frames,
};

// What ran out, for log and GOAWAY: "too many streams reset". Static storage; empty for none.
std::string_view describe(Exhausted exhausted);

enum class FrameKind : std::uint8_t {
  data,
  headers,
  priority,
  rst_stream,
  settings,
  ping,
  window_update,
  continuation,
  other,
};

class Budget {
 public:
  explicit Budget(const BudgetLimits& limits) : limits_(limits) {}

  // A frame has come, of `bytes` with its header. Exhausted::none, or what ran out; the first
  // that does stays.
  Exhausted on_frame(FrameKind kind, std::size_t bytes, bool end_stream, TimePoint now);
  // A stream was reset, by the peer or because of it, before its response was whole. Its head, if
  // it was taken, came in so many bytes to no use.
  Exhausted on_reset(std::size_t head_bytes, TimePoint now);
  // Fields were decoded that no one takes: their section is past its limit.
  Exhausted on_fields_dropped(std::size_t bytes);
  // Useful: a head taken by whoever it was for, as it came; a request answered whole; the data of
  // one DATA frame taken; a DATA frame sent.
  void on_head_taken(std::size_t frames, std::size_t bytes);
  void on_request_answered();
  void on_data_taken(std::size_t bytes);
  void on_data_sent(std::size_t bytes);
  Exhausted exhausted() const { return exhausted_; }

 private:
  // What was spent and not yet earned back, or forgiven with time.
  struct Account {
    double spent = 0;
    TimePoint since{};
  };
  void forgive(Account& account, std::uint32_t per_second, TimePoint now);
  void bank_window_updates(double updates);
  Exhausted spend(Account& account, double amount, std::uint64_t limit, Exhausted what);
  static void earn(Account& account, double amount);

  BudgetLimits limits_;
  Account resets_;
  Account control_;
  Account empty_data_;
  Account window_updates_;
  Account useless_bytes_;
  Account useless_frames_;
  std::uint32_t continuations_ = 0;
  Exhausted exhausted_ = Exhausted::none;
};

}  // namespace sluice::h2
