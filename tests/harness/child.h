// Other people's programs, as clients and servers: started, read, ended by their own pid.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/deadline.h"
#include "tests/harness/net.h"

namespace sluice::harness {

// One running program. Its standard output and error are one text. The destructor kills it and
// those whom it has started. Used by one thread.
class Child {
 public:
  // The first word is looked up in $PATH; a missing program ends with code 127.
  static std::unique_ptr<Child> start(std::vector<std::string> words);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The rest of the first line that begins with `prefix`; empty if it never comes.
  std::string wait_for_line(std::string_view prefix, Deadline deadline = Deadline{});
  // Its exit code; -1: killed by a signal, or still running when the deadline came.
  int wait_exit(Deadline deadline = Deadline{});
  void signal(int number);
  const std::string& output() const { return output_; }

 private:
  Child(pid_t pid, Fd output) : pid_(pid), output_fd_(std::move(output)) {}
  // False at the end of its output, or at the deadline.
  bool read_more(Deadline deadline);

  pid_t pid_;
  Fd output_fd_;
  std::string output_;
  bool ended_ = false;
};

// Runs a program to its end.
struct Ran {
  int code = -1;
  std::string output;
};
Ran run(std::vector<std::string> words, Deadline deadline = Deadline{});

bool is_installed(std::string_view program);
// A Python module of Debian's.
bool python_has(std::string_view module);

}  // namespace sluice::harness
