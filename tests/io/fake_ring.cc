#include "tests/io/fake_ring.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/io/sockaddr.h"
#include "tests/io/fake_endpoint.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_POISON 1
#endif
#endif
#ifdef SLUICE_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace sluice::io {
namespace {

constexpr int kGarbage = 0xdd;

void poison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef SLUICE_POISON
  ASAN_POISON_MEMORY_REGION(memory, bytes);
#endif
}

void unpoison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef SLUICE_POISON
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
#endif
}

const char* name_of(OpCode code) {
  switch (code) {
    case OpCode::accept:
      return "accept";
    case OpCode::receive:
      return "receive";
    case OpCode::send:
      return "send";
    case OpCode::connect:
      return "connect";
    case OpCode::shutdown:
      return "shutdown";
    case OpCode::cancel:
      return "cancel";
    case OpCode::close:
      return "close";
    case OpCode::read:
      return "read";
  }
  return "unknown operation";
}

// What may not be in flight when its descriptor is closed.
bool holds_descriptor(OpCode code) {
  return code != OpCode::cancel && code != OpCode::close && code != OpCode::shutdown;
}

bool is_multishot(const Submission& submission) {
  return submission.code == OpCode::accept ||
         (submission.code == OpCode::receive && submission.multishot);
}

}  // namespace

FakeRing::FakeRing(FakeNetwork& network, const RingOptions& options) : network_(network) {
  const std::pair<unsigned, unsigned> sizes[2] = {
      {options.small_buffer_count, options.small_buffer_bytes},
      {options.large_buffer_count, options.large_buffer_bytes}};
  for (std::size_t group = 0; group < 2; ++group) {
    const auto [count, bytes] = sizes[group];
    Buffers& buffers = buffers_[group];
    buffers.memory = std::make_unique<std::byte[]>(std::size_t{count} * bytes);
    buffers.buffer_bytes = bytes;
    buffers.lent.assign(count, false);
    for (unsigned index = 0; index < count; ++index) {
      buffers.free.push_back(static_cast<std::uint16_t>(index));
    }
    std::memset(buffers.memory.get(), kGarbage, std::size_t{count} * bytes);
    poison(buffers.memory.get(), std::size_t{count} * bytes);
    groups_[group] = {.memory = buffers.memory.get(), .buffer_bytes = bytes};
  }
  network_.rings_.push_back(this);
}

FakeRing::~FakeRing() {
  for (Buffers& buffers : buffers_) {
    unpoison(buffers.memory.get(), buffers.lent.size() * buffers.buffer_bytes);
  }
  std::erase(network_.rings_, this);
}

// --- The rare calls
// -------------------------------------------------------------------------------

std::expected<int, int> FakeRing::open_socket(const Address& destination) {
  SLUICE_CHECK(destination.family != Address::Family::none);
  if (network_.chance_.happens(network_.plan_.open_error)) return std::unexpected(EMFILE);
  return network_.add_descriptor({.endpoint = &network_.add_endpoint()});
}

int FakeRing::accept_now(int listening_fd) {
  const auto* descriptor = network_.find(listening_fd);
  if (descriptor == nullptr || descriptor->listener == nullptr) {
    network_.report_misuse("accept_now on " + network_.describe(listening_fd));
    return -1;
  }
  if (descriptor->listener->queue.empty()) return -1;
  fake::Endpoint* endpoint = descriptor->listener->queue.front();
  descriptor->listener->queue.pop_front();
  return network_.add_descriptor({.endpoint = endpoint});
}

void FakeRing::tune_stream(int fd) {
  if (network_.find(fd) == nullptr) {
    network_.report_misuse("tune_stream on " + network_.describe(fd));
  }
}

void FakeRing::reset_on_close(int fd) {
  const auto* descriptor = network_.find(fd);
  if (descriptor == nullptr || descriptor->endpoint == nullptr) {
    network_.report_misuse("reset_on_close on " + network_.describe(fd));
  } else {
    descriptor->endpoint->reset_when_closed = true;
  }
}

Address FakeRing::peer_address(int fd) {
  const auto* descriptor = network_.find(fd);
  return descriptor != nullptr && descriptor->endpoint != nullptr ? descriptor->endpoint->remote
                                                                  : Address{};
}

Address FakeRing::local_address(int fd) {
  const auto* descriptor = network_.find(fd);
  if (descriptor == nullptr) return {};
  if (descriptor->listener != nullptr) return descriptor->listener->address;
  return descriptor->endpoint->local;
}

