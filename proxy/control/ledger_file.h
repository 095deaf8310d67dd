// LedgerFile: the ledger on disk (routing/ledger.h has its bytes). Blocking; opened by the control
// thread at start, then used by its background thread only.
//
// One process at a time holds it. After an fsync that failed, nothing that the file says later can
// be believed, so it takes no more records until a new process has read it anew.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/io/file_descriptor.h"
#include "routing/ledger.h"

namespace sluice::proxy {

class LedgerFile {
 public:
  struct Opened {
    std::unique_ptr<LedgerFile> file;
    std::vector<routing::Revision> revisions;
    std::size_t torn_bytes = 0;  // cut off: the beginning of a record that was never acknowledged
    // Not empty: the file is damaged; `revisions` are those before the damage, and no record can
    // be appended.
    std::string damage;
  };
  // Creates the directory and the file where they are missing. The error is a sentence.
  static std::expected<Opened, std::string> open(const std::string& directory);

  // Durable when it returns. The error is a sentence; the file is then as it was before.
  std::expected<void, std::string> append(const routing::Revision& revision);
  // `revision` is in force though it could not be appended: it goes in front of the next one, since
  // no record may lack its parent. Precondition: none is owed yet.
  void owe(routing::Revision revision) { owed_ = std::move(revision); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  LedgerFile(io::FileDescriptor fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)) {}
  std::expected<void, std::string> append_one(const routing::Revision& revision);
  std::expected<void, std::string> write_header();
  bool take_back();
  std::expected<void, std::string> write_durably(std::string_view text);

  io::FileDescriptor fd_;
  std::string path_;
  std::uint32_t chain_ = 0;
  std::uint64_t bytes_ = 0;
  std::optional<routing::Revision> owed_;
  std::string broken_;  // not empty: why no record is taken any more
};

}  // namespace sluice::proxy
