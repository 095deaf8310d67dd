// What owns an HTTP/2 session in the fuzz targets: it checks what handlers may count on, and writes
// the verdict down, so that two ways of cutting the same input can be compared.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/check.h"
#include "proxy/h2/session.h"

namespace sluice::h2 {

// Small enough that the limits are met too.
inline constexpr http::HeadLimits kFuzzHeadLimits{
    .request_line_bytes = 256, .field_line_bytes = 256, .head_bytes = 1024, .field_count = 16};

class FuzzOutput final : public Output {
 public:
  void write(Bytes bytes) override { written += bytes.size(); }
  bool has_room() const override { return true; }
  std::size_t written = 0;
};

inline std::string tell(const http::Fields& fields) {
  std::string out;
  for (const http::Field field : fields) {
    out.append("[").append(field.name).append("|").append(field.value).append("]");
  }
  return out;
}

// A stream's handler: data only between head and end, as much as was promised, one last call.
struct FuzzStream final : StreamHandler {
  Stream* stream = nullptr;
  std::string* verdict = nullptr;
  http::BodyLength body;
  http::ResponseHead response;
  std::uint64_t bytes = 0;
  bool head_seen = false;
  bool ended = false;
  bool closed = false;

  void on_response_head(http::ResponseHead& head, bool complete) override {
    SLUICE_CHECK(!head_seen && !ended && !closed);
    verdict->append("head ").append(std::to_string(head.status)).append(tell(head.fields));
    if (head.is_interim()) {
      SLUICE_CHECK(!complete);
      return;
    }
    head_seen = true;
    body = head.body;
    SLUICE_CHECK(body.kind != http::BodyLength::Kind::until_close);
    response = head;
    if (complete) end();
  }
  void on_data(Bytes data) override {
    SLUICE_CHECK(head_seen && !ended && !closed && !data.empty());
    bytes += data.size();
    SLUICE_CHECK(body.kind != http::BodyLength::Kind::none);
    SLUICE_CHECK(body.kind != http::BodyLength::Kind::known || bytes <= body.bytes);
  }
  void on_end(const http::Fields& trailers) override {
    verdict->append("end").append(tell(trailers));
    end();
  }
  void on_writable() override {}
  void on_closed(const Reset* reset) override {
    SLUICE_CHECK(!closed);
    closed = true;
    stream = nullptr;
    SLUICE_CHECK(reset || ended || answered);
  }
  void end() {
    SLUICE_CHECK(!ended && !closed);
    ended = true;
    SLUICE_CHECK(body.kind != http::BodyLength::Kind::known || bytes == body.bytes);
  }

  bool answered = false;  // server role: the response is out, and the request may be cut
};

// Feeds `text` in pieces whose sizes `next_size` gives, without a flush in between: then what comes
// out depends on the bytes alone. False if the session failed.
inline bool feed(Session& session, std::string_view text, auto next_size) {
  constexpr TimePoint kNow{std::chrono::hours(1)};
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, next_size());
    text.remove_prefix(piece.size());
    if (!session.receive(as_bytes(piece), kNow)) return false;
  }
  return !session.failed();
}

inline void settle(Session& session, FuzzOutput& output) {
  for (int turn = 0; turn < 100; ++turn) {
    if (session.wants_flush()) session.flush(output);
    if (!session.has_news()) return;
    session.deliver();
  }
}

}  // namespace sluice::h2
