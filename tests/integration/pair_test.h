// PairTest: Sluice between a client and a server of either HTTP version each, plain or TLS: backend
// `blue` has one server, `one`, a strict origin of the pair's kind.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/harness/certificate.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/any_client.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {

struct Pair {
  bool h2_client = false;
  bool h2_server = false;
  bool tls = false;  // on both sides

  // `H2ToH1_Tls`
  std::string name() const {
    return std::string(h2_client ? "H2" : "H1") + "To" + (h2_server ? "H2_" : "H1_") +
           (tls ? "Tls" : "Plain");
  }
};

class PairTest : public SluiceTest, public testing::WithParamInterface<Pair> {
 protected:
  PairTest();
  void TearDown() override;

  void start_pair(Scenario scenario = {});
  AnyClient client();
  // The origin's side of it.
  std::vector<harness::RecordedRequest> requests() const;
  harness::RecordedRequest last_request() const;  // an empty one if there is none
  std::vector<std::string> violations() const;
  std::uint64_t requests_count() const;
  std::uint64_t incomplete_count() const;
  std::uint64_t held_count() const;
  bool wait_for_held(std::uint64_t n) const;
  bool wait_for_requests(std::uint64_t n) const;
  void release();
  void forget();

  const Pair pair_ = GetParam();
  std::unique_ptr<StrictOrigin> h1_;
  std::unique_ptr<harness::StrictH2Origin> h2_;
};

std::vector<Pair> all_pairs();

}  // namespace sluice::integration
