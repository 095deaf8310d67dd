// StoppedThread: one thread of a process stands still as long as this lives, as a debugger would
// have it: how tests make a worker late. Where that isn't allowed, stopped() is false.
#pragma once

#include <sys/types.h>

#include <string>

namespace sluice::integration {

class StoppedThread {
 public:
  StoppedThread(pid_t pid, const std::string& name);
  ~StoppedThread() { go_on(); }
  StoppedThread(const StoppedThread&) = delete;
  StoppedThread& operator=(const StoppedThread&) = delete;
  bool stopped() const { return stopped_; }
  void go_on();

 private:
  pid_t tid_ = 0;
  bool stopped_ = false;
};

}  // namespace sluice::integration
