#include "proxy/control/change_events.h"

#include <fmt/format.h>

namespace sluice::proxy {

void publish_revision(EventBus& events, const routing::Revision& revision) {
  for (const admin::Happening& happening : admin::happenings_of(revision)) {
    events.publish(happening);
  }
}

void publish_outcome(EventBus& events, const ChangeQueue::Outcome& outcome) {
  if (!outcome.ledger_error.empty()) events.set_alarm(kLedgerAlarm, outcome.ledger_error);
  if (!outcome.revision) return;
  events.set_alarm(kLedgerAlarm, {});
  publish_revision(events, *outcome.revision);
  if (outcome.behind.empty()) return;
  events.set_alarm(kWorkersAlarm,
                   fmt::format("revision {} is not in force on workers {}",
                               outcome.revision->number, fmt::join(outcome.behind, ", ")));
}

}  // namespace sluice::proxy
