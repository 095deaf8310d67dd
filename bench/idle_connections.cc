// Many connections that mostly rest: opens them all, then lets each send a request in turn, evenly
// spread over `--seconds`, `--rounds` times. Reports errors, and the memory (Pss) that the
// processes under test hold per idle connection, as one line of JSON.
//
// The base is taken after a warm-up of as many requests at once as `--busy` says, so that what a
// proxy allocates once for its traffic does not count as the connections' own.
#include <poll.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "bench/support.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Step = ClientConnection::Step;
constexpr const char* kUsage =
    "idle_connections --port PORT --pids PID,PID [--connections N] [--plain] [--seconds S] "
    "[--rounds N] [--busy N] [--target PATH]";
constexpr int kAnswerMs = 10'000;

std::vector<int> parse_pids(const std::string& text) {
  std::vector<int> pids;
  std::istringstream in(text);
  for (std::string pid; std::getline(in, pid, ',');) pids.push_back(std::stoi(pid));
  return pids;
}

class Idle {
 public:
  explicit Idle(const Options& options)
      : port_(static_cast<std::uint16_t>(options.number("--port", 0))),
        target_(options.text("--target", "/")),
        context_(options.has("--plain") ? nullptr : client_context()) {}

  // Opens connections until there are `n`, each with one request done.
  void open(std::size_t n) {
    while (connections_.size() < n) {
      connections_.push_back(std::make_unique<ClientConnection>(port_, context_.get()));
      ask(*connections_.back());
    }
  }

  void close_all() { connections_.clear(); }

  // Every connection asks once, evenly spread over `duration`.
  void round(std::chrono::duration<double> duration) {
    auto begin = Clock::now();
    double count = static_cast<double>(connections_.size());
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      auto due = begin + std::chrono::duration_cast<Clock::duration>(
                             duration * (static_cast<double>(i) / count));
      std::this_thread::sleep_until(due);
      ask(*connections_[i]);
    }
  }

  std::uint64_t completed() const { return completed_; }
  std::uint64_t errors() const { return errors_; }
  const std::string& first_error() const { return first_error_; }

 private:
  void ask(ClientConnection& connection) {
    connection.request(target_);
    while (true) {
      Step step = connection.advance();
      if (step == Step::response && connection.status() == 200) {
        ++completed_;
        return;
      }
      std::string error = step == Step::failed ? connection.error()
                                               : "status " + std::to_string(connection.status());
      if (step == Step::want_read || step == Step::want_write) {
        short wanted = step == Step::want_read ? POLLIN : POLLOUT;
        pollfd poll_fd{.fd = connection.fd(), .events = wanted, .revents = 0};
        if (poll(&poll_fd, 1, kAnswerMs) == 1) continue;
        error = "no answer in time";
      }
      ++errors_;
      if (first_error_.empty()) first_error_ = error;
      return;
    }
  }

  std::uint16_t port_;
  std::string target_;
  bssl::UniquePtr<SSL_CTX> context_;
  std::vector<std::unique_ptr<ClientConnection>> connections_;
  std::uint64_t completed_ = 0;
  std::uint64_t errors_ = 0;
  std::string first_error_;
};

void raise_open_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// What the proxy frees or shrinks after the last request gets a moment.
void settle() {
  std::this_thread::sleep_for(std::chrono::seconds(1));
}

int run(const Options& options) {
  raise_open_files();
  std::vector<int> pids = parse_pids(options.text("--pids", ""));
  auto connections = static_cast<std::size_t>(options.number("--connections", 10'000));
  std::chrono::duration<double> seconds(static_cast<double>(options.number("--seconds", 10)));

  Idle idle(options);
  idle.open(static_cast<std::size_t>(options.number("--busy", 64)));
  idle.close_all();
  settle();
  std::uint64_t before = pss_kib(pids);
  idle.open(connections);
  settle();
  std::uint64_t opened = pss_kib(pids);
  for (std::int64_t i = 0; i < options.number("--rounds", 1); ++i) idle.round(seconds);
  settle();
  std::uint64_t after = pss_kib(pids);

  double per_connection =
      (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(connections);
  printf(
      "{\"connections\": %zu, \"completed\": %llu, \"errors\": %llu, \"pss_before_kib\": %llu, "
      "\"pss_opened_kib\": %llu, \"pss_after_kib\": %llu, \"kib_per_connection\": %.3f}\n",
      connections, static_cast<unsigned long long>(idle.completed()),
      static_cast<unsigned long long>(idle.errors()), static_cast<unsigned long long>(before),
      static_cast<unsigned long long>(opened), static_cast<unsigned long long>(after),
      per_connection);
  if (!idle.first_error().empty()) {
    fprintf(stderr, "first error: %s\n", idle.first_error().c_str());
  }
  return idle.errors() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  return run(Options(argc, argv,
                     {"--port", "--pids", "--connections", "--plain", "--seconds", "--rounds",
                      "--busy", "--target"},
                     kUsage));
}
