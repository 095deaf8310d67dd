// H2Backend: one HTTP/2 connection to a server, shared by many exchanges, a stream for each.
//
// Owns itself: made by its H2Pool, freed when its socket is closed. Bytes that come in go through
// the session at once; what the turn has brought about goes out at its end.
//
//    connecting ──→ open ── GOAWAY, suspect, unwanted ──→ (no new streams) ── none left ──→ ending
//        │            │ └── idle for timeouts.backend_idle ──────────────────────────────────↑
//        │            │ connection broken, or beyond use: its streams fail                   │
//        └────────────┴──────────────────────────────────→ closing ←── our end is out ───────┘
//
// It is set up once the server's SETTINGS are known (RFC 9113 §3.4). Streams leased before are held
// until then: as many as the server takes begin, the others are turned away unsent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/h2_backend_stream.h"
#include "proxy/data/h2_meter.h"
#include "proxy/data/stream.h"
#include "proxy/data/transport.h"
#include "proxy/h2/session.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

// Why nothing could be made of what a server sent first.
inline constexpr std::string_view kNotHttp2 = "The server does not speak HTTP/2.";

class H2Pool;
struct H2RoomTag;
struct H2ConnectionTag;

class H2Backend final : public io::Retired,
                        public base::ListNode<H2RoomTag>,        // while it can be leased from
                        public base::ListNode<H2ConnectionTag>,  // all of the pool's
                        private Transport::Handler,
                        private h2::SessionHandler,
                        private h2::Output,
                        private io::Flushable,
                        private io::Deferred {
 public:
  // Frames that wait for the socket; no further ones are made while there are more.
  static constexpr std::size_t kOutputBytesMax = 128 * 1024;
  // Streams on a connection whose server has never said how many it takes (RFC 9113 §6.5.2).
  static constexpr std::size_t kStreamsAssumed = 100;
  // A stream that was given up after this long, in which nothing was heard of the server at all,
  // makes its connection suspect of being dead: no other stream is put on it until something is.
  static constexpr Duration kSilenceMax = std::chrono::seconds(2);
  // For our orderly end to go out.
  static constexpr Duration kEndTime = std::chrono::seconds(2);

  explicit H2Backend(std::shared_ptr<H2Pool> pool);
  ~H2Backend() override;

  // Begins to connect. None, or why it could not even begin; free it then.
  Transport::Failure connect(const Address& address,
                             std::shared_ptr<const ServerSettings> settings);
  // Precondition: can_lease(). `timeout`: for the connection to be set up.
  BackendPool::Lease lease(ResponseHandler& handler, bool tunnel, Duration timeout);
  bool can_lease() const;
  // It has been without streams.
  bool has_been_idle() const { return has_been_idle_; }
  bool connect_failed() const { return connect_failed_; }
  // Ends it if it has no streams.
  void end_if_idle();
  // It was made by settings that are no longer those of its pool.
  bool outdated() const;

  // --- For its streams ----------------------------------------------------------------------
  ConnectionHost& host() { return host_; }
  h2::Session& session() { return *session_; }
  std::string_view scheme() const { return scheme_; }
  // Bytes received, ever.
  std::uint64_t heard() const { return heard_; }
  // Why its streams are lost; null while it lives.
  const BackendFailure* loss() const { return loss_ ? &*loss_ : nullptr; }
  // There is something to flush, and perhaps room for more.
  void wake();
  // Memory to compose a field section in.
  h2::Section& section() { return section_; }
  // The server has said what it takes.
  bool settings_seen() const { return settings_seen_; }
  // A response has come whole.
  bool has_served() const { return has_served_; }
  void note_served() { has_served_ = true; }
  // A head or data of a response has come, or data of a request is on its way.
  void note_useful() { meter_.note_useful(); }
  // The session knows it from now on.
  void on_stream_started() { --waiting_count_; }
  // A stream has ended: it is off the list. `silent`: see kSilenceMax.
  void on_stream_gone(bool started, bool silent);
  // A response's body turned out to be large, or is over.
  void large_body_begins();
  void large_body_ends();

 private:
  enum class State : std::uint8_t { connecting, open, ending, closing };
  using Streams = base::IntrusiveList<H2BackendStream, H2BackendStreamTag>;

  // Transport::Handler
  void on_open() override;
  void on_data(Bytes bytes) override;
  void on_end(bool clean) override;
  void on_failure(Transport::Failure failure) override;
  void on_writable() override;
  void on_closed() override;
  // h2::SessionHandler; the first two are of the server's role
  h2::StreamHandler* on_request(h2::Stream& stream, http::RequestHead&& head,
                                bool complete) override;
  void on_refused_request(h2::Stream& stream, const http::RequestHead& head,
                          const http::ParseError& error) override;
  void on_goaway() override;
  void on_settings() override;
  // h2::Output
  void write(Bytes bytes) override;
  bool has_room() const override { return transport_.buffered() < kOutputBytesMax; }
  // io::Flushable
  void flush() override;
  // io::Deferred: what handlers are to be told, and what they have left behind.
  void run_deferred() override;
  void on_timer();

  void begin_held();
  void begin_or_fail(H2BackendStream& stream);
  void give_up_late();
  void arm_set_up_timer(TimePoint when);
  void settle();
  void rest();
  bool wanted() const;
  void fail_session(H2Meter::Read why);
  void on_settings_timer();
  void on_gone(BackendFailure::Kind kind, std::string_view detail);
  void fail_connect(BackendFailure::Kind kind, std::string_view detail);
  void lose(BackendFailure::Kind kind, std::string_view detail);
  void fail_held(const BackendFailure& failure);
  void end();
  void terminate();
  void keep_saved_session();

  std::shared_ptr<H2Pool> pool_;
  std::shared_ptr<const ServerSettings> settings_;  // that it was made by
  ConnectionHost& host_;
  Transport transport_;
  std::unique_ptr<h2::Session> session_;
  H2Meter meter_;
  h2::Section section_;
  io::Timer timer_;           // until it is set up; idle; ending
  io::Timer settings_timer_;  // until the server has acknowledged our SETTINGS
  // While it isn't set up: the longest time to connect of those that lease it, since it began.
  TimePoint set_up_by_{};
  TimePoint give_up_next_{};  // when the first of them may have waited for long enough
  TimePoint began_{};
  Streams streams_;  // all that aren't gone, owned
  std::size_t stream_count_ = 0;
  std::size_t waiting_count_ = 0;  // of these, not known to the session yet
  std::optional<BackendFailure> loss_;
  std::uint64_t heard_ = 0;
  unsigned large_bodies_ = 0;
  std::string_view scheme_ = "http";
  State state_ = State::connecting;
  bool settings_seen_ = false;
  bool going_away_ = false;  // the server takes no new streams
  bool suspect_ = false;     // nothing was heard for long: see kSilenceMax
  bool has_been_idle_ = false;
  bool has_served_ = false;
  bool connect_failed_ = false;
};

}  // namespace sluice::proxy
