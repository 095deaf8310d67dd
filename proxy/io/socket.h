// Socket: one stream socket on a loop: its receive, its sends, and the only place that tears one
// down.
//
// Owned by a connection, as a member. Life: connect() or adopt(), traffic, terminate(), and
// on_closed() once nothing of it is in flight; only then may it be destroyed.
//
//                  ┌────────────┐ on_connected  ┌──────┐ terminate() ┌─────────┐ last
//    connect() ──→ │ connecting │ ────────────→ │ open │ ──────────→ │ joining │ completion
//    adopt() ──────┼────────────┼─────────────→ │      │             │         │ ──→ close ──→
//    closed
//                  └────────────┘               └──────┘             └─────────┘   on_closed()
//
// Idle cost: this object and an armed receive; no buffer either way.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/base/bytes.h"
#include "proxy/io/loop.h"
#include "proxy/io/output_queue.h"
#include "proxy/io/ring.h"

namespace sluice::io {

class Socket final : public CompletionTarget, private Flushable {
 public:
  // Called from the loop's turn only. After terminate(), nothing but on_closed().
  class Handler {
   public:
    virtual void on_connected() {}
    // The bytes are lent for the call. May come once or twice after pause_receiving().
    virtual void on_received(Bytes bytes) = 0;
    // The peer's orderly end. Writing may go on.
    virtual void on_received_end() = 0;
    // The connection is broken (a positive errno); terminate() is due.
    virtual void on_error(int error) = 0;
    // buffered() has fallen to or below the low watermark after notify_when_below() asked.
    virtual void on_writable() {}
    // Nothing is in flight any more and the descriptor is closed: the last call.
    virtual void on_closed() = 0;

   protected:
    ~Handler() = default;
  };

  Socket(Loop& loop, Handler& handler) : loop_(loop), handler_(handler) {}
  ~Socket();

  // Takes over an accepted descriptor.
  void adopt(int fd);
  // Begins to connect: on_connected() or on_error() will tell. An errno if it can't even begin.
  int connect(const Address& address);

  void resume_receiving();
  void pause_receiving();
  // One receive at a time, so that a pause takes hold at once: at most one buffer comes after it.
  // Otherwise one armed receive serves all that comes, and the kernel may have filled kBurstMax
  // buffers with it before anybody could pause.
  static constexpr std::size_t kBurstMax = 32;
  void set_one_at_a_time(bool one_at_a_time);
  // While a large body streams: one at a time in any case, and into large buffers.
  void set_streaming(bool streaming);

  // Queues a copy; it goes out at the end of the turn.
  void write(Bytes bytes);
  // Unwrites the last bytes. False, and nothing is changed, if the kernel may have some of them.
  bool take_back(std::size_t bytes);
  // Bytes written and not yet taken by the kernel.
  std::size_t buffered() const { return output_.bytes(); }
  // One on_writable() when buffered() is at most `low_watermark_bytes`.
  void notify_when_below(std::uint32_t low_watermark_bytes);
  // Our orderly end, after everything that was written.
  void shutdown_when_flushed();

  enum class Ending { orderly, reset };
  // Stops everything, waits for it, closes. Unsent output is dropped. Idempotent.
  void terminate(Ending ending = Ending::orderly);

  bool terminated() const { return phase_ == Phase::joining || phase_ == Phase::closed; }
  int fd() const { return fd_; }
  Loop& loop() { return loop_; }

 private:
  enum class Phase : std::uint8_t { unopened, connecting, open, joining, closed };
  enum Tag : std::uint8_t { kReceive, kSend, kConnect, kShutdown, kCancel, kClose };

  void on_completion(const Completion& completion) override;
  void on_receive_completion(const Completion& completion);
  void on_send_completion(const Completion& completion);
  void on_connect_completion(const Completion& completion);
  void flush() override;
  void arm_receive();
  void cancel_receive();
  void submit(Submission submission, Tag tag);
  void fail(int error);
  void close_if_joined();

  Loop& loop_;
  Handler& handler_;
  OutputQueue output_;
  std::unique_ptr<sockaddr_storage> connect_to_;  // while connecting
  int fd_ = -1;
  std::uint32_t low_watermark_bytes_ = 0;
  std::uint32_t sending_bytes_ = 0;  // of the output: those that the send in flight is of
  std::uint8_t in_flight_ = 0;       // submissions without their last completion
  Phase phase_ = Phase::unopened;
  bool receive_wanted_ = false;
  bool receive_armed_ = false;      // a receive is in flight
  bool receive_multishot_ = false;  // that one is
  bool receive_cancelled_ = false;  // a cancel has been submitted for it
  bool receive_filled_ = false;     // the last one filled its buffer: there may be more
  bool one_at_a_time_ = false;
  bool streaming_ = false;
  bool received_end_ = false;  // nothing more will come
  bool send_armed_ = false;
  bool notify_writable_ = false;
  bool shutdown_wanted_ = false;
  bool shutdown_done_ = false;
  bool failed_ = false;  // on_error has been called
};

}  // namespace sluice::io
