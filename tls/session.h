// Session: one TLS connection without its socket. Bytes in, bytes out; the owner does the I/O.
//
// Owned by a client connection, used on its worker's thread only. Holds no buffer between records:
// an idle session costs what BoringSSL keeps of its state, handshake state shed.
#pragma once

#include <memory>
#include <string_view>

#include "proxy/base/bytes.h"
#include "tls/context.h"

// BoringSSL's own type; <openssl/…> stays inside tls/.
using SSL = struct ssl_st;

namespace sluice::tls {

// What a session hands to its owner during a call. Neither may call back into the session.
class SessionSink {
 public:
  virtual void on_plaintext(Bytes plaintext) = 0;
  // To be sent in this order.
  virtual void on_ciphertext(Bytes ciphertext) = 0;

 protected:
  ~SessionSink() = default;
};

struct SessionInfo {
  std::string_view version;  // "TLSv1.3"; static storage
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"; static storage
  std::string_view alpn;     // negotiated protocol or empty; lives as long as the session
  bool resumed = false;
};

class Session {
 public:
  enum class Status {
    ok,
    closed,  // the peer sent close_notify: nothing more will come from it
    failed,  // a fatal alert was sent or received; an alert to send has gone to the sink
  };

  explicit Session(const ServerContext& context);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Takes all of `ciphertext`, whatever it yields: plaintext, handshake messages to send, both.
  Status receive(Bytes ciphertext, SessionSink& sink);
  // Encrypts all of `plaintext`. Precondition: handshake_done(). Records start small (about one
  // segment's worth times three) and grow while data streams; call note_idle() when it pauses.
  Status send(Bytes plaintext, SessionSink& sink);
  // close_notify: the orderly end. What the peer still sends may be received.
  void close(SessionSink& sink);
  void note_idle();

  bool handshake_done() const;
  SessionInfo info() const;
  // Why the status was `failed`, for the log; empty if it wasn't.
  std::string_view failure() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::tls
