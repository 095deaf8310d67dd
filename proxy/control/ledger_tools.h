// What can be done to a ledger while no Sluice runs on it: `sluice ledger verify` and `import`.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "proxy/control/ledger_store.h"

namespace sluice::proxy {

// What is in one file.
struct LedgerReport {
  std::string path;
  routing::RevisionNumber first = 0;  // the first revision that can be looked at; 0: none
  routing::RevisionNumber last = 0;
  std::size_t revisions = 0;
  std::size_t torn_bytes = 0;
  std::string damage;  // empty: the file is good
};
// Reads and changes nothing. The error: it can't be read.
std::expected<LedgerReport, std::string> verify_ledger(const std::string& path);

// The two copies' paths.
std::vector<std::string> ledger_paths(const LedgerStore::Places& places);

// Makes `file` the ledger of these places. Where there is one already that knows revisions it is
// refused, unless `force`: then what was there is kept beside, as `.before-import-N`. Refused, too,
// while a Sluice runs there, and where the file is not good to its end.
std::expected<LedgerReport, std::string> import_ledger(const LedgerStore::Places& places,
                                                       const std::string& file, bool force);

}  // namespace sluice::proxy
