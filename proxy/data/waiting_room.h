// WaitingRoom: exchanges that wait until a server's connections have room again, first come first
// served, on one worker.
//
// A member of a pool, which says when there may be room, and lives as long as somebody waits.
#pragma once

#include <cstddef>

#include "proxy/base/intrusive_list.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

struct WaitTag;
class WaitingRoom;

class Waiter : public base::ListNode<WaitTag> {
 public:
  virtual ~Waiter() { leave(); }
  bool waiting() const { return room_ != nullptr; }
  // Gives the place up, if there is one.
  void leave();

 private:
  friend class WaitingRoom;
  // There is room: the waiter has left, and may lease. From the loop's turn.
  virtual void on_turn() = 0;
  WaitingRoom* room_ = nullptr;
};

class WaitingRoom final : private io::Deferred {
 public:
  // Who knows whether there is room.
  class Owner {
   public:
    virtual bool has_room() const = 0;

   protected:
    ~Owner() = default;
  };

  WaitingRoom(io::Loop& loop, const Owner& owner) : loop_(loop), owner_(owner) {}

  // False: `waiting_max` are waiting already.
  bool enter(Waiter& waiter, std::size_t waiting_max);
  // There may be room: those whose turn it is hear of it later in this turn of the loop.
  void admit() {
    if (count_ > 0) loop_.defer(*this);
  }

 private:
  friend class Waiter;
  void run_deferred() override;
  void remove(Waiter& waiter);

  io::Loop& loop_;
  const Owner& owner_;
  base::IntrusiveList<Waiter, WaitTag> waiting_;
  std::size_t count_ = 0;
};

}  // namespace sluice::proxy