// --- A turn
// ---------------------------------------------------------------------------------------

std::span<const Completion> FakeRing::enter(TimePoint deadline) {
  delivered_.clear();
  entered_at_ = ++network_.enters_;
  waits_until_ = deadline;
  ++turn_;
  take_back_buffers();
  std::vector<Submission> submissions;
  submissions.swap(queue_);
  for (const Submission& submission : submissions) accept_submission(submission);
  release_scratch();
  while (progress_all()) {
  }
  collect_due();
  if (delivered_.empty() && !ready_.empty()) {
    // All that is left is late, and now is when late is.
    const auto soonest =
        std::min_element(ready_.begin(), ready_.end(),
                         [](const Ready& a, const Ready& b) { return a.due_turn < b.due_turn; });
    turn_ = soonest->due_turn;
    collect_due();
  }
  const bool woken = std::exchange(woken_, false);
  if (delivered_.empty() && !woken) let_time_pass(deadline);
  return delivered_;
}

void FakeRing::take_back_buffers() {
  for (const BufferId id : recycled_) {
    Buffers& buffers = buffers_[static_cast<std::size_t>(id.group)];
    if (id.index >= buffers.lent.size() || !buffers.lent[id.index]) {
      network_.report_misuse("buffer " + std::to_string(id.index) + " of group " +
                             std::to_string(static_cast<int>(id.group)) +
                             " was given back and is not lent");
      continue;
    }
    buffers.lent[id.index] = false;
    buffers.free.push_back(id.index);
    std::byte* memory = buffers.memory.get() + id.index * buffers.buffer_bytes;
    std::memset(memory, kGarbage, buffers.buffer_bytes);
    poison(memory, buffers.buffer_bytes);
  }
  recycled_.clear();
}

bool FakeRing::in_flight_on(int fd, OpCode code) const {
  const auto matches = [&](const Submission& submission) {
    return submission.fd == fd && submission.code == code;
  };
  return std::any_of(operations_.begin(), operations_.end(),
                     [&](const Operation& each) { return matches(each.submission); }) ||
         std::any_of(ended_.begin(), ended_.end(),
                     [&](const auto& each) { return matches(each.second.submission); });
}

// False when the submission is not to be carried out.
bool FakeRing::watch_submission(const Submission& submission) {
  const std::string name = name_of(submission.code);
  const bool names_descriptor = submission.code != OpCode::cancel || submission.cancel_whole_fd;
  if (names_descriptor && network_.find(submission.fd) == nullptr) {
    network_.report_misuse(name + " on " + network_.describe(submission.fd));
    return false;
  }
  if ((submission.code == OpCode::send || submission.code == OpCode::receive) &&
      in_flight_on(submission.fd, submission.code)) {
    network_.report_misuse("a second " + name + " at once on " + network_.describe(submission.fd));
  }
  if (submission.code == OpCode::send && submission.message == nullptr) {
    SLUICE_CHECK(submission.length > 0);
  }
  return true;
}

void FakeRing::accept_submission(const Submission& submission) {
  SLUICE_CHECK(submission.tag <= CompletionTarget::kTagMax);
  Operation operation{.id = next_operation_id_++, .submission = submission};
  if (!watch_submission(submission)) {
    complete(operation, -EBADF);
    return;
  }
  if (const auto* descriptor = network_.find(submission.fd)) {
    operation.endpoint = descriptor->endpoint;
    operation.listener = descriptor->listener;
  }
  if (submission.code == OpCode::accept) {
    SLUICE_CHECK(operation.listener != nullptr);
  } else if (submission.code != OpCode::cancel && submission.code != OpCode::close) {
    SLUICE_CHECK(operation.endpoint != nullptr);
  }
  switch (submission.code) {
    case OpCode::send:
      if (submission.message == nullptr) {
        operation.parts.emplace_back(static_cast<const char*>(submission.data), submission.length);
      } else {
        for (std::size_t part = 0; part < submission.message->msg_iovlen; ++part) {
          const iovec& vector = submission.message->msg_iov[part];
          operation.parts.emplace_back(static_cast<const char*>(vector.iov_base), vector.iov_len);
        }
      }
      break;
    case OpCode::connect: {
      sockaddr_storage storage{};
      std::memcpy(&storage, submission.data, submission.length);
      operation.destination = from_sockaddr(storage, submission.length);
      break;
    }
    case OpCode::shutdown: {
      fake::Endpoint& endpoint = *operation.endpoint;
      const bool connected = endpoint.other != nullptr && !endpoint.broken;
      if (submission.how != SHUT_WR) endpoint.read_shut = true;
      if (submission.how != SHUT_RD) endpoint.send_end();
      complete(operation, connected ? 0 : -ENOTCONN);
      return;
    }
    case OpCode::close:
      run_close(operation);
      return;
    case OpCode::cancel:
      run_cancel(operation);
      return;
    case OpCode::accept:
    case OpCode::receive:
    case OpCode::read:
      break;
  }
  operations_.push_back(std::move(operation));
}

