#include "routing/observed.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "proxy/base/check.h"

namespace sluice::routing {

double ObservedWindow::share(std::size_t index) const {
  if (requests == 0) return 0;
  return static_cast<double>(counts[index]) / static_cast<double>(requests);
}

void ObservedShare::add(TimePoint now, std::span<const std::string> backends,
                        std::span<const std::uint64_t> totals) {
  SLUICE_CHECK(backends.size() == totals.size());
  const bool same = std::ranges::equal(backends, backends_);
  const bool shrunk =
      same && !samples_.empty() &&
      !std::ranges::equal(samples_.back().totals, totals, std::ranges::less_equal());
  if (!same || shrunk) begin_anew(backends);

  Sample sample{now, std::reduce(totals.begin(), totals.end()), {totals.begin(), totals.end()}};
  // The first two samples stay apart, or the window's beginning would move with its end.
  const std::size_t count = samples_.size();
  if (count > 1 && samples_[count - 1].time - samples_[count - 2].time < kSampleInterval) {
    samples_.back() = std::move(sample);
  } else {
    samples_.push_back(std::move(sample));
  }
  join_old();
  drop_old();
}

void ObservedShare::begin_anew(std::span<const std::string> backends) {
  backends_.assign(backends.begin(), backends.end());
  samples_.clear();
}

// Takes away the sample that a minute has just passed, if its neighbours hold few requests between
// them. last_minute() looks at nothing older than the sample after it.
void ObservedShare::join_old() {
  const TimePoint minute_ago = samples_.back().time - kMinute;
  std::size_t after = samples_.size() - 1;  // the newest sample that is a minute old
  while (after > 0 && samples_[after].time > minute_ago) --after;
  if (after < 2) return;
  if (samples_[after].requests - samples_[after - 2].requests > kJoinRequests) return;
  samples_.erase(samples_.begin() + static_cast<std::ptrdiff_t>(after) - 1);
}

void ObservedShare::drop_old() {
  const Sample& newest = samples_.back();
  const auto needless = [&] {
    return samples_.size() > 1 && newest.time - samples_[1].time >= kMinute &&
           newest.requests - samples_[1].requests >= kRequests;
  };
  while (needless() || samples_.size() > kSamplesMax) samples_.pop_front();
}

ObservedWindow ObservedShare::window_from(std::size_t first) const {
  ObservedWindow window;
  window.counts.resize(backends_.size());
  if (samples_.empty()) return window;
  const Sample& begin = samples_[first];
  const Sample& end = samples_.back();
  window.requests = end.requests - begin.requests;
  std::ranges::transform(end.totals, begin.totals, window.counts.begin(), std::minus());
  window.span = end.time - begin.time;
  return window;
}

ObservedWindow ObservedShare::last_requests() const {
  std::size_t first = samples_.empty() ? 0 : samples_.size() - 1;
  while (first > 0 && samples_.back().requests - samples_[first].requests < kRequests) --first;
  return window_from(first);
}

ObservedWindow ObservedShare::last_minute() const {
  std::size_t first = samples_.empty() ? 0 : samples_.size() - 1;
  while (first > 0 && samples_.back().time - samples_[first].time < kMinute) --first;
  return window_from(first);
}

}  // namespace sluice::routing
