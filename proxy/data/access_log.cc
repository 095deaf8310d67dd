#include "proxy/data/access_log.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "proxy/base/rfc3339.h"
#include "proxy/data/stream.h"

namespace sluice::proxy {
namespace {

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
  append_text(out, "chosen_by", record.chosen_by);
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

std::expected<std::unique_ptr<AccessLog>, std::string> AccessLog::open(const std::string& path,
                                                                       std::size_t workers) {
  auto lines = LineLog::open("access log", path, workers);
  if (!lines) return std::unexpected(std::move(lines.error()));
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(*lines), workers));
}

AccessLog::AccessLog(std::unique_ptr<LineLog> lines, std::size_t workers)
    : lines_(std::move(lines)), composed_(workers) {
}

bool AccessLog::write(std::size_t worker, const AccessRecord& record) {
  std::string& line = composed_[worker].line;
  line.clear();
  append_access_line(line, record);
  return lines_->write(worker, line);
}

}  // namespace sluice::proxy
