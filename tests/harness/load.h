// Load from outside: wrk as a child process, and a checker that looks at every response.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/deadline.h"
#include "tests/harness/net.h"

namespace sluice::harness {

struct WrkResult {
  std::uint64_t requests = 0;
  std::uint64_t non_2xx = 0;  // as wrk has it: neither 2xx nor 3xx
  std::uint64_t connect_errors = 0;
  std::uint64_t read_errors = 0;
  std::uint64_t write_errors = 0;
  std::uint64_t timeouts = 0;
  double p99_ms = 0;
  std::string output;

  std::uint64_t failed() const {
    return non_2xx + connect_errors + read_errors + write_errors + timeouts;
  }
};

// nullopt-like error if the text is not wrk's.
std::expected<WrkResult, std::string> parse_wrk(std::string_view output);

// One running wrk. The destructor kills it.
class Wrk {
 public:
  struct Options {
    std::string url;
    int connections = 64;
    int threads = 1;
    seconds duration{3600};           // stop() ends it before
    std::vector<std::string> fields;  // `Name: value`
  };
  static bool installed();
  static std::expected<std::unique_ptr<Wrk>, std::string> start(const Options& options);
  ~Wrk();
  Wrk(const Wrk&) = delete;
  Wrk& operator=(const Wrk&) = delete;

  // Ends the run (or waits for its end, if `interrupt` is false) and says how it went.
  std::expected<WrkResult, std::string> stop(bool interrupt = true);

 private:
  Wrk(pid_t pid, Fd output) : pid_(pid), output_(std::move(output)) {}
  pid_t pid_;
  Fd output_;
};

struct CheckedLoad {
  Endpoint endpoint;
  std::uint64_t requests = 0;
  int connections = 64;
  std::string target = "/";
  std::string host = "localhost";
  // What each body must be; empty: any. `{backend}` stands for the value of X-Backend.
  std::string body;
  milliseconds patience = seconds(120);  // for all of it
};

struct CheckedResult {
  std::uint64_t completed = 0;
  std::map<std::string, std::uint64_t> by_backend;  // of 2xx, by X-Backend
  std::map<int, std::uint64_t> by_status;
  std::uint64_t failed = 0;           // cut, reset, malformed, or the wrong body
  std::vector<std::string> failures;  // the first few
};

// Sends exactly `requests` over `connections` kept-alive plain connections, one at a time on each,
// and reads every response with the strict parser.
CheckedResult run_checked(const CheckedLoad& load);

}  // namespace sluice::harness
