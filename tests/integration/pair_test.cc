#include "tests/integration/pair_test.h"

namespace sluice::integration {
namespace {

std::optional<harness::CertificateFiles> certificate_for(const Pair& pair,
                                                         const harness::TempDir& directory) {
  if (!pair.tls) return std::nullopt;
  return harness::CertificateFiles{.certificate_file = directory.file("server.pem"),
                                   .key_file = directory.file("server.key")};
}

}  // namespace

PairTest::PairTest() : origin_("blue", pair_.h2_server, certificate_for(pair_, *directory_)) {
}

void PairTest::TearDown() {
  origin_.release();
  SluiceTest::TearDown();
  if (expect_no_violation_) {
    EXPECT_THAT(origin_.violations(), testing::IsEmpty());
  }
}

void PairTest::start_pair(Scenario scenario) {
  scenario.backends["blue"] = {{"one", origin_.address()}};
  scenario.split = "{ blue = 1 }";
  std::string lines = origin_.backend_lines();
  if (pair_.tls) lines += "tls = { ca_file = \"@DIR@/server.pem\", server_name = \"localhost\" }\n";
  scenario.backend_lines["blue"] += lines;
  if (!scenario.listener.contains("protocols")) {
    scenario.listener += "protocols = [\"http/1.1\", \"h2\"]\n";
  }
  start(scenario);
}

AnyClient PairTest::client() {
  const harness::Endpoint endpoint = sluice_->endpoint(pair_.tls ? "https" : "http");
  if (!pair_.h2_client) return AnyClient(pair_.tls ? connect_tls() : connect());
  auto made =
      pair_.tls ? harness::H2Client::connect_tls(endpoint) : harness::H2Client::connect(endpoint);
  EXPECT_TRUE(made) << made.error();
  return AnyClient(made ? std::move(*made) : nullptr);
}

std::vector<Pair> all_pairs() {
  std::vector<Pair> pairs;
  for (const bool client : {false, true}) {
    for (const bool server : {false, true}) {
      for (const bool tls : {false, true}) pairs.push_back({client, server, tls});
    }
  }
  return pairs;
}

std::vector<Pair> plain_pairs() {
  std::vector<Pair> pairs = all_pairs();
  std::erase_if(pairs, [](const Pair& pair) { return pair.tls; });
  return pairs;
}

std::vector<Pair> plain_pairs_from(bool h2_client) {
  std::vector<Pair> pairs = plain_pairs();
  std::erase_if(pairs, [&](const Pair& pair) { return pair.h2_client != h2_client; });
  return pairs;
}

std::string pair_name(const testing::TestParamInfo<Pair>& pair) {
  return pair.param.name();
}

}  // namespace sluice::integration
