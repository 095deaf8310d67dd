// The inside of a session and of its streams, for session*.cc only: nghttp2 does framing, HPACK,
// states and windows; what a message may say, who is told what, and how much a peer may waste is
// decided here.
//
// nghttp2 calls back from within receive() (handlers are called from there) and flush() (they are
// not: what they must hear becomes news). Its callbacks are C: nothing throws through them.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/intrusive_list.h"
#include "proxy/h2/byte_queue.h"
#include "proxy/h2/frame_scanner.h"
#include "proxy/h2/session.h"

namespace sluice::h2 {

struct OpenTag;
struct NewsTag;
struct TurnTag;

struct SessionState;

// What begins anew with each use of a StreamState.
struct StreamFacts {
  static constexpr std::int64_t kUnknown = -1;

  StreamHandler* handler = nullptr;
  Asked asked;
  Reset reset_reason;
  std::int64_t body_left = kUnknown;   // of the peer's body, as its head promised
  std::optional<std::byte> last_byte;  // of that body, until the peer's half has ended
  std::size_t unconsumed = 0;          // came while paused: window not given back
  std::size_t notify_below = 0;
  std::size_t head_bytes = 0;       // in which the peer's head came, if it was taken
  std::size_t held_head_bytes = 0;  // server role: of its head, decoded
  std::uint64_t sent_in_round = 0;  // client role: the last in which it sent data
  std::int32_t stream_id = 0;       // 0: the request hasn't been sent

  // The peer's half.
  bool final_head_seen = false;  // of the request or the response
  bool remote_done = false;      // END_STREAM has come
  bool reset_by_peer = false;
  // Our half.
  bool head_sent = false;    // handed to nghttp2: the request or the final response
  bool on_wire = false;      // client role: the request's head went to the output
  bool ended = false;        // nothing more will be queued
  bool local_done = false;   // END_STREAM went to the output
  bool deferred = false;     // nghttp2 waits for wake_data()
  bool reset_by_us = false;  // RST_STREAM was handed to nghttp2
  bool own_wish = false;     // ... because the owner said so: not the peer's fault
  // Both.
  bool paused = false;
  bool unwanted = false;       // what the peer still sends: its window stays shut
  bool notify = false;         // notify_when_below() wants an answer
  bool handler_set = false;    // since on_request() was called
  bool reset_counted = false;  // by the budget
  bool closing = false;        // on_closed() is due, was called, or isn't wanted
  bool has_reset = false;      // on_closed() with reset_reason
  bool gone = false;           // nghttp2 knows it no more
};

struct StreamState final : Stream,
                           StreamFacts,
                           base::ListNode<OpenTag>,   // until it is recycled
                           base::ListNode<NewsTag>,   // while there is something to tell or to free
                           base::ListNode<TurnTag> {  // while the others have their turn
  SessionState* session = nullptr;
  ByteQueue queue;
  http::Fields trailers;  // to send behind the queue
};

// Of a session that nghttp2 has ended.
inline constexpr std::string_view kViolated = "HTTP/2 protocol violated";

// The streams that ended last, to tell late frames of theirs from ones that come too late.
class RecentStreams {
 public:
  void add(std::int32_t id) {
    ids_[next_] = id;
    next_ = (next_ + 1) % ids_.size();
  }
  bool has(std::int32_t id) const {
    bool found = false;
    for (const std::int32_t each : ids_) found |= each == id;
    return found;
  }

 private:
  std::array<std::int32_t, 128> ids_{};
  std::size_t next_ = 0;
};

struct SessionState {
  SessionState(const Options& session_options, SessionHandler& session_handler);
  ~SessionState();
  SessionState(const SessionState&) = delete;
  SessionState& operator=(const SessionState&) = delete;

  bool server() const { return options.role == Options::Role::server; }

  // session_receive.cc. The on_…() are called by nghttp2, within feed().
  void receive(Bytes bytes);
  Bytes receive_preface(Bytes bytes);
  bool admit(const FrameHeader& header);
  std::size_t take_late_data(const FrameHeader& header);
  bool may_be_for(const FrameHeader& header);
  void check_priority(Bytes payload);
  void feed(Bytes bytes);
  void on_frame_whole();
  bool is_alive();
  void take_last_words();
  void on_begin_section(const nghttp2_frame& frame);
  void on_field(std::string_view name, std::string_view value, bool never_indexed);
  void on_section(const nghttp2_frame& frame);
  void on_head_taken(StreamState& stream);
  void on_request_section(StreamState& stream, bool complete);
  void on_response_section(StreamState& stream, bool complete);
  void on_trailer_section(StreamState& stream, bool complete);
  void refuse(StreamState& stream, const http::RequestHead& head, const http::ParseError& error);
  void on_data(std::int32_t stream_id, Bytes bytes);
  void on_remote_end(StreamState& stream);
  void on_frame(const nghttp2_frame& frame);
  void on_invalid_frame(const nghttp2_frame& frame, int error);

