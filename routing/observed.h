// ObservedShare: which share of a route's requests each backend has really got of late. One per
// route, owned by control, which feeds it about once a second from the route's RouteRuntime and
// asks it when `GET /weights` is answered. Pure: the clock is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "proxy/base/clock.h"

namespace sluice::routing {

// What one window saw.
struct ObservedWindow {
  std::uint64_t requests = 0;         // how many the figures are over
  std::vector<std::uint64_t> counts;  // per share; they sum to `requests`
  Duration span{};                    // from the window's beginning to the newest sample
  // Between 0 and 1; 0 where the window saw no request.
  double share(std::size_t index) const;
};

class ObservedShare {
 public:
  static constexpr std::uint64_t kRequests = 1000;
  static constexpr Duration kMinute = std::chrono::seconds(60);
  // Samples that come faster than this replace the newest one.
  static constexpr Duration kSampleInterval = std::chrono::milliseconds(900);
  // Samples older than a minute are joined while they hold no more requests than this: so many
  // requests more than kRequests may last_requests() be over, beside those of one sample.
  static constexpr std::uint64_t kJoinRequests = 50;
  static constexpr std::size_t kSamplesMax = 160;

  // `totals`: requests so far per share, `backends` the shares' names. Other names than before, or
  // a total that has shrunk, begin anew from this sample. `now` never goes back.
  void add(TimePoint now, std::span<const std::string> backends,
           std::span<const std::uint64_t> totals);

  // The newest samples that together hold at least kRequests; all there are, where those hold
  // fewer.
  ObservedWindow last_requests() const;
  // The newest samples that together span at least a minute; all there are, where those span less.
  ObservedWindow last_minute() const;

 private:
  struct Sample {
    TimePoint time;
    std::uint64_t requests = 0;  // sum of totals
    std::vector<std::uint64_t> totals;
  };
  void begin_anew(std::span<const std::string> backends);
  void join_old();
  void drop_old();
  ObservedWindow window_from(std::size_t first) const;

  std::vector<std::string> backends_;
  std::deque<Sample> samples_;  // oldest first; the first is only where the next one begins
};

}  // namespace sluice::routing
