// H1Client: one HTTP/1 connection from a client (RFC 9112): reads requests in order, hands each to
// the listener's Service, and writes its response before it looks at the next.
//
// Owned by its Acceptor's list; frees itself through it when the socket is closed. While idle it
// holds no parser, no buffer and no request: those live in a Turn, borrowed for one request.
//
//            first byte              head whole              response sent
//    idle ───────────────→ reading ────────────→ exchanging ───────────────→ idle
//      │ idle timeout         │ bad, slow            │ abort        └─ not kept alive ─┐
//      ↓                      ↓ 4xx                  ↓ cut                             ↓
//    closing              lingering               closing                         lingering
//
// lingering: our end goes out behind what is still unsent; what the client still sends is read and
// dropped, so that no reset destroys the response on its way (RFC 9112 §9.6). closing: waits for
// the socket. A client that takes nothing of what is unsent for timeouts.stream is cut.
#pragma once

#include <memory>
#include <string>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/connection_settings.h"
#include "proxy/data/stream.h"
#include "proxy/data/transport.h"
#include "proxy/http/forwarding.h"
#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_head_parser.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

struct ClientListTag;

class H1Client final : public io::Retired,
                       public base::ListNode<ClientListTag>,
                       private Transport::Handler,
                       private ClientStream,
                       private io::Deferred {
 public:
  // Requests that are read ahead while one is answered.
  static constexpr std::size_t kReadAheadBytesMax = 64 * 1024;
  // After our end has gone out.
  static constexpr Duration kLingerTime = std::chrono::seconds(2);
  // The rest of a request that was answered early is read up to here to keep the connection.
  static constexpr std::uint64_t kDiscardBytesMax = 64 * 1024;

  H1Client(ConnectionHost& host, std::shared_ptr<const ConnectionSettings> settings,
           Service& service);
  ~H1Client() override;

  void accept(int fd);
  // The process is leaving: ends now if idle, after its response otherwise.
  void drain();
  // Ends now, whatever runs.
  void cut();

 private:
  enum class State : std::uint8_t { handshaking, idle, reading, exchanging, lingering, closing };

  // Bytes behind the request at hand.
  struct ReadAhead {
    std::string bytes;
    std::size_t used = 0;
    std::size_t left() const { return bytes.size() - used; }
  };

  // One request's worth of state.
  struct Turn {
    Turn(const http::HeadLimits& limits)
        : parser(limits), body(limits, http::MessageSide::request) {}
    http::H1RequestParser parser;
    http::H1BodyDecoder body;
    http::RequestHead head;
    http::ClientFraming framing;
    ClientInfo client;
    std::unique_ptr<RequestHandler> handler;
    bool request_done = false;
    bool paused = false;
    bool head_sent = false;
    bool response_done = false;
    bool streaming = false;
    std::uint64_t discarded_bytes = 0;  // of the request, once its response was done
  };

  // Transport::Handler
  void on_open() override;
  void on_data(Bytes bytes) override;
  void on_end(bool clean) override;
  void on_failure(Transport::Failure failure) override;
  void on_writable() override;
  void on_closed() override;
  // ClientStream
  void send_interim(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, Author author) override;
  void send_body(Bytes bytes) override;
  void send_end(const http::Fields& trailers) override;
  void abort() override;
  void pause_request() override;
  void resume_request() override;
  std::size_t buffered() const override { return transport_.buffered(); }
  void notify_when_writable() override;
  const ClientInfo& client() const override { return turn_->client; }
  // io::Deferred: after the response, outside the exchange's stack.
  void run_deferred() override;
  void on_timer();

  // Works through `input`; returns how much of it was used.
  std::size_t take(Bytes input);
  std::size_t take_head(Bytes input);
  std::size_t take_body(Bytes input);
  void end_request();
  void discard(std::uint64_t bytes);
  void write(Bytes bytes);
  void begin_turn();
  void begin_exchange();
  void refuse(const http::ParseError& error);
  void note_refusal(const http::ParseError& error);
  ClientInfo client_info() const;
  void answer_and_linger(int status, std::string_view reason);
  void take_read_ahead();
  void keep_read_ahead(Bytes bytes);
  void end_turn();
  void become_idle();
  void wait_for_output();
  bool output_moves();
  void linger();
  void close(io::Socket::Ending ending);
  void drop_handler();
  void arm(Duration after);

  ConnectionHost& host_;
  Service& service_;
  std::shared_ptr<const ConnectionSettings> settings_;
  Transport transport_;
  io::Timer timer_;
  std::unique_ptr<Turn> turn_;
  std::unique_ptr<ReadAhead> read_ahead_;  // holds something if there
  Address peer_;
  std::string peer_ip_;     // made once, sent with every request
  std::size_t unsent_ = 0;  // when the timer was armed for a client that is to take its output
  std::uint32_t requests_ = 0;
  State state_ = State::handshaking;
  bool last_request_ = false;  // the connection ends after the response at hand
  bool ended_ = false;         // the client sends no more
};

}  // namespace sluice::proxy
