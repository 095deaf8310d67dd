#include "proxy/data/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <thread>

#include "proxy/base/check.h"
#include "proxy/base/rfc3339.h"
#include "proxy/data/stream.h"
#include "proxy/io/file_descriptor.h"

namespace sluice::proxy {
namespace {

// How long a line may wait for the writer.
constexpr int kPollMs = 50;

// Everything that reaches the log has been through a parser that takes ASCII only, or comes from
// us; what is not printable is escaped so that a line stays one line of JSON whatever happens.
void append_text(std::string& out, std::string_view name, std::string_view text) {
  out += ",\"";
  out += name;
  out += "\":\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_number(std::string& out, std::string_view name, std::uint64_t number) {
  out += ",\"";
  out += name;
  out += "\":";
  fmt::format_to(std::back_inserter(out), "{}", number);
}

void append_ms(std::string& out, std::string_view name, Duration duration) {
  out += ",\"";
  out += name;
  out += "\":";
  fmt::format_to(std::back_inserter(out), "{}.{:03}", duration.count() / 1'000'000,
                 duration.count() / 1'000 % 1'000);
}

}  // namespace

void append_access_line(std::string& out, const AccessRecord& record) {
  out += "{\"time\":\"";
  out += to_rfc3339(record.time);
  out += '"';
  append_text(out, "client", record.client->peer.to_string());
  append_text(out, "listener", record.client->listener);
  append_text(out, "request_id", record.request_id);
  append_text(out, "method", record.method);
  append_text(out, "host", record.host);
  append_text(out, "path", record.target);
  append_text(out, "route", record.route);
  append_text(out, "backend", record.backend);
  append_text(out, "server", record.server);
  append_number(out, "revision", record.revision);
  append_number(out, "attempts", record.attempts);
  append_number(out, "status", static_cast<std::uint64_t>(record.status));
  append_text(out, "outcome", record.outcome);
  if (!record.error.empty()) append_text(out, "error", record.error);
  append_number(out, "request_bytes", record.request_bytes);
  append_number(out, "response_bytes", record.response_bytes);
  append_ms(out, "duration_ms", record.duration);
  if (record.until_response >= Duration::zero()) {
    append_ms(out, "until_response_ms", record.until_response);
  }
  if (record.client->is_tls) {
    append_text(out, "tls_version", record.client->tls_version);
    append_text(out, "tls_cipher", record.client->tls_cipher);
  }
  out += "}\n";
}

// --- LogRing
// --------------------------------------------------------------------------------------

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

// --- AccessLog
// ------------------------------------------------------------------------------------

struct AccessLog::State {
  struct alignas(64) Producer {
    LogRing ring;
    std::string line;  // composed here, memory kept
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
  if (path != "stdout") return io::FileDescriptor(::open(path.c_str(), kFlags, 0640));
  struct stat about {};
  if (::fstat(STDOUT_FILENO, &about) != 0) return io::FileDescriptor();
  is_socket = S_ISSOCK(about.st_mode);
  if (!is_socket) {
    io::FileDescriptor own(::open("/proc/self/fd/1", kFlags & ~O_CREAT));
    if (own) return own;
  }
  return io::FileDescriptor(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
}

}  // namespace

std::expected<std::unique_ptr<AccessLog>, std::string> AccessLog::open(const std::string& path,
                                                                       std::size_t workers) {
  auto state = std::make_unique<State>();
  state->sink = open_sink(path, state->is_socket);
  if (!state->sink) {
    return std::unexpected(
        fmt::format("access log {}: cannot open it: {}", path, std::strerror(errno)));
  }
  state->may_block = (::fcntl(state->sink.get(), F_GETFL) & O_NONBLOCK) == 0;
  state->stop = io::FileDescriptor(::eventfd(0, EFD_CLOEXEC));
  for (std::size_t i = 0; i < workers; ++i) {
    state->producers.push_back(std::make_unique<State::Producer>());
  }
  state->thread = std::thread([state = state.get()] { state->run(); });
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(state)));
}

AccessLog::AccessLog(std::unique_ptr<State> state) : state_(std::move(state)) {
}

AccessLog::~AccessLog() {
  const std::uint64_t one = 1;
  SLUICE_CHECK(::write(state_->stop.get(), &one, sizeof one) == sizeof one);
  state_->thread.join();
}

bool AccessLog::write(std::size_t worker, const AccessRecord& record) {
  State::Producer& producer = *state_->producers[worker];
  producer.line.clear();
  append_access_line(producer.line, record);
  return producer.ring.push(producer.line);
}

}  // namespace sluice::proxy
