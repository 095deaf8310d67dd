// Background: a thread for what may block (fsync, reading files, closing a stuck log), so that the
// control loop never does. Jobs run one after the other, in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "proxy/io/loop.h"

namespace sluice::proxy {

class Background {
 public:
  using Task = io::Loop::Task;

  // `loop` outlives this.
  explicit Background(io::Loop& loop);
  // Finishes the jobs that were given.
  ~Background();

  // Runs `work` on the thread, then `then` on the loop's.
  void run(Task work, Task then);

 private:
  struct Job {
    Task work;
    Task then;
  };
  void serve();

  io::Loop& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::proxy
