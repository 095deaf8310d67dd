// SluiceProcess: the real binary as a child process: started from a configuration text, ready when
// its notify socket says so, killed by pid when the object goes. One thread reads its output and
// its notifications. Used by one test thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/deadline.h"
#include "tests/harness/net.h"

namespace sluice::harness {

// How a process ended: by itself with `code`, or by `signal`.
struct ExitStatus {
  int code = -1;
  int signal = 0;
  bool operator==(const ExitStatus&) const = default;
};

struct Memory {
  std::uint64_t rss_kib = 0;
  std::uint64_t pss_kib = 0;
};

// Of any process of ours, from /proc. Zeros once it is gone.
Memory memory_of(pid_t pid);

class SluiceProcess {
 public:
  struct Options {
    // The configuration; each `@DIR@` becomes directory().
    std::string config;
    // Where configuration, state and sockets live; a new temporary one if null. Shared by those
    // who start again on the same state.
    std::shared_ptr<TempDir> directory;
    // False: only start; the test watches what happens.
    bool wait_ready = true;
    std::map<std::string, std::string> environment;  // added to ours
    std::vector<std::string> arguments;              // instead of `run -c CONFIG`
    milliseconds patience = kPatience;
  };

  // The binary named by $SLUICE_BINARY, or the one this build makes.
  static std::string binary();
  // Whether a sanitizer watches it: it takes several times the memory and the time.
  static bool sanitized();
  static std::expected<std::unique_ptr<SluiceProcess>, std::string> start(Options options);
  ~SluiceProcess();
  SluiceProcess(const SluiceProcess&) = delete;
  SluiceProcess& operator=(const SluiceProcess&) = delete;

  // Where a listener really listens, from the event `listening` that it logs; waits for it. The
  // latest; of several addresses a TCP one. Port 0 if it never comes.
  Endpoint endpoint(std::string_view listener) const;
  Endpoint admin() const { return endpoint("admin"); }
  Endpoint metrics() const { return endpoint("metrics"); }

  pid_t pid() const;
  const std::shared_ptr<TempDir>& directory() const;
  std::string config_file() const;
  // Replaces the file's text (with `@DIR@`); the process learns of it by SIGHUP.
  void write_config(std::string_view config);

  void signal(int number);
  // nullopt if it still runs when the deadline comes.
  std::optional<ExitStatus> wait_exit(Deadline deadline = Deadline{});
  bool running() const;

  std::string standard_output() const;
  std::string standard_error() const;
  // Waits until the text is somewhere in the output of that kind, from `from` on; npos if it never
  // is. Returns the position after it, to wait for the next one.
  std::size_t wait_for_error_text(std::string_view text, std::size_t from = 0,
                                  Deadline deadline = Deadline{}) const;
  std::size_t wait_for_output_text(std::string_view text, std::size_t from = 0,
                                   Deadline deadline = Deadline{}) const;
  // Waits until one of the events `names` has been logged, from that position of the error text on.
  // Its name; empty if none is.
  std::string wait_for_event(const std::vector<std::string>& names, std::size_t from = 0,
                             Deadline deadline = Deadline{}) const;
  // Every assignment sent to $NOTIFY_SOCKET, in order: `READY=1`, `STATUS=…`.
  std::vector<std::string> notifications() const;
  bool wait_for_notification(std::string_view assignment, Deadline deadline = Deadline{}) const;

  // What a sanitizer wrote; empty if nothing.
  std::string sanitizer_report() const;
  Memory memory() const { return memory_of(pid()); }

 private:
  struct Impl;
  explicit SluiceProcess(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::harness
