// LedgerBackup: keeps a whole copy of the ledger at a place that the user names (`ledger.copy_to`),
// after every change, without anybody waiting for it: changes that come while a copy is written
// are in the next one. Control's thread; what blocks runs on a thread of its own.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/control/background.h"
#include "proxy/control/ledger_store.h"

namespace sluice::proxy {

struct LedgerBackupStats {
  std::uint64_t written = 0;
  std::uint64_t failures = 0;
};

class LedgerBackup {
 public:
  // Both outlive it.
  LedgerBackup(io::Loop& loop, const LedgerStore& ledger);

  // Empty: none. Takes a copy at once.
  void use_path(std::string path);
  void ledger_changed();
  const LedgerBackupStats& stats() const { return stats_; }

 private:
  void write();

  const LedgerStore& ledger_;
  std::string path_;
  LedgerBackupStats stats_;
  bool writing_ = false;
  bool again_ = false;
  bool failing_ = false;   // the last one failed, and that was said
  Background background_;  // the first to end: its jobs use the others
};

}  // namespace sluice::proxy
