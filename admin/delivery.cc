#include "admin/delivery.h"

#include <algorithm>
#include <utility>

#include "proxy/base/check.h"

namespace sluice::admin {

DeliveryQueue::DeliveryQueue(DeliverySettings settings, std::uint64_t seed)
    : settings_(settings), random_(seed) {
}

void DeliveryQueue::use(DeliverySettings settings) {
  settings_ = settings;
  make_room(0);
}

void DeliveryQueue::push(Event event, TimePoint now) {
  make_room(1);
  if (waiting_.empty()) due_ = now;
  waiting_.push_back({std::move(event), now});
}

// One that is on its way can't be dropped: it has perhaps been taken.
void DeliveryQueue::make_room(std::size_t room) {
  while (waiting_.size() + room > settings_.queue_max) {
    const std::size_t oldest = on_its_way_ ? 1 : 0;
    if (waiting_.size() <= oldest) return;
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(oldest));
    if (oldest == 0) failures_ = 0;
    ++counts_.dropped;
  }
}

TimePoint DeliveryQueue::due() const {
  return waiting_.empty() || on_its_way_ ? kNever : due_;
}

const Event& DeliveryQueue::begin() {
  SLUICE_CHECK(!waiting_.empty() && !on_its_way_);
  on_its_way_ = true;
  return waiting_.front().event;
}

void DeliveryQueue::finish(Outcome outcome, TimePoint now, std::optional<Duration> wait) {
  SLUICE_CHECK(on_its_way_);
  on_its_way_ = false;
  due_ = now;
  const bool too_long = now - waiting_.front().since >= settings_.give_up_after;
  if (outcome == Outcome::failed && !too_long) {
    ++counts_.failed;
    const Duration asked = std::min(wait.value_or(Duration::zero()), settings_.retry_max);
    due_ = now + std::max(pause(), asked);
    ++failures_;
    return;
  }
  switch (outcome) {
    case Outcome::delivered:
      ++counts_.delivered;
      break;
    case Outcome::refused:
      ++counts_.refused;
      break;
    case Outcome::failed:
      ++counts_.given_up;
      // The receiver is no better for the next event.
      due_ = now + pause();
      break;
  }
  waiting_.pop_front();
  failures_ = outcome == Outcome::failed ? failures_ : 0;
}

Duration DeliveryQueue::pause() {
  constexpr unsigned kDoublingsMax = 20;
  const Duration whole = std::min(
      settings_.retry_max, kRetryMin * (std::int64_t{1} << std::min(failures_, kDoublingsMax)));
  // splitmix64: enough to keep callers apart.
  random_ += 0x9e3779b97f4a7c15;
  std::uint64_t mixed = (random_ ^ (random_ >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  const auto half = static_cast<std::uint64_t>(whole.count()) / 2;
  return whole - Duration(static_cast<std::int64_t>((mixed ^ (mixed >> 31)) % (half + 1)));
}

DeliveryQueue::Outcome outcome_of(int status) {
  using enum DeliveryQueue::Outcome;
  if (status >= 200 && status < 300) return delivered;
  const bool later = status == 408 || status == 425 || status == 429 || status >= 500;
  return later ? failed : refused;
}

}  // namespace sluice::admin
