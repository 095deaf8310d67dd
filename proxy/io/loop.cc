#include "proxy/io/loop.h"

#include <algorithm>

namespace sluice::io {

Loop::Loop(std::unique_ptr<Ring> ring)
    : ring_(std::move(ring)), now_(ring_->now()), wall_now_(ring_->wall_now()), timers_(now_) {
}

Loop::~Loop() {
  SLUICE_CHECK(attached_ == 0);
  graveyard_.clear();
}

void Loop::turn(TimePoint limit) {
  // What was asked for between two turns waits for nothing.
  const bool pending = !deferred_.empty() || !flushables_.empty();
  const TimePoint deadline = pending ? now_ : std::min(limit, timers_.next_deadline());
  const auto completions = ring_->enter(deadline);
  now_ = ring_->now();
  wall_now_ = ring_->wall_now();
  for (const Completion& completion : completions) completion.target->on_completion(completion);
  run_posted();
  timers_.advance(now_);
  do {
    while (Deferred* deferred = deferred_.pop_front()) deferred->run_deferred();
    while (Flushable* flushable = flushables_.pop_front()) flushable->flush();
  } while (!deferred_.empty());  // what flushing brought to light
  graveyard_.clear();
}

void Loop::post(Task task) {
  // Woken under the lock: once the task can run, the loop and its ring may be gone.
  const std::lock_guard lock(posted_mutex_);
  posted_.push_back(std::move(task));
  if (posted_.size() == 1) ring_->wake();
}

void Loop::run_posted() {
  {
    const std::lock_guard lock(posted_mutex_);
    if (posted_.empty()) return;
    running_.swap(posted_);
  }
  for (Task& task : running_) task();
  running_.clear();
}

}  // namespace sluice::io
