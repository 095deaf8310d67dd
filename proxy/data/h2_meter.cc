#include "proxy/data/h2_meter.h"

#include <time.h>

#include <chrono>

#include "proxy/base/check.h"

namespace sluice::proxy {
namespace {

using admin::Count;

Duration thread_cpu_time() {
  timespec time{};
  SLUICE_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Count count_for(h2::Exhausted exhausted) {
  switch (exhausted) {
    case h2::Exhausted::resets:
      return Count::h2_exhausted_resets;
    case h2::Exhausted::empty_data:
      return Count::h2_exhausted_empty_data;
    case h2::Exhausted::control_frames:
      return Count::h2_exhausted_control_frames;
    case h2::Exhausted::window_updates:
      return Count::h2_exhausted_window_updates;
    case h2::Exhausted::continuations:
      return Count::h2_exhausted_continuations;
    case h2::Exhausted::useless_bytes:
      return Count::h2_exhausted_useless_bytes;
    case h2::Exhausted::useless_frames:
    case h2::Exhausted::none:
      break;
  }
  return Count::h2_exhausted_useless_frames;
}

}  // namespace

H2Meter::Read H2Meter::receive(h2::Session& session, Bytes bytes, TimePoint now,
                               admin::WorkerCounters& counters) {
  bool good;
  if (vain_time_.begin_read(now)) {
    const Duration before = thread_cpu_time();
    good = session.receive(bytes, now);
    vain_time_.spend(thread_cpu_time() - before);
  } else {
    good = session.receive(bytes, now);
  }
  if (good && vain_time_.exhausted()) {
    counters.add(Count::h2_exhausted_cpu_time);
    session.go_away(h2::ErrorCode::enhance_your_calm);
    return Read::exhausted;
  }
  return good ? Read::good : count_failure(session, counters);
}

H2Meter::Read H2Meter::count_failure(const h2::Session& session, admin::WorkerCounters& counters) {
  if (session.exhausted() == h2::Exhausted::none) return Read::broken;
  counters.add(count_for(session.exhausted()));
  return Read::exhausted;
}

}  // namespace sluice::proxy
