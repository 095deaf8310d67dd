// Session: one HTTP/2 connection without its socket (RFC 9113, over nghttp2): received bytes go in
// and become heads, data and ends of streams; what streams send comes out as frames. Either side:
// of a client that we serve, or of a server that we ask.
//
// Owned by a client or backend connection; one thread. Operations never call back: handlers are
// called from receive() and deliver() only, and may call any operation but receive(), flush(),
// deliver() and the session's destructor. The owner calls flush() at the end of a turn in which
// anything was done (wants_flush()), and deliver() after it if has_news().
//
// What a peer can make a session hold: per stream what its owner queued (who watches buffered()),
// and less than two blocks of 4 KiB more (byte_queue.h); received data is handed on at once, up to
// the stream's window while it is paused. Per connection one field section (head_bytes), HPACK's
// tables (4 KiB each way), and the frames that a budget (budget.h) lets wait. The heads that its
// owner holds of open streams: held_head_bytes_max in all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/bytes.h"
#include "proxy/base/clock.h"
#include "proxy/h2/budget.h"
#include "proxy/h2/head.h"
#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::h2 {

// RFC 9113 §7.
enum class ErrorCode : std::uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  settings_timeout = 0x4,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  connect_error = 0xa,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
  http_1_1_required = 0xd,
};

// How long a peer may take to acknowledge our SETTINGS once the connection stands: until then
// nothing that they say can be held against it. Its owner then ends it with SETTINGS_TIMEOUT (RFC
// 9113 §6.5.3).
inline constexpr Duration kSettingsAcknowledgeTime = std::chrono::seconds(10);

struct Options {
  enum class Role : std::uint8_t { server, client };
  Role role = Role::server;  // ours on this connection
  std::string_view scheme;   // "http" or "https": the connection's own; static storage
  http::HeadLimits head_limits;
  // At a time: what the client may have open, or what we open at most.
  std::uint32_t streams_max = 100;
  std::uint32_t stream_window_bytes = 128 * 1024;
  std::uint32_t connection_window_bytes = 1024 * 1024;
  // Server role: decoded heads of all open streams. A request beyond them is refused
  // (REFUSED_STREAM: it may be sent again), unless it is the only one.
  std::size_t held_head_bytes_max = 2 * 1024 * 1024;
  BudgetLimits budget;
};

// Where flush() puts frames.
class Output {
 public:
  virtual void write(Bytes bytes) = 0;
  // Whether it would have more now. A frame that was begun is written whole.
  virtual bool has_room() const = 0;

 protected:
  ~Output() = default;
};

struct SessionState;  // session_state.h

// Why a stream ended before both sides had said all.
struct Reset {
  ErrorCode code = ErrorCode::no_error;
  bool by_peer = false;
  // Client role: the server can't have acted on the request (REFUSED_STREAM, above the last stream
  // of its GOAWAY, never sent).
  bool unprocessed = false;
  std::string_view reason;  // what the peer did wrong, if it did; static storage
};

class StreamHandler {
 public:
  // Client role. `head` may be taken apart; interim responses come here too.
  virtual void on_response_head(http::ResponseHead& head, bool complete) = 0;
  // The last byte of a body whose head said its length comes when the peer's half has ended: no
  // body that is cut there, or longer after all, looks whole to the other side (RFC 9113 §8.1.1).
  virtual void on_data(Bytes bytes) = 0;
  // The peer's half is whole. Not called after a head that was `complete`.
  virtual void on_end(const http::Fields& trailers) = 0;
  // buffered() has fallen to or below what notify_when_below() said.
  virtual void on_writable() = 0;
  // The last call, whatever happened; the stream is gone. null: what was asked was answered whole,
  // though the request may have been cut behind its answer (RFC 9113 §8.1).
  virtual void on_closed(const Reset* reset) = 0;

 protected:
  ~StreamHandler() = default;
};

