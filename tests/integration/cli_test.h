// CliTestBase: the real binary run as a client, its two outputs apart.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/harness/child.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {

// What a program said, and how it ended.
struct Said {
  int code = -1;
  std::string out;
  std::string err;
};

class CliTestBase : public SluiceTest {
 protected:
  using Environment = std::map<std::string, std::string>;

  // `sluice WORDS…` with exactly this of what it reads from the environment.
  Said run_sluice(const std::vector<std::string>& words, const Environment& environment,
                  Deadline deadline = Deadline{}) const;
  // The same against the process under test.
  Said sluice(const std::vector<std::string>& words, bool with_admin = true) const;
  // A line of sh, with $SLUICE and $SLUICE_ADMIN set.
  Said shell(const std::string& line, const Environment& more = {}) const;
  std::string admin_url() const { return "http://" + sluice_->admin().text(); }
};

}  // namespace sluice::integration
