#include "tests/harness/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "proxy/base/check.h"

namespace sluice::harness {

std::unique_ptr<Child> Child::start(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::array<int, 2> ends;
  SLUICE_CHECK(pipe2(ends.data(), O_CLOEXEC) == 0);
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const pid_t pid = fork();
  SLUICE_CHECK(pid >= 0);
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGPIPE, SIG_DFL);
    dup2(write_end.get(), STDOUT_FILENO);
    dup2(write_end.get(), STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  setpgid(pid, pid);
  return std::unique_ptr<Child>(new Child(pid, std::move(read_end)));
}

Child::~Child() {
  // Its whole group: browsers and the like start helpers.
  kill(-pid_, SIGKILL);
  if (!ended_) waitpid(pid_, nullptr, 0);
}

void Child::signal(int number) {
  if (!ended_) kill(pid_, number);
}

bool Child::read_more(Deadline deadline) {
  pollfd waiting{.fd = output_fd_.get(), .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, deadline.remaining_ms()) != 1) return false;
  std::array<char, 16 * 1024> buffer;
  const ssize_t n = read(output_fd_.get(), buffer.data(), buffer.size());
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  output_.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

std::string Child::wait_for_line(std::string_view prefix, Deadline deadline) {
  do {
    std::istringstream lines(output_);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(prefix) && !lines.eof()) return line.substr(prefix.size());
    }
  } while (read_more(deadline));
  return "";
}

int Child::wait_exit(Deadline deadline) {
  while (read_more(deadline)) {
  }
  int status = 0;
  while (!ended_) {
    const pid_t gone = waitpid(pid_, &status, WNOHANG);
    if (gone == pid_) {
      ended_ = true;
    } else if (deadline.over()) {
      return -1;
    } else {
      usleep(2000);
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Ran run(std::vector<std::string> words, Deadline deadline) {
  auto child = Child::start(std::move(words));
  Ran ran;
  ran.code = child->wait_exit(deadline);
  ran.output = child->output();
  if (ran.code == -1 && deadline.over()) ran.output += "\n(still running at the deadline)";
  return ran;
}

bool is_installed(std::string_view program) {
  const char* path = getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((folder + "/" + std::string(program)).c_str(), X_OK) == 0) return true;
  }
  return false;
}

bool python_has(std::string_view module) {
  return run({"/usr/bin/python3", "-c", "import " + std::string(module)}).code == 0;
}

}  // namespace sluice::harness
