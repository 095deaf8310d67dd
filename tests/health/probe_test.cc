#include "health/probe.h"

#include <gtest/gtest.h>

namespace sluice::health {
namespace {

TEST(ProbeRequest, HostIsTheServersAddressUnlessTheCheckNamesOne) {
  conf::HealthCheck check;
  check.path = "/ready?deep=1";
  const ProbeRequest by_address = make_probe_request(check, *Address::parse("10.0.0.7:8080"));
  EXPECT_EQ(by_address.path, "/ready?deep=1");
  EXPECT_EQ(by_address.host, "10.0.0.7:8080");
  EXPECT_EQ(make_probe_request(check, *Address::parse("[::1]:81")).host, "[::1]:81");

  check.host = "app.example";
  EXPECT_EQ(make_probe_request(check, *Address::parse("10.0.0.7:8080")).host, "app.example");
}

TEST(ProbeRequest, HostOfAUnixSocketIsLocalhost) {
  EXPECT_EQ(make_probe_request({}, *Address::parse("unix:/run/app.sock")).host, "localhost");
}

TEST(ProbeVerdict, OnlyTheStatedStatusesPass) {
  const conf::HealthCheck any_2xx;
  EXPECT_FALSE(verdict(any_2xx, 199));
  EXPECT_TRUE(verdict(any_2xx, 200));
  EXPECT_TRUE(verdict(any_2xx, 299));
  EXPECT_FALSE(verdict(any_2xx, 300));
  EXPECT_EQ(verdict(any_2xx, 503).error(), "status 503, expected 200 to 299");

  conf::HealthCheck only_204;
  only_204.status_min = only_204.status_max = 204;
  EXPECT_TRUE(verdict(only_204, 204));
  EXPECT_EQ(verdict(only_204, 200).error(), "status 200, expected 204");
}

}  // namespace
}  // namespace sluice::health
