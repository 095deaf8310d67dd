// H2Meter: what an HTTP/2 peer costs, whichever side of Sluice it is on: reads for a session, with
// an eye on the CPU time that goes into reads of no use (docs/limits.md), and the counter of each
// budget that ran out.
#pragma once

#include <cstdint>

#include "admin/worker_counters.h"
#include "proxy/base/bytes.h"
#include "proxy/base/clock.h"
#include "proxy/h2/budget.h"
#include "proxy/h2/session.h"
#include "proxy/h2/vain_time.h"

namespace sluice::proxy {

class H2Meter {
 public:
  // But for `good` the session can't go on, and has a GOAWAY to send that says why.
  enum class Read : std::uint8_t {
    good,
    broken,     // the peer broke the protocol
    exhausted,  // it did too much to no use; which budget ran out has been counted
  };
  Read receive(h2::Session& session, Bytes bytes, TimePoint now, admin::WorkerCounters& counters);
  // The same of a session that has failed by itself: what it had still to do was the last straw.
  static Read count_failure(const h2::Session& session, admin::WorkerCounters& counters);
  // A request was answered, data taken or sent.
  void note_useful() { vain_time_.note_useful(); }

 private:
  h2::VainTime vain_time_;
};

}  // namespace sluice::proxy
