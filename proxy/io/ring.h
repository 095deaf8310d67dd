// Ring: the kernel (or the test's stand-in for it) as completions.
//
// A Loop owns the conversation: it queues submissions during a turn and calls enter() once, which
// hands the queue over, waits and returns what has completed. That is the only indirect call of a
// turn, so an implementation costs nothing per operation. io_uring implements it
// (uring_ring.h), and tests/io/fake_ring.h does with a seed.
//
// Rules that every implementation keeps and every caller relies on:
//  - An operation's target and memory stay alive until its last completion (`more` is false).
//    Every submission has exactly one last completion, whatever becomes of it; a cancelled one
//    ends with -ECANCELED, or with its result if that was quicker.
//  - What a submission points to (addresses, vectors) is read during enter(); only the bytes to
//    be sent or filled must live until the last completion.
//  - A completion that carries a buffer lends it: recycle() gives it back.
//  - All calls but wake() come from the thread that made the ring.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <span>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/bytes.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"

namespace sluice::io {

class CompletionTarget;

enum class OpCode : std::uint8_t {
  accept,    // multishot; result: the new descriptor (non-blocking, close-on-exec)
  receive,   // multishot or one-shot, into a provided buffer; result: bytes, 0 at the end
  send,      // result: bytes taken, may be short
  connect,   // result: 0
  shutdown,  // result: 0
  cancel,    // all operations of `fd`, or of one (target, tag); result: ignored
  close,     // result: 0
  read,      // file-like descriptors (event, signal, netlink), opened in blocking mode, into
             // caller's memory; result: bytes
};

// The receive buffers of a ring come in two sizes: a small hot set for message heads and short
// bodies, and a few large ones for bodies that stream.
enum class BufferGroup : std::uint8_t { small = 0, large = 1 };

struct BufferId {
  BufferGroup group = BufferGroup::small;
  std::uint16_t index = 0;
};

struct Completion {
  CompletionTarget* target = nullptr;
  std::uint8_t tag = 0;     // as submitted
  bool more = false;        // true: the operation is still armed and will complete again
  bool has_buffer = false;  // true: `buffer` is lent to the receiver of this completion
  BufferId buffer;
  std::int32_t result = 0;  // >= 0, or a negated errno
};

// What a completion is delivered to. Aligned so that a tag of 0..15 travels in the pointer.
class alignas(16) CompletionTarget {
 public:
  static constexpr std::uint8_t kTagMax = 15;
  virtual void on_completion(const Completion& completion) = 0;

 protected:
  ~CompletionTarget() = default;
};

struct Submission {
  OpCode code = OpCode::close;
  std::uint8_t tag = 0;
  bool multishot = false;                          // receive
  BufferGroup group = BufferGroup::small;          // receive
  bool expect_nothing_yet = false;                 // receive: don't try before the socket is ready
  bool cancel_whole_fd = false;                    // cancel
  std::uint8_t cancel_tag = 0;                     // cancel, one operation of `target`
  int fd = -1;
  int how = 0;                                     // shutdown
  CompletionTarget* target = nullptr;
  void* data = nullptr;                            // send, read; connect: sockaddr
  std::uint32_t length = 0;                        // bytes; connect: socklen_t; one-shot receive:
                                                   // at most so many (0: a whole buffer)
  const msghdr* message = nullptr;                 // send, instead of data: see vector_scratch()
};

struct RingOptions {
  unsigned submission_entries = 1024;
  unsigned completion_entries = 8192;
  unsigned small_buffer_count = 128;  // powers of two
  unsigned small_buffer_bytes = 16 * 1024;
  unsigned large_buffer_count = 16;
  unsigned large_buffer_bytes = 64 * 1024;
};

class Ring {
 public:
  virtual ~Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // --- Every turn ---------------------------------------------------------------------------
  // Queues; the kernel sees it at the next enter(). Without a target its completion is dropped.
  void submit(const Submission& submission) { queue_.push_back(submission); }
  // A vector of up to kVectorMax parts for one send; lives until the next enter() has returned.
  static constexpr std::size_t kVectorMax = 8;
  struct SendVector {
    msghdr header{};
    iovec parts[kVectorMax]{};
  };
  SendVector& vector_scratch() {
    if (scratch_used_ == scratch_.size()) scratch_.emplace_back();
    SendVector& vector = scratch_[scratch_used_++];
    vector.header = {};
    return vector;
  }
  // The bytes of a lent buffer, whole capacity.
  std::span<std::byte> buffer(BufferId id) {
    const Group& group = groups_[static_cast<std::size_t>(id.group)];
    return {group.memory + std::size_t{id.index} * group.buffer_bytes, group.buffer_bytes};
  }
  void recycle(BufferId id) { recycled_.push_back(id); }

  // Hands over all queued submissions and recycled buffers, then waits until something completes,
  // `deadline` passes (kNever: no limit; any past time: don't wait) or wake() is called.
  // The completions stay valid until the next enter(). They are in order per operation only.
  virtual std::span<const Completion> enter(TimePoint deadline) = 0;

  // --- Rare: a call or two per connection, done at once ---------------------------------------
  // A non-blocking stream socket that can connect to `destination`, or an errno.
  virtual std::expected<int, int> open_socket(const Address& destination) = 0;
  // A connection that waits in a listening socket's queue, -1 if none does. For emptying the queue
  // before the socket is closed; otherwise there is OpCode::accept.
  virtual int accept_now(int listening_fd) = 0;
  // Options for a stream socket that was accepted or opened (no Nagle delay; nothing on failure).
  virtual void tune_stream(int fd) = 0;
  // Makes close() abort the connection with a reset instead of an orderly end.
  virtual void reset_on_close(int fd) = 0;
  virtual Address peer_address(int fd) = 0;
  virtual Address local_address(int fd) = 0;

  // --- Clock and other threads -----------------------------------------------------------------
  virtual TimePoint now() = 0;
  virtual WallTime wall_now() = 0;
  // Makes a running or the next enter() return. From any thread, at any time.
  virtual void wake() = 0;

 protected:
  struct Group {
    std::byte* memory = nullptr;
    std::size_t buffer_bytes = 0;
  };

  Ring() = default;

  std::vector<Submission> queue_;
  std::vector<BufferId> recycled_;
  // At the end of enter().
  void release_scratch() { scratch_used_ = 0; }

  std::deque<SendVector> scratch_;  // stable addresses; the first scratch_used_ are in use
  std::size_t scratch_used_ = 0;
  Group groups_[2];
};

}  // namespace sluice::io
