#include "tls/engine.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "proxy/base/check.h"
#include "tls/errors.h"
#include "tls/pem.h"

namespace sluice::tls {
namespace {

// Plaintext on its way from BoringSSL to the sink. One for the thread, not one for each session:
// idle sessions are many.
thread_local std::array<std::byte, kRecordBytesMax> scratch;
thread_local bool scratch_in_use = false;

const char* or_empty(const char* text) {
  return text != nullptr ? text : "";
}

}  // namespace

// The time during which the engine has bytes to read and a sink to write to.
class Engine::Call {
 public:
  Call(Engine& engine, Bytes input, SessionSink& sink) : engine_(engine) {
    SLUICE_CHECK(engine.sink_ == nullptr);  // a sink called back into its session
    engine.input_ = input;
    engine.sink_ = &sink;
  }
  ~Call() {
    engine_.input_ = {};
    engine_.sink_ = nullptr;
    // Success may leave entries too, and the next failure on this thread would be blamed on them.
    ERR_clear_error();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  Engine& engine_;
};

Engine::Engine(SSL* ssl, std::shared_ptr<const void> context)
    : context_(std::move(context)), ssl_(ssl) {
  BIO* bio = BIO_new(bio_method());
  SLUICE_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                         SSL_MODE_RELEASE_BUFFERS);
  SSL_set_shed_handshake_config(ssl_, 1);
}

Engine::~Engine() {
  SSL_SESSION_free(saved_session_);
  SSL_free(ssl_);
}

const BIO_METHOD* Engine::bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(0, "session");
    SLUICE_CHECK(made != nullptr);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

int Engine::bio_read(BIO* bio, char* out, int size) {
  auto& engine = *static_cast<Engine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t count = std::min(engine.input_.size(), static_cast<std::size_t>(size));
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(out, engine.input_.data(), count);
  engine.input_ = engine.input_.subspan(count);
  return static_cast<int>(count);
}

int Engine::bio_write(BIO* bio, const char* in, int size) {
  auto& engine = *static_cast<Engine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  SLUICE_CHECK(engine.sink_ != nullptr);
  engine.sink_->on_ciphertext(as_bytes({in, static_cast<std::size_t>(size)}));
  return size;
}

long Engine::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

Engine::Status Engine::receive(Bytes ciphertext, SessionSink& sink) {
  if (failed_) return Status::failed;
  if (peer_closed_) return Status::closed;
  SLUICE_CHECK(!scratch_in_use);  // a sink called receive() of another session
  const Call call(*this, ciphertext, sink);
  for (;;) {
    const int result = SSL_read(ssl_, scratch.data(), static_cast<int>(scratch.size()));
    if (result <= 0) return judge(result);
    scratch_in_use = true;
    sink.on_plaintext({scratch.data(), static_cast<std::size_t>(result)});
    scratch_in_use = false;
  }
}

Engine::Status Engine::send(Bytes plaintext, SessionSink& sink) {
  if (failed_) return Status::failed;
  SLUICE_CHECK(handshake_done());
  const Call call(*this, {}, sink);
  while (!plaintext.empty()) {
    const bool starting = burst_bytes_ < kSmallRecordsBurstBytes;
    const Bytes record =
        plaintext.first(std::min(plaintext.size(), starting ? kRecordBytesSmall : kRecordBytesMax));
    const int result = SSL_write(ssl_, record.data(), static_cast<int>(record.size()));
    if (result <= 0) return judge(result);
    // The sink takes everything, so a record never goes out in part.
    SLUICE_CHECK(static_cast<std::size_t>(result) == record.size());
    plaintext = plaintext.subspan(record.size());
    if (starting) burst_bytes_ += static_cast<std::uint32_t>(record.size());
  }
  return Status::ok;
}

Engine::Status Engine::start(SessionSink& sink) {
  if (failed_) return Status::failed;
  const Call call(*this, {}, sink);
  return judge(SSL_do_handshake(ssl_));
}

void Engine::close(SessionSink& sink) {
  if (failed_ || !handshake_done() || (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0) return;
  const Call call(*this, {}, sink);
  SSL_shutdown(ssl_);
}

Engine::Status Engine::judge(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE:
      return Status::ok;
    case SSL_ERROR_WANT_READ:
      SLUICE_CHECK(input_.empty());
      return Status::ok;
    case SSL_ERROR_ZERO_RETURN:
      peer_closed_ = true;
      return Status::closed;
    default:
      break;
  }
  const std::uint32_t error = ERR_peek_error();
  const bool verify_failed =
      ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  std::string why = take_error();
  if (verify_failed) {
    why.append(": ").append(X509_verify_cert_error_string(SSL_get_verify_result(ssl_)));
  }
  refuse(std::move(why));
  return Status::failed;
}

void Engine::refuse(std::string why) {
  failed_ = true;
  failure_ = std::move(why);
}

bool Engine::handshake_done() const {
  return SSL_in_init(ssl_) == 0;
}

SessionInfo Engine::info() const {
  SLUICE_CHECK(handshake_done());
  const std::uint8_t* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &alpn_size);
  const char* const group = SSL_get_curve_name(SSL_get_curve_id(ssl_));
  const char* const server_name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return {.version = SSL_get_version(ssl_),
          .cipher = or_empty(SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl_))),
          .group = or_empty(group),
          .alpn = {reinterpret_cast<const char*>(alpn), alpn_size},
          .server_name = server_name ? server_name : std::string_view{},
          .resumed = SSL_session_reused(ssl_) != 0};
}

std::optional<PeerCertificate> Engine::peer_certificate() const {
  SLUICE_CHECK(handshake_done());
  const Certificate shown(SSL_get_peer_certificate(ssl_));
  if (shown == nullptr) return {};
  return PeerCertificate{.names = holder_names_of(shown.get()),
                         .expires = to_wall_time(X509_get0_notAfter(shown.get()))};
}

int Engine::on_new_session(SSL* ssl, SSL_SESSION* session) {
  auto& engine = *static_cast<Engine*>(BIO_get_data(SSL_get_rbio(ssl)));
  SSL_SESSION_free(std::exchange(engine.saved_session_, session));
  return 1;
}

SSL_SESSION* Engine::take_saved_session() {
  return std::exchange(saved_session_, nullptr);
}

}  // namespace sluice::tls

#if defined(__SANITIZE_THREAD__)
#define SLUICE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLUICE_THREAD_SANITIZER 1
#endif
#endif

#ifdef SLUICE_THREAD_SANITIZER
// ThreadSanitizer sees the memcpy and free that Debian's library calls, but not the atomic counts
// that order them, and would report every shared certificate as a race. Here rather than in the
// tests, since every program with this room in it needs it.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libcrypto.so\ncalled_from_lib:libssl.so\n";
}
#endif
