// Signals as completions on the control loop.
#pragma once

#include <sys/signalfd.h>

#include <functional>

#include "proxy/io/file_descriptor.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

// Blocks SIGHUP, SIGTERM and SIGINT in the calling thread and all that it starts from now on, and
// ignores SIGPIPE. Call before any thread is made.
void block_signals();

// The reverse: the next SIGTERM or SIGINT ends the process. For the very end.
void unblock_signals();

class Signals final : private io::CompletionTarget {
 public:
  // `on_signal` gets the signal's number. Precondition: block_signals() has been called.
  Signals(io::Loop& loop, std::function<void(int)> on_signal);
  // Some turns later nothing is in flight; `*this` must live until then (Loop::attached()).
  void stop();

 private:
  void arm();
  void on_completion(const io::Completion& completion) override;

  io::Loop& loop_;
  std::function<void(int)> on_signal_;
  io::FileDescriptor fd_;
  signalfd_siginfo info_{};
  bool stopping_ = false;
  int in_flight_ = 0;
};

}  // namespace sluice::proxy