void FakeRing::run_close(const Operation& operation) {
  const int fd = operation.submission.fd;
  for (FakeRing* ring : network_.rings_) {
    for (const OpCode code :
         {OpCode::accept, OpCode::receive, OpCode::send, OpCode::connect, OpCode::read}) {
      if (!ring->in_flight_on(fd, code)) continue;
      network_.report_misuse(std::string("close with a ") + name_of(code) + " in flight on " +
                             network_.describe(fd));
    }
    // As the kernel would in the end, so that a test of something else need not hang on this.
    for (std::size_t index = ring->operations_.size(); index-- > 0;) {
      const auto place = ring->operations_.begin() + static_cast<std::ptrdiff_t>(index);
      if (place->submission.fd != fd || !holds_descriptor(place->submission.code)) continue;
      const Operation orphan = std::move(*place);
      ring->operations_.erase(place);
      ring->complete(orphan, -ECANCELED);
    }
  }
  network_.close(fd);
  complete(operation, 0);
}

void FakeRing::run_cancel(const Operation& operation) {
  const Submission& wanted = operation.submission;
  std::vector<Operation> matched;
  for (auto each = operations_.begin(); each != operations_.end();) {
    const Submission& candidate = each->submission;
    const bool matches = wanted.cancel_whole_fd
                             ? candidate.fd == wanted.fd
                             : matched.empty() && candidate.target == wanted.target &&
                                   candidate.tag == wanted.cancel_tag;
    if (matches) {
      matched.push_back(std::move(*each));
      each = operations_.erase(each);
    } else {
      ++each;
    }
  }
  int cancelled = 0;
  for (Operation& each : matched) cancelled += cancel_one(std::move(each)) ? 1 : 0;
  const int success = wanted.cancel_whole_fd ? cancelled : 0;
  complete(operation, cancelled > 0 ? success : -ENOENT);
}

// Ends the operation; false when it was quicker and ended by itself.
bool FakeRing::cancel_one(Operation operation) {
  if (can_progress(operation) && network_.chance_.happens(network_.plan_.cancel_race) &&
      progress(operation)) {
    return false;
  }
  complete(operation, -ECANCELED);
  return true;
}

// --- Progress
// -------------------------------------------------------------------------------------

bool FakeRing::can_progress(const Operation& operation) const {
  switch (operation.submission.code) {
    case OpCode::accept:
      return !operation.listener->queue.empty();
    case OpCode::receive:
      return operation.endpoint->can_receive();
    case OpCode::send:
      return operation.endpoint->can_send();
    case OpCode::read:
      return !operation.endpoint->inbox.empty();
    case OpCode::connect: {
      const auto fault = network_.connect_faults_.find(operation.destination);
      return fault == network_.connect_faults_.end() || fault->second != FakeNetwork::kUnanswered;
    }
    case OpCode::shutdown:
    case OpCode::cancel:
    case OpCode::close:
      break;
  }
  return false;
}

// One step of every operation that can make one. True when any did.
bool FakeRing::progress_all() {
  bool any = false;
  for (std::size_t index = 0; index < operations_.size();) {
    if (!can_progress(operations_[index])) {
      ++index;
      continue;
    }
    any = true;
    Operation operation = std::move(operations_[index]);
    if (progress(operation)) {
      operations_.erase(operations_.begin() + static_cast<std::ptrdiff_t>(index));
    } else {
      operations_[index++] = std::move(operation);
    }
  }
  return any;
}

bool FakeRing::progress(Operation& operation) {
  switch (operation.submission.code) {
    case OpCode::accept:
      return progress_accept(operation);
    case OpCode::receive:
      return progress_receive(operation);
    case OpCode::send:
      return progress_send(operation);
    case OpCode::connect:
      return progress_connect(operation);
    case OpCode::read:
      return progress_read(operation);
    case OpCode::shutdown:
    case OpCode::cancel:
    case OpCode::close:
      break;
  }
  SLUICE_CHECK(!"an operation that ends at once");
  return true;
}

