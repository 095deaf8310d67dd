#include "tls/session.h"

#include <openssl/ssl.h>

#include <utility>

#include "proxy/base/check.h"
#include "tls/engine.h"

namespace sluice::tls {
namespace {

SSL* make_server(SSL_CTX* context) {
  SSL* ssl = SSL_new(context);
  SLUICE_CHECK(ssl != nullptr);
  SSL_set_accept_state(ssl);
  return ssl;
}

}  // namespace

Session::Session(const ServerContext& context)
    : engine_(std::make_unique<Engine>(make_server(context.handle()), context.shared_from_this())) {
}
Session::Session(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {
}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Session::Status Session::receive(Bytes ciphertext, SessionSink& sink) {
  return engine_->receive(ciphertext, sink);
}

Session::Status Session::send(Bytes plaintext, SessionSink& sink) {
  return engine_->send(plaintext, sink);
}

void Session::close(SessionSink& sink) {
  engine_->close(sink);
}
void Session::note_idle() {
  engine_->note_idle();
}
bool Session::handshake_done() const {
  return engine_->handshake_done();
}
SessionInfo Session::info() const {
  return engine_->info();
}
std::optional<PeerCertificate> Session::peer_certificate() const {
  return engine_->peer_certificate();
}
std::string_view Session::failure() const {
  return engine_->failure();
}

}  // namespace sluice::tls
