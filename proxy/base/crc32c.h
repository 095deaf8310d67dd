// CRC32C (Castagnoli, the CRC of RFC 3720 appendix B.4): the checksum of ledger records.
#pragma once

#include <cstdint>

#include "proxy/base/bytes.h"

namespace sluice {

// The checksum of `bytes`, or, where `previous` is the checksum of what came before them, of both
// together: crc32c(b, crc32c(a)) == crc32c(a + b).
std::uint32_t crc32c(Bytes bytes, std::uint32_t previous = 0);

// The same by tables alone, as it is where the processor has no instruction for it.
std::uint32_t crc32c_by_table(Bytes bytes, std::uint32_t previous = 0);

}  // namespace sluice
