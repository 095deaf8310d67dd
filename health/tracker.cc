#include "health/tracker.h"

#include <algorithm>

#include "proxy/base/check.h"

namespace sluice::health {
namespace {

// A settled server's interval varies by a tenth either way, so that probes of many servers by many
// proxies don't fall into step.
constexpr std::int64_t kJitterParts = 10;

// SplitMix64: a good jitter from any seed, the same on every platform.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

std::string_view to_string(Status status) {
  switch (status) {
    case Status::unknown:
      return "unknown";
    case Status::up:
      return "up";
    case Status::down:
      return "down";
  }
  return "unknown";
}

Tracker::Tracker(const conf::HealthCheck& check, TimePoint now, std::uint64_t seed)
    : check_(check), since_(now), next_probe_at_(now), random_(seed) {
}

TimePoint Tracker::next_probe_at() const {
  return probe_on_its_way() ? kNever : next_probe_at_;
}

void Tracker::on_probe_started(TimePoint now) {
  SLUICE_CHECK(probe_ == Probe::none);
  probe_ = Probe::on_its_way;
  last_started_ = now;
}

void Tracker::on_probe(const std::expected<void, std::string>& verdict, TimePoint now) {
  SLUICE_CHECK(probe_ != Probe::none);
  const bool outdated = probe_ == Probe::outdated;
  probe_ = Probe::none;
  if (outdated) {
    next_probe_at_ = soonest(now);
    return;
  }
  if (verdict) {
    ++passed_total_;
    failures_ = 0;
    passes_ = std::min(passes_ + 1, check_.rise);
    if (status_ == Status::unknown || one_pass_suffices_ || passes_ >= check_.rise)
      become(Status::up, now);
  } else {
    ++failed_total_;
    passes_ = 0;
    failures_ = std::min(failures_ + 1, check_.fall);
    note_error(verdict.error(), now);
    if (status_ == Status::unknown || failures_ >= check_.fall) become(Status::down, now);
  }
  next_probe_at_ = settled() ? now + jittered(check_.interval) : soonest(now);
}

void Tracker::on_probe_abandoned(TimePoint now) {
  SLUICE_CHECK(probe_ != Probe::none);
  probe_ = Probe::none;
  next_probe_at_ = soonest(now);
}

void Tracker::on_connect_failed(std::string_view reason, TimePoint now) {
  note_error(reason, now);
  // Of several connects that fail together the first says it all: the others, begun before it took
  // the server out, must neither outdate the probe that answers it nor ease the way back.
  if (status_ == Status::down) return;
  become(Status::down, now);
  one_pass_suffices_ = true;
  passes_ = failures_ = 0;
  if (probe_on_its_way()) probe_ = Probe::outdated;
  next_probe_at_ = soonest(now);
}

void Tracker::on_forgotten(TimePoint now) {
  become(Status::unknown, now);
  passes_ = failures_ = 0;
  if (probe_on_its_way()) probe_ = Probe::outdated;
  next_probe_at_ = soonest(now);
}

void Tracker::on_awaited(TimePoint now) {
  next_probe_at_ = std::min(next_probe_at_, soonest(now));
}

void Tracker::on_config(const conf::HealthCheck& check, TimePoint now) {
  if (check == check_) return;
  check_ = check;
  passes_ = failures_ = 0;
  if (probe_on_its_way()) probe_ = Probe::outdated;
  next_probe_at_ = soonest(now);
}

void Tracker::become(Status status, TimePoint now) {
  one_pass_suffices_ = false;
  if (status_ == status) return;
  status_ = status;
  since_ = now;
}

void Tracker::note_error(std::string_view reason, TimePoint now) {
  last_error_ = reason.substr(0, kReasonBytesMax);
  last_error_at_ = now;
}

TimePoint Tracker::soonest(TimePoint now) const {
  if (!last_started_) return now;
  return std::max(now, *last_started_ + check_.settle_interval);
}

Duration Tracker::jittered(Duration interval) {
  const std::int64_t reach = interval.count() / kJitterParts;
  if (reach <= 0) return interval;
  const auto span = static_cast<std::uint64_t>(2 * reach + 1);
  const auto offset = static_cast<std::int64_t>(next_random(random_) % span) - reach;
  return interval + Duration(offset);
}

}  // namespace sluice::health
