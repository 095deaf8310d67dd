// LedgerStore: the ledger on disk, as two copies that say the same (guarantee G4). Blocking; opened
// by the control thread at start, then used by one background thread only.
//
//   append     write both, fsync both, then it is acknowledged
//   open       each copy is read whole; the better one counts, and the other is made anew from it:
//              one whose tail is torn or missing (that change was never acknowledged, or is in the
//              other copy), one that is damaged (its bytes are kept beside it, as `.damaged-N`)
//   no better  both damaged, or both whole and not the same: traffic follows what can be read,
//              changes are refused, and that is said loudly
//   a failure  of write: taken back, the change refused, the copies stay good
//              of fsync: the change is refused, and that file is never believed again; a new one
//              takes its place with the next change. Where none can be made, the other copy alone
//              takes the changes, which is an alarm; with neither, changes are refused
//
// One process at a time holds a state directory (flock on `ledger.lock`).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proxy/control/ledger_copy.h"
#include "routing/ledger.h"

namespace sluice::proxy {

class LedgerStore {
 public:
  static constexpr std::size_t kCopies = 2;

  struct Places {
    std::string directory;
    std::string second_directory;  // of the second copy; empty: `directory`
  };
  struct Opened {
    std::unique_ptr<LedgerStore> store;
    routing::StateImage base;
    std::vector<routing::Revision> revisions;
    std::size_t torn_bytes = 0;        // cut off: the beginning of a change never acknowledged
    std::vector<std::string> repairs;  // a sentence each
    // Not empty: what is wrong with both copies; `base` and `revisions` are what can be read, and
    // no record can be appended.
    std::string damage;
  };
  // Creates directories and files where they are missing. The error is a sentence.
  static std::expected<Opened, std::string> open(const Places& places);

  // Keeps other processes away from a state directory, which must be there, as long as what is
  // returned lives. The error: one holds it.
  static std::expected<io::FileDescriptor, std::string> hold(const std::string& directory);

  // Durable when it returns. The error is a sentence; nothing was changed then.
  std::expected<void, std::string> append(const routing::Revision& revision);
  // `revision` is in force though it could not be appended: it goes in front of the next one, since
  // no record may lack its parent. Precondition: none is owed yet.
  void owe(routing::Revision revision) { owed_ = std::move(revision); }
  // Lets go of all revisions but the last `kept`, in favour of a checkpoint. The error is a
  // sentence; the ledger is then as it was.
  std::expected<void, std::string> compact(std::size_t kept);

  std::size_t revision_count() const { return revision_count_; }
  // All of it, as both copies have it. Any thread.
  std::string text() const;
  std::uint64_t bytes() const { return text_.size(); }
  // Copies that take records: 2 when all is well.
  std::size_t good_copies() const;
  // What is wrong with copies that don't; empty: nothing.
  std::string alarm() const;

 private:
  explicit LedgerStore(const Places& places);
  struct Reading;  // of one copy at start

  void choose(std::array<Reading, kCopies>& readings, Opened& opened);
  std::expected<void, std::string> make_same(const std::array<Reading, kCopies>& readings,
                                             Opened& opened);
  std::expected<void, std::string> append_one(const routing::Revision& revision);
  // Both copies have `record` behind what they had, or neither does.
  std::expected<void, std::string> write_durably(std::string_view record);
  void restore_broken_copies();
  void take_back_all();

  io::FileDescriptor lock_;
  std::array<LedgerCopy, kCopies> copies_;
  mutable std::mutex mutex_;  // text_ is read by those who export it
  std::string text_;          // what the copies hold; durable
  std::uint32_t chain_ = 0;
  std::size_t revision_count_ = 0;
  std::optional<routing::Revision> owed_;
  std::string damage_;  // not empty: why no record is taken any more
};

}  // namespace sluice::proxy
