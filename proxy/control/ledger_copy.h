// LedgerCopy: one file that holds the ledger's bytes (routing/ledger.h), written so that it can be
// believed: what was acknowledged is on the disk, and nothing that a failed fsync left behind is
// ever taken for true. Blocking; owned by a LedgerStore.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "proxy/io/file_descriptor.h"

namespace sluice::proxy {

class LedgerCopy {
 public:
  // The error is a sentence.
  using Done = std::expected<void, std::string>;

  // More than this is no ledger of ours.
  static constexpr std::uint64_t kBytesMax = std::uint64_t{4} * 1024 * 1024 * 1024;

  explicit LedgerCopy(std::string path) : path_(std::move(path)) {}

  // Opens the file, makes it where it is missing, and reads all of it.
  std::expected<std::string, std::string> open();
  // Makes sure that what was read is on the disk, whatever the process before was cut off in.
  Done settle(std::uint64_t good_bytes);

  // Writes behind what is there; durable only after sync(). On an error the file is as before.
  Done write(std::string_view text);
  Done sync();
  // Takes back what was written since the last sync() or settle().
  Done take_back();
  // A new file in the place of this one, durable when it returns; the old one is not touched
  // before the new one is whole.
  Done replace(std::string_view text);

  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return durable_bytes_; }
  // Not empty: why nothing in this file is believed any more, until replace().
  const std::string& broken() const { return broken_; }
  void give_up(std::string why) { broken_ = std::move(why); }

 private:
  std::string path_;
  io::FileDescriptor fd_;
  std::uint64_t durable_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
  std::string broken_;
};

// Makes a directory where it is missing. The error is a sentence.
std::expected<void, std::string> make_directory(const std::string& directory);
// A whole file at `path`, by way of another that takes its place. The error is a sentence.
std::expected<io::FileDescriptor, std::string> write_whole(const std::string& path,
                                                           std::string_view text);

}  // namespace sluice::proxy
