#include "proxy/base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sluice {
namespace {

std::string ascending() {
  std::string text;
  for (char c = 0; c < 32; ++c) text += c;
  return text;
}

// RFC 3720, appendix B.4, and the check value of the CRC catalogues.
TEST(Crc32c, GivesTheKnownAnswers) {
  const std::string up = ascending();
  const struct {
    std::string text;
    std::uint32_t crc;
  } cases[] = {
      {"", 0},
      {"123456789", 0xe3069283},
      {std::string(32, '\0'), 0x8a9136aa},
      {std::string(32, '\xff'), 0x62a8ab43},
      {up, 0x46dd794e},
      {std::string(up.rbegin(), up.rend()), 0x113fdb5c},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(crc32c(as_bytes(c.text)), c.crc) << c.text.size();
    EXPECT_EQ(crc32c_by_table(as_bytes(c.text)), c.crc) << c.text.size();
  }
}

TEST(Crc32c, TableAndInstructionAgreeAtEveryLengthAndAlignment) {
  std::mt19937 random(7);
  std::string text(300, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; from + size <= text.size(); ++size) {
      const Bytes part = as_bytes(std::string_view(text).substr(from, size));
      const auto previous = static_cast<std::uint32_t>(random());
      ASSERT_EQ(crc32c(part, previous), crc32c_by_table(part, previous)) << from << '+' << size;
    }
  }
}

TEST(Crc32c, ContinuesOverPieces) {
  const std::string_view text = "the checksum of the whole is that of its pieces in turn";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::uint32_t first = crc32c(as_bytes(text.substr(0, cut)));
    EXPECT_EQ(crc32c(as_bytes(text.substr(cut)), first), crc32c(as_bytes(text)));
  }
}

}  // namespace
}  // namespace sluice
