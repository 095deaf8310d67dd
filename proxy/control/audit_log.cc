#include "proxy/control/audit_log.h"

#include <algorithm>
#include <utility>

namespace sluice::proxy {

std::expected<AuditLog::Sink, std::string> AuditLog::open(const conf::Config& config) {
  return LineLog::open("audit log", config.audit_log.path, 1);
}

AuditLog::Sink AuditLog::use(Sink sink) {
  return std::exchange(sink_, std::move(sink));
}

void AuditLog::write(std::string_view line, bool stranger, TimePoint now) {
  if (stranger && !takes_stranger(now)) {
    ++counts_.dropped_flood;
  } else if (sink_->write(0, line)) {
    ++counts_.lines;
  } else {
    ++counts_.dropped_sink;
  }
}

bool AuditLog::takes_stranger(TimePoint now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now - refilled_);
  if (seconds.count() > 0) {
    // Capped first: the clock may have begun long ago.
    const auto since =
        std::min<std::uint64_t>(static_cast<std::uint64_t>(seconds.count()), kStrangersBurst);
    strangers_left_ = std::min(kStrangersBurst, strangers_left_ + since * kStrangersPerSecond);
    refilled_ += seconds;
  }
  if (strangers_left_ == 0) return false;
  --strangers_left_;
  return true;
}

}  // namespace sluice::proxy