bool FakeRing::progress_accept(Operation& operation) {
  Chance& chance = network_.chance_;
  if (chance.happens(network_.plan_.accept_error)) {
    complete(operation, chance.happens(0.5) ? -ECONNABORTED : -EMFILE);
    return true;
  }
  fake::Endpoint* endpoint = operation.listener->queue.front();
  operation.listener->queue.pop_front();
  const int fd = network_.add_descriptor({.endpoint = endpoint});
  const bool more = !chance.happens(network_.plan_.multishot_end);
  complete(operation, fd, more);
  return !more;
}

void FakeRing::break_by_chance(Operation& operation) {
  fake::Endpoint& endpoint = *operation.endpoint;
  if (endpoint.broken || endpoint.other == nullptr) return;
  Chance& chance = network_.chance_;
  if (!chance.happens(network_.plan_.reset)) return;
  const int error = chance.happens(0.5) ? ECONNRESET : ETIMEDOUT;
  endpoint.reset(error);
  endpoint.pending_error = error;
}

bool FakeRing::progress_receive(Operation& operation) {
  break_by_chance(operation);
  Chance& chance = network_.chance_;
  const FaultPlan& plan = network_.plan_;
  const Submission& submission = operation.submission;
  fake::Endpoint& endpoint = *operation.endpoint;
  std::string bytes;
  if (endpoint.inbox.empty()) {
    complete(operation, endpoint.receive(bytes, 0));
    return true;
  }
  Buffers& buffers = buffers_[static_cast<std::size_t>(submission.group)];
  if (buffers.free.empty() || (submission.multishot && chance.happens(plan.no_buffers))) {
    complete(operation, -ENOBUFS);
    return true;
  }
  std::size_t bytes_max = buffers.buffer_bytes;
  if (submission.length != 0) bytes_max = std::min<std::size_t>(bytes_max, submission.length);
  bytes_max = std::min(bytes_max, endpoint.inbox.size());
  if (chance.happens(plan.short_receive)) bytes_max = chance.between(1, bytes_max);
  endpoint.receive(bytes, bytes_max);

  const std::uint16_t index = buffers.free.front();
  buffers.free.pop_front();
  buffers.lent[index] = true;
  std::byte* memory = buffers.memory.get() + index * buffers.buffer_bytes;
  unpoison(memory, buffers.buffer_bytes);
  std::memcpy(memory, bytes.data(), bytes.size());

  const bool more = submission.multishot && !chance.happens(plan.multishot_end);
  Completion& completion = complete(operation, static_cast<int>(bytes.size()), more).completion;
  completion.has_buffer = true;
  completion.buffer = {.group = submission.group, .index = index};
  return !more;
}

bool FakeRing::progress_send(Operation& operation) {
  break_by_chance(operation);
  Chance& chance = network_.chance_;
  fake::Endpoint& endpoint = *operation.endpoint;
  if (const int refusal = endpoint.send_refusal()) {
    complete(operation, refusal);
    return true;
  }
  std::size_t wanted = 0;
  for (const std::string_view part : operation.parts) wanted += part.size();
  SLUICE_CHECK(wanted > 0);
  std::size_t left = std::min(wanted, endpoint.room());
  if (chance.happens(network_.plan_.short_send)) left = chance.between(1, left);
  std::string bytes;
  std::vector<std::pair<std::string_view, std::string>> sent;
  for (const std::string_view part : operation.parts) {
    const std::string_view taken = part.substr(0, std::min(left, part.size()));
    left -= taken.size();
    bytes += taken;
    sent.emplace_back(taken, taken);
  }
  endpoint.send(bytes);
  complete(operation, static_cast<int>(bytes.size())).sent = std::move(sent);
  return true;
}

bool FakeRing::progress_read(Operation& operation) {
  std::string bytes;
  const int result = operation.endpoint->receive(bytes, operation.submission.length);
  std::memcpy(operation.submission.data, bytes.data(), bytes.size());
  complete(operation, result);
  return true;
}

bool FakeRing::progress_connect(Operation& operation) {
  if (operation.endpoint->other != nullptr) {
    complete(operation, -EISCONN);
  } else if (operation.endpoint->write_shut) {
    complete(operation, -ECONNRESET);
  } else {
    complete(operation, network_.try_connect(*operation.endpoint, operation.destination));
  }
  return true;
}

// --- Completions
// ----------------------------------------------------------------------------------

