// LeaseKeeper: lets leases lapse when nobody has renewed them in time: the shift is taken back (or
// frozen), as a revision by the identity `lease`. Control's thread only.
//
// Deadlines are wall-clock times, since they outlive the process; what lapsed while nobody was
// there is taken back at start, before a request is served (Control). The wall clock is looked at
// once a second at least, so that it may be set.
#pragma once

#include <expected>
#include <string>

#include "proxy/control/change_queue.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

struct LeaseStats {
  std::uint64_t reverted = 0;
  std::uint64_t frozen = 0;
  std::uint64_t failures = 0;  // a lapse that the ledger did not take; tried again
};

class LeaseKeeper {
 public:
  static constexpr Duration kLookTime = std::chrono::seconds(1);

  // All outlive it.
  LeaseKeeper(io::Loop& loop, const routing::Book& book, ChangeQueue& changes);

  // Something has changed, and with it perhaps the next deadline.
  void look();
  void stop();
  const LeaseStats& stats() const { return stats_; }

 private:
  void lapse(routing::RevisionNumber lease);

  io::Loop& loop_;
  const routing::Book& book_;
  ChangeQueue& changes_;
  io::Timer timer_;
  LeaseStats stats_;
  bool lapsing_ = false;
  bool stopped_ = false;
};

// What the keeper and the start, which comes before it, do in the same way.
std::expected<routing::Revision, routing::PlanError> plan_lapse(const routing::State& state,
                                                                routing::RevisionNumber lease,
                                                                WallTime now);
// A lapse that is durable: what it has brought back, and what could not be.
void log_lapse(const routing::Revision& lapse);
// One that the ledger did not take.
void log_not_lapsed(routing::RevisionNumber lease, const std::string& reason);

}  // namespace sluice::proxy
