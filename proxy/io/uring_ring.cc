#include "proxy/io/uring_ring.h"

#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "proxy/io/file_descriptor.h"
#include "proxy/io/sockaddr.h"

namespace sluice::io {
namespace {

// Completions handed out by one enter(); the rest waits for the next, so that a flood can't keep
// timers and other threads' tasks waiting.
constexpr std::size_t kBatchMax = 1024;
// One wait of the kernel. Longer deadlines wait again; keeps the arithmetic far from overflow.
constexpr Duration kWaitMax = std::chrono::hours(1);
// The kernel refuses submissions while it is out of memory; after this many pauses of 1 ms the
// machine is beyond help, and a restart is better than a worker that stands still.
constexpr int kRefusalsMax = 2000;
// user_data of what the ring submits for itself.
constexpr std::uint64_t kWakeUserData = ~std::uint64_t{0};
// The kernel's completion names a buffer but not its group, so the group travels in the id.
constexpr unsigned kGroupShift = 15;
constexpr unsigned kBuffersMax = 1U << kGroupShift;

std::uint64_t user_data_of(const CompletionTarget* target, std::uint8_t tag) {
  return reinterpret_cast<std::uintptr_t>(target) | tag;
}

// Anonymous pages, given back at the end. The kernel backs them as they are first touched.
class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t bytes) : bytes_(bytes) {
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) memory_ = static_cast<std::byte*>(memory);
  }
  Pages(Pages&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Pages() {
    if (memory_ != nullptr) ::munmap(memory_, bytes_);
  }
  std::byte* get() const { return memory_; }

 private:
  std::byte* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

// One group of receive buffers, lent to the kernel through a ring of its own.
class ProvidedBuffers {
 public:
  // 0 or a negated errno.
  int open(io_uring& ring, BufferGroup group, unsigned count, unsigned bytes) {
    SLUICE_CHECK(std::has_single_bit(count) && count <= kBuffersMax && bytes > 0);
    group_bits_ = static_cast<unsigned>(group) << kGroupShift;
    mask_ = count - 1;
    buffer_bytes_ = bytes;
    with_kernel_.assign(count, false);
    entries_ = Pages(count * sizeof(io_uring_buf));
    memory_ = Pages(std::size_t{count} * bytes);
    if (entries_.get() == nullptr || memory_.get() == nullptr) return -ENOMEM;
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries_.get());
    registration.ring_entries = count;
    registration.bgid = static_cast<std::uint16_t>(group);
    if (const int result = io_uring_register_buf_ring(&ring, &registration, 0)) return result;
    for (unsigned index = 0; index < count; ++index) give(index);
    publish();
    return 0;
  }

  std::byte* memory() const { return memory_.get(); }
  std::size_t buffer_bytes() const { return buffer_bytes_; }

  void give(unsigned index) {
    SLUICE_CHECK(index <= mask_ && !with_kernel_[index]);
    with_kernel_[index] = true;
    // The first entry's last field is the ring's tail, so the fields are set one by one.
    io_uring_buf& entry = reinterpret_cast<io_uring_buf*>(entries_.get())[tail_++ & mask_];
    entry.addr =
        reinterpret_cast<std::uintptr_t>(memory_.get() + std::size_t{index} * buffer_bytes_);
    entry.len = buffer_bytes_;
    entry.bid = static_cast<std::uint16_t>(group_bits_ | index);
  }
  void publish() {
    io_uring_buf& first = *reinterpret_cast<io_uring_buf*>(entries_.get());
    std::atomic_ref(first.resv).store(tail_, std::memory_order_release);
  }
  void lent(unsigned index) {
    SLUICE_CHECK(index <= mask_ && with_kernel_[index]);
    with_kernel_[index] = false;
  }

 private:
  Pages entries_;
  Pages memory_;
  unsigned group_bits_ = 0;
  unsigned mask_ = 0;
  unsigned buffer_bytes_ = 0;
  std::uint16_t tail_ = 0;
  std::vector<bool> with_kernel_;
};

class UringRing final : public Ring {
 public:
  UringRing() = default;
  ~UringRing() override;

  std::expected<void, std::string> open(const RingOptions& options);

