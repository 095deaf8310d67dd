// Inside the fake network: one end of a connection, and what listens. Owned by the FakeNetwork.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "proxy/base/address.h"
#include "tests/io/fake_network.h"

namespace sluice::io::fake {

// Bytes in, bytes out, in order.
class ByteQueue {
 public:
  std::size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }
  void append(std::string_view bytes) { bytes_ += bytes; }
  void clear() { truncate(0); }
  // Keeps the first `size` bytes.
  void truncate(std::size_t size) { bytes_.resize(head_ + size); }
  std::string take(std::size_t size) {
    std::string taken = bytes_.substr(head_, size);
    head_ += taken.size();
    if (head_ > bytes_.size() / 2) {
      bytes_.erase(0, head_);
      head_ = 0;
    }
    return taken;
  }

 private:
  std::string bytes_;
  std::size_t head_ = 0;
};

// Laws, after Linux TCP: what has arrived is read before an error or the end; an error is told
// once, to whichever operation comes first; then reads end and writes get EPIPE.
struct Endpoint {
  explicit Endpoint(FakeNetwork& owner) : network(owner) {}

  FakeNetwork& network;
  Endpoint* other = nullptr;  // from the moment that the connection exists, for good
  Address local;
  Address remote;

  ByteQueue inbox;           // arrived and unread, at most FaultPlan::pipe_bytes
  bool inbox_ended = false;  // the other end's orderly end follows the inbox
  bool read_shut = false;
  bool write_shut = false;
  bool broken = false;    // reset; nothing goes in or out any more
  int pending_error = 0;  // positive errno, told once
  bool closed = false;    // nobody holds this end
  bool reset_when_closed = false;

  // Scripted ends only.
  bool scripted = false;
  bool reading = true;
  bool finish_wanted = false;
  bool close_wanted = false;
  bool saw_end = false;
  bool saw_reset = false;
  int connect_error = 0;
  ByteQueue outbox;
  std::string received;

  // How many bytes a write would place now; any number vanishes into an end that is gone.
  std::size_t room() const;
  bool can_receive() const;
  bool can_send() const;
  // The next operation's result: bytes (taken off the inbox into `into`), 0, or a negated errno.
  // Precondition: can_receive().
  int receive(std::string& into, std::size_t bytes_max);
  // What a send is refused with, or 0; tells a pending error.
  int send_refusal();
  // Takes what there is room for and returns how much. Precondition: not refused.
  std::size_t send(std::string_view bytes);
  void send_end();
  // Breaks the connection from this side; the other end is told `error` (as an errno).
  void reset(int error);
  void close();
  // Moves what a scripted end reads and writes by itself.
  void pump();

 private:
  void be_reset(int error);
};

struct Listener {
  Address address;
  bool scripted = false;
  std::deque<Endpoint*> queue;
};

}  // namespace sluice::io::fake
