// H2Client: HTTP/2 on a client's connection (RFC 9113): many requests at a time, each handed to the
// listener's Service, their responses interleaved.
//
// Made and owned by its ClientConnection; see client_protocol.h. Bytes that come in go through the
// session at once; what the turn has brought about goes out at its end, as far as there is room.
//
//             drain(), enough requests              a while later          no stream left
//    serving ──────────────────────────→ announced ───────────────→ last ────────────────→ done
//       │ idle timeout, GOAWAY from the client                        ↑
//       ├─────────────────────────────────────────────────────────────┘
//       └ bad, slow, too dear: GOAWAY with the reason, streams lost ─────────────────────→ done
//
// announced: GOAWAY with the highest stream id, so that requests on their way are still served
// (RFC 9113 §6.8); last: with the last one that will be. done: the connection lingers.
//
// A client that ends its side of the connection has gone, and so have its requests.
//
// What a connection can hold, at most: output for kOutputBytesMax and a frame; the session's own
// bounds (h2/session.h), among them one on the heads of all open requests; per stream
// limits.stream_buffer_bytes of response, what had been read of a server when it was made to pause
// and less than two blocks of 4 KiB more, and limits.stream_buffer_bytes of request (the stream's
// window) in the output to a server, or held for a tunnel to open; limits.client_streams of these.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/client_connection.h"
#include "proxy/data/client_protocol.h"
#include "proxy/data/h2_client_stream.h"
#include "proxy/data/h2_meter.h"
#include "proxy/h2/session.h"

namespace sluice::proxy {

class H2Client final : public ClientProtocol,
                       private h2::SessionHandler,
                       private h2::Output,
                       private io::Flushable,
                       private io::Deferred {
 public:
  // Frames that wait for the socket; no further ones are made while there are more.
  static constexpr std::size_t kOutputBytesMax = 128 * 1024;
  // From the announcement of the end to its being final: a round trip, and time to take it in.
  static constexpr Duration kAnnounceTime = std::chrono::milliseconds(500);

  explicit H2Client(ClientConnection& connection);
  ~H2Client() override;

  // ClientProtocol
  void on_data(Bytes bytes) override;
  void on_end(bool clean) override;
  void on_writable() override;
  void on_timer() override;
  void drain() override;
  void on_giving_way() override;
  void on_detached() override;

  // --- For its streams ----------------------------------------------------------------------
  ConnectionHost& host() { return connection_.host(); }
  const ConnectionSettings& settings() const { return connection_.settings(); }
  const ClientInfo& info() const { return info_; }
  Service& service() { return connection_.service(); }
  // Memory to compose a field section in.
  h2::Section& section() { return section_; }
  // There is something to flush.
  void wake();
  // settle() is to be called.
  void changed(H2ClientStream& stream);
  // The connection did something that was worth its while.
  void note_useful() { meter_.note_useful(); }
  // A request's body turned out to be large, or is over.
  void large_body_begins();
  void large_body_ends();

 private:
  enum class State : std::uint8_t { serving, announced, last, done };

  // h2::SessionHandler
  h2::StreamHandler* on_request(h2::Stream& stream, http::RequestHead&& head,
                                bool complete) override;
  void on_refused_request(h2::Stream& stream, const http::RequestHead& head,
                          const http::ParseError& error) override;
  void on_goaway() override;
  void on_settings() override {}  // of the client's role
  // h2::Output
  void write(Bytes bytes) override;
  bool has_room() const override;
  // io::Flushable
  void flush() override;
  // io::Deferred: what handlers are to be told, and what they have left behind.
  void run_deferred() override;

  bool misdirected(const http::RequestHead& head);
  void answer_refused(h2::Stream& stream, const http::RequestHead& head,
                      const http::ParseError& error);
  void settle_streams();
  void watch_head();
  void announce_end();
  void end();
  void fail(admin::Count why);
  void check_output();
  std::uint64_t taken() const;
  void watch_output();
  void schedule();

  ClientConnection& connection_;
  h2::Session session_;
  ClientInfo info_;
  h2::Section section_;                                       // holds nothing while idle
  base::IntrusiveList<H2ClientStream, H2StreamTag> streams_;  // all, owned
  base::IntrusiveList<H2ClientStream, H2ChangeTag> changed_;  // those to settle
  // When what is due; kNever: not.
  TimePoint head_due_ = kNever;      // the preface, or a field section that was begun
  TimePoint settings_due_ = kNever;  // that our SETTINGS are acknowledged
  TimePoint idle_due_ = kNever;      // the next request
  TimePoint last_due_ = kNever;      // the end of the announcement
  TimePoint output_due_ = kNever;    // some of what is unsent
  TimePoint armed_for_ = kNever;     // the connection's timer; at times too early, never too late
  std::uint64_t written_ = 0;        // bytes, ever
  std::uint64_t taken_ = 0;          // likewise taken by the socket, when output_due_ was set
  std::uint64_t requests_ = 0;
  std::uint64_t sections_ = 0;  // of the session, when head_due_ was looked at
  H2Meter meter_;
  bool new_streams_ = false;  // that have not begun
  unsigned large_bodies_ = 0;
  bool output_waits_ = false;  // some was unsent when output_due_ was set
  State state_ = State::serving;
};

}  // namespace sluice::proxy
