// What the bench tools share: options, sockets, TLS for clients, and a process's memory. The tools
// trust their input: whatever is wrong ends them with a word about it.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::bench {

// `--name value` and `--flag`, as the command line gave them.
class Options {
 public:
  // Ends the process with `usage` if an option is not among `known`.
  Options(int argc, char** argv, const std::vector<std::string>& known, const std::string& usage);
  bool has(const std::string& name) const { return values_.contains(name); }
  std::string text(const std::string& name, const std::string& otherwise) const;
  std::int64_t number(const std::string& name, std::int64_t otherwise) const;

 private:
  std::map<std::string, std::string> values_;
};

[[noreturn]] void die(const std::string& what);
// die() with errno's text unless `good`.
void must(bool good, const std::string& what);

// A listener on 127.0.0.1:`port` that shares its port with others of this process.
int listen_on(std::uint16_t port, bool nonblocking);
// A nonblocking socket that connects to 127.0.0.1:`port`, mostly not connected yet.
int connect_to(std::uint16_t port);
// Frees the calling thread's core from the others: -1 leaves it as it is.
void pin_to_core(int core);

// A TLS 1.3 client context that never resumes and verifies nothing but the handshake itself.
bssl::UniquePtr<SSL_CTX> client_context();

// One nonblocking client connection, plain or TLS, that does one request at a time.
class ClientConnection {
 public:
  enum class Step { want_read, want_write, response, failed };

  ClientConnection(std::uint16_t port, SSL_CTX* tls);  // `tls` null: plain
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  // Asks for `target` next.
  void request(std::string_view target);
  // Goes on until it would block, a whole response is in, or something failed.
  Step advance();
  int fd() const { return fd_; }
  int status() const { return status_; }
  const std::string& error() const { return error_; }
  // Says close_notify before the destructor closes.
  void finish();

 private:
  Step fail(const std::string& what);
  Step read_response();
  ssize_t io(bool write, void* bytes, std::size_t size, Step& blocked);

  int fd_;
  bssl::UniquePtr<SSL> tls_;
  bool connected_ = false;
  std::string output_;
  std::string head_;
  bool in_body_ = false;
  std::uint64_t body_left_ = 0;
  int status_ = 0;
  std::string error_;
};

std::uint64_t pss_kib(const std::vector<int>& pids);

}  // namespace sluice::bench
