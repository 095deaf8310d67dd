// Connection: one blocking connection to the admin API, over a Unix socket, TCP or TLS. A command
// line client waits for one thing at a time, so it has no ring: poll() and a deadline.
//
// Owned by an HttpClient, used by one thread. Every call ends by its deadline.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/clock.h"
#include "proxy/cli/exit_status.h"
#include "proxy/cli/place.h"
#include "proxy/io/file_descriptor.h"
#include "tls/client_session.h"

namespace sluice::cli {

class Connection {
 public:
  // Looks the host up, connects and, where the place says https, shakes hands; `tls` is needed
  // only there. The failure is ExitStatus::unreachable or timed_out.
  static std::expected<std::unique_ptr<Connection>, Failure> open(
      const Place& place, std::shared_ptr<const tls::ClientContext> tls, TimePoint deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::expected<void, Failure> send(std::string_view bytes, TimePoint deadline);
  // What came next, good until the next call; empty: the peer's orderly end.
  std::expected<std::string_view, Failure> receive(TimePoint deadline);

 private:
  class TlsState;
  explicit Connection(io::FileDescriptor fd);
  std::expected<void, Failure> start_tls(const Place& place,
                                         std::shared_ptr<const tls::ClientContext> tls,
                                         TimePoint deadline);
  std::expected<void, Failure> send_raw(std::string_view bytes, TimePoint deadline);
  std::expected<std::string_view, Failure> receive_raw(TimePoint deadline);

  io::FileDescriptor fd_;
  std::string buffer_;
  std::unique_ptr<TlsState> tls_;  // null: plain
};

}  // namespace sluice::cli
