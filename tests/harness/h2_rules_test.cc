#include "tests/harness/h2_rules.h"

#include <gtest/gtest.h>

namespace sluice::harness {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

Fields request(Lines more,
               Lines pseudo = {
                   {":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {":authority", "a"}}) {
  pseudo.insert(pseudo.end(), more.begin(), more.end());
  return {.lines = pseudo};
}

TEST(H2RulesTest, GoodRequestsPass) {
  EXPECT_EQ(check_h2_request(request({}), true), "");
  EXPECT_EQ(check_h2_request(request({{"te", "trailers"}, {"host", "a"}}), true), "");
  EXPECT_EQ(check_h2_request(request({{"content-length", "3"}}), false), "");
  EXPECT_EQ(check_h2_request(request({}, {{":method", "CONNECT"}, {":authority", "a:1"}}), false),
            "");
}

TEST(H2RulesTest, EachRuleIsKept) {
  const Lines bad[] = {{{"X", "y"}},
                       {{"", "y"}},
                       {{"x y", "z"}},
                       {{"x", "y\r\n"}},
                       {{"x", " y"}},
                       {{"x", std::string("\0", 1)}},
                       {{"connection", "close"}},
                       {{"transfer-encoding", "chunked"}},
                       {{"te", "gzip"}},
                       {{"host", "b"}},
                       {{"x", "y"}, {":path", "/"}},
                       {{":path", "/"}},
                       {{":x", "y"}},
                       {{":protocol", "websocket"}},
                       {{"content-length", "3"}},
                       {{"content-length", "0"}, {"content-length", "0"}},
                       {{"content-length", "+0"}}};
  for (const Lines& lines : bad) {
    EXPECT_NE(check_h2_request(request(lines), true), "") << lines.back().first;
  }
  for (const char* missing : {":method", ":scheme", ":path", ":authority"}) {
    Fields fields = request({});
    std::erase_if(fields.lines, [&](const auto& line) { return line.first == missing; });
    EXPECT_NE(check_h2_request(fields, true), "") << missing;
  }
  EXPECT_NE(check_h2_trailers(Fields{.lines = {{":status", "200"}}}), "");
  EXPECT_NE(check_h2_trailers(Fields{.lines = {{"content-length", "1"}}}), "");
}

}  // namespace
}  // namespace sluice::harness
