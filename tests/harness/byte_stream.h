// ByteStream: one connected, non-blocking socket, plain or TLS, on either side. Owned by one
// thread, which polls fd() for what the last call was blocked on.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/certificate.h"
#include "tests/harness/net.h"

namespace sluice::harness {

class ByteStream {
 public:
  enum class Io {
    moved,
    blocked,
    ended,  // FIN; with TLS close_notify
    cut,    // TLS only: FIN without close_notify
    broken  // reset, or a fatal alert
  };
  struct Moved {
    Io io = Io::blocked;
    std::size_t bytes = 0;
  };

  explicit ByteStream(Fd fd);
  // The handshake is made by the first reads and writes. `context` is kept alive.
  static ByteStream tls_server(Fd fd, SSL_CTX* context);
  static ByteStream tls_client(Fd fd, SSL_CTX* context, const std::string& server_name,
                               const std::vector<std::string>& alpn);

  // moved: the handshake is done (or none is needed).
  Moved shake_hands();
  Moved read(std::span<char> into);
  Moved write(std::string_view bytes);
  // Our end: FIN; with TLS close_notify before it.
  void finish();
  // RST, at once; fd() is gone.
  void abort();
  // After this the peer is told nothing: with TLS it sees a cut.
  void close();

  int fd() const { return fd_.get(); }
  bool is_tls() const { return tls_ != nullptr; }
  std::string alpn() const;
  // After `broken` with TLS, what went wrong.
  const std::string& error() const { return error_; }

 private:
  Moved judge(int result, int socket_error);

  Fd fd_;
  bssl::UniquePtr<SSL> tls_;
  std::string error_;
};

// TLS 1.3 as a server; of `alpn` the first that the client offers is taken, none is no error.
bssl::UniquePtr<SSL_CTX> server_context(const CertificateFiles& files,
                                        const std::vector<std::string>& alpn);

}  // namespace sluice::harness
