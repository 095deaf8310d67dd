// AuditLog: where the audit lines go. Never waits: a stuck sink costs lines, which are counted, and
// delays neither an answer nor traffic. Control's thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "admin/metrics.h"
#include "conf/config.h"
#include "proxy/base/clock.h"
#include "proxy/data/line_log.h"

namespace sluice::proxy {

class AuditLog {
 public:
  // Callers who are nobody to us can't fill the log: of their lines this many may come at once,
  // and so many a second after that.
  static constexpr std::uint64_t kStrangersBurst = 200;
  static constexpr std::uint64_t kStrangersPerSecond = 10;

  using Sink = std::unique_ptr<LineLog>;
  // Any thread; may block. The error is a sentence.
  static std::expected<Sink, std::string> open(const conf::Config& config);

  // From now on lines go there. Returns the sink before, whose end may take a while.
  Sink use(Sink sink);
  // `stranger`: the line is of a caller who was not known.
  void write(std::string_view line, bool stranger, TimePoint now);

  const admin::MetricsInput::AuditLog& counts() const { return counts_; }

 private:
  bool takes_stranger(TimePoint now);

  Sink sink_;
  std::uint64_t strangers_left_ = kStrangersBurst;
  TimePoint refilled_{};
  admin::MetricsInput::AuditLog counts_;
};

}  // namespace sluice::proxy
