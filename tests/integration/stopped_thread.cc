#include "tests/integration/stopped_thread.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <filesystem>
#include <utility>

#include "tests/integration/sluice_test.h"

namespace sluice::integration {

StoppedThread::StoppedThread(pid_t pid, const std::string& name) {
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    if (harness::read_file(task.path() / "comm") != name + "\n") continue;
    tid_ = std::stoi(task.path().filename());
  }
  stopped_ = tid_ != 0 && ::ptrace(PTRACE_SEIZE, tid_, nullptr, nullptr) == 0 &&
             ::ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr) == 0 &&
             ::waitpid(tid_, nullptr, __WALL) == tid_;
}

void StoppedThread::go_on() {
  if (std::exchange(stopped_, false)) ::ptrace(PTRACE_DETACH, tid_, nullptr, nullptr);
}

}  // namespace sluice::integration
