// The origin behind every proxy in the bench: the least HTTP/1.1 that still answers, on epoll, so
// that it is never what is measured. It believes that each request is a head without a body.
//
// Answers 64 KiB to /64k and 1 KiB to anything else. Counts its answers, one 8-byte counter per
// thread, in a file that whoever measures maps.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include "bench/support.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage =
    "origin --port PORT [--threads N] [--core FIRST] [--count-file FILE]";
constexpr std::size_t kRequestMax = 16 * 1024;

std::string response(std::size_t body_size) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
         std::to_string(body_size) + "\r\n\r\n" + std::string(body_size, 'x');
}

struct Connection {
  explicit Connection(int socket) : fd(socket) {}
  ~Connection() { close(fd); }
  int fd;
  std::array<char, kRequestMax> input;
  std::size_t input_size = 0;
  std::string_view output;  // of the constant responses
};

class OriginThread {
 public:
  OriginThread(std::uint16_t port, std::atomic<std::uint64_t>* count)
      : listener_(listen_on(port, true)), epoll_(epoll_create1(EPOLL_CLOEXEC)), count_(count) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    must(epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) == 0, "epoll_ctl");
  }

  void run() {
    std::array<epoll_event, 256> events;
    while (true) {
      int n = epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < n; ++i) {
        auto* connection = static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (connection == nullptr) {
          accept_all();
        } else if (!serve(*connection)) {
          delete connection;
        }
      }
    }
  }

 private:
  void accept_all() {
    while (true) {
      int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      // Freed when its socket ends.
      auto* connection = new Connection(fd);
      epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = connection}};
      must(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    }
  }

  // False once the connection is over.
  bool serve(Connection& connection) {
    while (true) {
      if (!connection.output.empty()) {
        ssize_t n =
            send(connection.fd, connection.output.data(), connection.output.size(), MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN;
        connection.output.remove_prefix(static_cast<std::size_t>(n));
        continue;
      }
      if (take_request(connection)) continue;
      if (connection.input_size == connection.input.size()) return false;
      ssize_t n = recv(connection.fd, connection.input.data() + connection.input_size,
                       connection.input.size() - connection.input_size, 0);
      if (n < 0 && errno == EAGAIN) return true;
      if (n <= 0) return false;
      connection.input_size += static_cast<std::size_t>(n);
    }
  }

  bool take_request(Connection& connection) {
    void* end = memmem(connection.input.data(), connection.input_size, "\r\n\r\n", 4);
    if (end == nullptr) return false;
    std::size_t size =
        static_cast<std::size_t>(static_cast<char*>(end) + 4 - connection.input.data());
    std::string_view head(connection.input.data(), size);
    connection.output = head.starts_with("GET /64k") ? large_ : small_;
    connection.input_size -= size;
    memmove(connection.input.data(), connection.input.data() + size, connection.input_size);
    count_->fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  const std::string small_ = response(1024);
  const std::string large_ = response(64 * 1024);
  int listener_;
  int epoll_;
  std::atomic<std::uint64_t>* count_;
};

std::atomic<std::uint64_t>* map_counts(const std::string& file, std::size_t threads) {
  std::size_t size = threads * sizeof(std::atomic<std::uint64_t>);
  int fd = -1;
  int flags = MAP_SHARED | MAP_ANONYMOUS;
  if (!file.empty()) {
    fd = open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0 && ftruncate(fd, static_cast<off_t>(size)) == 0, file);
    flags = MAP_SHARED;
  }
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  must(memory != MAP_FAILED, "mmap");
  return static_cast<std::atomic<std::uint64_t>*>(memory);
}

int run(const Options& options) {
  auto port = static_cast<std::uint16_t>(options.number("--port", 0));
  auto threads = static_cast<std::size_t>(options.number("--threads", 1));
  auto core = static_cast<int>(options.number("--core", -1));
  std::atomic<std::uint64_t>* counts = map_counts(options.text("--count-file", ""), threads);
  std::vector<std::thread> running;
  for (std::size_t i = 0; i < threads; ++i) {
    running.emplace_back([=] {
      if (core >= 0) pin_to_core(core + static_cast<int>(i));
      OriginThread(port, counts + i).run();
    });
  }
  for (std::thread& thread : running) thread.join();
  return 0;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  return run(Options(argc, argv, {"--port", "--threads", "--core", "--count-file"}, kUsage));
}
