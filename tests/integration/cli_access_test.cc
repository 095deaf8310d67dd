// The command line where the admin API wants to know who calls: over TLS, with a token or a
// certificate.
#include "tests/harness/certificate.h"
#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

using harness::CertificateFiles;
using testing::HasSubstr;

class CliAccessTest : public CliTestBase {
 protected:
  void start_remote() {
    authority_ = harness::make_signed_certificate(directory_->path(),
                                                  {.name = "authority", .authority = true});
    harness::write_file(directory_->file("tokens.toml"), "", 0600);
    start({.admin_listen = "\"*:0\", \"unix:@DIR@/admin.sock\"",
           .more = "tokens_file = \"@DIR@/tokens.toml\"\n"
                   "[admin.tls]\ncertificate_file = \"@DIR@/server.pem\"\n"
                   "key_file = \"@DIR@/server.key\"\nclient_ca_file = \"@DIR@/authority.pem\"\n"
                   "[admin.certificates]\n\"ci.internal\" = \"operator\"\n"});
  }
  std::string make_token(const std::string& role) const {
    const Said said = run_sluice({"token", "create", "--name", role, "--role", role, "--file",
                                  directory_->file("tokens.toml")},
                                 {});
    EXPECT_EQ(said.code, 0) << said.err;
    return said.out.substr(0, said.out.find('\n'));
  }
  // Over TLS, to the name that the certificate is good for.
  Said remote(std::vector<std::string> words, const Environment& environment = {}) const {
    words.insert(words.end(),
                 {"--admin", "https://localhost:" + std::to_string(sluice_->admin().port),
                  "--ca-file", directory_->file("server.pem")});
    return run_sluice(words, environment);
  }
  CertificateFiles signed_for(const std::string& name, const CertificateFiles* issuer) const {
    return harness::make_signed_certificate(directory_->path(), {.name = name, .issuer = issuer});
  }

  CertificateFiles authority_;
};

TEST_F(CliAccessTest, ATokenOpensWhatItsRoleMayDo) {
  start_remote();
  const std::string viewer = make_token("viewer");
  const std::string shifter = make_token("operator");
  Said said = remote({"weights"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("401)"));
  const auto until_known = [&] {
    return remote({"weights"}, {{"SLUICE_TOKEN", viewer}}).code == 0;
  };
  EXPECT_TRUE(wait_until(until_known)) << "a changed tokens file is taken over by itself";
  EXPECT_EQ(remote({"status"}, {{"SLUICE_TOKEN", viewer}}).code, 0);
  said = remote({"switch", "app", "green"}, {{"SLUICE_TOKEN", viewer}});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("(role_not_enough, 403)"));
  harness::write_file(directory_->file("token"), shifter + "\n", 0600);
  said = remote({"switch", "app", "green", "--token-file", directory_->file("token")});
  EXPECT_EQ(said.code, 0) << said.err;
  said = remote({"history", "app", "--json"}, {{"SLUICE_TOKEN_FILE", directory_->file("token")}});
  EXPECT_EQ(json::parse(said.out)["revisions"][0]["identity"], "token:operator");
  EXPECT_EQ(remote({"weights"}, {{"SLUICE_TOKEN", "slc_nobodys"}}).code, 1);
}

TEST_F(CliAccessTest, ACertificateOpensWhatItsNameMayDo) {
  start_remote();
  const CertificateFiles known = signed_for("ci.internal", &authority_);
  const auto shown = [](const CertificateFiles& files) {
    return std::vector<std::string>{
        "switch",       "app",         "green", "--client-cert", files.certificate_file,
        "--client-key", files.key_file};
  };
  Said said = remote(shown(known));
  EXPECT_EQ(said.code, 0) << said.err;
  said = remote(shown(signed_for("stranger", &authority_)));
  EXPECT_EQ(said.code, 1) << said.err;
  EXPECT_THAT(said.err, HasSubstr("(unknown_certificate, 403)"));
  // Signed by nobody whom the listener trusts.
  const CertificateFiles other = harness::make_signed_certificate(
      directory_->path(), {.name = "elsewhere", .authority = true});
  said = remote(shown(signed_for("ci2.internal", &other)));
  EXPECT_EQ(said.code, 3) << said.err;
  EXPECT_THAT(said.err, HasSubstr("TLS: peer alert"));
  said = remote(shown({.certificate_file = known.certificate_file, .key_file = other.key_file}));
  EXPECT_EQ(said.code, 2) << "they don't belong together: " << said.err;
}

}  // namespace
}  // namespace sluice::integration
