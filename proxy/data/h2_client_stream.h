// H2ClientStream: one request on an HTTP/2 connection from a client, and its response (RFC 9113
// §8.1).
//
// Made by its H2Client, which owns it, for each request; gone when the session's stream is closed.
//
//                  send_end()                             END_STREAM is out
//    exchanging ────────────────→ parted (unsent data) ──────────────────────→ gone
//        │  abort(), reset by the client, connection lost                        ↑
//        └───────────────────────────────────────────────────────────────────────┘
//
// A request that asks for a tunnel: what the client sends before the response that opens it is
// held here, no more than the stream's window, since that isn't opened further. It is handed on
// once the tunnel is open, and dropped if the response is any other.
//
// A response that is whole before its request is: the rest of the request is dropped, and the
// client told with RST_STREAM(NO_ERROR) behind the response.
//
// A request that was refused with an answer of ours has parted from its beginning.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/stream.h"
#include "proxy/h2/session.h"

namespace sluice::proxy {

class H2Client;
struct H2StreamTag;
struct H2ChangeTag;

class H2ClientStream final : public base::ListNode<H2StreamTag>,
                             public base::ListNode<H2ChangeTag>,
                             public h2::StreamHandler,
                             private ClientStream {
 public:
  H2ClientStream(H2Client& client, h2::Stream& stream, http::RequestHead&& head, bool complete);
  // Of a request that was refused, and has been answered whole.
  H2ClientStream(H2Client& client, h2::Stream& stream);
  ~H2ClientStream();

  // Goes on with what could not be done inside a handler's call. False: it is gone, and to be
  // freed.
  bool settle();
  // Nothing can be sent any more; the handler hears that its client has gone.
  void on_connection_lost();
  // Of a parted stream: called again and again after the same time; false if the client has taken
  // fewer than `bytes_min` of what is unsent since the last call.
  bool output_moves(std::uint64_t bytes_min);
  bool parted() const { return parted_; }
  // Ends it with RST_STREAM; whoever handles its request must know already.
  void reset(h2::ErrorCode code);

 private:
  // h2::StreamHandler
  void on_response_head(http::ResponseHead&, bool) override {}  // ours is the server's role
  void on_data(Bytes bytes) override;
  void on_end(const http::Fields& trailers) override;
  void on_writable() override;
  void on_closed(const h2::Reset* reset) override;
  // ClientStream
  void send_interim(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, Author author) override;
  void send_body(Bytes bytes) override;
  void send_end(const http::Fields& trailers) override;
  // The session has it: the client sees a reset stream, which is as clear.
  bool take_back_response() override { return false; }
  void abort() override;
  void pause_request() override;
  void resume_request() override;
  std::size_t buffered() const override { return stream_ ? stream_->buffered() : 0; }
  void notify_when_writable() override;
  const ClientInfo& client() const override;

  // Gives the request to the service: with the first that follows its head, or at the end of the
  // turn. One that is reset in the same breath never gets so far, and costs no server anything.
  void begin();
  h2::ErrorCode abort_code() const;
  void hand_on_held();
  void take(Bytes bytes);
  void part();
  void note_large_body(std::size_t bytes);

  // What the client sent into a tunnel that isn't open yet.
  struct Held {
    std::string bytes;
    bool ended = false;
    bool opened = false;  // to be handed on
  };

  H2Client& client_;
  h2::Stream* stream_;  // null once it is closed
  http::RequestHead head_;
  std::unique_ptr<RequestHandler> handler_;  // from begin() until it has parted
  std::unique_ptr<Held> held_;
  std::uint64_t request_bytes_ = 0;
  std::size_t unsent_ = 0;  // when output_moves() was last called
  bool begun_ = false;
  bool request_done_ = false;  // nothing more is to come, or wanted
  bool paused_ = false;        // by the handler
  bool head_sent_ = false;
  bool end_sent_ = false;
  bool parted_ = false;
  bool watched_ = false;  // unsent_ holds
  bool large_ = false;    // counted among the connection's large bodies
};

}  // namespace sluice::proxy
