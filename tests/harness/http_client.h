// HttpClient: one blocking client connection, plain or TLS, over TCP or a Unix socket. Sends
// exactly the bytes it is told to and reads responses with the strict parser, so that a test can
// say and see what no ordinary client lets it. Owned by one test thread. Every wait has a deadline.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/deadline.h"
#include "tests/harness/fields.h"
#include "tests/harness/net.h"

namespace sluice::harness {

// How the reading of a response ended.
enum class Outcome {
  complete,
  truncated,  // the peer ended the stream first, cleanly or not: see Response::ending
  reset,      // ECONNRESET or a fatal TLS alert
  malformed,  // what came is no HTTP response: see Response::error
  timed_out,
};
const char* to_text(Outcome outcome);

// How the peer's side of the connection ended, as far as was seen.
enum class Ending {
  open,
  closed,                // plain: FIN.  TLS: close_notify
  without_close_notify,  // TLS: FIN with no close_notify before it
  reset,
};
const char* to_text(Ending ending);

struct Response {
  Outcome outcome = Outcome::truncated;
  Ending ending = Ending::open;
  std::string error;
  int status = 0;  // 0: not even a head came
  std::string reason;
  std::string version;
  Fields fields;
  bool chunked = false;
  std::string body;  // empty if not kept
  std::uint64_t body_size = 0;
  std::string body_sha256;
  bool body_is_pattern = false;
  Fields trailers;
  std::vector<Response> interim;  // the 1xx responses before it

  bool complete() const { return outcome == Outcome::complete; }
  std::string field(std::string_view name) const { return fields.get(name).value_or(""); }
  // One line for failure messages.
  std::string summary() const;
};

struct ClientTls {
  std::string server_name = "localhost";
  std::vector<std::string> alpn;  // `http/1.1`, `h2`
  std::uint16_t version_min = TLS1_3_VERSION;
  std::uint16_t version_max = TLS1_3_VERSION;
  SSL_SESSION* resume = nullptr;  // borrowed until connect() returns
  // What is shown if the server asks; PEM files. Empty: nothing.
  std::string certificate_file;
  std::string key_file;
};

class HttpClient {
 public:
  struct Options {
    std::optional<ClientTls> tls;
    milliseconds patience = kPatience;  // for each step
  };

  // Connects and, with TLS, shakes hands. The server's certificate is not verified.
  static std::expected<std::unique_ptr<HttpClient>, std::string> connect(const Endpoint& endpoint,
                                                                         Options options);
  static std::expected<std::unique_ptr<HttpClient>, std::string> connect(const Endpoint& endpoint);
  static std::expected<std::unique_ptr<HttpClient>, std::string> connect_tls(
      const Endpoint& endpoint, ClientTls tls = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // False if the peer would not take all of it: it closed, reset, or lets us wait too long.
  bool send(std::string_view bytes);

  struct Read {
    std::string method = "GET";  // of the request this answers
    bool keep_body = true;
    // Called for each piece of the body; may take its time.
    std::function<void(std::string_view)> on_body;
    // Return 1xx responses by themselves instead of collecting them in `interim`.
    bool interim_too = false;
  };
  Response read_response(Read read);
  Response read_response() { return read_response(Read{}); }

  // Sends a request with Host, and Content-Length where there is a body, and reads the answer.
  Response request(std::string_view method, std::string_view target, std::string_view body = {},
                   const Fields& fields = {});
  Response get(std::string_view target) { return request("GET", target); }

  // Whatever comes until the peer ends the stream or the deadline passes.
  std::string read_to_end();
  // Waits until the peer ends its side; bytes on the way are dropped. Ending::open on timeout.
  Ending wait_for_end(Deadline deadline);
  Ending wait_for_end() { return wait_for_end(Deadline{options_.patience}); }
  // True if the peer has sent nothing and not closed within `quiet`.
  bool stays_quiet(milliseconds quiet);

  // Plain: FIN. TLS: close_notify, then FIN.
  void finish_sending();
  // RST.
  void reset();
  // Bytes the kernel may hold for us to read; small values make a slow reader slow. Bytes.
  void set_receive_buffer(int size);

  // With TLS only.
  int tls_version() const;
  std::string tls_cipher() const;
  std::string tls_alpn() const;
  bool tls_resumed() const;
  std::string tls_group() const;
  // SHA-256 of the server's certificate, to tell one from another.
  std::string tls_certificate() const;
  // From the last ticket read so far; null if none came. Tickets follow a TLS 1.3 handshake, so
  // read a response first.
  bssl::UniquePtr<SSL_SESSION> tls_session() const;
  int fd() const { return fd_.get(); }

 private:
  HttpClient(Fd fd, Options options) : fd_(std::move(fd)), options_(std::move(options)) {}
  std::expected<void, std::string> start_tls(const Endpoint& endpoint);
  enum class Got { bytes, end, timeout };
  Got receive(Deadline deadline);

  Fd fd_;
  Options options_;
  bssl::UniquePtr<SSL_CTX> tls_context_;
  bssl::UniquePtr<SSL> tls_;
  bssl::UniquePtr<SSL_SESSION> session_;
  std::string received_;  // read, but not yet taken
  Ending ending_ = Ending::open;
};

// One request on a connection of its own; a failed connect is an Outcome::reset with its text.
Response fetch(const Endpoint& endpoint, std::string_view method, std::string_view target,
               std::string_view body = {}, const Fields& fields = {});

}  // namespace sluice::harness