  std::span<const Completion> enter(TimePoint deadline) override;
  std::expected<int, int> open_socket(const Address& destination) override;
  int accept_now(int listening_fd) override {
    return ::accept4(listening_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  }
  void tune_stream(int fd) override;
  void reset_on_close(int fd) override;
  Address peer_address(int fd) override;
  Address local_address(int fd) override { return address_from(&::getsockname, fd); }
  TimePoint now() override { return now_; }
  WallTime wall_now() override;
  void wake() override;

 private:
  using NameCall = int (*)(int, sockaddr*, socklen_t*);
  static Address address_from(NameCall call, int fd);

  void give_back_buffers();
  io_uring_sqe* next_entry();
  void hand_over(const Submission& submission);
  void shut_down_now(const Submission& submission);
  void submit_all();
  void enter_kernel(TimePoint deadline);
  void pause_after_refusal();
  void collect(std::size_t limit);
  void take(const io_uring_cqe& cqe);

  io_uring ring_{};
  bool ring_open_ = false;
  ProvidedBuffers buffers_[2];
  std::vector<Completion> completions_;
  TimePoint now_ = std::chrono::steady_clock::now();
  WallTime wall_now_{};
  bool wall_read_ = false;
  int refusals_ = 0;

  FileDescriptor wake_event_;
  std::uint64_t wake_count_ = 0;         // where the armed read puts the event's count
  bool wake_armed_ = false;              // true: the read of wake_event_ is in flight
  bool woken_ = false;                   // wake() was noticed in this enter()
  std::atomic<bool> wake_sent_ = false;  // true: wake_event_ has been written and not yet noticed
};

std::string read_first_line(const char* path) {
  std::string line;
  if (std::FILE* file = std::fopen(path, "re")) {
    char text[64] = "";
    if (std::fgets(text, sizeof text, file)) line.assign(text, std::strcspn(text, "\n"));
    std::fclose(file);
  }
  return line;
}

std::string setup_error(int error) {
  const std::string prefix = "io_uring can't be set up: ";
  switch (error) {
    case EPERM: {
      const std::string disabled = read_first_line("/proc/sys/kernel/io_uring_disabled");
      if (!disabled.empty() && disabled != "0") {
        return prefix + "the sysctl kernel.io_uring_disabled is " + disabled + "; set it to 0";
      }
      return prefix +
             "a seccomp profile forbids it; allow io_uring_setup, io_uring_enter and "
             "io_uring_register";
    }
    case ENOSYS:
      return prefix +
             "this kernel was built without it, or a seccomp profile hides it; allow "
             "io_uring_setup, io_uring_enter and io_uring_register";
    case ENOMEM:
      return prefix +
             "not enough memory may be locked; raise the limit (ulimit -l, or LimitMEMLOCK= in the "
             "systemd unit)";
    case EMFILE:
      return prefix + "this process has reached its limit of open files (ulimit -n)";
    case ENFILE:
      return prefix + "the system has reached its limit of open files (fs.file-max)";
    default:
      return prefix + std::strerror(error);
  }
}

std::expected<void, std::string> check_kernel() {
  utsname names{};
  int major = 0;
  int minor = 0;
  if (::uname(&names) != 0 || std::sscanf(names.release, "%d.%d", &major, &minor) != 2) return {};
  if (major > 6 || (major == 6 && minor >= 1)) return {};
  return std::unexpected(std::string("io_uring can't be used: the kernel is ") + names.release +
                         ", and Sluice needs Linux 6.1 or later");
}

std::expected<void, std::string> UringRing::open(const RingOptions& options) {
  if (auto good = check_kernel(); !good) return good;
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE;
  params.cq_entries = options.completion_entries;
  if (const int result = io_uring_queue_init_params(options.submission_entries, &ring_, &params)) {
    return std::unexpected(setup_error(-result));
  }
  ring_open_ = true;
  // Saves a file lookup per enter; without it all works the same.
  io_uring_register_ring_fd(&ring_);
  const std::pair<unsigned, unsigned> sizes[2] = {
      {options.small_buffer_count, options.small_buffer_bytes},
      {options.large_buffer_count, options.large_buffer_bytes}};
  for (std::size_t index = 0; index < 2; ++index) {
    const auto [count, bytes] = sizes[index];
    if (const int result =
            buffers_[index].open(ring_, static_cast<BufferGroup>(index), count, bytes)) {
      return std::unexpected(setup_error(-result));
    }
    groups_[index] = {.memory = buffers_[index].memory(),
                      .buffer_bytes = buffers_[index].buffer_bytes()};
  }
  // In blocking mode: for a non-blocking one the kernel would answer the read with EAGAIN at once.
  wake_event_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!wake_event_) return std::unexpected(setup_error(errno));
  completions_.reserve(kBatchMax);
  return {};
}

