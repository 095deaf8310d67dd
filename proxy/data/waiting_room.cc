#include "proxy/data/waiting_room.h"

namespace sluice::proxy {

void Waiter::leave() {
  if (room_) room_->remove(*this);
}

bool WaitingRoom::enter(Waiter& waiter, std::size_t waiting_max) {
  SLUICE_CHECK(!waiter.waiting());
  if (count_ >= waiting_max) return false;
  waiting_.push_back(waiter);
  waiter.room_ = this;
  ++count_;
  return true;
}

void WaitingRoom::remove(Waiter& waiter) {
  waiter.unlink();
  waiter.room_ = nullptr;
  --count_;
}

// A waiter takes one place at most, or none, if it goes elsewhere. One that waits again found less
// room than there seemed to be: then the next admit() is awaited.
void WaitingRoom::run_deferred() {
  while (count_ > 0 && owner_.has_room()) {
    const std::size_t before = count_;
    Waiter& first = *waiting_.front();
    remove(first);
    first.on_turn();
    if (count_ >= before) return;
  }
}

}  // namespace sluice::proxy
