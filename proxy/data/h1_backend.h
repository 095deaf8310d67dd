// H1Backend: one HTTP/1.1 connection to a server, leased to one exchange at a time.
//
// Owns itself: made by its H1Pool, freed when its socket is closed. A connection on which
// anything was out of order (bytes after the end, a malformed or cut response, a request not sent
// whole) is never pooled again. What comes behind the end of a response in one read with it makes
// it a bad response; what comes later ends the connection alone.
//
//    connecting ──→ leased ──── response whole, both keep alive ──→ idle
//        │            │  ↑ lease()                                   │
//        │            │  └───────────────────────────────────────────┤
//        ↓            ↓ anything else                                ↓ end, bytes, timeout
//    closing ←────────┴──────────────────────────────────────────────┘
//        ↑                                                           │
//        └──────────── our TLS end is out ────── ending ←────────────┘ orderly, with TLS
//
// One that began with a PROXY header speaks for a single client: it serves one exchange.
#pragma once

#include <memory>
#include <string>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/stream.h"
#include "proxy/data/transport.h"
#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_head_parser.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

class H1Pool;
struct IdleListTag;

class H1Backend final : public io::Retired,
                        public base::ListNode<IdleListTag>,
                        private Transport::Handler,
                        private BackendStream {
 public:
  // For our orderly end to go out.
  static constexpr Duration kEndTime = std::chrono::seconds(2);

  explicit H1Backend(std::shared_ptr<H1Pool> pool);
  ~H1Backend() override;

  // Begins to connect, leased to `handler`. False: it could not even begin; free it.
  // `settings`: what `how` comes from.
  bool connect(const Address& address, std::shared_ptr<const ServerSettings> settings,
               const Transport::Connect& how, Duration timeout, ResponseHandler& handler);
  // Precondition: idle.
  void lease(ResponseHandler& handler);
  BackendStream& stream() { return *this; }
  // Ends an idle connection.
  void close();
  bool connect_failed() const { return connect_failed_; }
  const std::shared_ptr<const ServerSettings>& settings() const { return settings_; }

 private:
  enum class State : std::uint8_t { connecting, leased, idle, ending, closing };

  // One response's worth of state.
  struct Turn {
    explicit Turn(const http::HeadLimits& limits)
        : parser(limits), body(limits, http::MessageSide::response) {}
    http::H1ResponseParser parser;
    http::H1BodyDecoder body;
    http::ResponseHead head;
    http::Method method = http::Method::get;
    http::BodyLength::Kind request_framing = http::BodyLength::Kind::none;
    bool upgrade = false;  // the request asks for a protocol
    bool request_done = false;
    bool head_done = false;  // of the final response
    bool any_byte = false;
    bool paused = false;
    bool streaming = false;
    bool keep_alive = false;
    std::string websocket_key;  // that we made
  };

  // Transport::Handler
  void on_open() override;
  void on_data(Bytes bytes) override;
  void on_end(bool clean) override;
  void on_failure(Transport::Failure failure) override;
  void on_writable() override;
  void on_closed() override;
  // BackendStream
  void send_head(const http::RequestHead& head, const http::ForwardContext* context) override;
  void send_body(Bytes bytes) override;
  void send_end(const http::Fields& trailers) override;
  void cancel() override;
  void pause_response() override;
  void resume_response() override;
  std::size_t buffered() const override { return transport_.buffered(); }
  void notify_when_below(std::size_t bytes) override;
  void on_timer();

  std::size_t take_head(Bytes input);
  std::size_t take_body(Bytes input);
  bool answers_websocket_key() const;
  void note_body(std::uint64_t bytes);
  std::size_t refuse(Bytes input, std::string_view reason);
  void finish_response();
  void fail_connect(BackendFailure::Kind kind);
  void fail(BackendFailure::Kind kind, std::string_view detail = {});
  void begin_turn(ResponseHandler& handler);
  void write(Bytes bytes);
  void keep_saved_session();
  void end();
  void terminate(io::Socket::Ending ending = io::Socket::Ending::orderly);

  std::shared_ptr<H1Pool> pool_;
  std::shared_ptr<const ServerSettings> settings_;  // that it was made by
  ConnectionHost& host_;
  Transport transport_;
  io::Timer timer_;                     // connect; idle; ending
  std::unique_ptr<Turn> turn_;          // while leased or connecting
  ResponseHandler* handler_ = nullptr;  // likewise
  State state_ = State::connecting;
  bool served_before_ = false;
  bool for_one_client_ = false;  // it began with a PROXY header
  bool connect_failed_ = false;
};

}  // namespace sluice::proxy
