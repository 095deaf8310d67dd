// The floor: what it costs to carry bytes between two sockets on io_uring with no HTTP at all.
// Every client connection gets a connection to the one server behind; whatever comes on either goes
// out on the other. One thread, one ring, set up as a proxy would: multishot accept and receive, a
// provided-buffer ring, one send in flight a socket.
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <vector>

#include "bench/support.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage = "relay_floor --port PORT --server PORT [--core N]";
constexpr unsigned kRingEntries = 1024;
constexpr unsigned kBuffers = 128;  // a power of two
constexpr unsigned kBufferSize = 16 * 1024;
constexpr int kBufferGroup = 0;

enum class Operation : std::uint64_t { accept, connect, receive, send };

struct Pair;

// One socket of a pair. It may be freed once nothing of it is in flight.
struct Side {
  Pair* pair = nullptr;
  int fd = -1;
  bool receiving = false;
  bool sending = false;
  bool starved = false;  // waits for a buffer to receive into
  struct Piece {
    std::uint16_t buffer;
    std::uint32_t offset;
    std::uint32_t size;
  };
  std::deque<Piece> outgoing;  // received by the other side, to be sent here
};

struct Pair {
  std::array<Side, 2> sides;
  bool connecting = false;
  bool ending = false;  // nothing more is received
  Side& other(Side& side) { return &side == &sides[0] ? sides[1] : sides[0]; }
};

class Relay {
 public:
  Relay(std::uint16_t port, std::uint16_t server_port);
  void run();

 private:
  io_uring_sqe* next_entry();
  static void tag(io_uring_sqe* entry, Operation kind, void* object);
  void accept();
  void receive(Side& side);
  void send(Side& side);
  void recycle(std::uint16_t buffer);
  void feed_starved();
  void on_completion(const io_uring_cqe& completion);
  void on_accept(const io_uring_cqe& completion);
  void on_connect(Pair& pair, int result);
  void on_receive(Side& side, const io_uring_cqe& completion);
  void on_send(Side& side, int result);
  void end(Pair& pair);
  void drop_outgoing(Side& side);
  void free_if_joined(Pair& pair);

  io_uring ring_{};
  io_uring_buf_ring* buffers_;
  std::vector<char> memory_ = std::vector<char>(std::size_t{kBuffers} * kBufferSize);
  std::vector<Side*> starved_;
  int listener_;
  sockaddr_in server_{};
};

Relay::Relay(std::uint16_t port, std::uint16_t server_port) : listener_(listen_on(port, false)) {
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  parameters.cq_entries = kRingEntries * 4;
  int result = io_uring_queue_init_params(kRingEntries, &ring_, &parameters);
  if (result < 0) die("io_uring is not to be had here (" + std::to_string(-result) + ")");
  io_uring_register_ring_fd(&ring_);

  void* entries = mmap(nullptr, kBuffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(entries != MAP_FAILED, "mmap");
  buffers_ = static_cast<io_uring_buf_ring*>(entries);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(entries);
  registration.ring_entries = kBuffers;
  registration.bgid = kBufferGroup;
  if (io_uring_register_buf_ring(&ring_, &registration, 0) != 0) die("no buffer ring");
  io_uring_buf_ring_init(buffers_);
  for (unsigned i = 0; i < kBuffers; ++i) recycle(static_cast<std::uint16_t>(i));

  server_.sin_family = AF_INET;
  server_.sin_port = htons(server_port);
  server_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

io_uring_sqe* Relay::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    io_uring_submit(&ring_);
    entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) die("the submission queue stays full");
  }
  return entry;
}

// Objects are aligned: their low bits carry the kind. After the prep call, which may clear it.
void Relay::tag(io_uring_sqe* entry, Operation kind, void* object) {
  entry->user_data = reinterpret_cast<std::uint64_t>(object) | static_cast<std::uint64_t>(kind);
}

void Relay::accept() {
  io_uring_sqe* entry = next_entry();
  io_uring_prep_multishot_accept(entry, listener_, nullptr, nullptr, SOCK_CLOEXEC);
  tag(entry, Operation::accept, nullptr);
}

