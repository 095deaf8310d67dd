// The ledger reader on any bytes. An input that begins with `b` is taken as bodies, one a line,
// each in a record with the right checksum, so that the fuzzer gets behind the checksums; one that
// begins with `p` as the text of a partition. Any other input is a ledger file as it is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "proxy/base/check.h"
#include "proxy/base/crc32c.h"
#include "routing/ledger.h"
#include "routing/partition.h"
#include "routing/state.h"

namespace {

using namespace sluice;
using namespace sluice::routing;

std::string with_checksums(std::string_view bodies) {
  std::string file(kLedgerHeader);
  std::uint32_t chain = ledger_chain_start();
  while (!bodies.empty()) {
    const std::size_t end = std::min(bodies.find('\n'), bodies.size());
    const std::string covered = std::to_string(end) + ' ' + std::string(bodies.substr(0, end));
    chain = crc32c(as_bytes(covered), chain);
    char crc[16];
    std::snprintf(crc, sizeof crc, "%08x ", chain);
    file += crc + covered + '\n';
    bodies.remove_prefix(std::min(end + 1, bodies.size()));
  }
  return file;
}

// What was read can be written again, reads the same, and adds up to a state.
void check_contents(const LedgerContents& contents) {
  std::string file(kLedgerHeader);
  std::uint32_t chain = ledger_chain_start();
  State state;
  for (const Revision& revision : contents.revisions) {
    const auto record = encode_record(revision, chain);
    // Only another spelling of the same text can have been shorter than ours.
    if (!record) return;
    file += record->text;
    chain = record->chain;
    state.apply(revision);
  }
  const auto again = read_ledger(file);
  SLUICE_CHECK(again.has_value());
  SLUICE_CHECK(again->revisions == contents.revisions);
  SLUICE_CHECK(again->good_bytes == file.size() && again->torn_bytes == 0);
  SLUICE_CHECK(again->chain == chain);
}

void check_file(std::string_view file) {
  const auto contents = read_ledger(file);
  if (!contents) {
    SLUICE_CHECK(contents.error().offset < file.size());
    SLUICE_CHECK(!contents.error().message.empty());
    return;
  }
  SLUICE_CHECK(contents->good_bytes + contents->torn_bytes == file.size());
  check_contents(*contents);
  const auto good = read_ledger(file.substr(0, contents->good_bytes));
  SLUICE_CHECK(good && good->torn_bytes == 0 && good->chain == contents->chain);
  SLUICE_CHECK(good->revisions == contents->revisions);
}

// What is taken is in its one form, gives every key an owner, and can be rebalanced.
void check_partition(std::string_view text) {
  const auto partition = Partition::parse(text);
  if (!partition) {
    SLUICE_CHECK(!partition.error().empty());
    return;
  }
  SLUICE_CHECK(partition->to_string() == text);
  if (partition->empty()) return;
  std::uint64_t points = 0;
  Split split;
  for (const std::string& backend : partition->backends()) {
    points += partition->points_of(backend);
    split.push_back({backend, Decimal{1 + split.size(), 0}});
  }
  SLUICE_CHECK(points == Partition::kPoints);
  if (why_unfit(split)) return;
  const Partition next = partition->rebalance(split);
  const std::vector<std::uint64_t> wanted = points_for(split);
  for (std::size_t i = 0; i < split.size(); ++i) {
    SLUICE_CHECK(next.points_of(split[i].backend) == wanted[i]);
  }
  SLUICE_CHECK(next.rebalance(split) == next);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with('p')) {
    check_partition(input.substr(1));
    return 0;
  }
  check_file(input.starts_with('b') ? with_checksums(input.substr(1)) : std::string(input));
  return 0;
}