UringRing::~UringRing() {
  if (!ring_open_) return;
  if (wake_armed_) {
    io_uring_sync_cancel_reg everything{};
    everything.flags = IORING_ASYNC_CANCEL_ANY;
    everything.timeout = {.tv_sec = 1, .tv_nsec = 0};
    io_uring_register_sync_cancel(&ring_, &everything);
  }
  io_uring_queue_exit(&ring_);
}

void UringRing::give_back_buffers() {
  if (recycled_.empty()) return;
  for (const BufferId id : recycled_) buffers_[static_cast<std::size_t>(id.group)].give(id.index);
  recycled_.clear();
  for (ProvidedBuffers& group : buffers_) group.publish();
}

// Nothing was accepted, for want of memory in the kernel: what completes meanwhile frees some.
void UringRing::pause_after_refusal() {
  SLUICE_CHECK(++refusals_ <= kRefusalsMax);
  const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
  ::nanosleep(&pause, nullptr);
  io_uring_get_events(&ring_);
  collect(~std::size_t{0});
}

void UringRing::submit_all() {
  while (io_uring_sq_ready(&ring_) > 0) {
    const int result = io_uring_submit(&ring_);
    if (result >= 0 || result == -EINTR) continue;
    SLUICE_CHECK(result == -EAGAIN || result == -EBUSY);
    pause_after_refusal();
  }
}

io_uring_sqe* UringRing::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    submit_all();
    entry = io_uring_get_sqe(&ring_);
    SLUICE_CHECK(entry != nullptr);
  }
  return entry;
}

// io_uring does a shutdown on a kernel worker thread, always; the call itself never blocks, costs a
// third less, and keeps its place: what was queued before it reaches the kernel before it.
void UringRing::shut_down_now(const Submission& submission) {
  submit_all();
  const int result = ::shutdown(submission.fd, submission.how) == 0 ? 0 : -errno;
  if (submission.target == nullptr) return;
  completions_.push_back({.target = submission.target, .tag = submission.tag, .result = result});
}

void UringRing::hand_over(const Submission& submission) {
  SLUICE_CHECK(submission.tag <= CompletionTarget::kTagMax);
  if (submission.code == OpCode::shutdown) {
    shut_down_now(submission);
    return;
  }
  io_uring_sqe* entry = next_entry();
  switch (submission.code) {
    case OpCode::accept:
      io_uring_prep_multishot_accept(entry, submission.fd, nullptr, nullptr,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
      break;
    case OpCode::receive:
      SLUICE_CHECK(!submission.multishot || submission.length == 0);
      io_uring_prep_recv(entry, submission.fd, nullptr, submission.length, 0);
      if (submission.multishot) entry->ioprio |= IORING_RECV_MULTISHOT;
      if (submission.expect_nothing_yet) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
      entry->flags |= IOSQE_BUFFER_SELECT;
      entry->buf_group = static_cast<std::uint16_t>(submission.group);
      break;
    case OpCode::send:
      if (submission.message != nullptr) {
        SLUICE_CHECK(submission.message->msg_iovlen > 0);
        io_uring_prep_sendmsg(entry, submission.fd, submission.message, MSG_NOSIGNAL);
      } else {
        SLUICE_CHECK(submission.length > 0);
        io_uring_prep_send(entry, submission.fd, submission.data, submission.length, MSG_NOSIGNAL);
      }
      break;
    case OpCode::connect:
      io_uring_prep_connect(entry, submission.fd, static_cast<const sockaddr*>(submission.data),
                            submission.length);
      break;
    case OpCode::cancel:
      if (submission.cancel_whole_fd) {
        io_uring_prep_cancel_fd(entry, submission.fd, IORING_ASYNC_CANCEL_ALL);
      } else {
        io_uring_prep_cancel64(entry, user_data_of(submission.target, submission.cancel_tag), 0);
      }
      break;
    case OpCode::close:
      io_uring_prep_close(entry, submission.fd);
      break;
    case OpCode::read:
      io_uring_prep_read(entry, submission.fd, submission.data, submission.length,
                         ~std::uint64_t{0});
      break;
    case OpCode::shutdown:
      break;
  }
  entry->user_data = user_data_of(submission.target, submission.tag);
}

std::span<const Completion> UringRing::enter(TimePoint deadline) {
  completions_.clear();
  woken_ = false;
  refusals_ = 0;
  give_back_buffers();
  if (!wake_armed_) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_read(entry, wake_event_.get(), &wake_count_, sizeof wake_count_,
                       ~std::uint64_t{0});
    entry->user_data = kWakeUserData;
    wake_armed_ = true;
  }
  for (const Submission& submission : queue_) hand_over(submission);
  queue_.clear();
  do {
    enter_kernel(deadline);
    collect(kBatchMax);
    now_ = std::chrono::steady_clock::now();
  } while (io_uring_sq_ready(&ring_) > 0 || (completions_.empty() && !woken_ && now_ < deadline));
  wall_read_ = false;
  release_scratch();
  return completions_;
}

