#include "tests/integration/any_origin.h"

#include <utility>

namespace sluice::integration {

using harness::RecordedRequest;
using harness::StrictH2Origin;
using harness::StrictOrigin;

AnyOrigin::AnyOrigin(const std::string& name, bool h2,
                     std::optional<harness::CertificateFiles> tls) {
  if (h2) {
    h2_ = std::make_unique<StrictH2Origin>(
        StrictH2Origin::Options{.name = name, .tls = std::move(tls)});
  } else {
    h1_ =
        std::make_unique<StrictOrigin>(StrictOrigin::Options{.name = name, .tls = std::move(tls)});
  }
}

std::string AnyOrigin::address() const {
  return h2_ ? h2_->address() : h1_->address();
}

void AnyOrigin::stop() {
  h2_ ? h2_->stop() : h1_->stop();
}

void AnyOrigin::start() {
  h2_ ? h2_->start() : h1_->start();
}

void AnyOrigin::release() {
  h2_ ? h2_->release() : h1_->release();
}

void AnyOrigin::forget() {
  h2_ ? h2_->forget() : h1_->forget();
}

std::vector<RecordedRequest> AnyOrigin::requests() const {
  return h2_ ? h2_->requests() : h1_->requests();
}

RecordedRequest AnyOrigin::last_request() const {
  const auto all = requests();
  return all.empty() ? RecordedRequest{} : all.back();
}

std::vector<std::string> AnyOrigin::violations() const {
  return h2_ ? h2_->violations() : h1_->violations();
}

std::uint64_t AnyOrigin::requests_count() const {
  return h2_ ? h2_->counts().requests : h1_->counts().requests;
}

std::uint64_t AnyOrigin::incomplete_count() const {
  return h2_ ? h2_->counts().incomplete_requests : h1_->counts().incomplete_requests;
}

std::uint64_t AnyOrigin::held_count() const {
  return h2_ ? h2_->counts().held : h1_->counts().held;
}

std::uint64_t AnyOrigin::connections() const {
  return h2_ ? h2_->counts().connections : h1_->counts().connections;
}

std::uint64_t AnyOrigin::open_connections() const {
  return h2_ ? h2_->counts().open_connections : h1_->counts().open_connections;
}

std::uint64_t AnyOrigin::streams_at_once() const {
  return h2_ ? h2_->counts().streams_at_once : 0;
}

bool AnyOrigin::wait_for_held(std::uint64_t n) const {
  return h2_ ? h2_->wait_for_held(n) : h1_->wait_for_held(n);
}

}  // namespace sluice::integration
