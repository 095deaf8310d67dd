// Transport: a connection's bytes in the clear, whether or not TLS lies between it and its socket.
//
// Owned by a client or backend connection, as a member. The rule of the loop holds here too:
// operations never call back; the handler is called from the loop's turn only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/bytes.h"
#include "proxy/io/socket.h"
#include "tls/client_session.h"
#include "tls/session.h"

namespace sluice::proxy {

// With TLS, what a turn writes is collected and encrypted at its end, so that a head and its body
// share a record.
class Transport final : private io::Socket::Handler,
                        private tls::SessionSink,
                        private io::Flushable {
 public:
  enum class Failure {
    none,
    refused,      // connect: nobody there
    unreachable,  // connect: no way there, or no answer
    local,        // connect: this machine has no descriptor, port or memory for it
    broken,       // reset, or another socket error
    tls,          // the handshake or a record failed: see tls_failure()
  };

  class Handler {
   public:
    // Connected, and the TLS handshake done: bytes may be written. Not called for an accepted
    // plain connection, which is open from the start.
    virtual void on_open() = 0;
    // May come a few times more after pause().
    virtual void on_data(Bytes bytes) = 0;
    // The peer sends no more. `clean` is false when TLS was cut without its close_notify.
    virtual void on_end(bool clean) = 0;
    virtual void on_failure(Failure failure) = 0;
    virtual void on_writable() = 0;
    // The last call; see io::Socket.
    virtual void on_closed() = 0;

   protected:
    ~Handler() = default;
  };

  Transport(io::Loop& loop, Handler& handler) : socket_(loop, *this), handler_(handler) {}
  ~Transport() { plain_.clear(loop().blocks()); }

  // What may come before the handshake is done: several times what a handshake with a long chain of
  // certificates takes.
  static constexpr std::size_t kHandshakeBytesMax = 64 * 1024;

  // Takes over an accepted socket; `tls` null for plain. Receiving starts at once.
  void accept(int fd, const tls::ServerContext* tls);
  // An accepted plain connection goes on in TLS. `first` is the part of it that has come already;
  // the handler hears of what it holds before this returns.
  void start_tls(const tls::ServerContext& tls, Bytes first);
  struct Connect {
    const tls::ClientContext* tls = nullptr;  // null: plain
    std::string server_name;                  // for TLS: see tls::ClientSession
    tls::SavedSession session;                // of an earlier connection, if any
    std::string preamble;                     // sent before anything else, and before TLS
  };
  // Failure::none, or why it could not even begin. on_open() once bytes go out; what is written
  // before waits for it.
  Failure connect(const Address& address, const Connect& how);
  // Of a connection that we opened; null: none has come since the last call.
  tls::SavedSession take_saved_session();

  void write(Bytes bytes);
  // Unwrites the last bytes. False, and nothing is changed, if some of them may have left.
  bool take_back(std::size_t bytes);
  std::size_t buffered() const { return plain_.bytes() + socket_.buffered(); }
  void notify_when_below(std::uint32_t bytes) { socket_.notify_when_below(bytes); }
  void pause() { socket_.pause_receiving(); }
  void resume() { socket_.resume_receiving(); }
  // See io::Socket.
  void set_one_at_a_time(bool one_at_a_time) { socket_.set_one_at_a_time(one_at_a_time); }
  void set_streaming(bool streaming) { socket_.set_streaming(streaming); }
  // Nothing more will be written for a while: the next TLS records are small again.
  void note_idle();

  // Our orderly end (close_notify, then the end of the stream) behind everything written. The
  // peer may still send; terminate() is still due.
  void finish();
  // Closes. `reset`: as visibly cut as TCP can say; orderly without finish() leaves TLS without
  // close_notify, which a TLS peer sees as a truncation.
  void terminate(io::Socket::Ending ending = io::Socket::Ending::orderly);

  bool terminated() const { return socket_.terminated(); }
  bool is_tls() const { return tls_ != nullptr; }
  // Null: plain.
  const tls::Session* session() const { return tls_.get(); }
  // Why the failure was Failure::tls, in a few stable words; good as long as the transport.
  std::string_view tls_failure() const;
  tls::SessionInfo tls_info() const { return tls_ ? tls_->info() : tls::SessionInfo{}; }
  int fd() const { return socket_.fd(); }
  io::Loop& loop() { return socket_.loop(); }

 private:
  void flush() override;
  void on_connected() override;
  void on_received(Bytes bytes) override;
  void on_received_end() override;
  void on_error(int error) override;
  void on_writable() override { handler_.on_writable(); }
  void on_closed() override { handler_.on_closed(); }
  void open_tls();
  void fail_tls(std::string_view why);
  void on_plaintext(Bytes plaintext) override;
  void on_ciphertext(Bytes ciphertext) override {
    if (!ended_sending_) socket_.write(ciphertext);
  }

  io::Socket socket_;
  Handler& handler_;
  std::unique_ptr<tls::Session> tls_;  // a ClientSession exactly where we connected
  std::string_view own_failure_;       // static storage; what the session itself doesn't see
  io::OutputQueue plain_;              // to be encrypted at the end of the turn
  std::uint32_t handshake_bytes_ = 0;
  bool ours_ = false;           // we connected
  bool connecting_ = false;     // and the socket isn't connected yet
  bool opened_ = false;         // on_open() has been called, or wasn't due
  bool ended_ = false;          // on_end() has been called
  bool finished_ = false;       // finish() has been called
  bool ended_sending_ = false;  // our end is queued: nothing may follow it
};

}  // namespace sluice::proxy
