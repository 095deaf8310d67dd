// What a change's outcome is to those who watch.
#pragma once

#include <string_view>

#include "proxy/control/change_queue.h"
#include "proxy/control/event_bus.h"

namespace sluice::proxy {

// Alarms: the ledger does not take records; one of its copies is bad; workers have not adopted what
// is in force.
inline constexpr std::string_view kLedgerAlarm = "ledger_write_failed";
inline constexpr std::string_view kLedgerCopyAlarm = "ledger_copy_lost";
inline constexpr std::string_view kWorkersAlarm = "workers_behind";

void publish_revision(EventBus& events, const routing::Revision& revision);
void publish_outcome(EventBus& events, const ChangeQueue::Outcome& outcome);

}  // namespace sluice::proxy
