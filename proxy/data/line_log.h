// LineLog: lines of text to a file, a pipe or a socket, written by a thread of its own so that
// nobody who has a line ever waits for a disk or a reader. The access log and the audit log are
// such.
//
// Each thread that has lines is a producer with a ring of its own. What finds no room there (the
// sink is stuck) is dropped, and its owner counts it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::proxy {

// A ring of bytes from one thread to the log's. Single producer, single consumer.
class LogRing {
 public:
  static constexpr std::size_t kBytes = 1 << 20;  // power of two

  LogRing() : memory_(std::make_unique<char[]>(kBytes)) {}
  // False: no room; the line is not taken.
  bool push(std::string_view line);
  // All that is there now, as one or two pieces; consume() frees it.
  std::pair<std::string_view, std::string_view> peek() const;
  void consume(std::size_t bytes);

 private:
  std::unique_ptr<char[]> memory_;
  alignas(64) std::atomic<std::uint64_t> written_{0};
  alignas(64) std::atomic<std::uint64_t> read_{0};
};

class LineLog {
 public:
  // Opens `path` ("stdout", "stderr" or a file, appended to). `what` begins the error, a sentence:
  // "access log".
  static std::expected<std::unique_ptr<LineLog>, std::string> open(std::string_view what,
                                                                   const std::string& path,
                                                                   std::size_t producers);
  ~LineLog();  // writes what is left, within kCloseTimeout
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  static constexpr std::chrono::milliseconds kCloseTimeout{1000};

  // `line` ends with a line feed. From that producer's thread only. Never blocks. False: the line
  // was dropped.
  bool write(std::size_t producer, std::string_view line);

 private:
  struct State;
  explicit LineLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::proxy
