// RawOrigin: a server on 127.0.0.1, or on a Unix socket, that does with each connection what the
// test's script says, on a thread of its own. For what StrictOrigin is too proper to do.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/harness/deadline.h"
#include "tests/harness/net.h"

namespace sluice::harness {

// A blocking connection for scripts; every wait has a deadline, and ends with the origin.
class RawConnection {
 public:
  RawConnection(Fd fd, int stop) : fd_(std::move(fd)), stop_(stop) {}
  // Until `end` is in what has come (it is part of what is returned); less if the peer ended first.
  std::string read_until(std::string_view end);
  // Exactly so many bytes, or less at the peer's end.
  std::string read_bytes(std::size_t size);
  std::string read_to_end();
  // Whatever comes next; empty: the peer's end.
  std::string read_some();
  bool write(std::string_view bytes);
  void finish_sending();
  void reset();
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  int stop_;
  std::string received_;
};

class RawOrigin {
 public:
  using Script = std::function<void(RawConnection&)>;
  // Connections that begin with `GET /health ` are answered 200 and not shown to the script.
  explicit RawOrigin(Script script);
  RawOrigin(Script script, const std::string& unix_path);
  // Whoever reads is at the end, and running scripts are waited for.
  ~RawOrigin();
  RawOrigin(const RawOrigin&) = delete;
  RawOrigin& operator=(const RawOrigin&) = delete;
  std::string address() const { return address_; }
  int connections() const { return connections_; }  // shown to the script

 private:
  void run();
  void serve(Fd fd);

  Script script_;
  Fd listener_;
  Fd stop_;
  std::string address_;
  std::atomic<int> connections_ = 0;
  std::mutex mutex_;
  std::vector<std::thread> scripts_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace sluice::harness
