// Session: one TLS connection, without its socket. Bytes in, bytes out; the owner does the I/O.
// A plain Session is one from a client; one to a server is a ClientSession.
//
// Owned by a connection's transport, used on its worker's thread only. Holds no buffer between
// records: an idle session costs what BoringSSL keeps of its state, handshake state shed. A record
// that has come in part is kept, at most one (16 KiB and a little), as is a handshake message (16
// KiB).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/bytes.h"
#include "tls/context.h"

namespace sluice::tls {

class Engine;

// The most plaintext that one record carries (RFC 8446 section 5.1), and so the most that one call
// of on_plaintext() hands over.
inline constexpr std::size_t kRecordBytesMax = 16 * 1024;
// Records of this much plaintext start a burst: three segments, so that the peer can use the first
// after one round trip…
inline constexpr std::size_t kRecordBytesSmall = 4 * 1024;
// …until this much has been sent since note_idle().
inline constexpr std::size_t kSmallRecordsBurstBytes = 64 * 1024;

// What a session hands to its owner during a call. Neither may call back into the session, nor
// into receive() of any other on this thread: they share the memory that plaintext is handed over
// in.
class SessionSink {
 public:
  virtual void on_plaintext(Bytes plaintext) = 0;
  // To be sent in this order.
  virtual void on_ciphertext(Bytes ciphertext) = 0;

 protected:
  ~SessionSink() = default;
};

// What a session's failure() begins with where the peer raised it.
inline constexpr std::string_view kPeerAlert = "peer alert: ";

struct SessionInfo {
  std::string_view version;  // "TLSv1.3"; static storage
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"; static storage
  std::string_view group;    // key exchange, "X25519"; static storage; empty if there was none
  std::string_view alpn;     // negotiated protocol or empty; lives as long as the session
  // The name that the client asked for (SNI), or empty; lives as long as the session.
  std::string_view server_name;
  bool resumed = false;
};

// What a client has shown, and proved to be its own.
struct PeerCertificate {
  std::vector<std::string> names;  // of the subjectAltName, then the common name; DNS in lower case
  WallTime expires;
};

class Session {
 public:
  enum class Status {
    ok,
    closed,  // the peer sent close_notify: nothing more will come from it
    failed,  // a fatal alert was sent or received; an alert to send has gone to the sink
  };

  explicit Session(const ServerContext& context);
  virtual ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Takes all of `ciphertext`, whatever it yields: plaintext, handshake messages to send, both.
  // Plaintext handed over before a failure is genuine. An end of input without `closed` before it
  // is a truncation, which is the owner's to see. After `closed` or `failed` every call says the
  // same again and drops its bytes.
  Status receive(Bytes ciphertext, SessionSink& sink);
  // Encrypts all of `plaintext`. Precondition: handshake_done(), and close() was not called. Works
  // after the peer's close_notify too (it may still read), not after `failed`. Records start small
  // (about one segment's worth times three) and grow while data streams; call note_idle() when it
  // pauses. Session tickets wait for the first send() or close() and go out with it. Never answers
  // `closed`.
  Status send(Bytes plaintext, SessionSink& sink);
  // close_notify: the orderly end. What the peer still sends may be received. Nothing is sent
  // before the handshake is done, after a failure, or a second time.
  void close(SessionSink& sink);
  void note_idle();

  bool handshake_done() const;
  // Precondition: handshake_done().
  SessionInfo info() const;
  // Of a client that was asked for one and has one. Precondition: handshake_done().
  std::optional<PeerCertificate> peer_certificate() const;
  // Why the status was `failed`, for the log: a few stable words ("unsupported protocol", "peer
  // alert: unknown CA", by kPeerAlert); empty if it wasn't.
  std::string_view failure() const;

 protected:
  explicit Session(std::unique_ptr<Engine> engine);
  Engine& engine() { return *engine_; }

 private:
  std::unique_ptr<Engine> engine_;
};

}  // namespace sluice::tls
