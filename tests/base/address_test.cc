#include "proxy/base/address.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Address, PrintsWhatItParsed) {
  for (const char* text :
       {"127.0.0.1:80", "[::1]:443", "0.0.0.0:0", "unix:/run/sluice/admin.sock"}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(Address::parse("localhost:1")->to_string(), "127.0.0.1:1");
  EXPECT_EQ(Address::parse("*:1")->to_string(), "0.0.0.0:1");
}

TEST(Address, RefusesWhatItCannotMean) {
  for (const char* text : {"", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80",
                           "[127.0.0.1]:80", "example.com:80", "unix:relative", "unix:",
                           "127.0.0.1:+1", "127.0.0.1: 1", "256.0.0.1:1"}) {
    EXPECT_FALSE(Address::parse(text)) << text;
  }
  EXPECT_FALSE(Address::parse("unix:/" + std::string(200, 'x')));
}

TEST(Address, KnowsLoopback) {
  EXPECT_TRUE(Address::parse("127.9.9.9:1")->is_loopback());
  EXPECT_TRUE(Address::parse("[::1]:1")->is_loopback());
  EXPECT_TRUE(Address::parse("[::ffff:127.0.0.1]:1")->is_loopback());
  EXPECT_TRUE(Address::parse("unix:/x")->is_loopback());
  EXPECT_FALSE(Address::parse("0.0.0.0:1")->is_loopback());
  EXPECT_FALSE(Address::parse("[::]:1")->is_loopback());
  EXPECT_FALSE(Address::parse("[::ffff:10.0.0.1]:1")->is_loopback());
}

TEST(AddressBlock, ContainsByPrefix) {
  const auto block = AddressBlock::parse("10.1.0.0/15");
  ASSERT_TRUE(block);
  EXPECT_TRUE(block->contains(*Address::parse("10.0.255.255:9")));
  EXPECT_TRUE(block->contains(*Address::parse("[::ffff:10.1.2.3]:9")));
  EXPECT_FALSE(block->contains(*Address::parse("10.2.0.0:9")));
  EXPECT_FALSE(block->contains(*Address::parse("[::1]:9")));
  EXPECT_TRUE(AddressBlock::parse("::/0")->contains(*Address::parse("[fe80::1]:9")));
  EXPECT_FALSE(AddressBlock::parse("10.0.0.0/33"));
  EXPECT_FALSE(AddressBlock::parse("10.0.0.0/"));
}

}  // namespace
}  // namespace sluice
