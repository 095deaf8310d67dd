#include "tests/harness/http_client.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "proxy/base/check.h"
#include "tests/harness/pattern.h"
#include "tests/harness/strict_parser.h"

namespace sluice::harness {
namespace {

bool wait_for(int fd, short events, Deadline deadline) {
  pollfd poll_fd{.fd = fd, .events = events, .revents = 0};
  return poll(&poll_fd, 1, deadline.remaining_ms()) == 1;
}

std::string tls_error_text() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return text.data();
}

std::string alpn_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* slot = static_cast<bssl::UniquePtr<SSL_SESSION>*>(SSL_get_app_data(ssl));
  slot->reset(session);
  return 1;
}

// Moves what the parser knows of a finished head into `response`.
void take_head(const StrictParser& parser, Response& response) {
  const StrictParser::Head& head = parser.head();
  response.status = head.status;
  response.reason = head.reason;
  response.version = head.version;
  response.fields = head.fields;
  response.chunked = parser.framing() == StrictParser::Framing::chunked;
}

}  // namespace

const char* to_text(Outcome outcome) {
  switch (outcome) {
    case Outcome::complete:
      return "complete";
    case Outcome::truncated:
      return "truncated";
    case Outcome::reset:
      return "reset";
    case Outcome::malformed:
      return "malformed";
    case Outcome::timed_out:
      return "timed out";
  }
  return "?";
}

const char* to_text(Ending ending) {
  switch (ending) {
    case Ending::open:
      return "open";
    case Ending::closed:
      return "closed";
    case Ending::without_close_notify:
      return "closed without close_notify";
    case Ending::reset:
      return "reset";
  }
  return "?";
}

std::string Response::summary() const {
  std::string text = std::string(to_text(outcome)) + ", connection " + to_text(ending);
  if (!error.empty()) text += " (" + error + ")";
  if (status != 0) {
    text += ", status " + std::to_string(status) + ", " + std::to_string(body_size) + " bytes";
    if (body_size > 0 && body.size() <= 500) text += ": " + body;
  }
  return text;
}

