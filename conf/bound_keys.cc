#include "conf/bound_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "conf/kinds.h"

namespace sluice::conf {
namespace {

constexpr std::uint64_t kKiB = 1 << 10;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{1} << 50;
constexpr std::uint64_t kRequestsMax = 1'000'000'000;
constexpr std::uint64_t kStreamsMax = 10'000;
constexpr std::uint64_t kRateMax = 1 << 30;

using Levels = std::initializer_list<Level>;

constexpr Levels kFileOnly{Level::file};
constexpr Levels kListenerToo{Level::file, Level::listener};
constexpr Levels kRouteToo{Level::file, Level::route};
constexpr Levels kEverywhere{Level::file, Level::listener, Level::route};

// The section of one level: of the keys that are described to it, those the level has a say in.
template <typename T>
class LevelSection {
 public:
  // `table`: `timeouts` or `limits`.
  LevelSection(std::string table, Level level)
      : table_(std::move(table)), level_(level), section_(T{}) {}

  template <typename V>
  LevelSection& value(std::string name, Levels levels, Kind<V> kind, V T::*member,
                      std::string meaning) {
    if (std::ranges::find(levels, level_) != levels.end()) {
      section_.value(std::move(name), std::move(kind), member, std::move(meaning));
    } else {
      section_.elsewhere(std::move(name), places(levels));
    }
    return *this;
  }

  Section<T> take() && {
    if (level_ != Level::file) section_.inherited();
    return std::move(section_);
  }

 private:
  std::string places(Levels levels) const {
    std::string text;
    for (Level level : levels) text += (text.empty() ? "" : " or ") + place(level);
    return text;
  }

  std::string place(Level level) const {
    switch (level) {
      case Level::file:
        return fmt::format("[{}]", table_);
      case Level::listener:
        return fmt::format("[listeners.NAME.{}]", table_);
      case Level::route:
        return fmt::format("[routes.NAME.{}]", table_);
    }
    return "";
  }

  std::string table_;
  Level level_;
  Section<T> section_;
};

}  // namespace

Section<Timeouts> timeouts_section(Level level) {
  LevelSection<Timeouts> section("timeouts", level);
  section
      .value("connect", kRouteToo, duration(), &Timeouts::connect,
             "Connecting to a server, with TLS handshake and HTTP/2 SETTINGS")
      .value("tls_handshake", kListenerToo, duration(), &Timeouts::tls_handshake,
             "From accepting a client to a finished TLS handshake")
      .value("request_head", kListenerToo, duration(), &Timeouts::request_head,
             "From the first byte of a request to the end of its head")
      .value("response_head", kRouteToo, duration(), &Timeouts::response_head,
             "From the request sent whole to the head of its response")
      .value("idle", kListenerToo, duration(), &Timeouts::idle,
             "A kept-alive client connection between requests")
      .value("backend_idle", kFileOnly, duration(), &Timeouts::backend_idle,
             "A pooled connection to a server between requests")
      .value("stream", kEverywhere, duration(), &Timeouts::stream,
             level == Level::listener ? "A client takes nothing of what its last response left over"
                                      : "No byte moved either way within an exchange")
      .value("exchange", kRouteToo, duration_or_zero(), &Timeouts::exchange,
             "A whole exchange; `\"0s\"` is no limit");
  return std::move(section).take();
}

Section<Limits> limits_section(Level level) {
  LevelSection<Limits> section("limits", level);
  section
      .value("request_line_bytes", kListenerToo, size(kKiB, kMiB), &Limits::request_line_bytes,
             "A request line; longer ones get 414")
      .value("field_line_bytes", kListenerToo, size(kKiB, kMiB), &Limits::field_line_bytes,
             "One header or trailer line; longer ones get 431")
      .value("head_bytes", kListenerToo, size(4 * kKiB, 4 * kMiB), &Limits::head_bytes,
             "The head of a request; larger ones get 431. The file's holds for responses, too")
      .value("field_count", kListenerToo, count(8, 10'000), &Limits::field_count,
             "Header lines of one head; more get 431")
      .value("body_bytes", kRouteToo, size_or_zero(kBodyBytesMax), &Limits::body_bytes,
             "The body of a request; larger ones get 413; 0 is no limit")
      .value("stream_buffer_bytes", kListenerToo, size(16 * kKiB, 64 * kMiB),
             &Limits::stream_buffer_bytes,
             "What is held in each direction of an exchange before its sender must wait")
      .value("client_connections", kFileOnly, count(1, 10'000'000), &Limits::client_connections,
             "Client connections, all workers together")
      .value("requests_per_connection", kListenerToo, count(1, kRequestsMax),
             &Limits::requests_per_connection,
             "Requests on one client connection before it is closed")
      .value("client_streams", kListenerToo, count(1, kStreamsMax), &Limits::client_streams,
             "Requests at a time on one HTTP/2 client connection")
      .value("backend_idle_connections", kFileOnly, count(1, 100'000),
             &Limits::backend_idle_connections, "Pooled connections to one server, for each worker")
      .value("backend_connections", kFileOnly, count(1, 1'000'000), &Limits::backend_connections,
             "All connections to one server, for each worker; requests beyond them wait")
      .value("backend_waiting", kFileOnly, count(1, 1'000'000), &Limits::backend_waiting,
             "Requests that wait for a connection to one server, for each worker; more get 503, as "
             "do those that waited for timeouts.connect")
      .value("backend_streams", kFileOnly, count(1, kStreamsMax), &Limits::backend_streams,
             "Requests at a time on one HTTP/2 connection to a server");
  section
      .value("request_rate_min", kRouteToo, size_or_zero(kRateMax), &Limits::request_rate_min,
             "Bytes a second that a request's body must bring while a server could take more, "
             "after the first 10 s; slower ones get 408; not for gRPC and upgrades; 0 is no limit")
      .value("response_rate_min", kRouteToo, size_or_zero(kRateMax), &Limits::response_rate_min,
             "Bytes a second that a client must take of a response while more is ready, after the "
             "first 10 s; slower ones are cut; 0 is no limit")
      .value("retry_body_bytes", kRouteToo, size(0, 16 * kMiB), &Limits::retry_body_bytes,
             "What is kept of a request's body for another attempt; larger bodies are sent once");
  return std::move(section).take();
}

}  // namespace sluice::conf
