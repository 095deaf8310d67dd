// PairTest: Sluice between a client and a server of either HTTP version each, plain or TLS: backend
// `blue` has one server, `one`, a strict origin of the pair's kind.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/integration/any_client.h"
#include "tests/integration/any_origin.h"
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

  // The scenario may have more backends, and routes of its own.
  void start_pair(Scenario scenario = {});
  AnyClient client();

  const Pair pair_ = GetParam();
  AnyOrigin origin_;
};

std::vector<Pair> all_pairs();
// Of those, the plain ones: where nothing that TLS knows could make a difference.
std::vector<Pair> plain_pairs();
// Those with such a client.
std::vector<Pair> plain_pairs_from(bool h2_client);
std::string pair_name(const testing::TestParamInfo<Pair>& pair);

}  // namespace sluice::integration