// One stream of a session, which owns it, until on_closed(). Whoever resets it or lets go of it
// forgets it at once.
class Stream {
 public:
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  // Client role, first. If the server takes no more of them, on_closed() tells.
  void send_request(const Section& section, bool end);
  // Server role.
  void send_interim(const Section& section);
  void send_response(const Section& section, bool end);
  // Both.
  void send_data(Bytes bytes);  // queues a copy
  void send_end(const http::Fields& trailers);
  // Ends the stream now; unsent data is dropped. Later calls do nothing. on_closed() isn't called.
  void reset(ErrorCode code);

  // The peer may send no more than its window until resume(). What comes is still handed over.
  void pause();
  void resume();
  // Nobody wants what the peer still sends: it is dropped, but for its end, and its window stays
  // shut. More than may have been on its way is useless to the budget.
  void drop_rest();
  std::size_t buffered() const;  // bytes of data that haven't gone to the output
  void notify_when_below(std::size_t bytes);

  std::int32_t id() const;
  // Null lets go of the handler: nothing more is said of this stream. What was queued is sent;
  // what still comes is dropped.
  void set_handler(StreamHandler* handler);

 protected:
  Stream() = default;
  ~Stream() = default;
};

class SessionHandler {
 public:
  // Server role. The request's head is whole and good; it is the handler's from here on. Returns
  // who hears of the stream; null: nobody, since it has been answered whole.
  virtual StreamHandler* on_request(Stream& stream, http::RequestHead&& head, bool complete) = 0;
  // Server role. The head was refused. With an answer (error.status >= 400) the owner sends it
  // through `stream`, now and whole, and may set a handler that hears of the stream's end; a
  // malformed one (kMalformed) has been reset, and has no handler.
  virtual void on_refused_request(Stream& stream, const http::RequestHead& head,
                                  const http::ParseError& error) = 0;
  // The peer is leaving. Client role: it takes no new streams; those that it won't serve have been
  // closed. Server role: it means to open none; nghttp2 answers nothing more (not even a PING) once
  // there are none, so the connection is to be ended.
  virtual void on_goaway() = 0;
  // Client role: streams_available() may have changed.
  virtual void on_settings() = 0;

 protected:
  ~SessionHandler() = default;
};

class Session {
 public:
  // `handler` outlives the session. Its first flush() sends our preface and SETTINGS.
  Session(const Options& options, SessionHandler& handler);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes all of `bytes`. False: the connection is beyond use; flush() sends the GOAWAY that says
  // why (failure()), then it is to be ended. Streams have been told.
  bool receive(Bytes bytes, TimePoint now);
  // What receive() returned false for, or flush() found. Streams are told by deliver().
  bool failed() const;
  void flush(Output& output);
  bool wants_flush() const;
  // Tells handlers what flushing and operations brought about.
  void deliver();
  bool has_news() const;
  // The peer is gone: all streams are closed (deliver() tells). Nothing can be sent any more.
  void on_connection_lost();

  // Server role. Two phases (RFC 9113 §6.8): announce() says that an end is near, and new streams
  // are still served; go_away() says which was the last, and later ones are reset with
  // REFUSED_STREAM, though it may still wait to go out.
  void announce_go_away();
  void go_away(ErrorCode code = ErrorCode::no_error);

  // Client role: a new stream. Precondition: streams_available() > 0.
  Stream& open(StreamHandler& handler);
  // How many more can be opened: within the peer's limit and ours, none after its GOAWAY.
  std::size_t streams_available() const;
  // Client role: the server takes extended CONNECT (RFC 8441 §3).
  bool extended_connect_allowed() const;

  // The peer's preface with its SETTINGS, or a field section that it has begun, isn't whole yet.
  bool head_pending() const;
  // The peer has acknowledged our SETTINGS.
  bool settings_acknowledged() const;
  // Field sections that have come whole, ever.
  std::uint64_t sections() const;
  std::size_t streams() const;  // that are open, or have something to tell or to send
  // Why the session failed, or what the peer's GOAWAY said was wrong; empty if neither. Static
  // storage.
  std::string_view failure() const;
  // The budget that ran out, for its counter.
  Exhausted exhausted() const;

 private:
  std::unique_ptr<SessionState> state_;
};

}  // namespace sluice::h2
