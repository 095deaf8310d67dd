// Loop: one thread's turn of the wheel: completions, posted tasks, timers, what these deferred,
// then one send per socket for everything that the turn has written, then the dead are freed.
//
// Owned by a worker or the control thread; everything but post() is that thread's alone. Objects
// that live on a loop (sockets, timers, streams) must be gone before it is.
//
// The rule that keeps stacks short and teardown safe: operations never call back. A handler is
// called from turn(), never from inside write(), terminate() and the like.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "proxy/base/clock.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/io/output_queue.h"
#include "proxy/io/ring.h"
#include "proxy/io/timer_wheel.h"

namespace sluice::io {

struct FlushTag;
struct DeferTag;

// Something to go on with once the handlers at work have returned. Runs in the same turn.
class Deferred : public base::ListNode<DeferTag> {
 public:
  virtual void run_deferred() = 0;

 protected:
  ~Deferred() = default;
};

// Something with output to hand to the ring at the end of the turn.
class Flushable : public base::ListNode<FlushTag> {
 public:
  virtual void flush() = 0;

 protected:
  ~Flushable() = default;
};

// Something that may still be on the call stack when its owner lets go of it.
class Retired {
 public:
  virtual ~Retired() = default;
};

class Loop {
 public:
  using Task = std::move_only_function<void()>;

  explicit Loop(std::unique_ptr<Ring> ring);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // Waits for completions, timers, tasks or wake-ups, at most until `limit`, and serves them.
  void turn(TimePoint limit = kNever);
  // For whoever calls turn() in a loop.
  void stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }

  // Runs `task` on this loop's thread, in its next turn. From any thread.
  void post(Task task);
  void flush_at_end_of_turn(Flushable& flushable) {
    if (!flushable.linked()) flushables_.push_back(flushable);
  }
  void defer(Deferred& deferred) {
    if (!deferred.linked()) deferred_.push_back(deferred);
  }
  // Frees `object` at the end of the turn.
  void retire(std::unique_ptr<Retired> object) { graveyard_.push_back(std::move(object)); }

  // Sockets and listeners on this loop: each attaches while it has operations to join.
  void attach() { ++attached_; }
  void detach() {
    SLUICE_CHECK(attached_ > 0);
    --attached_;
  }
  std::size_t attached() const { return attached_; }

  Ring& ring() { return *ring_; }
  TimerWheel& timers() { return timers_; }
  BlockPool& blocks() { return blocks_; }
  // This turn's reading of the clock.
  TimePoint now() const { return now_; }
  WallTime wall_now() const { return wall_now_; }

 private:
  void run_posted();

  std::unique_ptr<Ring> ring_;
  TimePoint now_;
  WallTime wall_now_;
  TimerWheel timers_;
  BlockPool blocks_;
  base::IntrusiveList<Deferred, DeferTag> deferred_;
  base::IntrusiveList<Flushable, FlushTag> flushables_;
  std::vector<std::unique_ptr<Retired>> graveyard_;
  std::size_t attached_ = 0;
  bool stopping_ = false;

  std::mutex posted_mutex_;
  std::vector<Task> posted_;
  std::vector<Task> running_;  // posted_ swapped out, memory kept
};

}  // namespace sluice::io