std::expected<std::unique_ptr<HttpClient>, std::string> HttpClient::connect(
    const Endpoint& endpoint, Options options) {
  signal(SIGPIPE, SIG_IGN);  // BoringSSL writes to the socket without MSG_NOSIGNAL
  auto fd = connect_to(endpoint, Deadline(options.patience));
  if (!fd) return std::unexpected(fd.error());
  fcntl(fd->get(), F_SETFL, fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
  std::unique_ptr<HttpClient> client(new HttpClient(std::move(*fd), std::move(options)));
  if (client->options_.tls) {
    auto started = client->start_tls(endpoint);
    if (!started) return std::unexpected(started.error());
  }
  return client;
}

std::expected<std::unique_ptr<HttpClient>, std::string> HttpClient::connect(
    const Endpoint& endpoint) {
  return connect(endpoint, Options{});
}

std::expected<std::unique_ptr<HttpClient>, std::string> HttpClient::connect_tls(
    const Endpoint& endpoint, ClientTls tls) {
  return connect(endpoint, Options{.tls = std::move(tls)});
}

HttpClient::~HttpClient() = default;

std::expected<void, std::string> HttpClient::start_tls(const Endpoint& endpoint) {
  const ClientTls& wanted = *options_.tls;
  tls_context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(tls_context_.get(), wanted.version_min);
  SSL_CTX_set_max_proto_version(tls_context_.get(), wanted.version_max);
  SSL_CTX_set_session_cache_mode(tls_context_.get(),
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(tls_context_.get(), keep_session);
  if (!wanted.certificate_file.empty() &&
      (SSL_CTX_use_certificate_chain_file(tls_context_.get(), wanted.certificate_file.c_str()) !=
           1 ||
       SSL_CTX_use_PrivateKey_file(tls_context_.get(), wanted.key_file.c_str(), SSL_FILETYPE_PEM) !=
           1)) {
    return std::unexpected("client certificate " + wanted.certificate_file + ": " +
                           tls_error_text());
  }
  tls_.reset(SSL_new(tls_context_.get()));
  SSL_set_app_data(tls_.get(), &session_);
  SSL_set_fd(tls_.get(), fd_.get());
  if (!wanted.server_name.empty()) SSL_set_tlsext_host_name(tls_.get(), wanted.server_name.c_str());
  std::string alpn = alpn_wire(wanted.alpn);
  if (!alpn.empty()) {
    SSL_set_alpn_protos(tls_.get(), reinterpret_cast<const std::uint8_t*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
  }
  if (wanted.resume != nullptr) SSL_set_session(tls_.get(), wanted.resume);

  Deadline deadline(options_.patience);
  while (true) {
    int result = SSL_connect(tls_.get());
    if (result == 1) return {};
    int error = SSL_get_error(tls_.get(), result);
    short events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      return std::unexpected("TLS handshake with " + endpoint.text() + ": " + tls_error_text());
    }
    if (!wait_for(fd_.get(), events, deadline)) {
      return std::unexpected("TLS handshake with " + endpoint.text() + ": timed out");
    }
  }
}

bool HttpClient::send(std::string_view bytes) {
  Deadline deadline(options_.patience);
  while (!bytes.empty()) {
    ssize_t n;
    bool again;
    if (tls_) {
      n = SSL_write(tls_.get(), bytes.data(), static_cast<int>(std::min(bytes.size(), 1UL << 20)));
      again = n <= 0 && SSL_get_error(tls_.get(), static_cast<int>(n)) == SSL_ERROR_WANT_WRITE;
      if (n <= 0 && !again) ERR_clear_error();
    } else {
      n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      again = n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (!again || !wait_for(fd_.get(), POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

// Adds to received_ whatever the peer has sent, waiting for the first of it.
HttpClient::Got HttpClient::receive(Deadline deadline) {
  if (ending_ != Ending::open) return Got::end;
  std::array<char, 64 * 1024> buffer;
  while (true) {
    ssize_t n;
    errno = 0;
    if (tls_) {
      n = SSL_read(tls_.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (n <= 0) {
        int socket_error = errno;
        switch (SSL_get_error(tls_.get(), static_cast<int>(n))) {
          case SSL_ERROR_WANT_READ:
          case SSL_ERROR_WANT_WRITE:
            errno = EAGAIN;
            break;
          case SSL_ERROR_ZERO_RETURN:
            ending_ = Ending::closed;
            return Got::end;
          case SSL_ERROR_SYSCALL:
            ending_ = socket_error == 0 ? Ending::without_close_notify : Ending::reset;
            return Got::end;
          default:
            ERR_clear_error();
            ending_ = Ending::reset;
            return Got::end;
        }
        n = -1;
      }
    } else {
      n = recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (n == 0) {
        ending_ = Ending::closed;
        return Got::end;
      }
    }
    if (n > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(n));
      return Got::bytes;
    }
    if (errno != EAGAIN && errno != EINTR) {
      ending_ = Ending::reset;
      return Got::end;
    }
    if (!wait_for(fd_.get(), POLLIN, deadline)) return Got::timeout;
  }
}

Response HttpClient::read_response(Read read) {
  Response response;
  std::vector<Response> interim;
  StrictParser parser(StrictParser::Kind::response);
  parser.set_request_method(read.method);
  Digest digest;
  Deadline deadline(options_.patience);
  auto finish = [&](Outcome outcome, std::string error = {}) {
    response.outcome = outcome;
    response.ending = ending_;
    response.error = std::move(error);
    if (response.body_size > 0) response.body_sha256 = digest.hex();
    response.trailers = parser.trailers();
    response.interim = std::move(interim);
    return std::move(response);
  };
  response.body_is_pattern = true;
  while (true) {
    std::string_view rest = received_;
    StrictParser::Event event = parser.next(rest);
    if (event == StrictParser::Event::head) take_head(parser, response);
    if (event == StrictParser::Event::body) {
      std::string_view part = parser.body_part();
      if (!is_pattern(part, response.body_size)) response.body_is_pattern = false;
      response.body_size += part.size();
      digest.add(part);
      if (read.keep_body) response.body += part;
      if (read.on_body) read.on_body(part);
      deadline = Deadline(options_.patience);
    }
    received_.erase(0, received_.size() - rest.size());
    if (event == StrictParser::Event::failed) return finish(Outcome::malformed, parser.error());
    if (event == StrictParser::Event::complete) {
      bool is_interim = response.status < 200 && response.status != 101;
      if (!is_interim || read.interim_too) return finish(Outcome::complete);
      response.outcome = Outcome::complete;
      interim.push_back(std::exchange(response, Response{}));
      response.body_is_pattern = true;
    }
    if (event != StrictParser::Event::need_more) continue;
    switch (receive(deadline)) {
      case Got::bytes:
        break;
      case Got::timeout:
        return finish(Outcome::timed_out);
      case Got::end:
        if (ending_ == Ending::reset) return finish(Outcome::reset);
        // A body that ends with the connection is whole only if that end can be trusted.
        if (ending_ == Ending::closed && parser.end_of_stream() == StrictParser::Event::complete) {
          return finish(Outcome::complete);
        }
        return finish(Outcome::truncated);
    }
  }
}

Response HttpClient::request(std::string_view method, std::string_view target,
                             std::string_view body, const Fields& fields) {
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
  if (!fields.has("Host")) text += "Host: localhost\r\n";
  text += fields.text();
  bool may_have_body = method != "GET" && method != "HEAD" && method != "DELETE";
  bool framed = fields.has("Content-Length") || fields.has("Transfer-Encoding");
  if (!framed && (may_have_body || !body.empty())) {
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  text += "\r\n";
  text += body;
  // An early answer may come although the peer takes no more of the request.
  bool sent = send(text);
  Response response = read_response(Read{.method = std::string(method)});
  if (!sent && response.error.empty()) response.error = "the request could not be sent whole";
  return response;
}

std::string HttpClient::read_to_end() {
  Deadline deadline(options_.patience);
  while (receive(deadline) == Got::bytes) {
  }
  return std::exchange(received_, {});
}

Ending HttpClient::wait_for_end(Deadline deadline) {
  while (receive(deadline) == Got::bytes) received_.clear();
  return ending_;
}

bool HttpClient::stays_quiet(milliseconds quiet) {
  return received_.empty() && receive(Deadline(quiet)) == Got::timeout;
}

void HttpClient::finish_sending() {
  if (tls_) SSL_shutdown(tls_.get());
  shutdown(fd_.get(), SHUT_WR);
}

void HttpClient::reset() {
  linger abort{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  fd_.close();
  ending_ = Ending::reset;
}

void HttpClient::set_receive_buffer(int size) {
  SLUICE_CHECK(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
}

int HttpClient::tls_version() const {
  return SSL_version(tls_.get());
}

std::string HttpClient::tls_cipher() const {
  return SSL_CIPHER_get_name(SSL_get_current_cipher(tls_.get()));
}

std::string HttpClient::tls_alpn() const {
  const std::uint8_t* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(tls_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool HttpClient::tls_resumed() const {
  return SSL_session_reused(tls_.get()) == 1;
}

std::string HttpClient::tls_group() const {
  const char* name = SSL_get_curve_name(SSL_get_curve_id(tls_.get()));
  return name == nullptr ? "" : name;
}

std::string HttpClient::tls_certificate() const {
  bssl::UniquePtr<X509> certificate(SSL_get_peer_certificate(tls_.get()));
  std::uint8_t* bytes = nullptr;
  int size = i2d_X509(certificate.get(), &bytes);
  bssl::UniquePtr<std::uint8_t> owner(bytes);
  return Digest::of({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
}

bssl::UniquePtr<SSL_SESSION> HttpClient::tls_session() const {
  return bssl::UpRef(session_);
}

Response fetch(const Endpoint& endpoint, std::string_view method, std::string_view target,
               std::string_view body, const Fields& fields) {
  auto client = HttpClient::connect(endpoint);
  if (!client) {
    Response response;
    response.outcome = Outcome::reset;
    response.error = client.error();
    return response;
  }
  return (*client)->request(method, target, body, fields);
}

}  // namespace sluice::harness
