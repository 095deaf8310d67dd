#include "tests/integration/pair_test.h"

namespace sluice::integration {

PairTest::PairTest() {
  std::optional<harness::CertificateFiles> tls;
  if (pair_.tls) {
    tls = {.certificate_file = directory_->file("server.pem"),
           .key_file = directory_->file("server.key")};
  }
  if (pair_.h2_server) {
    h2_ = std::make_unique<harness::StrictH2Origin>(
        harness::StrictH2Origin::Options{.name = "blue", .tls = tls});
  } else {
    h1_ = std::make_unique<StrictOrigin>(StrictOrigin::Options{.name = "blue", .tls = tls});
  }
}

void PairTest::TearDown() {
  release();
  SluiceTest::TearDown();
  if (expect_no_violation_) {
    EXPECT_THAT(violations(), testing::IsEmpty());
  }
}

void PairTest::start_pair(Scenario scenario) {
  scenario.backends = {{"blue", {{"one", h2_ ? h2_->address() : h1_->address()}}}};
  scenario.split = "{ blue = 1 }";
  std::string lines = h2_ ? "protocol = \"h2\"\n" : "";
  if (pair_.tls) lines += "tls = { ca_file = \"@DIR@/server.pem\", server_name = \"localhost\" }\n";
  scenario.backend_lines["blue"] += lines;
  scenario.listener += "protocols = [\"http/1.1\", \"h2\"]\n";
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

std::vector<harness::RecordedRequest> PairTest::requests() const {
  return h2_ ? h2_->requests() : h1_->requests();
}

harness::RecordedRequest PairTest::last_request() const {
  const auto all = requests();
  return all.empty() ? harness::RecordedRequest{} : all.back();
}

std::vector<std::string> PairTest::violations() const {
  return h2_ ? h2_->violations() : h1_->violations();
}

std::uint64_t PairTest::requests_count() const {
  return h2_ ? h2_->counts().requests : h1_->counts().requests;
}

std::uint64_t PairTest::incomplete_count() const {
  return h2_ ? h2_->counts().incomplete_requests : h1_->counts().incomplete_requests;
}

std::uint64_t PairTest::held_count() const {
  return h2_ ? h2_->counts().held : h1_->counts().held;
}

bool PairTest::wait_for_held(std::uint64_t n) const {
  return h2_ ? h2_->wait_for_held(n) : h1_->wait_for_held(n);
}

bool PairTest::wait_for_requests(std::uint64_t n) const {
  return h2_ ? h2_->wait_for_requests(n) : h1_->wait_for_requests(n);
}

void PairTest::release() {
  h2_ ? h2_->release() : h1_->release();
}

void PairTest::forget() {
  h2_ ? h2_->forget() : h1_->forget();
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

}  // namespace sluice::integration