// One call of the kernel: hands over what is prepared, runs what has become ready (with deferred
// task work nothing completes otherwise), and waits unless there is something to report already.
void UringRing::enter_kernel(TimePoint deadline) {
  Duration wait = Duration::zero();
  const TimePoint now = std::chrono::steady_clock::now();
  if (completions_.empty() && io_uring_cq_ready(&ring_) == 0 && deadline > now) {
    wait = std::min<Duration>(deadline - now, kWaitMax);
  }
  int result;
  if (wait == Duration::zero()) {
    result = io_uring_submit_and_get_events(&ring_);
  } else {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    __kernel_timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()};
    io_uring_cqe* ignored = nullptr;
    result = io_uring_submit_and_wait_timeout(&ring_, &ignored, 1, &timeout, nullptr);
  }
  if (result >= 0 || result == -ETIME || result == -EINTR) return;
  // EBADR would mean that the kernel has dropped completions: operations that never end.
  SLUICE_CHECK(result == -EAGAIN || result == -EBUSY);
  pause_after_refusal();
}

void UringRing::collect(std::size_t limit) {
  unsigned head;
  unsigned taken = 0;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    if (taken == limit) break;
    take(*cqe);
    ++taken;
  }
  io_uring_cq_advance(&ring_, taken);
}

void UringRing::take(const io_uring_cqe& cqe) {
  if (cqe.user_data == kWakeUserData) {
    wake_armed_ = false;
    woken_ = true;
    // Before the caller looks at what it was woken for: a wake() from here on writes again.
    wake_sent_.exchange(false, std::memory_order_acq_rel);
    return;
  }
  Completion completion;
  completion.target = reinterpret_cast<CompletionTarget*>(
      cqe.user_data & ~std::uint64_t{CompletionTarget::kTagMax});
  completion.tag = static_cast<std::uint8_t>(cqe.user_data & CompletionTarget::kTagMax);
  completion.more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  completion.result = cqe.res;
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
    const unsigned id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
    completion.has_buffer = true;
    completion.buffer = {.group = static_cast<BufferGroup>(id >> kGroupShift),
                         .index = static_cast<std::uint16_t>(id & (kBuffersMax - 1))};
    buffers_[id >> kGroupShift].lent(completion.buffer.index);
  }
  if (completion.target == nullptr) {
    SLUICE_CHECK(!completion.has_buffer);
    return;
  }
  completions_.push_back(completion);
}

std::expected<int, int> UringRing::open_socket(const Address& destination) {
  sockaddr_storage storage;
  to_sockaddr(destination, storage);
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(errno);
  return fd;
}

void UringRing::tune_stream(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on Unix sockets: no matter
}

void UringRing::reset_on_close(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

Address UringRing::address_from(NameCall call, int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (call(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return from_sockaddr(storage, length);
}

Address UringRing::peer_address(int fd) {
  return address_from(&::getpeername, fd);
}

WallTime UringRing::wall_now() {
  if (!wall_read_) {
    wall_now_ = std::chrono::system_clock::now();
    wall_read_ = true;
  }
  return wall_now_;
}

void UringRing::wake() {
  if (wake_sent_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  // Can't fail: the count is read before it could grow to its limit.
  SLUICE_CHECK(::write(wake_event_.get(), &one, sizeof one) == sizeof one);
}

}  // namespace

std::expected<std::unique_ptr<Ring>, std::string> make_uring_ring(const RingOptions& options) {
  auto ring = std::make_unique<UringRing>();
  if (auto opened = ring->open(options); !opened) {
    return std::unexpected(std::move(opened.error()));
  }
  return ring;
}

}  // namespace sluice::io