  // session_send.cc. The on_…() are called by nghttp2, within flush().
  void flush(Output& out);
  void submit_head(StreamState& stream, const Section& section, bool end);
  void submit_request(StreamState& stream, const Section& section, bool end);
  void submit_interim(StreamState& stream, const Section& section);
  void queue_data(StreamState& stream, Bytes bytes);
  void queue_end(StreamState& stream, const http::Fields& trailers);
  void wake_data(StreamState& stream);
  bool begin_round();
  void fill_fields(const Section& section);
  ssize_t on_read_data(StreamState& stream, std::size_t room, std::uint32_t& flags);
  int on_write_data(StreamState& stream, Bytes head, std::size_t length);
  void on_frame_sent(const nghttp2_frame& frame);
  void on_local_end(StreamState& stream);
  void on_frame_not_sent(const nghttp2_frame& frame);

  // session.cc
  void start();
  StreamState* stream_of(std::int32_t stream_id) const;
  StreamState& take_stream();
  void recycle(StreamState& stream);
  // RST_STREAM, for what the peer did; the handler will be told.
  void fail_stream(StreamState& stream, ErrorCode code, std::string_view reason);
  void reset_stream(StreamState& stream, ErrorCode code);
  void give_window_back(StreamState& stream);
  // Nobody wants the rest of what the peer sends on it, some of which may be on its way.
  void drop_rest(StreamState& stream);
  // The handler will be told by on_closed(), and nothing else any more.
  void close(StreamState& stream, const Reset* reset);
  // Also of refused requests: nghttp2 has forgotten the stream.
  void on_stream_gone(std::int32_t stream_id, std::uint32_t code);
  // Has deliver() look at the stream.
  void note(StreamState& stream);
  void deliver();
  void deliver(StreamState& stream);
  void deliver_session_news();
  void count_reset(StreamState& stream);
  void spend(Exhausted exhausted);
  // Ends the session by a GOAWAY. Within nghttp2's callbacks only noted: settle_failure() does it.
  void fail(ErrorCode code, std::string_view reason);
  void settle_failure();
  void close_all(const Reset& reset);
  void drop_unsent_requests();

  Options options;
  SessionHandler& handler;
  nghttp2_session* nghttp2 = nullptr;
  FrameScanner scanner;
  SectionReader reader;
  Budget budget;
  TimePoint now{};

  base::IntrusiveList<StreamState, OpenTag> open;  // owns them
  base::IntrusiveList<StreamState, NewsTag> news;
  base::IntrusiveList<StreamState, TurnTag> turns;  // wait for the next round
  std::uint64_t round = 1;  // of turns: each stream sends one DATA frame in each
  std::size_t open_count = 0;
  std::vector<std::unique_ptr<StreamState>> spare;
  RecentStreams ended_streams;  // by the peer
  RecentStreams reset_streams;  // by us
  std::int32_t highest_peer_stream = 0;
  std::size_t held_head_bytes = 0;    // of all open streams
  std::size_t late_data_allowed = 0;  // that may be on its way for streams where nobody wants it

  // The section that is being read: there is one at a time.
  StreamState* section_stream = nullptr;
  http::ParseError section_error;
  std::size_t section_frames = 0;
  std::size_t section_bytes = 0;
  std::uint64_t sections = 0;  // that have come whole, ever
  http::Fields trailers;
  // The frame that is being read.
  std::size_t preface_left = 0;
  std::size_t frame_data_taken = 0;
  bool first_frame_whole = false;
  bool in_section = false;     // END_HEADERS hasn't come
  bool frames_queued = false;  // nghttp2 had something to send: perhaps a GOAWAY
  bool probe_seen = false;
  std::uint32_t priority_parent = 0;
  std::size_t priority_bytes = 0;  // that priority_parent has of its four

  Output* output = nullptr;        // during flush()
  std::vector<nghttp2_nv> fields;  // during submit_…()

  std::string last_words;  // frames that go out before anything else
  std::string_view failure;
  ErrorCode failure_code = ErrorCode::no_error;
  bool failed = false;
  bool settled = false;  // settle_failure() has run
  bool lost = false;
  bool in_handlers = false;  // receive() or deliver() is running
  bool go_away_submitted = false;
  ErrorCode go_away_code = ErrorCode::no_error;
  bool go_away_received = false;
  bool go_away_news = false;
  bool settings_news = false;
  bool settings_acknowledged = false;
};

}  // namespace sluice::h2
