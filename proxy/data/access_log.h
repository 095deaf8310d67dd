// The access log: JSON lines, one per exchange, written by a thread of its own so that no worker
// ever waits for a disk or a pipe. When the sink is stuck, lines are dropped and counted.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/clock.h"
#include "proxy/data/line_log.h"
#include "routing/revision.h"

namespace sluice::proxy {

struct ClientInfo;

// What one exchange leaves behind. Views are read during the call that takes it.
struct AccessRecord {
  WallTime time;  // when the request's head was complete
  const ClientInfo* client = nullptr;
  std::string_view request_id;
  std::string_view method;
  std::string_view host;
  std::string_view target;
  std::string_view route;    // empty: none matched
  std::string_view backend;  // of the last attempt
  std::string_view server;
  std::string_view chosen_by;            // how it came to that backend
  routing::RevisionNumber revision = 0;  // that made the last attempt
  int status = 0;                        // 0: the client got no status line
  std::string_view outcome;              // "complete", "aborted", "client_gone"
  std::string_view error;                // why the proxy answered itself, or cut
  std::uint64_t request_bytes = 0;       // of body
  std::uint64_t response_bytes = 0;
  Duration duration{};        // to the end
  Duration until_response{};  // to the response's head; negative: none came
  std::size_t attempts = 0;
};

void append_access_line(std::string& out, const AccessRecord& record);

class AccessLog {
 public:
  // Opens `path` ("stdout", "stderr" or a file, appended to). The error is a sentence.
  static std::expected<std::unique_ptr<AccessLog>, std::string> open(const std::string& path,
                                                                     std::size_t workers);

  // From that worker's thread only. Never blocks. False: the line was dropped.
  bool write(std::size_t worker, const AccessRecord& record);

 private:
  // Where a worker's line is put together, its memory kept.
  struct alignas(64) Composed {
    std::string line;
  };
  AccessLog(std::unique_ptr<LineLog> lines, std::size_t workers);

  std::unique_ptr<LineLog> lines_;
  std::vector<Composed> composed_;
};

}  // namespace sluice::proxy
