// The two sides of an exchange, in terms that belong to no HTTP version. A client connection offers
// a ClientStream per request and reports to a RequestHandler; a backend connection offers a
// BackendStream and reports to a ResponseHandler. The exchange (exchange.h) stands between them
// and knows nothing else, so there is no file per pair of protocols.
//
// Operations never call back. Views are lent for the call. After an abort or a last event neither
// side calls the other again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "proxy/base/address.h"
#include "proxy/base/bytes.h"
#include "proxy/http/forwarding.h"
#include "proxy/http/message.h"
#include "tls/session.h"

namespace sluice::proxy {

// Who the client is, as far as its connection tells. Lives as long as the stream.
struct ClientInfo {
  Address peer;              // as the PROXY header has it, where there was one
  Address local;             // where it connected to; likewise
  std::string_view peer_ip;  // without port; empty for a Unix socket
  std::string_view listener;
  bool is_tls = false;
  bool trusted = false;  // a trusted proxy: its X-Forwarded-* are believed
  conf::ForwardedFields forwarded = conf::ForwardedFields::both;  // what servers are told of it
  std::string_view tls_version;
  std::string_view tls_cipher;
  // Its TLS, and what it was made by; null: plain.
  const tls::Session* tls = nullptr;
  const tls::ServerContext* tls_context = nullptr;
  std::uint64_t stream_buffer_bytes = 128 * 1024;  // high watermark in each direction
  std::string_view health_path;                    // that is answered here; empty: none
  int fd = -1;                                     // for asking the kernel who the peer is
};

// What the receiver of a request hears.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void on_request_body(Bytes bytes) = 0;
  virtual void on_request_end(const http::Fields& trailers) = 0;
  // What follows is not a request any more. The handler answers with this status if it still can,
  // and aborts otherwise.
  virtual void on_request_failure(int status, std::string_view reason) = 0;
  // The client went away: nothing can be delivered to it. The last call.
  virtual void on_client_gone() = 0;
  // Behind its whole request the client has ended its side, cleanly: it still wants its answer, or
  // has gone without a word (HTTP/1 only).
  virtual void on_client_ended() {}
  // ClientStream::buffered() fell below the low watermark after notify_when_writable().
  virtual void on_client_writable() = 0;
};

// The response's way to the client: send_interim()*, send_head(), send_body()*, send_end(), or
// abort() anywhere. After send_end() or abort() the stream and its handler part. What was said
// since send_head() may be taken back while none of it has left.
class ClientStream {
 public:
  // 1xx. Dropped for clients that can't take it.
  virtual void send_interim(const http::ResponseHead& head) = 0;
  // head.keep_alive says whether the connection may stay after this response.
  enum class Author : std::uint8_t { server, proxy };
  virtual void send_head(const http::ResponseHead& head, Author author) = 0;
  virtual void send_body(Bytes bytes) = 0;
  virtual void send_end(const http::Fields& trailers) = 0;
  // After send_head(), and before send_end(). True: it is as if nothing had been sent but interim
  // responses. False, and nothing is changed: some may have left, or can't be held back.
  virtual bool take_back_response() = 0;
  // The response can't be completed, and the client must see that.
  virtual void abort() = 0;
  // Flow of the request's body. A little may still come after a pause.
  virtual void pause_request() = 0;
  virtual void resume_request() = 0;
  // Bytes of response that the client hasn't taken yet.
  virtual std::size_t buffered() const = 0;
  virtual void notify_when_writable() = 0;
  virtual const ClientInfo& client() const = 0;

 protected:
  ~ClientStream() = default;
};

// Of a request that asks for a tunnel, no body comes before the response that opens it; any other
// response ends the request, without on_request_end(). In an open tunnel on_request_end() and
// send_end() are the halves' ends.
//
// Makes the handler of a request. `head` stays good until the handler is gone; `complete` says
// that no body will come (on_request_end() isn't called then).
class Service {
 public:
  virtual std::unique_ptr<RequestHandler> on_request(http::RequestHead& head, bool complete,
                                                     ClientStream& stream) = 0;
  // A request was refused before it had a handler, and answered with `status`.
  virtual void on_refused(const http::RequestHead& head, const ClientInfo& client, int status,
                          std::string_view reason) = 0;

 protected:
  ~Service() = default;
};

struct BackendFailure {
  enum class Kind : std::uint8_t {
    connect_refused,
    connect_failed,
    connect_timeout,
    certificate_refused,  // by us; `detail` says why
    tls_failed,           // the handshake, otherwise; `detail` says why
    no_socket,    // this machine has none left, or the pool's limit is reached; `detail` says which
    closed,       // ended, broke or was reset before the response was whole
    turned_away,  // REFUSED_STREAM, or above the last stream of a GOAWAY
    upgrade_refused,  // the server takes no such tunnel by its protocol (RFC 8441 §3)
    bad_response,     // not HTTP as RFC 9112 has it; `detail` says what
    response_timeout,
  };
  Kind kind = Kind::closed;
  // True: the server can't have acted on the request: nothing was sent, or it said so itself.
  bool unprocessed = false;
  // True: no byte of a response has come, on a connection that had served before: the server may
  // just have given up an idle connection.
  bool stale_connection = false;
  // Of a connect_timeout, true: this request's time to connect was over before the connection's,
  // which goes on: nothing is known of the server.
  bool still_connecting = false;
  std::string_view detail;  // good until the handler returns
};

// What the receiver of a response hears.
class ResponseHandler {
 public:
  // The request can be sent on; until then only its head is in hand.
  virtual void on_backend_connected() = 0;
  virtual void on_interim_response(http::ResponseHead& head) = 0;
  virtual void on_response_head(http::ResponseHead& head) = 0;
  virtual void on_response_body(Bytes bytes) = 0;
  // The last call of a good response.
  virtual void on_response_end(const http::Fields& trailers) = 0;
  // The last call of any other.
  virtual void on_backend_failure(const BackendFailure& failure) = 0;
  virtual void on_backend_writable() = 0;

 protected:
  ~ResponseHandler() = default;
};

// The request's way to a server: send_head(), send_body()*, send_end(), or cancel() anywhere.
class BackendStream {
 public:
  // `context` null: a request of the proxy's own, sent as it stands.
  virtual void send_head(const http::RequestHead& head, const http::ForwardContext* context) = 0;
  virtual void send_body(Bytes bytes) = 0;
  virtual void send_end(const http::Fields& trailers) = 0;
  // The exchange needs no more of this; the handler hears nothing more.
  virtual void cancel() = 0;
  virtual void pause_response() = 0;
  virtual void resume_response() = 0;
  virtual std::size_t buffered() const = 0;
  // on_backend_writable() once buffered() is at most so many.
  virtual void notify_when_below(std::size_t bytes) = 0;

 protected:
  ~BackendStream() = default;
};

}  // namespace sluice::proxy
