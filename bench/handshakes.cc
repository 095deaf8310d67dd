// New connections as load: connect, full TLS 1.3 handshake (no resumption), one request, close; a
// fixed number of connections at a time. `--plain` leaves the handshake out: the floor under it.
// Ends after `--seconds` and prints one line of JSON.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include "bench/support.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Step = ClientConnection::Step;
constexpr const char* kUsage =
    "handshakes --port PORT [--seconds S] [--connections N] [--plain] [--target PATH]";
constexpr std::uint64_t kErrorsMax = 1000;

class Load {
 public:
  explicit Load(const Options& options)
      : port_(static_cast<std::uint16_t>(options.number("--port", 0))),
        target_(options.text("--target", "/")),
        context_(options.has("--plain") ? nullptr : client_context()),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

  int run(std::int64_t connections, std::chrono::seconds duration) {
    auto begin = Clock::now();
    auto end = begin + duration;
    for (std::int64_t i = 0; i < connections; ++i) open();
    std::array<epoll_event, 64> events;
    while (Clock::now() < end && errors_ < kErrorsMax) {
      int n = epoll_wait(epoll_, events.data(), events.size(), 100);
      for (int i = 0; i < n; ++i) advance(events[static_cast<std::size_t>(i)].data.fd);
    }
    double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    printf("{\"completed\": %llu, \"errors\": %llu, \"seconds\": %.3f, \"per_second\": %.1f}\n",
           static_cast<unsigned long long>(completed_), static_cast<unsigned long long>(errors_),
           seconds, static_cast<double>(completed_) / seconds);
    if (!first_error_.empty()) fprintf(stderr, "first error: %s\n", first_error_.c_str());
    return errors_ == 0 ? 0 : 1;
  }

 private:
  void open() {
    auto connection = std::make_unique<ClientConnection>(port_, context_.get());
    connection->request(target_);
    int fd = connection->fd();
    epoll_event event{.events = EPOLLOUT, .data = {.fd = fd}};
    must(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    connections_[fd] = std::move(connection);
  }

  void advance(int fd) {
    ClientConnection& connection = *connections_.at(fd);
    Step step = connection.advance();
    if (step == Step::want_read || step == Step::want_write) {
      std::uint32_t wanted = step == Step::want_read ? EPOLLIN : EPOLLOUT;
      epoll_event event{.events = wanted, .data = {.fd = fd}};
      must(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0, "epoll_ctl");
      return;
    }
    if (step == Step::response && connection.status() == 200) {
      ++completed_;
      connection.finish();
    } else {
      ++errors_;
      if (first_error_.empty()) {
        first_error_ = step == Step::failed ? connection.error()
                                            : "status " + std::to_string(connection.status());
      }
    }
    connections_.erase(fd);
    open();
  }

  std::uint16_t port_;
  std::string target_;
  bssl::UniquePtr<SSL_CTX> context_;
  int epoll_;
  std::unordered_map<int, std::unique_ptr<ClientConnection>> connections_;
  std::uint64_t completed_ = 0;
  std::uint64_t errors_ = 0;
  std::string first_error_;
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  Options options(argc, argv, {"--port", "--seconds", "--connections", "--plain", "--target"},
                  kUsage);
  return Load(options).run(options.number("--connections", 16),
                           std::chrono::seconds(options.number("--seconds", 4)));
}
