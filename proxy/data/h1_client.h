// H1Client: HTTP/1 on a client's connection (RFC 9112): reads requests in order, hands each to the
// listener's Service, and writes its response before it looks at the next.
//
// Made and owned by its ClientConnection; see client_protocol.h. While idle it holds no parser, no
// buffer and no request: those live in a Turn, borrowed for one request.
//
//            first byte              head whole              response sent
//    idle ───────────────→ reading ────────────→ exchanging ───────────────→ idle
//      │ idle timeout         │ bad, slow            │ abort        └─ not kept alive ─┐
//      ↓                      ↓ 4xx                  ↓ cut                             ↓
//    done                    done                  done                              done
//
// done: the connection lingers or is closed.
//
// Of a request that asks for a tunnel, what the client sends before the response that opens it is
// read ahead. In an open tunnel bytes pass as they come, until either side ends; any other response
// ends the request, and the connection too if something had been read ahead or, behind CONNECT, may
// still come: nobody can tell what it is.
#pragma once

#include <memory>
#include <string>

#include "proxy/data/client_connection.h"
#include "proxy/data/client_protocol.h"
#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_head_parser.h"

namespace sluice::proxy {

class H1Client final : public ClientProtocol, private ClientStream, private io::Deferred {
 public:
  // Requests that are read ahead while one is answered.
  static constexpr std::size_t kReadAheadBytesMax = 64 * 1024;
  // The rest of a request that was answered early is read up to here to keep the connection.
  static constexpr std::uint64_t kDiscardBytesMax = 64 * 1024;

  explicit H1Client(ClientConnection& connection);
  ~H1Client() override;

  // ClientProtocol
  void on_data(Bytes bytes) override;
  void on_end(bool clean) override;
  void on_writable() override;
  void on_timer() override;
  void drain() override;
  void on_detached() override;

 private:
  enum class State : std::uint8_t { idle, reading, exchanging, done };

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
    bool tunnel_open = false;
    bool paused = false;
    bool head_sent = false;
    bool response_done = false;
    bool streaming = false;
    std::size_t written_bytes = 0;      // of the response, since its head
    std::uint64_t discarded_bytes = 0;  // of the request, once its response was done
  };

  // ClientStream
  void send_interim(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, Author author) override;
  void send_body(Bytes bytes) override;
  void send_end(const http::Fields& trailers) override;
  bool take_back_response() override;
  void abort() override;
  void pause_request() override;
  void resume_request() override;
  std::size_t buffered() const override { return connection_.transport().buffered(); }
  void notify_when_writable() override;
  const ClientInfo& client() const override { return turn_->client; }
  // io::Deferred: after the response, outside the exchange's stack.
  void run_deferred() override;

  ConnectionHost& host() const { return connection_.host(); }
  const ConnectionSettings& settings() const { return connection_.settings(); }
  void write(Bytes bytes);
  // Works through `input`; returns how much of it was used.
  std::size_t take(Bytes input);
  std::size_t take_head(Bytes input);
  std::size_t take_body(Bytes input);
  void end_request();
  void settle_tunnel(const http::ResponseHead& head);
  void go_on_with_tunnel();
  void discard(std::uint64_t bytes);
  void begin_turn();
  void begin_exchange();
  void refuse(const http::ParseError& error);
  void note_refusal(const http::ParseError& error);
  void answer_and_linger(int status, std::string_view reason);
  void take_read_ahead();
  void keep_read_ahead(Bytes bytes);
  void end_turn();
  void become_idle();

  ClientConnection& connection_;
  std::unique_ptr<Turn> turn_;
  std::unique_ptr<ReadAhead> read_ahead_;  // holds something if there
  std::uint32_t requests_ = 0;
  State state_ = State::idle;
  bool last_request_ = false;  // the connection ends after the response at hand
};

}  // namespace sluice::proxy
