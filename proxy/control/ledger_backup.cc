#include "proxy/control/ledger_backup.h"

#include <memory>

#include "proxy/control/event_log.h"
#include "proxy/control/ledger_copy.h"

namespace sluice::proxy {

LedgerBackup::LedgerBackup(io::Loop& loop, const LedgerStore& ledger)
    : ledger_(ledger), background_(loop) {
}

void LedgerBackup::use_path(std::string path) {
  if (path == path_) return;
  path_ = std::move(path);
  ledger_changed();
}

void LedgerBackup::ledger_changed() {
  if (path_.empty()) return;
  if (writing_) {
    again_ = true;
  } else {
    write();
  }
}

void LedgerBackup::write() {
  writing_ = true;
  auto error = std::make_shared<std::string>();
  background_.run(
      [this, error, path = path_] {
        if (auto written = write_whole(path, ledger_.text()); !written) *error = written.error();
      },
      [this, error] {
        writing_ = false;
        ++(error->empty() ? stats_.written : stats_.failures);
        if (!error->empty() && !failing_) {
          log_event(Level::error, "ledger_copy_failed", {{"reason", *error}});
        }
        failing_ = !error->empty();
        if (std::exchange(again_, false)) ledger_changed();
      });
}

}  // namespace sluice::proxy
