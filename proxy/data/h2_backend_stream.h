// H2BackendStream: one request on an HTTP/2 connection to a server, and its response (RFC 9113
// §8.1).
//
// Made for each lease by its H2Backend, which owns it; retired when it ends.
//
//    held ─────────→ running ──── response whole ───→ parted ──── request out, too ──→ gone
//      │ connected,     │                                                               ↑
//      │ SETTINGS seen  │                                                               │
//      └────────────────┴── cancel(), failed ───────────────────────────────────────────┘
//
// held: the session knows nothing of it yet; the request's head waits here. parted: the handler has
// heard all.
//
// The head of a response that can have no body (204, 304, to HEAD, of length 0) waits for the end
// of its stream: it would be whole to a client of HTTP/1, whatever the server then does. DATA
// behind it makes it malformed (RFC 9113 §8.1.1).
//
// A response that is whole before its request ends the request: what is unsent of it is dropped,
// and the server told with RST_STREAM (RFC 9113 §8.1).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/stream.h"
#include "proxy/h2/session.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

class H2Backend;
struct H2BackendStreamTag;

class H2BackendStream final : public io::Retired,
                              public base::ListNode<H2BackendStreamTag>,
                              private BackendStream,
                              private h2::StreamHandler {
 public:
  // `held`: until begin().
  H2BackendStream(H2Backend& backend, ResponseHandler& handler, bool tunnel, bool held,
                  TimePoint give_up_at);
  ~H2BackendStream() override;

  BackendStream& stream() { return *this; }
  bool held() const { return held_ != nullptr; }
  // Its request can go as extended CONNECT only.
  bool needs_extended_connect() const { return extended_connect_; }
  // While held: for so long.
  TimePoint give_up_at() const { return give_up_at_; }

  // Of a held one: its request goes to the session, which has room for it. Tells the handler.
  void begin();
  // Of a held one: the last call.
  void fail(const BackendFailure& failure);

 private:
  // A request's head that waits for its connection.
  struct Held {
    h2::Section section;
    http::Fields trailers;
  };

  // BackendStream
  void send_head(const http::RequestHead& head, const http::ForwardContext* context) override;
  void send_body(Bytes bytes) override;
  void send_end(const http::Fields& trailers) override;
  void cancel() override;
  void pause_response() override;
  void resume_response() override;
  std::size_t buffered() const override { return stream_ ? stream_->buffered() : 0; }
  void notify_when_below(std::size_t bytes) override;
  // h2::StreamHandler
  void on_response_head(http::ResponseHead& head, bool complete) override;
  void on_data(Bytes bytes) override;
  void on_end(const http::Fields& trailers) override;
  void on_writable() override;
  void on_closed(const h2::Reset* reset) override;

  void hold(const h2::Section& section);
  void start(const h2::Section& section);
  void finish_response(const http::Fields& trailers);
  void note_large_body(std::uint64_t bytes);
  BackendFailure failure_of(const h2::Reset& reset) const;
  void reset_stream();
  void leave(bool silent = false);

  H2Backend& backend_;
  ResponseHandler* handler_;                       // until it has heard all
  h2::Stream* stream_ = nullptr;                   // while running or parted
  std::unique_ptr<Held> held_;                     // while held
  std::unique_ptr<http::ResponseHead> held_head_;  // until its stream's end
  std::string websocket_key_;                      // of an HTTP/1 client that waits for its answer
  std::uint64_t response_bytes_ = 0;
  std::uint64_t heard_before_ = 0;  // what its connection had received when it began
  TimePoint began_{};               // likewise
  const TimePoint give_up_at_;
  bool extended_connect_ = false;
  const bool tunnel_;
  bool started_ = false;       // begin() or send_head() made it running
  bool after_others_ = false;  // responses had come whole on its connection when it began
  bool paused_ = false;
  bool ended_ = false;  // the request's end is sent or queued
  bool large_ = false;  // counted among the connection's large bodies
};

}  // namespace sluice::proxy
