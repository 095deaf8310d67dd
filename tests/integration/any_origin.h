// AnyOrigin: one strict origin of either HTTP version, for tests that say the same of both. What
// each function does is in strict_origin.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/harness/certificate.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/harness/strict_origin.h"

namespace sluice::integration {

class AnyOrigin {
 public:
  AnyOrigin(const std::string& name, bool h2,
            std::optional<harness::CertificateFiles> tls = std::nullopt);

  bool is_h2() const { return h2_ != nullptr; }
  std::string address() const;
  // Lines of its backend in a configuration.
  std::string backend_lines() const { return h2_ ? "protocol = \"h2\"\n" : ""; }

  void stop();
  void start();
  void release();
  void forget();
  std::vector<harness::RecordedRequest> requests() const;
  harness::RecordedRequest last_request() const;  // an empty one if there is none
  std::vector<std::string> violations() const;
  std::uint64_t requests_count() const;
  std::uint64_t incomplete_count() const;
  std::uint64_t held_count() const;
  std::uint64_t connections() const;
  std::uint64_t open_connections() const;
  std::uint64_t streams_at_once() const;  // 0 of HTTP/1, which has none
  bool wait_for_held(std::uint64_t n) const;

 private:
  std::unique_ptr<harness::StrictOrigin> h1_;
  std::unique_ptr<harness::StrictH2Origin> h2_;
};

}  // namespace sluice::integration
