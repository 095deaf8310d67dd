#include "conf/tokens.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/base/rfc3339.h"

namespace sluice::conf {
namespace {

const std::string kDigest = "3f9a12cd" + std::string(56, '0');
const std::string kOther = "00000001" + std::string(56, 'f');

std::vector<std::string> errors_of(std::string_view text) {
  const auto tokens = parse_tokens(text, "t");
  std::vector<std::string> errors;
  if (tokens) return errors;
  for (const ConfigError& error : tokens.error()) errors.push_back(error.to_string());
  return errors;
}

TEST(Tokens, AreReadWithAllThatTheySay) {
  const auto tokens = parse_tokens(
      fmt::format("# made by hand\n"
                  "ci.3f9a12cd = {{ role = \"operator\", routes = [\"app\"], sha256 = \"{}\", "
                  "expires = \"2027-02-26\" }}\n"
                  "\"a.b\".00000001 = {{ role = \"viewer\", sha256 = \"{}\" }}\n",
                  kDigest, kOther),
      "t");
  ASSERT_TRUE(tokens) << tokens.error()[0].to_string();
  ASSERT_EQ(tokens->size(), 2u);
  const Token& first = (*tokens)[0];
  EXPECT_EQ(first.name, "ci");
  EXPECT_EQ(first.id, "3f9a12cd");
  EXPECT_EQ(first.grant, (Grant{.role = Role::operator_, .routes = {"app"}}));
  EXPECT_EQ(first.sha256, kDigest);
  EXPECT_EQ(first.expires, parse_rfc3339("2027-02-26T00:00:00.000000000Z"));
  EXPECT_EQ(first.line, 2);
  EXPECT_EQ((*tokens)[1].name, "a.b");
  EXPECT_FALSE((*tokens)[1].expires);
}

TEST(Tokens, AnEmptyFileHasNone) {
  EXPECT_TRUE(parse_tokens("", "t")->empty());
  EXPECT_TRUE(parse_tokens("# none\n", "t")->empty());
}

TEST(Tokens, OneNameMayHaveSeveral) {
  const auto tokens =
      parse_tokens(fmt::format("ci.3f9a12cd = {{ role = \"viewer\", sha256 = \"{}\" }}\n"
                               "ci.00000001 = {{ role = \"viewer\", sha256 = \"{}\" }}\n",
                               kDigest, kOther),
                   "t");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->size(), 2u);
}

TEST(Tokens, TheirLineIsReadAsItWasMeant) {
  Token token{.name = "a.b",
              .id = "3f9a12cd",
              .grant = {.role = Role::operator_, .routes = {"app", "*"}, .backends = {"blue"}},
              .sha256 = kDigest,
              .expires = parse_rfc3339("2027-02-26T18:30:00.000000000Z"),
              .created = "2026-11-28T00:00:00Z"};
  for (const bool limited : {true, false}) {
    if (!limited) token.grant = {.role = Role::admin};
    const auto read = parse_tokens(token_line(token), "t");
    ASSERT_TRUE(read) << read.error()[0].to_string() << token_line(token);
    ASSERT_EQ(read->size(), 1u);
    EXPECT_EQ((*read)[0].name, token.name);
    EXPECT_EQ((*read)[0].grant, token.grant);
    EXPECT_EQ((*read)[0].sha256, token.sha256);
    EXPECT_EQ((*read)[0].expires, token.expires);
    EXPECT_EQ((*read)[0].created, token.created);
  }
}

TEST(Tokens, ErrorsSayWhereAndWhatAndNeverRepeatWhatMayBeASecret) {
  const std::string good = "\", sha256 = \"" + kDigest + "\" }\n";
  const struct {
    std::string text;
    std::string error;
  } cases[] = {
      {"ci = 3\n", "t:1:6: ci must be a table, not an integer"},
      {"ci.x = 3\n", "t:1:8: ci.x must be a table, not an integer"},
      {"ci.3f9a12cd = { role = \"viewer\", sha256 = \"slc_secret\" }\n",
       "t:1:43: ci.3f9a12cd.sha256 must be the SHA-256 of the token in 64 hex digits, lower case, "
       "in quotes: `sluice token hash` makes it"},
      {"ci.3f9a12cd = { sha256 = \"" + kDigest + "\" }\n",
       "t:1:15: the key ci.3f9a12cd.role is missing: what may be done"},
      {"ci.3f9a12ce = { role = \"viewer" + good,
       "t:1:4: ci.3f9a12ce: a token's id is what its sha256 begins with (did you mean "
       "\"ci.3f9a12cd\"?)"},
      {"ci.3f9a12cd = { role = \"viewer" + good + "jo.3f9a12cd = { role = \"viewer" + good,
       "t:2:4: jo.3f9a12cd: this token stands there twice"},
      {"ci.3f9a12cd = { expires = \"tomorrow\", role = \"viewer" + good,
       "t:1:27: ci.3f9a12cd.expires must be a day or a time in UTC, in quotes: \"2027-02-26\" or "
       "\"2027-02-26T18:30:00Z\""},
      {"ci.3f9a12cd = { expires = \"2027-02-30\", role = \"viewer" + good,
       "t:1:27: ci.3f9a12cd.expires must be a day or a time in UTC, in quotes: \"2027-02-26\" or "
       "\"2027-02-26T18:30:00Z\""},
      {"ci.3f9a12cd = { rolle = \"viewer\", role = \"viewer" + good,
       "t:1:17: unknown key \"rolle\" in [ci.3f9a12cd] (did you mean \"role\"?)"},
      {"CI.3f9a12cd = { role = \"viewer" + good,
       "t:1:1: tokens: \"CI\" can't be a name: use 1 to 64 of a-z, 0-9, '.', '_', '-' (did you "
       "mean "
       "\"ci\"?)"},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(errors_of(test.text), std::vector<std::string>{test.error}) << test.text;
  }
}

TEST(Tokens, AreBounded) {
  std::string text;
  for (std::size_t i = 0; i <= kTokensMax; ++i) {
    const std::string digest = fmt::format("{:08x}", i) + std::string(56, '0');
    text += fmt::format("ci.{} = {{ role = \"viewer\", sha256 = \"{}\" }}\n", digest.substr(0, 8),
                        digest);
  }
  EXPECT_EQ(errors_of(text), std::vector<std::string>{"t:1025:4: more than 1024 tokens"});
  EXPECT_EQ(errors_of(std::string(kTokensFileBytesMax + 1, '#')),
            std::vector<std::string>{"t: larger than 1048576 bytes"});
}

}  // namespace
}  // namespace sluice::conf
