// [admin]: who may call, and what has to stand together for somebody to call from elsewhere.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using Strings = std::vector<std::string>;

ConfigOrErrors with(std::string_view admin) {
  return parse(before_sound(fmt::format("[admin]\n{}\n", admin)), "f");
}

Strings errors_in_admin(std::string_view admin) {
  const auto config = with(admin);
  Strings errors;
  if (config) return errors;
  for (const ConfigError& error : config.error()) errors.push_back(error.to_string());
  return errors;
}

TEST(Access, RolesAreWordsOrTables) {
  const auto config = with(
      "[admin.users]\ndeploy = { role = \"operator\", routes = [\"app\"], backends = [\"*\"] }\n"
      "1000 = \"viewer\"\nroot-2 = \"admin\"");
  ASSERT_TRUE(config) << config.error()[0].to_string();
  const std::vector<NamedGrant> expected = {
      {"deploy", {.role = Role::operator_, .routes = {"app"}, .backends = {"*"}}},
      {"1000", {.role = Role::viewer}},
      {"root-2", {.role = Role::admin}}};
  EXPECT_EQ(config->admin.users, expected);
}

TEST(Access, WrongGrantsSayWhatWouldBeRight) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"users = { jo = \"operater\" }",
       "f:2:16: admin.users.jo is \"operater\" but must be \"viewer\" or \"operator\" or \"admin\" "
       "(did you mean \"operator\"?)"},
      {"users = { jo = 3 }",
       "f:2:16: admin.users.jo must be a role, or a table like { role = \"operator\", routes = "
       "[\"app\"] }, not an integer"},
      {"users = { jo = {} }", "f:2:16: the key admin.users.jo.role is missing: what may be done"},
      {"users = { jo = { role = \"viewer\", routes = [\"app\"] } }",
       "f:2:44: admin.users.jo.routes: only an operator can be limited to some routes"},
      {"users = { jo = { role = \"operator\", routes = [\"ap\"] } }",
       "f:2:11: admin.users: there is no route \"ap\""},
      {"users = { jo = { role = \"operator\", backends = [\"red\"] } }",
       "f:2:11: admin.users: there is no backend \"red\""},
      {"users = { jo = { role = \"operator\", routes = [] } }",
       "f:2:46: admin.users.jo.routes names 0: name 1 to 256, or leave it out"},
      {"users = { jo = { role = \"operator\", route = \"app\" } }",
       "f:2:37: unknown key \"route\" in [admin.users.jo] (did you mean \"routes\"?)"},
      {"users = { \"-x\" = \"viewer\" }",
       "f:2:11: admin.users: \"-x\" is neither a user's name nor a user's number"},
      {"users = { 4294967295 = \"viewer\" }",
       "f:2:11: admin.users: \"4294967295\" is no user's number"},
      {"users = {}", "f:2:9: admin.users has 0 entries: 1 to 1024 are possible"},
      {"uids = [1000]\nusers = { 1000 = \"viewer\" }",
       "f:3:18: admin.users: 1000 is in admin.uids as well, where it may do everything; keep one "
       "of them"},
      {"container = \"yes\"",
       "f:2:13: admin.container must be \"auto\", true or false, not a string"},
  };
  for (const auto& test : cases)
    EXPECT_EQ(errors_in_admin(test.text), Strings{test.error}) << test.text;
}

constexpr std::string_view kTls =
    "[admin.tls]\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n";

TEST(Access, BeyondLoopbackTakesTlsAndSomebodyWhoMayCall) {
  const std::string remote = "listen = [\"10.0.0.5:9901\"]\n";
  const std::string tokens = "tokens_file = \"t\"\n";
  const std::string ca = "client_ca_file = \"ca.pem\"\n";
  const std::string names = "[admin.certificates]\nci = \"operator\"\n";
  const std::string tls(kTls);
  const std::string begin =
      "f:2:11: admin.listen: 10.0.0.5:9901 is beyond this machine, where callers come over TLS and "
      "show a token or a certificate; missing: ";
  EXPECT_EQ(errors_in_admin(remote + tokens),
            Strings{begin + "[admin.tls] with certificate_file and key_file"});
  EXPECT_EQ(errors_in_admin(remote + tls),
            Strings{begin + "admin.tokens_file, or admin.tls.client_ca_file with "
                            "[admin.certificates]"});
  EXPECT_EQ(errors_in_admin(remote + tokens + tls), Strings{});
  EXPECT_EQ(errors_in_admin(remote + tls + ca + names), Strings{});
  EXPECT_EQ(errors_in_admin("listen = [\"*:9901\", \"127.0.0.1:9901\"]\n" + tokens + tls).size(),
            1u)
      << "they are in each other's way";
  EXPECT_EQ(errors_in_admin("listen = [\"*:9901\", \"unix:/run/x\"]\n" + tokens + tls), Strings{});
}

TEST(Access, WhatIsOfNoUseIsSaid) {
  const std::string tls(kTls);
  EXPECT_EQ(errors_in_admin(tls),
            Strings{"f:2:8: [admin.tls] is of no use: every address in "
                    "admin.listen is on this machine, where plain HTTP is spoken"});
  EXPECT_EQ(errors_in_admin("listen = [\"*:1\"]\ntokens_file = \"t\"\n" + tls +
                            "client_ca_file = \"a\"\n"),
            Strings{"f:7:18: admin.tls.client_ca_file is of no use without [admin.certificates], "
                    "which says what each certificate may do"});
  EXPECT_EQ(errors_in_admin("listen = [\"*:1\"]\ntokens_file = \"t\"\n" + tls +
                            "[admin.certificates]\nci = \"viewer\"\n"),
            Strings{"f:7:8: [admin.certificates] is of no use without admin.tls.client_ca_file: "
                    "nobody is asked for a certificate"});
}

}  // namespace
}  // namespace sluice::conf