FakeRing::Ready& FakeRing::complete(const Operation& operation, int result, bool more) {
  Chance& chance = network_.chance_;
  const Submission& submission = operation.submission;
  SLUICE_CHECK(!more || is_multishot(submission));
  Ready ready{.operation_id = operation.id, .order_key = {submission.fd, submission.code}};
  // A cancel is in order with nothing, not even with other cancels of the same descriptor.
  if (submission.code == OpCode::cancel) ready.order_key.first = -static_cast<int>(operation.id);
  ready.completion.target = submission.target;
  ready.completion.tag = submission.tag;
  ready.completion.more = more;
  ready.completion.result = result;
  ready.due_turn = turn_;
  if (chance.happens(network_.plan_.late)) {
    ready.due_turn += chance.between(1, FaultPlan::kLateTurnsMax);
  }
  std::uint64_t& last_due = last_due_[ready.order_key];
  last_due = ready.due_turn = std::max(ready.due_turn, last_due);
  if (!more) ended_.emplace(operation.id, operation);
  return ready_.emplace_back(std::move(ready));
}

// Hands out what is due: in the order in which it happened, or, where the plan knows lateness, in
// any order that keeps each key's.
void FakeRing::collect_due() {
  std::vector<std::pair<int, OpCode>> keys;  // one entry per completion, so that busy keys mix
  std::map<std::pair<int, OpCode>, std::deque<Ready>> due;
  for (auto each = ready_.begin(); each != ready_.end();) {
    if (each->due_turn > turn_) {
      ++each;
      continue;
    }
    keys.push_back(each->order_key);
    due[each->order_key].push_back(std::move(*each));
    each = ready_.erase(each);
  }
  if (network_.plan_.late > 0) {
    for (std::size_t left = keys.size(); left > 1; --left) {
      std::swap(keys[left - 1], keys[network_.chance_.between(0, left - 1)]);
    }
  }
  for (const auto& key : keys) {
    deliver(due[key].front());
    due[key].pop_front();
  }
}

void FakeRing::deliver(Ready& ready) {
  for (const auto& [memory, as_sent] : ready.sent) {
    if (memory == as_sent) continue;
    network_.report_misuse("bytes changed while they were being sent on " +
                           network_.describe(ready.order_key.first));
  }
  if (!ready.completion.more) ended_.erase(ready.operation_id);
  if (ready.completion.target != nullptr) delivered_.push_back(ready.completion);
}

// --- Time
// -----------------------------------------------------------------------------------------

bool FakeRing::has_work() const {
  return woken_ || !queue_.empty() || !ready_.empty() || waits_until_ <= network_.now_ ||
         std::any_of(operations_.begin(), operations_.end(),
                     [&](const Operation& each) { return can_progress(each); });
}

void FakeRing::let_time_pass(TimePoint deadline) {
  TimePoint until = deadline;
  bool others_first = false;
  for (const FakeRing* other : network_.rings_) {
    if (other == this) continue;
    const auto yielded = yielded_to_.find(other);
    const bool driven = yielded == yielded_to_.end() || yielded->second != other->entered_at_;
    if (!driven) continue;
    if (other->has_work()) {
      others_first = true;
      yielded_to_[other] = other->entered_at_;
    }
    until = std::min(until, other->waits_until_);
  }
  if (others_first || network_.time_held_ || until == kNever) return;
  network_.now_ = std::max(network_.now_, until);
}

// --- The verdict
// ----------------------------------------------------------------------------------

std::size_t FakeRing::lent_buffers() const {
  std::size_t lent = 0;
  for (const Buffers& buffers : buffers_) {
    lent += static_cast<std::size_t>(std::count(buffers.lent.begin(), buffers.lent.end(), true));
  }
  return lent - std::min(lent, recycled_.size());
}

std::vector<std::string> FakeRing::leftovers() const {
  std::vector<std::string> left;
  const auto describe = [&](const Operation& operation, const char* state) {
    const Submission& submission = operation.submission;
    left.push_back(std::string(name_of(submission.code)) + " (tag " +
                   std::to_string(submission.tag) + ") " + state + " on " +
                   network_.describe(submission.fd));
  };
  for (const Submission& submission : queue_) {
    describe({.submission = submission}, "queued and never handed over");
  }
  for (const Operation& operation : operations_) describe(operation, "in flight");
  for (const auto& [id, operation] : ended_) describe(operation, "not yet joined");
  if (const std::size_t lent = lent_buffers(); lent > 0) {
    left.push_back(std::to_string(lent) + " buffers lent and not given back");
  }
  return left;
}

}  // namespace sluice::io
