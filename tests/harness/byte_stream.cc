#include "tests/harness/byte_stream.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "proxy/base/check.h"

namespace sluice::harness {
namespace {

std::string alpn_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

// The protocols that a context's owner wants live as long as the context.
int alpn_index() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::string*>(value);
      });
  return index;
}

int choose_alpn(SSL* ssl, const std::uint8_t** out, std::uint8_t* out_size, const std::uint8_t* in,
                unsigned in_size, void*) {
  const auto* ours =
      static_cast<const std::string*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), alpn_index()));
  auto* chosen = const_cast<std::uint8_t**>(out);
  const int result =
      SSL_select_next_proto(chosen, out_size, reinterpret_cast<const std::uint8_t*>(ours->data()),
                            static_cast<unsigned>(ours->size()), in, in_size);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

void set_mode(SSL* ssl) {
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

}  // namespace

ByteStream::ByteStream(Fd fd) : fd_(std::move(fd)) {
  signal(SIGPIPE, SIG_IGN);  // BoringSSL writes to the socket without MSG_NOSIGNAL
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
}

ByteStream ByteStream::tls_server(Fd fd, SSL_CTX* context) {
  ByteStream stream(std::move(fd));
  stream.tls_.reset(SSL_new(context));
  set_mode(stream.tls_.get());
  SSL_set_fd(stream.tls_.get(), stream.fd());
  SSL_set_accept_state(stream.tls_.get());
  return stream;
}

ByteStream ByteStream::tls_client(Fd fd, SSL_CTX* context, const std::string& server_name,
                                  const std::vector<std::string>& alpn) {
  ByteStream stream(std::move(fd));
  stream.tls_.reset(SSL_new(context));
  set_mode(stream.tls_.get());
  SSL_set_fd(stream.tls_.get(), stream.fd());
  SSL_set_connect_state(stream.tls_.get());
  if (!server_name.empty()) SSL_set_tlsext_host_name(stream.tls_.get(), server_name.c_str());
  const std::string wire = alpn_wire(alpn);
  if (!wire.empty()) {
    SSL_set_alpn_protos(stream.tls_.get(), reinterpret_cast<const std::uint8_t*>(wire.data()),
                        static_cast<unsigned>(wire.size()));
  }
  return stream;
}

ByteStream::Moved ByteStream::judge(int result, int socket_error) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return {.io = Io::blocked};
    case SSL_ERROR_ZERO_RETURN:
      return {.io = Io::ended};
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      return {.io = socket_error == 0 ? Io::cut : Io::broken};
    default: {
      std::array<char, 256> text{};
      ERR_error_string_n(ERR_get_error(), text.data(), text.size());
      ERR_clear_error();
      error_ = text.data();
      return {.io = Io::broken};
    }
  }
}

ByteStream::Moved ByteStream::shake_hands() {
  if (!tls_) return {.io = Io::moved};
  errno = 0;
  const int result = SSL_do_handshake(tls_.get());
  return result == 1 ? Moved{.io = Io::moved} : judge(result, errno);
}

ByteStream::Moved ByteStream::read(std::span<char> into) {
  errno = 0;
  if (tls_) {
    const int n = SSL_read(tls_.get(), into.data(), static_cast<int>(into.size()));
    if (n > 0) return {.io = Io::moved, .bytes = static_cast<std::size_t>(n)};
    return judge(n, errno);
  }
  const ssize_t n = recv(fd(), into.data(), into.size(), 0);
  if (n > 0) return {.io = Io::moved, .bytes = static_cast<std::size_t>(n)};
  if (n == 0) return {.io = Io::ended};
  return {.io = errno == EAGAIN || errno == EINTR ? Io::blocked : Io::broken};
}

ByteStream::Moved ByteStream::write(std::string_view bytes) {
  if (bytes.empty()) return {.io = Io::moved};
  errno = 0;
  if (tls_) {
    const int n =
        SSL_write(tls_.get(), bytes.data(), static_cast<int>(std::min(bytes.size(), 1UL << 20)));
    if (n > 0) return {.io = Io::moved, .bytes = static_cast<std::size_t>(n)};
    return judge(n, errno);
  }
  const ssize_t n = send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n >= 0) return {.io = Io::moved, .bytes = static_cast<std::size_t>(n)};
  return {.io = errno == EAGAIN || errno == EINTR ? Io::blocked : Io::broken};
}

void ByteStream::finish() {
  if (tls_) SSL_shutdown(tls_.get());
  ERR_clear_error();
  shutdown(fd(), SHUT_WR);
}

void ByteStream::abort() {
  linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.close();
}

void ByteStream::close() {
  fd_.close();
}

std::string ByteStream::alpn() const {
  const std::uint8_t* name = nullptr;
  unsigned size = 0;
  if (tls_) SSL_get0_alpn_selected(tls_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bssl::UniquePtr<SSL_CTX> server_context(const CertificateFiles& files,
                                        const std::vector<std::string>& alpn) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SLUICE_CHECK(SSL_CTX_use_certificate_chain_file(context.get(), files.certificate_file.c_str()) ==
               1);
  SLUICE_CHECK(
      SSL_CTX_use_PrivateKey_file(context.get(), files.key_file.c_str(), SSL_FILETYPE_PEM) == 1);
  if (!alpn.empty()) {
    SSL_CTX_set_ex_data(context.get(), alpn_index(), new std::string(alpn_wire(alpn)));
    SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  }
  return context;
}

}  // namespace sluice::harness
