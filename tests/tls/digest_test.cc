#include "tls/digest.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sluice::tls {
namespace {

TEST(Digest, Sha1IsThatOfTheRfcs) {
  EXPECT_EQ(sha1_base64("abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
  EXPECT_EQ(sha1_base64(""), "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
  EXPECT_EQ(sha1_base64("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Digest, RandomBytesAreAsManyAsAskedForAndNeverTheSame) {
  EXPECT_EQ(random_base64(0), "");
  EXPECT_EQ(random_base64(1).size(), 4u);
  EXPECT_EQ(random_base64(3).size(), 4u);
  EXPECT_EQ(random_base64(16).size(), 24u);
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.insert(random_base64(16)).second);
}

}  // namespace
}  // namespace sluice::tls
