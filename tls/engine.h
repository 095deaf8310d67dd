// Engine: what a session is on either side: BoringSSL's state, and the BIO through which it reads
// the bytes at hand and writes to the owner's sink. Private to this room: see session.h.
//
// The BIO keeps nothing: during a call it reads from the caller's bytes and writes into the
// caller's sink, and outside a call it has neither. So an engine stays where it was made.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tls/session.h"

using SSL = struct ssl_st;
using SSL_SESSION = struct ssl_session_st;
using BIO = struct bio_st;
using BIO_METHOD = struct bio_method_st;

namespace sluice::tls {

class Engine {
 public:
  using Status = Session::Status;

  // Takes the reference; the side (accept or connect) has been set. `context` is what the SSL was
  // made from, kept until it is gone.
  Engine(SSL* ssl, std::shared_ptr<const void> context);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // As the sessions have them.
  Status receive(Bytes ciphertext, SessionSink& sink);
  Status send(Bytes plaintext, SessionSink& sink);
  void close(SessionSink& sink);
  void note_idle() { burst_bytes_ = 0; }
  bool handshake_done() const;
  SessionInfo info() const;
  std::optional<PeerCertificate> peer_certificate() const;
  std::string_view failure() const { return failure_; }

  // Client only: sends the ClientHello.
  Status start(SessionSink& sink);
  // Ends the session before it began, where what it should do can't be done.
  void refuse(std::string why);

  // Client only: the newest session given, one reference, or null.
  SSL_SESSION* take_saved_session();
  // BoringSSL's callback for a session that can be resumed. Takes the reference.
  static int on_new_session(SSL* ssl, SSL_SESSION* session);

 private:
  class Call;
  static const BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* out, int size);
  static int bio_write(BIO* bio, const char* in, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  Status judge(int result);

  std::shared_ptr<const void> context_;
  SSL* ssl_;
  SSL_SESSION* saved_session_ = nullptr;
  Bytes input_;                  // what receive() was given and BoringSSL hasn't read yet
  SessionSink* sink_ = nullptr;  // set exactly during a call
  std::uint32_t burst_bytes_ = 0;
  bool failed_ = false;
  bool peer_closed_ = false;
  std::string failure_;
};

}  // namespace sluice::tls
