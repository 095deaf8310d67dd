#include "proxy/control/event_log.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>

#include "admin/json_writer.h"
#include "proxy/base/rfc3339.h"

namespace sluice::proxy {

void log_event(Level level, std::string_view event, EventFields fields) {
  constexpr std::string_view kNames[] = {"info", "warning", "error"};
  admin::JsonWriter json(admin::JsonWriter::Layout::one_line);
  json.begin_object();
  json.key("time").value(to_rfc3339(std::chrono::system_clock::now()));
  json.key("level").value(kNames[static_cast<std::size_t>(level)]);
  json.key("event").value(event);
  for (const auto& [name, value] : fields) json.key(name).value(value);
  json.end_object();
  write_log_line(json.finish());
}

void write_log_line(std::string_view line) {
  pollfd writable{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&writable, 1, 0) != 1 || (writable.revents & POLLOUT) == 0) return;
  // Where standard error is gone or full there is nobody left to tell.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace sluice::proxy
