// The ledger's bytes: one record per revision, appended, each with its own checksum, readable with
// a pager. Pure; proxy/control/ledger_store.h does the I/O.
//
//   file   = header [checkpoint] record*
//   header = "sluice-ledger 1" LF
//   record = crc32c SP length SP body LF
//
// crc32c: 8 lower-case hex digits over `length SP body`, seeded with the previous record's crc32c
// (the header's for the first), so a record can't be lost, repeated or moved unseen. length:
// decimal bytes of body. body: a JSON object without raw line feeds. A checkpoint is a record that
// holds a whole state: what came before it is no longer in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/revision.h"
#include "routing/state.h"

namespace sluice::routing {

inline constexpr std::string_view kLedgerHeader = "sluice-ledger 1\n";
// The longest record. Longer ones are not written, and are damage when read.
inline constexpr std::size_t kLedgerRecordBytesMax = 16 * 1024 * 1024;

// Where the chain of checksums stands: after the header, or after the last record.
std::uint32_t ledger_chain_start();

struct EncodedRecord {
  std::string text;         // with its LF
  std::uint32_t chain = 0;  // for the next record
};
// The error is a sentence: the record would be longer than kLedgerRecordBytesMax. Text that is not
// UTF-8 is kept with U+FFFD in place of what is wrong. Never throws.
std::expected<EncodedRecord, std::string> encode_record(const Revision& revision,
                                                        std::uint32_t chain);
std::expected<EncodedRecord, std::string> encode_checkpoint(const StateImage& image,
                                                            std::uint32_t chain);
// A whole file: header, a checkpoint of `base` unless it is that of no revision, `revisions`.
std::expected<EncodedRecord, std::string> encode_ledger(const StateImage& base,
                                                        const std::vector<Revision>& revisions);

struct LedgerContents {
  StateImage base;  // of the checkpoint; of no revision where there is none
  std::vector<Revision> revisions;
  RevisionNumber last() const {
    return revisions.empty() ? base.revision : revisions.back().number;
  }
  std::uint32_t chain = 0;
  std::size_t good_bytes = 0;  // the file is right up to here
  // A torn tail: what follows good_bytes is the beginning of one record that was never
  // acknowledged, maybe filled up with zero bytes by the file system. It is to be cut, and
  // reported. good_bytes is 0 where even the header is torn.
  std::size_t torn_bytes = 0;
};
struct LedgerDamage {
  std::size_t offset = 0;
  std::string message;  // what is wrong there; damage is anything but a torn tail
};
// Never throws, whatever the bytes.
std::expected<LedgerContents, LedgerDamage> read_ledger(std::string_view file);

}  // namespace sluice::routing