void Relay::receive(Side& side) {
  side.receiving = true;
  io_uring_sqe* entry = next_entry();
  io_uring_prep_recv_multishot(entry, side.fd, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = kBufferGroup;
  tag(entry, Operation::receive, &side);
}

void Relay::send(Side& side) {
  if (side.sending || side.outgoing.empty()) return;
  side.sending = true;
  const Side::Piece& piece = side.outgoing.front();
  io_uring_sqe* entry = next_entry();
  io_uring_prep_send(entry, side.fd,
                     memory_.data() + std::size_t{piece.buffer} * kBufferSize + piece.offset,
                     piece.size, MSG_NOSIGNAL);
  tag(entry, Operation::send, &side);
}

void Relay::recycle(std::uint16_t buffer) {
  io_uring_buf_ring_add(buffers_, memory_.data() + std::size_t{buffer} * kBufferSize, kBufferSize,
                        buffer, io_uring_buf_ring_mask(kBuffers), 0);
  io_uring_buf_ring_advance(buffers_, 1);
}

void Relay::feed_starved() {
  std::vector<Side*> hungry;
  hungry.swap(starved_);
  for (Side* side : hungry) {
    side->starved = false;
    if (side->pair->ending) {
      free_if_joined(*side->pair);
    } else {
      receive(*side);
    }
  }
}

void Relay::run() {
  accept();
  while (true) {
    int result = io_uring_submit_and_wait(&ring_, 1);
    if (result < 0 && result != -EINTR) die("io_uring_submit_and_wait: " + std::to_string(-result));
    // By value: a handler may submit, and the kernel then overwrite what is marked seen.
    io_uring_cqe* completion = nullptr;
    while (io_uring_peek_cqe(&ring_, &completion) == 0) {
      io_uring_cqe copy{};
      copy.user_data = completion->user_data;
      copy.res = completion->res;
      copy.flags = completion->flags;
      io_uring_cqe_seen(&ring_, completion);
      on_completion(copy);
    }
    if (!starved_.empty()) feed_starved();
  }
}

void Relay::on_completion(const io_uring_cqe& completion) {
  auto kind = static_cast<Operation>(completion.user_data & 7);
  auto* object = reinterpret_cast<void*>(completion.user_data & ~std::uint64_t{7});
  switch (kind) {
    case Operation::accept:
      return on_accept(completion);
    case Operation::connect:
      return on_connect(*static_cast<Pair*>(object), completion.res);
    case Operation::receive:
      return on_receive(*static_cast<Side*>(object), completion);
    case Operation::send:
      return on_send(*static_cast<Side*>(object), completion.res);
  }
}

void Relay::on_accept(const io_uring_cqe& completion) {
  if ((completion.flags & IORING_CQE_F_MORE) == 0) accept();
  if (completion.res < 0) return;
  auto* pair = new Pair;  // freed by free_if_joined()
  int on = 1;
  for (Side& side : pair->sides) side.pair = pair;
  pair->sides[0].fd = completion.res;
  pair->sides[1].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(pair->sides[1].fd >= 0, "socket");
  for (Side& side : pair->sides) {
    setsockopt(side.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  pair->connecting = true;
  io_uring_sqe* entry = next_entry();
  io_uring_prep_connect(entry, pair->sides[1].fd, reinterpret_cast<sockaddr*>(&server_),
                        sizeof server_);
  tag(entry, Operation::connect, pair);
}

void Relay::on_connect(Pair& pair, int result) {
  pair.connecting = false;
  if (result < 0) return end(pair);
  receive(pair.sides[0]);
  receive(pair.sides[1]);
}

void Relay::on_receive(Side& side, const io_uring_cqe& completion) {
  if ((completion.flags & IORING_CQE_F_MORE) == 0) side.receiving = false;
  Pair& pair = *side.pair;
  bool has_buffer = (completion.flags & IORING_CQE_F_BUFFER) != 0;
  auto buffer = static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  if (completion.res > 0 && !pair.ending) {
    Side& to = pair.other(side);
    to.outgoing.push_back(
        {.buffer = buffer, .offset = 0, .size = static_cast<std::uint32_t>(completion.res)});
    send(to);
    if (!side.receiving) receive(side);
    return;
  }
  if (has_buffer) recycle(buffer);
  if (completion.res == -ENOBUFS && !pair.ending) {
    side.starved = true;
    starved_.push_back(&side);
    return;
  }
  end(pair);
}

void Relay::on_send(Side& side, int result) {
  side.sending = false;
  if (result < 0) {
    drop_outgoing(side);
    return end(*side.pair);
  }
  Side::Piece& piece = side.outgoing.front();
  piece.offset += static_cast<std::uint32_t>(result);
  piece.size -= static_cast<std::uint32_t>(result);
  if (piece.size == 0) {
    recycle(piece.buffer);
    side.outgoing.pop_front();
  }
  send(side);
  if (side.pair->ending) end(*side.pair);
}

// Once one side has ended, both do, as soon as what was received is sent.
void Relay::end(Pair& pair) {
  pair.ending = true;
  for (const Side& side : pair.sides) {
    if (side.sending) return;
  }
  for (Side& side : pair.sides) shutdown(side.fd, SHUT_RDWR);
  free_if_joined(pair);
}

void Relay::drop_outgoing(Side& side) {
  for (const Side::Piece& piece : side.outgoing) recycle(piece.buffer);
  side.outgoing.clear();
}

void Relay::free_if_joined(Pair& pair) {
  if (!pair.ending || pair.connecting) return;
  for (const Side& side : pair.sides) {
    if (side.receiving || side.sending || side.starved) return;
  }
  for (Side& side : pair.sides) {
    drop_outgoing(side);
    close(side.fd);
  }
  delete &pair;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  Options options(argc, argv, {"--port", "--server", "--core"}, kUsage);
  pin_to_core(static_cast<int>(options.number("--core", -1)));
  Relay relay(static_cast<std::uint16_t>(options.number("--port", 0)),
              static_cast<std::uint16_t>(options.number("--server", 0)));
  relay.run();
}
