#include "proxy/control/signals.h"

#include <pthread.h>
#include <signal.h>

namespace sluice::proxy {
namespace {

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void block_signals() {
  const sigset_t set = handled_signals();
  SLUICE_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit on files fails like one on a full disk
}

void unblock_signals() {
  const sigset_t set = handled_signals();
  SLUICE_CHECK(pthread_sigmask(SIG_UNBLOCK, &set, nullptr) == 0);
}

Signals::Signals(io::Loop& loop, std::function<void(int)> on_signal)
    : loop_(loop), on_signal_(std::move(on_signal)) {
  const sigset_t set = handled_signals();
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC));
  SLUICE_CHECK(fd_.get() >= 0);
  loop_.attach();
  arm();
}

void Signals::arm() {
  ++in_flight_;
  io::Submission submission{.code = io::OpCode::read};
  submission.fd = fd_.get();
  submission.target = this;
  submission.data = &info_;
  submission.length = sizeof info_;
  loop_.ring().submit(submission);
}

void Signals::stop() {
  stopping_ = true;
  ++in_flight_;
  io::Submission submission{.code = io::OpCode::cancel};
  submission.fd = fd_.get();
  submission.cancel_whole_fd = true;
  submission.tag = 1;
  submission.target = this;
  loop_.ring().submit(submission);
}

void Signals::on_completion(const io::Completion& completion) {
  --in_flight_;
  if (completion.tag == 0 && completion.result == sizeof info_ && !stopping_) {
    on_signal_(static_cast<int>(info_.ssi_signo));
  }
  if (!stopping_) {
    if (completion.tag == 0) arm();
    return;
  }
  if (in_flight_ == 0) loop_.detach();
}

}  // namespace sluice::proxy
