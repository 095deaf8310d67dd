#include "proxy/cli/place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

std::string parsed(std::string_view text) {
  const auto place = parse_place(text);
  return place ? place->to_string() : "error: " + place.error();
}

TEST(Place, UnderstandsSocketsAndUrls) {
  EXPECT_EQ(parsed("unix:/run/sluice/admin.sock"), "unix:/run/sluice/admin.sock");
  EXPECT_EQ(parsed("unix:///run/sluice/admin.sock"), "unix:/run/sluice/admin.sock");
  EXPECT_EQ(parsed("http://127.0.0.1:9901"), "http://127.0.0.1:9901");
  EXPECT_EQ(parsed("http://127.0.0.1:9901/"), "http://127.0.0.1:9901");
  EXPECT_EQ(parsed("127.0.0.1:19901"), "http://127.0.0.1:19901");
  EXPECT_EQ(parsed("http://[::1]:9901"), "http://[::1]:9901");
  EXPECT_EQ(parsed("https://lb-1.example.com:443"), "https://lb-1.example.com:443");
  EXPECT_EQ(parsed("https://lb-1.example.com"), "https://lb-1.example.com:9901");
  EXPECT_EQ(parsed("https://[fe80::1]"), "https://[fe80::1]:9901");
}

TEST(Place, SaysWhatIsWrong) {
  for (const char* bad :
       {"", "ftp://host", "unix:", "unix:relative", "/run/sluice/admin.sock", "http://",
        "http://host:0", "http://host:99999", "http://host:", "http://ho st:1", "http://a@b:1",
        "http://host:1/path", "http://[::1:1", "http://host\r\nX: y"}) {
    EXPECT_THAT(parsed(bad), testing::HasSubstr("must be like unix:/run")) << bad;
  }
  EXPECT_THAT(parsed("unix:/" + std::string(200, 'x')), testing::HasSubstr("107 bytes"));
}

TEST(Place, KnowsWhereATokenCouldBeRead) {
  EXPECT_FALSE(parse_place("http://127.0.0.1:1")->crosses_a_network_in_clear());
  EXPECT_FALSE(parse_place("http://localhost:1")->crosses_a_network_in_clear());
  EXPECT_FALSE(parse_place("http://[::1]:1")->crosses_a_network_in_clear());
  EXPECT_FALSE(parse_place("unix:/a")->crosses_a_network_in_clear());
  EXPECT_FALSE(parse_place("https://lb:1")->crosses_a_network_in_clear());
  EXPECT_TRUE(parse_place("http://lb:1")->crosses_a_network_in_clear());
  EXPECT_TRUE(parse_place("http://10.0.0.1:1")->crosses_a_network_in_clear());
}

std::string of(std::initializer_list<const char*> listen) {
  conf::Admin admin;
  for (const char* address : listen) admin.listen.push_back(Address::parse(address).value());
  const auto place = place_of(admin);
  return place ? place->to_string() : "error: " + place.error();
}

TEST(Place, TakesTheNearestThatAConfigurationHas) {
  EXPECT_EQ(of({"127.0.0.1:9901", "unix:/run/a.sock"}), "unix:/run/a.sock");
  EXPECT_EQ(of({"10.0.0.1:9901", "127.0.0.1:9902"}), "http://127.0.0.1:9902");
  EXPECT_EQ(of({"127.0.0.1:0", "[::1]:9902"}), "http://[::1]:9902");
  EXPECT_EQ(of({"10.0.0.1:9901"}), "https://10.0.0.1:9901") << "beyond loopback only with TLS";
  EXPECT_EQ(of({"*:9901"}), "https://127.0.0.1:9901");
  EXPECT_THAT(of({"127.0.0.1:0"}), testing::HasSubstr("port to the system"));
  EXPECT_THAT(of({}), testing::HasSubstr("off"));
}

}  // namespace
}  // namespace sluice::cli
