// Tracker: what is known of one server's health, from probes and from connects that failed.
//
// Pure: every call is told the time, jitter comes from a seed. The control thread owns one per
// probed server and keeps it over reloads, so that a reload forgets nothing; it sends a probe when
// next_probe_at() comes, reports it here, and copies takes_new_work() to where workers look.
//
//   unknown ──first probe passed──▶ up ──`fall` probes failed in a row, or one connect──▶ down
//      └─────first probe failed, or a connect────────────────────────────────────────────▶ down
//   down ──`rise` probes passed in a row; after a failed connect, one──▶ up
//
// The first verdict needs one probe only, so that start-up is quick. A tracker is settled once
// `rise` probes in a row have passed or `fall` have failed; until then, and again after any probe
// that contradicts the streak and after any failed connect, it asks every `settle_interval`.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "proxy/base/clock.h"

namespace sluice::health {

enum class Status : std::uint8_t { unknown, up, down };
std::string_view to_string(Status status);

// Longer reasons are cut: they come from what a server sent.
inline constexpr std::size_t kReasonBytesMax = 256;

class Tracker {
 public:
  // The first probe is due at `now`. `seed`: of the jitter, different for every server.
  Tracker(const conf::HealthCheck& check, TimePoint now, std::uint64_t seed);

  // When to send the next probe; kNever while one is on its way.
  TimePoint next_probe_at() const;
  // Precondition: none is on its way.
  void on_probe_started(TimePoint now);
  // The probe's verdict: passed, or the reason why not, a short phrase. A probe that was on its
  // way when a connect failed or the check changed says nothing, and is repeated.
  // Precondition: one is on its way.
  void on_probe(const std::expected<void, std::string>& verdict, TimePoint now);
  // The probe on its way was given up by us (shutdown, reload): as if it never was.
  void on_probe_abandoned(TimePoint now);
  // A connect for an exchange was refused or timed out: out at once until a probe passes.
  void on_connect_failed(std::string_view reason, TimePoint now);
  // What was known says nothing any more: unknown until the next verdict.
  void on_forgotten(TimePoint now);
  // Somebody waits for the next verdict: the next probe comes as soon as it may.
  void on_awaited(TimePoint now);
  // A reload. The status stays; if the check differs, the streaks start anew, with a probe at once.
  void on_config(const conf::HealthCheck& check, TimePoint now);

  const conf::HealthCheck& check() const { return check_; }
  Status status() const { return status_; }
  bool takes_new_work() const { return status_ == Status::up; }
  bool settled() const { return passes_ >= check_.rise || failures_ >= check_.fall; }
  bool probe_on_its_way() const { return probe_ != Probe::none; }
  // When the status became what it is.
  TimePoint since() const { return since_; }
  // Why the last probe or connect that failed did so, kept after recovery; empty if none ever did.
  const std::string& last_error() const { return last_error_; }
  std::optional<TimePoint> last_error_at() const { return last_error_at_; }
  // Probes of one verdict in a row; at most one of the two is not 0.
  int passes_in_a_row() const { return passes_; }
  int failures_in_a_row() const { return failures_; }
  // Probes that said something, ever.
  std::uint64_t passed_total() const { return passed_total_; }
  std::uint64_t failed_total() const { return failed_total_; }

 private:
  enum class Probe : std::uint8_t { none, on_its_way, outdated };

  void become(Status status, TimePoint now);
  void note_error(std::string_view reason, TimePoint now);
  // No probe starts less than a settle_interval after the one before it.
  TimePoint soonest(TimePoint now) const;
  Duration jittered(Duration interval);

  conf::HealthCheck check_;
  Status status_ = Status::unknown;
  Probe probe_ = Probe::none;
  bool one_pass_suffices_ = false;  // true exactly when down because a connect failed
  int passes_ = 0;
  int failures_ = 0;
  std::uint64_t passed_total_ = 0;
  std::uint64_t failed_total_ = 0;
  TimePoint since_;
  TimePoint next_probe_at_;
  std::optional<TimePoint> last_started_;
  std::string last_error_;
  std::optional<TimePoint> last_error_at_;
  std::uint64_t random_;
};

}  // namespace sluice::health
