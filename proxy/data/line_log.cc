#include "proxy/data/line_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/io/file_descriptor.h"

namespace sluice::proxy {
namespace {

// How long a line may wait for the writer.
constexpr int kPollMs = 50;

}  // namespace

bool LogRing::push(std::string_view line) {
  const std::uint64_t written = written_.load(std::memory_order_relaxed);
  const std::uint64_t read = read_.load(std::memory_order_acquire);
  if (line.size() > kBytes - (written - read)) return false;
  const std::size_t at = written % kBytes;
  const std::size_t first = std::min(line.size(), kBytes - at);
  std::memcpy(memory_.get() + at, line.data(), first);
  std::memcpy(memory_.get(), line.data() + first, line.size() - first);
  written_.store(written + line.size(), std::memory_order_release);
  return true;
}

std::pair<std::string_view, std::string_view> LogRing::peek() const {
  const std::uint64_t read = read_.load(std::memory_order_relaxed);
  const std::size_t bytes = written_.load(std::memory_order_acquire) - read;
  const std::size_t at = read % kBytes;
  const std::size_t first = std::min(bytes, kBytes - at);
  return {{memory_.get() + at, first}, {memory_.get(), bytes - first}};
}

void LogRing::consume(std::size_t bytes) {
  read_.store(read_.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
}

struct LineLog::State {
  struct alignas(64) Producer {
    LogRing ring;
  };

  io::FileDescriptor sink;
  bool is_socket = false;
  bool may_block = false;
  io::FileDescriptor stop;  // readable once the log is to be closed
  std::vector<std::unique_ptr<Producer>> producers;
  Producer* unfinished = nullptr;  // whose line is out in part
  std::thread thread;

  enum class Outcome { all_written, more, full, broken };

  // Writes some of what one ring holds. What a broken sink (a full disk) doesn't take stays in the
  // ring and is tried again; what then finds no room there is dropped and counted.
  Outcome write_out(Producer& producer) {
    const auto pieces = producer.ring.peek();
    if (pieces.first.empty()) return Outcome::all_written;
    // Another user's pipe or terminal can't be opened anew and may block: it gets what it has room
    // for, which is PIPE_BUF at least once it is writable.
    pollfd writable{sink.get(), POLLOUT, 0};
    if (::poll(&writable, 1, 0) != 1) return Outcome::full;
    const std::size_t size =
        may_block ? std::min<std::size_t>(pieces.first.size(), PIPE_BUF) : pieces.first.size();
    const ssize_t taken =
        is_socket ? ::send(sink.get(), pieces.first.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL)
                  : ::write(sink.get(), pieces.first.data(), size);
    if (taken < 0) {
      if (errno == EINTR) return Outcome::more;
      return errno == EAGAIN ? Outcome::full : Outcome::broken;
    }
    const auto written = pieces.first.substr(0, static_cast<std::size_t>(taken));
    if (!written.empty()) unfinished = written.back() == '\n' ? nullptr : &producer;
    producer.ring.consume(written.size());
    return Outcome::more;
  }

  void run() {
    TimePoint give_up = kNever;
    for (;;) {
      bool all_written = true;
      bool more = false;
      bool full = false;
      for (const auto& producer : producers) {
        // A line that is out in part is finished before any other begins.
        if (unfinished && unfinished != producer.get()) {
          all_written = false;
          continue;
        }
        const Outcome outcome = write_out(*producer);
        all_written &= outcome == Outcome::all_written;
        more |= outcome == Outcome::more;
        full |= outcome == Outcome::full;
      }
      if (more) continue;
      const TimePoint now = std::chrono::steady_clock::now();
      if (give_up != kNever && (all_written || now >= give_up)) return;
      std::array<pollfd, 2> events{pollfd{stop.get(), POLLIN, 0}, pollfd{sink.get(), POLLOUT, 0}};
      if (give_up != kNever) events[0].fd = -1;  // seen already
      ::poll(events.data(), full ? 2 : 1, kPollMs);
      if (events[0].revents != 0) give_up = now + kCloseTimeout;
    }
  }
};

namespace {

// A description of our own, so that making it non-blocking doesn't change what we were given.
io::FileDescriptor open_sink(const std::string& path, bool& is_socket) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const bool standard = path == "stdout" || path == "stderr";
  if (!standard) return io::FileDescriptor(::open(path.c_str(), kFlags, 0640));
  const int stream = path == "stdout" ? STDOUT_FILENO : STDERR_FILENO;
  struct stat about {};
  if (::fstat(stream, &about) != 0) return io::FileDescriptor();
  is_socket = S_ISSOCK(about.st_mode);
  if (!is_socket) {
    io::FileDescriptor own(
        ::open(fmt::format("/proc/self/fd/{}", stream).c_str(), kFlags & ~O_CREAT));
    if (own) return own;
  }
  return io::FileDescriptor(::fcntl(stream, F_DUPFD_CLOEXEC, 3));
}

}  // namespace

std::expected<std::unique_ptr<LineLog>, std::string> LineLog::open(std::string_view what,
                                                                   const std::string& path,
                                                                   std::size_t producers) {
  auto state = std::make_unique<State>();
  state->sink = open_sink(path, state->is_socket);
  if (!state->sink) {
    return std::unexpected(
        fmt::format("{} {}: cannot open it: {}", what, path, std::strerror(errno)));
  }
  state->may_block = (::fcntl(state->sink.get(), F_GETFL) & O_NONBLOCK) == 0;
  state->stop = io::FileDescriptor(::eventfd(0, EFD_CLOEXEC));
  for (std::size_t i = 0; i < producers; ++i) {
    state->producers.push_back(std::make_unique<State::Producer>());
  }
  state->thread = std::thread([state = state.get()] { state->run(); });
  return std::unique_ptr<LineLog>(new LineLog(std::move(state)));
}

LineLog::LineLog(std::unique_ptr<State> state) : state_(std::move(state)) {
}

LineLog::~LineLog() {
  const std::uint64_t one = 1;
  SLUICE_CHECK(::write(state_->stop.get(), &one, sizeof one) == sizeof one);
  state_->thread.join();
}

bool LineLog::write(std::size_t producer, std::string_view line) {
  return state_->producers[producer]->ring.push(line);
}

}  // namespace sluice::proxy
